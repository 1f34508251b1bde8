// RUN: tenon-opt %s --graph-slice-heads --canonicalize | FileCheck %s

// GPT-2: three parts of the last dimension. What is not sliced is read as it is.
// CHECK-LABEL: func @packed
// CHECK-SAME:    %[[QKV:.*]]: tensor<?x?x2304xf32>
// CHECK:         %[[S:.*]] = graph.reshape %[[QKV]] to [%{{.*}}, %{{.*}}, 36, 64] {allow_zero} : tensor<?x?x2304xf32> -> tensor<?x?x36x64xf32>
// CHECK-NEXT:    %[[Q:.*]] = graph.slice %[[S]] from [0, 0, 0, 0] to [9223372036854775807, 9223372036854775807, 12, 64] step [1, 1, 1, 1] : {{.*}} -> tensor<?x?x12x64xf32>
// CHECK-NEXT:    %[[QT:.*]] = graph.transpose %[[Q]] [0, 2, 1, 3]
// CHECK:         %[[K:.*]] = graph.slice %{{.*}} from [0, 0, 12, 0] to [{{.*}}, 24, 64]
// CHECK:         %[[KT:.*]] = graph.transpose %[[K]] [0, 2, 1, 3]
// CHECK:         %[[V:.*]] = graph.slice %{{.*}} from [0, 0, 24, 0] to [{{.*}}, 36, 64]
// CHECK:         %[[VT:.*]] = graph.transpose %[[V]] [0, 2, 1, 3]
// CHECK:         graph.attention causal %[[QT]], %[[KT]], %[[VT]]
func.func @packed(%qkv: tensor<?x?x2304xf32> {tenon.dims = ["b", "s", 2304]}) -> tensor<?x12x?x64xf32> {
  %b = graph.symbol "b" range 0 to 64
  %s = graph.symbol "s" range 0 to 64
  %0 = graph.slice %qkv from [0, 0, 0] to [%b, %s, 768] step [1, 1, 1] : tensor<?x?x2304xf32> -> tensor<?x?x768xf32>
  %1 = graph.slice %qkv from [0, 0, 768] to [%b, %s, 1536] step [1, 1, 1] : tensor<?x?x2304xf32> -> tensor<?x?x768xf32>
  %2 = graph.slice %qkv from [0, 0, 1536] to [%b, %s, 2304] step [1, 1, 1] : tensor<?x?x2304xf32> -> tensor<?x?x768xf32>
  %3 = graph.reshape %0 to [%b, %s, 12, 64] {allow_zero} : tensor<?x?x768xf32> -> tensor<?x?x12x64xf32>
  %4 = graph.reshape %1 to [%b, %s, 12, 64] {allow_zero} : tensor<?x?x768xf32> -> tensor<?x?x12x64xf32>
  %5 = graph.reshape %2 to [%b, %s, 12, 64] {allow_zero} : tensor<?x?x768xf32> -> tensor<?x?x12x64xf32>
  %q = graph.transpose %3 [0, 2, 1, 3] : tensor<?x?x12x64xf32> -> tensor<?x12x?x64xf32>
  %k = graph.transpose %4 [0, 2, 1, 3] : tensor<?x?x12x64xf32> -> tensor<?x12x?x64xf32>
  %v = graph.transpose %5 [0, 2, 1, 3] : tensor<?x?x12x64xf32> -> tensor<?x12x?x64xf32>
  %6 = graph.attention causal %q, %k, %v scale 1.250000e-01 : (tensor<?x12x?x64xf32>, tensor<?x12x?x64xf32>, tensor<?x12x?x64xf32>) -> tensor<?x12x?x64xf32>
  return %6 : tensor<?x12x?x64xf32>
}

// GPT-NeoX: each head has its query, key and value beside each other, and
// exporters slice behind the transpose.
// CHECK-LABEL: func @beside_each_other
// CHECK-SAME:    %[[QKV:.*]]: tensor<?x?x96xf32>
// CHECK:         %[[S:.*]] = graph.reshape %[[QKV]] to [%{{.*}}, %{{.*}}, 4, 24] {allow_zero}
// CHECK-NEXT:    %[[V:.*]] = graph.slice %[[S]] from [0, 0, 0, 16] to [{{.*}}, 4, 24] step [1, 1, 1, 1] : {{.*}} -> tensor<?x?x4x8xf32>
// CHECK-NEXT:    %[[T:.*]] = graph.transpose %[[V]] [0, 2, 1, 3]
// CHECK-NEXT:    graph.append %[[T]]
func.func @beside_each_other(%qkv: tensor<?x?x96xf32> {tenon.dims = ["b", "s", 96]}, %cache: tensor<?x4x?x8xf32> {tenon.dims = ["b", 4, "t", 8]}, %starts: tensor<?xi64> {tenon.dims = ["b"]}) -> tensor<?x4x?x8xf32> {
  %b = graph.symbol "b" range 0 to 64
  %s = graph.symbol "s" range 0 to 64
  %t = graph.symbol "t" range 0 to 64
  %0 = graph.reshape %qkv to [%b, %s, 4, 24] {allow_zero} : tensor<?x?x96xf32> -> tensor<?x?x4x24xf32>
  %1 = graph.transpose %0 [0, 2, 1, 3] : tensor<?x?x4x24xf32> -> tensor<?x4x?x24xf32>
  %2 = graph.slice %1 from [0, 0, 0, 16] to [%b, 4, %s, 24] step [1, 1, 1, 1] : tensor<?x4x?x24xf32> -> tensor<?x4x?x8xf32>
  %3 = graph.append %2 into %cache at %starts : (tensor<?x4x?x8xf32>, tensor<?x4x?x8xf32>, tensor<?xi64>) -> tensor<?x4x?x8xf32>
  return %3 : tensor<?x4x?x8xf32>
}

// Vision transformers: [b, s, 3, heads, size], transposed, then one of three.
// CHECK-LABEL: func @one_of_three
// CHECK-SAME:    %[[QKV:.*]]: tensor<?x?x96xf32>
// CHECK:         %[[S:.*]] = graph.reshape %[[QKV]] to [%{{.*}}, %{{.*}}, 12, 8] {allow_zero}
// CHECK-NEXT:    %[[K:.*]] = graph.slice %[[S]] from [0, 0, 4, 0] to [{{.*}}, 8, 8]
// CHECK-NEXT:    %[[T:.*]] = graph.transpose %[[K]] [0, 2, 1, 3]
// CHECK-NEXT:    graph.attention %{{.*}}, %[[T]], %{{.*}}
func.func @one_of_three(%qkv: tensor<?x?x96xf32> {tenon.dims = ["b", "s", 96]}, %q: tensor<?x4x?x8xf32> {tenon.dims = ["b", 4, "s", 8]}) -> tensor<?x4x?x8xf32> {
  %b = graph.symbol "b" range 0 to 64
  %s = graph.symbol "s" range 0 to 64
  %0 = graph.reshape %qkv to [%b, %s, 3, 4, 8] {allow_zero} : tensor<?x?x96xf32> -> tensor<?x?x3x4x8xf32>
  %1 = graph.transpose %0 [2, 0, 3, 1, 4] : tensor<?x?x3x4x8xf32> -> tensor<3x?x4x?x8xf32>
  %2 = graph.slice %1 from [1, 0, 0, 0, 0] to [2, %b, 4, %s, 8] step [1, 1, 1, 1, 1] : tensor<3x?x4x?x8xf32> -> tensor<1x?x4x?x8xf32>
  %3 = graph.reshape %2 to [%b, 4, %s, 8] {allow_zero} : tensor<1x?x4x?x8xf32> -> tensor<?x4x?x8xf32>
  %4 = graph.attention %q, %3, %q scale 1.250000e-01 : (tensor<?x4x?x8xf32>, tensor<?x4x?x8xf32>, tensor<?x4x?x8xf32>) -> tensor<?x4x?x8xf32>
  return %4 : tensor<?x4x?x8xf32>
}

// The same by index. One that is out of range must fail where it is looked up.
// CHECK-LABEL: func @by_index
// CHECK:         %[[OUTSIDE:.*]] = graph.gather
// CHECK:         %[[V:.*]] = graph.slice %{{.*}} from [0, 0, 8, 0] to [{{.*}}, 12, 8] step [1, 1, 1, 1] : tensor<?x?x12x8xf32> -> tensor<?x?x4x8xf32>
// CHECK-NEXT:    %[[T:.*]] = graph.transpose %[[V]] [0, 2, 1, 3]
// CHECK:         graph.attention %{{.*}}, %[[T]], %[[OUTSIDE]]
func.func @by_index(%qkv: tensor<?x?x96xf32> {tenon.dims = ["b", "s", 96]}, %q: tensor<?x4x?x8xf32> {tenon.dims = ["b", 4, "s", 8]}) -> tensor<?x4x?x8xf32> {
  %b = graph.symbol "b" range 0 to 64
  %s = graph.symbol "s" range 0 to 64
  %last = graph.constant dense<-1> : tensor<i64>
  %three = graph.constant dense<3> : tensor<i64>
  %0 = graph.reshape %qkv to [%b, %s, 3, 4, 8] {allow_zero} : tensor<?x?x96xf32> -> tensor<?x?x3x4x8xf32>
  %1 = graph.transpose %0 [2, 0, 3, 1, 4] : tensor<?x?x3x4x8xf32> -> tensor<3x?x4x?x8xf32>
  %2 = graph.gather %1, %last axis 0 : tensor<3x?x4x?x8xf32>, tensor<i64> -> tensor<?x4x?x8xf32>
  %3 = graph.gather %1, %three axis 0 : tensor<3x?x4x?x8xf32>, tensor<i64> -> tensor<?x4x?x8xf32>
  %4 = graph.attention %q, %2, %3 scale 1.250000e-01 : (tensor<?x4x?x8xf32>, tensor<?x4x?x8xf32>, tensor<?x4x?x8xf32>) -> tensor<?x4x?x8xf32>
  return %4 : tensor<?x4x?x8xf32>
}

// Queries and keys of grouped heads are rotated on the way.
// CHECK-LABEL: func @rotated
// CHECK:         %[[K:.*]] = graph.slice %{{.*}} from [0, 0, 9, 0] to [{{.*}}, 12, 64]
// CHECK-NEXT:    %[[T:.*]] = graph.transpose %[[K]] [0, 2, 1, 3]
// CHECK-NEXT:    graph.rotary %[[T]]
func.func @rotated(%qkv: tensor<?x?x960xf32> {tenon.dims = ["b", "s", 960]}, %cos: tensor<?x?x32xf32> {tenon.dims = ["b", "s", 32]}) -> tensor<?x3x?x64xf32> {
  %b = graph.symbol "b" range 0 to 64
  %s = graph.symbol "s" range 0 to 64
  %0 = graph.slice %qkv from [0, 0, 576] to [%b, %s, 768] step [1, 1, 1] : tensor<?x?x960xf32> -> tensor<?x?x192xf32>
  %1 = graph.reshape %0 to [%b, %s, 3, 64] {allow_zero} : tensor<?x?x192xf32> -> tensor<?x?x3x64xf32>
  %2 = graph.transpose %1 [0, 2, 1, 3] : tensor<?x?x3x64xf32> -> tensor<?x3x?x64xf32>
  %3 = graph.rotary %2, %cos, %cos : tensor<?x3x?x64xf32>, tensor<?x?x32xf32>, tensor<?x?x32xf32> -> tensor<?x3x?x64xf32>
  return %3 : tensor<?x3x?x64xf32>
}

// Every second element is no part that lies together.
// CHECK-LABEL: func @steps
// CHECK:         graph.slice %{{.*}} from [0, 0, 0] to [{{.*}}] step [1, 1, 2]
// CHECK:         graph.reshape
// CHECK-NOT:     graph.slice
func.func @steps(%x: tensor<?x?x64xf32> {tenon.dims = ["b", "s", 64]}) -> tensor<?x4x?x8xf32> {
  %b = graph.symbol "b" range 0 to 64
  %s = graph.symbol "s" range 0 to 64
  %0 = graph.slice %x from [0, 0, 0] to [%b, %s, 64] step [1, 1, 2] : tensor<?x?x64xf32> -> tensor<?x?x32xf32>
  %1 = graph.reshape %0 to [%b, %s, 4, 8] {allow_zero} : tensor<?x?x32xf32> -> tensor<?x?x4x8xf32>
  %2 = graph.transpose %1 [0, 2, 1, 3] : tensor<?x?x4x8xf32> -> tensor<?x4x?x8xf32>
  %3 = graph.attention %2, %2, %2 scale 1.250000e-01 : (tensor<?x4x?x8xf32>, tensor<?x4x?x8xf32>, tensor<?x4x?x8xf32>) -> tensor<?x4x?x8xf32>
  return %3 : tensor<?x4x?x8xf32>
}

// Begins in the middle of a head, so that no slice of four dimensions shows it.
// CHECK-LABEL: func @between_heads
// CHECK:         graph.slice %{{.*}} from [0, 0, 4]
// CHECK:         graph.reshape
// CHECK-NOT:     graph.slice
func.func @between_heads(%x: tensor<?x?x64xf32> {tenon.dims = ["b", "s", 64]}) -> tensor<?x4x?x8xf32> {
  %b = graph.symbol "b" range 0 to 64
  %s = graph.symbol "s" range 0 to 64
  %0 = graph.slice %x from [0, 0, 4] to [%b, %s, 36] step [1, 1, 1] : tensor<?x?x64xf32> -> tensor<?x?x32xf32>
  %1 = graph.reshape %0 to [%b, %s, 4, 8] {allow_zero} : tensor<?x?x32xf32> -> tensor<?x?x4x8xf32>
  %2 = graph.transpose %1 [0, 2, 1, 3] : tensor<?x?x4x8xf32> -> tensor<?x4x?x8xf32>
  %3 = graph.attention %2, %2, %2 scale 1.250000e-01 : (tensor<?x4x?x8xf32>, tensor<?x4x?x8xf32>, tensor<?x4x?x8xf32>) -> tensor<?x4x?x8xf32>
  return %3 : tensor<?x4x?x8xf32>
}

// What begins where a size says is not fixed.
// CHECK-LABEL: func @moving
// CHECK:         %[[X:.*]] = graph.slice %{{.*}} from [0, 0, %{{.*}}, 0]
// CHECK:         graph.attention %[[X]], %[[X]], %[[X]]
func.func @moving(%x: tensor<?x4x?x8xf32> {tenon.dims = ["b", 4, "t", 8]}) -> tensor<?x4x?x8xf32> {
  %b = graph.symbol "b" range 0 to 64
  %t = graph.symbol "t" range 8 to 64
  %c8 = arith.constant 8 : index
  %start = arith.subi %t, %c8 : index
  %0 = graph.slice %x from [0, 0, %start, 0] to [%b, 4, %t, 8] step [1, 1, 1, 1] : tensor<?x4x?x8xf32> -> tensor<?x4x?x8xf32>
  %1 = graph.attention %0, %0, %0 scale 1.250000e-01 : (tensor<?x4x?x8xf32>, tensor<?x4x?x8xf32>, tensor<?x4x?x8xf32>) -> tensor<?x4x?x8xf32>
  return %1 : tensor<?x4x?x8xf32>
}

// Batch and sequence change places between slice and heads: what is merged is
// not together in memory.
// CHECK-LABEL: func @merged_otherwise
// CHECK:         graph.slice %{{.*}} from [0, 0, 0]
// CHECK:         graph.transpose %{{.*}} [1, 0, 2]
// CHECK:         graph.reshape
// CHECK-NOT:     graph.slice
func.func @merged_otherwise(%x: tensor<6x5x64xf32>) -> tensor<5x4x6x8xf32> {
  %0 = graph.slice %x from [0, 0, 0] to [6, 5, 32] step [1, 1, 1] : tensor<6x5x64xf32> -> tensor<6x5x32xf32>
  %1 = graph.transpose %0 [1, 0, 2] : tensor<6x5x32xf32> -> tensor<5x6x32xf32>
  %2 = graph.reshape %1 to [5, 4, 6, 8] {allow_zero} : tensor<5x6x32xf32> -> tensor<5x4x6x8xf32>
  %3 = graph.attention %2, %2, %2 scale 1.250000e-01 : (tensor<5x4x6x8xf32>, tensor<5x4x6x8xf32>, tensor<5x4x6x8xf32>) -> tensor<5x4x6x8xf32>
  return %3 : tensor<5x4x6x8xf32>
}
