// RUN: tenon-opt %s --convert-plan-to-llvm | FileCheck %s

// What is read in the run is no size before it: the run alone checks that two
// such are equal, says what it found and ends, and it writes the sizes of outputs.
// CHECK-LABEL: llvm.func @tenon_sizes(
// CHECK:         llvm.icmp "eq"
// CHECK-NOT:     llvm.icmp
// CHECK-LABEL: llvm.func @tenon_run({{.*}} -> i64
// CHECK:         %[[SAME:.*]] = llvm.icmp "eq" %[[COUNT:.*]], %
// CHECK:         llvm.cond_br %[[SAME]], ^[[HOLDS:bb[0-9]+]], ^[[FAILS:bb[0-9]+]]
// CHECK:       ^[[FAILS]]:
// CHECK:         llvm.store %[[COUNT]]
// CHECK:         %[[NUMBER:.*]] = llvm.mlir.constant(2 : i64)
// CHECK:         llvm.return %[[NUMBER]]
// CHECK:       ^[[HOLDS]]:
// CHECK:         llvm.store %[[COUNT]]
// CHECK:         llvm.return %{{.*}} : i64
// CHECK:       llvm.mlir.global {{.*}}@tenon_description(
// CHECK-SAME:    output y f32 1 ?\0Aextent 0 0 n\0Acounted 0 0\0A
// CHECK-SAME:    assume n == 4\0Aassume a counted size == 4
func.func @main(%x: memref<i64> {tenon.name = "x"}, %y: memref<?xf32> {tenon.output, tenon.name = "y"}) {
  %four = arith.constant 4 : index
  %n = plan.symbol "n" range 0 to 512
  plan.assume_equal %n, %four
  %read = plan.read %x : memref<i64> -> i64
  %count = arith.index_cast %read : i64 to index
  plan.assume_equal %count, %four
  plan.output %y sizes(%n) counted(%count) : memref<?xf32>
  return
}
