// RUN: tenon-opt %s --graph-fold-transpose-into-matmul | FileCheck %s

// CHECK-LABEL: func @transposed_lhs
// CHECK-SAME:    %[[A:.*]]: tensor<8x4xf32>, %[[B:.*]]: tensor<8x16xf32>
// CHECK:         %[[PRODUCT:.*]] = graph.matmul transpose_lhs %[[A]], %[[B]]
// CHECK:         return %[[PRODUCT]]
func.func @transposed_lhs(%a: tensor<8x4xf32>, %b: tensor<8x16xf32>) -> tensor<4x16xf32> {
  %t = graph.transpose %a [1, 0] : tensor<8x4xf32> -> tensor<4x8xf32>
  %0 = graph.matmul %t, %b : tensor<4x8xf32>, tensor<8x16xf32> -> tensor<4x16xf32>
  return %0 : tensor<4x16xf32>
}

// A transpose of an operand that is already read transposed cancels out.
// CHECK-LABEL: func @transposed_twice
// CHECK-NOT:     transpose
// CHECK:         graph.matmul %{{.*}}, %{{.*}} : tensor<4x8xf32>
func.func @transposed_twice(%a: tensor<4x8xf32>, %b: tensor<8x16xf32>) -> tensor<4x16xf32> {
  %t = graph.transpose %a [1, 0] : tensor<4x8xf32> -> tensor<8x4xf32>
  %0 = graph.matmul transpose_lhs %t, %b : tensor<8x4xf32>, tensor<8x16xf32> -> tensor<4x16xf32>
  return %0 : tensor<4x16xf32>
}

// Only the last two dimensions can be swapped by a flag.
// CHECK-LABEL: func @heads_moved
// CHECK:         graph.transpose
// CHECK:         graph.matmul %
func.func @heads_moved(%a: tensor<?x?x12x64xf32>, %b: tensor<?x12x64x8xf32>) -> tensor<?x12x?x8xf32> {
  %t = graph.transpose %a [0, 2, 1, 3] : tensor<?x?x12x64xf32> -> tensor<?x12x?x64xf32>
  %0 = graph.matmul %t, %b : tensor<?x12x?x64xf32>, tensor<?x12x64x8xf32> -> tensor<?x12x?x8xf32>
  return %0 : tensor<?x12x?x8xf32>
}
