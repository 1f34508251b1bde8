// RUN: tenon-opt %s --convert-graph-to-kernel --kernel-fuse-regions --split-input-file | FileCheck %s

// CHECK-LABEL: func @epilogue
// CHECK: kernel.region "matmul_add_gelu"
// CHECK: %[[P:.*]] = kernel.contract packed
// CHECK: linalg.generic {{.*}} ins(%[[P]], %{{.*}} : tensor<?x32xf32>, tensor<32xf32>)
// CHECK: arith.addf
// CHECK: math.erf
// CHECK-NOT: kernel.region
// CHECK: return
func.func @epilogue(%x: tensor<?x8xf32> {tenon.dims = ["n", 8]}) -> tensor<?x32xf32> {
  %w = graph.weight "w" from "f" at 0 : tensor<8x32xf32>
  %b = graph.weight "b" from "f" at 1024 : tensor<32xf32>
  %0 = graph.matmul %x, %w : tensor<?x8xf32>, tensor<8x32xf32> -> tensor<?x32xf32>
  %1 = graph.add %0, %b : tensor<?x32xf32>, tensor<32xf32> -> tensor<?x32xf32>
  %2 = graph.gelu %1 : tensor<?x32xf32> -> tensor<?x32xf32>
  return %2 : tensor<?x32xf32>
}

// -----

// The product is read twice.
// CHECK-LABEL: func @read_twice
// CHECK: kernel.region "matmul" 
// CHECK: kernel.region "neg"
func.func @read_twice(%x: tensor<4x8xf32>, %y: tensor<8x4xf32>) -> (tensor<4x4xf32>, tensor<4x4xf32>) {
  %0 = graph.matmul %x, %y : tensor<4x8xf32>, tensor<8x4xf32> -> tensor<4x4xf32>
  %1 = graph.neg %0 : tensor<4x4xf32> -> tensor<4x4xf32>
  return %0, %1 : tensor<4x4xf32>, tensor<4x4xf32>
}

// -----

// The product is broadcast by its reader, so the tile would not be the result's.
// CHECK-LABEL: func @broadcast_product
// CHECK: kernel.region "matmul" 
// CHECK: kernel.region "add"
func.func @broadcast_product(%x: tensor<1x8xf32>, %y: tensor<8x4xf32>, %z: tensor<4x4xf32>) -> tensor<4x4xf32> {
  %0 = graph.matmul %x, %y : tensor<1x8xf32>, tensor<8x4xf32> -> tensor<1x4xf32>
  %1 = graph.add %0, %z : tensor<1x4xf32>, tensor<4x4xf32> -> tensor<4x4xf32>
  return %1 : tensor<4x4xf32>
}

// -----

// CHECK-LABEL: func @chain
// CHECK: kernel.region "add_exp_mul"
// CHECK: linalg.generic
// CHECK-NOT: linalg.generic
// CHECK: return
func.func @chain(%x: tensor<4x8xf32>, %y: tensor<8xf32>) -> tensor<4x8xf32> {
  %0 = graph.add %x, %y : tensor<4x8xf32>, tensor<8xf32> -> tensor<4x8xf32>
  %1 = graph.exp %0 : tensor<4x8xf32> -> tensor<4x8xf32>
  %2 = graph.mul %1, %x : tensor<4x8xf32>, tensor<4x8xf32> -> tensor<4x8xf32>
  return %2 : tensor<4x8xf32>
}

// -----

// exp would run once for each row.
// CHECK-LABEL: func @recomputed
// CHECK: kernel.region "exp"
// CHECK: kernel.region "add"
func.func @recomputed(%x: tensor<4x8xf32>, %y: tensor<8xf32>) -> tensor<4x8xf32> {
  %0 = graph.exp %y : tensor<8xf32> -> tensor<8xf32>
  %1 = graph.add %x, %0 : tensor<4x8xf32>, tensor<8xf32> -> tensor<4x8xf32>
  return %1 : tensor<4x8xf32>
}

// -----

// CHECK-LABEL: func @sum_before_norm
// CHECK: kernel.region "add"
// CHECK: kernel.region "norm"
func.func @sum_before_norm(%x: tensor<4x8xf32>, %g: tensor<8xf32>) -> tensor<4x8xf32> {
  %0 = graph.add %x, %x : tensor<4x8xf32>, tensor<4x8xf32> -> tensor<4x8xf32>
  %1 = graph.norm rms %0 scale %g axis 1 epsilon 1.0e-5 : (tensor<4x8xf32>, tensor<8xf32>) -> tensor<4x8xf32>
  return %1 : tensor<4x8xf32>
}

// -----

// CHECK-LABEL: func @attention_layouts
// CHECK-NOT: kernel.region "transpose"
// CHECK: kernel.attention {{.*}} {key_layout = array<i64: 0, 2, 1, 3>, output_layout = array<i64: 0, 2, 1, 3>, query_layout = array<i64: 0, 2, 1, 3>, value_layout = array<i64: 0, 1, 2, 3>}
// CHECK-NOT: kernel.region "transpose"
// CHECK: return
func.func @attention_layouts(%q: tensor<1x6x2x4xf32>, %k: tensor<1x5x2x4xf32>, %v: tensor<1x2x5x4xf32>) -> tensor<1x6x2x4xf32> {
  %0 = graph.transpose %q [0, 2, 1, 3] : tensor<1x6x2x4xf32> -> tensor<1x2x6x4xf32>
  %1 = graph.transpose %k [0, 2, 1, 3] : tensor<1x5x2x4xf32> -> tensor<1x2x5x4xf32>
  %2 = graph.attention %0, %1, %v scale 5.000000e-01 : (tensor<1x2x6x4xf32>, tensor<1x2x5x4xf32>, tensor<1x2x5x4xf32>) -> tensor<1x2x6x4xf32>
  %3 = graph.transpose %2 [0, 2, 1, 3] : tensor<1x2x6x4xf32> -> tensor<1x6x2x4xf32>
  return %3 : tensor<1x6x2x4xf32>
}

// -----

// CHECK-LABEL: func @transposed_operand
// CHECK-NOT: kernel.region "transpose"
// CHECK: kernel.contract transpose_lhs
func.func @transposed_operand(%x: tensor<8x4xf32>, %y: tensor<8x4xf32>) -> tensor<4x4xf32> {
  %0 = graph.transpose %x [1, 0] : tensor<8x4xf32> -> tensor<4x8xf32>
  %1 = graph.matmul %0, %y : tensor<4x8xf32>, tensor<8x4xf32> -> tensor<4x4xf32>
  return %1 : tensor<4x4xf32>
}

// -----

// Not the last two dimensions.
// CHECK-LABEL: func @other_dimensions
// CHECK: kernel.region "transpose"
// CHECK: kernel.contract %
func.func @other_dimensions(%x: tensor<4x2x8xf32>, %y: tensor<8x4xf32>) -> tensor<2x4x4xf32> {
  %0 = graph.transpose %x [1, 0, 2] : tensor<4x2x8xf32> -> tensor<2x4x8xf32>
  %1 = graph.matmul %0, %y : tensor<2x4x8xf32>, tensor<8x4xf32> -> tensor<2x4x4xf32>
  return %1 : tensor<2x4x4xf32>
}

// -----

// What a norm gives is quantized where it is made.
// CHECK-LABEL: func @norm_quantized
// CHECK: kernel.region "norm_quantize" {{.*}} -> tensor<4x8xi8>
// CHECK: %[[N:.*]] = kernel.norm
// CHECK: linalg.generic {{.*}} ins(%[[N]]
// CHECK-NOT: kernel.region
// CHECK: return
func.func @norm_quantized(%x: tensor<4x8xf32>, %g: tensor<8xf32>, %s: tensor<f32>) -> tensor<4x8xui8> {
  %0 = graph.norm rms %x scale %g axis 1 epsilon 1.0e-5 : (tensor<4x8xf32>, tensor<8xf32>) -> tensor<4x8xf32>
  %1 = graph.quantize %0 scale %s : (tensor<4x8xf32>, tensor<f32>) -> tensor<4x8xui8>
  return %1 : tensor<4x8xui8>
}

// -----

// The epilogue of a row reads no other rows.
// CHECK-LABEL: func @norm_and_residual
// CHECK: kernel.region "norm"
// CHECK: kernel.region "add"
func.func @norm_and_residual(%x: tensor<4x8xf32>, %g: tensor<8xf32>, %y: tensor<4x8xf32>) -> tensor<4x8xf32> {
  %0 = graph.norm rms %x scale %g axis 1 epsilon 1.0e-5 : (tensor<4x8xf32>, tensor<8xf32>) -> tensor<4x8xf32>
  %1 = graph.add %0, %y : tensor<4x8xf32>, tensor<4x8xf32> -> tensor<4x8xf32>
  return %1 : tensor<4x8xf32>
}

// -----

// A product that is read in two ways by what becomes one loop: GELU written out
// with quantizers inside.
// CHECK-LABEL: func @diamond
// CHECK: kernel.region "matmul_erf_quantize_dequantize_mul"
// CHECK: kernel.contract
// CHECK: linalg.generic
// CHECK-NOT: linalg.generic
// CHECK-NOT: kernel.region
// CHECK: return
func.func @diamond(%x: tensor<4x8xf32>, %y: tensor<8x4xf32>, %s: tensor<f32>) -> tensor<4x4xf32> {
  %0 = graph.matmul %x, %y : tensor<4x8xf32>, tensor<8x4xf32> -> tensor<4x4xf32>
  %1 = graph.erf %0 : tensor<4x4xf32> -> tensor<4x4xf32>
  %2 = graph.quantize %1 scale %s : (tensor<4x4xf32>, tensor<f32>) -> tensor<4x4xi8>
  %3 = graph.dequantize %2 scale %s : (tensor<4x4xi8>, tensor<f32>) -> tensor<4x4xf32>
  %4 = graph.mul %0, %3 : tensor<4x4xf32>, tensor<4x4xf32> -> tensor<4x4xf32>
  return %4 : tensor<4x4xf32>
}

// -----

// The scale of all and those of columns are one product, made in the epilogue.
// CHECK-LABEL: func @scales
// CHECK: kernel.region "mul_matmul_mul"
// CHECK: kernel.contract
// CHECK: linalg.generic
// CHECK: arith.mulf
// CHECK: arith.mulf
// CHECK-NOT: kernel.region
// CHECK: return
func.func @scales(%x: tensor<4x8xf32>, %y: tensor<8x4xf32>, %s: tensor<f32>, %t: tensor<4xf32>) -> tensor<4x4xf32> {
  %0 = graph.matmul %x, %y : tensor<4x8xf32>, tensor<8x4xf32> -> tensor<4x4xf32>
  %1 = graph.mul %t, %s : tensor<4xf32>, tensor<f32> -> tensor<4xf32>
  %2 = graph.mul %0, %1 : tensor<4x4xf32>, tensor<4xf32> -> tensor<4x4xf32>
  return %2 : tensor<4x4xf32>
}

// -----

// Each row of a sum that a product is added to is computed once.
// CHECK-LABEL: func @residual
// CHECK: kernel.region "exp_matmul_add"
// CHECK-NOT: kernel.region
// CHECK: return
func.func @residual(%x: tensor<4x8xf32>, %y: tensor<8x4xf32>, %z: tensor<4x4xf32>) -> tensor<4x4xf32> {
  %0 = graph.exp %z : tensor<4x4xf32> -> tensor<4x4xf32>
  %1 = graph.matmul %x, %y : tensor<4x8xf32>, tensor<8x4xf32> -> tensor<4x4xf32>
  %2 = graph.add %1, %0 : tensor<4x4xf32>, tensor<4x4xf32> -> tensor<4x4xf32>
  return %2 : tensor<4x4xf32>
}

// -----

// Of columns it would be computed for each row.
// CHECK-LABEL: func @column_function
// CHECK: kernel.region "exp"
// CHECK: kernel.region "matmul_add"
func.func @column_function(%x: tensor<4x8xf32>, %y: tensor<8x4xf32>, %z: tensor<4xf32>) -> tensor<4x4xf32> {
  %0 = graph.exp %z : tensor<4xf32> -> tensor<4xf32>
  %1 = graph.matmul %x, %y : tensor<4x8xf32>, tensor<8x4xf32> -> tensor<4x4xf32>
  %2 = graph.add %1, %0 : tensor<4x4xf32>, tensor<4xf32> -> tensor<4x4xf32>
  return %2 : tensor<4x4xf32>
}

// -----

// A scalar that scalars are made of is computed for each of them.
// CHECK-LABEL: func @scalars
// CHECK-NOT: kernel.region "exp"
// CHECK: kernel.region "exp_neg"
// CHECK: kernel.region "exp_abs"
func.func @scalars(%x: tensor<f32>) -> (tensor<f32>, tensor<f32>) {
  %0 = graph.exp %x : tensor<f32> -> tensor<f32>
  %1 = graph.neg %0 : tensor<f32> -> tensor<f32>
  %2 = graph.abs %0 : tensor<f32> -> tensor<f32>
  return %1, %2 : tensor<f32>, tensor<f32>
}

// -----

// Queries, keys and values in one tensor are read where they lie: it is one
// input, and nothing is copied.
// CHECK-LABEL: func @packed_heads
// CHECK: %[[V:.*]] = kernel.view
// CHECK-NOT: kernel.region "slice"
// CHECK: kernel.region "attention" inputs(%[[V]] : tensor<?x?x36x64xf32>)
// CHECK: ^bb0(%[[X:.*]]: tensor<?x?x36x64xf32>):
// CHECK-DAG: %[[Q:.*]] = tensor.extract_slice %[[X]][0, 0, 0, 0] [%{{.*}}, %{{.*}}, 12, 64] [1, 1, 1, 1]
// CHECK-DAG: %[[K:.*]] = tensor.extract_slice %[[X]][0, 0, 12, 0] [%{{.*}}, %{{.*}}, 12, 64] [1, 1, 1, 1]
// CHECK-DAG: %[[VALUE:.*]] = tensor.extract_slice %[[X]][0, 0, 24, 0] [%{{.*}}, %{{.*}}, 12, 64] [1, 1, 1, 1]
// CHECK: kernel.attention causal %[[Q]], %[[K]], %[[VALUE]]
// CHECK-NOT: kernel.region
// CHECK: return
func.func @packed_heads(%qkv: tensor<?x?x2304xf32> {tenon.dims = ["b", "s", 2304]}) -> tensor<?x12x?x64xf32> {
  %b = graph.symbol "b" range 0 to 64
  %s = graph.symbol "s" range 0 to 64
  %0 = graph.reshape %qkv to [%b, %s, 36, 64] {allow_zero} : tensor<?x?x2304xf32> -> tensor<?x?x36x64xf32>
  %1 = graph.slice %0 from [0, 0, 0, 0] to [%b, %s, 12, 64] step [1, 1, 1, 1] : tensor<?x?x36x64xf32> -> tensor<?x?x12x64xf32>
  %2 = graph.slice %0 from [0, 0, 12, 0] to [%b, %s, 24, 64] step [1, 1, 1, 1] : tensor<?x?x36x64xf32> -> tensor<?x?x12x64xf32>
  %3 = graph.slice %0 from [0, 0, 24, 0] to [%b, %s, 36, 64] step [1, 1, 1, 1] : tensor<?x?x36x64xf32> -> tensor<?x?x12x64xf32>
  %q = graph.transpose %1 [0, 2, 1, 3] : tensor<?x?x12x64xf32> -> tensor<?x12x?x64xf32>
  %k = graph.transpose %2 [0, 2, 1, 3] : tensor<?x?x12x64xf32> -> tensor<?x12x?x64xf32>
  %v = graph.transpose %3 [0, 2, 1, 3] : tensor<?x?x12x64xf32> -> tensor<?x12x?x64xf32>
  %4 = graph.attention causal %q, %k, %v scale 1.250000e-01 : (tensor<?x12x?x64xf32>, tensor<?x12x?x64xf32>, tensor<?x12x?x64xf32>) -> tensor<?x12x?x64xf32>
  return %4 : tensor<?x12x?x64xf32>
}

// -----

// What is appended to a cache, too; the cache is updated as before. The slice
// is a result as well, so it is made, but not for the cache.
// CHECK-LABEL: func @packed_cache
// CHECK: %[[S:.*]] = kernel.region "slice"
// CHECK: %[[A:.*]] = kernel.region "append" inputs(%[[V:.*]], %{{.*}}, %{{.*}}, %{{.*}} : tensor<?x?x8x8xf32>, {{.*}}) {{.*}} updates [1]
// CHECK: %[[X:.*]] = tensor.extract_slice %{{.*}}[0, 0, 4, 0] [%{{.*}}, %{{.*}}, 4, 8] [1, 1, 1, 1]
// CHECK: kernel.append %[[X]]
// CHECK: return %[[A]], %[[S]]
func.func @packed_cache(%kv: tensor<?x?x64xf32> {tenon.dims = ["b", "s", 64]}, %cache: tensor<?x4x?x8xf32> {tenon.dims = ["b", 4, "t", 8]}, %starts: tensor<?xi64> {tenon.dims = ["b"]}) -> (tensor<?x4x?x8xf32>, tensor<?x?x4x8xf32>) {
  %b = graph.symbol "b" range 0 to 64
  %s = graph.symbol "s" range 0 to 64
  %t = graph.symbol "t" range 0 to 64
  %0 = graph.reshape %kv to [%b, %s, 8, 8] {allow_zero} : tensor<?x?x64xf32> -> tensor<?x?x8x8xf32>
  %1 = graph.slice %0 from [0, 0, 4, 0] to [%b, %s, 8, 8] step [1, 1, 1, 1] : tensor<?x?x8x8xf32> -> tensor<?x?x4x8xf32>
  %2 = graph.transpose %1 [0, 2, 1, 3] : tensor<?x?x4x8xf32> -> tensor<?x4x?x8xf32>
  %3 = graph.append %2 into %cache at %starts : (tensor<?x4x?x8xf32>, tensor<?x4x?x8xf32>, tensor<?xi64>) -> tensor<?x4x?x8xf32>
  return %3, %1 : tensor<?x4x?x8xf32>, tensor<?x?x4x8xf32>
}

// -----

// Rotation reads both elements of a pair out of what is packed.
// CHECK-LABEL: func @packed_rotation
// CHECK-NOT: kernel.region "slice"
// CHECK: kernel.region "rotary" inputs(%{{.*}}, %{{.*}}, %{{.*}} : tensor<?x?x15x2x32xf32>,
// CHECK: %[[X:.*]] = tensor.extract_slice %{{.*}}[0, 0, 9, 0, 0] [%{{.*}}, %{{.*}}, 3, 2, 32] [1, 1, 1, 1, 1]
// CHECK: linalg.generic {{.*}} ins(%[[X]], %[[X]],
// CHECK-NOT: kernel.region "slice"
// CHECK: return
func.func @packed_rotation(%qkv: tensor<?x?x960xf32> {tenon.dims = ["b", "s", 960]}, %cos: tensor<?x?x32xf32> {tenon.dims = ["b", "s", 32]}, %sin: tensor<?x?x32xf32> {tenon.dims = ["b", "s", 32]}) -> tensor<?x3x?x64xf32> {
  %b = graph.symbol "b" range 0 to 64
  %s = graph.symbol "s" range 0 to 64
  %0 = graph.reshape %qkv to [%b, %s, 15, 64] {allow_zero} : tensor<?x?x960xf32> -> tensor<?x?x15x64xf32>
  %1 = graph.slice %0 from [0, 0, 9, 0] to [%b, %s, 12, 64] step [1, 1, 1, 1] : tensor<?x?x15x64xf32> -> tensor<?x?x3x64xf32>
  %2 = graph.transpose %1 [0, 2, 1, 3] : tensor<?x?x3x64xf32> -> tensor<?x3x?x64xf32>
  %3 = graph.rotary %2, %cos, %sin : tensor<?x3x?x64xf32>, tensor<?x?x32xf32>, tensor<?x?x32xf32> -> tensor<?x3x?x64xf32>
  return %3 : tensor<?x3x?x64xf32>
}

// -----

// A step, and a part of a dimension whose size is not known, run by themselves.
// CHECK-LABEL: func @no_parts
// CHECK-COUNT-2: kernel.region "slice"
// CHECK: kernel.region "attention"
// CHECK-NOT: tensor.extract_slice
// CHECK: return
func.func @no_parts(%x: tensor<2x4x6x8xf32>, %y: tensor<2x4x?x8xf32> {tenon.dims = [2, 4, "t", 8]}) -> tensor<2x4x3x8xf32> {
  %t = graph.symbol "t" range 1 to 64
  %c1 = arith.constant 1 : index
  %end = arith.subi %t, %c1 : index
  %0 = graph.slice %x from [0, 0, 0, 0] to [2, 4, 6, 8] step [1, 1, 2, 1] : tensor<2x4x6x8xf32> -> tensor<2x4x3x8xf32>
  %1 = graph.slice %y from [0, 0, 0, 0] to [2, 4, %end, 8] step [1, 1, 1, 1] : tensor<2x4x?x8xf32> -> tensor<2x4x?x8xf32>
  %2 = graph.attention %0, %1, %1 scale 1.250000e-01 : (tensor<2x4x3x8xf32>, tensor<2x4x?x8xf32>, tensor<2x4x?x8xf32>) -> tensor<2x4x3x8xf32>
  return %2 : tensor<2x4x3x8xf32>
}

// -----

// Nor is a part that is empty read where it would lie.
// CHECK-LABEL: func @empty_part
// CHECK: kernel.region "slice"
// CHECK-NOT: tensor.extract_slice
// CHECK: return
func.func @empty_part(%x: tensor<2x4x6x8xf32>, %y: tensor<2x4x6x8xf32>) -> tensor<2x4x0x8xf32> {
  %0 = graph.slice %x from [0, 0, 6, 0] to [2, 4, 6, 8] step [1, 1, 1, 1] : tensor<2x4x6x8xf32> -> tensor<2x4x0x8xf32>
  %1 = graph.attention %0, %y, %y scale 1.250000e-01 : (tensor<2x4x0x8xf32>, tensor<2x4x6x8xf32>, tensor<2x4x6x8xf32>) -> tensor<2x4x0x8xf32>
  return %1 : tensor<2x4x0x8xf32>
}
