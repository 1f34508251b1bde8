// RUN: tenon-opt %s --convert-kernel-to-plan --split-input-file --verify-diagnostics

func.func @unscheduled(%x: tensor<4xf32>) -> tensor<4xf32> {
  // expected-error@+1 {{has no schedule}}
  %0 = kernel.region "r" inputs(%x : tensor<4xf32>) indices() sizes() -> tensor<4xf32> {
  ^bb0(%in: tensor<4xf32>):
    kernel.yield %in : tensor<4xf32>
  }
  return %0 : tensor<4xf32>
}

// -----

func.func @control_flow(%c: i1, %x: tensor<4xf32>) -> tensor<4xf32> {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  // expected-error@+1 {{'scf.for' op cannot become part of a plan, which holds regions, views, weights, constants and sizes}}
  %0 = scf.for %i = %c0 to %c1 step %c1 iter_args(%y = %x) -> tensor<4xf32> {
    scf.yield %y : tensor<4xf32>
  }
  return %0 : tensor<4xf32>
}

// -----

func.func @nameless_size(%x: tensor<?xf32>) -> tensor<?xf32> {
  // expected-error@+1 {{returns argument 0, whose dimension 0 is named after no symbol of the function}}
  return %x : tensor<?xf32>
}

// -----

// expected-error@+1 {{has 2 blocks, but a plan is one sequence of ops}}
func.func @blocks(%x: tensor<4xf32>) -> tensor<4xf32> {
  cf.br ^bb1
^bb1:
  return %x : tensor<4xf32>
}

// -----

func.func @count_without_bound(%x: tensor<?xf32> {tenon.dims = ["n"]}, %total: tensor<i64>) -> tensor<?xf32> {
  %n = kernel.symbol "n" range 0 to 100
  %count = kernel.count "c" %total at_most %n : tensor<i64>
  %size = arith.xori %count, %n : index
  // expected-error@+1 {{has a size that depends on data and has no bound which is known before the model runs}}
  %0 = kernel.region "first" inputs(%x : tensor<?xf32>) indices() sizes(%size) grid(%size) schedule <"loops", tile = [1], vector = 1> -> tensor<?xf32> {
  ^bb0(%a: memref<?xf32>, %b: memref<?xf32>, %begin: index, %end: index):
    kernel.yield
  }
  %1 = kernel.region "second" inputs(%0 : tensor<?xf32>) indices() sizes(%n) grid(%n) schedule <"loops", tile = [1], vector = 1> -> tensor<?xf32> {
  ^bb0(%a: memref<?xf32>, %b: memref<?xf32>, %begin: index, %end: index):
    kernel.yield
  }
  return %1 : tensor<?xf32>
}
