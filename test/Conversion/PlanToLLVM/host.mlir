// RUN: tenon-opt %s --convert-plan-to-llvm --split-input-file | FileCheck %s

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

// -----

// A sum is checked in the words of the model, with the node that needs it; a
// look-up has memory of the frame, and its node in the description.
// CHECK:       llvm.mlir.global external constant @tenon_description("{{.*}}assume n == p + s (node 'layer/add')\0Aindex 0 look%20up
func.func @main(%y: memref<?xf32> {tenon.output, tenon.name = "y"}) {
  %n = plan.symbol "n" range 0 to 512
  %p = plan.symbol "p" range 0 to 512
  %s = plan.symbol "s" range 0 to 512
  %0 = arith.addi %p, %s : index
  plan.assume_equal %n, %0 loc("layer/add")
  %1 = plan.index_error 0 : memref<2xi64> loc("look up")
  plan.output %y sizes(%n) : memref<?xf32>
  return
}
