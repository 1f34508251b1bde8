// With AVX-512 exp scales by an instruction, and 1 + erf, as GELU has it, looks
// its polynomial up. Alone erf keeps its relative error near 0.
// RUN: tenon-opt %s --tenon-fuse --tenon-schedule=target=x86-64-v4 --tenon-plan --tenon-emit | FileCheck %s
// RUN: tenon-opt %s --tenon-fuse --tenon-schedule=target=x86-64-v3 --tenon-plan --tenon-emit | FileCheck %s --check-prefix=AVX2

// CHECK-LABEL: llvm.func @erf_add_0__{{.*}}_body
// CHECK-COUNT-6: llvm.call_intrinsic "llvm.x86.avx512.permvar.sf.512"
// CHECK-NOT:     llvm.x86.avx512.mask.scalef.ps.512
// CHECK-LABEL: llvm.func @neg_erf_1__{{.*}}_body
// CHECK-NOT:     llvm.x86.avx512.permvar.sf.512
// CHECK:         llvm.call_intrinsic "llvm.x86.avx512.mask.scalef.ps.512"
// CHECK:       llvm.func @tenon_sizes

// AVX2-NOT: llvm.call_intrinsic
module attributes {tenon.phase = "compress"} {
  func.func @main(%x: tensor<4x?xf32> {tenon.name = "x", tenon.dims = [4, "n"]}) -> (tensor<4x?xf32> {tenon.name = "y"}, tensor<4x?xf32> {tenon.name = "z"}) {
    %n = graph.symbol "n" range 0 to 512
    %one = graph.constant dense<1.0> : tensor<f32>
    %0 = graph.erf %x {tenon.id = "a"} : tensor<4x?xf32> -> tensor<4x?xf32>
    %1 = graph.add %0, %one {tenon.id = "b"} : tensor<4x?xf32>, tensor<f32> -> tensor<4x?xf32>
    %2 = graph.neg %x {tenon.id = "c"} : tensor<4x?xf32> -> tensor<4x?xf32>
    %3 = graph.erf %2 {tenon.id = "d"} : tensor<4x?xf32> -> tensor<4x?xf32>
    return %1, %3 : tensor<4x?xf32>, tensor<4x?xf32>
  }
}
