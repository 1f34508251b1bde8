// RUN: tenon-opt %s --convert-kernel-to-plan | FileCheck %s

// A branch ends with a copy into the buffer of its result, which is made before.
// CHECK-LABEL: func.func @branch
// CHECK:         %[[C:.*]] = plan.read %{{.*}} : memref<i1> -> i1
// CHECK:         %[[R:.*]] = plan.alloc sizes(%{{.*}}) : memref<?xf32>
// CHECK:         scf.if %[[C]] {
// CHECK:           plan.copy %{{.*}}, %[[R]]
// CHECK:         } else {
// CHECK:           plan.copy %{{.*}}, %[[R]]
func.func @branch(%c: tensor<i1>, %x: tensor<?xf32> {tenon.dims = ["n"]}, %y: tensor<?xf32> {tenon.dims = ["n"]}) -> tensor<?xf32> {
  %n = kernel.symbol "n" range 0 to 100
  %d = kernel.read %c : tensor<i1> -> i1
  %0 = scf.if %d -> tensor<?xf32> {
    scf.yield %x : tensor<?xf32>
  } else {
    scf.yield %y : tensor<?xf32>
  }
  return %0 : tensor<?xf32>
}

// What a loop carries has a buffer. Two values that change places go through a
// third buffer, since both are read and written.
// CHECK-LABEL: func.func @swap
// CHECK-SAME:    %[[X:arg1]]: memref<4xf32>{{.*}}%[[Y:arg2]]: memref<4xf32>
// CHECK-DAG:     %[[A:.*]] = plan.alloc sizes() : memref<4xf32>
// CHECK-DAG:     plan.copy %[[X]], %[[A]]
// CHECK-DAG:     %[[B:.*]] = plan.alloc sizes() : memref<4xf32>
// CHECK-DAG:     plan.copy %[[Y]], %[[B]]
// CHECK:         scf.while : () -> () {
// CHECK:           %[[GO:.*]] = plan.read
// CHECK:           scf.condition(%[[GO]])
// CHECK:         } do {
// CHECK:           plan.copy %[[B]], %[[T0:.*]] :
// CHECK:           plan.copy %[[A]], %[[T1:.*]] :
// CHECK:           plan.copy %[[T0]], %[[A]]
// CHECK:           plan.copy %[[T1]], %[[B]]
func.func @swap(%keep: tensor<i1>, %x: tensor<4xf32>, %y: tensor<4xf32>) -> tensor<4xf32> {
  %0:2 = scf.while (%a = %x, %b = %y) : (tensor<4xf32>, tensor<4xf32>) -> (tensor<4xf32>, tensor<4xf32>) {
    %d = kernel.read %keep : tensor<i1> -> i1
    scf.condition(%d) %a, %b : tensor<4xf32>, tensor<4xf32>
  } do {
  ^bb0(%a: tensor<4xf32>, %b: tensor<4xf32>):
    scf.yield %b, %a : tensor<4xf32>, tensor<4xf32>
  }
  return %0#0 : tensor<4xf32>
}

// A branch without ops is a select; it becomes a branch again.
// CHECK-LABEL: func.func @select
// CHECK-SAME:    %[[X:arg1]]: memref<?xf32>{{.*}}%[[Y:arg2]]: memref<?xf32>
// CHECK:         %[[R:.*]] = plan.alloc sizes(%{{.*}}) : memref<?xf32>
// CHECK:         scf.if %{{.*}} {
// CHECK-NEXT:      plan.copy %[[X]], %[[R]]
// CHECK-NEXT:    } else {
// CHECK-NEXT:      plan.copy %[[Y]], %[[R]]
func.func @select(%c: tensor<i1>, %x: tensor<?xf32> {tenon.dims = ["n"]}, %y: tensor<?xf32> {tenon.dims = ["n"]}) -> tensor<?xf32> {
  %n = kernel.symbol "n" range 0 to 100
  %d = kernel.read %c : tensor<i1> -> i1
  %0 = arith.select %d, %x, %y : tensor<?xf32>
  return %0 : tensor<?xf32>
}
