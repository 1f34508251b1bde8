// RUN: tenon-opt %s --kernel-schedule-regions=target=sm_80 --split-input-file --verify-diagnostics
func.func @blocks(%x: tensor<?x64xf32>, %w: tensor<2x8x32x4xi8>, %s: tensor<2x2x32xf32>, %n: index) -> tensor<?x64xf32> {
  %0 = kernel.region "r" inputs(%x, %w, %s : tensor<?x64xf32>, tensor<2x8x32x4xi8>, tensor<2x2x32xf32>) indices() sizes(%n) -> tensor<?x64xf32> {
  ^bb0(%a: tensor<?x64xf32>, %b: tensor<2x8x32x4xi8>, %c: tensor<2x2x32xf32>):
    // expected-error@+1 {{multiplies by weights that are quantized in blocks, which no kernel for GPUs does}}
    %p = kernel.contract packed %a, %b scale(%c : tensor<2x2x32xf32>) bits 4 block 32 : tensor<?x64xf32>, tensor<2x8x32x4xi8> -> tensor<?x64xf32>
    kernel.yield %p : tensor<?x64xf32>
  }
  return %0 : tensor<?x64xf32>
}

// -----

#layout = array<i64: 0, 1, 2, 3>
func.func @attention_of_bytes(%x: tensor<1x2x4x8xi8>, %p: tensor<5xf32>) -> tensor<1x2x4x8xf32> {
  %0 = kernel.region "r" inputs(%x, %p : tensor<1x2x4x8xi8>, tensor<5xf32>) indices() sizes() -> tensor<1x2x4x8xf32> {
  ^bb0(%a: tensor<1x2x4x8xi8>, %b: tensor<5xf32>):
    // expected-error@+1 {{of bytes has no kernel for GPUs}}
    %0 = kernel.attention %a, %a, %a quantized %b scale 1.0 {query_layout = #layout, key_layout = #layout, value_layout = #layout, output_layout = #layout} : (tensor<1x2x4x8xi8>, tensor<1x2x4x8xi8>, tensor<1x2x4x8xi8>, tensor<5xf32>) -> tensor<1x2x4x8xf32>
    kernel.yield %0 : tensor<1x2x4x8xf32>
  }
  return %0 : tensor<1x2x4x8xf32>
}
