// Floats of 16 bits are widened where a region reads them and rounded where it
// writes them.
// RUN: tenon-opt %s --tenon-fuse --split-input-file | FileCheck %s

// CHECK-LABEL: func @chain
// CHECK:         kernel.region
// CHECK:           %[[WIDE:.*]] = arith.extf
// CHECK-NEXT:      %[[P:.*]] = arith.mulf %[[WIDE]], %[[WIDE]] : f32
// CHECK-NEXT:      %[[S:.*]] = arith.addf %[[P]], %[[WIDE]] : f32
// CHECK-NEXT:      %[[R:.*]] = arith.truncf %[[S]]
// CHECK-NEXT:      linalg.yield %[[R]] : f16
func.func @chain(%x: tensor<?xf16> {tenon.dims = ["n"]}) -> tensor<?xf16> {
  %0 = graph.mul %x, %x : tensor<?xf16>, tensor<?xf16> -> tensor<?xf16>
  %1 = graph.add %0, %x : tensor<?xf16>, tensor<?xf16> -> tensor<?xf16>
  return %1 : tensor<?xf16>
}

// -----

// The model asks for this rounding.
// CHECK-LABEL: func @cast_twice
// CHECK:         arith.mulf
// CHECK-NEXT:    arith.truncf
// CHECK-NEXT:    arith.extf
// CHECK-NEXT:    arith.addf
func.func @cast_twice(%x: tensor<?xf32> {tenon.dims = ["n"]}) -> tensor<?xf32> {
  %0 = graph.mul %x, %x : tensor<?xf32>, tensor<?xf32> -> tensor<?xf32>
  %1 = graph.cast %0 : tensor<?xf32> -> tensor<?xbf16>
  %2 = graph.cast %1 : tensor<?xbf16> -> tensor<?xf32>
  %3 = graph.add %2, %x : tensor<?xf32>, tensor<?xf32> -> tensor<?xf32>
  return %3 : tensor<?xf32>
}

// -----

// The sum over K and the epilogue are of f32.
// CHECK-LABEL: func @product
// CHECK:         kernel.region "matmul_add"
// CHECK:         kernel.contract packed {{.*}} : tensor<?x64xf16>, tensor<1x64x32xf16> -> tensor<?x8xf32>
// CHECK:         ^bb0(%{{.*}}: f32, %{{.*}}: f16, %{{.*}}: f16):
// CHECK:           arith.addf %{{.*}}, %{{.*}} : f32
// CHECK-NEXT:      arith.truncf
// CHECK-NOT:     truncf
func.func @product(%x: tensor<?x64xf16> {tenon.dims = ["n", 64]}, %c: tensor<8xf16> {tenon.dims = [8]}) -> tensor<?x8xf16> {
  %w = graph.weight "w" from "w.bin" at 0 : tensor<64x8xf16>
  %0 = graph.matmul %x, %w : tensor<?x64xf16>, tensor<64x8xf16> -> tensor<?x8xf16>
  %1 = graph.add %0, %c : tensor<?x8xf16>, tensor<8xf16> -> tensor<?x8xf16>
  return %1 : tensor<?x8xf16>
}

// -----

// CHECK-LABEL: func @sum
// CHECK:         linalg.fill {{.*}} -> tensor<?x1xf32>
// CHECK:         arith.extf
// CHECK:         arith.addf %{{.*}}, %{{.*}} : f32
// CHECK:         arith.truncf %{{.*}} : f32 to bf16
func.func @sum(%x: tensor<?x64xbf16> {tenon.dims = ["n", 64]}) -> tensor<?x1xbf16> {
  %0 = graph.reduce sum %x axes [1] : tensor<?x64xbf16> -> tensor<?x1xbf16>
  return %0 : tensor<?x1xbf16>
}
