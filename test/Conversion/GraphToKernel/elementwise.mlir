// RUN: tenon-opt %s --convert-graph-to-kernel --split-input-file | FileCheck %s

// CHECK: #[[ROW:.*]] = affine_map<(d0, d1) -> (d1)>
// CHECK-LABEL: func @bias
// CHECK-SAME: (%[[X:.*]]: tensor<?x8xf32> {{.*}}, %[[B:.*]]: tensor<8xf32>
// CHECK: %[[N:.*]] = kernel.symbol "n"
// CHECK: kernel.region "add" inputs(%[[X]], %[[B]] : {{.*}}) indices(%[[N]]) sizes(%[[N]]) attributes {tenon.id = "n1"}
// CHECK: linalg.generic {indexing_maps = [#{{.*}}, #[[ROW]], #{{.*}}]
// CHECK: arith.addf
func.func @bias(%x: tensor<?x8xf32> {tenon.dims = ["n", 8]}, %b: tensor<8xf32> {tenon.dims = [8]}) -> tensor<?x8xf32> {
  %n = graph.symbol "n" range 0 to 512
  %0 = graph.add %x, %b {tenon.id = "n1"} : tensor<?x8xf32>, tensor<8xf32> -> tensor<?x8xf32>
  return %0 : tensor<?x8xf32>
}

// -----

// A splat is a constant of the body, not an input.
// CHECK-LABEL: func @scale
// CHECK: kernel.region "mul" inputs(%{{[^,]*}} : tensor<4xf32>)
// CHECK: arith.constant 2.000000e+00
func.func @scale(%x: tensor<4xf32>) -> tensor<4xf32> {
  %c = graph.constant dense<2.0> : tensor<f32>
  %0 = graph.mul %x, %c : tensor<4xf32>, tensor<f32> -> tensor<4xf32>
  return %0 : tensor<4xf32>
}

// -----

// Nothing says that the sizes agree, so the program has to check it.
// CHECK-LABEL: func @two_symbols
// CHECK: kernel.assume_equal
func.func @two_symbols(%x: tensor<?xf32> {tenon.dims = ["n"]}, %y: tensor<?xf32> {tenon.dims = ["m"]}) -> tensor<?xf32> {
  %0 = graph.add %x, %y : tensor<?xf32>, tensor<?xf32> -> tensor<?xf32>
  return %0 : tensor<?xf32>
}

// -----

// CHECK-LABEL: func @one_symbol
// CHECK-NOT: kernel.assume_equal
func.func @one_symbol(%x: tensor<?xf32> {tenon.dims = ["n"]}, %y: tensor<?xf32> {tenon.dims = ["n"]}) -> tensor<?xi1> {
  %0 = graph.less %x, %y : tensor<?xf32>, tensor<?xf32> -> tensor<?xi1>
  return %0 : tensor<?xi1>
}

// -----

// What is added to has a size that the result knows, so it is read by it.
// CHECK-LABEL: func @known_by_the_result
// CHECK: %[[SAME:.*]] = kernel.view %arg0 sizes() : tensor<?xf32> -> tensor<8xf32>
// CHECK: kernel.region "add" inputs(%[[SAME]], %arg1 : tensor<8xf32>, tensor<8xf32>)
func.func @known_by_the_result(%x: tensor<?xf32> {tenon.dims = ["n"]}, %y: tensor<8xf32>) -> tensor<8xf32> {
  %n = graph.symbol "n" range 0 to 512
  %0 = graph.add %x, %y : tensor<?xf32>, tensor<8xf32> -> tensor<8xf32>
  return %0 : tensor<8xf32>
}

// -----

// Narrow types are bytes, which a cast turns into numbers; what only moves them
// does not see what they are.
// CHECK-LABEL: func @narrow
// CHECK-SAME: %[[X:.*]]: tensor<2xi8> {tenon.element = i4}
// CHECK-SAME: -> (tensor<2xi8> {tenon.element = f8E5M2}, tensor<2xi8> {tenon.element = ui4})
// CHECK: kernel.constant dense<[15, 7]> : tensor<2xi8>
// CHECK: kernel.region "cast" inputs(%[[X]]
// A sign is in the highest of the low bits.
// CHECK: %[[RAISED:.*]] = arith.shli %{{.*}}, %{{.*}} : i8
// CHECK: %[[NUMBER:.*]] = arith.shrsi %[[RAISED]]
// CHECK: arith.sitofp %[[NUMBER]] : i8 to f32
// What is no number, here above all codes.
// CHECK: arith.cmpf uno
// CHECK: arith.trunci %{{.*}} : i32 to i8
func.func @narrow(%x: tensor<2xi4>) -> (tensor<2xf8E5M2>, tensor<2xui4>) {
  %c = graph.constant dense<[15, 7]> : tensor<2xui4>
  %0 = graph.cast %x : tensor<2xi4> -> tensor<2xf8E5M2>
  return %0, %c : tensor<2xf8E5M2>, tensor<2xui4>
}

// -----

// Bits of one width need no conversion but that of the type.
// CHECK-LABEL: func @bits
// CHECK: arith.bitcast %{{.*}} : f32 to i32
// CHECK: math.roundeven
func.func @bits(%x: tensor<2xf32>) -> (tensor<2xui32>, tensor<2xf32>) {
  %0 = graph.bitcast %x : tensor<2xf32> -> tensor<2xui32>
  %1 = graph.round %x : tensor<2xf32> -> tensor<2xf32>
  return %0, %1 : tensor<2xui32>, tensor<2xf32>
}

// -----

// Bytes are computed as words, for which vectors have conversions; NaN is not
// above the smallest number.
// CHECK-LABEL: func @quantized
// CHECK: kernel.region "quantize"
// CHECK: %[[Q:.*]] = arith.divf
// CHECK: %[[R:.*]] = math.roundeven %[[Q]]
// CHECK: %[[Z:.*]] = arith.extui %{{.*}} : i8 to i32
// CHECK: %[[F:.*]] = arith.sitofp %[[Z]]
// CHECK: %[[M:.*]] = arith.addf %[[R]], %[[F]]
// CHECK: %[[ABOVE:.*]] = arith.cmpf ogt, %[[M]], %{{.*}}
// CHECK: arith.select %[[ABOVE]], %[[M]]
// CHECK: %[[W:.*]] = arith.fptosi %{{.*}} : f32 to i32
// CHECK: arith.trunci %[[W]] : i32 to i8
// CHECK: kernel.region "dequantize"
// CHECK: arith.extui %{{.*}} : i8 to i32
// CHECK: arith.subi
// CHECK: arith.sitofp
// CHECK: arith.mulf
func.func @quantized(%x: tensor<2xf32>, %s: tensor<f32>, %z: tensor<ui8>) -> tensor<2xf32> {
  %0 = graph.quantize %x scale %s zero_point %z : (tensor<2xf32>, tensor<f32>, tensor<ui8>) -> tensor<2xui8>
  %1 = graph.dequantize %0 scale %s zero_point %z : (tensor<2xui8>, tensor<f32>, tensor<ui8>) -> tensor<2xf32>
  return %1 : tensor<2xf32>
}
