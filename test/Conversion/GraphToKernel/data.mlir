// RUN: tenon-opt %s --convert-graph-to-kernel --split-input-file | FileCheck %s

// CHECK-LABEL: func @look_up
// CHECK-DAG: %[[B:.*]] = kernel.symbol "b"
// CHECK-DAG: %[[W:.*]] = kernel.weight "w" from "f" at 0 source tensor<100x8xf32> layout rows : tensor<100x8xf32>
// CHECK-DAG: %[[E:.*]] = kernel.index_error 0
// CHECK: kernel.region "gather" inputs(%{{.*}}, %[[W]], %[[E]] : {{.*}} sizes(%[[B]])
// CHECK: ^bb0(%{{.*}}, %{{.*}}, %[[ERROR:.*]]: tensor<2xi64>
// CHECK: %[[AT:.*]] = kernel.check_index %{{.*}} below %{{.*}} else %[[ERROR]]
// CHECK: tensor.extract %{{.*}}[%[[AT]],
func.func @look_up(%ids: tensor<?x4xi64> {tenon.dims = ["b", 4]}) -> tensor<?x4x8xf32> {
  %w = graph.weight "w" from "f" at 0 : tensor<100x8xf32>
  %0 = graph.gather %w, %ids axis 0 : tensor<100x8xf32>, tensor<?x4xi64> -> tensor<?x4x8xf32>
  return %0 : tensor<?x4x8xf32>
}

// -----

// CHECK-LABEL: func @tuples
// CHECK: kernel.region "gather_nd"
// CHECK: kernel.check_index
// CHECK: kernel.check_index
// CHECK: tensor.extract
func.func @tuples(%x: tensor<?x?xi1> {tenon.dims = ["a", "b"]}, %t: tensor<?x2xi64> {tenon.dims = ["n", 2]}) -> tensor<?xi1> {
  %0 = graph.gather_nd %x, %t batch_dims 0 : tensor<?x?xi1>, tensor<?x2xi64> -> tensor<?xi1>
  return %0 : tensor<?xi1>
}

// -----

// A size that is surely the input's is no bound; another could be above it.
// CHECK-LABEL: func @elements
// CHECK: kernel.region "gather_elements"
// CHECK: %[[ROW:.*]] = linalg.index 0 : index
// CHECK: %[[AT:.*]] = kernel.check_index
// CHECK: tensor.extract %{{.*}}[%[[ROW]], %[[AT]]] : tensor<?x8xf32>
func.func @elements(%x: tensor<?x8xf32> {tenon.dims = ["n", 8]}, %i: tensor<?x2xi64> {tenon.dims = ["n", 2]}) -> tensor<?x2xf32> {
  %0 = graph.gather_elements %x, %i axis 1 : tensor<?x8xf32>, tensor<?x2xi64> -> tensor<?x2xf32>
  return %0 : tensor<?x2xf32>
}

// -----

// CHECK-LABEL: func @elements_of_fewer_rows
// CHECK: kernel.region "gather_elements"
// CHECK: %[[ROW:.*]] = arith.maxsi
// CHECK: %[[AT:.*]] = kernel.check_index
// CHECK: tensor.extract %{{.*}}[%[[ROW]], %[[AT]]] : tensor<?x8xf32>
func.func @elements_of_fewer_rows(%x: tensor<?x8xf32> {tenon.dims = ["n", 8]}, %i: tensor<?x2xi64> {tenon.dims = ["m", 2]}) -> tensor<?x2xf32> {
  %0 = graph.gather_elements %x, %i axis 1 : tensor<?x8xf32>, tensor<?x2xi64> -> tensor<?x2xf32>
  return %0 : tensor<?x2xf32>
}

// -----

// A line is the input's, then updates; those beyond the indices get none.
// CHECK-LABEL: func @scatter_elements
// CHECK: kernel.region "scatter_elements"
// CHECK: kernel.lines %{{.*}} axis 1 : tensor<?x8xf32>
// CHECK: ^bb0(%[[ROW:.*]]: index, %[[LINE:.*]]: tensor<8xf32>):
// CHECK: %[[COPY:.*]] = scf.for {{.*}} iter_args(%{{.*}} = %[[LINE]])
// CHECK: arith.cmpi slt, %[[ROW]]
// CHECK: scf.for {{.*}} iter_args(%[[BEFORE:.*]] = %[[COPY]])
// CHECK: %[[AT:.*]] = kernel.check_index %{{.*}} below %{{.*}} else %{{.*}} : tensor<2xi64>
// CHECK: %[[OLD:.*]] = tensor.extract %[[BEFORE]][%[[AT]]]
// CHECK: %[[NEW:.*]] = arith.addf %[[OLD]]
// CHECK: tensor.insert %[[NEW]] into %[[BEFORE]][%[[AT]]]
func.func @scatter_elements(%x: tensor<?x8xf32> {tenon.dims = ["n", 8]}, %i: tensor<?x2xi64> {tenon.dims = ["m", 2]}, %u: tensor<?x2xf32> {tenon.dims = ["m", 2]}) -> tensor<?x8xf32> {
  %0 = graph.scatter_elements add %x, %i, %u axis 1 : tensor<?x8xf32>, tensor<?x2xi64>, tensor<?x2xf32> -> tensor<?x8xf32>
  return %0 : tensor<?x8xf32>
}

// -----

// The addressed dimensions are one, along which a line lies in each element.
// CHECK-LABEL: func @scatter_nd
// CHECK: kernel.view %{{.*}} : tensor<?x4x8xf32> -> tensor<?x8xf32>
// CHECK: kernel.region "scatter_nd"
// CHECK: kernel.lines %{{.*}} axis 0 : tensor<?x8xf32>
// CHECK-COUNT-2: kernel.check_index
// CHECK: kernel.view %{{.*}} : tensor<?x8xf32> -> tensor<?x4x8xf32>
func.func @scatter_nd(%x: tensor<?x4x8xf32> {tenon.dims = ["n", 4, 8]}, %i: tensor<?x2xi64> {tenon.dims = ["m", 2]}, %u: tensor<?x8xf32> {tenon.dims = ["m", 8]}) -> tensor<?x4x8xf32> {
  %0 = graph.scatter_nd replace %x, %i, %u : tensor<?x4x8xf32>, tensor<?x2xi64>, tensor<?x8xf32> -> tensor<?x4x8xf32>
  return %0 : tensor<?x4x8xf32>
}
