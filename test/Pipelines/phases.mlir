// What each phase promises, on a feed-forward layer as an exporter writes it.

// RUN: tenon-opt %s --tenon-simplify | FileCheck %s --check-prefix=SIMPLIFY
// RUN: tenon-opt %s --tenon-simplify --tenon-compress | FileCheck %s --check-prefix=COMPRESS
// RUN: tenon-opt %s --tenon-simplify --tenon-compress --tenon-fuse | FileCheck %s --check-prefix=FUSE
// RUN: tenon-opt %s --tenon-simplify --tenon-compress --tenon-fuse --tenon-schedule | FileCheck %s --check-prefix=SCHEDULE
// RUN: tenon-opt %s --tenon-simplify --tenon-compress --tenon-fuse --tenon-schedule --tenon-plan | FileCheck %s --check-prefix=PLAN
// RUN: tenon-opt %s --tenon-simplify --tenon-compress --tenon-fuse --tenon-schedule --tenon-plan --tenon-emit | FileCheck %s --check-prefix=EMIT

// Between any two phases the module prints and parses.
// RUN: tenon-opt %s --tenon-simplify | tenon-opt --tenon-compress --tenon-fuse | tenon-opt --tenon-schedule | tenon-opt --tenon-plan | tenon-opt --tenon-emit | FileCheck %s --check-prefix=EMIT

// The GELU that was written out is one op, no size is tensor code.
// SIMPLIFY:       tenon.phase = "simplify"
// SIMPLIFY-NOT:   graph.erf
// SIMPLIFY-NOT:   graph.from_indices
// SIMPLIFY:       graph.matmul
// SIMPLIFY:       graph.add
// SIMPLIFY:       graph.gelu
// SIMPLIFY:       graph.reshape

// Without a recipe nothing changes but the name of the phase.
// COMPRESS:       tenon.phase = "compress"
// COMPRESS:       graph.matmul
// COMPRESS:       graph.gelu

// One region holds the product, its bias and its activation, and says what it
// costs.
// FUSE:           tenon.phase = "fuse"
// FUSE-NOT:       graph.
// FUSE:           kernel.weight "w" {{.*}} layout panel32
// FUSE:           kernel.region "matmul_add_gelu"
// FUSE-SAME:      tenon.flops =
// FUSE:           kernel.contract packed
// FUSE:           linalg.generic
// FUSE-NOT:       kernel.region
// FUSE:           kernel.view

// Loops on memory, a schedule and a grid.
// SCHEDULE:       tenon.phase = "schedule"
// SCHEDULE-NOT:   linalg.
// SCHEDULE:       kernel.region "matmul_add_gelu"
// SCHEDULE-SAME:  grid(
// SCHEDULE-SAME:  schedule <"contract"
// SCHEDULE:       vector.fma

// A kernel, a launch, and the result written to the caller's memory.
// PLAN:           tenon.phase = "plan"
// PLAN:           func.func private @matmul_add_gelu_0
// PLAN:           func.func @main
// PLAN-SAME:      tenon.arena_hint_bytes = 0
// PLAN-NOT:       plan.alloc
// PLAN:           plan.launch @matmul_add_gelu_0
// PLAN:           plan.output

// EMIT:           tenon.phase = "emit"
// EMIT-DAG:       llvm.func @tenon_sizes
// EMIT-DAG:       llvm.func @tenon_run
// EMIT-DAG:       llvm.func @matmul_add_gelu_0
// EMIT-DAG:       llvm.mlir.global external constant @tenon_description
// EMIT-NOT:       plan.

module attributes {tenon.phase = "import"} {
  func.func @main(%x: tensor<?x?x8xf32> {tenon.name = "x", tenon.dims = ["batch", "sequence", 8]}) -> (tensor<?x64xf32> {tenon.name = "y"}) {
    %batch = graph.symbol "batch" range 0 to 100
    %sequence = graph.symbol "sequence" range 0 to 100
    %w = graph.weight "w" from "weights" at 0 : tensor<8x64xf32>
    %b = graph.weight "b" from "weights" at 2048 : tensor<64xf32>
    %half = graph.constant dense<0.5> : tensor<f32>
    %one = graph.constant dense<1.0> : tensor<f32>
    %root = graph.constant dense<1.41421354> : tensor<f32>
    %0 = graph.matmul %x, %w {tenon.id = "product"} : tensor<?x?x8xf32>, tensor<8x64xf32> -> tensor<?x?x64xf32>
    %1 = graph.add %0, %b {tenon.id = "bias"} : tensor<?x?x64xf32>, tensor<64xf32> -> tensor<?x?x64xf32>
    %2 = graph.div %1, %root : tensor<?x?x64xf32>, tensor<f32> -> tensor<?x?x64xf32>
    %3 = graph.erf %2 : tensor<?x?x64xf32> -> tensor<?x?x64xf32>
    %4 = graph.add %3, %one : tensor<?x?x64xf32>, tensor<f32> -> tensor<?x?x64xf32>
    %5 = graph.mul %1, %4 : tensor<?x?x64xf32>, tensor<?x?x64xf32> -> tensor<?x?x64xf32>
    %6 = graph.mul %5, %half {tenon.id = "activation"} : tensor<?x?x64xf32>, tensor<f32> -> tensor<?x?x64xf32>
    %d0 = graph.dim %6, 0 : tensor<?x?x64xf32>
    %d1 = graph.dim %6, 1 : tensor<?x?x64xf32>
    %rows = arith.muli %d0, %d1 : index
    %7 = graph.reshape %6 to [%rows, 64] : tensor<?x?x64xf32> -> tensor<?x64xf32>
    return %7 : tensor<?x64xf32>
  }
}
