// RUN: tenon-opt %s --tenon-emit=target=sapphirerapids-amx | FileCheck %s
// RUN: not tenon-opt %s --tenon-emit=target=sapphirerapids 2>&1 | FileCheck %s --check-prefix=LACKS

// LACKS: error: 'kernel.multiply_tiles' op needs AMX, which 'cooperlake' has not

// Sums from zero; a step along the contracted dimension loads two tiles of either operand for four products.
// CHECK-LABEL: llvm.func {{.*}}@bytes
// CHECK-COUNT-4: llvm.call_intrinsic "llvm.x86.tilezero.internal"
// CHECK:         ^bb{{.*}}(%{{.*}}: i64, %{{.*}}: !llvm.x86_amx, %{{.*}}: !llvm.x86_amx, %{{.*}}: !llvm.x86_amx, %{{.*}}: !llvm.x86_amx)
// CHECK-COUNT-2: llvm.call_intrinsic "llvm.x86.tileloadd64.internal"
// CHECK:         llvm.call_intrinsic "llvm.x86.tdpbusd.internal"
// CHECK:         llvm.call_intrinsic "llvm.x86.tileloadd64.internal"
// CHECK-NEXT:    llvm.call_intrinsic "llvm.x86.tdpbusd.internal"
// CHECK:         llvm.call_intrinsic "llvm.x86.tileloadd64.internal"
// CHECK-NEXT:    llvm.call_intrinsic "llvm.x86.tdpbusd.internal"
// CHECK-NEXT:    llvm.call_intrinsic "llvm.x86.tdpbusd.internal"
// CHECK-COUNT-4: llvm.call_intrinsic "llvm.x86.tilestored64.internal"

// Sixteen rows, added to sums.
// CHECK-LABEL: llvm.func {{.*}}@floats
// CHECK-NOT:     tilezero
// CHECK-COUNT-4: llvm.call_intrinsic "llvm.x86.tileloadd64.internal"
// CHECK-NEXT:    llvm.call_intrinsic "llvm.x86.tdpbf16ps.internal"
// CHECK:         llvm.call_intrinsic "llvm.x86.tileloadd64.internal"
// CHECK-NEXT:    llvm.call_intrinsic "llvm.x86.tdpbf16ps.internal"
// CHECK-NOT:     tdpbf16ps
// CHECK-COUNT-2: llvm.call_intrinsic "llvm.x86.tilestored64.internal"

// Six products of three parts: a part of one operand stays for the next product. A kilobyte ahead of each step comes into the second cache.
// CHECK-LABEL: llvm.func {{.*}}@parts
// CHECK-COUNT-2: llvm.call_intrinsic "llvm.x86.tilezero.internal"
// CHECK-COUNT-16: "llvm.intr.prefetch"(%{{.*}}) <{cache = 1 : i32, hint = 2 : i32, rw = 0 : i32}>
// CHECK-NOT:     prefetch
// CHECK-COUNT-6: llvm.call_intrinsic "llvm.x86.tdpbf16ps.internal"
// CHECK-COUNT-6: llvm.call_intrinsic "llvm.x86.tdpbf16ps.internal"
// CHECK-NOT:     tdpbf16ps
// CHECK-COUNT-2: llvm.call_intrinsic "llvm.x86.tilestored64.internal"
module attributes {tenon.phase = "plan"} {
  func.func private @bytes(%a: memref<4096xi8>, %b: memref<4096xi8>, %s: memref<1024xi32>, %begin: index, %end: index) attributes {tenon.kernel} {
    %row = arith.constant 128 : index
    %sums = arith.constant 32 : index
    kernel.multiply_tiles u8s8 %a[%begin] row %row, %b[%begin] row %row, %s[%begin] row %sums depth %end rows 32 : memref<4096xi8>, memref<4096xi8>, memref<1024xi32>
    return
  }
  func.func private @floats(%x: memref<4096xbf16>, %t: memref<1024xf32>, %begin: index, %end: index) attributes {tenon.kernel} {
    %row = arith.constant 64 : index
    %sums = arith.constant 32 : index
    kernel.multiply_tiles bf16 accumulate %x[%begin] row %row, %x[%begin] row %row, %t[%begin] row %sums depth %end rows 16 : memref<4096xbf16>, memref<4096xbf16>, memref<1024xf32>
    return
  }
  func.func private @parts(%x: memref<4096xbf16>, %t: memref<1024xf32>, %begin: index, %end: index) attributes {tenon.kernel} {
    %row = arith.constant 96 : index
    %groups = arith.constant 64 : index
    %sums = arith.constant 32 : index
    kernel.multiply_tiles bf16 split 3 %x[%begin] row %row, %x[%begin] row %groups, %t[%begin] row %sums ahead %t[%end] : memref<1024xf32> depth %end rows 16 : memref<4096xbf16>, memref<4096xbf16>, memref<1024xf32>
    return
  }
  func.func @main(%y: memref<4xf32> {tenon.output, tenon.name = "y"}) {
    plan.output %y sizes() : memref<4xf32>
    return
  }
}
