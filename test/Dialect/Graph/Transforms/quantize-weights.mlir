// RUN: tenon-opt %s --graph-quantize-weights --split-input-file --verify-diagnostics | FileCheck %s

// What values become is tested on a model: test/e2e/test_recipe.py.

// Nothing is chosen, or f32 is.
// CHECK-LABEL: func.func @not_chosen
// CHECK:         graph.weight "w" from "none" at 0 : tensor<8x64xf32>
// CHECK-NOT:     graph.mul
func.func @not_chosen(%x: tensor<?x8xf32>) -> (tensor<?x64xf32>, tensor<?x64xf32>) {
  %w = graph.weight "w" from "none" at 0 : tensor<8x64xf32>
  %0 = graph.matmul %x, %w : tensor<?x8xf32>, tensor<8x64xf32> -> tensor<?x64xf32>
  %1 = graph.matmul %x, %w {tenon.weights = "f32"} : tensor<?x8xf32>, tensor<8x64xf32> -> tensor<?x64xf32>
  return %0, %1 : tensor<?x64xf32>, tensor<?x64xf32>
}

// -----

// Done before: the module was dumped behind this pass.
// CHECK-LABEL: func.func @done
// CHECK-NOT:     graph.mul
func.func @done(%x: tensor<?x8xf32>) -> tensor<?x64xf32> {
  %w = graph.weight "w" from "none" at 0 : tensor<8x64xi8>
  %0 = graph.matmul %x, %w {tenon.weights = "int8"} : tensor<?x8xf32>, tensor<8x64xi8> -> tensor<?x64xf32>
  return %0 : tensor<?x64xf32>
}

// -----

func.func @no_weight(%x: tensor<?x8xf32>, %y: tensor<8x64xf32>) -> tensor<?x64xf32> {
  // expected-error@+1 {{cannot have int8 weights: its right operand is no matrix of weights}}
  %0 = graph.matmul %x, %y {tenon.weights = "int8"} : tensor<?x8xf32>, tensor<8x64xf32> -> tensor<?x64xf32>
  return %0 : tensor<?x64xf32>
}

// -----

func.func @no_folder(%x: tensor<?x8xf32>) -> tensor<?x64xf32> {
  // expected-error@+1 {{needs the folder that the module's attribute 'tenon.folder' names, but there is none}}
  %w = graph.weight "w" from "none" at 0 : tensor<8x64xf32>
  %0 = graph.matmul %x, %w {tenon.weights = "int8"} : tensor<?x8xf32>, tensor<8x64xf32> -> tensor<?x64xf32>
  return %0 : tensor<?x64xf32>
}

// -----

module attributes {tenon.folder = "/none"} {
  func.func @wide(%x: tensor<?x8xf16>) -> tensor<?x64xf16> {
    // expected-error@+1 {{has type 'tensor<8x64xf64>', but only f32, f16 and bf16 can be compressed}}
    %w = graph.weight "w" from "none" at 4 : tensor<8x64xf64>
    %0 = graph.matmul %x, %w {tenon.weights = "int8"} : tensor<?x8xf16>, tensor<8x64xf64> -> tensor<?x64xf16>
    return %0 : tensor<?x64xf16>
  }
}

// -----

module attributes {tenon.folder = "/none"} {
  func.func @missing_file(%x: tensor<?x8xf32>) -> tensor<?x64xf32> {
    // expected-error@+1 {{cannot open '/none/none': }}
    %w = graph.weight "w" from "none" at 4 : tensor<8x64xf32>
    %0 = graph.matmul %x, %w {tenon.weights = "int8"} : tensor<?x8xf32>, tensor<8x64xf32> -> tensor<?x64xf32>
    return %0 : tensor<?x64xf32>
  }
}

// -----

module attributes {tenon.folder = "/dev"} {
  func.func @short_file(%x: tensor<?x8xf32>) -> tensor<?x64xf32> {
    // expected-error@+1 {{needs 2048 bytes at 4 of '/dev/null', which gives 0}}
    %w = graph.weight "w" from "null" at 4 : tensor<8x64xf32>
    %0 = graph.matmul %x, %w {tenon.weights = "int8"} : tensor<?x8xf32>, tensor<8x64xf32> -> tensor<?x64xf32>
    return %0 : tensor<?x64xf32>
  }
}

// -----

module attributes {tenon.folder = "/dev", tenon.derived_prefix = "/dev/null/derived/"} {
  func.func @no_derived_files(%x: tensor<?x8xf32>) -> tensor<?x64xf32> {
    // expected-error@+1 {{cannot create '/dev/null/derived': }}
    %w = graph.weight "w" from "zero" at 4 : tensor<8x64xf32>
    %0 = graph.matmul %x, %w {tenon.weights = "int8"} : tensor<?x8xf32>, tensor<8x64xf32> -> tensor<?x64xf32>
    return %0 : tensor<?x64xf32>
  }
}

// -----

module attributes {tenon.folder = "/dev", tenon.derived_prefix = "/proc/"} {
  func.func @read_only_folder(%x: tensor<?x8xf32>) -> tensor<?x64xf32> {
    // expected-error@+1 {{cannot write '/proc/}}
    %w = graph.weight "w" from "zero" at 4 : tensor<8x64xf32>
    %0 = graph.matmul %x, %w {tenon.weights = "int8"} : tensor<?x8xf32>, tensor<8x64xf32> -> tensor<?x64xf32>
    return %0 : tensor<?x64xf32>
  }
}

// -----

module attributes {tenon.folder = "/dev"} {
  func.func @importance_of_others(%x: tensor<?x8xf32>) -> tensor<?x64xf32> {
    %w = graph.weight "w" from "zero" at 0 : tensor<8x64xf32>
    // expected-error@+1 {{needs an array of 8 numbers of f32 as tenon.importance, one for each contracted channel, but has array<f32: 1.000000e+00>}}
    %0 = graph.matmul %x, %w {tenon.weights = "int4", tenon.group = 32, tenon.importance = array<f32: 1.0>} : tensor<?x8xf32>, tensor<8x64xf32> -> tensor<?x64xf32>
    return %0 : tensor<?x64xf32>
  }
}

// -----

module attributes {tenon.folder = "/dev"} {
  func.func @negative_importance(%x: tensor<?x2xf32>) -> tensor<?x64xf32> {
    %w = graph.weight "w" from "zero" at 0 : tensor<2x64xf32>
    // expected-error@+1 {{has tenon.importance -5.000000e-01 of channel 1, which must be finite and not negative}}
    %0 = graph.matmul %x, %w {tenon.weights = "int4", tenon.group = 32, tenon.importance = array<f32: 1.0, -0.5>} : tensor<?x2xf32>, tensor<2x64xf32> -> tensor<?x64xf32>
    return %0 : tensor<?x64xf32>
  }
}
