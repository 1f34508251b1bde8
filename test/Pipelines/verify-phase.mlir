// RUN: tenon-opt %s --verify-phase="phase=fuse leaves=func,kernel,linalg" --verify-diagnostics

func.func @still_graph(%x: tensor<4xf32>) -> tensor<4xf32> {
  // expected-error@+1 {{'graph.relu' op outlives phase 'fuse', which leaves only func, kernel, linalg}}
  %0 = graph.relu %x : tensor<4xf32> -> tensor<4xf32>
  return %0 : tensor<4xf32>
}
