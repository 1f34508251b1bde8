// RUN: tenon-opt %s --graph-fold-constants | FileCheck %s

// CHECK-LABEL: func @scale
// CHECK-NOT:     graph.sqrt
// CHECK:         %[[ROOT:.*]] = graph.constant dense<8.000000e+00> : tensor<f32>
// CHECK:         graph.div %{{.*}}, %[[ROOT]]
func.func @scale(%x: tensor<4xf32>) -> tensor<4xf32> {
  %c = graph.constant dense<64> : tensor<i64>
  %f = graph.cast %c : tensor<i64> -> tensor<f32>
  %s = graph.sqrt %f : tensor<f32> -> tensor<f32>
  %0 = graph.div %x, %s : tensor<4xf32>, tensor<f32> -> tensor<4xf32>
  return %0 : tensor<4xf32>
}

// CHECK-LABEL: func @square
// CHECK-SAME:    %[[X:.*]]: tensor
// CHECK:         graph.mul %[[X]], %[[X]]
func.func @square(%x: tensor<4xf32>) -> tensor<4xf32> {
  %c = graph.constant dense<2.0> : tensor<f32>
  %0 = graph.pow %x, %c : tensor<4xf32>, tensor<f32> -> tensor<4xf32>
  return %0 : tensor<4xf32>
}

// An exponent that only the run knows stays.
// CHECK-LABEL: func @exponent_at_run_time
// CHECK:         graph.pow
func.func @exponent_at_run_time(%x: tensor<4xf32>, %y: tensor<f32>) -> tensor<4xf32> {
  %0 = graph.pow %x, %y : tensor<4xf32>, tensor<f32> -> tensor<4xf32>
  return %0 : tensor<4xf32>
}
