// RUN: tenon-opt %s --tenon-emit=target=x86-64-v3 | FileCheck %s --check-prefixes=CHECK,PLAIN
// RUN: tenon-opt %s --tenon-emit=target=x86-64-v4 | FileCheck %s --check-prefixes=CHECK,PLAIN
// RUN: tenon-opt %s --tenon-emit=target=alderlake | FileCheck %s --check-prefixes=CHECK,NARROW
// RUN: tenon-opt %s --tenon-emit=target=cascadelake | FileCheck %s --check-prefixes=CHECK,VNNI
// RUN: tenon-opt %s --tenon-emit=target=znver5 | FileCheck %s --check-prefixes=CHECK,BF16

// Of 32 bytes, which all of these machines have.
// CHECK-LABEL: llvm.func {{.*}}@narrow
// PLAIN:         llvm.call_intrinsic "llvm.x86.avx2.pmadd.wd"({{.*}}) : (vector<16xi16>, vector<16xi16>) -> vector<8xi32>
// PLAIN:         llvm.call_intrinsic "llvm.x86.avx2.pmadd.wd"
// PLAIN:         llvm.intr.fmuladd({{.*}}) : (vector<8xf32>
// PLAIN:         llvm.intr.fmuladd
// NARROW:        llvm.call_intrinsic "llvm.x86.avx512.vpdpbusd.256"({{.*}}) : (vector<8xi32>, vector<32xi8>, vector<32xi8>) -> vector<8xi32>
// NARROW:        llvm.intr.fmuladd
// VNNI:          llvm.call_intrinsic "llvm.x86.avx512.vpdpbusd.256"
// VNNI:          llvm.intr.fmuladd
// BF16:          llvm.call_intrinsic "llvm.x86.avx512.vpdpbusd.256"
// BF16:          llvm.call_intrinsic "llvm.x86.avx512bf16.dpbf16ps.256"({{.*}}) : (vector<8xf32>, vector<16xbf16>, vector<16xbf16>) -> vector<8xf32>
// Sums of two small products fit 16 bits.
// CHECK-LABEL: llvm.func {{.*}}@small
// PLAIN:         llvm.call_intrinsic "llvm.x86.avx2.pmadd.ub.sw"({{.*}}) : (vector<32xi8>, vector<32xi8>) -> vector<16xi16>
// PLAIN:         llvm.call_intrinsic "llvm.x86.avx2.pmadd.wd"
// NARROW:        llvm.call_intrinsic "llvm.x86.avx512.vpdpbusd.256"
// VNNI:          llvm.call_intrinsic "llvm.x86.avx512.vpdpbusd.256"
// CHECK-LABEL: llvm.func {{.*}}@wide
// PLAIN:         llvm.call_intrinsic "llvm.x86.avx512.pmaddw.d.512"
// VNNI:          llvm.call_intrinsic "llvm.x86.avx512.vpdpbusd.512"({{.*}}) : (vector<16xi32>, vector<64xi8>, vector<64xi8>) -> vector<16xi32>
// BF16:          llvm.call_intrinsic "llvm.x86.avx512.vpdpbusd.512"
// BF16:          llvm.call_intrinsic "llvm.x86.avx512bf16.dpbf16ps.512"
module attributes {tenon.phase = "plan"} {
  func.func private @narrow(%s: memref<8xi32>, %x: memref<8xi32>, %t: memref<8xf32>, %begin: index, %end: index) attributes {tenon.kernel} {
    %c0 = arith.constant 0 : index
    %a = vector.load %x[%c0] : memref<8xi32>, vector<8xi32>
    %0 = vector.load %s[%c0] : memref<8xi32>, vector<8xi32>
    %1 = kernel.dot u8s8 %0, %a, %a : vector<8xi32>
    vector.store %1, %s[%c0] : memref<8xi32>, vector<8xi32>
    %2 = vector.load %t[%c0] : memref<8xf32>, vector<8xf32>
    %3 = kernel.dot bf16 %2, %a, %a : vector<8xf32>
    vector.store %3, %t[%c0] : memref<8xf32>, vector<8xf32>
    return
  }
  func.func private @small(%s: memref<8xi32>, %x: memref<8xi32>, %begin: index, %end: index) attributes {tenon.kernel} {
    %c0 = arith.constant 0 : index
    %a = vector.load %x[%c0] : memref<8xi32>, vector<8xi32>
    %0 = vector.load %s[%c0] : memref<8xi32>, vector<8xi32>
    %1 = kernel.dot u4s8 %0, %a, %a : vector<8xi32>
    vector.store %1, %s[%c0] : memref<8xi32>, vector<8xi32>
    return
  }
  func.func private @wide(%s: memref<16xi32>, %x: memref<16xi32>, %t: memref<16xf32>, %begin: index, %end: index) attributes {tenon.kernel} {
    %c0 = arith.constant 0 : index
    %a = vector.load %x[%c0] : memref<16xi32>, vector<16xi32>
    %0 = vector.load %s[%c0] : memref<16xi32>, vector<16xi32>
    %1 = kernel.dot u8s8 %0, %a, %a : vector<16xi32>
    vector.store %1, %s[%c0] : memref<16xi32>, vector<16xi32>
    %2 = vector.load %t[%c0] : memref<16xf32>, vector<16xf32>
    %3 = kernel.dot bf16 %2, %a, %a : vector<16xf32>
    vector.store %3, %t[%c0] : memref<16xf32>, vector<16xf32>
    return
  }
  func.func @main(%y: memref<4xf32> {tenon.output, tenon.name = "y"}) {
    plan.output %y sizes() : memref<4xf32>
    return
  }
}
