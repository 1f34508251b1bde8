// RUN: tenon-opt %s --graph-sink-dequantize | FileCheck %s

// Of a table only the rows that are looked up are dequantized.
// CHECK-LABEL: func @table
// CHECK:         %[[ROWS:.*]] = graph.gather %arg0, %arg1 axis 0 {tenon.id = "look"} : tensor<30x8xui8>, tensor<?xi64> -> tensor<?x8xui8>
// CHECK-NEXT:    graph.dequantize %[[ROWS]] scale %{{.*}} zero_point %{{.*}} {tenon.id = "look/dequantize"} : (tensor<?x8xui8>, tensor<f32>, tensor<ui8>) -> tensor<?x8xf32>
func.func @table(%table: tensor<30x8xui8>, %ids: tensor<?xi64>, %s: tensor<f32>, %z: tensor<ui8>) -> tensor<?x8xf32> {
  %0 = graph.dequantize %table scale %s zero_point %z : (tensor<30x8xui8>, tensor<f32>, tensor<ui8>) -> tensor<30x8xf32>
  %1 = graph.gather %0, %ids axis 0 {tenon.id = "look"} : tensor<30x8xf32>, tensor<?xi64> -> tensor<?x8xf32>
  return %1 : tensor<?x8xf32>
}

// Quantizing again what was only moved changes nothing.
// CHECK-LABEL: func @moved
// CHECK:         %[[T:.*]] = graph.transpose %arg0 [1, 0] : tensor<4x8xi8> -> tensor<8x4xi8>
// CHECK-NEXT:    return %[[T]]
func.func @moved(%x: tensor<4x8xi8>) -> tensor<8x4xi8> {
  %s = graph.constant dense<0.125> : tensor<f32>
  %0 = graph.dequantize %x scale %s : (tensor<4x8xi8>, tensor<f32>) -> tensor<4x8xf32>
  %1 = graph.transpose %0 [1, 0] : tensor<4x8xf32> -> tensor<8x4xf32>
  %2 = graph.quantize %1 scale %s : (tensor<8x4xf32>, tensor<f32>) -> tensor<8x4xi8>
  return %2 : tensor<8x4xi8>
}

// CHECK-LABEL: func @other_scale
// CHECK:         graph.dequantize
// CHECK:         graph.quantize
func.func @other_scale(%x: tensor<4x8xi8>) -> tensor<4x8xi8> {
  %s = graph.constant dense<0.125> : tensor<f32>
  %t = graph.constant dense<0.25> : tensor<f32>
  %0 = graph.dequantize %x scale %s : (tensor<4x8xi8>, tensor<f32>) -> tensor<4x8xf32>
  %1 = graph.quantize %0 scale %t : (tensor<4x8xf32>, tensor<f32>) -> tensor<4x8xi8>
  return %1 : tensor<4x8xi8>
}

// A scale that the run computes may be 0 or infinite.
// CHECK-LABEL: func @unknown_scale
// CHECK:         graph.dequantize
// CHECK:         graph.quantize
func.func @unknown_scale(%x: tensor<4x8xi8>, %s: tensor<f32>) -> tensor<4x8xi8> {
  %0 = graph.dequantize %x scale %s : (tensor<4x8xi8>, tensor<f32>) -> tensor<4x8xf32>
  %1 = graph.quantize %0 scale %s : (tensor<4x8xf32>, tensor<f32>) -> tensor<4x8xi8>
  return %1 : tensor<4x8xi8>
}

// The scales of columns would have to move as well.
// CHECK-LABEL: func @scales_of_columns
// CHECK:         graph.dequantize
// CHECK-NEXT:    graph.transpose
func.func @scales_of_columns(%x: tensor<4x8xi8>, %s: tensor<8xf32>) -> tensor<8x4xf32> {
  %0 = graph.dequantize %x scale %s : (tensor<4x8xi8>, tensor<8xf32>) -> tensor<4x8xf32>
  %1 = graph.transpose %0 [1, 0] : tensor<4x8xf32> -> tensor<8x4xf32>
  return %1 : tensor<8x4xf32>
}

// Those of a table that rows are taken of stay where they are.
// CHECK-LABEL: func @rows_of_columns
// CHECK:         %[[ROWS:.*]] = graph.gather %arg0, %arg1 axis 0 : tensor<30x8xi8>, tensor<?xi64> -> tensor<?x8xi8>
// CHECK-NEXT:    graph.dequantize %[[ROWS]] scale %arg2 : (tensor<?x8xi8>, tensor<8xf32>) -> tensor<?x8xf32>
func.func @rows_of_columns(%table: tensor<30x8xi8>, %ids: tensor<?xi64>, %s: tensor<8xf32>) -> tensor<?x8xf32> {
  %0 = graph.dequantize %table scale %s : (tensor<30x8xi8>, tensor<8xf32>) -> tensor<30x8xf32>
  %1 = graph.gather %0, %ids axis 0 : tensor<30x8xf32>, tensor<?xi64> -> tensor<?x8xf32>
  return %1 : tensor<?x8xf32>
}

// CHECK-LABEL: func @scales_of_rows
// CHECK:         graph.dequantize
// CHECK-NEXT:    graph.gather
func.func @scales_of_rows(%table: tensor<30x8xi8>, %ids: tensor<?xi64>, %s: tensor<30x1xf32>) -> tensor<?x8xf32> {
  %0 = graph.dequantize %table scale %s : (tensor<30x8xi8>, tensor<30x1xf32>) -> tensor<30x8xf32>
  %1 = graph.gather %0, %ids axis 0 : tensor<30x8xf32>, tensor<?xi64> -> tensor<?x8xf32>
  return %1 : tensor<?x8xf32>
}

// What is moved is quantized where it is made.
// CHECK-LABEL: func @heads
// CHECK:         %[[G:.*]] = graph.gelu
// CHECK-NEXT:    %[[Q:.*]] = graph.quantize %[[G]] scale %arg1 {tenon.id = "q"} : (tensor<4x6xf32>, tensor<f32>) -> tensor<4x6xui8>
// CHECK-NEXT:    %[[R:.*]] = graph.reshape %[[Q]] to [4, 2, 3]
// CHECK-NEXT:    graph.transpose %[[R]] [1, 0, 2] : tensor<4x2x3xui8> -> tensor<2x4x3xui8>
func.func @heads(%x: tensor<4x6xf32>, %s: tensor<f32>) -> tensor<2x4x3xui8> {
  %0 = graph.gelu %x : tensor<4x6xf32> -> tensor<4x6xf32>
  %1 = graph.reshape %0 to [4, 2, 3] : tensor<4x6xf32> -> tensor<4x2x3xf32>
  %2 = graph.transpose %1 [1, 0, 2] : tensor<4x2x3xf32> -> tensor<2x4x3xf32>
  %3 = graph.quantize %2 scale %s {tenon.id = "q"} : (tensor<2x4x3xf32>, tensor<f32>) -> tensor<2x4x3xui8>
  return %3 : tensor<2x4x3xui8>
}

// Floats that others read are there anyway.
// CHECK-LABEL: func @read_as_floats
// CHECK:         graph.transpose
// CHECK-NEXT:    graph.quantize
func.func @read_as_floats(%x: tensor<4x6xf32>, %s: tensor<f32>) -> (tensor<6x4xui8>, tensor<6x4xf32>) {
  %0 = graph.gelu %x : tensor<4x6xf32> -> tensor<4x6xf32>
  %1 = graph.transpose %0 [1, 0] : tensor<4x6xf32> -> tensor<6x4xf32>
  %2 = graph.quantize %1 scale %s : (tensor<6x4xf32>, tensor<f32>) -> tensor<6x4xui8>
  return %2, %1 : tensor<6x4xui8>, tensor<6x4xf32>
}
