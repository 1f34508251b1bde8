// RUN: tenon compile %s -o %t.ptx --target=nvidia --emit=ptx --quiet
// RUN: FileCheck %s < %t.ptx
// RUN: FileCheck %s --check-prefix=CLOSED < %t.ptx
// RUN: not tenon compile %s -o %t.ptx --target=cpu --emit=ptx --quiet 2>&1 | FileCheck %s --check-prefix=CPU

// The oldest machine and language that have what the kernels use.
// CHECK:      .version 7.0
// CHECK-NEXT: .target sm_80

// Any product of f32 by tensor cores, with its GELU in the same kernel.
// CHECK:      .entry matmul_gelu_0(
// CHECK:      .maxntid 128
// CHECK:      ld.global
// CHECK:      cvt.rn.bf16
// CHECK:      bar.sync 0;
// CHECK:      mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32
// CHECK:      st.global

// CHECK:      .entry softmax_1(
// CHECK:      shfl.sync.bfly.b32
// CHECK:      ex2.approx.f32

// Nothing is left for a library to bring along.
// CLOSED-NOT: .extern .func
// CLOSED-NOT: __nv_
// CLOSED-NOT: .local

// CPU: --emit ptx: target cpu writes one of so,
module attributes {tenon.phase = "fuse"} {
  func.func @main(%x: tensor<?x50xf32> {tenon.dims = ["n", 50], tenon.name = "x"}) -> (tensor<?x70xf32> {tenon.name = "y"}) {
    %n = kernel.symbol "n" range 0 to 512
    %w = kernel.constant dense<1.0> : tensor<50x70xf32>
    %0 = kernel.region "matmul_gelu" inputs(%x, %w : tensor<?x50xf32>, tensor<50x70xf32>) indices() sizes(%n) -> tensor<?x70xf32> {
    ^bb0(%a: tensor<?x50xf32>, %b: tensor<50x70xf32>):
      %c0 = arith.constant 0 : index
      %2 = kernel.contract %a, %b : tensor<?x50xf32>, tensor<50x70xf32> -> tensor<?x70xf32>
      %half = arith.constant 5.000000e-01 : f32
      %one = arith.constant 1.000000e+00 : f32
      %root = arith.constant 0.707106769 : f32
      %d = tensor.dim %2, %c0 : tensor<?x70xf32>
      %e = tensor.empty(%d) : tensor<?x70xf32>
      %3 = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0, d1)>], iterator_types = ["parallel", "parallel"]} ins(%2 : tensor<?x70xf32>) outs(%e : tensor<?x70xf32>) {
      ^bb0(%c: f32, %o: f32):
        %4 = arith.mulf %c, %root : f32
        %5 = math.erf %4 : f32
        %6 = arith.addf %5, %one : f32
        %7 = arith.mulf %c, %half : f32
        %8 = arith.mulf %7, %6 : f32
        linalg.yield %8 : f32
      } -> tensor<?x70xf32>
      kernel.yield %3 : tensor<?x70xf32>
    }
    %1 = kernel.region "softmax" inputs(%0 : tensor<?x70xf32>) indices() sizes(%n) -> tensor<?x70xf32> {
    ^bb0(%a: tensor<?x70xf32>):
      %2 = kernel.softmax %a : tensor<?x70xf32> -> tensor<?x70xf32>
      kernel.yield %2 : tensor<?x70xf32>
    }
    return %1 : tensor<?x70xf32>
  }
}
