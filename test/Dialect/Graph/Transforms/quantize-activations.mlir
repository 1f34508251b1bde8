// RUN: tenon-opt %s --graph-quantize-activations | FileCheck %s

// CHECK-LABEL: func @products
func.func @products(%x: tensor<?x32xf32>, %t: tensor<32x?xf32>, %v: tensor<32x4xf32>) -> (tensor<?x4xf32>, tensor<?x4xf32>, tensor<?x4xf32>, tensor<?x4xf32>) {
  %q = graph.weight "q" from "q" at 0 : tensor<4x16xui8>
  %s = graph.weight "s" from "s" at 0 : tensor<4x1xf32>
  %w = graph.dequantize_blocks %q bits 4 block 32 scale %s : (tensor<4x16xui8>, tensor<4x1xf32>) -> tensor<4x32xf32>
  // CHECK: graph.matmul transpose_rhs %{{.*}}, %{{.*}} {tenon.activations = "int8", tenon.id = "chosen"}
  %0 = graph.matmul transpose_rhs %x, %w {tenon.activations = "int8", tenon.id = "chosen"} : tensor<?x32xf32>, tensor<4x32xf32> -> tensor<?x4xf32>
  // CHECK: graph.matmul transpose_lhs transpose_rhs %{{.*}}, %{{.*}} {tenon.id = "transposed"}
  %1 = graph.matmul transpose_lhs transpose_rhs %t, %w {tenon.activations = "int8", tenon.id = "transposed"} : tensor<32x?xf32>, tensor<4x32xf32> -> tensor<?x4xf32>
  // CHECK: graph.matmul %{{.*}}, %{{.*}} {tenon.id = "floats"}
  %2 = graph.matmul %x, %v {tenon.activations = "int8", tenon.id = "floats"} : tensor<?x32xf32>, tensor<32x4xf32> -> tensor<?x4xf32>
  // CHECK: graph.matmul transpose_rhs %{{.*}}, %{{.*}} {tenon.activations = "f32", tenon.id = "not"}
  %3 = graph.matmul transpose_rhs %x, %w {tenon.activations = "f32", tenon.id = "not"} : tensor<?x32xf32>, tensor<4x32xf32> -> tensor<?x4xf32>
  return %0, %1, %2, %3 : tensor<?x4xf32>, tensor<?x4xf32>, tensor<?x4xf32>, tensor<?x4xf32>
}
