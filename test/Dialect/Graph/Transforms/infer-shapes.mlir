// RUN: tenon-opt %s --graph-infer-shapes | FileCheck %s

// A constant size enters the types, the function's too; a symbol does not.
// CHECK-LABEL: func @concat
// CHECK-SAME:    -> (tensor<8x4xf32>, tensor<?x4xf32>)
// CHECK:         graph.concat {{.*}} -> tensor<8x4xf32>
// CHECK:         graph.relu {{.*}} -> tensor<?x4xf32>
func.func @concat(%x: tensor<4x4xf32> {tenon.dims = [4, 4]}, %p: tensor<?x4xf32> {tenon.dims = ["n", 4]}) -> (tensor<?x4xf32>, tensor<?x4xf32>) {
  %n = graph.symbol "n" range 0 to 9223372036854775807
  %0 = graph.concat %x, %x axis 0 : (tensor<4x4xf32>, tensor<4x4xf32>) -> tensor<?x4xf32>
  %1 = graph.relu %p : tensor<?x4xf32> -> tensor<?x4xf32>
  return %0, %1 : tensor<?x4xf32>, tensor<?x4xf32>
}
