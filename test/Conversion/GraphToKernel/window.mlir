// RUN: tenon-opt %s --convert-graph-to-kernel --split-input-file | FileCheck %s
// RUN: tenon-opt %s --tenon-fuse --split-input-file | FileCheck %s --check-prefix=FUSED

// Windows are read where they lie.
// CHECK: #[[WINDOW:.*]] = affine_map<(d0, d1, d2, d3, d4, d5) -> (d0, d1, d2 * 2 + d4, d3 + d5 * 3)>
// CHECK-LABEL: func @window
// CHECK: kernel.region "window"
// CHECK: linalg.generic {indexing_maps = [#[[WINDOW]], #{{.*}}]
func.func @window(%x: tensor<?x3x9x?xf32> {tenon.dims = ["n", 3, 9, "w"]}) -> tensor<?x3x4x?x3x2xf32> {
  %0 = graph.window %x kernel [3, 2] strides [2, 1] dilations [1, 3] : tensor<?x3x9x?xf32> -> tensor<?x3x4x?x3x2xf32>
  return %0 : tensor<?x3x4x?x3x2xf32>
}

// -----

// A pool stores no windows: one reduction reads them, and an operand that nothing
// reads says how large they are.
// FUSED-LABEL: func @pool
// FUSED: kernel.region "window_reduce"
// FUSED: tensor.empty() : tensor<2x2xf32>
// FUSED: linalg.generic {{.*}}"reduction", "reduction"
// FUSED: arith.maximumf
// FUSED-NOT: kernel.region
func.func @pool(%x: tensor<1x3x8x8xf32>) -> tensor<1x3x4x4x1x1xf32> {
  %0 = graph.window %x kernel [2, 2] strides [2, 2] dilations [1, 1] : tensor<1x3x8x8xf32> -> tensor<1x3x4x4x2x2xf32>
  %1 = graph.reduce max %0 axes [4, 5] : tensor<1x3x4x4x2x2xf32> -> tensor<1x3x4x4x1x1xf32>
  return %1 : tensor<1x3x4x4x1x1xf32>
}

// -----

// Nor does a convolution of each channel by itself; its weights say the sizes.
// FUSED-LABEL: func @depthwise
// FUSED: kernel.region "window_mul_reduce"
// FUSED: arith.mulf
// FUSED: arith.addf
// FUSED-NOT: kernel.region
func.func @depthwise(%x: tensor<1x3x8xf32>, %w: tensor<3x1x3xf32>) -> tensor<1x3x6x1xf32> {
  %0 = graph.window %x kernel [3] strides [1] dilations [1] : tensor<1x3x8xf32> -> tensor<1x3x6x3xf32>
  %1 = graph.mul %0, %w : tensor<1x3x6x3xf32>, tensor<3x1x3xf32> -> tensor<1x3x6x3xf32>
  %2 = graph.reduce sum %1 axes [3] : tensor<1x3x6x3xf32> -> tensor<1x3x6x1xf32>
  return %2 : tensor<1x3x6x1xf32>
}

// -----

// What takes long runs on vectors, before it is summed.
// FUSED-LABEL: func @exp
// FUSED: kernel.region "exp"
// FUSED: kernel.region "reduce"
func.func @exp(%x: tensor<3x8xf32>) -> tensor<3x1xf32> {
  %0 = graph.exp %x : tensor<3x8xf32> -> tensor<3x8xf32>
  %1 = graph.reduce sum %0 axes [1] : tensor<3x8xf32> -> tensor<3x1xf32>
  return %1 : tensor<3x1xf32>
}

// -----

// CHECK-LABEL: func @overlap_add
// CHECK: kernel.region "overlap_add"
// CHECK: tensor.empty() : tensor<3xf32>
// CHECK: linalg.generic {{.*}}"parallel", "parallel", "reduction"
// CHECK: arith.remsi
func.func @overlap_add(%x: tensor<?x4x3xf32> {tenon.dims = ["n", 4, 3]}) -> tensor<?x9xf32> {
  %0 = graph.overlap_add %x to [9] strides [2] dilations [1] : tensor<?x4x3xf32> -> tensor<?x9xf32>
  return %0 : tensor<?x9xf32>
}

// -----

// What only windows are taken from is padded row by row.
// CHECK-LABEL: func @padded
// CHECK: kernel.region "pad"
// CHECK: kernel.lines %{{.*}} axis 2
// CHECK-COUNT-3: scf.for
// CHECK-LABEL: func @padded_otherwise
// CHECK: kernel.region "pad"
// CHECK-NOT: kernel.lines
// CHECK: scf.if
func.func @padded(%x: tensor<1x3x8xf32>, %v: tensor<f32>) -> tensor<1x3x8x3xf32> {
  %0 = graph.pad constant %x value %v low [0, 0, 1] high [0, 0, 1] : (tensor<1x3x8xf32>, tensor<f32>) -> tensor<1x3x10xf32>
  %1 = graph.window %0 kernel [3] strides [1] dilations [1] : tensor<1x3x10xf32> -> tensor<1x3x8x3xf32>
  return %1 : tensor<1x3x8x3xf32>
}
func.func @padded_otherwise(%x: tensor<1x3x8xf32>, %v: tensor<f32>) -> tensor<1x3x10xf32> {
  %0 = graph.pad constant %x value %v low [0, 0, 1] high [0, 0, 1] : (tensor<1x3x8xf32>, tensor<f32>) -> tensor<1x3x10xf32>
  return %0 : tensor<1x3x10xf32>
}
