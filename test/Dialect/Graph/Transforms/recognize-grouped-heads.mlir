// RUN: tenon-opt %s --graph-recognize-grouped-heads --canonicalize | FileCheck %s

// CHECK-LABEL: func @grouped
// CHECK-SAME:    %[[Q:.*]]: tensor<?x9x?x64xf32> {{.*}}, %[[K:.*]]: tensor<?x3x?x64xf32> {{.*}}, %[[V:.*]]: tensor<?x3x?x64xf32>
// CHECK-NOT:     graph.broadcast
// CHECK:         graph.attention %[[Q]], %[[K]], %[[V]] scale 1.250000e-01 : (tensor<?x9x?x64xf32>, tensor<?x3x?x64xf32>, tensor<?x3x?x64xf32>)
func.func @grouped(%q: tensor<?x9x?x64xf32> {tenon.dims = ["b", 9, "s", 64]},
                   %k: tensor<?x3x?x64xf32> {tenon.dims = ["b", 3, "t", 64]},
                   %v: tensor<?x3x?x64xf32> {tenon.dims = ["b", 3, "t", 64]}) -> tensor<?x9x?x64xf32> {
  %b = graph.symbol "b" range 0 to 64
  %t = graph.symbol "t" range 0 to 64
  %k1 = graph.reshape %k to [%b, 3, 1, %t, 64] {allow_zero} : tensor<?x3x?x64xf32> -> tensor<?x3x1x?x64xf32>
  %k2 = graph.broadcast %k1 to [%b, 3, 3, %t, 64] : tensor<?x3x1x?x64xf32> -> tensor<?x3x3x?x64xf32>
  %k3 = graph.reshape %k2 to [%b, 9, %t, 64] {allow_zero} : tensor<?x3x3x?x64xf32> -> tensor<?x9x?x64xf32>
  %v1 = graph.reshape %v to [%b, 3, 1, %t, 64] {allow_zero} : tensor<?x3x?x64xf32> -> tensor<?x3x1x?x64xf32>
  %v2 = graph.broadcast %v1 to [%b, 3, 3, %t, 64] : tensor<?x3x1x?x64xf32> -> tensor<?x3x3x?x64xf32>
  %v3 = graph.reshape %v2 to [%b, 9, %t, 64] {allow_zero} : tensor<?x3x3x?x64xf32> -> tensor<?x9x?x64xf32>
  %o = graph.attention %q, %k3, %v3 scale 1.250000e-01 : (tensor<?x9x?x64xf32>, tensor<?x9x?x64xf32>, tensor<?x9x?x64xf32>) -> tensor<?x9x?x64xf32>
  return %o : tensor<?x9x?x64xf32>
}

// The heads as a whole repeated, 0 1 2 0 1 2 and not 0 0 0 1 1 1: query head h
// reads another head.
// CHECK-LABEL: func @tiled
// CHECK:         graph.attention %{{.*}} : (tensor<?x9x?x64xf32>, tensor<?x9x?x64xf32>, tensor<?x9x?x64xf32>)
func.func @tiled(%q: tensor<?x9x?x64xf32> {tenon.dims = ["b", 9, "s", 64]},
                 %k: tensor<?x3x?x64xf32> {tenon.dims = ["b", 3, "t", 64]},
                 %v: tensor<?x3x?x64xf32> {tenon.dims = ["b", 3, "t", 64]}) -> tensor<?x9x?x64xf32> {
  %b = graph.symbol "b" range 0 to 64
  %t = graph.symbol "t" range 0 to 64
  %k1 = graph.reshape %k to [%b, 1, 3, %t, 64] {allow_zero} : tensor<?x3x?x64xf32> -> tensor<?x1x3x?x64xf32>
  %k2 = graph.broadcast %k1 to [%b, 3, 3, %t, 64] : tensor<?x1x3x?x64xf32> -> tensor<?x3x3x?x64xf32>
  %k3 = graph.reshape %k2 to [%b, 9, %t, 64] {allow_zero} : tensor<?x3x3x?x64xf32> -> tensor<?x9x?x64xf32>
  %v1 = graph.reshape %v to [%b, 1, 3, %t, 64] {allow_zero} : tensor<?x3x?x64xf32> -> tensor<?x1x3x?x64xf32>
  %v2 = graph.broadcast %v1 to [%b, 3, 3, %t, 64] : tensor<?x1x3x?x64xf32> -> tensor<?x3x3x?x64xf32>
  %v3 = graph.reshape %v2 to [%b, 9, %t, 64] {allow_zero} : tensor<?x3x3x?x64xf32> -> tensor<?x9x?x64xf32>
  %o = graph.attention %q, %k3, %v3 scale 1.250000e-01 : (tensor<?x9x?x64xf32>, tensor<?x9x?x64xf32>, tensor<?x9x?x64xf32>) -> tensor<?x9x?x64xf32>
  return %o : tensor<?x9x?x64xf32>
}

// CHECK-LABEL: func @only_keys
// CHECK:         graph.attention %{{.*}} : (tensor<?x9x?x64xf32>, tensor<?x9x?x64xf32>, tensor<?x9x?x64xf32>)
func.func @only_keys(%q: tensor<?x9x?x64xf32> {tenon.dims = ["b", 9, "s", 64]},
                     %k: tensor<?x3x?x64xf32> {tenon.dims = ["b", 3, "t", 64]},
                     %v: tensor<?x9x?x64xf32> {tenon.dims = ["b", 9, "t", 64]}) -> tensor<?x9x?x64xf32> {
  %b = graph.symbol "b" range 0 to 64
  %t = graph.symbol "t" range 0 to 64
  %k1 = graph.reshape %k to [%b, 3, 1, %t, 64] {allow_zero} : tensor<?x3x?x64xf32> -> tensor<?x3x1x?x64xf32>
  %k2 = graph.broadcast %k1 to [%b, 3, 3, %t, 64] : tensor<?x3x1x?x64xf32> -> tensor<?x3x3x?x64xf32>
  %k3 = graph.reshape %k2 to [%b, 9, %t, 64] {allow_zero} : tensor<?x3x3x?x64xf32> -> tensor<?x9x?x64xf32>
  %o = graph.attention %q, %k3, %v scale 1.250000e-01 : (tensor<?x9x?x64xf32>, tensor<?x9x?x64xf32>, tensor<?x9x?x64xf32>) -> tensor<?x9x?x64xf32>
  return %o : tensor<?x9x?x64xf32>
}
