// RUN: tenon-opt %s --graph-fold-weight-sums --split-input-file --verify-diagnostics | FileCheck %s

// What weights of more than 1 KiB become is tested on models: test/e2e/test_quantization.py.

module attributes {tenon.folder = "/dev", tenon.derived_prefix = "/none/"} {
  // CHECK-LABEL: func @sums
  // CHECK:         %[[SUMS:.*]] = graph.constant dense<{{\[}}[-2, -4]]> : tensor<1x2xi32>
  // CHECK:         return %[[SUMS]]
  func.func @sums() -> tensor<1x2xi32> {
    %w = graph.constant dense<[[1, -2], [3, 4]]> : tensor<2x2xi8>
    %z = graph.constant dense<3> : tensor<i32>
    %0 = graph.cast %w : tensor<2x2xi8> -> tensor<2x2xi32>
    %1 = graph.sub %0, %z : tensor<2x2xi32>, tensor<i32> -> tensor<2x2xi32>
    %2 = graph.reduce sum %1 axes [0] : tensor<2x2xi32> -> tensor<1x2xi32>
    return %2 : tensor<1x2xi32>
  }

  // CHECK-LABEL: func @other_sign
  // CHECK:         graph.constant dense<{{\[}}[-128, -127], [126, 127]]> : tensor<2x2xi8>
  func.func @other_sign() -> tensor<2x2xi8> {
    %w = graph.constant dense<[[0, 1], [254, 255]]> : tensor<2x2xui8>
    %c = graph.constant dense<-128> : tensor<i8>
    %0 = graph.bitcast %w : tensor<2x2xui8> -> tensor<2x2xi8>
    %1 = graph.xor %0, %c : tensor<2x2xi8>, tensor<i8> -> tensor<2x2xi8>
    return %1 : tensor<2x2xi8>
  }

  // CHECK-LABEL: func @bias
  // CHECK:         graph.constant dense<[5.000000e-01, -1.500000e+00]> : tensor<2xf32>
  func.func @bias() -> tensor<2xf32> {
    %b = graph.constant dense<[1, -3]> : tensor<2xi32>
    %s = graph.constant dense<0.5> : tensor<f32>
    %0 = graph.dequantize %b scale %s : (tensor<2xi32>, tensor<f32>) -> tensor<2xf32>
    return %0 : tensor<2xf32>
  }

  // CHECK-LABEL: func @transposed_sums
  // CHECK:         graph.constant dense<{{\[}}[3, 7]]> : tensor<1x2xi32>
  func.func @transposed_sums() -> tensor<1x2xi32> {
    %w = graph.constant dense<[[1, 2], [3, 4]]> : tensor<2x2xi8>
    %0 = graph.cast %w : tensor<2x2xi8> -> tensor<2x2xi32>
    %1 = graph.reduce sum %0 axes [1] : tensor<2x2xi32> -> tensor<2x1xi32>
    %2 = graph.transpose %1 [1, 0] : tensor<2x1xi32> -> tensor<1x2xi32>
    return %2 : tensor<1x2xi32>
  }

  // Zero points of columns that are all 0.
  // CHECK-LABEL: func @zeros
  // CHECK:         graph.constant dense<0> : tensor<2000xi8>
  func.func @zeros() -> tensor<2000xi8> {
    %z = graph.weight "z" from "zero" at 0 : tensor<2000xi8>
    return %z : tensor<2000xi8>
  }

  // A weight in f32 would be four times as large.
  // CHECK-LABEL: func @matrix
  // CHECK:         graph.dequantize
  func.func @matrix(%s: tensor<f32>) -> tensor<40x40xf32> {
    %w = graph.weight "w" from "zero" at 0 : tensor<40x40xi8>
    %t = graph.constant dense<0.5> : tensor<f32>
    %0 = graph.dequantize %w scale %t : (tensor<40x40xi8>, tensor<f32>) -> tensor<40x40xf32>
    return %0 : tensor<40x40xf32>
  }
}

// -----

// Nowhere to write to.
// CHECK-LABEL: func @without_prefix
// CHECK:         graph.dequantize
func.func @without_prefix() -> tensor<2xf32> {
  %b = graph.constant dense<[1, -3]> : tensor<2xi32>
  %s = graph.constant dense<0.5> : tensor<f32>
  %0 = graph.dequantize %b scale %s : (tensor<2xi32>, tensor<f32>) -> tensor<2xf32>
  return %0 : tensor<2xf32>
}

// -----

module attributes {tenon.folder = "/none", tenon.derived_prefix = "/none/"} {
  func.func @missing_file() -> tensor<2000xi8> {
    // expected-error@+1 {{cannot open '/none/zero': }}
    %z = graph.weight "z" from "zero" at 0 : tensor<2000xi8>
    return %z : tensor<2000xi8>
  }
}
