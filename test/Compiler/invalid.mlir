// What stops a compilation that goes on from a phase's text.
// RUN: split-file %s %t
// RUN: not tenon compile %t/phaseless.mlir -o %t/x.so 2>&1 | FileCheck %s --check-prefix=PHASELESS
// RUN: not tenon compile %t/unknown.mlir -o %t/x.so 2>&1 | FileCheck %s --check-prefix=UNKNOWN
// RUN: not tenon compile %t/double.mlir -o %t/x.so 2>&1 | FileCheck %s --check-prefix=DOUBLE
// RUN: not tenon compile %t/single.mlir -o %t/x.mlir --stop-after=simplify --dump-phases=/dev/null/dump 2>&1 | FileCheck %s --check-prefix=DUMP

//--- phaseless.mlir
// PHASELESS: error: {{.*}}phaseless.mlir:2: has no attribute 'tenon.phase' that names the phase which wrote it
module {
}

//--- unknown.mlir
// UNKNOWN: error: {{.*}}unknown.mlir:2: was written by phase 'none', which is none
module attributes {tenon.phase = "none"} {
}

//--- double.mlir
// DOUBLE: error: {{.*}}double.mlir:4: computes 'graph.tanh' in f64, for which there is no kernel
module attributes {tenon.phase = "import"} {
  func.func @main(%x: tensor<4xf64> {tenon.name = "x", tenon.dims = [4]}) -> (tensor<4xf64> {tenon.name = "y"}) {
    %0 = graph.tanh %x : tensor<4xf64> -> tensor<4xf64>
    return %0 : tensor<4xf64>
  }
}

//--- single.mlir
// DUMP: error: cannot create /dev/null/dump: Not a directory
module attributes {tenon.phase = "import"} {
  func.func @main(%x: tensor<4xf32> {tenon.name = "x", tenon.dims = [4]}) -> (tensor<4xf32> {tenon.name = "y"}) {
    %0 = graph.neg %x : tensor<4xf32> -> tensor<4xf32>
    return %0 : tensor<4xf32>
  }
}
