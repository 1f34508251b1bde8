// RUN: tenon-opt %s --graph-fold-shape-arithmetic --canonicalize | FileCheck %s

// CHECK-LABEL: func @split_heads
// CHECK-NOT:     graph.dim
// CHECK-NOT:     graph.extract
// CHECK-NOT:     graph.from_indices
// CHECK-DAG:     %[[BATCH:.*]] = graph.symbol "batch"
// CHECK-DAG:     %[[SEQUENCE:.*]] = graph.symbol "sequence"
// CHECK:         graph.reshape %{{.*}} to [%[[BATCH]], %[[SEQUENCE]], 12, 32]
func.func @split_heads(%x: tensor<?x?x384xf32> {tenon.dims = ["batch", "sequence", 384]}) -> tensor<?x?x12x32xf32> {
  %batch = graph.symbol "batch" range 0 to 9223372036854775807
  %sequence = graph.symbol "sequence" range 0 to 9223372036854775807
  %b = graph.dim %x, 0 : tensor<?x?x384xf32>
  %s = graph.dim %x, 1 : tensor<?x?x384xf32>
  %shape = graph.from_indices %b, %s : tensor<2xi64>
  %0 = graph.extract %shape[0] : tensor<2xi64>
  %1 = graph.extract %shape[1] : tensor<2xi64>
  %y = graph.reshape %x to [%0, %1, 12, -1] : tensor<?x?x384xf32> -> tensor<?x?x12x32xf32>
  return %y : tensor<?x?x12x32xf32>
}

// CHECK-LABEL: func @past_and_total
// CHECK-DAG:     %[[TOTAL:.*]] = graph.symbol "total"
// CHECK-DAG:     %[[SUM:.*]] = arith.addi
// CHECK:         graph.assume_equal
func.func @past_and_total(%x: tensor<?xf32> {tenon.dims = ["total"]}, %a: tensor<?xf32> {tenon.dims = ["past"]}, %b: tensor<?xf32> {tenon.dims = ["sequence"]}) -> tensor<?xf32> {
  %total = graph.symbol "total" range 2 to 512
  %past = graph.symbol "past" range 1 to 512
  %sequence = graph.symbol "sequence" range 1 to 512
  %c = graph.concat %a, %b axis 0 : (tensor<?xf32>, tensor<?xf32>) -> tensor<?xf32>
  %0 = graph.add %x, %c : tensor<?xf32>, tensor<?xf32> -> tensor<?xf32>
  return %0 : tensor<?xf32>
}

// What the model reads from data stays.
// CHECK-LABEL: func @from_data
// CHECK:         %[[END:.*]] = graph.extract
// CHECK:         graph.slice %{{.*}} to [%[[END]]]
func.func @from_data(%x: tensor<1xi64> {tenon.dims = [1]}, %v: tensor<?xf32> {tenon.dims = ["n"]}) -> tensor<?xf32> {
  %n = graph.symbol "n" range 0 to 9223372036854775807
  %0 = graph.extract %x[0] : tensor<1xi64>
  %y = graph.slice %v from [0] to [%0] step [1] : tensor<?xf32> -> tensor<?xf32>
  return %y : tensor<?xf32>
}

// A body's shape arithmetic is folded as well: what the loop carries keeps its
// sizes.
// CHECK-LABEL: func @shape_in_a_loop
// CHECK:         %[[N:.*]] = graph.symbol "n"
// CHECK:         scf.while
// CHECK-NOT:     graph.dim
// CHECK:         graph.reshape %{{.*}} to [%[[N]], 4, 2]
func.func @shape_in_a_loop(%keep: tensor<i1>, %x: tensor<?x8xf32> {tenon.dims = ["n", 8]}) -> tensor<?x8xf32> {
  %n = graph.symbol "n" range 0 to 9223372036854775807
  %0 = scf.while (%k = %keep, %v = %x) : (tensor<i1>, tensor<?x8xf32>) -> tensor<?x8xf32> {
    %d = graph.read %k : tensor<i1> -> i1
    scf.condition(%d) %v : tensor<?x8xf32>
  } do {
  ^bb0(%v: tensor<?x8xf32>):
    %size = graph.dim %v, 0 : tensor<?x8xf32>
    %1 = graph.reshape %v to [%size, 4, 2] : tensor<?x8xf32> -> tensor<?x4x2xf32>
    %2 = graph.neg %1 : tensor<?x4x2xf32> -> tensor<?x4x2xf32>
    %3 = graph.reshape %2 to [%size, 8] : tensor<?x4x2xf32> -> tensor<?x8xf32>
    scf.yield %keep, %3 : tensor<i1>, tensor<?x8xf32>
  }
  return %0 : tensor<?x8xf32>
}

// Where it grows, its size is read in each iteration.
// CHECK-LABEL: func @growing
// CHECK:         } do {
// CHECK:           graph.dim
func.func @growing(%keep: tensor<i1>, %x: tensor<?xf32> {tenon.dims = ["n"]}) -> tensor<?xf32> {
  %n = graph.symbol "n" range 0 to 9223372036854775807
  %0 = scf.while (%k = %keep, %v = %x) : (tensor<i1>, tensor<?xf32>) -> tensor<?xf32> {
    %d = graph.read %k : tensor<i1> -> i1
    scf.condition(%d) %v : tensor<?xf32>
  } do {
  ^bb0(%v: tensor<?xf32>):
    %size = graph.dim %v, 0 : tensor<?xf32>
    %1 = graph.reshape %v to [%size, 1] : tensor<?xf32> -> tensor<?x1xf32>
    %2 = graph.concat %1, %1 axis 0 : (tensor<?x1xf32>, tensor<?x1xf32>) -> tensor<?x1xf32>
    %3 = graph.reshape %2 to [-1] : tensor<?x1xf32> -> tensor<?xf32>
    scf.yield %keep, %3 : tensor<i1>, tensor<?xf32>
  }
  return %0 : tensor<?xf32>
}

// What is returned is the input itself, whose type knows more.
// CHECK-LABEL: func @returned_identity
// CHECK-SAME:      -> tensor<2x3xf32>
// CHECK:         return %arg0 : tensor<2x3xf32>
func.func @returned_identity(%x: tensor<2x3xf32>) -> tensor<?x?xf32> {
  %shape = graph.constant dense<[2, 3]> : tensor<2xi64>
  %0 = graph.extract %shape[0] : tensor<2xi64>
  %y = graph.reshape %x to [%0, -1] : tensor<2x3xf32> -> tensor<?x?xf32>
  return %y : tensor<?x?xf32>
}

// An element of an input is a symbol that may be negative. The run checks that
// no size is and that the number of elements stays.
// CHECK-LABEL: func @sizes_from_values
// CHECK-DAG:     %[[ROWS:.*]] = graph.symbol "shape[0]" range -140737488355328 to 140737488355328
// CHECK-DAG:     %[[COLUMNS:.*]] = graph.symbol "shape[1]"
// CHECK-DAG:     %[[SOME:.*]] = arith.maxsi %[[ROWS]], %c0
// CHECK-DAG:     %[[ALL:.*]] = arith.muli %[[ROWS]], %[[COLUMNS]]
// CHECK:         graph.reshape %{{.*}} to [%[[ROWS]], %[[COLUMNS]]] {allow_zero}
// CHECK-DAG:     graph.assume_equal %[[ROWS]], %[[SOME]]
// CHECK-DAG:     graph.assume_equal %c12, %[[ALL]]
func.func @sizes_from_values(%x: tensor<2x6xf32>, %shape: tensor<2xi64> {tenon.elements = ["shape[0]", "shape[1]"]}) -> tensor<?x?xf32> {
  %0 = graph.extract %shape[0] : tensor<2xi64>
  %1 = graph.extract %shape[1] : tensor<2xi64>
  %y = graph.reshape %x to [%0, %1] : tensor<2x6xf32> -> tensor<?x?xf32>
  return %y : tensor<?x?xf32>
}

// Arithmetic on such an input that no size needs stays where it is.
// CHECK-LABEL: func @values_that_are_no_sizes
// CHECK-NOT:     graph.symbol
// CHECK:         graph.add
func.func @values_that_are_no_sizes(%n: tensor<2xi64> {tenon.elements = ["n[0]", "n[1]"]}) -> tensor<2xi64> {
  %y = graph.add %n, %n : tensor<2xi64>, tensor<2xi64> -> tensor<2xi64>
  return %y : tensor<2xi64>
}

// CHECK-LABEL: func @logic_on_sizes
// CHECK:         graph.broadcast %arg0 to [4, 8]
func.func @logic_on_sizes(%x: tensor<1x8xf32>) -> tensor<?x8xf32> {
  %three = graph.constant dense<3> : tensor<1xi64>
  %six = graph.constant dense<6> : tensor<1xi64>
  %four = graph.constant dense<4> : tensor<1xi64>
  %zero = graph.constant dense<0> : tensor<1xi64>
  %same = graph.equal %three, %six : tensor<1xi64>, tensor<1xi64> -> tensor<1xi1>
  %differ = graph.not %same : tensor<1xi1> -> tensor<1xi1>
  %rest = graph.mod %six, %three : tensor<1xi64>, tensor<1xi64> -> tensor<1xi64>
  %divides = graph.equal %rest, %zero : tensor<1xi64>, tensor<1xi64> -> tensor<1xi1>
  %both = graph.and %differ, %divides : tensor<1xi1>, tensor<1xi1> -> tensor<1xi1>
  %size = graph.where %both, %four, %six : tensor<1xi1>, tensor<1xi64>, tensor<1xi64> -> tensor<1xi64>
  %0 = graph.extract %size[0] : tensor<1xi64>
  %y = graph.broadcast %x to [%0, 8] : tensor<1x8xf32> -> tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}

// Two unknown sizes that are the input's again.
// CHECK-LABEL: func @back
// CHECK-NOT:     graph.reshape
// CHECK:         return %arg0
func.func @back(%x: tensor<?x8x?xf32> {tenon.dims = ["batch", 8, "places"]}) -> tensor<?x8x?xf32> {
  %batch = graph.symbol "batch" range 0 to 64
  %places = graph.symbol "places" range 0 to 64
  %0 = graph.reshape %x to [%batch, 4, 2, %places] {allow_zero} : tensor<?x8x?xf32> -> tensor<?x4x2x?xf32>
  %1 = graph.reshape %0 to [%batch, 8, -1] : tensor<?x4x2x?xf32> -> tensor<?x8x?xf32>
  return %1 : tensor<?x8x?xf32>
}

// What is unsigned or narrow is no size, and its arithmetic is its own.
// CHECK-LABEL: func @unsigned_bytes
// CHECK:         %[[LARGE:.*]] = graph.constant dense<200> : tensor<1xui8>
// CHECK:         %[[SUM:.*]] = graph.add %[[LARGE]], %[[LARGE]]
// CHECK:         graph.cast %[[SUM]] : tensor<1xui8> -> tensor<1xi64>
func.func @unsigned_bytes() -> tensor<1xi64> {
  %c = graph.constant dense<200> : tensor<1xui8>
  %0 = graph.add %c, %c : tensor<1xui8>, tensor<1xui8> -> tensor<1xui8>
  %1 = graph.cast %0 : tensor<1xui8> -> tensor<1xi64>
  return %1 : tensor<1xi64>
}

// Of a number each bit is negated, of a truth value the whole.
// CHECK-LABEL: func @bits_of_a_size
// CHECK-DAG:     %[[BITS:.*]] = graph.constant dense<-18> : tensor<1xi64>
// CHECK-DAG:     %[[TRUTH:.*]] = graph.constant dense<false> : tensor<1xi1>
// CHECK:         return %[[BITS]], %[[TRUTH]]
func.func @bits_of_a_size() -> (tensor<1xi64>, tensor<1xi1>) {
  %size = arith.constant 17 : index
  %0 = graph.from_indices %size : tensor<1xi64>
  %1 = graph.not %0 : tensor<1xi64> -> tensor<1xi64>
  %2 = graph.equal %0, %0 : tensor<1xi64>, tensor<1xi64> -> tensor<1xi1>
  %3 = graph.not %2 : tensor<1xi1> -> tensor<1xi1>
  return %1, %3 : tensor<1xi64>, tensor<1xi1>
}
