// RUN: tenon-opt %s --convert-graph-to-kernel | FileCheck %s

// The bodies of branches become regions; the branch itself stays.
// CHECK-LABEL: func.func @branch
// CHECK:         %[[C:.*]] = kernel.read %{{.*}} : tensor<i1> -> i1
// CHECK:         scf.if %[[C]] -> (tensor<?xf32>) {
// CHECK:           %[[A:.*]] = kernel.region "relu"
// CHECK:           scf.yield %[[A]]
// CHECK:         } else {
// CHECK:           kernel.region "neg"
func.func @branch(%c: tensor<i1>, %x: tensor<?xf32> {tenon.dims = ["n"]}) -> tensor<?xf32> {
  %n = graph.symbol "n" range 0 to 100
  %d = graph.read %c : tensor<i1> -> i1
  %0 = scf.if %d -> tensor<?xf32> {
    %1 = graph.relu %x : tensor<?xf32> -> tensor<?xf32>
    scf.yield %1 : tensor<?xf32>
  } else {
    %1 = graph.neg %x : tensor<?xf32> -> tensor<?xf32>
    scf.yield %1 : tensor<?xf32>
  }
  return %0 : tensor<?xf32>
}

// Sizes that a body needs are computed before the loop, where memory is planned.
// CHECK-LABEL: func.func @loop
// CHECK:         %[[N:.*]] = kernel.symbol "n"
// CHECK:         %[[TWICE:.*]] = arith.muli %[[N]], %{{.*}}
// CHECK:         scf.while
// CHECK:           kernel.read
// CHECK:         } do {
// CHECK:           kernel.region "concat"{{.*}}sizes(%[[TWICE]])
func.func @loop(%keep: tensor<i1>, %x: tensor<?xf32> {tenon.dims = ["n"]}) -> tensor<?xf32> {
  %n = graph.symbol "n" range 0 to 100
  %0:2 = scf.while (%k = %keep, %v = %x) : (tensor<i1>, tensor<?xf32>) -> (tensor<i1>, tensor<?xf32>) {
    %d = graph.read %k : tensor<i1> -> i1
    scf.condition(%d) %k, %v : tensor<i1>, tensor<?xf32>
  } do {
  ^bb0(%k: tensor<i1>, %v: tensor<?xf32>):
    %1 = graph.concat %v, %v axis 0 : (tensor<?xf32>, tensor<?xf32>) -> tensor<?xf32>
    %2 = graph.reduce sum %1 axes [0] : tensor<?xf32> -> tensor<1xf32>
    %3 = graph.add %v, %2 : tensor<?xf32>, tensor<1xf32> -> tensor<?xf32>
    scf.yield %k, %3 : tensor<i1>, tensor<?xf32>
  }
  return %0#1 : tensor<?xf32>
}

// What is decided in a body stays there, between its regions.
// CHECK-LABEL: func.func @choice_in_a_loop
// CHECK:         } do {
// CHECK:           %[[A:.*]] = kernel.region "neg"
// CHECK:           %[[D:.*]] = kernel.read
// CHECK:           %[[S:.*]] = arith.select %[[D]], %[[A]], %{{.*}} : tensor<?xf32>
// CHECK:           scf.yield %{{.*}}, %[[S]]
func.func @choice_in_a_loop(%keep: tensor<i1>, %x: tensor<?xf32> {tenon.dims = ["n"]}) -> tensor<?xf32> {
  %n = graph.symbol "n" range 0 to 100
  %0 = scf.while (%k = %keep, %v = %x) : (tensor<i1>, tensor<?xf32>) -> tensor<?xf32> {
    %d = graph.read %k : tensor<i1> -> i1
    scf.condition(%d) %v : tensor<?xf32>
  } do {
  ^bb0(%v: tensor<?xf32>):
    %1 = graph.neg %v : tensor<?xf32> -> tensor<?xf32>
    %2 = graph.not %keep : tensor<i1> -> tensor<i1>
    %d = graph.read %2 : tensor<i1> -> i1
    %3 = arith.select %d, %1, %v : tensor<?xf32>
    scf.yield %2, %3 : tensor<i1>, tensor<?xf32>
  }
  return %0 : tensor<?xf32>
}
