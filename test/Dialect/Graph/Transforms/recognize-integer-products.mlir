// RUN: tenon-opt %s --graph-recognize-integer-products | FileCheck %s

// Right signs, no zero points: the product and its scales.
// CHECK-LABEL: func @plain
// CHECK:         %[[P:.*]] = graph.matmul %arg0, %arg1 {{.*}} : tensor<?x8xui8>, tensor<8x16xi8> -> tensor<?x16xi32>
// CHECK-NEXT:    %[[F:.*]] = graph.cast %[[P]]
// CHECK-NEXT:    %[[R:.*]] = graph.mul %[[F]], %arg3
// CHECK-NEXT:    graph.mul %[[R]], %arg2 {tenon.id = "product"}
// CHECK-NEXT:    return
func.func @plain(%x: tensor<?x8xui8>, %w: tensor<8x16xi8>, %s: tensor<f32>, %t: tensor<16xf32>) -> tensor<?x16xf32> {
  %z = graph.constant dense<0> : tensor<ui8>
  %a = graph.dequantize %x scale %s zero_point %z : (tensor<?x8xui8>, tensor<f32>, tensor<ui8>) -> tensor<?x8xf32>
  %b = graph.dequantize %w scale %t : (tensor<8x16xi8>, tensor<16xf32>) -> tensor<8x16xf32>
  %0 = graph.matmul %a, %b {tenon.id = "product"} : tensor<?x8xf32>, tensor<8x16xf32> -> tensor<?x16xf32>
  return %0 : tensor<?x16xf32>
}

// The left zero point wants the sums of columns, the right one those of rows.
// CHECK-LABEL: func @zero_points
// CHECK-DAG:     %[[Z:.*]] = graph.cast %arg3 : tensor<16xi8> -> tensor<16xi32>
// CHECK-DAG:     %[[P:.*]] = graph.matmul %arg0, %arg1
// CHECK:         %[[W:.*]] = graph.cast %arg1 {{.*}} : tensor<8x16xi8> -> tensor<8x16xi32>
// CHECK:         %[[D:.*]] = graph.sub %[[W]], %[[Z]]
// CHECK:         %[[C:.*]] = graph.reduce sum %[[D]] axes [0]
// CHECK:         %[[M:.*]] = graph.mul %[[C]], %{{.*}} : tensor<1x16xi32>, tensor<i32> -> tensor<1x16xi32>
// CHECK:         %[[Q:.*]] = graph.sub %[[P]], %[[M]]
// CHECK:         %[[R:.*]] = graph.reduce sum %{{.*}} axes [1] {{.*}} : tensor<?x8xi32> -> tensor<?x1xi32>
// CHECK:         %[[N:.*]] = graph.mul %[[R]], %[[Z]]
// CHECK:         graph.sub %[[Q]], %[[N]] {tenon.id = "product"}
func.func @zero_points(%x: tensor<?x8xui8>, %w: tensor<8x16xi8>, %y: tensor<ui8>, %z: tensor<16xi8>) -> tensor<?x16xi32> {
  %0 = graph.cast %x : tensor<?x8xui8> -> tensor<?x8xi32>
  %1 = graph.cast %y : tensor<ui8> -> tensor<i32>
  %2 = graph.sub %0, %1 : tensor<?x8xi32>, tensor<i32> -> tensor<?x8xi32>
  %3 = graph.cast %w : tensor<8x16xi8> -> tensor<8x16xi32>
  %4 = graph.cast %z : tensor<16xi8> -> tensor<16xi32>
  %5 = graph.sub %3, %4 : tensor<8x16xi32>, tensor<16xi32> -> tensor<8x16xi32>
  %6 = graph.matmul %2, %5 {tenon.id = "product"} : tensor<?x8xi32>, tensor<8x16xi32> -> tensor<?x16xi32>
  return %6 : tensor<?x16xi32>
}

// The other signs: bytes change by 128, and so do their zero points.
// CHECK-LABEL: func @other_signs
// CHECK-DAG:     %[[U:.*]] = graph.bitcast %arg0 : tensor<?x8xi8> -> tensor<?x8xui8>
// CHECK-DAG:     %[[A:.*]] = graph.xor %[[U]], %{{.*}} : tensor<?x8xui8>
// CHECK-DAG:     %[[S:.*]] = graph.bitcast %arg1 : tensor<8x16xui8> -> tensor<8x16xi8>
// CHECK-DAG:     %[[B:.*]] = graph.xor %[[S]], %{{.*}} : tensor<8x16xi8>
// CHECK:         graph.matmul %[[A]], %[[B]]
// CHECK:         graph.reduce sum %{{.*}} axes [0]
// CHECK-NOT:     graph.reduce
func.func @other_signs(%x: tensor<?x8xi8>, %w: tensor<8x16xui8>) -> tensor<?x16xi32> {
  %z = graph.constant dense<128> : tensor<i32>
  %0 = graph.cast %x : tensor<?x8xi8> -> tensor<?x8xi32>
  %1 = graph.cast %w : tensor<8x16xui8> -> tensor<8x16xi32>
  %2 = graph.sub %1, %z : tensor<8x16xi32>, tensor<i32> -> tensor<8x16xi32>
  %3 = graph.matmul %0, %2 : tensor<?x8xi32>, tensor<8x16xi32> -> tensor<?x16xi32>
  return %3 : tensor<?x16xi32>
}

// Weights as Gemm has them: a scale for each row is one for each column.
// CHECK-LABEL: func @transposed
// CHECK:         %[[P:.*]] = graph.matmul transpose_rhs %arg0, %arg1
// CHECK:         %[[S:.*]] = graph.reshape %arg3 to [1, 16] {{.*}}: tensor<16x1xf32> -> tensor<1x16xf32>
// CHECK:         graph.mul %{{.*}}, %[[S]]
func.func @transposed(%x: tensor<?x8xui8>, %w: tensor<16x8xi8>, %s: tensor<f32>, %t: tensor<16x1xf32>) -> tensor<?x16xf32> {
  %a = graph.dequantize %x scale %s : (tensor<?x8xui8>, tensor<f32>) -> tensor<?x8xf32>
  %b = graph.dequantize %w scale %t : (tensor<16x8xi8>, tensor<16x1xf32>) -> tensor<16x8xf32>
  %0 = graph.matmul transpose_rhs %a, %b : tensor<?x8xf32>, tensor<16x8xf32> -> tensor<?x16xf32>
  return %0 : tensor<?x16xf32>
}

// Keys, of which each row is contracted: rows are moved and not elements.
// CHECK-LABEL: func @keys
// CHECK:         %[[K:.*]] = graph.transpose %arg1 [0, 2, 1, 3] : tensor<2x?x4x12xi8> -> tensor<2x4x?x12xi8>
// CHECK:         graph.matmul transpose_rhs %arg0, %[[K]]
func.func @keys(%q: tensor<2x4x?x12xui8>, %k: tensor<2x?x4x12xi8>, %s: tensor<f32>) -> tensor<2x4x?x?xf32> {
  %0 = graph.transpose %k [0, 2, 3, 1] : tensor<2x?x4x12xi8> -> tensor<2x4x12x?xi8>
  %1 = graph.dequantize %q scale %s : (tensor<2x4x?x12xui8>, tensor<f32>) -> tensor<2x4x?x12xf32>
  %2 = graph.dequantize %0 scale %s : (tensor<2x4x12x?xi8>, tensor<f32>) -> tensor<2x4x12x?xf32>
  %3 = graph.matmul %1, %2 : tensor<2x4x?x12xf32>, tensor<2x4x12x?xf32> -> tensor<2x4x?x?xf32>
  return %3 : tensor<2x4x?x?xf32>
}

// CHECK-LABEL: func @scale_along_k
// CHECK:         graph.matmul %{{.*}}, %{{.*}} : tensor<?x8xf32>, tensor<8x16xf32>
func.func @scale_along_k(%x: tensor<?x8xui8>, %w: tensor<8x16xi8>, %s: tensor<f32>, %t: tensor<8x1xf32>) -> tensor<?x16xf32> {
  %a = graph.dequantize %x scale %s : (tensor<?x8xui8>, tensor<f32>) -> tensor<?x8xf32>
  %b = graph.dequantize %w scale %t : (tensor<8x16xi8>, tensor<8x1xf32>) -> tensor<8x16xf32>
  %0 = graph.matmul %a, %b : tensor<?x8xf32>, tensor<8x16xf32> -> tensor<?x16xf32>
  return %0 : tensor<?x16xf32>
}

// CHECK-LABEL: func @words
// CHECK:         graph.matmul %{{.*}}, %{{.*}} : tensor<?x8xf32>, tensor<8x16xf32>
func.func @words(%x: tensor<?x8xui16>, %w: tensor<8x16xi8>, %s: tensor<f32>, %t: tensor<16xf32>) -> tensor<?x16xf32> {
  %a = graph.dequantize %x scale %s : (tensor<?x8xui16>, tensor<f32>) -> tensor<?x8xf32>
  %b = graph.dequantize %w scale %t : (tensor<8x16xi8>, tensor<16xf32>) -> tensor<8x16xf32>
  %0 = graph.matmul %a, %b : tensor<?x8xf32>, tensor<8x16xf32> -> tensor<?x16xf32>
  return %0 : tensor<?x16xf32>
}

// Floats times a weight in bytes: the scales commute with the sum.
// CHECK-LABEL: func @weight_only
// CHECK:         %[[P:.*]] = graph.matmul %arg0, %{{.*}} : tensor<?x8xf32>, tensor<8x16xi8> -> tensor<?x16xf32>
// CHECK:         graph.mul %[[P]], %arg1
func.func @weight_only(%x: tensor<?x8xf32>, %t: tensor<16xf32>) -> tensor<?x16xf32> {
  %w = graph.weight "w" from "model.onnx.data" at 0 : tensor<8x16xi8>
  %b = graph.dequantize %w scale %t : (tensor<8x16xi8>, tensor<16xf32>) -> tensor<8x16xf32>
  %0 = graph.matmul %x, %b : tensor<?x8xf32>, tensor<8x16xf32> -> tensor<?x16xf32>
  return %0 : tensor<?x16xf32>
}

// A table that is looked up, too, cannot lie in panels.
// CHECK-LABEL: func @shared_weight
// CHECK:         graph.matmul transpose_rhs %{{.*}}, %{{.*}} : tensor<?x8xf32>, tensor<16x8xf32>
func.func @shared_weight(%x: tensor<?x8xf32>, %s: tensor<f32>, %i: tensor<?xi64>) -> (tensor<?x16xf32>, tensor<?x8xi8>) {
  %w = graph.weight "w" from "model.onnx.data" at 0 : tensor<16x8xi8>
  %b = graph.dequantize %w scale %s : (tensor<16x8xi8>, tensor<f32>) -> tensor<16x8xf32>
  %0 = graph.matmul transpose_rhs %x, %b : tensor<?x8xf32>, tensor<16x8xf32> -> tensor<?x16xf32>
  %1 = graph.gather %w, %i axis 0 : tensor<16x8xi8>, tensor<?xi64> -> tensor<?x8xi8>
  return %0, %1 : tensor<?x16xf32>, tensor<?x8xi8>
}
