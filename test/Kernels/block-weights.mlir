// Weights in blocks are multiplied as they lie by few rows, and unpacked into panels
// of floats for many.
// RUN: tenon-opt %s --kernel-schedule-regions=target=x86-64-v3 --kernel-simplify-bodies | FileCheck %s --check-prefixes=CHECK,HALF
// RUN: tenon-opt %s --kernel-schedule-regions=target=x86-64-v4 --kernel-simplify-bodies | FileCheck %s --check-prefixes=CHECK,WHOLE

// CHECK-LABEL: func @blocks
// CHECK:         %[[ROWS:.*]] = memref.alloca() {{.*}} : memref<4608xf32>
// CHECK:         %[[FEW:.*]] = arith.cmpi sle, %{{.*}}, %c8
// CHECK:         scf.if
// CHECK:         scf.if
// Nothing is shifted but what lies at the top of a word.
// HALF:            vector.load %{{.*}} : memref<18432xi8>, vector<32xi8>
// WHOLE:           vector.load %{{.*}} : memref<18432xi8>, vector<64xi8>
// CHECK:           arith.andi
// CHECK:           arith.sitofp
// CHECK:           vector.fma
// CHECK-NOT:       arith.subf
// CHECK:         else
// CHECK:           arith.shrui
// CHECK:           arith.andi
// CHECK:           arith.subf
// CHECK:           arith.mulf
func.func @blocks(%x: tensor<?x576xf32>, %w: tensor<2x72x32x4xi8>, %s: tensor<2x18x32xf16>, %n: index) -> tensor<?x64xf32> {
  %0 = kernel.region "r" inputs(%x, %w, %s : tensor<?x576xf32>, tensor<2x72x32x4xi8>, tensor<2x18x32xf16>) indices() sizes(%n) -> tensor<?x64xf32> {
  ^bb0(%a: tensor<?x576xf32>, %b: tensor<2x72x32x4xi8>, %c: tensor<2x18x32xf16>):
    %p = kernel.contract packed %a, %b scale(%c : tensor<2x18x32xf16>) bits 4 block 32 offset 8.0 : tensor<?x576xf32>, tensor<2x72x32x4xi8> -> tensor<?x64xf32>
    kernel.yield %p : tensor<?x64xf32>
  }
  return %0 : tensor<?x64xf32>
}

// Rows in bytes: groups have as many panels as may be, since rows become bytes for
// each; and not even then where a tile has the rows of the one before it.
// CHECK-LABEL: func @rows_in_bytes
// CHECK:         schedule <"contract", tile = [{{.*}}, 16]
// CHECK:         scf.for %[[TILE:.*]] = %[[BEGIN:.*]] to
// CHECK:           %[[FIRST:.*]] = arith.cmpi eq, %[[TILE]], %[[BEGIN]]
// CHECK:           %[[NEW:.*]] = arith.ori %[[FIRST]],
// CHECK:           scf.if %[[NEW]]
// CHECK:           math.absf
// CHECK:         kernel.dot
func.func @rows_in_bytes(%x: tensor<?x2048xf32>, %w: tensor<64x256x32x4xi8>, %s: tensor<64x64x32xf16>, %n: index) -> tensor<?x2048xf32> {
  %0 = kernel.region "r" inputs(%x, %w, %s : tensor<?x2048xf32>, tensor<64x256x32x4xi8>, tensor<64x64x32xf16>) indices() sizes(%n) -> tensor<?x2048xf32> {
  ^bb0(%a: tensor<?x2048xf32>, %b: tensor<64x256x32x4xi8>, %c: tensor<64x64x32xf16>):
    %p = kernel.contract packed quantize_lhs %a, %b scale(%c : tensor<64x64x32xf16>) bits 4 block 32 offset 8.0 : tensor<?x2048xf32>, tensor<64x256x32x4xi8> -> tensor<?x2048xf32>
    kernel.yield %p : tensor<?x2048xf32>
  }
  return %0 : tensor<?x2048xf32>
}
