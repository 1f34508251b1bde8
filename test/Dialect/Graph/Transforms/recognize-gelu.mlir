// RUN: tenon-opt %s --graph-recognize-gelu | FileCheck %s

// CHECK-LABEL: func @with_erf
// CHECK-SAME:    %[[X:.*]]: tensor
// CHECK:         %[[GELU:.*]] = graph.gelu %[[X]]
// CHECK:         return %[[GELU]]
func.func @with_erf(%x: tensor<?x8xf32>) -> tensor<?x8xf32> {
  %root = graph.constant dense<1.41421354> : tensor<f32>
  %one = graph.constant dense<1.0> : tensor<f32>
  %half = graph.constant dense<5.000000e-01> : tensor<f32>
  %0 = graph.div %x, %root : tensor<?x8xf32>, tensor<f32> -> tensor<?x8xf32>
  %1 = graph.erf %0 : tensor<?x8xf32> -> tensor<?x8xf32>
  %2 = graph.add %1, %one : tensor<?x8xf32>, tensor<f32> -> tensor<?x8xf32>
  %3 = graph.mul %x, %2 : tensor<?x8xf32>, tensor<?x8xf32> -> tensor<?x8xf32>
  %4 = graph.mul %3, %half : tensor<?x8xf32>, tensor<f32> -> tensor<?x8xf32>
  return %4 : tensor<?x8xf32>
}

// CHECK-LABEL: func @with_tanh
// CHECK-SAME:    %[[X:.*]]: tensor
// CHECK:         %[[GELU:.*]] = graph.gelu tanh_approximation %[[X]]
// CHECK:         return %[[GELU]]
func.func @with_tanh(%x: tensor<?x8xf32>) -> tensor<?x8xf32> {
  %half = graph.constant dense<5.000000e-01> : tensor<f32>
  %three = graph.constant dense<3.0> : tensor<f32>
  %a = graph.constant dense<4.471500e-02> : tensor<f32>
  %b = graph.constant dense<0.797884583> : tensor<f32>
  %one = graph.constant dense<1.0> : tensor<f32>
  %0 = graph.mul %x, %half : tensor<?x8xf32>, tensor<f32> -> tensor<?x8xf32>
  %1 = graph.pow %x, %three : tensor<?x8xf32>, tensor<f32> -> tensor<?x8xf32>
  %2 = graph.mul %1, %a : tensor<?x8xf32>, tensor<f32> -> tensor<?x8xf32>
  %3 = graph.add %x, %2 : tensor<?x8xf32>, tensor<?x8xf32> -> tensor<?x8xf32>
  %4 = graph.mul %3, %b : tensor<?x8xf32>, tensor<f32> -> tensor<?x8xf32>
  %5 = graph.tanh %4 : tensor<?x8xf32> -> tensor<?x8xf32>
  %6 = graph.add %5, %one : tensor<?x8xf32>, tensor<f32> -> tensor<?x8xf32>
  %7 = graph.mul %0, %6 : tensor<?x8xf32>, tensor<?x8xf32> -> tensor<?x8xf32>
  return %7 : tensor<?x8xf32>
}

// Another divisor than √2 is another function.
// CHECK-LABEL: func @other_divisor
// CHECK-NOT:     graph.gelu
func.func @other_divisor(%x: tensor<?x8xf32>) -> tensor<?x8xf32> {
  %root = graph.constant dense<1.5> : tensor<f32>
  %one = graph.constant dense<1.0> : tensor<f32>
  %half = graph.constant dense<5.000000e-01> : tensor<f32>
  %0 = graph.div %x, %root : tensor<?x8xf32>, tensor<f32> -> tensor<?x8xf32>
  %1 = graph.erf %0 : tensor<?x8xf32> -> tensor<?x8xf32>
  %2 = graph.add %1, %one : tensor<?x8xf32>, tensor<f32> -> tensor<?x8xf32>
  %3 = graph.mul %x, %2 : tensor<?x8xf32>, tensor<?x8xf32> -> tensor<?x8xf32>
  %4 = graph.mul %3, %half : tensor<?x8xf32>, tensor<f32> -> tensor<?x8xf32>
  return %4 : tensor<?x8xf32>
}
