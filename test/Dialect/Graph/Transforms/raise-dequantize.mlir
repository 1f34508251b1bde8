// RUN: tenon-opt %s --graph-raise-dequantize | FileCheck %s

// CHECK-LABEL: func @query
// CHECK:         %[[Q:.*]] = graph.quantize %arg0
// CHECK-NEXT:    %[[D:.*]] = graph.dequantize %[[Q]] scale %arg1 : (tensor<2x?x48xui8>, tensor<f32>) -> tensor<2x?x48xf32>
// CHECK-NEXT:    %[[H:.*]] = graph.reshape %[[D]] to [2, %{{.*}}, 4, 12] {allow_zero} : tensor<2x?x48xf32> -> tensor<2x?x4x12xf32>
// CHECK-NEXT:    %[[T:.*]] = graph.transpose %[[H]] [0, 2, 1, 3]
// CHECK-NEXT:    graph.attention %[[T]]
func.func @query(%x: tensor<2x?x48xf32>, %s: tensor<f32>, %n: index, %k: tensor<2x4x?x12xf32>) -> tensor<2x4x?x12xf32> {
  %0 = graph.quantize %x scale %s : (tensor<2x?x48xf32>, tensor<f32>) -> tensor<2x?x48xui8>
  %1 = graph.reshape %0 to [2, %n, 4, 12] {allow_zero} : tensor<2x?x48xui8> -> tensor<2x?x4x12xui8>
  %2 = graph.transpose %1 [0, 2, 1, 3] : tensor<2x?x4x12xui8> -> tensor<2x4x?x12xui8>
  %3 = graph.dequantize %2 scale %s : (tensor<2x4x?x12xui8>, tensor<f32>) -> tensor<2x4x?x12xf32>
  %4 = graph.attention %3, %k, %k scale 1.250000e-01 : (tensor<2x4x?x12xf32>, tensor<2x4x?x12xf32>, tensor<2x4x?x12xf32>) -> tensor<2x4x?x12xf32>
  return %4 : tensor<2x4x?x12xf32>
}

// What others read stays in bytes.
// CHECK-LABEL: func @read_twice
// CHECK:         graph.quantize
// CHECK-NEXT:    graph.transpose
// CHECK-NEXT:    graph.dequantize
func.func @read_twice(%x: tensor<2x?x4x12xf32>, %s: tensor<f32>, %k: tensor<2x4x?x12xf32>) -> (tensor<2x4x?x12xf32>, tensor<2x?x4x12xui8>) {
  %0 = graph.quantize %x scale %s : (tensor<2x?x4x12xf32>, tensor<f32>) -> tensor<2x?x4x12xui8>
  %1 = graph.transpose %0 [0, 2, 1, 3] : tensor<2x?x4x12xui8> -> tensor<2x4x?x12xui8>
  %2 = graph.dequantize %1 scale %s : (tensor<2x4x?x12xui8>, tensor<f32>) -> tensor<2x4x?x12xf32>
  %3 = graph.attention %2, %k, %k scale 1.250000e-01 : (tensor<2x4x?x12xf32>, tensor<2x4x?x12xf32>, tensor<2x4x?x12xf32>) -> tensor<2x4x?x12xf32>
  return %3, %0 : tensor<2x4x?x12xf32>, tensor<2x?x4x12xui8>
}

// An elementwise op takes in the conversion itself.
// CHECK-LABEL: func @sum
// CHECK:         graph.quantize
// CHECK-NEXT:    graph.transpose
// CHECK-NEXT:    graph.dequantize
func.func @sum(%x: tensor<2x3xf32>, %s: tensor<f32>) -> tensor<3x2xf32> {
  %0 = graph.quantize %x scale %s : (tensor<2x3xf32>, tensor<f32>) -> tensor<2x3xui8>
  %1 = graph.transpose %0 [1, 0] : tensor<2x3xui8> -> tensor<3x2xui8>
  %2 = graph.dequantize %1 scale %s : (tensor<3x2xui8>, tensor<f32>) -> tensor<3x2xf32>
  %3 = graph.add %2, %2 : tensor<3x2xf32>, tensor<3x2xf32> -> tensor<3x2xf32>
  return %3 : tensor<3x2xf32>
}
