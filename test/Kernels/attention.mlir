// Scores lie in blocks of 64 keys. A row that sees all of a block runs without
// a mask of visible keys, and a row's base is found before any power is taken.
// RUN: tenon-opt %s --kernel-schedule-regions=target=znver5 --kernel-simplify-bodies | FileCheck %s
// RUN: tenon-opt %s --kernel-schedule-regions=target=x86-64-v4 --kernel-simplify-bodies | FileCheck %s --check-prefix=WIDENS

// Scaled in one step with the base; a score is stored again only where a key is
// hidden.
// CHECK-LABEL: func @plain
// CHECK:         %[[FULL:.*]] = arith.cmpi sge, %{{.*}}, %c64{{.*}} : index
// CHECK:         scf.if %[[FULL]] {
// CHECK-NOT:       vector.create_mask
// CHECK-NOT:       vector.store {{.*}} memref<4096xf32>
// CHECK:           arith.cmpf une
// CHECK-NEXT:      scf.if
// CHECK:             math.exp2
// CHECK:         } else {
// CHECK-COUNT-4:   vector.create_mask
// CHECK:         scf.for
// CHECK-COUNT-4:   math.exp2 {{.*}} : vector<16xf32>
// CHECK-NOT:     math.exp
func.func @plain(%q: tensor<?x12x?x32xf32>, %k: tensor<?x12x?x32xf32>, %v: tensor<?x12x?x32xf32>, %b: index, %s: index) -> tensor<?x12x?x32xf32> {
  %0 = kernel.region "r" inputs(%q, %k, %v : tensor<?x12x?x32xf32>, tensor<?x12x?x32xf32>, tensor<?x12x?x32xf32>) indices() sizes(%b, %s) -> tensor<?x12x?x32xf32> {
  ^bb0(%x: tensor<?x12x?x32xf32>, %y: tensor<?x12x?x32xf32>, %z: tensor<?x12x?x32xf32>):
    %a = kernel.attention %x, %y, %z scale 1.250000e-01 {query_layout = array<i64: 0, 1, 2, 3>, key_layout = array<i64: 0, 1, 2, 3>, value_layout = array<i64: 0, 1, 2, 3>, output_layout = array<i64: 0, 1, 2, 3>} : (tensor<?x12x?x32xf32>, tensor<?x12x?x32xf32>, tensor<?x12x?x32xf32>) -> tensor<?x12x?x32xf32>
    kernel.yield %a : tensor<?x12x?x32xf32>
  }
  return %0 : tensor<?x12x?x32xf32>
}

// A mask of floats is added as scores are scaled, and read as it lies where the
// block is full and it has an element for each key.
// CHECK-LABEL: func @biased
// CHECK:         %[[EACH:.*]] = arith.cmpi ne, %{{.*}}, %c1{{.*}} : index
// CHECK:         %[[PLAIN:.*]] = arith.andi %{{.*}}, %[[EACH]] : i1
// CHECK:         scf.if %[[PLAIN]] {
// CHECK-NOT:       vector.maskedload
// CHECK:           %[[BIAS:.*]] = vector.load %{{.*}} : memref<?xf32>, vector<16xf32>
// CHECK:           vector.fma %{{.*}}, %{{.*}}, %[[BIAS]]
// CHECK:         } else {
// CHECK:           vector.create_mask
// CHECK:           vector.maskedload
func.func @biased(%q: tensor<?x12x?x32xf32>, %k: tensor<?x12x?x32xf32>, %v: tensor<?x12x?x32xf32>, %m: tensor<?x1x?x?xf32>, %b: index, %s: index) -> tensor<?x12x?x32xf32> {
  %0 = kernel.region "r" inputs(%q, %k, %v, %m : tensor<?x12x?x32xf32>, tensor<?x12x?x32xf32>, tensor<?x12x?x32xf32>, tensor<?x1x?x?xf32>) indices() sizes(%b, %s) -> tensor<?x12x?x32xf32> {
  ^bb0(%x: tensor<?x12x?x32xf32>, %y: tensor<?x12x?x32xf32>, %z: tensor<?x12x?x32xf32>, %w: tensor<?x1x?x?xf32>):
    %a = kernel.attention %x, %y, %z mask %w scale 1.250000e-01 {query_layout = array<i64: 0, 1, 2, 3>, key_layout = array<i64: 0, 1, 2, 3>, value_layout = array<i64: 0, 1, 2, 3>, output_layout = array<i64: 0, 1, 2, 3>} : (tensor<?x12x?x32xf32>, tensor<?x12x?x32xf32>, tensor<?x12x?x32xf32>, tensor<?x1x?x?xf32>) -> tensor<?x12x?x32xf32>
    kernel.yield %a : tensor<?x12x?x32xf32>
  }
  return %0 : tensor<?x12x?x32xf32>
}

// Chosen: weights are rounded before they are summed, and lie in pairs.
// CHECK-LABEL: func @pairs
// CHECK:         math.exp2 %{{.*}} : vector<16xf32>
// CHECK:         math.exp2 %{{.*}} : vector<16xf32>
// CHECK:         arith.shrui
// CHECK:         arith.ori
// CHECK:         vector.store %{{.*}} : memref<4096xbf16>, vector<32xbf16>
// CHECK:         kernel.dot bf16

// Without the instruction nothing is rounded.
// WIDENS-LABEL: func @pairs
// WIDENS-NOT:     memref<4096xbf16>
// WIDENS-NOT:     kernel.dot
// WIDENS:         return
func.func @pairs(%q: tensor<?x12x?x32xbf16>, %k: tensor<?x12x?x32xbf16>, %v: tensor<?x12x?x32xbf16>, %b: index, %s: index) -> tensor<?x12x?x32xbf16> {
  %0 = kernel.region "r" inputs(%q, %k, %v : tensor<?x12x?x32xbf16>, tensor<?x12x?x32xbf16>, tensor<?x12x?x32xbf16>) indices() sizes(%b, %s) -> tensor<?x12x?x32xbf16> {
  ^bb0(%x: tensor<?x12x?x32xbf16>, %y: tensor<?x12x?x32xbf16>, %z: tensor<?x12x?x32xbf16>):
    %a = kernel.attention round_weights %x, %y, %z scale 1.250000e-01 {query_layout = array<i64: 0, 1, 2, 3>, key_layout = array<i64: 0, 1, 2, 3>, value_layout = array<i64: 0, 1, 2, 3>, output_layout = array<i64: 0, 1, 2, 3>} : (tensor<?x12x?x32xbf16>, tensor<?x12x?x32xbf16>, tensor<?x12x?x32xbf16>) -> tensor<?x12x?x32xbf16>
    kernel.yield %a : tensor<?x12x?x32xbf16>
  }
  return %0 : tensor<?x12x?x32xbf16>
}

// A model's own bf16: scores are made of pairs, weights stay f32.
// CHECK-LABEL: func @not_chosen
// CHECK:         kernel.dot bf16
// CHECK:         math.exp2
// CHECK-NOT:     memref<4096xbf16>
// CHECK-NOT:     kernel.dot
// CHECK:         return
func.func @not_chosen(%q: tensor<?x12x?x32xbf16>, %k: tensor<?x12x?x32xbf16>, %v: tensor<?x12x?x32xbf16>, %b: index, %s: index) -> tensor<?x12x?x32xbf16> {
  %0 = kernel.region "r" inputs(%q, %k, %v : tensor<?x12x?x32xbf16>, tensor<?x12x?x32xbf16>, tensor<?x12x?x32xbf16>) indices() sizes(%b, %s) -> tensor<?x12x?x32xbf16> {
  ^bb0(%x: tensor<?x12x?x32xbf16>, %y: tensor<?x12x?x32xbf16>, %z: tensor<?x12x?x32xbf16>):
    %a = kernel.attention %x, %y, %z scale 1.250000e-01 {query_layout = array<i64: 0, 1, 2, 3>, key_layout = array<i64: 0, 1, 2, 3>, value_layout = array<i64: 0, 1, 2, 3>, output_layout = array<i64: 0, 1, 2, 3>} : (tensor<?x12x?x32xbf16>, tensor<?x12x?x32xbf16>, tensor<?x12x?x32xbf16>) -> tensor<?x12x?x32xbf16>
    kernel.yield %a : tensor<?x12x?x32xbf16>
  }
  return %0 : tensor<?x12x?x32xbf16>
}

// Queries, keys and values in one buffer: where each begins is added to the
// place of a row, and rows are as far apart as in the whole.
// CHECK-LABEL: func @packed
// CHECK-SAME:    %[[QKV:[^:]*]]: tensor<?x?x36x64xf32>
// CHECK:         kernel.region "r" inputs(%[[QKV]] : tensor<?x?x36x64xf32>)
// CHECK:         ^bb0(%[[IN:.*]]: memref<?x?x36x64xf32>, %{{.*}}: memref<?x12x?x64xf32>,
// CHECK:         memref.collapse_shape %[[IN]]
// CHECK:         scf.for
// CHECK:           scf.for
// CHECK:             %[[ROW:.*]] = arith.muli %{{.*}}, %c2304{{.*}} : index
// CHECK-NEXT:        %[[AT:.*]] = arith.addi %{{.*}}, %[[ROW]] : index
// CHECK-NEXT:        arith.addi %[[AT]], %c768{{.*}} : index
// CHECK:             %[[ROW:.*]] = arith.muli %{{.*}}, %c2304{{.*}} : index
// CHECK-NEXT:        %[[AT:.*]] = arith.addi %{{.*}}, %[[ROW]] : index
// CHECK-NEXT:        arith.addi %[[AT]], %c1536{{.*}} : index
func.func @packed(%qkv: tensor<?x?x36x64xf32>, %b: index, %s: index) -> tensor<?x12x?x64xf32> {
  %0 = kernel.region "r" inputs(%qkv : tensor<?x?x36x64xf32>) indices() sizes(%b, %s) -> tensor<?x12x?x64xf32> {
  ^bb0(%x: tensor<?x?x36x64xf32>):
    %c0 = arith.constant 0 : index
    %c1 = arith.constant 1 : index
    %rows = tensor.dim %x, %c0 : tensor<?x?x36x64xf32>
    %places = tensor.dim %x, %c1 : tensor<?x?x36x64xf32>
    %q = tensor.extract_slice %x[0, 0, 0, 0] [%rows, %places, 12, 64] [1, 1, 1, 1] : tensor<?x?x36x64xf32> to tensor<?x?x12x64xf32>
    %k = tensor.extract_slice %x[0, 0, 12, 0] [%rows, %places, 12, 64] [1, 1, 1, 1] : tensor<?x?x36x64xf32> to tensor<?x?x12x64xf32>
    %v = tensor.extract_slice %x[0, 0, 24, 0] [%rows, %places, 12, 64] [1, 1, 1, 1] : tensor<?x?x36x64xf32> to tensor<?x?x12x64xf32>
    %a = kernel.attention causal %q, %k, %v scale 1.250000e-01 {query_layout = array<i64: 0, 2, 1, 3>, key_layout = array<i64: 0, 2, 1, 3>, value_layout = array<i64: 0, 2, 1, 3>, output_layout = array<i64: 0, 1, 2, 3>} : (tensor<?x?x12x64xf32>, tensor<?x?x12x64xf32>, tensor<?x?x12x64xf32>) -> tensor<?x12x?x64xf32>
    kernel.yield %a : tensor<?x12x?x64xf32>
  }
  return %0 : tensor<?x12x?x64xf32>
}
