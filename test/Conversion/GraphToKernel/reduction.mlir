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

// The halves of a head are a dimension, read where the transpose in front reads.
// CHECK: #[[FIRST:.*]] = affine_map<(d0, d1, d2, d3, d4) -> (d0, d2, d1, 0, d4)>
// CHECK: #[[SECOND:.*]] = affine_map<(d0, d1, d2, d3, d4) -> (d0, d2, d1, 1, d4)>
// CHECK: #[[TABLE:.*]] = affine_map<(d0, d1, d2, d3, d4) -> (0, d2, d4)>
// CHECK-LABEL: func @rotary
// CHECK: %[[SPLIT:.*]] = kernel.view %{{.*}} -> tensor<1x?x3x2x32xf32>
// CHECK: %[[PAIRS:.*]] = kernel.region "rotary" inputs(%[[SPLIT]],
// CHECK: linalg.generic {indexing_maps = [#[[FIRST]], #[[SECOND]], #[[TABLE]], #[[TABLE]],
// CHECK: linalg.index 3
// CHECK: kernel.view %[[PAIRS]]{{.*}} -> tensor<1x3x?x64xf32>
func.func @rotary(%x: tensor<1x?x3x64xf32> {tenon.dims = [1, "s", 3, 64]}, %c: tensor<1x?x32xf32> {tenon.dims = [1, "s", 32]}, %s: tensor<1x?x32xf32> {tenon.dims = [1, "s", 32]}) -> tensor<1x3x?x64xf32> {
  %t = graph.transpose %x [0, 2, 1, 3] : tensor<1x?x3x64xf32> -> tensor<1x3x?x64xf32>
  %0 = graph.rotary %t, %c, %s : tensor<1x3x?x64xf32>, tensor<1x?x32xf32>, tensor<1x?x32xf32> -> tensor<1x3x?x64xf32>
  return %0 : tensor<1x3x?x64xf32>
}

// -----

// A pair lies side by side; the transpose moves it, so it runs by itself.
// CHECK: #[[FIRST:.*]] = affine_map<(d0, d1, d2, d3, d4) -> (d0, d1, d2, d3, 0)>
// CHECK: #[[TABLE:.*]] = affine_map<(d0, d1, d2, d3, d4) -> (d0, 0, d2, d3)>
// CHECK-LABEL: func @rotary_interleaved
// CHECK: kernel.region "transpose"
// CHECK: kernel.view %{{.*}} -> tensor<2x3x?x32x2xf32>
// CHECK: kernel.region "rotary"
// CHECK: linalg.index 4
func.func @rotary_interleaved(%x: tensor<2x3x64x?xf32> {tenon.dims = [2, 3, 64, "s"]}, %c: tensor<2x1x?x32xf32> {tenon.dims = [2, 1, "s", 32]}, %s: tensor<2x1x?x32xf32> {tenon.dims = [2, 1, "s", 32]}) -> tensor<2x3x?x64xf32> {
  %t = graph.transpose %x [0, 1, 3, 2] : tensor<2x3x64x?xf32> -> tensor<2x3x?x64xf32>
  %0 = graph.rotary interleaved %t, %c, %s : tensor<2x3x?x64xf32>, tensor<2x1x?x32xf32>, tensor<2x1x?x32xf32> -> tensor<2x3x?x64xf32>
  return %0 : tensor<2x3x?x64xf32>
}

// -----

// From the last element on; what is written is the sum before it.
// CHECK-LABEL: func @cumulative_sum
// CHECK: kernel.lines %{{.*}} axis 0 : tensor<?x3xi64>
// CHECK: scf.for {{.*}} iter_args(%[[LINE:.*]] = %{{.*}}, %[[SUM:.*]] = %{{.*}}) -> (tensor<?xi64>, i64)
// CHECK: %[[AT:.*]] = arith.subi
// CHECK: arith.addi %[[SUM]]
// CHECK: tensor.insert %[[SUM]] into %[[LINE]]
func.func @cumulative_sum(%x: tensor<?x3xi64> {tenon.dims = ["n", 3]}) -> tensor<?x3xi64> {
  %0 = graph.cumulative_sum exclusive reverse %x axis 0 : tensor<?x3xi64> -> tensor<?x3xi64>
  return %0 : tensor<?x3xi64>
}

// -----

// The line holds the best so far; what comes before some of them moves them.
// CHECK-LABEL: func @top_k
// CHECK: kernel.lines %{{.*}} axis 1 : tensor<?x2xi64>
// CHECK: scf.for {{.*}} iter_args(%[[BEST:.*]] = %{{.*}}) -> (tensor<2xi64>)
// CHECK: tensor.extract %[[BEST]]
// CHECK: arith.cmpf ugt
// CHECK: %[[MOVED:.*]]:2 = scf.for {{.*}} -> (tensor<2xi64>, index)
// CHECK: tensor.insert %{{.*}} into %[[MOVED]]#0[%[[MOVED]]#1]
func.func @top_k(%x: tensor<?x8xf32> {tenon.dims = ["n", 8]}) -> tensor<?x2xi64> {
  %k = arith.constant 2 : index
  %0 = graph.top_k %x k %k axis 1 : tensor<?x8xf32> -> tensor<?x2xi64>
  return %0 : tensor<?x2xi64>
}

// -----

// That there are as many elements is checked before anything runs.
// CHECK-LABEL: func @top_of_unknown_size
// CHECK: %[[N:.*]] = kernel.symbol "n"
// CHECK: %[[LESS:.*]] = arith.minsi %{{.*}}, %[[N]]
// CHECK: kernel.assume_equal %{{.*}}, %[[LESS]]
func.func @top_of_unknown_size(%x: tensor<?xf32> {tenon.dims = ["n"]}) -> tensor<2xi64> {
  %k = arith.constant 2 : index
  %0 = graph.top_k %x k %k axis 0 : tensor<?xf32> -> tensor<2xi64>
  return %0 : tensor<2xi64>
}
