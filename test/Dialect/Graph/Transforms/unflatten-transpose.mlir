// RUN: tenon-opt %s --graph-unflatten-transpose --canonicalize | FileCheck %s

// As PyTorch's exporter decomposes attention for opset 20.
// CHECK-LABEL: func @keys
// CHECK-SAME:    %[[X:.*]]: tensor<?x12x?x64xf32>
// CHECK-NOT:     graph.reshape
// CHECK:         %[[T:.*]] = graph.transpose %[[X]] [0, 1, 3, 2] {tenon.id = "split"}
// CHECK-NOT:     graph.reshape
// CHECK:         return %[[T]]
func.func @keys(%x: tensor<?x12x?x64xf32> {tenon.dims = ["b", 12, "t", 64]}) -> tensor<?x12x64x?xf32> {
  %b = graph.symbol "b" range 0 to 64
  %t = graph.symbol "t" range 0 to 64
  %c12 = arith.constant 12 : index
  %bh = arith.muli %b, %c12 : index
  %0 = graph.reshape %x to [%bh, %t, 64] {allow_zero} : tensor<?x12x?x64xf32> -> tensor<?x?x64xf32>
  %1 = graph.transpose %0 [0, 2, 1] : tensor<?x?x64xf32> -> tensor<?x64x?xf32>
  %2 = graph.reshape %1 to [%b, 12, 64, %t] {allow_zero, tenon.id = "split"} : tensor<?x64x?xf32> -> tensor<?x12x64x?xf32>
  return %2 : tensor<?x12x64x?xf32>
}

// Split otherwise than it was merged: heads and batch have changed places.
// CHECK-LABEL: func @split_otherwise
// CHECK:         graph.transpose %{{.*}} [0, 2, 1]
func.func @split_otherwise(%x: tensor<?x12x?x64xf32> {tenon.dims = ["b", 12, "t", 64]}) -> tensor<12x?x64x?xf32> {
  %b = graph.symbol "b" range 0 to 64
  %t = graph.symbol "t" range 0 to 64
  %c12 = arith.constant 12 : index
  %bh = arith.muli %b, %c12 : index
  %0 = graph.reshape %x to [%bh, %t, 64] {allow_zero} : tensor<?x12x?x64xf32> -> tensor<?x?x64xf32>
  %1 = graph.transpose %0 [0, 2, 1] : tensor<?x?x64xf32> -> tensor<?x64x?xf32>
  %2 = graph.reshape %1 to [12, %b, 64, %t] {allow_zero} : tensor<?x64x?xf32> -> tensor<12x?x64x?xf32>
  return %2 : tensor<12x?x64x?xf32>
}

// The merged dimension moves, so what it was merged from does not stay together.
// CHECK-LABEL: func @merged_dimension_moves
// CHECK:         graph.transpose %{{.*}} [1, 0, 2]
func.func @merged_dimension_moves(%x: tensor<4x4x4x64xf32>) -> tensor<4x4x4x64xf32> {
  %0 = graph.reshape %x to [16, 4, 64] {allow_zero} : tensor<4x4x4x64xf32> -> tensor<16x4x64xf32>
  %1 = graph.transpose %0 [1, 0, 2] : tensor<16x4x64xf32> -> tensor<4x16x64xf32>
  %2 = graph.reshape %1 to [4, 4, 4, 64] {allow_zero} : tensor<4x16x64xf32> -> tensor<4x4x4x64xf32>
  return %2 : tensor<4x4x4x64xf32>
}

// Merged from the middle, so that the rest is not what it was.
// CHECK-LABEL: func @other_rows
// CHECK:         graph.transpose %{{.*}} [0, 2, 1]
func.func @other_rows(%x: tensor<?x12x?x64xf32> {tenon.dims = ["b", 12, "t", 64]}) -> tensor<?x12x64x?xf32> {
  %b = graph.symbol "b" range 0 to 64
  %t = graph.symbol "t" range 0 to 64
  %c12 = arith.constant 12 : index
  %th = arith.muli %t, %c12 : index
  %0 = graph.reshape %x to [%b, %th, 64] {allow_zero} : tensor<?x12x?x64xf32> -> tensor<?x?x64xf32>
  %1 = graph.transpose %0 [0, 2, 1] : tensor<?x?x64xf32> -> tensor<?x64x?xf32>
  %2 = graph.reshape %1 to [%b, 12, 64, %t] {allow_zero} : tensor<?x64x?xf32> -> tensor<?x12x64x?xf32>
  return %2 : tensor<?x12x64x?xf32>
}
