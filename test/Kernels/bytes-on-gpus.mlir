// A GPU's threads widen the bytes of a product one by one, unsigned and signed, from
// the groups in which they lie.
// RUN: tenon-opt %s --kernel-schedule-regions=target=sm_80 --kernel-simplify-bodies | FileCheck %s

// CHECK-LABEL: func @bytes
// CHECK:         schedule <"thread-contract"
// CHECK-DAG:       arith.divui %[[K:.*]], %c4 : index
// CHECK-DAG:       arith.remui %[[K]], %c4 : index
// CHECK-DAG:       arith.extui %{{.*}} : i8 to i32
// CHECK-DAG:       arith.extsi %{{.*}} : i8 to i32
// CHECK-NOT:       kernel.dot
func.func @bytes(%x: tensor<?x9xi8>, %w: tensor<2x3x32x4xi8>, %n: index) -> tensor<?x64xi32> {
  %0 = kernel.region "r" inputs(%x, %w : tensor<?x9xi8>, tensor<2x3x32x4xi8>) indices() sizes(%n) -> tensor<?x64xi32> {
  ^bb0(%a: tensor<?x9xi8>, %b: tensor<2x3x32x4xi8>):
    %p = kernel.contract packed %a, %b : tensor<?x9xi8>, tensor<2x3x32x4xi8> -> tensor<?x64xi32>
    kernel.yield %p : tensor<?x64xi32>
  }
  return %0 : tensor<?x64xi32>
}
