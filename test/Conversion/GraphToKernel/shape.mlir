// RUN: tenon-opt %s --convert-graph-to-kernel --split-input-file | FileCheck %s

// CHECK-LABEL: func @split_heads
// CHECK: %[[N:.*]] = kernel.symbol "n"
// CHECK: %[[V:.*]] = kernel.view %{{.*}} sizes(%[[N]]) : tensor<2x?x8xf32> -> tensor<2x?x4x2xf32>
// CHECK: kernel.region "transpose" inputs(%[[V]]
func.func @split_heads(%x: tensor<2x?x8xf32> {tenon.dims = [2, "n", 8]}) -> tensor<2x4x?x2xf32> {
  %n = graph.symbol "n" range 0 to 512
  %0 = graph.reshape %x to [2, %n, 4, 2] : tensor<2x?x8xf32> -> tensor<2x?x4x2xf32>
  %1 = graph.transpose %0 [0, 2, 1, 3] : tensor<2x?x4x2xf32> -> tensor<2x4x?x2xf32>
  return %1 : tensor<2x4x?x2xf32>
}

// -----

// Only a dimension of size 1 moves: no element does.
// CHECK-LABEL: func @moves_nothing
// CHECK-NOT: kernel.region
// CHECK: kernel.view
func.func @moves_nothing(%x: tensor<4x1x8xf32>) -> tensor<1x4x8xf32> {
  %0 = graph.transpose %x [1, 0, 2] : tensor<4x1x8xf32> -> tensor<1x4x8xf32>
  return %0 : tensor<1x4x8xf32>
}

// -----

// CHECK-LABEL: func @join
// CHECK: %[[SUM:.*]] = arith.addi
// CHECK: kernel.region "concat" {{.*}} sizes(%[[SUM]])
// CHECK: scf.if
// CHECK: tensor.extract
func.func @join(%x: tensor<?xf32> {tenon.dims = ["n"]}, %y: tensor<?xf32> {tenon.dims = ["m"]}) -> tensor<?xf32> {
  %0 = graph.concat %x, %y axis 0 : (tensor<?xf32>, tensor<?xf32>) -> tensor<?xf32>
  return %0 : tensor<?xf32>
}

// -----

// CHECK-LABEL: func @last
// CHECK: kernel.region "slice"
// CHECK: tensor.extract
func.func @last(%x: tensor<?x8xf32> {tenon.dims = ["n", 8]}) -> tensor<1x8xf32> {
  %0 = graph.slice %x from [-1, 0] to [9223372036854775807, 9223372036854775807] step [1, 1] : tensor<?x8xf32> -> tensor<1x8xf32>
  return %0 : tensor<1x8xf32>
}

// -----

// CHECK-LABEL: func @all
// CHECK-NOT: kernel.region
// CHECK: return
func.func @all(%x: tensor<?x8xf32> {tenon.dims = ["n", 8]}) -> tensor<?x8xf32> {
  %0 = graph.slice %x from [0, 0] to [9223372036854775807, 8] step [1, 1] : tensor<?x8xf32> -> tensor<?x8xf32>
  return %0 : tensor<?x8xf32>
}

// -----

// CHECK-LABEL: func @count
// CHECK: kernel.region "iota"
// CHECK: kernel.region "from_indices"
// CHECK: kernel.region "broadcast"
func.func @count() -> (tensor<?xi64>, tensor<2xi64>, tensor<?x8xf32>) {
  %n = graph.symbol "n" range 0 to 512
  %c = arith.constant 3 : index
  %0 = graph.iota %c step 1 size %n : tensor<?xi64>
  %1 = graph.from_indices %n, %c : tensor<2xi64>
  %2 = graph.constant dense<[[1.0], [2.0]]> : tensor<2x1xf32>
  %3 = graph.constant dense<1.0> : tensor<1x8xf32>
  %4 = graph.broadcast %3 to [%n, 8] : tensor<1x8xf32> -> tensor<?x8xf32>
  return %0, %1, %4 : tensor<?xi64>, tensor<2xi64>, tensor<?x8xf32>
}

// -----

// Outside the input the value stands, and nothing is read.
// CHECK-LABEL: func @pad_constant
// CHECK: kernel.region "pad"
// CHECK: %[[INSIDE:.*]] = arith.cmpi ult
// CHECK: scf.if %[[INSIDE]]
// CHECK: tensor.extract
func.func @pad_constant(%x: tensor<?x8xf32> {tenon.dims = ["n", 8]}) -> tensor<?x8xf32> {
  %v = graph.constant dense<1.0> : tensor<f32>
  %0 = graph.pad constant %x value %v low [1, 0] high [2, 0] : (tensor<?x8xf32>, tensor<f32>) -> tensor<?x8xf32>
  return %0 : tensor<?x8xf32>
}

// -----

// CHECK-LABEL: func @pad_edge
// CHECK: kernel.region "pad"
// CHECK-NOT: scf.if
// CHECK: arith.minsi
// CHECK: arith.maxsi
// CHECK: tensor.extract
func.func @pad_edge(%x: tensor<?x8xf32> {tenon.dims = ["n", 8]}) -> tensor<?x12xf32> {
  %0 = graph.pad edge %x low [0, 2] high [0, 2] : (tensor<?x8xf32>) -> tensor<?x12xf32>
  return %0 : tensor<?x12xf32>
}

// -----

// CHECK-LABEL: func @pad_by_nothing
// CHECK-NOT: kernel.region
// CHECK: return
func.func @pad_by_nothing(%x: tensor<?x8xf32> {tenon.dims = ["n", 8]}) -> tensor<?x8xf32> {
  %0 = graph.pad edge %x low [0, 0] high [0, 0] : (tensor<?x8xf32>) -> tensor<?x8xf32>
  return %0 : tensor<?x8xf32>
}
