// RUN: tenon-opt %s --convert-kernel-to-plan --split-input-file | FileCheck %s

// Equal bodies share a function; what is returned is written where it belongs.
// CHECK-LABEL: func.func private @double_0(
// CHECK-SAME:    %[[IN:.*]]: memref<?xf32>, %[[OUT:.*]]: memref<?xf32>, %[[BEGIN:.*]]: index, %[[END:.*]]: index) attributes {tenon.kernel}
// CHECK:         memref.store %{{.*}}, %[[OUT]][%[[BEGIN]]]
// CHECK-NEXT:    return
// CHECK-NOT:   func.func private
// CHECK-LABEL: func.func @main(
// CHECK-SAME:    %[[X:.*]]: memref<?xf32> {tenon.dims = ["n"], tenon.name = "x"}
// CHECK-SAME:    %[[Y:.*]]: memref<?xf32> {tenon.name = "y", tenon.output})
// CHECK:         %[[N:.*]] = plan.symbol "n" range 0 to 512 hint 16
// CHECK:         %[[GRID:.*]] = arith.addi %[[N]]
// CHECK:         %[[T:.*]] = plan.alloc sizes(%[[N]]) : memref<?xf32>
// CHECK:         plan.launch @double_0 grid(%[[N]]) buffers(%[[X]], %[[T]] : {{.*}}) indices() {tenon.id = "n1", tenon.results = 1 : i64}
// CHECK:         plan.launch @double_0 grid(%[[GRID]]) buffers(%[[T]], %[[Y]] : {{.*}}) indices() {tenon.id = "n2", tenon.results = 1 : i64}
// CHECK:         plan.output %[[Y]] sizes(%[[N]])
// CHECK-NEXT:    return
func.func @main(%x: tensor<?xf32> {tenon.name = "x", tenon.dims = ["n"]}) -> (tensor<?xf32> {tenon.name = "y"}) {
  %n = kernel.symbol "n" range 0 to 512 hint 16
  %c1 = arith.constant 1 : index
  %g = arith.addi %n, %c1 : index
  %0 = kernel.region "double" inputs(%x : tensor<?xf32>) indices() sizes(%n) grid(%n) schedule <"loops", tile = [1], vector = 1> attributes {tenon.id = "n1"} -> tensor<?xf32> {
  ^bb0(%in: memref<?xf32>, %out: memref<?xf32>, %begin: index, %end: index):
    %1 = memref.load %in[%begin] : memref<?xf32>
    %2 = arith.addf %1, %1 : f32
    memref.store %2, %out[%begin] : memref<?xf32>
    kernel.yield
  }
  %3 = kernel.region "other/name" inputs(%0 : tensor<?xf32>) indices() sizes(%n) grid(%g) schedule <"loops", tile = [1], vector = 1> attributes {tenon.id = "n2"} -> tensor<?xf32> {
  ^bb0(%a: memref<?xf32>, %b: memref<?xf32>, %i: index, %j: index):
    %4 = memref.load %a[%i] : memref<?xf32>
    %5 = arith.addf %4, %4 : f32
    memref.store %5, %b[%i] : memref<?xf32>
    kernel.yield
  }
  return %3 : tensor<?xf32>
}

// -----

// Bodies that differ do not share; names become identifiers.
// CHECK:       func.func private @a_b_0(
// CHECK:       func.func private @c_1(
// CHECK-LABEL: func.func @bodies_differ(
// CHECK:         plan.launch @a_b_0
// CHECK:         plan.launch @c_1
func.func @bodies_differ(%x: tensor<4xf32>) -> (tensor<4xf32>, tensor<4xf32>) {
  %c4 = arith.constant 4 : index
  %0 = kernel.region "a/b" inputs(%x : tensor<4xf32>) indices() sizes() grid(%c4) schedule <"loops", tile = [1], vector = 1> -> tensor<4xf32> {
  ^bb0(%in: memref<4xf32>, %out: memref<4xf32>, %i: index, %j: index):
    %1 = memref.load %in[%i] : memref<4xf32>
    memref.store %1, %out[%i] : memref<4xf32>
    kernel.yield
  }
  %2 = kernel.region "c" inputs(%x : tensor<4xf32>) indices() sizes() grid(%c4) schedule <"loops", tile = [1], vector = 1> -> tensor<4xf32> {
  ^bb0(%in: memref<4xf32>, %out: memref<4xf32>, %i: index, %j: index):
    %3 = memref.load %in[%j] : memref<4xf32>
    memref.store %3, %out[%i] : memref<4xf32>
    kernel.yield
  }
  return %0, %2 : tensor<4xf32>, tensor<4xf32>
}

// -----

// Weights lie in the order in which they are used, equal ones once.
// CHECK-LABEL: func.func @weights(
// CHECK:         plan.weight "late" from "f" at 64 source tensor<4xf32> layout "rows" position 64 : memref<4xf32>
// CHECK:         plan.weight "early" from "f" at 0 source tensor<3xf32> layout "rows" position 0 : memref<3xf32>
// CHECK:         plan.weight "same" from "f" at 64 source tensor<4xf32> layout "rows" position 64 : memref<4xf32>
// CHECK:         plan.weight "packed" from "f" at 128 source tensor<4x33xf32> transposed layout "panel32" position 128 : memref<1x33x32xf32>
// CHECK-NOT:     "unused"
// CHECK:         plan.constant dense<1.000000e+00> : tensor<2xf32> -> memref<2xf32>
func.func @weights() -> tensor<4xf32> {
  %c4 = arith.constant 4 : index
  %late = kernel.weight "late" from "f" at 64 source tensor<4xf32> layout rows : tensor<4xf32>
  %early = kernel.weight "early" from "f" at 0 source tensor<3xf32> layout rows : tensor<3xf32>
  %same = kernel.weight "same" from "f" at 64 source tensor<4xf32> layout rows : tensor<4xf32>
  %packed = kernel.weight "packed" from "f" at 128 source tensor<4x33xf32> transposed layout panel32 : tensor<1x33x32xf32>
  %unused = kernel.weight "unused" from "f" at 9 source tensor<4xf32> layout rows : tensor<4xf32>
  %one = kernel.constant dense<1.0> : tensor<2xf32>
  %0 = kernel.region "r" inputs(%early, %late, %same, %packed, %one : tensor<3xf32>, tensor<4xf32>, tensor<4xf32>, tensor<1x33x32xf32>, tensor<2xf32>) indices() sizes() grid(%c4) schedule <"loops", tile = [1], vector = 1> -> tensor<4xf32> {
  ^bb0(%a: memref<3xf32>, %b: memref<4xf32>, %c: memref<4xf32>, %d: memref<1x33x32xf32>, %e: memref<2xf32>, %out: memref<4xf32>, %i: index, %j: index):
    kernel.yield
  }
  return %0 : tensor<4xf32>
}

// -----

// A result returned through a view is written into the output, seen the other
// way round; returned again, it is copied, as is an input.
// CHECK-LABEL: func.func @returns(
// CHECK-SAME:    %[[X:[^:]*]]: memref<?x4xf32>
// CHECK-SAME:    %[[VIEWED:[^:]*]]: memref<?xf32>
// CHECK-SAME:    %[[AGAIN:[^:]*]]: memref<?x4xf32>
// CHECK-SAME:    %[[INPUT:[^:]*]]: memref<?x4xf32>
// CHECK:         %[[N:.*]] = plan.symbol "n"
// CHECK:         %[[FLAT:.*]] = arith.muli
// CHECK-NOT:     plan.alloc
// CHECK:         %[[RESULT:.*]] = plan.view %[[VIEWED]] sizes(%[[N]]) : memref<?xf32> -> memref<?x4xf32>
// CHECK:         plan.launch @r_0 grid(%[[N]]) buffers(%[[X]], %[[RESULT]] : {{.*}}) indices(%[[N]])
// CHECK:         plan.output %[[VIEWED]] sizes(%[[FLAT]])
// CHECK:         plan.copy %[[RESULT]], %[[AGAIN]]
// CHECK:         plan.output %[[AGAIN]] sizes(%[[N]])
// CHECK:         plan.copy %[[X]], %[[INPUT]]
// CHECK:         plan.output %[[INPUT]] sizes(%[[N]])
func.func @returns(%x: tensor<?x4xf32> {tenon.dims = ["n", 4]}) -> (tensor<?xf32>, tensor<?x4xf32>, tensor<?x4xf32>) {
  %n = kernel.symbol "n" range 0 to 512
  %c4 = arith.constant 4 : index
  %flat = arith.muli %n, %c4 : index
  kernel.assume_equal %n, %flat
  %0 = kernel.region "r" inputs(%x : tensor<?x4xf32>) indices(%n) sizes(%n) grid(%n) schedule <"loops", tile = [1], vector = 1> -> tensor<?x4xf32> {
  ^bb0(%in: memref<?x4xf32>, %out: memref<?x4xf32>, %k: index, %i: index, %j: index):
    kernel.yield
  }
  %1 = kernel.view %0 sizes(%flat) : tensor<?x4xf32> -> tensor<?xf32>
  return %1, %0, %x : tensor<?xf32>, tensor<?x4xf32>, tensor<?x4xf32>
}
