// RUN: tenon-opt %s --plan-group-launches --split-input-file | FileCheck %s

func.func private @one(memref<?xf32>, memref<?xf32>, index, index) attributes {tenon.kernel}
func.func private @two(memref<?xf32>, memref<?xf32>, memref<?xf32>, index, index) attributes {tenon.kernel}

// Three that read the same; what they are given stands before the section. The
// one that reads two of them runs after it.
// CHECK-LABEL: func.func @same_input
// CHECK:         plan.alloc
// CHECK-NEXT:    plan.alloc
// CHECK-NEXT:    arith.addi
// CHECK-NEXT:    plan.alloc
// CHECK-NEXT:    plan.section {
// CHECK-NEXT:      plan.launch @one
// CHECK-NEXT:      plan.launch @one
// CHECK-NEXT:      plan.launch @one
// CHECK-NEXT:  {{^ +[}]$}}
// CHECK-NEXT:    plan.launch @two
func.func @same_input(%x: memref<?xf32>, %y: memref<?xf32>) {
  %n = plan.symbol "n" range 0 to 512
  %0 = plan.alloc sizes(%n) : memref<?xf32>
  plan.launch @one grid(%n) buffers(%x, %0 : memref<?xf32>, memref<?xf32>) indices() {tenon.results = 1}
  %1 = plan.alloc sizes(%n) : memref<?xf32>
  plan.launch @one grid(%n) buffers(%x, %1 : memref<?xf32>, memref<?xf32>) indices() {tenon.results = 1}
  %m = arith.addi %n, %n : index
  %2 = plan.alloc sizes(%n) : memref<?xf32>
  plan.launch @one grid(%m) buffers(%x, %2 : memref<?xf32>, memref<?xf32>) indices() {tenon.results = 1}
  plan.launch @two grid(%n) buffers(%0, %1, %y : memref<?xf32>, memref<?xf32>, memref<?xf32>) indices() {tenon.results = 1}
  return
}

// What one writes another reads, through a view too, or writes; what one reads
// another writes; and where a launch does not say what it writes, it may be all.
// CHECK-LABEL: func.func @dependent
// CHECK-NOT:     plan.section
func.func @dependent(%x: memref<?xf32>, %y: memref<?xf32>, %z: memref<?xf32>) {
  %n = plan.symbol "n" range 0 to 512
  %0 = plan.alloc sizes(%n) : memref<?xf32>
  plan.launch @one grid(%n) buffers(%x, %0 : memref<?xf32>, memref<?xf32>) indices() {tenon.results = 1}
  %v = plan.view %0 sizes(%n) : memref<?xf32> -> memref<?xf32>
  plan.launch @one grid(%n) buffers(%v, %y : memref<?xf32>, memref<?xf32>) indices() {tenon.results = 1}
  plan.launch @one grid(%n) buffers(%x, %y : memref<?xf32>, memref<?xf32>) indices() {tenon.results = 1}
  plan.launch @one grid(%n) buffers(%z, %x : memref<?xf32>, memref<?xf32>) indices() {tenon.results = 1}
  plan.launch @one grid(%n) buffers(%z, %y : memref<?xf32>, memref<?xf32>) indices()
  return
}

// A copy, a read and the end of a body are waited for.
// CHECK-LABEL: func.func @between
// CHECK-NOT:     plan.section
func.func @between(%x: memref<?xf32>, %y: memref<?xf32>, %z: memref<?xf32>, %c: memref<i1>) {
  %n = plan.symbol "n" range 0 to 512
  plan.launch @one grid(%n) buffers(%x, %y : memref<?xf32>, memref<?xf32>) indices() {tenon.results = 1}
  %is = plan.read %c : memref<i1> -> i1
  plan.launch @one grid(%n) buffers(%x, %z : memref<?xf32>, memref<?xf32>) indices() {tenon.results = 1}
  plan.copy %x, %y : memref<?xf32>, memref<?xf32>
  plan.launch @one grid(%n) buffers(%x, %y : memref<?xf32>, memref<?xf32>) indices() {tenon.results = 1}
  scf.if %is {
    plan.launch @one grid(%n) buffers(%x, %z : memref<?xf32>, memref<?xf32>) indices() {tenon.results = 1}
  }
  return
}

// Bodies have sections of their own.
// CHECK-LABEL: func.func @in_a_body
// CHECK:         scf.if
// CHECK-NEXT:      plan.section
func.func @in_a_body(%x: memref<?xf32>, %y: memref<?xf32>, %z: memref<?xf32>, %c: i1) {
  %n = plan.symbol "n" range 0 to 512
  scf.if %c {
    plan.launch @one grid(%n) buffers(%x, %y : memref<?xf32>, memref<?xf32>) indices() {tenon.results = 1}
    plan.launch @one grid(%n) buffers(%x, %z : memref<?xf32>, memref<?xf32>) indices() {tenon.results = 1}
  }
  return
}
