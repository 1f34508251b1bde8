// RUN: tenon-opt %s --kernel-simplify-bodies | FileCheck %s

// Two layers with equal bodies, and one that differs in a constant: each gets
// the canonical form of its own, whatever surrounds it, and so do sizes.
// CHECK-LABEL: func @layers
// CHECK-SAME:    %[[N:.*]]: index
// CHECK-NOT:     arith
// CHECK:         kernel.region "first" {{.*}} grid(%[[N]])
// CHECK-NEXT:    ^bb0(%[[OUT:.*]]: memref<4xf32>, %[[BEGIN:.*]]: index, %{{.*}}: index):
// CHECK-NEXT:      %[[V:.*]] = arith.constant 1.0
// CHECK-NEXT:      memref.store %[[V]], %[[OUT]][%[[BEGIN]]]
// CHECK-NEXT:      kernel.yield
// CHECK:         kernel.region "other" {{.*}} grid(%[[N]])
// CHECK-NEXT:    ^bb0(%[[OUT:.*]]: memref<4xf32>, %[[BEGIN:.*]]: index, %{{.*}}: index):
// CHECK-NEXT:      %[[V:.*]] = arith.constant 2.0
// CHECK-NEXT:      memref.store %[[V]], %[[OUT]][%[[BEGIN]]]
// CHECK-NEXT:      kernel.yield
// CHECK:         scf.if
// CHECK:         kernel.region "second" {{.*}} grid(%[[N]])
// CHECK-NEXT:    ^bb0(%[[OUT:.*]]: memref<4xf32>, %[[BEGIN:.*]]: index, %{{.*}}: index):
// CHECK-NEXT:      %[[V:.*]] = arith.constant 1.0
// CHECK-NEXT:      memref.store %[[V]], %[[OUT]][%[[BEGIN]]]
// CHECK-NEXT:      kernel.yield
func.func @layers(%n: index, %c: i1, %z: tensor<4xf32>) -> (tensor<4xf32>, tensor<4xf32>, tensor<4xf32>) {
  %c0 = arith.constant 0 : index
  %grid = arith.addi %n, %c0 : index
  %0 = kernel.region "first" inputs() indices() sizes() grid(%grid) schedule <"loops", tile = [1], vector = 1> -> tensor<4xf32> {
  ^bb0(%out: memref<4xf32>, %begin: index, %end: index):
    %zero = arith.constant 0 : index
    %i = arith.addi %begin, %zero : index
    %v = arith.constant 1.0 : f32
    memref.store %v, %out[%i] : memref<4xf32>
    kernel.yield
  }
  %1 = kernel.region "other" inputs() indices() sizes() grid(%grid) schedule <"loops", tile = [1], vector = 1> -> tensor<4xf32> {
  ^bb0(%out: memref<4xf32>, %begin: index, %end: index):
    %zero = arith.constant 0 : index
    %i = arith.addi %begin, %zero : index
    %v = arith.constant 2.0 : f32
    memref.store %v, %out[%i] : memref<4xf32>
    kernel.yield
  }
  %2 = scf.if %c -> tensor<4xf32> {
    %3 = kernel.region "second" inputs() indices() sizes() grid(%grid) schedule <"loops", tile = [1], vector = 1> -> tensor<4xf32> {
    ^bb0(%out: memref<4xf32>, %begin: index, %end: index):
      %zero = arith.constant 0 : index
      %i = arith.addi %begin, %zero : index
      %v = arith.constant 1.0 : f32
      memref.store %v, %out[%i] : memref<4xf32>
      kernel.yield
    }
    scf.yield %3 : tensor<4xf32>
  } else {
    scf.yield %z : tensor<4xf32>
  }
  return %0, %1, %2 : tensor<4xf32>, tensor<4xf32>, tensor<4xf32>
}

// Ops that are the same on other operands are no equal bodies.
// CHECK-LABEL: func @crossed
// CHECK:         kernel.region "straight"
// CHECK:           memref.store %{{.*}}, %[[A:.*]][%
// CHECK:           memref.store %{{.*}}, %[[B:.*]][%
// CHECK:         kernel.region "crossed"
// CHECK-NEXT:    ^bb0(%[[A:.*]]: memref<4xf32>, %[[B:.*]]: memref<4xf32>,
// CHECK:           memref.store %{{.*}}, %[[B]][%
// CHECK:           memref.store %{{.*}}, %[[A]][%
func.func @crossed(%n: index) -> (tensor<4xf32>, tensor<4xf32>, tensor<4xf32>, tensor<4xf32>) {
  %0:2 = kernel.region "straight" inputs() indices() sizes() grid(%n) schedule <"loops", tile = [1], vector = 1> -> tensor<4xf32>, tensor<4xf32> {
  ^bb0(%a: memref<4xf32>, %b: memref<4xf32>, %begin: index, %end: index):
    %v = arith.constant 1.0 : f32
    memref.store %v, %a[%begin] : memref<4xf32>
    memref.store %v, %b[%end] : memref<4xf32>
    kernel.yield
  }
  %1:2 = kernel.region "crossed" inputs() indices() sizes() grid(%n) schedule <"loops", tile = [1], vector = 1> -> tensor<4xf32>, tensor<4xf32> {
  ^bb0(%a: memref<4xf32>, %b: memref<4xf32>, %begin: index, %end: index):
    %v = arith.constant 1.0 : f32
    memref.store %v, %b[%begin] : memref<4xf32>
    memref.store %v, %a[%end] : memref<4xf32>
    kernel.yield
  }
  return %0#0, %0#1, %1#0, %1#1 : tensor<4xf32>, tensor<4xf32>, tensor<4xf32>, tensor<4xf32>
}

// A body that is not scheduled is left as it is.
// CHECK-LABEL: func @unscheduled
// CHECK:         kernel.region
// CHECK:           arith.negf
// CHECK-NEXT:      arith.negf
func.func @unscheduled(%x: tensor<4xf32>) -> tensor<4xf32> {
  %0 = kernel.region "twice" inputs(%x : tensor<4xf32>) indices() sizes() -> tensor<4xf32> {
  ^bb0(%in: tensor<4xf32>):
    %1 = arith.negf %in : tensor<4xf32>
    %2 = arith.negf %1 : tensor<4xf32>
    kernel.yield %2 : tensor<4xf32>
  }
  return %0 : tensor<4xf32>
}
