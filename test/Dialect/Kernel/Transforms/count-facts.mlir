// RUN: tenon-opt %s --kernel-count-facts | FileCheck %s

// A product and its epilogue: 2·n·8·16 + n·16.
// CHECK-LABEL: func.func @matmul
// CHECK-SAME:    tenon.flops = "272*n"
// CHECK:         kernel.region "matmul_neg"
// CHECK-SAME:    tenon.flops = "272*n"
// CHECK-SAME:    tenon.kind = "product"
// CHECK-SAME:    tenon.product_flops = "256*n"
// CHECK-SAME:    tenon.read_bytes = "32*n + 512"
// CHECK-SAME:    tenon.steps = "16*n"
// CHECK-SAME:    tenon.written_bytes = "64*n"
func.func @matmul(%x: tensor<?x8xf32> {tenon.dims = ["n", 8]}, %w: tensor<8x16xf32>) -> tensor<?x16xf32> {
  %n = kernel.symbol "n" range 0 to 512
  %0 = kernel.region "matmul_neg" inputs(%x, %w : tensor<?x8xf32>, tensor<8x16xf32>) indices(%n) sizes(%n) -> tensor<?x16xf32> {
  ^bb0(%a: tensor<?x8xf32>, %b: tensor<8x16xf32>, %m: index):
    %2 = kernel.contract %a, %b : tensor<?x8xf32>, tensor<8x16xf32> -> tensor<?x16xf32>
    %3 = tensor.empty(%m) : tensor<?x16xf32>
    %4 = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0, d1)>], iterator_types = ["parallel", "parallel"]} ins(%2 : tensor<?x16xf32>) outs(%3 : tensor<?x16xf32>) {
    ^bb0(%c: f32, %d: f32):
      %5 = arith.negf %c : f32
      linalg.yield %5 : f32
    } -> tensor<?x16xf32>
    kernel.yield %4 : tensor<?x16xf32>
  }
  return %0 : tensor<?x16xf32>
}

// Grouped heads: 6 heads of queries read 2 heads of keys.
// CHECK-LABEL: func.func @attention
// CHECK:         kernel.region
// CHECK-NOT:     tenon.bf16_flops
// CHECK-SAME:    tenon.flops = "414*b*s*t"
// CHECK-SAME:    tenon.kind = "attention"
// CHECK-SAME:    tenon.product_flops = "384*b*s*t"
// CHECK-SAME:    tenon.read_bytes = "384*b*s + 256*b*t"
// CHECK-SAME:    tenon.steps = "114*b*s*t"
// CHECK-SAME:    tenon.written_bytes = "384*b*s"
func.func @attention(%q: tensor<?x?x6x16xf32> {tenon.dims = ["b", "s", 6, 16]}, %k: tensor<?x?x2x16xf32> {tenon.dims = ["b", "t", 2, 16]},
                     %v: tensor<?x?x2x16xf32> {tenon.dims = ["b", "t", 2, 16]}) -> tensor<?x?x6x16xf32> {
  %b = kernel.symbol "b" range 0 to 512
  %s = kernel.symbol "s" range 0 to 512
  %0 = kernel.region "attention" inputs(%q, %k, %v : tensor<?x?x6x16xf32>, tensor<?x?x2x16xf32>, tensor<?x?x2x16xf32>) indices() sizes(%b, %s) -> tensor<?x?x6x16xf32> {
  ^bb0(%0: tensor<?x?x6x16xf32>, %1: tensor<?x?x2x16xf32>, %2: tensor<?x?x2x16xf32>):
    %3 = kernel.attention %0, %1, %2 scale 2.500000e-01
         {query_layout = array<i64: 0, 2, 1, 3>, key_layout = array<i64: 0, 2, 1, 3>,
          value_layout = array<i64: 0, 2, 1, 3>, output_layout = array<i64: 0, 2, 1, 3>}
         : (tensor<?x?x6x16xf32>, tensor<?x?x2x16xf32>, tensor<?x?x2x16xf32>) -> tensor<?x?x6x16xf32>
    kernel.yield %3 : tensor<?x?x6x16xf32>
  }
  return %0 : tensor<?x?x6x16xf32>
}

// A table gives the rows that are looked up, but no more than all of it.
// CHECK-LABEL: func.func @gather
// CHECK:         kernel.region
// CHECK-SAME:    tenon.flops = "0"
// CHECK-SAME:    tenon.kind = "move"
// CHECK-SAME:    tenon.read_bytes = "4*min(8*n, 800) + 8*n"
func.func @gather(%table: tensor<100x8xf32>, %ids: tensor<?xi64> {tenon.dims = ["n"]}) -> tensor<?x8xf32> {
  %n = kernel.symbol "n" range 0 to 512
  %0 = kernel.region "gather" inputs(%ids, %table : tensor<?xi64>, tensor<100x8xf32>) indices(%n) sizes(%n) -> tensor<?x8xf32> {
  ^bb0(%0: tensor<?xi64>, %1: tensor<100x8xf32>, %m: index):
    %2 = tensor.empty(%m) : tensor<?x8xf32>
    %3 = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0)>, affine_map<(d0, d1) -> (d0, d1)>], iterator_types = ["parallel", "parallel"]} ins(%0 : tensor<?xi64>) outs(%2 : tensor<?x8xf32>) {
    ^bb0(%id: i64, %out: f32):
      %4 = arith.index_cast %id : i64 to index
      %5 = linalg.index 1 : index
      %6 = tensor.extract %1[%4, %5] : tensor<100x8xf32>
      linalg.yield %6 : f32
    } -> tensor<?x8xf32>
    kernel.yield %3 : tensor<?x8xf32>
  }
  return %0 : tensor<?x8xf32>
}

// A size that no symbol explains has no facts, nor has the function.
// CHECK-LABEL: func.func @depends_on_data
// CHECK-NOT:     tenon.flops
func.func @depends_on_data(%x: tensor<?xf32>, %n: index) -> tensor<?xf32> {
  %0 = kernel.region "softmax" inputs(%x : tensor<?xf32>) indices() sizes(%n) -> tensor<?xf32> {
  ^bb0(%a: tensor<?xf32>):
    %1 = kernel.softmax %a : tensor<?xf32> -> tensor<?xf32>
    kernel.yield %1 : tensor<?xf32>
  }
  return %0 : tensor<?xf32>
}

// What computes a line counts once for each element of the result.
// CHECK-LABEL: func.func @lines
// CHECK:         kernel.region "sums"
// CHECK-SAME:    tenon.flops = "4*n"
// CHECK-SAME:    tenon.read_bytes = "16*n"
// CHECK-SAME:    tenon.written_bytes = "16*n"
func.func @lines(%x: tensor<?x4xf32> {tenon.dims = ["n", 4]}) -> tensor<?x4xf32> {
  %n = kernel.symbol "n" range 0 to 512
  %0 = kernel.region "sums" inputs(%x : tensor<?x4xf32>) indices(%n) sizes(%n) -> tensor<?x4xf32> {
  ^bb0(%a: tensor<?x4xf32>, %k: index):
    %c0 = arith.constant 0 : index
    %c1 = arith.constant 1 : index
    %zero = arith.constant 0.0 : f32
    %e = tensor.empty(%k) : tensor<?x4xf32>
    %1 = kernel.lines %e axis 0 : tensor<?x4xf32> {
    ^bb0(%column: index, %line: tensor<?xf32>):
      %2:2 = scf.for %i = %c0 to %k step %c1 iter_args(%l = %line, %s = %zero) -> (tensor<?xf32>, f32) {
        %3 = tensor.extract %a[%i, %column] : tensor<?x4xf32>
        %4 = arith.addf %s, %3 : f32
        %5 = tensor.insert %4 into %l[%i] : tensor<?xf32>
        scf.yield %5, %4 : tensor<?xf32>, f32
      }
      kernel.yield %2#0 : tensor<?xf32>
    }
    kernel.yield %1 : tensor<?x4xf32>
  }
  return %0 : tensor<?x4xf32>
}

// Both operands in bf16, or in bytes: 2·n·8·16 of the operations are narrow. What a
// node's name counts is its layer, but for the number at its end.
// CHECK-LABEL: func.func @narrow
// CHECK:         kernel.region "pairs"
// CHECK-SAME:    tenon.bf16_flops = "256*n"
// CHECK-SAME:    tenon.flops = "256*n"
// CHECK-SAME:    tenon.layer = "/encoder/layer.0"
// CHECK:         kernel.region "bytes"
// CHECK-SAME:    tenon.flops = "256*n"
// CHECK-SAME:    tenon.int8_ops = "256*n"
// CHECK-SAME:    tenon.layer = "/encoder/layer.1"
// CHECK:         kernel.region "weights"
// CHECK-NOT:     tenon.bf16_flops
// CHECK-NOT:     tenon.layer
// CHECK-SAME:    tenon.flops = "256*n"
// CHECK:         return
func.func @narrow(%x: tensor<?x8xbf16> {tenon.dims = ["n", 8]}, %y: tensor<?x8xi8> {tenon.dims = ["n", 8]}, %z: tensor<?x8xf32> {tenon.dims = ["n", 8]},
                  %v: tensor<8x16xbf16>, %w: tensor<8x16xi8>) -> (tensor<?x16xf32>, tensor<?x16xi32>, tensor<?x16xf32>) {
  %n = kernel.symbol "n" range 0 to 512
  %0 = kernel.region "pairs" inputs(%x, %v : tensor<?x8xbf16>, tensor<8x16xbf16>) indices() sizes(%n) -> tensor<?x16xf32> {
  ^bb0(%a: tensor<?x8xbf16>, %b: tensor<8x16xbf16>):
    %3 = kernel.contract %a, %b : tensor<?x8xbf16>, tensor<8x16xbf16> -> tensor<?x16xf32>
    kernel.yield %3 : tensor<?x16xf32>
  } loc("/encoder/layer.0/query/MatMul_7")
  %1 = kernel.region "bytes" inputs(%y, %w : tensor<?x8xi8>, tensor<8x16xi8>) indices() sizes(%n) -> tensor<?x16xi32> {
  ^bb0(%a: tensor<?x8xi8>, %b: tensor<8x16xi8>):
    %3 = kernel.contract %a, %b : tensor<?x8xi8>, tensor<8x16xi8> -> tensor<?x16xi32>
    kernel.yield %3 : tensor<?x16xi32>
  } loc("/encoder/layer.1/query/MatMul_8")
  %2 = kernel.region "weights" inputs(%z, %v : tensor<?x8xf32>, tensor<8x16xbf16>) indices() sizes(%n) -> tensor<?x16xf32> {
  ^bb0(%a: tensor<?x8xf32>, %b: tensor<8x16xbf16>):
    %3 = kernel.contract %a, %b : tensor<?x8xf32>, tensor<8x16xbf16> -> tensor<?x16xf32>
    kernel.yield %3 : tensor<?x16xf32>
  } loc("/head.1/MatMul_9")
  return %0, %1, %2 : tensor<?x16xf32>, tensor<?x16xi32>, tensor<?x16xf32>
}

// Both products of bytes: 2·2·b·s·s·6·16.
// CHECK-LABEL: func.func @attention_of_bytes
// CHECK:         kernel.region
// CHECK-SAME:    tenon.flops = "414*b*s*s"
// CHECK-SAME:    tenon.int8_ops = "384*b*s*s"
func.func @attention_of_bytes(%q: tensor<?x6x?x16xi8> {tenon.dims = ["b", 6, "s", 16]}, %p: tensor<5xf32>) -> tensor<?x6x?x16xf32> {
  %b = kernel.symbol "b" range 0 to 512
  %s = kernel.symbol "s" range 0 to 512
  %0 = kernel.region "attention" inputs(%q, %q, %q, %p : tensor<?x6x?x16xi8>, tensor<?x6x?x16xi8>, tensor<?x6x?x16xi8>, tensor<5xf32>) indices() sizes(%b, %s) -> tensor<?x6x?x16xf32> {
  ^bb0(%0: tensor<?x6x?x16xi8>, %1: tensor<?x6x?x16xi8>, %2: tensor<?x6x?x16xi8>, %3: tensor<5xf32>):
    %4 = kernel.attention %0, %1, %2 quantized %3 scale 2.500000e-01
         {query_layout = array<i64: 0, 1, 2, 3>, key_layout = array<i64: 0, 1, 2, 3>,
          value_layout = array<i64: 0, 1, 2, 3>, output_layout = array<i64: 0, 1, 2, 3>}
         : (tensor<?x6x?x16xi8>, tensor<?x6x?x16xi8>, tensor<?x6x?x16xi8>, tensor<5xf32>) -> tensor<?x6x?x16xf32>
    kernel.yield %4 : tensor<?x6x?x16xf32>
  }
  return %0 : tensor<?x6x?x16xf32>
}

// Scores in pairs of bf16: 2·b·s·s·6·16; their product with the values is of f32.
// CHECK-LABEL: func.func @scores
// CHECK:         kernel.region
// CHECK-SAME:    tenon.bf16_flops = "192*b*s*s"
// CHECK-SAME:    tenon.flops = "414*b*s*s"
func.func @scores(%q: tensor<?x6x?x16xbf16> {tenon.dims = ["b", 6, "s", 16]}) -> tensor<?x6x?x16xbf16> {
  %b = kernel.symbol "b" range 0 to 512
  %s = kernel.symbol "s" range 0 to 512
  %0 = kernel.region "attention" inputs(%q, %q, %q : tensor<?x6x?x16xbf16>, tensor<?x6x?x16xbf16>, tensor<?x6x?x16xbf16>) indices() sizes(%b, %s) -> tensor<?x6x?x16xbf16> {
  ^bb0(%0: tensor<?x6x?x16xbf16>, %1: tensor<?x6x?x16xbf16>, %2: tensor<?x6x?x16xbf16>):
    %3 = kernel.attention %0, %1, %2 scale 2.500000e-01
         {query_layout = array<i64: 0, 1, 2, 3>, key_layout = array<i64: 0, 1, 2, 3>,
          value_layout = array<i64: 0, 1, 2, 3>, output_layout = array<i64: 0, 1, 2, 3>}
         : (tensor<?x6x?x16xbf16>, tensor<?x6x?x16xbf16>, tensor<?x6x?x16xbf16>) -> tensor<?x6x?x16xbf16>
    kernel.yield %3 : tensor<?x6x?x16xbf16>
  }
  return %0 : tensor<?x6x?x16xbf16>
}
