// RUN: tenon-opt %s --convert-graph-to-kernel --split-input-file | FileCheck %s

// CHECK-LABEL: func @look_up
// CHECK: %[[B:.*]] = kernel.symbol "b"
// CHECK: %[[W:.*]] = kernel.weight "w" from "f" at 0 source tensor<100x8xf32> layout rows : tensor<100x8xf32>
// CHECK: kernel.region "gather" {{.*}} sizes(%[[B]])
// CHECK: tensor.extract
func.func @look_up(%ids: tensor<?x4xi64> {tenon.dims = ["b", 4]}) -> tensor<?x4x8xf32> {
  %w = graph.weight "w" from "f" at 0 : tensor<100x8xf32>
  %0 = graph.gather %w, %ids axis 0 : tensor<100x8xf32>, tensor<?x4xi64> -> tensor<?x4x8xf32>
  return %0 : tensor<?x4x8xf32>
}

// -----

// CHECK-LABEL: func @tuples
// CHECK: kernel.region "gather_nd"
// CHECK-COUNT-3: tensor.extract
func.func @tuples(%x: tensor<?x?xi1> {tenon.dims = ["a", "b"]}, %t: tensor<?x2xi64> {tenon.dims = ["n", 2]}) -> tensor<?xi1> {
  %0 = graph.gather_nd %x, %t batch_dims 0 : tensor<?x?xi1>, tensor<?x2xi64> -> tensor<?xi1>
  return %0 : tensor<?xi1>
}
