// RUN: tenon-opt %s --tenon-simplify --tenon-fuse --convert-math-to-libm | FileCheck %s
// RUN: tenon-opt %s --load-pass-plugin=%t.so 2>&1 | FileCheck %s --check-prefix=MISSING

// Tenon's phases and MLIR's passes share one command line.
// CHECK:       module attributes {tenon.phase = "fuse"}
// CHECK:       func.func private @tanhf
// CHECK-LABEL: func.func @main
// CHECK:         kernel.region
// CHECK-NOT:     math.tanh
// CHECK:         func.call @tanhf
// CHECK-NOT:     math.tanh
func.func @main(%x: tensor<4xf32> {tenon.name = "x"}) -> (tensor<4xf32> {tenon.name = "y"}) {
  %0 = graph.tanh %x : tensor<4xf32> -> tensor<4xf32>
  return %0 : tensor<4xf32>
}

// MISSING: Failed to load passes from '{{.*}}.so'
