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
