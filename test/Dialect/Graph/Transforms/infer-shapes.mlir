// RUN: tenon-opt %s --graph-infer-shapes | FileCheck %s

// A constant size enters the types, the function's too; a symbol does not.
// CHECK-LABEL: func @concat
// CHECK-SAME:    -> (tensor<8x4xf32>, tensor<?x4xf32>)
// CHECK:         graph.concat {{.*}} -> tensor<8x4xf32>
// CHECK:         graph.relu {{.*}} -> tensor<?x4xf32>
func.func @concat(%x: tensor<4x4xf32> {tenon.dims = [4, 4]}, %p: tensor<?x4xf32> {tenon.dims = ["n", 4]}) -> (tensor<?x4xf32>, tensor<?x4xf32>) {
  %n = graph.symbol "n" range 0 to 9223372036854775807
  %0 = graph.concat %x, %x axis 0 : (tensor<4x4xf32>, tensor<4x4xf32>) -> tensor<?x4xf32>
  %1 = graph.relu %p : tensor<?x4xf32> -> tensor<?x4xf32>
  return %0, %1 : tensor<?x4xf32>, tensor<?x4xf32>
}

// What a loop carries has one type everywhere, also where only one place shows
// that a size is constant.
// CHECK-LABEL: func.func @loop
// CHECK:         scf.while {{.*}} : (tensor<i1>, tensor<8xf32>) -> tensor<8xf32>
// CHECK:         ^bb0(%{{.*}}: tensor<8xf32>)
// CHECK:           graph.add {{.*}} -> tensor<8xf32>
// CHECK:         return %{{.*}} : tensor<8xf32>
func.func @loop(%keep: tensor<i1>, %x: tensor<8xf32>) -> tensor<?xf32> {
  %start = graph.neg %x : tensor<8xf32> -> tensor<?xf32>
  %0 = scf.while (%k = %keep, %v = %start) : (tensor<i1>, tensor<?xf32>) -> tensor<?xf32> {
    %d = graph.read %k : tensor<i1> -> i1
    scf.condition(%d) %v : tensor<?xf32>
  } do {
  ^bb0(%v: tensor<?xf32>):
    %1 = graph.add %v, %v : tensor<?xf32>, tensor<?xf32> -> tensor<?xf32>
    scf.yield %keep, %1 : tensor<i1>, tensor<?xf32>
  }
  return %0 : tensor<?xf32>
}

// A size that changes from one iteration to the next is no constant, and the
// value that it starts with keeps its type too.
// CHECK-LABEL: func.func @growing
// CHECK:         scf.while {{.*}} : (tensor<i1>, tensor<?xf32>) -> tensor<?xf32>
func.func @growing(%keep: tensor<i1>, %x: tensor<4xf32>) -> tensor<?xf32> {
  %c2 = arith.constant 2 : index
  %start = graph.reshape %x to [4] {allow_zero} : tensor<4xf32> -> tensor<?xf32>
  %0 = scf.while (%k = %keep, %v = %start) : (tensor<i1>, tensor<?xf32>) -> tensor<?xf32> {
    %d = graph.read %k : tensor<i1> -> i1
    scf.condition(%d) %v : tensor<?xf32>
  } do {
  ^bb0(%v: tensor<?xf32>):
    %1 = graph.concat %v, %v axis 0 : (tensor<?xf32>, tensor<?xf32>) -> tensor<?xf32>
    scf.yield %keep, %1 : tensor<i1>, tensor<?xf32>
  }
  return %0 : tensor<?xf32>
}

// The branches agree on the first result alone.
// CHECK-LABEL: func.func @branch
// CHECK:         scf.if %{{.*}} -> (tensor<4xf32>, tensor<?xf32>)
func.func @branch(%c: tensor<i1>, %x: tensor<4xf32>) -> (tensor<?xf32>, tensor<?xf32>) {
  %d = graph.read %c : tensor<i1> -> i1
  %0:2 = scf.if %d -> (tensor<?xf32>, tensor<?xf32>) {
    %1 = graph.neg %x : tensor<4xf32> -> tensor<?xf32>
    %2 = graph.exp %x : tensor<4xf32> -> tensor<?xf32>
    scf.yield %1, %2 : tensor<?xf32>, tensor<?xf32>
  } else {
    %1 = graph.tanh %x : tensor<4xf32> -> tensor<?xf32>
    %2 = graph.concat %x, %x axis 0 : (tensor<4xf32>, tensor<4xf32>) -> tensor<?xf32>
    scf.yield %1, %2 : tensor<?xf32>, tensor<?xf32>
  }
  return %0#0, %0#1 : tensor<?xf32>, tensor<?xf32>
}

// Pads add up; indices and what they find have the sizes asked for.
// CHECK-LABEL: func.func @indexing
// CHECK:         graph.pad {{.*}} -> tensor<?x11xf32>
// CHECK:         %[[TOP:.*]] = graph.top_k {{.*}} -> tensor<?x3xi64>
// CHECK:         graph.gather_elements {{.*}} -> tensor<?x3xf32>
// CHECK:         graph.scatter_elements {{.*}} -> tensor<?x11xf32>
func.func @indexing(%x: tensor<?x8xf32> {tenon.dims = ["n", 8]}) -> tensor<?x?xf32> {
  %k = arith.constant 3 : index
  %0 = graph.pad edge %x low [0, 1] high [0, 2] : (tensor<?x8xf32>) -> tensor<?x?xf32>
  %1 = graph.top_k %0 k %k axis 1 : tensor<?x?xf32> -> tensor<?x?xi64>
  %2 = graph.gather_elements %0, %1 axis 1 : tensor<?x?xf32>, tensor<?x?xi64> -> tensor<?x?xf32>
  %3 = graph.scatter_elements add %0, %1, %2 axis 1 : tensor<?x?xf32>, tensor<?x?xi64>, tensor<?x?xf32> -> tensor<?x?xf32>
  return %3 : tensor<?x?xf32>
}
