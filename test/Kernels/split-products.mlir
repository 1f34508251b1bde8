// Many rows of f32 or f16 by a weight are split into parts of bf16 where matrix registers are at least twice as fast at the products of them.
// RUN: tenon-opt %s --kernel-schedule-regions=target=sapphirerapids-amx --kernel-simplify-bodies | FileCheck %s
// RUN: tenon-opt %s --kernel-schedule-regions=target=sapphirerapids --kernel-simplify-bodies | FileCheck %s --check-prefix=WHOLE

// WHOLE-NOT: multiply_tiles
// WHOLE-NOT: bf16

// The facts say what is multiplied in the end. Up to 24 rows are not split.
// CHECK-LABEL: func @once
// CHECK:         kernel.region
// CHECK-SAME:    tenon.bf16_flops = "98304*n + 98304*n + 98304*n + 98304*n + 98304*n + 98304*n"
// CHECK-SAME:    tenon.product_flops = "98304*n + 98304*n + 98304*n + 98304*n + 98304*n + 98304*n"
// CHECK:         memref.alloca() {alignment = 64 : i64} : memref<299008xbf16>
// CHECK:         memref.alloca() {alignment = 64 : i64} : memref<73728xbf16>
// CHECK:         %[[MANY:.*]] = arith.cmpi sgt, %{{.*}}, %c24
// CHECK:         scf.if %[[MANY]]
// CHECK:           kernel.multiply_tiles bf16 split 3 %{{.*}} row %c2336, %{{.*}} row %c64, %{{.*}} row %c32{{.*}} ahead %{{.*}} : memref<49152xf32> depth %c24{{.*}} rows 32
// CHECK:           kernel.multiply_tiles bf16 split 3 %{{.*}} rows 16
// CHECK:           vector.fma
// CHECK:         else
// CHECK-NOT:       multiply_tiles
// CHECK:           vector.fma
// CHECK-NOT:       multiply_tiles
// CHECK:         return
func.func @once(%x: tensor<?x768xf32>, %w: tensor<2x768x32xf32>, %n: index) -> tensor<?x64xf32> {
  %0 = kernel.region "r" inputs(%x, %w : tensor<?x768xf32>, tensor<2x768x32xf32>) indices() sizes(%n) attributes {tenon.product_flops = "98304*n"} -> tensor<?x64xf32> {
  ^bb0(%a: tensor<?x768xf32>, %b: tensor<2x768x32xf32>):
    %p = kernel.contract packed %a, %b : tensor<?x768xf32>, tensor<2x768x32xf32> -> tensor<?x64xf32>
    kernel.yield %p : tensor<?x64xf32>
  }
  return %0 : tensor<?x64xf32>
}

// Longer sums in equal parts, which are added up for all panels of a group.
// CHECK-LABEL: func @parts
// CHECK:         scf.for %{{.*}} = %c0 to %c1600 step %c416
// CHECK:           kernel.multiply_tiles bf16 split 3
// CHECK:           kernel.multiply_tiles bf16 split 3
// CHECK:           arith.addf
// CHECK:         return
func.func @parts(%x: tensor<?x1600xf32>, %w: tensor<2x1600x32xf32>, %n: index) -> tensor<?x64xf32> {
  %0 = kernel.region "r" inputs(%x, %w : tensor<?x1600xf32>, tensor<2x1600x32xf32>) indices() sizes(%n) -> tensor<?x64xf32> {
  ^bb0(%a: tensor<?x1600xf32>, %b: tensor<2x1600x32xf32>):
    %p = kernel.contract packed %a, %b : tensor<?x1600xf32>, tensor<2x1600x32xf32> -> tensor<?x64xf32>
    kernel.yield %p : tensor<?x64xf32>
  }
  return %0 : tensor<?x64xf32>
}

// Of f16 two parts are enough.
// CHECK-LABEL: func @halves
// CHECK:         kernel.region
// CHECK-SAME:    tenon.bf16_flops = "98304*n + 98304*n + 98304*n + 98304*n"
// CHECK:         kernel.multiply_tiles bf16 split 2 %{{.*}} ahead %{{.*}} : memref<49152xf16>
// CHECK:         return
func.func @halves(%x: tensor<?x768xf16>, %w: tensor<2x768x32xf16>, %n: index) -> tensor<?x64xf32> {
  %0 = kernel.region "r" inputs(%x, %w : tensor<?x768xf16>, tensor<2x768x32xf16>) indices() sizes(%n) attributes {tenon.product_flops = "98304*n"} -> tensor<?x64xf32> {
  ^bb0(%a: tensor<?x768xf16>, %b: tensor<2x768x32xf16>):
    %p = kernel.contract packed %a, %b : tensor<?x768xf16>, tensor<2x768x32xf16> -> tensor<?x64xf32>
    kernel.yield %p : tensor<?x64xf32>
  }
  return %0 : tensor<?x64xf32>
}

// One panel would not pay for the parts of its rows.
// CHECK-LABEL: func @narrow
// CHECK-NOT:     multiply_tiles
// CHECK:         return
func.func @narrow(%x: tensor<?x768xf32>, %w: tensor<1x768x32xf32>, %n: index) -> tensor<?x32xf32> {
  %0 = kernel.region "r" inputs(%x, %w : tensor<?x768xf32>, tensor<1x768x32xf32>) indices() sizes(%n) -> tensor<?x32xf32> {
  ^bb0(%a: tensor<?x768xf32>, %b: tensor<1x768x32xf32>):
    %p = kernel.contract packed %a, %b : tensor<?x768xf32>, tensor<1x768x32xf32> -> tensor<?x32xf32>
    kernel.yield %p : tensor<?x32xf32>
  }
  return %0 : tensor<?x32xf32>
}

// What the model computes is split for each block of rows, and not here.
// CHECK-LABEL: func @both_computed
// CHECK-NOT:     multiply_tiles
// CHECK:         return
func.func @both_computed(%x: tensor<?x768xf32>, %y: tensor<768x64xf32>, %n: index) -> tensor<?x64xf32> {
  %0 = kernel.region "r" inputs(%x, %y : tensor<?x768xf32>, tensor<768x64xf32>) indices() sizes(%n) -> tensor<?x64xf32> {
  ^bb0(%a: tensor<?x768xf32>, %b: tensor<768x64xf32>):
    %p = kernel.contract %a, %b : tensor<?x768xf32>, tensor<768x64xf32> -> tensor<?x64xf32>
    kernel.yield %p : tensor<?x64xf32>
  }
  return %0 : tensor<?x64xf32>
}
