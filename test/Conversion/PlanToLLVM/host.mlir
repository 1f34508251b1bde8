// RUN: tenon-opt %s --convert-plan-to-llvm | FileCheck %s

// CHECK:       llvm.func @tenon_sizes(
// CHECK:         llvm.cond_br
// CHECK:       llvm.func @tenon_run(
// CHECK-NOT:   func.func @main
func.func @main(%y: memref<?xf32> {tenon.output, tenon.name = "y"}) {
  %n = plan.symbol "n" range 0 to 512
  %m = plan.symbol "m" range 0 to 512
  plan.assume_equal %n, %m
  plan.output %y sizes(%n) : memref<?xf32>
  return
}
