// RUN: tenon-opt %s --graph-swap-transposed-product | FileCheck %s

// A patch embedding: the windows become rows.
// CHECK-LABEL: func @patches
// CHECK-SAME:    %[[X:.*]]: tensor<?x3x14x14x16x16xf32>
// CHECK:         %[[T:.*]] = graph.transpose %[[X]] [0, 2, 3, 1, 4, 5] {tenon.id = "t"}
// CHECK:         %[[R:.*]] = graph.reshape %[[T]] to [%{{.*}}, 196, 768]
// CHECK:         %[[P:.*]] = graph.matmul transpose_rhs %[[R]], %{{.*}} {tenon.id = "p"}
// CHECK:         %[[B:.*]] = graph.reshape %{{.*}} to [1, 768]
// CHECK:         %[[S:.*]] = graph.add %[[P]], %[[B]] {tenon.id = "s"} : tensor<?x196x768xf32>, tensor<1x768xf32>
// CHECK:         %[[G:.*]] = graph.gelu %[[S]]
// CHECK:         return %[[G]]
func.func @patches(%x: tensor<?x3x14x14x16x16xf32> {tenon.dims = ["n", 3, 14, 14, 16, 16]}, %b: tensor<768x1xf32>) -> tensor<?x196x768xf32> {
  %n = graph.symbol "n" range 0 to 64
  %w = graph.weight "w" from "f" at 0 : tensor<768x768xf32>
  %0 = graph.transpose %x [0, 1, 4, 5, 2, 3] {tenon.id = "t"} : tensor<?x3x14x14x16x16xf32> -> tensor<?x3x16x16x14x14xf32>
  %1 = graph.reshape %0 to [%n, 768, 196] {allow_zero} : tensor<?x3x16x16x14x14xf32> -> tensor<?x768x196xf32>
  %2 = graph.matmul %w, %1 {tenon.id = "p"} : tensor<768x768xf32>, tensor<?x768x196xf32> -> tensor<?x768x196xf32>
  %3 = graph.add %2, %b {tenon.id = "s"} : tensor<?x768x196xf32>, tensor<768x1xf32> -> tensor<?x768x196xf32>
  %4 = graph.gelu %3 : tensor<?x768x196xf32> -> tensor<?x768x196xf32>
  %5 = graph.transpose %4 [0, 2, 1] : tensor<?x768x196xf32> -> tensor<?x196x768xf32>
  return %5 : tensor<?x196x768xf32>
}

// What is no group of windows is read transposed.
// CHECK-LABEL: func @pointwise
// CHECK:         graph.matmul transpose_lhs transpose_rhs %arg0, %{{.*}} : tensor<?x32x9xf32>, tensor<768x32xf32> -> tensor<?x9x768xf32>
func.func @pointwise(%x: tensor<?x32x9xf32> {tenon.dims = ["n", 32, 9]}) -> tensor<?x9x768xf32> {
  %n = graph.symbol "n" range 0 to 64
  %w = graph.weight "w" from "f" at 0 : tensor<768x32xf32>
  %0 = graph.matmul %w, %x : tensor<768x32xf32>, tensor<?x32x9xf32> -> tensor<?x768x9xf32>
  %1 = graph.transpose %0 [0, 2, 1] : tensor<?x768x9xf32> -> tensor<?x9x768xf32>
  return %1 : tensor<?x9x768xf32>
}

// The product is read twice, or the weight is on the right already.
// CHECK-LABEL: func @others
// CHECK:         graph.transpose
// CHECK:         graph.transpose
func.func @others(%x: tensor<4x32x9xf32>, %y: tensor<9x32xf32>) -> (tensor<4x768x9xf32>, tensor<4x9x768xf32>, tensor<768x9xf32>) {
  %w = graph.weight "w" from "f" at 0 : tensor<768x32xf32>
  %v = graph.weight "v" from "f" at 0 : tensor<32x768xf32>
  %0 = graph.matmul %w, %x : tensor<768x32xf32>, tensor<4x32x9xf32> -> tensor<4x768x9xf32>
  %1 = graph.transpose %0 [0, 2, 1] : tensor<4x768x9xf32> -> tensor<4x9x768xf32>
  %2 = graph.matmul %y, %v : tensor<9x32xf32>, tensor<32x768xf32> -> tensor<9x768xf32>
  %3 = graph.transpose %2 [1, 0] : tensor<9x768xf32> -> tensor<768x9xf32>
  return %0, %1, %3 : tensor<4x768x9xf32>, tensor<4x9x768xf32>, tensor<768x9xf32>
}

// Unsigned bytes are multiplied from the left alone.
// CHECK-LABEL: func @bytes
// CHECK:         graph.matmul %{{.*}}, %arg0 : tensor<768x32xui8>, tensor<32x9xi8> -> tensor<768x9xi32>
// CHECK:         graph.transpose
func.func @bytes(%x: tensor<32x9xi8>) -> tensor<9x768xi32> {
  %w = graph.weight "w" from "f" at 0 : tensor<768x32xui8>
  %0 = graph.matmul %w, %x : tensor<768x32xui8>, tensor<32x9xi8> -> tensor<768x9xi32>
  %1 = graph.transpose %0 [1, 0] : tensor<768x9xi32> -> tensor<9x768xi32>
  return %1 : tensor<9x768xi32>
}
