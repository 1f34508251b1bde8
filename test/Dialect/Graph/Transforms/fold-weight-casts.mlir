// RUN: tenon-opt %s --graph-fold-weight-casts --split-input-file | FileCheck %s

// CHECK-LABEL: func @product
// CHECK:         %[[W:.*]] = graph.weight
// CHECK-NOT:     graph.cast
// CHECK:         graph.matmul transpose_rhs %{{.*}}, %[[W]] : tensor<?x64xf32>, tensor<8x64xbf16> -> tensor<?x8xf32>
func.func @product(%x: tensor<?x64xf32>) -> tensor<?x8xf32> {
  %w = graph.weight "w" from "w.bin" at 0 : tensor<8x64xbf16>
  %c = graph.cast %w : tensor<8x64xbf16> -> tensor<8x64xf32>
  %0 = graph.matmul transpose_rhs %x, %c : tensor<?x64xf32>, tensor<8x64xf32> -> tensor<?x8xf32>
  return %0 : tensor<?x8xf32>
}

// -----

// Only the rows that are looked up are widened.
// CHECK-LABEL: func @table
// CHECK:         %[[ROWS:.*]] = graph.gather %{{.*}} axis 0 {tenon.id = "n1"} : tensor<300x64xf16>, tensor<?xi64> -> tensor<?x64xf16>
// CHECK:         graph.cast %[[ROWS]] {tenon.id = "n1/cast"} : tensor<?x64xf16> -> tensor<?x64xf32>
func.func @table(%i: tensor<?xi64>) -> tensor<?x64xf32> {
  %w = graph.weight "w" from "w.bin" at 0 : tensor<300x64xf16>
  %c = graph.cast %w : tensor<300x64xf16> -> tensor<300x64xf32>
  %0 = graph.gather %c, %i axis 0 {tenon.id = "n1"} : tensor<300x64xf32>, tensor<?xi64> -> tensor<?x64xf32>
  return %0 : tensor<?x64xf32>
}

// -----

// A cast that rounds changes what is multiplied.
// CHECK-LABEL: func @rounded
// CHECK:         %[[C:.*]] = graph.cast
// CHECK:         graph.matmul %{{.*}}, %[[C]]
func.func @rounded(%x: tensor<?x64xf16>) -> tensor<?x8xf16> {
  %w = graph.weight "w" from "w.bin" at 0 : tensor<64x8xf32>
  %c = graph.cast %w : tensor<64x8xf32> -> tensor<64x8xf16>
  %0 = graph.matmul %x, %c : tensor<?x64xf16>, tensor<64x8xf16> -> tensor<?x8xf16>
  return %0 : tensor<?x8xf16>
}

// -----

// What is computed is rounded before it is widened; it is no weight.
// CHECK-LABEL: func @computed
// CHECK:         %[[C:.*]] = graph.cast
// CHECK:         graph.matmul %{{.*}}, %[[C]]
func.func @computed(%x: tensor<?x64xf32>, %y: tensor<64x8xf16>) -> tensor<?x8xf32> {
  %c = graph.cast %y : tensor<64x8xf16> -> tensor<64x8xf32>
  %0 = graph.matmul %x, %c : tensor<?x64xf32>, tensor<64x8xf32> -> tensor<?x8xf32>
  return %0 : tensor<?x8xf32>
}
