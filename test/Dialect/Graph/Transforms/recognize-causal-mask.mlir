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

// The last six keys that a query sees, in the way of the exporters.
// CHECK-LABEL: func @window
// CHECK:         graph.attention causal %{{.*}}, %{{.*}}, %{{.*}} scale 1.250000e-01 window 6 :
func.func @window(%q: tensor<?x2x?x8xf32> {tenon.dims = ["b", 2, "s", 8]}, %old: tensor<?x2x?x8xf32> {tenon.dims = ["b", 2, "past", 8]}) -> tensor<?x2x?x8xf32> {
  %c0 = arith.constant 0 : index
  %six = graph.constant dense<6> : tensor<i64>
  %s = graph.symbol "s" range 0 to 64
  %past = graph.symbol "past" range 0 to 64
  %all = arith.addi %past, %s : index
  %k = graph.concat %old, %q axis 2 : (tensor<?x2x?x8xf32>, tensor<?x2x?x8xf32>) -> tensor<?x2x?x8xf32>
  %i = graph.iota %past step 1 size %s : tensor<?xi64>
  %rows = graph.reshape %i to [%s, 1] {allow_zero} : tensor<?xi64> -> tensor<?x1xi64>
  %j = graph.iota %c0 step 1 size %all : tensor<?xi64>
  %begin = graph.sub %rows, %six : tensor<?x1xi64>, tensor<i64> -> tensor<?x1xi64>
  %near = graph.greater %j, %begin : tensor<?xi64>, tensor<?x1xi64> -> tensor<?x?xi1>
  %keep = graph.less_equal %j, %rows : tensor<?xi64>, tensor<?x1xi64> -> tensor<?x?xi1>
  %both = graph.and %near, %keep : tensor<?x?xi1>, tensor<?x?xi1> -> tensor<?x?xi1>
  %o = graph.attention %q, %k, %k mask %both scale 1.250000e-01 : (tensor<?x2x?x8xf32>, tensor<?x2x?x8xf32>, tensor<?x2x?x8xf32>, tensor<?x?xi1>) -> tensor<?x2x?x8xf32>
  return %o : tensor<?x2x?x8xf32>
}

// As Attention-23 bounds it, with padding beside; the comparisons are the other
// way round, and that with later keys is strict.
// CHECK-LABEL: func @window_and_padding
// CHECK-SAME:    %[[PADDING:[a-z0-9]+]]: tensor<?x1x1x?xi1>
// CHECK:         graph.attention causal %{{.*}}, %{{.*}}, %{{.*}} mask %[[PADDING]] scale 1.250000e-01 window 3 :
func.func @window_and_padding(%q: tensor<?x2x?x8xf32> {tenon.dims = ["b", 2, "s", 8]}, %padding: tensor<?x1x1x?xi1> {tenon.dims = ["b", 1, 1, "s"]}) -> tensor<?x2x?x8xf32> {
  %c0 = arith.constant 0 : index
  %one = graph.constant dense<1> : tensor<i64>
  %two = graph.constant dense<-2> : tensor<i64>
  %s = graph.symbol "s" range 0 to 64
  %i = graph.iota %c0 step 1 size %s : tensor<?xi64>
  %rows = graph.reshape %i to [%s, 1] {allow_zero} : tensor<?xi64> -> tensor<?x1xi64>
  %begin = graph.add %rows, %two : tensor<?x1xi64>, tensor<i64> -> tensor<?x1xi64>
  %near = graph.less_equal %begin, %i : tensor<?x1xi64>, tensor<?xi64> -> tensor<?x?xi1>
  %end = graph.add %rows, %one : tensor<?x1xi64>, tensor<i64> -> tensor<?x1xi64>
  %keep = graph.greater %end, %i : tensor<?x1xi64>, tensor<?xi64> -> tensor<?x?xi1>
  %both = graph.and %keep, %near : tensor<?x?xi1>, tensor<?x?xi1> -> tensor<?x?xi1>
  %all = graph.and %padding, %both : tensor<?x1x1x?xi1>, tensor<?x?xi1> -> tensor<?x1x?x?xi1>
  %o = graph.attention %q, %q, %q mask %all scale 1.250000e-01 : (tensor<?x2x?x8xf32>, tensor<?x2x?x8xf32>, tensor<?x2x?x8xf32>, tensor<?x1x?x?xi1>) -> tensor<?x2x?x8xf32>
  return %o : tensor<?x2x?x8xf32>
}

// Later keys are not hidden: keys around a query are no window.
// CHECK-LABEL: func @window_of_both_sides
// CHECK:         graph.attention %{{.*}} mask
func.func @window_of_both_sides(%q: tensor<?x2x?x8xf32> {tenon.dims = ["b", 2, "s", 8]}) -> tensor<?x2x?x8xf32> {
  %c0 = arith.constant 0 : index
  %six = graph.constant dense<6> : tensor<i64>
  %s = graph.symbol "s" range 0 to 64
  %i = graph.iota %c0 step 1 size %s : tensor<?xi64>
  %rows = graph.reshape %i to [%s, 1] {allow_zero} : tensor<?xi64> -> tensor<?x1xi64>
  %begin = graph.sub %rows, %six : tensor<?x1xi64>, tensor<i64> -> tensor<?x1xi64>
  %near = graph.greater %i, %begin : tensor<?xi64>, tensor<?x1xi64> -> tensor<?x?xi1>
  %o = graph.attention %q, %q, %q mask %near scale 1.250000e-01 : (tensor<?x2x?x8xf32>, tensor<?x2x?x8xf32>, tensor<?x2x?x8xf32>, tensor<?x?xi1>) -> tensor<?x2x?x8xf32>
  return %o : tensor<?x2x?x8xf32>
}

// A window of no key, and one whose size is a size of the model, stay masks.
// CHECK-LABEL: func @window_of_none
// CHECK:         graph.attention causal %{{.*}} mask %{{.*}} scale 1.250000e-01 :
// CHECK:         graph.attention causal %{{.*}} mask %{{.*}} scale 1.250000e-01 :
func.func @window_of_none(%q: tensor<?x2x?x8xf32> {tenon.dims = ["b", 2, "s", 8]}) -> (tensor<?x2x?x8xf32>, tensor<?x2x?x8xf32>) {
  %c0 = arith.constant 0 : index
  %b = graph.symbol "b" range 0 to 64
  %s = graph.symbol "s" range 0 to 64
  %width = graph.from_indices %b : tensor<i64>
  %i = graph.iota %c0 step 1 size %s : tensor<?xi64>
  %rows = graph.reshape %i to [%s, 1] {allow_zero} : tensor<?xi64> -> tensor<?x1xi64>
  %keep = graph.less_equal %i, %rows : tensor<?xi64>, tensor<?x1xi64> -> tensor<?x?xi1>
  %none = graph.greater %i, %rows : tensor<?xi64>, tensor<?x1xi64> -> tensor<?x?xi1>
  %begin = graph.sub %rows, %width : tensor<?x1xi64>, tensor<i64> -> tensor<?x1xi64>
  %near = graph.greater %i, %begin : tensor<?xi64>, tensor<?x1xi64> -> tensor<?x?xi1>
  %first = graph.and %keep, %none : tensor<?x?xi1>, tensor<?x?xi1> -> tensor<?x?xi1>
  %second = graph.and %keep, %near : tensor<?x?xi1>, tensor<?x?xi1> -> tensor<?x?xi1>
  %o = graph.attention %q, %q, %q mask %first scale 1.250000e-01 : (tensor<?x2x?x8xf32>, tensor<?x2x?x8xf32>, tensor<?x2x?x8xf32>, tensor<?x?xi1>) -> tensor<?x2x?x8xf32>
  %u = graph.attention %q, %q, %q mask %second scale 1.250000e-01 : (tensor<?x2x?x8xf32>, tensor<?x2x?x8xf32>, tensor<?x2x?x8xf32>, tensor<?x?xi1>) -> tensor<?x2x?x8xf32>
  return %o, %u : tensor<?x2x?x8xf32>, tensor<?x2x?x8xf32>
}

// Of f16 the lowest number hides, others do not.
// CHECK-LABEL: func @lowest_half
// CHECK:         graph.attention causal %{{.*}}, %{{.*}}, %{{.*}} scale
// CHECK:         graph.attention %{{.*}} mask
func.func @lowest_half(%q: tensor<?x2x?x8xf16> {tenon.dims = ["b", 2, "s", 8]}) -> (tensor<?x2x?x8xf16>, tensor<?x2x?x8xf16>) {
  %c0 = arith.constant 0 : index
  %zero = graph.constant dense<0.0> : tensor<f16>
  %low = graph.constant dense<-6.550400e+04> : tensor<f16>
  %less = graph.constant dense<-1.000000e+04> : tensor<f16>
  %s = graph.symbol "s" range 0 to 64
  %i = graph.iota %c0 step 1 size %s : tensor<?xi64>
  %rows = graph.reshape %i to [%s, 1] {allow_zero} : tensor<?xi64> -> tensor<?x1xi64>
  %keep = graph.less_equal %i, %rows : tensor<?xi64>, tensor<?x1xi64> -> tensor<?x?xi1>
  %first = graph.where %keep, %zero, %low : tensor<?x?xi1>, tensor<f16>, tensor<f16> -> tensor<?x?xf16>
  %second = graph.where %keep, %zero, %less : tensor<?x?xi1>, tensor<f16>, tensor<f16> -> tensor<?x?xf16>
  %o = graph.attention %q, %q, %q mask %first scale 1.250000e-01 : (tensor<?x2x?x8xf16>, tensor<?x2x?x8xf16>, tensor<?x2x?x8xf16>, tensor<?x?xf16>) -> tensor<?x2x?x8xf16>
  %u = graph.attention %q, %q, %q mask %second scale 1.250000e-01 : (tensor<?x2x?x8xf16>, tensor<?x2x?x8xf16>, tensor<?x2x?x8xf16>, tensor<?x?xf16>) -> tensor<?x2x?x8xf16>
  return %o, %u : tensor<?x2x?x8xf16>, tensor<?x2x?x8xf16>
}

// Computed from a mask of ones; one of zeros hides all.
// CHECK-LABEL: func @hides_nothing
// CHECK:         graph.attention causal %{{.*}}, %{{.*}}, %{{.*}} scale
// CHECK:         graph.attention causal %{{.*}} mask
func.func @hides_nothing(%q: tensor<?x2x?x8xf32> {tenon.dims = ["b", 2, "s", 8]}) -> (tensor<?x2x?x8xf32>, tensor<?x2x?x8xf32>) {
  %one = graph.constant dense<1> : tensor<i32>
  %none = graph.constant dense<0> : tensor<i32>
  %zero = graph.constant dense<0.0> : tensor<f32>
  %low = graph.constant dense<-1.000000e+04> : tensor<f32>
  %b = graph.symbol "b" range 0 to 64
  %s = graph.symbol "s" range 0 to 64
  %ones = graph.broadcast %one to [%b, 1, 1, %s] : tensor<i32> -> tensor<?x1x1x?xi32>
  %all = graph.greater %ones, %none : tensor<?x1x1x?xi32>, tensor<i32> -> tensor<?x1x1x?xi1>
  %no = graph.greater %none, %ones : tensor<i32>, tensor<?x1x1x?xi32> -> tensor<?x1x1x?xi1>
  %first = graph.where %all, %zero, %low : tensor<?x1x1x?xi1>, tensor<f32>, tensor<f32> -> tensor<?x1x1x?xf32>
  %second = graph.where %no, %zero, %low : tensor<?x1x1x?xi1>, tensor<f32>, tensor<f32> -> tensor<?x1x1x?xf32>
  %o = graph.attention causal %q, %q, %q mask %first scale 1.250000e-01 : (tensor<?x2x?x8xf32>, tensor<?x2x?x8xf32>, tensor<?x2x?x8xf32>, tensor<?x1x1x?xf32>) -> tensor<?x2x?x8xf32>
  %u = graph.attention causal %q, %q, %q mask %second scale 1.250000e-01 : (tensor<?x2x?x8xf32>, tensor<?x2x?x8xf32>, tensor<?x2x?x8xf32>, tensor<?x1x1x?xf32>) -> tensor<?x2x?x8xf32>
  return %o, %u : tensor<?x2x?x8xf32>, tensor<?x2x?x8xf32>
}

// What is added to scores beside hiding is the mask that is left.
// CHECK-LABEL: func @bias_of_shown
// CHECK-SAME:    %[[BIAS:[a-z0-9]+]]: tensor<2x1x?xf32>
// CHECK:         graph.attention causal %{{.*}}, %{{.*}}, %{{.*}} mask %[[BIAS]] scale
func.func @bias_of_shown(%q: tensor<?x2x?x8xf32> {tenon.dims = ["b", 2, "s", 8]}, %bias: tensor<2x1x?xf32> {tenon.dims = [2, 1, "s"]}) -> tensor<?x2x?x8xf32> {
  %c0 = arith.constant 0 : index
  %low = graph.constant dense<-3.40282347E+38> : tensor<f32>
  %b = graph.symbol "b" range 0 to 64
  %s = graph.symbol "s" range 0 to 64
  %i = graph.iota %c0 step 1 size %s : tensor<?xi64>
  %rows = graph.reshape %i to [%s, 1] {allow_zero} : tensor<?xi64> -> tensor<?x1xi64>
  %keep = graph.less_equal %i, %rows : tensor<?xi64>, tensor<?x1xi64> -> tensor<?x?xi1>
  %repeated = graph.broadcast %keep to [%b, 1, %s, %s] : tensor<?x?xi1> -> tensor<?x1x?x?xi1>
  %mask = graph.where %repeated, %bias, %low : tensor<?x1x?x?xi1>, tensor<2x1x?xf32>, tensor<f32> -> tensor<?x2x?x?xf32>
  %o = graph.attention %q, %q, %q mask %mask scale 1.250000e-01 : (tensor<?x2x?x8xf32>, tensor<?x2x?x8xf32>, tensor<?x2x?x8xf32>, tensor<?x2x?x?xf32>) -> tensor<?x2x?x8xf32>
  return %o : tensor<?x2x?x8xf32>
}

// CHECK-LABEL: func @bias_in_sum
// CHECK-SAME:    %[[BIAS:[a-z0-9]+]]: tensor<2x1x?xf32>
// CHECK:         graph.attention causal %{{.*}}, %{{.*}}, %{{.*}} mask %[[BIAS]] scale
func.func @bias_in_sum(%q: tensor<?x2x?x8xf32> {tenon.dims = ["b", 2, "s", 8]}, %bias: tensor<2x1x?xf32> {tenon.dims = [2, 1, "s"]}) -> tensor<?x2x?x8xf32> {
  %c0 = arith.constant 0 : index
  %low = graph.constant dense<-3.40282347E+38> : tensor<f32>
  %b = graph.symbol "b" range 0 to 64
  %s = graph.symbol "s" range 0 to 64
  %i = graph.iota %c0 step 1 size %s : tensor<?xi64>
  %rows = graph.reshape %i to [%s, 1] {allow_zero} : tensor<?xi64> -> tensor<?x1xi64>
  %keep = graph.less_equal %i, %rows : tensor<?xi64>, tensor<?x1xi64> -> tensor<?x?xi1>
  %zero = graph.constant dense<0.0> : tensor<f32>
  %hiding = graph.where %keep, %zero, %low : tensor<?x?xi1>, tensor<f32>, tensor<f32> -> tensor<?x?xf32>
  %mask = graph.add %bias, %hiding : tensor<2x1x?xf32>, tensor<?x?xf32> -> tensor<2x?x?xf32>
  %o = graph.attention %q, %q, %q mask %mask scale 1.250000e-01 : (tensor<?x2x?x8xf32>, tensor<?x2x?x8xf32>, tensor<?x2x?x8xf32>, tensor<2x?x?xf32>) -> tensor<?x2x?x8xf32>
  return %o : tensor<?x2x?x8xf32>
}

// Padding stays where the bias is.
// CHECK-LABEL: func @bias_and_padding
// CHECK:         graph.attention %{{[^,]*}}, %{{.*}} mask
func.func @bias_and_padding(%q: tensor<?x2x?x8xf32> {tenon.dims = ["b", 2, "s", 8]}, %bias: tensor<2x1x?xf32> {tenon.dims = [2, 1, "s"]}, %padding: tensor<?x1x1x?xi1> {tenon.dims = ["b", 1, 1, "s"]}) -> tensor<?x2x?x8xf32> {
  %c0 = arith.constant 0 : index
  %low = graph.constant dense<-3.40282347E+38> : tensor<f32>
  %b = graph.symbol "b" range 0 to 64
  %s = graph.symbol "s" range 0 to 64
  %i = graph.iota %c0 step 1 size %s : tensor<?xi64>
  %rows = graph.reshape %i to [%s, 1] {allow_zero} : tensor<?xi64> -> tensor<?x1xi64>
  %keep = graph.less_equal %i, %rows : tensor<?xi64>, tensor<?x1xi64> -> tensor<?x?xi1>
  %both = graph.and %keep, %padding : tensor<?x?xi1>, tensor<?x1x1x?xi1> -> tensor<?x1x?x?xi1>
  %mask = graph.where %both, %bias, %low : tensor<?x1x?x?xi1>, tensor<2x1x?xf32>, tensor<f32> -> tensor<?x2x?x?xf32>
  %o = graph.attention %q, %q, %q mask %mask scale 1.250000e-01 : (tensor<?x2x?x8xf32>, tensor<?x2x?x8xf32>, tensor<?x2x?x8xf32>, tensor<?x2x?x?xf32>) -> tensor<?x2x?x8xf32>
  return %o : tensor<?x2x?x8xf32>
}

// That places are not negative hides nothing; that they are above 1 does.
// CHECK-LABEL: func @places
// CHECK:         graph.attention %{{[^,]*}}, %{{[^,]*}}, %{{[^,]*}} scale
// CHECK:         graph.attention %{{.*}} mask
func.func @places(%q: tensor<?x2x?x8xf32> {tenon.dims = ["b", 2, "s", 8]}) -> (tensor<?x2x?x8xf32>, tensor<?x2x?x8xf32>) {
  %c0 = arith.constant 0 : index
  %s = graph.symbol "s" range 0 to 64
  %none = graph.constant dense<0> : tensor<i64>
  %one = graph.constant dense<1> : tensor<i64>
  %i = graph.iota %c0 step 1 size %s : tensor<?xi64>
  %column = graph.reshape %i to [%s, 1] {allow_zero} : tensor<?xi64> -> tensor<?x1xi64>
  %all = graph.greater_equal %column, %none : tensor<?x1xi64>, tensor<i64> -> tensor<?x1xi1>
  %some = graph.greater_equal %column, %one : tensor<?x1xi64>, tensor<i64> -> tensor<?x1xi1>
  %o = graph.attention %q, %q, %q mask %all scale 1.250000e-01 : (tensor<?x2x?x8xf32>, tensor<?x2x?x8xf32>, tensor<?x2x?x8xf32>, tensor<?x1xi1>) -> tensor<?x2x?x8xf32>
  %u = graph.attention %q, %q, %q mask %some scale 1.250000e-01 : (tensor<?x2x?x8xf32>, tensor<?x2x?x8xf32>, tensor<?x2x?x8xf32>, tensor<?x1xi1>) -> tensor<?x2x?x8xf32>
  return %o, %u : tensor<?x2x?x8xf32>, tensor<?x2x?x8xf32>
}
