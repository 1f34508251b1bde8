// RUN: tenon-opt %s --convert-kernel-to-plan --canonicalize | FileCheck %s

// A slice is as large as its tensor may become, and seen with the sizes that it
// has: here 3·(n - count), at most 3·n. The output is made as large, and says how
// much of it there is.
// CHECK-LABEL: func.func @rest
// CHECK-DAG:     %[[THREE:.*]] = arith.constant 3 : index
// CHECK-DAG:     %[[N:.*]] = plan.symbol "n"
// CHECK:         %[[READ:.*]] = plan.read %arg1 : memref<i64> -> i64
// CHECK:         %[[COUNT:.*]] = arith.index_cast %[[READ]]
// CHECK:         %[[REST:.*]] = arith.subi %[[N]], %[[COUNT]]
// CHECK-COUNT-2: arith.maxsi
// CHECK:         %[[MOST:.*]] = arith.maxsi
// CHECK:         %[[SLICE:.*]] = plan.alloc sizes(%[[MOST]]) : memref<?xf32>
// CHECK:         %[[SEEN:.*]] = plan.view %[[SLICE]] sizes(%[[SIZE:.*]]) : memref<?xf32> -> memref<?xf32>
// CHECK:         plan.launch @{{.*}} grid(%[[SIZE]]) buffers(%arg0, %[[SEEN]]
// CHECK:         %[[END:.*]] = plan.view %arg2 sizes(%[[SIZE]])
// CHECK:         plan.launch @{{.*}} buffers(%[[SEEN]], %[[END]]
// CHECK:         plan.output %arg2 sizes(%[[MOST]]) counted(%[[SIZE]])
func.func @rest(%x: tensor<?xf32> {tenon.dims = ["n"]}, %total: tensor<i64>) -> tensor<?xf32> {
  %three = arith.constant 3 : index
  %n = kernel.symbol "n" range 0 to 100
  %count = kernel.count "c" %total at_most %n : tensor<i64>
  %rest = arith.subi %n, %count : index
  %size = arith.muli %rest, %three : index
  %0 = kernel.region "first" inputs(%x : tensor<?xf32>) indices() sizes(%size) grid(%size) schedule <"loops", tile = [1], vector = 1> -> tensor<?xf32> {
  ^bb0(%a: memref<?xf32>, %b: memref<?xf32>, %begin: index, %end: index):
    kernel.yield
  }
  %1 = kernel.region "second" inputs(%0 : tensor<?xf32>) indices() sizes(%size) grid(%size) schedule <"loops", tile = [1], vector = 1> -> tensor<?xf32> {
  ^bb0(%a: memref<?xf32>, %b: memref<?xf32>, %begin: index, %end: index):
    kernel.yield
  }
  return %1 : tensor<?xf32>
}
