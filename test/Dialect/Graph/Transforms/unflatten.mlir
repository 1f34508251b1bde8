// RUN: tenon-opt %s --graph-unflatten --canonicalize | FileCheck %s

// As PyTorch's exporter decomposes attention for opset 20.
// CHECK-LABEL: func @keys
// CHECK-SAME:    %[[X:.*]]: tensor<?x12x?x64xf32>
// CHECK-NOT:     graph.reshape
// CHECK:         %[[T:.*]] = graph.transpose %[[X]] [0, 1, 3, 2] {tenon.id = "split"}
// CHECK-NOT:     graph.reshape
// CHECK:         return %[[T]]
func.func @keys(%x: tensor<?x12x?x64xf32> {tenon.dims = ["b", 12, "t", 64]}) -> tensor<?x12x64x?xf32> {
  %b = graph.symbol "b" range 0 to 64
  %t = graph.symbol "t" range 0 to 64
  %c12 = arith.constant 12 : index
  %bh = arith.muli %b, %c12 : index
  %0 = graph.reshape %x to [%bh, %t, 64] {allow_zero} : tensor<?x12x?x64xf32> -> tensor<?x?x64xf32>
  %1 = graph.transpose %0 [0, 2, 1] : tensor<?x?x64xf32> -> tensor<?x64x?xf32>
  %2 = graph.reshape %1 to [%b, 12, 64, %t] {allow_zero, tenon.id = "split"} : tensor<?x64x?xf32> -> tensor<?x12x64x?xf32>
  return %2 : tensor<?x12x64x?xf32>
}

// Split otherwise than it was merged: heads and batch have changed places.
// CHECK-LABEL: func @split_otherwise
// CHECK:         graph.transpose %{{.*}} [0, 2, 1]
func.func @split_otherwise(%x: tensor<?x12x?x64xf32> {tenon.dims = ["b", 12, "t", 64]}) -> tensor<12x?x64x?xf32> {
  %b = graph.symbol "b" range 0 to 64
  %t = graph.symbol "t" range 0 to 64
  %c12 = arith.constant 12 : index
  %bh = arith.muli %b, %c12 : index
  %0 = graph.reshape %x to [%bh, %t, 64] {allow_zero} : tensor<?x12x?x64xf32> -> tensor<?x?x64xf32>
  %1 = graph.transpose %0 [0, 2, 1] : tensor<?x?x64xf32> -> tensor<?x64x?xf32>
  %2 = graph.reshape %1 to [12, %b, 64, %t] {allow_zero} : tensor<?x64x?xf32> -> tensor<12x?x64x?xf32>
  return %2 : tensor<12x?x64x?xf32>
}

// The merged dimension moves, so what it was merged from does not stay together.
// CHECK-LABEL: func @merged_dimension_moves
// CHECK:         graph.transpose %{{.*}} [1, 0, 2]
func.func @merged_dimension_moves(%x: tensor<4x4x4x64xf32>) -> tensor<4x4x4x64xf32> {
  %0 = graph.reshape %x to [16, 4, 64] {allow_zero} : tensor<4x4x4x64xf32> -> tensor<16x4x64xf32>
  %1 = graph.transpose %0 [1, 0, 2] : tensor<16x4x64xf32> -> tensor<4x16x64xf32>
  %2 = graph.reshape %1 to [4, 4, 4, 64] {allow_zero} : tensor<4x16x64xf32> -> tensor<4x4x4x64xf32>
  return %2 : tensor<4x4x4x64xf32>
}

// Merged from the middle, so that the rest is not what it was.
// CHECK-LABEL: func @other_rows
// CHECK:         graph.transpose %{{.*}} [0, 2, 1]
func.func @other_rows(%x: tensor<?x12x?x64xf32> {tenon.dims = ["b", 12, "t", 64]}) -> tensor<?x12x64x?xf32> {
  %b = graph.symbol "b" range 0 to 64
  %t = graph.symbol "t" range 0 to 64
  %c12 = arith.constant 12 : index
  %th = arith.muli %t, %c12 : index
  %0 = graph.reshape %x to [%b, %th, 64] {allow_zero} : tensor<?x12x?x64xf32> -> tensor<?x?x64xf32>
  %1 = graph.transpose %0 [0, 2, 1] : tensor<?x?x64xf32> -> tensor<?x64x?xf32>
  %2 = graph.reshape %1 to [%b, 12, 64, %t] {allow_zero} : tensor<?x64x?xf32> -> tensor<?x12x64x?xf32>
  return %2 : tensor<?x12x64x?xf32>
}

// A layer of GPT-2.
// CHECK-LABEL: func @product
// CHECK-SAME:    %[[X:.*]]: tensor<?x?x8xf32>
// CHECK-NOT:     graph.reshape
// CHECK:         %[[P:.*]] = graph.matmul %[[X]], %{{.*}} {tenon.id = "product"} : {{.*}} -> tensor<?x?x16xf32>
// CHECK:         %[[S:.*]] = graph.add %[[P]], %{{.*}} {tenon.id = "sum"} : {{.*}} -> tensor<?x?x16xf32>
// CHECK-NOT:     graph.reshape
// CHECK:         return %[[S]]
func.func @product(%x: tensor<?x?x8xf32> {tenon.dims = ["b", "s", 8]}, %w: tensor<8x16xf32>, %bias: tensor<16xf32>) -> tensor<?x?x16xf32> {
  %b = graph.symbol "b" range 0 to 64
  %s = graph.symbol "s" range 0 to 64
  %bs = arith.muli %b, %s : index
  %0 = graph.reshape %x to [%bs, 8] {allow_zero} : tensor<?x?x8xf32> -> tensor<?x8xf32>
  %1 = graph.matmul %0, %w {tenon.id = "product"} : tensor<?x8xf32>, tensor<8x16xf32> -> tensor<?x16xf32>
  %2 = graph.add %bias, %1 {tenon.id = "sum"} : tensor<16xf32>, tensor<?x16xf32> -> tensor<?x16xf32>
  %3 = graph.reshape %2 to [%b, %s, 16] {allow_zero, tenon.id = "split"} : tensor<?x16xf32> -> tensor<?x?x16xf32>
  return %3 : tensor<?x?x16xf32>
}

// Split otherwise than it was merged.
// CHECK-LABEL: func @product_split_otherwise
// CHECK:         graph.matmul %{{.*}} -> tensor<?x16xf32>
func.func @product_split_otherwise(%x: tensor<?x?x8xf32> {tenon.dims = ["b", "s", 8]}, %w: tensor<8x16xf32>) -> tensor<?x?x16xf32> {
  %b = graph.symbol "b" range 0 to 64
  %s = graph.symbol "s" range 0 to 64
  %bs = arith.muli %b, %s : index
  %0 = graph.reshape %x to [%bs, 8] {allow_zero} : tensor<?x?x8xf32> -> tensor<?x8xf32>
  %1 = graph.matmul %0, %w : tensor<?x8xf32>, tensor<8x16xf32> -> tensor<?x16xf32>
  %2 = graph.reshape %1 to [%s, %b, 16] {allow_zero} : tensor<?x16xf32> -> tensor<?x?x16xf32>
  return %2 : tensor<?x?x16xf32>
}

// The merged product is read by others, too.
// CHECK-LABEL: func @product_read_twice
// CHECK:         graph.matmul %{{.*}} -> tensor<?x16xf32>
func.func @product_read_twice(%x: tensor<?x?x8xf32> {tenon.dims = ["b", "s", 8]}, %w: tensor<8x16xf32>) -> (tensor<?x16xf32>, tensor<?x?x16xf32>) {
  %b = graph.symbol "b" range 0 to 64
  %s = graph.symbol "s" range 0 to 64
  %bs = arith.muli %b, %s : index
  %0 = graph.reshape %x to [%bs, 8] {allow_zero} : tensor<?x?x8xf32> -> tensor<?x8xf32>
  %1 = graph.matmul %0, %w : tensor<?x8xf32>, tensor<8x16xf32> -> tensor<?x16xf32>
  %2 = graph.reshape %1 to [%b, %s, 16] {allow_zero} : tensor<?x16xf32> -> tensor<?x?x16xf32>
  return %1, %2 : tensor<?x16xf32>, tensor<?x?x16xf32>
}

// As BLOOM computes scores: in batches of merged rows, with a bias of each.
// CHECK-LABEL: func @scores
// CHECK-SAME:    %[[Q:[a-z0-9]+]]: tensor<?x12x?x64xf32>{{.*}}, %[[K:[a-z0-9]+]]: tensor<?x12x?x64xf32>{{.*}}, %[[BIAS:[a-z0-9]+]]: tensor<?x12x?xf32>
// CHECK:         %[[MERGED:.*]] = graph.reshape %[[BIAS]] to
// CHECK:         %[[KEYS:.*]] = graph.transpose %[[K]] [0, 1, 3, 2]
// CHECK:         %[[PRODUCT:.*]] = graph.matmul %[[Q]], %[[KEYS]] : tensor<?x12x?x64xf32>, tensor<?x12x64x?xf32> -> tensor<?x12x?x?xf32>
// CHECK:         %[[SCALED:.*]] = graph.mul %[[PRODUCT]], %{{.*}} -> tensor<?x12x?x?xf32>
// CHECK:         %[[ROW:.*]] = graph.reshape %[[MERGED]] to [%{{.*}}, 12, 1, %{{.*}}]
// CHECK:         %[[SUM:.*]] = graph.add %[[SCALED]], %[[ROW]] {tenon.id = "sum"} : tensor<?x12x?x?xf32>, tensor<?x12x1x?xf32> -> tensor<?x12x?x?xf32>
// CHECK:         return %[[SUM]]
func.func @scores(%q: tensor<?x12x?x64xf32> {tenon.dims = ["b", 12, "s", 64]}, %k: tensor<?x12x?x64xf32> {tenon.dims = ["b", 12, "s", 64]},
                  %bias: tensor<?x12x?xf32> {tenon.dims = ["b", 12, "s"]}) -> tensor<?x12x?x?xf32> {
  %b = graph.symbol "b" range 0 to 64
  %s = graph.symbol "s" range 0 to 64
  %c12 = arith.constant 12 : index
  %bh = arith.muli %b, %c12 : index
  %scale = graph.constant dense<0.125> : tensor<f32>
  %0 = graph.reshape %q to [%bh, %s, 64] {allow_zero} : tensor<?x12x?x64xf32> -> tensor<?x?x64xf32>
  %1 = graph.reshape %k to [%bh, %s, 64] {allow_zero} : tensor<?x12x?x64xf32> -> tensor<?x?x64xf32>
  %2 = graph.transpose %1 [0, 2, 1] : tensor<?x?x64xf32> -> tensor<?x64x?xf32>
  %3 = graph.matmul %0, %2 : tensor<?x?x64xf32>, tensor<?x64x?xf32> -> tensor<?x?x?xf32>
  %4 = graph.mul %3, %scale : tensor<?x?x?xf32>, tensor<f32> -> tensor<?x?x?xf32>
  %rows = graph.reshape %bias to [%bh, 1, %s] {allow_zero} : tensor<?x12x?xf32> -> tensor<?x1x?xf32>
  %5 = graph.add %4, %rows {tenon.id = "sum"} : tensor<?x?x?xf32>, tensor<?x1x?xf32> -> tensor<?x?x?xf32>
  %6 = graph.reshape %5 to [%b, 12, %s, %s] {allow_zero} : tensor<?x?x?xf32> -> tensor<?x12x?x?xf32>
  return %6 : tensor<?x12x?x?xf32>
}

// Split into other rows than were merged.
// CHECK-LABEL: func @scores_split_otherwise
// CHECK:         graph.matmul %{{.*}} -> tensor<?x?x?xf32>
func.func @scores_split_otherwise(%q: tensor<?x12x?x64xf32> {tenon.dims = ["b", 12, "s", 64]}, %k: tensor<?x12x?x64xf32> {tenon.dims = ["b", 12, "s", 64]}) -> tensor<12x?x?x?xf32> {
  %b = graph.symbol "b" range 0 to 64
  %s = graph.symbol "s" range 0 to 64
  %c12 = arith.constant 12 : index
  %bh = arith.muli %b, %c12 : index
  %scale = graph.constant dense<0.125> : tensor<f32>
  %0 = graph.reshape %q to [%bh, %s, 64] {allow_zero} : tensor<?x12x?x64xf32> -> tensor<?x?x64xf32>
  %1 = graph.reshape %k to [%bh, %s, 64] {allow_zero} : tensor<?x12x?x64xf32> -> tensor<?x?x64xf32>
  %2 = graph.transpose %1 [0, 2, 1] : tensor<?x?x64xf32> -> tensor<?x64x?xf32>
  %3 = graph.matmul %0, %2 : tensor<?x?x64xf32>, tensor<?x64x?xf32> -> tensor<?x?x?xf32>
  %4 = graph.mul %3, %scale : tensor<?x?x?xf32>, tensor<f32> -> tensor<?x?x?xf32>
  %5 = graph.reshape %4 to [12, %b, %s, %s] {allow_zero} : tensor<?x?x?xf32> -> tensor<12x?x?x?xf32>
  return %5 : tensor<12x?x?x?xf32>
}

// The merged scores are needed themselves.
// CHECK-LABEL: func @scores_used_twice
// CHECK:         graph.matmul %{{.*}} -> tensor<?x?x?xf32>
func.func @scores_used_twice(%q: tensor<?x12x?x64xf32> {tenon.dims = ["b", 12, "s", 64]}, %k: tensor<?x12x?x64xf32> {tenon.dims = ["b", 12, "s", 64]}) -> (tensor<?x12x?x?xf32>, tensor<?x?x?xf32>) {
  %b = graph.symbol "b" range 0 to 64
  %s = graph.symbol "s" range 0 to 64
  %c12 = arith.constant 12 : index
  %bh = arith.muli %b, %c12 : index
  %scale = graph.constant dense<0.125> : tensor<f32>
  %0 = graph.reshape %q to [%bh, %s, 64] {allow_zero} : tensor<?x12x?x64xf32> -> tensor<?x?x64xf32>
  %1 = graph.reshape %k to [%bh, %s, 64] {allow_zero} : tensor<?x12x?x64xf32> -> tensor<?x?x64xf32>
  %2 = graph.transpose %1 [0, 2, 1] : tensor<?x?x64xf32> -> tensor<?x64x?xf32>
  %3 = graph.matmul %0, %2 : tensor<?x?x64xf32>, tensor<?x64x?xf32> -> tensor<?x?x?xf32>
  %4 = graph.mul %3, %scale : tensor<?x?x?xf32>, tensor<f32> -> tensor<?x?x?xf32>
  %5 = graph.reshape %4 to [%b, 12, %s, %s] {allow_zero} : tensor<?x?x?xf32> -> tensor<?x12x?x?xf32>
  return %5, %4 : tensor<?x12x?x?xf32>, tensor<?x?x?xf32>
}
