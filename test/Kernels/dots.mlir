// Bytes are multiplied in groups on every machine, bf16 only where that is faster, and both in matrix registers where there are any.
// RUN: tenon-opt %s --kernel-schedule-regions=target=sapphirerapids-amx --kernel-simplify-bodies | FileCheck %s --check-prefix=TILES
// RUN: tenon-opt %s --kernel-schedule-regions=target=znver5 --kernel-simplify-bodies | FileCheck %s --check-prefixes=CHECK,DOTS
// RUN: tenon-opt %s --kernel-schedule-regions=target=sapphirerapids --kernel-simplify-bodies | FileCheck %s --check-prefixes=CHECK,WIDENS
// RUN: tenon-opt %s --kernel-schedule-regions=target=x86-64-v4 --kernel-simplify-bodies | FileCheck %s --check-prefixes=CHECK,WIDENS

// All of the contracted dimension in one loop, whose sums stay in registers.
// Whole registers of K; the last rows of a tile are copied to where a whole one can be read.
// TILES-LABEL: func @bytes
// TILES-SAME:    tensor<?x768xi8>
// TILES:         memref.alloca() {alignment = 64 : i64} : memref<12288xi8>
// TILES:         kernel.multiply_tiles u8s8 %{{.*}} row %c32{{[_0-9]*}} depth %c12 rows 32 : memref<?xi8>, memref<49152xi8>, memref<2048xi32>
// TILES:         kernel.multiply_tiles u8s8 %{{.*}} rows 16 : memref<?xi8>, memref<49152xi8>, memref<2048xi32>
// TILES:         kernel.multiply_tiles u8s8 %{{.*}} rows 16 : memref<12288xi8>, memref<49152xi8>, memref<2048xi32>
// TILES-NOT:     kernel.dot
// TILES:         return

// CHECK-LABEL: func @bytes
// CHECK:         kernel.region
// CHECK-SAME:    tenon.int8_ops = "98304*n"
// CHECK:         %[[GROUPS:.*]] = arith.constant 192 : index
// CHECK:         scf.for %{{.*}} = %{{.*}} to %[[GROUPS]] {{.*}} iter_args
// CHECK:           vector.load %{{.*}} : memref<49152xi8>, vector<64xi8>
// CHECK:           vector.load %{{.*}} : memref<?xi8>, vector<4xi8>
// CHECK:           kernel.dot u8s8
func.func @bytes(%x: tensor<?x768xi8>, %w: tensor<2x192x32x4xi8>, %n: index) -> tensor<?x64xi32> {
  %0 = kernel.region "r" inputs(%x, %w : tensor<?x768xi8>, tensor<2x192x32x4xi8>) indices() sizes(%n) attributes {tenon.int8_ops = "98304*n"} -> tensor<?x64xi32> {
  ^bb0(%a: tensor<?x768xi8>, %b: tensor<2x192x32x4xi8>):
    %p = kernel.contract packed %a, %b : tensor<?x768xi8>, tensor<2x192x32x4xi8> -> tensor<?x64xi32>
    kernel.yield %p : tensor<?x64xi32>
  }
  return %0 : tensor<?x64xi32>
}

// Facts say what is multiplied in the end: widened operands are of f32.
// Weights of bf16 are brought ahead of matrix registers, bytes above are not.
// TILES-LABEL: func @pairs
// TILES:         kernel.multiply_tiles bf16 accumulate %{{.*}} ahead %{{.*}} : memref<49152xbf16> depth %{{.*}} rows 32
// CHECK-LABEL: func @pairs
// CHECK:         kernel.region
// DOTS-SAME:     tenon.bf16_flops = "98304*n"
// WIDENS-NOT:    tenon.bf16_flops
// DOTS-NOT:      vector.fma
// DOTS:          kernel.dot bf16
// DOTS-NOT:      vector.fma
// WIDENS-NOT:    kernel.dot
// WIDENS:        arith.shli %[[PAIRS:.*]], %{{.*}} : vector<16xi32>
// WIDENS:        vector.fma
// WIDENS:        arith.andi %[[PAIRS]], %{{.*}} : vector<16xi32>
// WIDENS:        vector.fma
// WIDENS-NOT:    kernel.dot
func.func @pairs(%x: tensor<?x768xbf16>, %w: tensor<2x384x32x2xbf16>, %n: index) -> tensor<?x64xf32> {
  %0 = kernel.region "r" inputs(%x, %w : tensor<?x768xbf16>, tensor<2x384x32x2xbf16>) indices() sizes(%n) attributes {tenon.bf16_flops = "98304*n"} -> tensor<?x64xf32> {
  ^bb0(%a: tensor<?x768xbf16>, %b: tensor<2x384x32x2xbf16>):
    %p = kernel.contract packed %a, %b : tensor<?x768xbf16>, tensor<2x384x32x2xbf16> -> tensor<?x64xf32>
    kernel.yield %p : tensor<?x64xf32>
  }
  return %0 : tensor<?x64xf32>
}

// Scores of queries with keys, many or few. The weights of the values are not
// rounded, so they are multiplied as f32.
// CHECK-LABEL: func @attention
// DOTS:          vector.load %{{.*}} : memref<?xbf16>, vector<32xbf16>
// DOTS:          kernel.dot bf16
// DOTS:          kernel.dot bf16
// DOTS:          math.exp
// DOTS-NOT:      kernel.dot
// DOTS:          vector.fma
// WIDENS-NOT:    kernel.dot
#layout = array<i64: 0, 1, 2, 3>
func.func @attention(%q: tensor<1x4x?x64xbf16>, %k: tensor<1x4x?x64xbf16>, %n: index) -> tensor<1x4x?x64xbf16> {
  %0 = kernel.region "r" inputs(%q, %k : tensor<1x4x?x64xbf16>, tensor<1x4x?x64xbf16>) indices() sizes(%n) -> tensor<1x4x?x64xbf16> {
  ^bb0(%a: tensor<1x4x?x64xbf16>, %b: tensor<1x4x?x64xbf16>):
    %p = kernel.attention %a, %b, %b scale 1.250000e-01 {query_layout = #layout, key_layout = #layout, value_layout = #layout, output_layout = #layout} : (tensor<1x4x?x64xbf16>, tensor<1x4x?x64xbf16>, tensor<1x4x?x64xbf16>) -> tensor<1x4x?x64xbf16>
    kernel.yield %p : tensor<1x4x?x64xbf16>
  }
  return %0 : tensor<1x4x?x64xbf16>
}

// Attention of bytes: what zero points make of keys, scores, and weights by values; sums of a block are of i32.
// TILES-LABEL: func @attention_of_bytes
// TILES:         kernel.multiply_tiles u8s8
// CHECK-LABEL: func @attention_of_bytes
// CHECK:         kernel.region "r" {{.*}} schedule <"attention", tile = [64, 128], vector = 16>
// CHECK:         kernel.dot u8s8
// CHECK:         kernel.dot u8s8
// CHECK:         math.roundeven
// CHECK:         math.exp2
// CHECK:         arith.trunci %{{.*}} : vector<16xi32> to vector<16xi8>
// CHECK:         kernel.dot u8s8
// CHECK:         arith.sitofp
func.func @attention_of_bytes(%q: tensor<1x4x?x64xi8>, %p: tensor<8xf32>, %n: index) -> tensor<1x4x?x64xf32> {
  %0 = kernel.region "r" inputs(%q, %p : tensor<1x4x?x64xi8>, tensor<8xf32>) indices() sizes(%n) -> tensor<1x4x?x64xf32> {
  ^bb0(%a: tensor<1x4x?x64xi8>, %b: tensor<8xf32>):
    %r = kernel.attention %a, %a, %a quantized %b scale 1.250000e-01 {query_layout = #layout, key_layout = #layout, value_layout = #layout, output_layout = #layout} : (tensor<1x4x?x64xi8>, tensor<1x4x?x64xi8>, tensor<1x4x?x64xi8>, tensor<8xf32>) -> tensor<1x4x?x64xf32>
    kernel.yield %r : tensor<1x4x?x64xf32>
  }
  return %0 : tensor<1x4x?x64xf32>
}
