// RUN: tenon-opt %s --convert-graph-to-kernel --split-input-file | FileCheck %s

// CHECK-LABEL: func @mean
// CHECK: kernel.region "reduce"
// CHECK: linalg.fill
// CHECK: linalg.generic {{.*}}"reduction"
// CHECK: arith.divf
func.func @mean(%x: tensor<?x8xf32> {tenon.dims = ["n", 8]}) -> tensor<?x1xf32> {
  %0 = graph.reduce mean %x axes [1] : tensor<?x8xf32> -> tensor<?x1xf32>
  return %0 : tensor<?x1xf32>
}

// -----

// A sum is not divided.
// CHECK-LABEL: func @sum
// CHECK-NOT: arith.div
// CHECK: return
func.func @sum(%x: tensor<?x8xf32> {tenon.dims = ["n", 8]}) -> tensor<?x1xf32> {
  %0 = graph.reduce sum %x axes [1] : tensor<?x8xf32> -> tensor<?x1xf32>
  return %0 : tensor<?x1xf32>
}

// -----

// CHECK-LABEL: func @softmax_first
// CHECK: kernel.region "transpose"
// CHECK: kernel.softmax
// CHECK: kernel.region "transpose"
func.func @softmax_first(%x: tensor<4x8xf32>) -> tensor<4x8xf32> {
  %0 = graph.softmax %x axis 0 : tensor<4x8xf32> -> tensor<4x8xf32>
  return %0 : tensor<4x8xf32>
}

// -----

// CHECK-LABEL: func @softmax_last
// CHECK-NOT: kernel.region "transpose"
// CHECK: kernel.softmax
func.func @softmax_last(%x: tensor<4x8xf32>) -> tensor<4x8xf32> {
  %0 = graph.softmax %x axis 1 : tensor<4x8xf32> -> tensor<4x8xf32>
  return %0 : tensor<4x8xf32>
}

// -----

// CHECK-LABEL: func @norm_two_dimensions
// CHECK: kernel.view {{.*}} -> tensor<?x8xf32>
// CHECK: kernel.norm
// CHECK: kernel.view {{.*}} -> tensor<?x2x4xf32>
func.func @norm_two_dimensions(%x: tensor<?x2x4xf32> {tenon.dims = ["n", 2, 4]}, %g: tensor<2x4xf32>) -> tensor<?x2x4xf32> {
  %0 = graph.norm %x scale %g axis 1 epsilon 1.0e-5 : (tensor<?x2x4xf32>, tensor<2x4xf32>) -> tensor<?x2x4xf32>
  return %0 : tensor<?x2x4xf32>
}

// -----

// CHECK-LABEL: func @rotary
// CHECK: kernel.region "rotary"
// CHECK-COUNT-4: tensor.extract
func.func @rotary(%x: tensor<1x3x?x64xf32> {tenon.dims = [1, 3, "s", 64]}, %c: tensor<1x?x32xf32> {tenon.dims = [1, "s", 32]}, %s: tensor<1x?x32xf32> {tenon.dims = [1, "s", 32]}) -> tensor<1x3x?x64xf32> {
  %0 = graph.rotary %x, %c, %s : tensor<1x3x?x64xf32>, tensor<1x?x32xf32>, tensor<1x?x32xf32> -> tensor<1x3x?x64xf32>
  return %0 : tensor<1x3x?x64xf32>
}
