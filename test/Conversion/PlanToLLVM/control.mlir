// RUN: tenon-opt %s --convert-plan-to-llvm | FileCheck %s

// Branches and loops are jumps in the run alone. A boolean lies in memory as a
// byte. A condition that is computed from reads waits for them.
// CHECK-LABEL: llvm.func @tenon_sizes(
// CHECK-NOT:     llvm.cond_br
// CHECK-LABEL: llvm.func @tenon_run(
// CHECK:         %[[BYTE:.*]] = llvm.load %{{.*}} : !llvm.ptr -> i8
// CHECK:         %[[C:.*]] = llvm.icmp "ne" %[[BYTE]]
// CHECK:         %[[D:.*]] = llvm.icmp "ne"
// CHECK:         %[[BOTH:.*]] = {{.*}}and{{.*}} %[[C]], %[[D]]
// CHECK:         llvm.cond_br %[[BOTH]], ^[[THEN:bb[0-9]+]], ^[[ELSE:bb[0-9]+]]
// CHECK:       ^[[THEN]]:
// CHECK:         llvm.mlir.addressof @kernel_0
// CHECK:         llvm.mlir.constant(0 : i64)
// CHECK-NEXT:    llvm.mlir.constant(1 : i64)
// CHECK-NEXT:    llvm.call
// CHECK:         llvm.br ^[[END:bb[0-9]+]]
// CHECK:       ^[[ELSE]]:
// CHECK-NEXT:    llvm.br ^[[END]]
// CHECK:       ^[[END]]:
// CHECK:         llvm.br ^[[BEFORE:bb[0-9]+]]
// CHECK:       ^[[BEFORE]]:
// CHECK:         %[[GO:.*]] = llvm.icmp "ne"
// CHECK:         llvm.cond_br %[[GO]], ^[[AFTER:bb[0-9]+]], ^[[EXIT:bb[0-9]+]]
// CHECK:       ^[[AFTER]]:
// CHECK:         llvm.mlir.addressof @kernel_0
// CHECK:         llvm.mlir.constant(1 : i64)
// CHECK-NEXT:    llvm.mlir.constant(1 : i64)
// CHECK-NEXT:    llvm.call
// CHECK:         llvm.br ^[[BEFORE]]
// CHECK:       ^[[EXIT]]:
// CHECK:         llvm.return
func.func private @kernel_0(%x: memref<4xf32>, %begin: index, %end: index) attributes {tenon.kernel} {
  return
}
func.func @main(%c: memref<i1> {tenon.name = "c"}, %d: memref<i1> {tenon.name = "d"}, %y: memref<4xf32> {tenon.output, tenon.name = "y"}) {
  %one = arith.constant 1 : index
  %0 = plan.read %c : memref<i1> -> i1
  %1 = plan.read %d : memref<i1> -> i1
  %2 = arith.andi %0, %1 : i1
  scf.if %2 {
    plan.launch @kernel_0 grid(%one) buffers(%y : memref<4xf32>) indices()
  }
  scf.while : () -> () {
    %3 = plan.read %c : memref<i1> -> i1
    scf.condition(%3)
  } do {
    plan.launch @kernel_0 grid(%one) buffers(%y : memref<4xf32>) indices()
    scf.yield
  }
  plan.output %y sizes() : memref<4xf32>
  return
}
