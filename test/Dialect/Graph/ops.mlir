// RUN: tenon-opt %s | tenon-opt | FileCheck %s

// CHECK-LABEL: func.func @sizes
func.func @sizes(%x: tensor<?x8xf32>, %shape: tensor<2xi64>) {
  // CHECK: %[[N:.*]] = graph.symbol "n" range 0 to 512 hint 16
  %n = graph.symbol "n" range 0 to 512 hint 16
  // CHECK: %[[D:.*]] = graph.dim %{{.*}}, 0 : tensor<?x8xf32>
  %d = graph.dim %x, 0 : tensor<?x8xf32>
  // CHECK: graph.extract %{{.*}}[1] : tensor<2xi64>
  %e = graph.extract %shape[1] : tensor<2xi64>
  // CHECK: graph.assume_equal %[[N]], %[[D]]
  graph.assume_equal %n, %d
  // CHECK: graph.from_indices %[[N]], %[[D]] : tensor<2xi64>
  %f = graph.from_indices %n, %d : tensor<2xi64>
  // CHECK: graph.reshape %{{.*}} to [%[[N]], 2, 4] : tensor<?x8xf32> -> tensor<?x2x4xf32>
  %r = graph.reshape %x to [%n, 2, 4] : tensor<?x8xf32> -> tensor<?x2x4xf32>
  // CHECK: graph.slice %{{.*}} from [0, %[[N]]] to [%[[D]], 8] step [1, 2]
  %s = graph.slice %x from [0, %n] to [%d, 8] step [1, 2] : tensor<?x8xf32> -> tensor<?x?xf32>
  return
}

// CHECK-LABEL: func.func @elementwise
func.func @elementwise(%x: tensor<?x8xf32>, %y: tensor<8xf32>, %c: tensor<i1>) {
  // CHECK: graph.gelu tanh_approximation
  %0 = graph.gelu tanh_approximation %x : tensor<?x8xf32> -> tensor<?x8xf32>
  // CHECK: graph.round
  %r = graph.round %x : tensor<?x8xf32> -> tensor<?x8xf32>
  // CHECK: graph.bitcast %{{.*}} : tensor<?x8xf32> -> tensor<?x8xui32>
  %b = graph.bitcast %x : tensor<?x8xf32> -> tensor<?x8xui32>
  // CHECK: graph.add
  %1 = graph.add %x, %y : tensor<?x8xf32>, tensor<8xf32> -> tensor<?x8xf32>
  // CHECK: graph.less
  %2 = graph.less %x, %y : tensor<?x8xf32>, tensor<8xf32> -> tensor<?x8xi1>
  // CHECK: graph.where
  %3 = graph.where %c, %x, %y : tensor<i1>, tensor<?x8xf32>, tensor<8xf32> -> tensor<?x8xf32>
  return
}

// CHECK-LABEL: func.func @data
func.func @data(%ids: tensor<?xi64>) {
  // CHECK: graph.constant dense<1> : tensor<i64>
  %0 = graph.constant dense<1> : tensor<i64>
  // CHECK: %[[W:.*]] = graph.weight "w" from "f" at 64 : tensor<30x8xf32>
  %w = graph.weight "w" from "f" at 64 : tensor<30x8xf32>
  // CHECK: graph.gather %[[W]], %{{.*}} axis 0
  %1 = graph.gather %w, %ids axis 0 : tensor<30x8xf32>, tensor<?xi64> -> tensor<?x8xf32>
  return
}

// CHECK-LABEL: func.func @indexing
func.func @indexing(%x: tensor<?x8xf32>, %i: tensor<?x2xi64>, %u: tensor<?xf32>, %v: tensor<f32>, %k: index) {
  // CHECK: %[[E:.*]] = graph.gather_elements %{{.*}}, %{{.*}} axis 1
  %0 = graph.gather_elements %x, %i axis 1 : tensor<?x8xf32>, tensor<?x2xi64> -> tensor<?x2xf32>
  // CHECK: graph.scatter_elements max %{{.*}}, %{{.*}}, %[[E]] axis 1
  %1 = graph.scatter_elements max %x, %i, %0 axis 1 : tensor<?x8xf32>, tensor<?x2xi64>, tensor<?x2xf32> -> tensor<?x8xf32>
  // CHECK: graph.scatter_nd mul %{{.*}}, %{{.*}}, %{{.*}} :
  %2 = graph.scatter_nd mul %x, %i, %u : tensor<?x8xf32>, tensor<?x2xi64>, tensor<?xf32> -> tensor<?x8xf32>
  // CHECK: graph.cumulative_sum exclusive %{{.*}} axis 1
  %3 = graph.cumulative_sum exclusive %x axis 1 : tensor<?x8xf32> -> tensor<?x8xf32>
  // CHECK: graph.cumulative_product reverse %{{.*}} axis 0
  %p = graph.cumulative_product reverse %x axis 0 : tensor<?x8xf32> -> tensor<?x8xf32>
  // CHECK: graph.top_k smallest %{{.*}} k %{{.*}} axis 1
  %4 = graph.top_k smallest %x k %k axis 1 : tensor<?x8xf32> -> tensor<?x?xi64>
  // CHECK: graph.pad constant %{{.*}} value %{{.*}} low [0, %{{.*}}] high [1, -1]
  %5 = graph.pad constant %x value %v low [0, %k] high [1, -1] : (tensor<?x8xf32>, tensor<f32>, index) -> tensor<?x?xf32>
  return
}

// CHECK-LABEL: func.func @contraction_and_rows
func.func @contraction_and_rows(%a: tensor<?x4x8xf32>, %b: tensor<16x8xf32>, %g: tensor<8xf32>) {
  // CHECK: graph.matmul transpose_rhs
  %0 = graph.matmul transpose_rhs %a, %b : tensor<?x4x8xf32>, tensor<16x8xf32> -> tensor<?x4x16xf32>
  // CHECK: graph.reduce mean %{{.*}} axes [2]
  %1 = graph.reduce mean %a axes [2] : tensor<?x4x8xf32> -> tensor<?x4x1xf32>
  // CHECK: graph.softmax %{{.*}} axis 2
  %2 = graph.softmax %a axis 2 : tensor<?x4x8xf32> -> tensor<?x4x8xf32>
  // CHECK: graph.norm rms %{{.*}} scale %{{.*}} axis 2 epsilon
  %3 = graph.norm rms %a scale %g axis 2 epsilon 1.0E-6 : (tensor<?x4x8xf32>, tensor<8xf32>) -> tensor<?x4x8xf32>
  return
}

// CHECK-LABEL: func.func @windows
func.func @windows(%x: tensor<?x8x9xf32>, %n: index) {
  // CHECK: graph.window %{{.*}} kernel [3, 2] strides [2, 1] dilations [1, 4]
  %0 = graph.window %x kernel [3, 2] strides [2, 1] dilations [1, 4] : tensor<?x8x9xf32> -> tensor<?x3x5x3x2xf32>
  // CHECK: graph.overlap_add %{{.*}} to [8, %{{.*}}] strides [2, 1] dilations [1, 4]
  %1 = graph.overlap_add %0 to [8, %n] strides [2, 1] dilations [1, 4] : tensor<?x3x5x3x2xf32> -> tensor<?x8x?xf32>
  return
}

// CHECK-LABEL: func.func @count
func.func @count(%total: tensor<1xi64>, %n: index) {
  // CHECK: graph.count "nonzero/count" %{{.*}} at_most %{{.*}} : tensor<1xi64>
  %0 = graph.count "nonzero/count" %total at_most %n : tensor<1xi64>
  return
}

// CHECK-LABEL: func.func @quantized
func.func @quantized(%x: tensor<?x8xf32>, %w: tensor<8x4xi8>, %s: tensor<f32>, %z: tensor<ui8>, %t: tensor<4xf32>) {
  // CHECK: graph.quantize %{{.*}} scale %{{.*}} zero_point %{{.*}} : (tensor<?x8xf32>, tensor<f32>, tensor<ui8>) -> tensor<?x8xui8>
  %0 = graph.quantize %x scale %s zero_point %z : (tensor<?x8xf32>, tensor<f32>, tensor<ui8>) -> tensor<?x8xui8>
  // CHECK: graph.dequantize %{{.*}} scale %{{.*}} : (tensor<8x4xi8>, tensor<4xf32>) -> tensor<8x4xf32>
  %1 = graph.dequantize %w scale %t : (tensor<8x4xi8>, tensor<4xf32>) -> tensor<8x4xf32>
  // CHECK: graph.matmul %{{.*}}, %{{.*}} : tensor<?x8xui8>, tensor<8x4xi8> -> tensor<?x4xi32>
  %2 = graph.matmul %0, %w : tensor<?x8xui8>, tensor<8x4xi8> -> tensor<?x4xi32>
  return
}

// CHECK-LABEL: func.func @blocks
func.func @blocks(%q: tensor<4x16xui8>, %s: tensor<4x1xf16>, %z: tensor<4x1xui8>) {
  // CHECK: graph.dequantize_blocks %{{.*}} bits 4 block 32 scale %{{.*}} zero_point %{{.*}} : (tensor<4x16xui8>, tensor<4x1xf16>, tensor<4x1xui8>) -> tensor<4x20xf32>
  %0 = graph.dequantize_blocks %q bits 4 block 32 scale %s zero_point %z : (tensor<4x16xui8>, tensor<4x1xf16>, tensor<4x1xui8>) -> tensor<4x20xf32>
  // CHECK: graph.dequantize_blocks %{{.*}} block 16 scale %{{.*}} : (tensor<4x16xui8>, tensor<4x1xf16>) -> tensor<4x16xf32>
  %1 = graph.dequantize_blocks %q block 16 scale %s : (tensor<4x16xui8>, tensor<4x1xf16>) -> tensor<4x16xf32>
  return
}
