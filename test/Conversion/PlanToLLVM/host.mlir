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

// -----

// A section is one call, which numbers its launches from the first on; each has
// its own part of the three arrays.
// CHECK:       llvm.func @tenon_run(
// CHECK:         %[[GRIDS:.*]] = llvm.alloca
// CHECK:         llvm.call %{{.*}}(%{{.*}}, %[[FIRST:.*]], %[[ONE:.*]], %[[GRIDS]])
// CHECK:         llvm.mlir.addressof @k
// CHECK:         llvm.mlir.addressof @k
// CHECK-DAG:     %[[NEXT:.*]] = llvm.mlir.constant(1 : i64)
// CHECK-DAG:     %[[TWO:.*]] = llvm.mlir.constant(2 : i64)
// CHECK:         llvm.call %{{.*}}(%{{.*}}, %[[NEXT]], %[[TWO]], %[[GRIDS]])
func.func private @k(%x: memref<?xf32>, %y: memref<?xf32>, %begin: index, %end: index) attributes {tenon.kernel} {
  return
}
func.func @main(%y: memref<?xf32> {tenon.output, tenon.name = "y"}, %z: memref<?xf32> {tenon.output, tenon.name = "z"}) {
  %n = plan.symbol "n" range 0 to 512
  %0 = plan.alloc 0 below [] sizes(%n) : memref<?xf32>
  %1 = plan.alloc 1 below [0] sizes(%n) : memref<?xf32>
  plan.launch @k grid(%n) buffers(%1, %0 : memref<?xf32>, memref<?xf32>) indices() {tenon.results = 1}
  plan.section {
    plan.launch @k grid(%n) buffers(%0, %y : memref<?xf32>, memref<?xf32>) indices() {tenon.results = 1}
    plan.launch @k grid(%n) buffers(%0, %z : memref<?xf32>, memref<?xf32>) indices() {tenon.results = 1}
  }
  plan.output %y sizes(%n) : memref<?xf32>
  plan.output %z sizes(%n) : memref<?xf32>
  return
}
