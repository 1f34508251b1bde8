// RUN: tenon-opt %s --graph-pack-block-weights --split-input-file --verify-diagnostics | FileCheck %s

// What new weights hold is tested on models: test/e2e/test_block_weights.py.

// Without a place for files nothing is done.
// CHECK-LABEL: func @no_place
// CHECK:         graph.dequantize_blocks %{{.*}} block 32 scale %{{.*}} : (tensor<4x32xi8>, tensor<4x1xf32>) -> tensor<4x32xf32>
func.func @no_place() -> tensor<4x32xf32> {
  %q = graph.weight "q" from "q" at 0 : tensor<4x32xi8>
  %s = graph.weight "s" from "s" at 0 : tensor<4x1xf32>
  %0 = graph.dequantize_blocks %q block 32 scale %s : (tensor<4x32xi8>, tensor<4x1xf32>) -> tensor<4x32xf32>
  return %0 : tensor<4x32xf32>
}

// -----

module attributes {tenon.folder = "/dev", tenon.derived_prefix = "/none/"} {
  // What is no weight stays.
  // CHECK-LABEL: func @no_weight
  // CHECK:         graph.dequantize_blocks %arg0 block 32
  func.func @no_weight(%q: tensor<4x32xi8>) -> tensor<4x32xf32> {
    %s = graph.weight "s" from "zero" at 0 : tensor<4x1xf32>
    %0 = graph.dequantize_blocks %q block 32 scale %s : (tensor<4x32xi8>, tensor<4x1xf32>) -> tensor<4x32xf32>
    return %0 : tensor<4x32xf32>
  }

  // What has the form already stays where it is, in other sizes; zero points that
  // are all equal are one.
  // CHECK-LABEL: func @in_place
  // CHECK-DAG:     %[[Q:.*]] = graph.weight "q" from "zero" at 64 : tensor<4x16xui8>
  // CHECK-DAG:     %[[S:.*]] = graph.weight "s" from "zero" at 0 : tensor<4x1xf16>
  // CHECK-DAG:     %[[Z:.*]] = graph.constant dense<5> : tensor<ui8>
  // CHECK:         graph.dequantize_blocks %[[Q]] bits 4 block 32 scale %[[S]] zero_point %[[Z]] {tenon.id = "n"}
  func.func @in_place() -> tensor<4x20xf32> {
    %q = graph.weight "q" from "zero" at 64 : tensor<4x1x16xui8>
    %r = graph.reshape %q to [4, 16] {allow_zero} : tensor<4x1x16xui8> -> tensor<4x16xui8>
    %s = graph.weight "s" from "zero" at 0 : tensor<4x1xf16>
    %z = graph.constant dense<5> : tensor<4x1xui8>
    %0 = graph.dequantize_blocks %r bits 4 block 32 scale %s zero_point %z {tenon.id = "n"} : (tensor<4x16xui8>, tensor<4x1xf16>, tensor<4x1xui8>) -> tensor<4x20xf32>
    return %0 : tensor<4x20xf32>
  }

  // A product in f16 reads weights as they are, in f32.
  // CHECK-LABEL: func @half
  // CHECK:         %[[W:.*]] = graph.dequantize_blocks
  // CHECK:         %[[T:.*]] = graph.transpose %[[W]]
  // CHECK:         graph.matmul %arg0, %[[T]] : tensor<?x20xf16>, tensor<20x4xf32> -> tensor<?x4xf16>
  func.func @half(%x: tensor<?x20xf16>) -> tensor<?x4xf16> {
    %q = graph.weight "q" from "zero" at 64 : tensor<4x16xui8>
    %s = graph.weight "s" from "zero" at 0 : tensor<4x1xf16>
    %0 = graph.dequantize_blocks %q bits 4 block 32 scale %s : (tensor<4x16xui8>, tensor<4x1xf16>) -> tensor<4x20xf32>
    %1 = graph.transpose %0 [1, 0] : tensor<4x20xf32> -> tensor<20x4xf32>
    %2 = graph.cast %1 : tensor<20x4xf32> -> tensor<20x4xf16>
    %3 = graph.matmul %x, %2 : tensor<?x20xf16>, tensor<20x4xf16> -> tensor<?x4xf16>
    return %3 : tensor<?x4xf16>
  }
}

// -----

module attributes {tenon.folder = "/none", tenon.derived_prefix = "/none/"} {
  func.func @unreadable() -> tensor<4x32xf32> {
    %q = graph.weight "q" from "q" at 0 : tensor<4x32xi8>
    // expected-error@+1 {{cannot open '/none/s'}}
    %s = graph.weight "s" from "s" at 0 : tensor<4x1xf32>
    %0 = graph.dequantize_blocks %q block 32 scale %s : (tensor<4x32xi8>, tensor<4x1xf32>) -> tensor<4x32xf32>
    return %0 : tensor<4x32xf32>
  }
}
