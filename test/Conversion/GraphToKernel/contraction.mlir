// RUN: tenon-opt %s --convert-graph-to-kernel --split-input-file | FileCheck %s

// CHECK-LABEL: func @linear
// CHECK: %[[W:.*]] = kernel.weight "w" from "f" at 0 source tensor<40x8xf32> transposed layout panel32 : tensor<2x8x32xf32>
// CHECK: kernel.region "matmul" inputs(%{{.*}}, %[[W]]
// CHECK: kernel.contract packed %{{.*}}, %{{.*}} : tensor<?x8xf32>, tensor<2x8x32xf32> -> tensor<?x40xf32>
func.func @linear(%x: tensor<?x8xf32> {tenon.dims = ["n", 8]}) -> tensor<?x40xf32> {
  %w = graph.weight "w" from "f" at 0 : tensor<40x8xf32>
  %0 = graph.matmul transpose_rhs %x, %w : tensor<?x8xf32>, tensor<40x8xf32> -> tensor<?x40xf32>
  return %0 : tensor<?x40xf32>
}

// -----

// The table is looked up too, so it keeps its rows.
// CHECK-LABEL: func @tied
// CHECK: layout rows
// CHECK: kernel.contract transpose_rhs
func.func @tied(%ids: tensor<4xi64>) -> tensor<4x40xf32> {
  %w = graph.weight "w" from "f" at 0 : tensor<40x8xf32>
  %0 = graph.gather %w, %ids axis 0 : tensor<40x8xf32>, tensor<4xi64> -> tensor<4x8xf32>
  %1 = graph.matmul transpose_rhs %0, %w : tensor<4x8xf32>, tensor<40x8xf32> -> tensor<4x40xf32>
  return %1 : tensor<4x40xf32>
}

// -----

// CHECK-LABEL: func @attend
// CHECK: kernel.attention causal {{.*}} {key_layout = array<i64: 0, 1, 2, 3>
func.func @attend(%q: tensor<1x2x?x4xf32> {tenon.dims = [1, 2, "s", 4]}, %k: tensor<1x2x?x4xf32> {tenon.dims = [1, 2, "t", 4]}) -> tensor<1x2x?x4xf32> {
  %0 = graph.attention causal %q, %k, %k scale 5.000000e-01 : (tensor<1x2x?x4xf32>, tensor<1x2x?x4xf32>, tensor<1x2x?x4xf32>) -> tensor<1x2x?x4xf32>
  return %0 : tensor<1x2x?x4xf32>
}
