// RUN: tenon-opt %s --graph-recognize-causal-mask --canonicalize | FileCheck %s

// New queries behind a past: query i sees key j ≤ i + past.
// CHECK-LABEL: func @with_past
// CHECK-SAME:    %[[PADDING:[a-z0-9]+]]: tensor<?x1x1x?xi1>
// CHECK-NOT:     graph.less_equal
// CHECK:         graph.attention causal %{{.*}}, %{{.*}}, %{{.*}} mask %[[PADDING]] scale
func.func @with_past(%q: tensor<?x2x?x8xf32> {tenon.dims = ["b", 2, "s", 8]}, %old: tensor<?x2x?x8xf32> {tenon.dims = ["b", 2, "past", 8]},
                     %new: tensor<?x2x?x8xf32> {tenon.dims = ["b", 2, "s", 8]}, %padding: tensor<?x1x1x?xi1> {tenon.dims = ["b", 1, 1, "t"]}) -> tensor<?x2x?x8xf32> {
  %c0 = arith.constant 0 : index
  %s = graph.symbol "s" range 0 to 64
  %past = graph.symbol "past" range 0 to 64
  %all = arith.addi %past, %s : index
  %k = graph.concat %old, %new axis 2 : (tensor<?x2x?x8xf32>, tensor<?x2x?x8xf32>) -> tensor<?x2x?x8xf32>
  %offset = graph.from_indices %past : tensor<i64>
  %i = graph.iota %c0 step 1 size %s : tensor<?xi64>
  %row = graph.add %i, %offset : tensor<?xi64>, tensor<i64> -> tensor<?xi64>
  %rows = graph.reshape %row to [1, 1, %s, 1] {allow_zero} : tensor<?xi64> -> tensor<1x1x?x1xi64>
  %j = graph.iota %c0 step 1 size %all : tensor<?xi64>
  %columns = graph.reshape %j to [1, 1, 1, %all] {allow_zero} : tensor<?xi64> -> tensor<1x1x1x?xi64>
  %keep = graph.less_equal %columns, %rows : tensor<1x1x1x?xi64>, tensor<1x1x?x1xi64> -> tensor<1x1x?x?xi1>
  %both = graph.and %keep, %padding : tensor<1x1x?x?xi1>, tensor<?x1x1x?xi1> -> tensor<?x1x?x?xi1>
  %o = graph.attention %q, %k, %k mask %both scale 1.250000e-01 : (tensor<?x2x?x8xf32>, tensor<?x2x?x8xf32>, tensor<?x2x?x8xf32>, tensor<?x1x?x?xi1>) -> tensor<?x2x?x8xf32>
  return %o : tensor<?x2x?x8xf32>
}

// Nothing else is masked, and the comparison is the other way round.
// CHECK-LABEL: func @nothing_else
// CHECK:         graph.attention causal %{{.*}}, %{{.*}}, %{{.*}} scale
func.func @nothing_else(%q: tensor<?x2x?x8xf32> {tenon.dims = ["b", 2, "s", 8]}) -> tensor<?x2x?x8xf32> {
  %c0 = arith.constant 0 : index
  %s = graph.symbol "s" range 0 to 64
  %i = graph.iota %c0 step 1 size %s : tensor<?xi64>
  %rows = graph.reshape %i to [%s, 1] {allow_zero} : tensor<?xi64> -> tensor<?x1xi64>
  %keep = graph.greater_equal %rows, %i : tensor<?x1xi64>, tensor<?xi64> -> tensor<?x?xi1>
  %o = graph.attention %q, %q, %q mask %keep scale 1.250000e-01 : (tensor<?x2x?x8xf32>, tensor<?x2x?x8xf32>, tensor<?x2x?x8xf32>, tensor<?x?xi1>) -> tensor<?x2x?x8xf32>
  return %o : tensor<?x2x?x8xf32>
}

// A query sees one key more.
// CHECK-LABEL: func @one_more
// CHECK:         graph.attention %{{.*}} mask
func.func @one_more(%q: tensor<?x2x?x8xf32> {tenon.dims = ["b", 2, "s", 8]}) -> tensor<?x2x?x8xf32> {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %s = graph.symbol "s" range 0 to 64
  %i = graph.iota %c0 step 1 size %s : tensor<?xi64>
  %next = graph.iota %c1 step 1 size %s : tensor<?xi64>
  %rows = graph.reshape %next to [%s, 1] {allow_zero} : tensor<?xi64> -> tensor<?x1xi64>
  %keep = graph.less_equal %i, %rows : tensor<?xi64>, tensor<?x1xi64> -> tensor<?x?xi1>
  %o = graph.attention %q, %q, %q mask %keep scale 1.250000e-01 : (tensor<?x2x?x8xf32>, tensor<?x2x?x8xf32>, tensor<?x2x?x8xf32>, tensor<?x?xi1>) -> tensor<?x2x?x8xf32>
  return %o : tensor<?x2x?x8xf32>
}

// Queries see what follows them, and no key before.
// CHECK-LABEL: func @transposed
// CHECK:         graph.attention %{{.*}} mask
func.func @transposed(%q: tensor<?x2x?x8xf32> {tenon.dims = ["b", 2, "s", 8]}) -> tensor<?x2x?x8xf32> {
  %c0 = arith.constant 0 : index
  %s = graph.symbol "s" range 0 to 64
  %i = graph.iota %c0 step 1 size %s : tensor<?xi64>
  %rows = graph.reshape %i to [%s, 1] {allow_zero} : tensor<?xi64> -> tensor<?x1xi64>
  %keep = graph.less_equal %rows, %i : tensor<?x1xi64>, tensor<?xi64> -> tensor<?x?xi1>
  %o = graph.attention %q, %q, %q mask %keep scale 1.250000e-01 : (tensor<?x2x?x8xf32>, tensor<?x2x?x8xf32>, tensor<?x2x?x8xf32>, tensor<?x?xi1>) -> tensor<?x2x?x8xf32>
  return %o : tensor<?x2x?x8xf32>
}

// Positions that the caller gives may be any.
// CHECK-LABEL: func @given_positions
// CHECK:         graph.attention %{{.*}} mask
func.func @given_positions(%q: tensor<?x2x?x8xf32> {tenon.dims = ["b", 2, "s", 8]}, %i: tensor<?xi64> {tenon.dims = ["s"]}) -> tensor<?x2x?x8xf32> {
  %s = graph.symbol "s" range 0 to 64
  %rows = graph.reshape %i to [%s, 1] {allow_zero} : tensor<?xi64> -> tensor<?x1xi64>
  %keep = graph.less_equal %i, %rows : tensor<?xi64>, tensor<?x1xi64> -> tensor<?x?xi1>
  %o = graph.attention %q, %q, %q mask %keep scale 1.250000e-01 : (tensor<?x2x?x8xf32>, tensor<?x2x?x8xf32>, tensor<?x2x?x8xf32>, tensor<?x?xi1>) -> tensor<?x2x?x8xf32>
  return %o : tensor<?x2x?x8xf32>
}

// Hidden by the lowest float, and a part of constants that hides nothing.
// CHECK-LABEL: func @lowest_float
// CHECK:         graph.attention causal %{{.*}}, %{{.*}}, %{{.*}} scale
func.func @lowest_float(%q: tensor<?x2x?x8xf32> {tenon.dims = ["b", 2, "s", 8]}) -> tensor<?x2x?x8xf32> {
  %c0 = arith.constant 0 : index
  %one = graph.constant dense<1> : tensor<i64>
  %zero = graph.constant dense<0.0> : tensor<f32>
  %low = graph.constant dense<-3.40282347E+38> : tensor<f32>
  %b = graph.symbol "b" range 0 to 64
  %s = graph.symbol "s" range 0 to 64
  %i = graph.iota %c0 step 1 size %s : tensor<?xi64>
  %rows = graph.reshape %i to [%s, 1] {allow_zero} : tensor<?xi64> -> tensor<?x1xi64>
  %keep = graph.less_equal %i, %rows : tensor<?xi64>, tensor<?x1xi64> -> tensor<?x?xi1>
  %ones = graph.broadcast %one to [%b, %s] : tensor<i64> -> tensor<?x?xi64>
  %padding = graph.cast %ones : tensor<?x?xi64> -> tensor<?x?xi1>
  %row = graph.reshape %padding to [%b, 1, 1, %s] {allow_zero} : tensor<?x?xi1> -> tensor<?x1x1x?xi1>
  %both = graph.and %keep, %row : tensor<?x?xi1>, tensor<?x1x1x?xi1> -> tensor<?x1x?x?xi1>
  %mask = graph.where %both, %zero, %low : tensor<?x1x?x?xi1>, tensor<f32>, tensor<f32> -> tensor<?x1x?x?xf32>
  %o = graph.attention %q, %q, %q mask %mask scale 1.250000e-01 : (tensor<?x2x?x8xf32>, tensor<?x2x?x8xf32>, tensor<?x2x?x8xf32>, tensor<?x1x?x?xf32>) -> tensor<?x2x?x8xf32>
  return %o : tensor<?x2x?x8xf32>
}

// Scores may be of that size.
// CHECK-LABEL: func @low_float
// CHECK:         graph.attention %{{.*}} mask
func.func @low_float(%q: tensor<?x2x?x8xf32> {tenon.dims = ["b", 2, "s", 8]}) -> tensor<?x2x?x8xf32> {
  %c0 = arith.constant 0 : index
  %zero = graph.constant dense<0.0> : tensor<f32>
  %low = graph.constant dense<-1.0e+04> : tensor<f32>
  %s = graph.symbol "s" range 0 to 64
  %i = graph.iota %c0 step 1 size %s : tensor<?xi64>
  %rows = graph.reshape %i to [%s, 1] {allow_zero} : tensor<?xi64> -> tensor<?x1xi64>
  %keep = graph.less_equal %i, %rows : tensor<?xi64>, tensor<?x1xi64> -> tensor<?x?xi1>
  %mask = graph.where %keep, %zero, %low : tensor<?x?xi1>, tensor<f32>, tensor<f32> -> tensor<?x?xf32>
  %o = graph.attention %q, %q, %q mask %mask scale 1.250000e-01 : (tensor<?x2x?x8xf32>, tensor<?x2x?x8xf32>, tensor<?x2x?x8xf32>, tensor<?x?xf32>) -> tensor<?x2x?x8xf32>
  return %o : tensor<?x2x?x8xf32>
}

// Padding may hide all that a row sees, and then the lowest float hides nothing.
// CHECK-LABEL: func @lowest_float_and_padding
// CHECK:         graph.attention %{{.*}} mask
func.func @lowest_float_and_padding(%q: tensor<?x2x?x8xf32> {tenon.dims = ["b", 2, "s", 8]}, %padding: tensor<?x1x1x?xi1> {tenon.dims = ["b", 1, 1, "s"]}) -> tensor<?x2x?x8xf32> {
  %c0 = arith.constant 0 : index
  %zero = graph.constant dense<0.0> : tensor<f32>
  %low = graph.constant dense<-3.40282347E+38> : tensor<f32>
  %s = graph.symbol "s" range 0 to 64
  %i = graph.iota %c0 step 1 size %s : tensor<?xi64>
  %rows = graph.reshape %i to [%s, 1] {allow_zero} : tensor<?xi64> -> tensor<?x1xi64>
  %keep = graph.less_equal %i, %rows : tensor<?xi64>, tensor<?x1xi64> -> tensor<?x?xi1>
  %both = graph.and %keep, %padding : tensor<?x?xi1>, tensor<?x1x1x?xi1> -> tensor<?x1x?x?xi1>
  %mask = graph.where %both, %zero, %low : tensor<?x1x?x?xi1>, tensor<f32>, tensor<f32> -> tensor<?x1x?x?xf32>
  %o = graph.attention %q, %q, %q mask %mask scale 1.250000e-01 : (tensor<?x2x?x8xf32>, tensor<?x2x?x8xf32>, tensor<?x2x?x8xf32>, tensor<?x1x?x?xf32>) -> tensor<?x2x?x8xf32>
  return %o : tensor<?x2x?x8xf32>
}

// Fewer keys than queries: the first queries see none.
// CHECK-LABEL: func @fewer_keys
// CHECK:         graph.attention %{{.*}} mask
func.func @fewer_keys(%q: tensor<?x2x?x8xf32> {tenon.dims = ["b", 2, "s", 8]}, %k: tensor<?x2x?x8xf32> {tenon.dims = ["b", 2, "t", 8]}) -> tensor<?x2x?x8xf32> {
  %zero = graph.constant dense<0.0> : tensor<f32>
  %low = graph.constant dense<-3.40282347E+38> : tensor<f32>
  %c0 = arith.constant 0 : index
  %s = graph.symbol "s" range 0 to 64
  %t = graph.symbol "t" range 0 to 64
  %past = arith.subi %t, %s : index
  %j = graph.iota %c0 step 1 size %t : tensor<?xi64>
  %i = graph.iota %past step 1 size %s : tensor<?xi64>
  %rows = graph.reshape %i to [%s, 1] {allow_zero} : tensor<?xi64> -> tensor<?x1xi64>
  %keep = graph.less_equal %j, %rows : tensor<?xi64>, tensor<?x1xi64> -> tensor<?x?xi1>
  %mask = graph.where %keep, %zero, %low : tensor<?x?xi1>, tensor<f32>, tensor<f32> -> tensor<?x?xf32>
  %o = graph.attention %q, %k, %k mask %mask scale 1.250000e-01 : (tensor<?x2x?x8xf32>, tensor<?x2x?x8xf32>, tensor<?x2x?x8xf32>, tensor<?x?xf32>) -> tensor<?x2x?x8xf32>
  return %o : tensor<?x2x?x8xf32>
}
