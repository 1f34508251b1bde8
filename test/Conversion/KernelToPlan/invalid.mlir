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
