// RUN: tenon-opt %s --graph-narrow-feed-forward --split-input-file --verify-diagnostics | FileCheck %s

// Which channels are kept is tested on a model: test/e2e/test_recipe.py.

// Not chosen, or as wide already.
// CHECK-LABEL: func.func @not_chosen
// CHECK-COUNT-2: graph.matmul {{.*}}tensor<8x64xf32>
func.func @not_chosen(%x: tensor<?x8xf32>) -> (tensor<?x64xf32>, tensor<?x64xf32>) {
  %w = graph.weight "w" from "none" at 0 : tensor<8x64xf32>
  %0 = graph.matmul %x, %w : tensor<?x8xf32>, tensor<8x64xf32> -> tensor<?x64xf32>
  %1 = graph.matmul %x, %w {tenon.width = 64} : tensor<?x8xf32>, tensor<8x64xf32> -> tensor<?x64xf32>
  return %0, %1 : tensor<?x64xf32>, tensor<?x64xf32>
}

// -----

func.func @too_wide(%x: tensor<?x8xf32>) -> tensor<?x64xf32> {
  %w = graph.weight "w" from "none" at 0 : tensor<8x64xf32>
  // expected-error@+1 {{cannot be narrowed to 96 columns: it has 64}}
  %0 = graph.matmul %x, %w {tenon.width = 96} : tensor<?x8xf32>, tensor<8x64xf32> -> tensor<?x64xf32>
  return %0 : tensor<?x64xf32>
}

// -----

func.func @read_twice(%x: tensor<?x8xf32>) -> (tensor<?x8xf32>, tensor<?x64xf32>) {
  %w = graph.weight "w" from "none" at 0 : tensor<8x64xf32>
  %v = graph.weight "v" from "none" at 0 : tensor<64x8xf32>
  // expected-error@+1 {{cannot be narrowed: a value behind it is read more than once}}
  %0 = graph.matmul %x, %w {tenon.width = 32} : tensor<?x8xf32>, tensor<8x64xf32> -> tensor<?x64xf32>
  %1 = graph.matmul %0, %v : tensor<?x64xf32>, tensor<64x8xf32> -> tensor<?x8xf32>
  return %1, %0 : tensor<?x8xf32>, tensor<?x64xf32>
}

// -----

// A softmax mixes the channels.
func.func @mixed(%x: tensor<?x8xf32>) -> tensor<?x8xf32> {
  %w = graph.weight "w" from "none" at 0 : tensor<8x64xf32>
  %v = graph.weight "v" from "none" at 0 : tensor<64x8xf32>
  // expected-error@+1 {{cannot be narrowed: 'graph.softmax' stands between it and the next product}}
  %0 = graph.matmul %x, %w {tenon.width = 32} : tensor<?x8xf32>, tensor<8x64xf32> -> tensor<?x64xf32>
  %1 = graph.softmax %0 axis 1 : tensor<?x64xf32> -> tensor<?x64xf32>
  %2 = graph.matmul %1, %v : tensor<?x64xf32>, tensor<64x8xf32> -> tensor<?x8xf32>
  return %2 : tensor<?x8xf32>
}

// -----

func.func @no_weights(%x: tensor<?x8xf32>, %w: tensor<8x64xf32>) -> tensor<?x64xf32> {
  // expected-error@+1 {{cannot be narrowed: its right operand is no matrix of weights}}
  %0 = graph.matmul %x, %w {tenon.width = 32} : tensor<?x8xf32>, tensor<8x64xf32> -> tensor<?x64xf32>
  return %0 : tensor<?x64xf32>
}

// -----

func.func @no_weights_behind(%x: tensor<?x8xf32>, %v: tensor<64x8xf32>) -> tensor<?x8xf32> {
  %w = graph.weight "w" from "none" at 0 : tensor<8x64xf32>
  // expected-error@+1 {{cannot be narrowed: what follows is no product with a matrix of weights}}
  %0 = graph.matmul %x, %w {tenon.width = 32} : tensor<?x8xf32>, tensor<8x64xf32> -> tensor<?x64xf32>
  %1 = graph.matmul %0, %v : tensor<?x64xf32>, tensor<64x8xf32> -> tensor<?x8xf32>
  return %1 : tensor<?x8xf32>
}

// -----

func.func @matrix_between(%x: tensor<4x8xf32>, %y: tensor<4x64xf32>) -> tensor<4x64xf32> {
  %w = graph.weight "w" from "none" at 0 : tensor<8x64xf32>
  // expected-error@+1 {{cannot be narrowed: 'graph.add' reads something that is no vector of its width}}
  %0 = graph.matmul %x, %w {tenon.width = 32} : tensor<4x8xf32>, tensor<8x64xf32> -> tensor<4x64xf32>
  %1 = graph.add %0, %y : tensor<4x64xf32>, tensor<4x64xf32> -> tensor<4x64xf32>
  return %1 : tensor<4x64xf32>
}
