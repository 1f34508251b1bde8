// RUN: tenon-opt %s --graph-share-equal-ops | FileCheck %s

// CHECK-LABEL: func @tables
// CHECK:         %[[COS:.*]] = graph.cos %{{.*}} {tenon.id = "layer0"}
// CHECK-NOT:     graph.cos
// CHECK:         graph.add %[[COS]], %[[COS]]
func.func @tables(%x: tensor<?xf32>) -> tensor<?xf32> {
  %0 = graph.cos %x {tenon.id = "layer0"} : tensor<?xf32> -> tensor<?xf32>
  %1 = graph.cos %x {tenon.id = "layer1"} : tensor<?xf32> -> tensor<?xf32>
  %2 = graph.add %0, %1 : tensor<?xf32>, tensor<?xf32> -> tensor<?xf32>
  return %2 : tensor<?xf32>
}

// Another op, another operand, another property.
// CHECK-LABEL: func @different
// CHECK:         graph.cos
// CHECK:         graph.sin
// CHECK:         graph.cos
// CHECK:         graph.transpose %{{.*}} [0, 1]
// CHECK:         graph.transpose %{{.*}} [1, 0]
func.func @different(%x: tensor<?xf32>, %y: tensor<?xf32>, %z: tensor<?x?xf32>)
    -> (tensor<?xf32>, tensor<?xf32>, tensor<?xf32>, tensor<?x?xf32>, tensor<?x?xf32>) {
  %0 = graph.cos %x : tensor<?xf32> -> tensor<?xf32>
  %1 = graph.sin %x : tensor<?xf32> -> tensor<?xf32>
  %2 = graph.cos %y : tensor<?xf32> -> tensor<?xf32>
  %3 = graph.transpose %z [0, 1] : tensor<?x?xf32> -> tensor<?x?xf32>
  %4 = graph.transpose %z [1, 0] : tensor<?x?xf32> -> tensor<?x?xf32>
  return %0, %1, %2, %3, %4 : tensor<?xf32>, tensor<?xf32>, tensor<?xf32>, tensor<?x?xf32>, tensor<?x?xf32>
}
