// RUN: tenon-opt %s --kernel-count-unfused | FileCheck %s

// Layers in the order of the model, and what is in none of them.
// CHECK-LABEL: func.func @layers
// CHECK-SAME:    tenon.unfused = [{launches = 1 : i64, layer = "", read_bytes = "4*n", written_bytes = "4*n"},
// CHECK-SAME:      {launches = 2 : i64, layer = "layer.0", read_bytes = "8*n", written_bytes = "8*n"},
// CHECK-SAME:      {launches = 1 : i64, layer = "layer.1", read_bytes = "4*n", written_bytes = "4*n"}]
func.func @layers(%x: tensor<?xf32> {tenon.dims = ["n"]}) -> tensor<?xf32> {
  %n = kernel.symbol "n" range 0 to 512
  %0 = kernel.region "copy" inputs(%x : tensor<?xf32>) indices() sizes(%n) -> tensor<?xf32> {
  ^bb0(%a: tensor<?xf32>):
    kernel.yield %a : tensor<?xf32>
  } loc("embeddings/Add")
  %1 = kernel.region "copy" inputs(%0 : tensor<?xf32>) indices() sizes(%n) -> tensor<?xf32> {
  ^bb0(%a: tensor<?xf32>):
    kernel.yield %a : tensor<?xf32>
  } loc("layer.0/Add_1")
  %2 = kernel.region "copy" inputs(%1 : tensor<?xf32>) indices() sizes(%n) -> tensor<?xf32> {
  ^bb0(%a: tensor<?xf32>):
    kernel.yield %a : tensor<?xf32>
  } loc("layer.0/Add_2")
  %3 = kernel.region "copy" inputs(%2 : tensor<?xf32>) indices() sizes(%n) -> tensor<?xf32> {
  ^bb0(%a: tensor<?xf32>):
    kernel.yield %a : tensor<?xf32>
  } loc("layer.1/Add_1")
  return %3 : tensor<?xf32>
}

// What depends on data is not compared.
// CHECK-LABEL: func.func @unknown
// CHECK-NOT:     tenon.unfused
// CHECK:         kernel.region
func.func @unknown(%x: tensor<?xf32>, %n: index) -> tensor<?xf32> {
  %0 = kernel.region "copy" inputs(%x : tensor<?xf32>) indices() sizes(%n) -> tensor<?xf32> {
  ^bb0(%a: tensor<?xf32>):
    kernel.yield %a : tensor<?xf32>
  }
  return %0 : tensor<?xf32>
}
