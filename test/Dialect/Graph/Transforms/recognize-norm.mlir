// RUN: tenon-opt %s --graph-recognize-norm | FileCheck %s

// CHECK-LABEL: func @rms
// CHECK-SAME:    %[[X:.*]]: tensor<?x8xf32>, %[[W:.*]]: tensor<8xf32>
// CHECK:         %[[NORM:.*]] = graph.norm rms %[[X]] scale %[[W]] axis 1 epsilon 9.99999974E-6
// CHECK:         return %[[NORM]]
func.func @rms(%x: tensor<?x8xf32>, %w: tensor<8xf32>) -> tensor<?x8xf32> {
  %two = graph.constant dense<2.0> : tensor<f32>
  %eps = graph.constant dense<9.99999974E-6> : tensor<f32>
  %0 = graph.pow %x, %two : tensor<?x8xf32>, tensor<f32> -> tensor<?x8xf32>
  %1 = graph.reduce mean %0 axes [1] : tensor<?x8xf32> -> tensor<?x1xf32>
  %2 = graph.add %1, %eps : tensor<?x1xf32>, tensor<f32> -> tensor<?x1xf32>
  %3 = graph.sqrt %2 : tensor<?x1xf32> -> tensor<?x1xf32>
  %4 = graph.reciprocal %3 : tensor<?x1xf32> -> tensor<?x1xf32>
  %5 = graph.mul %x, %4 : tensor<?x8xf32>, tensor<?x1xf32> -> tensor<?x8xf32>
  %6 = graph.mul %w, %5 : tensor<8xf32>, tensor<?x8xf32> -> tensor<?x8xf32>
  return %6 : tensor<?x8xf32>
}

// CHECK-LABEL: func @layer
// CHECK-SAME:    %[[X:.*]]: tensor<?x8xf32>, %[[W:.*]]: tensor<8xf32>, %[[B:.*]]: tensor<8xf32>
// CHECK:         %[[NORM:.*]] = graph.norm %[[X]] scale %[[W]] bias %[[B]] axis 1
// CHECK:         return %[[NORM]]
func.func @layer(%x: tensor<?x8xf32>, %w: tensor<8xf32>, %b: tensor<8xf32>) -> tensor<?x8xf32> {
  %two = graph.constant dense<2.0> : tensor<f32>
  %eps = graph.constant dense<9.99999996E-13> : tensor<f32>
  %mean = graph.reduce mean %x axes [1] : tensor<?x8xf32> -> tensor<?x1xf32>
  %d = graph.sub %x, %mean : tensor<?x8xf32>, tensor<?x1xf32> -> tensor<?x8xf32>
  %0 = graph.pow %d, %two : tensor<?x8xf32>, tensor<f32> -> tensor<?x8xf32>
  %1 = graph.reduce mean %0 axes [1] : tensor<?x8xf32> -> tensor<?x1xf32>
  %2 = graph.add %1, %eps : tensor<?x1xf32>, tensor<f32> -> tensor<?x1xf32>
  %3 = graph.sqrt %2 : tensor<?x1xf32> -> tensor<?x1xf32>
  %4 = graph.div %d, %3 : tensor<?x8xf32>, tensor<?x1xf32> -> tensor<?x8xf32>
  %5 = graph.mul %4, %w : tensor<?x8xf32>, tensor<8xf32> -> tensor<?x8xf32>
  %6 = graph.add %5, %b : tensor<?x8xf32>, tensor<8xf32> -> tensor<?x8xf32>
  return %6 : tensor<?x8xf32>
}

// The mean must be over the last dimension.
// CHECK-LABEL: func @over_columns
// CHECK-NOT:     graph.norm
func.func @over_columns(%x: tensor<4x8xf32>) -> tensor<4x8xf32> {
  %eps = graph.constant dense<9.99999974E-6> : tensor<f32>
  %0 = graph.mul %x, %x : tensor<4x8xf32>, tensor<4x8xf32> -> tensor<4x8xf32>
  %1 = graph.reduce mean %0 axes [0] : tensor<4x8xf32> -> tensor<1x8xf32>
  %2 = graph.add %1, %eps : tensor<1x8xf32>, tensor<f32> -> tensor<1x8xf32>
  %3 = graph.sqrt %2 : tensor<1x8xf32> -> tensor<1x8xf32>
  %4 = graph.div %x, %3 : tensor<4x8xf32>, tensor<1x8xf32> -> tensor<4x8xf32>
  return %4 : tensor<4x8xf32>
}
