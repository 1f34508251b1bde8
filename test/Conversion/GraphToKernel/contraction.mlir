// RUN: tenon-opt %s --convert-graph-to-kernel --split-input-file | FileCheck %s

// CHECK-LABEL: func @linear
// CHECK: %[[W:.*]] = kernel.weight "w" from "f" at 0 source tensor<40x8xf32> transposed layout panel32 : tensor<2x8x32xf32>
// CHECK: kernel.region "matmul" inputs(%{{.*}}, %[[W]]
// CHECK: kernel.contract packed %{{.*}}, %{{.*}} : tensor<?x8xf32>, tensor<2x8x32xf32> -> tensor<?x40xf32>
func.func @linear(%x: tensor<?x8xf32> {tenon.dims = ["n", 8]}) -> tensor<?x40xf32> {
  %w = graph.weight "w" from "f" at 0 : tensor<40x8xf32>
  %0 = graph.matmul transpose_rhs %x, %w : tensor<?x8xf32>, tensor<40x8xf32> -> tensor<?x40xf32>
  return %0 : tensor<?x40xf32>
}

// -----

// CHECK-LABEL: func @bytes
// CHECK: %[[W:.*]] = kernel.weight "w" from "f" at 0 source tensor<9x40xi8> layout panel32x4 : tensor<2x3x32x4xi8>
// CHECK: kernel.contract packed %{{.*}}, %{{.*}} : tensor<?x9xi8>, tensor<2x3x32x4xi8> -> tensor<?x40xi32>
func.func @bytes(%x: tensor<?x9xui8> {tenon.dims = ["n", 9]}) -> tensor<?x40xi32> {
  %w = graph.weight "w" from "f" at 0 : tensor<9x40xi8>
  %0 = graph.matmul %x, %w : tensor<?x9xui8>, tensor<9x40xi8> -> tensor<?x40xi32>
  return %0 : tensor<?x40xi32>
}

// -----

// Bytes that only store a weight are widened one by one.
// CHECK-LABEL: func @compressed
// CHECK: kernel.weight {{.*}} layout panel32 : tensor<2x9x32xi8>
func.func @compressed(%x: tensor<?x9xf32> {tenon.dims = ["n", 9]}) -> tensor<?x40xf32> {
  %w = graph.weight "w" from "f" at 0 : tensor<9x40xi8>
  %0 = graph.matmul %x, %w : tensor<?x9xf32>, tensor<9x40xi8> -> tensor<?x40xf32>
  return %0 : tensor<?x40xf32>
}

// -----

// CHECK-LABEL: func @pairs
// CHECK: kernel.weight {{.*}} transposed layout panel32x2 : tensor<2x5x32x2xbf16>
// CHECK: kernel.contract packed %{{.*}}, %{{.*}} : tensor<?x9xbf16>, tensor<2x5x32x2xbf16> -> tensor<?x40xf32>
func.func @pairs(%x: tensor<?x9xbf16> {tenon.dims = ["n", 9]}) -> tensor<?x40xbf16> {
  %w = graph.weight "w" from "f" at 0 : tensor<40x9xbf16>
  %0 = graph.matmul transpose_rhs %x, %w : tensor<?x9xbf16>, tensor<40x9xbf16> -> tensor<?x40xbf16>
  return %0 : tensor<?x40xbf16>
}

// -----

// What compress casts is rounded as it is written; that of another value is not.
// CHECK-LABEL: func @rounded
// CHECK: kernel.weight "w" from "f" at 0 source tensor<9x40xf32> layout panel32x2 : tensor<2x5x32x2xbf16>
// CHECK-COUNT-1: arith.truncf
// CHECK: kernel.contract packed
func.func @rounded(%x: tensor<?x9xf32> {tenon.dims = ["n", 9]}) -> tensor<?x40xf32> {
  %w = graph.weight "w" from "f" at 0 : tensor<9x40xf32>
  %0 = graph.cast %w : tensor<9x40xf32> -> tensor<9x40xbf16>
  %1 = graph.cast %x : tensor<?x9xf32> -> tensor<?x9xbf16>
  %2 = graph.matmul %1, %0 : tensor<?x9xbf16>, tensor<9x40xbf16> -> tensor<?x40xf32>
  return %2 : tensor<?x40xf32>
}

// -----

// Two readers need two layouts, so it keeps its rows.
// CHECK-LABEL: func @bf16_by_both
// CHECK: kernel.weight {{.*}} layout rows
func.func @bf16_by_both(%x: tensor<?x9xbf16> {tenon.dims = ["n", 9]}, %y: tensor<?x9xf32> {tenon.dims = ["n", 9]}) -> (tensor<?x40xbf16>, tensor<?x40xf32>) {
  %w = graph.weight "w" from "f" at 0 : tensor<9x40xbf16>
  %0 = graph.matmul %x, %w : tensor<?x9xbf16>, tensor<9x40xbf16> -> tensor<?x40xbf16>
  %1 = graph.matmul %y, %w : tensor<?x9xf32>, tensor<9x40xbf16> -> tensor<?x40xf32>
  return %0, %1 : tensor<?x40xbf16>, tensor<?x40xf32>
}

// -----

// The table is looked up too: its rows are found in the panels.
// CHECK-LABEL: func @tied
// CHECK: kernel.weight {{.*}} transposed layout panel32 : tensor<2x8x32xf32>
// CHECK: %[[ROW:.*]] = kernel.check_index
// CHECK: %[[PANEL:.*]] = arith.divui %[[ROW]]
// CHECK: %[[PLACE:.*]] = arith.remui %[[ROW]]
// CHECK: tensor.extract {{.*}}[%[[PANEL]], %{{.*}}, %[[PLACE]]]
// CHECK: kernel.contract packed
func.func @tied(%ids: tensor<4xi64>) -> tensor<4x40xf32> {
  %w = graph.weight "w" from "f" at 0 : tensor<40x8xf32>
  %0 = graph.gather %w, %ids axis 0 : tensor<40x8xf32>, tensor<4xi64> -> tensor<4x8xf32>
  %1 = graph.matmul transpose_rhs %0, %w : tensor<4x8xf32>, tensor<40x8xf32> -> tensor<4x40xf32>
  return %1 : tensor<4x40xf32>
}

// -----

// A table that is multiplied by as it lies keeps its rows for look-ups.
// CHECK-LABEL: func @tied_without_transpose
// CHECK: kernel.weight {{.*}} layout rows
func.func @tied_without_transpose(%ids: tensor<4xi64>) -> tensor<4x40xf32> {
  %w = graph.weight "w" from "f" at 0 : tensor<40x40xf32>
  %0 = graph.gather %w, %ids axis 0 : tensor<40x40xf32>, tensor<4xi64> -> tensor<4x40xf32>
  %1 = graph.matmul %0, %w : tensor<4x40xf32>, tensor<40x40xf32> -> tensor<4x40xf32>
  return %1 : tensor<4x40xf32>
}

// -----

// What is new goes to a cache, which attention reads by slots and starts.
// CHECK-LABEL: func @append
// CHECK: %[[CACHE:.*]] = kernel.region "append" inputs({{.*}}) indices({{.*}}) sizes({{.*}}) updates [1]
// CHECK: kernel.append %{{.*}}[%{{.*}}, %{{.*}}] into %{{.*}} at %{{.*}} in %{{.*}} else %{{.*}} {layout = array<i64: 0, 1, 2, 3>}
// CHECK: kernel.region "attention" inputs({{.*}}%[[CACHE]]
// CHECK: kernel.attention causal {{.*}} at %{{.*}} in %{{.*}} length %{{.*}} scale 5.000000e-01 window 3
func.func @append(%new: tensor<?x2x?x4xf32> {tenon.dims = ["b", 2, "s", 4]}, %cache: tensor<?x2x?x4xf32> {tenon.dims = ["slots", 2, "capacity", 4]},
                  %starts: tensor<?xi64> {tenon.dims = ["b"]}, %slots: tensor<?xi64> {tenon.dims = ["b"]}) -> tensor<?x2x?x4xf32> {
  %n = graph.symbol "context" range 1 to 64
  %0 = graph.append %new into %cache at %starts in %slots : (tensor<?x2x?x4xf32>, tensor<?x2x?x4xf32>, tensor<?xi64>, tensor<?xi64>) -> tensor<?x2x?x4xf32>
  %1 = graph.attention causal %new, %0, %0 at %starts in %slots length %n scale 5.000000e-01 window 3 : (tensor<?x2x?x4xf32>, tensor<?x2x?x4xf32>, tensor<?x2x?x4xf32>, tensor<?xi64>, tensor<?xi64>, index) -> tensor<?x2x?x4xf32>
  return %1 : tensor<?x2x?x4xf32>
}

// -----

// CHECK-LABEL: func @attend
// CHECK: kernel.attention causal {{.*}} {key_layout = array<i64: 0, 1, 2, 3>
func.func @attend(%q: tensor<1x2x?x4xf32> {tenon.dims = [1, 2, "s", 4]}, %k: tensor<1x2x?x4xf32> {tenon.dims = [1, 2, "t", 4]}) -> tensor<1x2x?x4xf32> {
  %0 = graph.attention causal %q, %k, %k scale 5.000000e-01 : (tensor<1x2x?x4xf32>, tensor<1x2x?x4xf32>, tensor<1x2x?x4xf32>) -> tensor<1x2x?x4xf32>
  return %0 : tensor<1x2x?x4xf32>
}

// -----

// A padding mask that is only looked up has as many elements as there are keys:
// the look-up itself forgets the mask's length.
// CHECK-LABEL: func @mask_of_its_own_length
// CHECK-DAG: %[[TOTAL:.*]] = kernel.symbol "total"
// CHECK-DAG: %[[PAST:.*]] = kernel.symbol "past"
// CHECK-DAG: %[[S:.*]] = kernel.symbol "s"
// CHECK: %[[KEYS:.*]] = arith.addi %[[PAST]], %[[S]]
// CHECK: kernel.assume_equal %[[TOTAL]], %[[KEYS]]
func.func @mask_of_its_own_length(%q: tensor<?x2x?x8xf32> {tenon.dims = ["b", 2, "s", 8]}, %old: tensor<?x2x?x8xf32> {tenon.dims = ["b", 2, "past", 8]},
                                  %mask: tensor<?x?xi64> {tenon.dims = ["b", "total"]}) -> tensor<?x2x?x8xf32> {
  %b = graph.symbol "b" range 0 to 64
  %s = graph.symbol "s" range 0 to 64
  %past = graph.symbol "past" range 0 to 64
  %total = graph.symbol "total" range 0 to 64
  %c0 = arith.constant 0 : index
  %all = arith.addi %past, %s : index
  %k = graph.concat %old, %q axis 2 : (tensor<?x2x?x8xf32>, tensor<?x2x?x8xf32>) -> tensor<?x2x?x8xf32>
  %keep = graph.cast %mask : tensor<?x?xi64> -> tensor<?x?xi1>
  %i = graph.iota %c0 step 1 size %all : tensor<?xi64>
  %part = graph.gather %keep, %i axis 1 : tensor<?x?xi1>, tensor<?xi64> -> tensor<?x?xi1>
  %padding = graph.reshape %part to [%b, 1, 1, %all] {allow_zero} : tensor<?x?xi1> -> tensor<?x1x1x?xi1>
  %o = graph.attention %q, %k, %k mask %padding scale 1.250000e-01 : (tensor<?x2x?x8xf32>, tensor<?x2x?x8xf32>, tensor<?x2x?x8xf32>, tensor<?x1x1x?xi1>) -> tensor<?x2x?x8xf32>
  return %o : tensor<?x2x?x8xf32>
}

// -----

// Another input has that length too, so it is not the mask's own.
// CHECK-LABEL: func @table_of_another_input
// CHECK-NOT: kernel.assume_equal
func.func @table_of_another_input(%q: tensor<?x2x?x8xf32> {tenon.dims = ["b", 2, "s", 8]}, %table: tensor<?x?xi1> {tenon.dims = ["b", "n"]},
                                  %names: tensor<?xi64> {tenon.dims = ["n"]}) -> (tensor<?x2x?x8xf32>, tensor<?xi64>) {
  %b = graph.symbol "b" range 0 to 64
  %s = graph.symbol "s" range 0 to 64
  %n = graph.symbol "n" range 0 to 64
  %c0 = arith.constant 0 : index
  %i = graph.iota %c0 step 1 size %s : tensor<?xi64>
  %part = graph.gather %table, %i axis 1 : tensor<?x?xi1>, tensor<?xi64> -> tensor<?x?xi1>
  %padding = graph.reshape %part to [%b, 1, 1, %s] {allow_zero} : tensor<?x?xi1> -> tensor<?x1x1x?xi1>
  %o = graph.attention %q, %q, %q mask %padding scale 1.250000e-01 : (tensor<?x2x?x8xf32>, tensor<?x2x?x8xf32>, tensor<?x2x?x8xf32>, tensor<?x1x1x?xi1>) -> tensor<?x2x?x8xf32>
  return %o, %names : tensor<?x2x?x8xf32>, tensor<?xi64>
}

// -----

// Weights in blocks are read from panels, by a product and by a look-up alike.
// CHECK-LABEL: func @blocks
// CHECK-DAG: %[[Q:.*]] = kernel.weight "q" from "f" at 0 source tensor<40x32xi8> transposed layout panel32x8 : tensor<2x8x32x4xi8>
// CHECK-DAG: %[[S:.*]] = kernel.weight "s" from "f" at 64 source tensor<40x2xf16> transposed layout panel32 : tensor<2x2x32xf16>
// CHECK-DAG: %[[Z:.*]] = kernel.weight "z" from "f" at 128 source tensor<40x2xi8> transposed layout panel32 : tensor<2x2x32xi8>
// CHECK: kernel.region "dequantize_blocks" inputs(%[[Q]], %[[S]], %[[Z]] :
// CHECK: kernel.region "matmul" inputs(%arg0, %{{.*}} : tensor<3x50xf32>, tensor<2x8x32x4xi8>, tensor<2x2x32xf16>, tensor<2x2x32xi8>)
// CHECK: kernel.contract packed %{{.*}}, %{{.*}} scale(%{{.*}} : tensor<2x2x32xf16>) zero_point(%{{.*}} : tensor<2x2x32xi8>) bits 4 block 32 : tensor<3x50xf32>, tensor<2x8x32x4xi8> -> tensor<3x40xf32>
// CHECK: kernel.region "gather" inputs(%arg1, %{{.*}} : tensor<3xi64>, tensor<2x8x32x4xi8>, tensor<2x2x32xf16>, tensor<2x2x32xi8>, tensor<2xi64>)
// CHECK: kernel.check_index
// CHECK: arith.shrui
// CHECK: arith.subf
// CHECK: arith.mulf
func.func @blocks(%x: tensor<3x50xf32>, %i: tensor<3xi64>) -> (tensor<3x40xf32>, tensor<3x50xf32>) {
  %q = graph.weight "q" from "f" at 0 : tensor<40x32xui8>
  %s = graph.weight "s" from "f" at 64 : tensor<40x2xf16>
  %z = graph.weight "z" from "f" at 128 : tensor<40x2xui8>
  %w = graph.dequantize_blocks %q bits 4 block 32 scale %s zero_point %z : (tensor<40x32xui8>, tensor<40x2xf16>, tensor<40x2xui8>) -> tensor<40x50xf32>
  %0 = graph.matmul transpose_rhs %x, %w : tensor<3x50xf32>, tensor<40x50xf32> -> tensor<3x40xf32>
  %1 = graph.gather %w, %i axis 0 : tensor<40x50xf32>, tensor<3xi64> -> tensor<3x50xf32>
  return %0, %1 : tensor<3x40xf32>, tensor<3x50xf32>
}

// -----

// One zero point for all is part of the product; bytes of any value are unsigned.
// CHECK-LABEL: func @uniform
// CHECK: kernel.contract packed {{.*}} bits 8 block 16 offset 1.280000e+02 :
func.func @uniform(%x: tensor<3x16xf32>) -> tensor<3x40xf32> {
  %q = graph.weight "q" from "f" at 0 : tensor<40x16xui8>
  %s = graph.weight "s" from "f" at 64 : tensor<40x1xf32>
  %z = graph.constant dense<128> : tensor<ui8>
  %w = graph.dequantize_blocks %q block 16 scale %s zero_point %z : (tensor<40x16xui8>, tensor<40x1xf32>, tensor<ui8>) -> tensor<40x16xf32>
  %0 = graph.matmul transpose_rhs %x, %w : tensor<3x16xf32>, tensor<40x16xf32> -> tensor<3x40xf32>
  return %0 : tensor<3x40xf32>
}

// -----

// What is no weight, or whose rows are read as rows, is made element by element.
// CHECK-LABEL: func @no_panels
// CHECK: kernel.region "dequantize_blocks"
// CHECK: arith.sitofp
// CHECK: kernel.region "matmul"
// CHECK: kernel.contract %{{.*}}, %{{.*}} : tensor<3x40xf32>, tensor<40x16xf32>
func.func @no_panels(%x: tensor<3x40xf32>, %q: tensor<40x16xi8>) -> tensor<3x16xf32> {
  %s = graph.weight "s" from "f" at 64 : tensor<40x1xf32>
  %w = graph.dequantize_blocks %q block 16 scale %s : (tensor<40x16xi8>, tensor<40x1xf32>) -> tensor<40x16xf32>
  %0 = graph.matmul %x, %w : tensor<3x40xf32>, tensor<40x16xf32> -> tensor<3x16xf32>
  return %0 : tensor<3x16xf32>
}
