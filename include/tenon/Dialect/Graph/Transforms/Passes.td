#ifndef TENON_DIALECT_GRAPH_TRANSFORMS_PASSES_TD
#define TENON_DIALECT_GRAPH_TRANSFORMS_PASSES_TD

include "mlir/Pass/PassBase.td"

def AssumeDecoderPass : Pass<"graph-assume-decoder", "::mlir::func::FuncOp"> {
  let summary = "Give a decoder the inputs of its form";
  let description = [{
    Where the module has `tenon.decoder`, @main gets inputs that say where each
    row of the batch stands (docs/decoders.md): `slots`, `starts`, `rows` and
    `context`, marked with `tenon.role`. An input `attention_mask` becomes all
    ones, since a slot holds no padding, and `position_ids` what follows from
    `starts`; what was only the length of the mask becomes that of the past and
    what is new. Inputs of floats with a row for each of the batch and at most one
    size of their own are what an encoder gives, marked `tenon.kept` with the
    dimension that this size is, or -1. Where there is such a dimension, @main
    gets `lengths`, and `encoder_attention_mask` becomes all ones.

    Before:

    ```mlir
    module attributes {tenon.decoder} {
      func.func @main(%ids: tensor<?x?xi64> {tenon.name = "input_ids", tenon.dims = ["batch", "sequence"]},
                      %positions: tensor<?x?xi64> {tenon.name = "position_ids", tenon.dims = ["batch", "sequence"]},
                      %k: tensor<?x3x?x64xf32> {tenon.name = "past.key", tenon.dims = ["batch", 3, "past", 64]}) -> tensor<?x?xi64> {
        %b = graph.symbol "batch" range 0 to 8
        %s = graph.symbol "sequence" range 0 to 512
        %p = graph.symbol "past" range 0 to 512
        return %positions : tensor<?x?xi64>
      }
    }
    ```

    After:

    ```mlir
    %0 = graph.iota %c0 step 1 size %s : tensor<?xi64>
    %1 = graph.reshape %starts to [%b, 1] {allow_zero} : tensor<?xi64> -> tensor<?x1xi64>
    %2 = graph.add %1, %0 : tensor<?x1xi64>, tensor<?xi64> -> tensor<?x?xi64>
    ```
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect"];
}

def FormDecoderPass : Pass<"graph-form-decoder", "::mlir::func::FuncOp"> {
  let summary = "Change caches in place, and compute logits of chosen rows";
  let description = [{
    Where the module has `tenon.decoder`: a past that what is new is appended to
    becomes a cache of fixed capacity, marked `tenon.state`, and the attention
    that reads it finds the keys of each row by `starts` and `slots`. What was
    the result `present` goes. A mask beside `causal` becomes a row that is computed
    for any keys, by key or `relative`. What is marked `tenon.kept` gets a row for
    each slot, and attention that reads it the lengths of these. The rows of the logits are chosen as early as each
    is computed by itself. It is an error where the model does otherwise than
    docs/decoders.md says. With `tenon.kv_cache`, one of `f32`, `f16`, `bf16` and
    `int8`, caches have that type, else that of the past.

    Before:

    ```mlir
    %keys = graph.concat %past, %new axis 2 : (tensor<?x3x?x64xf32>, tensor<?x3x?x64xf32>) -> tensor<?x3x?x64xf32>
    %0 = graph.attention causal %q, %keys, %values scale 1.250000e-01 : (tensor<?x9x?x64xf32>, tensor<?x3x?x64xf32>, tensor<?x3x?x64xf32>) -> tensor<?x9x?x64xf32>
    ```

    After:

    ```mlir
    %keys = graph.append %new into %cache at %starts in %slots : (tensor<?x3x?x64xf32>, tensor<?x3x?x64xf32>, tensor<?xi64>, tensor<?xi64>) -> tensor<?x3x?x64xf32>
    %0 = graph.attention causal %q, %keys, %values at %starts in %slots length %n scale 1.250000e-01 : (tensor<?x9x?x64xf32>, tensor<?x3x?x64xf32>, tensor<?x3x?x64xf32>, tensor<?xi64>, tensor<?xi64>, index) -> tensor<?x9x?x64xf32>
    ```
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect"];
}

def FoldConstantsPass : Pass<"graph-fold-constants"> {
  let summary = "Compute what depends on small constants only";
  let description = [{
    Folds elementwise ops on constants whose elements are all equal, such as the
    scale factors that exporters compute from sizes, turns squares written as
    powers into products, and drops casts to the type a value has, loops that
    have no first iteration, and ops with a neutral operand: x · 1, x / 1 and, of
    booleans, x and true.

    Before:

    ```mlir
    %0 = graph.constant dense<64.0> : tensor<f32>
    %1 = graph.sqrt %0 : tensor<f32> -> tensor<f32>
    ```

    After:

    ```mlir
    %1 = graph.constant dense<8.0> : tensor<f32>
    ```
  }];
}

def FoldShapeArithmeticPass : Pass<"graph-fold-shape-arithmetic", "::mlir::func::FuncOp"> {
  let summary = "Replace shape arithmetic by expressions over symbols";
  let description = [{
    Every size that does not depend on data becomes a constant or `arith` ops
    over `graph.symbol` at the function's start; small integer tensors of known
    contents become constants or `graph.from_indices`; reshapes, broadcasts and
    slices that change nothing go. Where a broadcast is defined only if two
    symbolic sizes are equal, a `graph.assume_equal` is left.

    Before:

    ```mlir
    %b = graph.symbol "batch" range 0 to 64
    %shape = graph.from_indices %b, %b : tensor<2xi64>
    %0 = graph.extract %shape[1] : tensor<2xi64>
    %1 = graph.reshape %x to [%0, -1] : tensor<?x4x2xf32> -> tensor<?x?xf32>
    ```

    After:

    ```mlir
    %b = graph.symbol "batch" range 0 to 64
    %1 = graph.reshape %x to [%b, 8] {allow_zero} : tensor<?x4x2xf32> -> tensor<?x?xf32>
    ```
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect"];
}

def FoldTransposeIntoMatmulPass : Pass<"graph-fold-transpose-into-matmul"> {
  let summary = "Fold transposed operands into the flags of graph.matmul";
  let description = [{
    A `graph.transpose` that swaps the last two dimensions of an operand becomes
    the matching flag, so that no transposed copy is made.

    Before:

    ```mlir
    %t = graph.transpose %a [1, 0] : tensor<8x4xf32> -> tensor<4x8xf32>
    %0 = graph.matmul %t, %b : tensor<4x8xf32>, tensor<8x16xf32> -> tensor<4x16xf32>
    ```

    After:

    ```mlir
    %0 = graph.matmul transpose_lhs %a, %b : tensor<8x4xf32>, tensor<8x16xf32> -> tensor<4x16xf32>
    ```
  }];
}

def FoldWeightCastsPass : Pass<"graph-fold-weight-casts"> {
  let summary = "Read weights of 16 bits where they are used";
  let description = [{
    Models that store their weights in f16 or bf16 and compute in f32 cast each
    weight first. A product widens what it multiplies by itself, and of a table
    only the rows that are looked up need a cast, so no f32 copy is made.

    Before:

    ```mlir
    %w = graph.weight "w" from "model.onnx.data" at 0 : tensor<384x1536xf16>
    %c = graph.cast %w : tensor<384x1536xf16> -> tensor<384x1536xf32>
    %0 = graph.matmul %x, %c : tensor<?x?x384xf32>, tensor<384x1536xf32> -> tensor<?x?x1536xf32>
    ```

    After:

    ```mlir
    %w = graph.weight "w" from "model.onnx.data" at 0 : tensor<384x1536xf16>
    %0 = graph.matmul %x, %w : tensor<?x?x384xf32>, tensor<384x1536xf16> -> tensor<?x?x1536xf32>
    ```
  }];
}

def FoldWeightSumsPass : Pass<"graph-fold-weight-sums", "::mlir::ModuleOp"> {
  let summary = "Compute when compiling what depends on weights of integers only";
  let description = [{
    Sums of the columns of weights, scales and biases of all columns, and weights
    with the other sign (docs/narrow-products.md) become weights, or constants
    where they are small. New weights are files, as `graph-narrow-feed-forward`
    writes them; without the module's `tenon.derived_prefix` nothing is done. A
    vector of zero points that are all equal becomes one constant.

    Before:

    ```mlir
    %w = graph.weight "w" from "model.onnx.data" at 0 : tensor<384x1536xi8>
    %0 = graph.cast %w : tensor<384x1536xi8> -> tensor<384x1536xi32>
    %1 = graph.reduce sum %0 axes [0] : tensor<384x1536xi32> -> tensor<1x1536xi32>
    ```

    After:

    ```mlir
    %1 = graph.weight "w.reduce" from "5b1f…" at 0 : tensor<1x1536xi32>
    ```
  }];
}

def InferShapesPass : Pass<"graph-infer-shapes", "::mlir::func::FuncOp"> {
  let summary = "Write constant sizes into the types of tensors";
  let description = [{
    Before:

    ```mlir
    %0 = graph.reshape %x to [%b, 8] {allow_zero} : tensor<?x4x2xf32> -> tensor<?x?xf32>
    ```

    After:

    ```mlir
    %0 = graph.reshape %x to [%b, 8] {allow_zero} : tensor<?x4x2xf32> -> tensor<?x8xf32>
    ```
  }];
}

def RecognizeAttentionPass : Pass<"graph-recognize-attention"> {
  let summary = "Turn softmax(q·kᵀ)·v, as exporters write it, into graph.attention";
  let description = [{
    Scale factors on the query, the key and the scores are multiplied into one.
    An added mask becomes the operand `mask`; one that is `where(keep, 0, -inf)`
    becomes `keep` itself. Of several that are added, or that replace what they
    hide by a very low number, one mask is made: `where(keep, bias, low)`. `where(is_nan(p), 0, p)` after the softmax, which
    PyTorch's SDPA writes, becomes `zero_if_masked`.

    Before:

    ```mlir
    %s = graph.matmul transpose_rhs %q, %k : tensor<?x12x?x64xf32>, tensor<?x12x?x64xf32> -> tensor<?x12x?x?xf32>
    %c = graph.constant dense<0.125> : tensor<f32>
    %d = graph.mul %s, %c : tensor<?x12x?x?xf32>, tensor<f32> -> tensor<?x12x?x?xf32>
    %m = graph.add %d, %mask : tensor<?x12x?x?xf32>, tensor<?x1x?x?xf32> -> tensor<?x12x?x?xf32>
    %p = graph.softmax %m axis 3 : tensor<?x12x?x?xf32> -> tensor<?x12x?x?xf32>
    %o = graph.matmul %p, %v : tensor<?x12x?x?xf32>, tensor<?x12x?x64xf32> -> tensor<?x12x?x64xf32>
    ```

    After:

    ```mlir
    %o = graph.attention %q, %k, %v mask %mask scale 1.250000e-01 : (tensor<?x12x?x64xf32>, tensor<?x12x?x64xf32>, tensor<?x12x?x64xf32>, tensor<?x1x?x?xf32>) -> tensor<?x12x?x64xf32>
    ```
  }];
}

def RecognizeCausalMaskPass : Pass<"graph-recognize-causal-mask", "::mlir::func::FuncOp"> {
  let summary = "Turn the part of a mask that hides later keys into `causal`";
  let description = [{
    Of masks computed from positions: what is left of the mask may be as small as
    one row, and attention does not visit keys that no query of a block sees. A
    mask of floats that adds a very low number to what is hidden is one where
    nothing else hides keys: in a row in which all is hidden that number would
    hide none. What it adds to what is shown becomes the mask. Parts that are computed from constants and true say nothing. A
    part that hides all but the last w keys before a query becomes `window`.

    Before:

    ```mlir
    %i = graph.iota %c0 step 1 size %n : tensor<?xi64>
    %q = graph.reshape %i to [%n, 1] {allow_zero} : tensor<?xi64> -> tensor<?x1xi64>
    %keep = graph.less_equal %i, %q : tensor<?xi64>, tensor<?x1xi64> -> tensor<?x?xi1>
    %both = graph.and %keep, %padding : tensor<?x?xi1>, tensor<?x1x1x?xi1> -> tensor<?x1x?x?xi1>
    %o = graph.attention %query, %key, %value mask %both scale 1.250000e-01 : (tensor<?x12x?x64xf32>, tensor<?x12x?x64xf32>, tensor<?x12x?x64xf32>, tensor<?x1x?x?xi1>) -> tensor<?x12x?x64xf32>
    ```

    After:

    ```mlir
    %o = graph.attention causal %query, %key, %value mask %padding scale 1.250000e-01 : (tensor<?x12x?x64xf32>, tensor<?x12x?x64xf32>, tensor<?x12x?x64xf32>, tensor<?x1x1x?xi1>) -> tensor<?x12x?x64xf32>
    ```
  }];
}

def RecognizeGeluPass : Pass<"graph-recognize-gelu"> {
  let summary = "Turn GELU written out, with erf or tanh, into graph.gelu";
  let description = [{
    Before:

    ```mlir
    %root = graph.constant dense<1.41421354> : tensor<f32>
    %one = graph.constant dense<1.0> : tensor<f32>
    %half = graph.constant dense<5.000000e-01> : tensor<f32>
    %0 = graph.div %x, %root : tensor<?x8xf32>, tensor<f32> -> tensor<?x8xf32>
    %1 = graph.erf %0 : tensor<?x8xf32> -> tensor<?x8xf32>
    %2 = graph.add %1, %one : tensor<?x8xf32>, tensor<f32> -> tensor<?x8xf32>
    %3 = graph.mul %x, %2 : tensor<?x8xf32>, tensor<?x8xf32> -> tensor<?x8xf32>
    %4 = graph.mul %3, %half : tensor<?x8xf32>, tensor<f32> -> tensor<?x8xf32>
    ```

    After:

    ```mlir
    %4 = graph.gelu %x : tensor<?x8xf32> -> tensor<?x8xf32>
    ```
  }];
}

def NarrowFeedForwardPass : Pass<"graph-narrow-feed-forward", "::mlir::ModuleOp"> {
  let summary = "Leave out the weakest channels between two products";
  let description = [{
    A `graph.matmul` with the attribute `tenon.width` keeps that many columns,
    those whose norm times the norm of what the next product makes of them is
    largest. Between the two stand elementwise ops and vectors of weights, which
    are narrowed as well. The new weights are written to files whose names start
    with the module's `tenon.derived_prefix`; values are read from the model's,
    one weight at a time.

    Before:

    ```mlir
    %w0 = graph.weight "up" from "model.onnx.data" at 0 : tensor<8x64xf32>
    %w1 = graph.weight "down" from "model.onnx.data" at 2048 : tensor<64x8xf32>
    %0 = graph.matmul %x, %w0 {tenon.width = 32} : tensor<?x8xf32>, tensor<8x64xf32> -> tensor<?x64xf32>
    %1 = graph.gelu %0 : tensor<?x64xf32> -> tensor<?x64xf32>
    %2 = graph.matmul %1, %w1 : tensor<?x64xf32>, tensor<64x8xf32> -> tensor<?x8xf32>
    ```

    After:

    ```mlir
    %w0 = graph.weight "up.narrow" from "0f3a…" at 0 : tensor<8x32xf32>
    %w1 = graph.weight "down.narrow" from "97cc…" at 0 : tensor<32x8xf32>
    %0 = graph.matmul %x, %w0 {tenon.width = 32} : tensor<?x8xf32>, tensor<8x32xf32> -> tensor<?x32xf32>
    %1 = graph.gelu %0 : tensor<?x32xf32> -> tensor<?x32xf32>
    %2 = graph.matmul %1, %w1 : tensor<?x32xf32>, tensor<32x8xf32> -> tensor<?x8xf32>
    ```
  }];
}

def QuantizeWeightsPass : Pass<"graph-quantize-weights", "::mlir::ModuleOp"> {
  let summary = "Store the weights of chosen products in eight bits or four";
  let description = [{
    A `graph.matmul` with `tenon.weights = "int8"` reads signed bytes instead:
    each column divided by its largest magnitude over 127 and rounded to nearest.
    The product with the scales of the columns stands behind it and becomes part
    of its kernel, which widens the bytes in registers. New weights are files, as
    `graph-narrow-feed-forward` writes them.

    With `tenon.group` also, each so many contracted elements of a column have a
    scale of their own, and of four bits a zero point, of which those with the
    least squared error are searched for; `tenon.importance`, an array with a number
    for each contracted channel, says how much errors there count.

    Before:

    ```mlir
    %w = graph.weight "w" from "model.onnx.data" at 0 : tensor<8x64xf32>
    %0 = graph.matmul %x, %w {tenon.weights = "int8"} : tensor<?x8xf32>, tensor<8x64xf32> -> tensor<?x64xf32>
    ```

    After:

    ```mlir
    %w = graph.weight "w.int8" from "be61…" at 0 : tensor<8x64xi8>
    %s = graph.weight "w.scales" from "03d7…" at 0 : tensor<64xf32>
    %0 = graph.matmul %x, %w {tenon.weights = "int8"} : tensor<?x8xf32>, tensor<8x64xi8> -> tensor<?x64xf32>
    %1 = graph.mul %0, %s : tensor<?x64xf32>, tensor<64xf32> -> tensor<?x64xf32>
    ```
  }];
}

def QuantizeActivationsPass : Pass<"graph-quantize-activations", "::mlir::ModuleOp"> {
  let summary = "Say which products may round their left operand to eight bits";
  let description = [{
    A `graph.matmul` with `tenon.activations = "int8"` whose right operand is
    dequantized in blocks and whose left one is not transposed keeps the attribute,
    and fuse lets its kernel round each 32 elements of a row to bytes. Of all
    others it is taken away; remarks say how many, and why.

    Before:

    ```mlir
    %0 = graph.matmul %x, %y {tenon.activations = "int8"} : tensor<?x8xf32>, tensor<8x64xf32> -> tensor<?x64xf32>
    ```

    After:

    ```mlir
    %0 = graph.matmul %x, %y : tensor<?x8xf32>, tensor<8x64xf32> -> tensor<?x64xf32>
    ```
  }];
}

def LowerPrecisionPass : Pass<"graph-lower-precision", "::mlir::ModuleOp"> {
  let summary = "Multiply operands of bf16 in chosen products";
  let description = [{
    The operands of a `graph.matmul` of f32 with `tenon.precision = "bf16"` are
    rounded to bf16; sums stay in f32. Casts of activations join what computes
    them, weights are rounded as they are written. With `weights-only`, for a
    machine that multiplies bf16 no faster than f32, activations stay exact. A
    product whose operands are of other types stays as it is. A `graph.attention`
    with the attribute gets operands of bf16 and `round_weights`.

    Before:

    ```mlir
    %w = graph.weight "w" from "model.onnx.data" at 0 : tensor<8x64xf32>
    %0 = graph.matmul %x, %w {tenon.precision = "bf16"} : tensor<?x8xf32>, tensor<8x64xf32> -> tensor<?x64xf32>
    ```

    After:

    ```mlir
    %w = graph.weight "w" from "model.onnx.data" at 0 : tensor<8x64xf32>
    %0 = graph.cast %x : tensor<?x8xf32> -> tensor<?x8xbf16>
    %1 = graph.cast %w : tensor<8x64xf32> -> tensor<8x64xbf16>
    %2 = graph.matmul %0, %1 {tenon.precision = "bf16"} : tensor<?x8xbf16>, tensor<8x64xbf16> -> tensor<?x64xf32>
    ```
  }];
  let options = [Option<"weightsOnly", "weights-only", "bool", "false",
                        "Round weights, but no activations">];
}

def RecognizeQuantizedAttentionPass : Pass<"graph-recognize-quantized-attention"> {
  let summary = "Turn attention between quantizers into graph.attention of bytes";
  let description = [{
    Queries, keys, values and the softmax are integers of 8 bits of one scale and
    zero point each, which constants say; scores may be, before they are scaled
    and masked. Weights are not rounded to the multiples that the graph says but
    to 1/255 of the largest of their row, which are as near to each other or
    nearer, and none saturates; a row that sees no key becomes 0. Signs become those of `graph.attention` as in
    `graph-recognize-integer-products`.

    Before:

    ```mlir
    %s = graph.constant dense<2.000000e-02> : tensor<f32>
    %z = graph.constant dense<128> : tensor<ui8>
    %t = graph.constant dense<3.906250e-03> : tensor<f32>
    %c = graph.constant dense<1.250000e-01> : tensor<f32>
    %q8 = graph.quantize %q scale %s zero_point %z : (tensor<?x12x?x64xf32>, tensor<f32>, tensor<ui8>) -> tensor<?x12x?x64xui8>
    %q9 = graph.dequantize %q8 scale %s zero_point %z : (tensor<?x12x?x64xui8>, tensor<f32>, tensor<ui8>) -> tensor<?x12x?x64xf32>
    %k9 = graph.dequantize %k8 scale %s : (tensor<?x12x64x?xi8>, tensor<f32>) -> tensor<?x12x64x?xf32>
    %v9 = graph.dequantize %v8 scale %s : (tensor<?x12x?x64xi8>, tensor<f32>) -> tensor<?x12x?x64xf32>
    %0 = graph.matmul %q9, %k9 : tensor<?x12x?x64xf32>, tensor<?x12x64x?xf32> -> tensor<?x12x?x?xf32>
    %1 = graph.mul %0, %c : tensor<?x12x?x?xf32>, tensor<f32> -> tensor<?x12x?x?xf32>
    %2 = graph.softmax %1 axis 3 : tensor<?x12x?x?xf32> -> tensor<?x12x?x?xf32>
    %3 = graph.quantize %2 scale %t : (tensor<?x12x?x?xf32>, tensor<f32>) -> tensor<?x12x?x?xui8>
    %4 = graph.dequantize %3 scale %t : (tensor<?x12x?x?xui8>, tensor<f32>) -> tensor<?x12x?x?xf32>
    %5 = graph.matmul %4, %v9 : tensor<?x12x?x?xf32>, tensor<?x12x?x64xf32> -> tensor<?x12x?x64xf32>
    ```

    After:

    ```mlir
    %p = graph.constant dense<[1.280000e+02, 0.000000e+00, 0.000000e+00, 4.000000e-04, 2.000000e-02]> : tensor<5xf32>
    %k = graph.transpose %k8 [0, 1, 3, 2] : tensor<?x12x64x?xi8> -> tensor<?x12x?x64xi8>
    %5 = graph.attention zero_if_masked %q8, %k, %v8 quantized %p scale 1.250000e-01 : (tensor<?x12x?x64xui8>, tensor<?x12x?x64xi8>, tensor<?x12x?x64xi8>, tensor<5xf32>) -> tensor<?x12x?x64xf32>
    ```
  }];
}

def RecognizeIntegerProductsPass : Pass<"graph-recognize-integer-products"> {
  let summary = "Turn products of integers of 8 bits into ui8 times i8";
  let description = [{
    The operands of a product are integers of 8 bits without their zero points,
    written as a difference of i32 or as `graph.dequantize`. The product becomes
    that of the integers, and what the zero points make of it are sums of columns
    and rows (docs/narrow-products.md). Scales stand behind it; where one varies
    along the contracted dimension the product stays as it is. A product of
    floats with a weight that is dequantized reads its bytes.

    Before:

    ```mlir
    %a = graph.dequantize %x scale %s zero_point %z : (tensor<?x8xui8>, tensor<f32>, tensor<ui8>) -> tensor<?x8xf32>
    %b = graph.dequantize %w scale %t : (tensor<8x16xi8>, tensor<16xf32>) -> tensor<8x16xf32>
    %0 = graph.matmul %a, %b : tensor<?x8xf32>, tensor<8x16xf32> -> tensor<?x16xf32>
    ```

    After:

    ```mlir
    %p = graph.matmul %x, %w : tensor<?x8xui8>, tensor<8x16xi8> -> tensor<?x16xi32>
    %i = graph.cast %w : tensor<8x16xi8> -> tensor<8x16xi32>
    %c = graph.reduce sum %i axes [0] : tensor<8x16xi32> -> tensor<1x16xi32>
    %zi = graph.cast %z : tensor<ui8> -> tensor<i32>
    %d = graph.mul %c, %zi : tensor<1x16xi32>, tensor<i32> -> tensor<1x16xi32>
    %q = graph.sub %p, %d : tensor<?x16xi32>, tensor<1x16xi32> -> tensor<?x16xi32>
    %f = graph.cast %q : tensor<?x16xi32> -> tensor<?x16xf32>
    %g = graph.mul %f, %t : tensor<?x16xf32>, tensor<16xf32> -> tensor<?x16xf32>
    %0 = graph.mul %g, %s : tensor<?x16xf32>, tensor<f32> -> tensor<?x16xf32>
    ```
  }];
}

def PackBlockWeightsPass : Pass<"graph-pack-block-weights", "::mlir::ModuleOp"> {
  let summary = "Store weights that are quantized in blocks as products read them";
  let description = [{
    What a `graph.dequantize_blocks` reads becomes weights where it is computed
    from weights and constants: unsigned integers, two in a byte where all are of
    four bits, one row for each column of the product, scales in f16 where that is
    exact, and zero points that are all equal as one constant
    (docs/block-weights.md). What has this form already stays where it is. New
    weights are files, as `graph-narrow-feed-forward` writes them; without the
    module's `tenon.derived_prefix` nothing is done.

    Before:

    ```mlir
    %q = graph.weight "q" from "model.onnx.data" at 0 : tensor<64x64xi8>
    %s = graph.weight "s" from "model.onnx.data" at 4096 : tensor<64x2xf32>
    %0 = graph.dequantize_blocks %q block 32 scale %s : (tensor<64x64xi8>, tensor<64x2xf32>) -> tensor<64x64xf32>
    ```

    After:

    ```mlir
    %q = graph.weight "q.blocks" from "5b1f…" at 0 : tensor<64x32xui8>
    %s = graph.weight "s.scales" from "9c02…" at 0 : tensor<64x2xf16>
    %z = graph.constant dense<8> : tensor<ui8>
    %0 = graph.dequantize_blocks %q bits 4 block 32 scale %s zero_point %z : (tensor<64x32xui8>, tensor<64x2xf16>, tensor<ui8>) -> tensor<64x64xf32>
    ```
  }];
}

def RaiseDequantizePass : Pass<"graph-raise-dequantize"> {
  let summary = "Dequantize in front of what moves the elements of floats' products";
  let description = [{
    Attention, products of floats, norms and softmax take in no conversion, so it
    joins what quantizes; attention reads heads wherever they lie.

    Before:

    ```mlir
    %0 = graph.quantize %x scale %s : (tensor<?x?x12x64xf32>, tensor<f32>) -> tensor<?x?x12x64xui8>
    %1 = graph.transpose %0 [0, 2, 1, 3] : tensor<?x?x12x64xui8> -> tensor<?x12x?x64xui8>
    %2 = graph.dequantize %1 scale %s : (tensor<?x12x?x64xui8>, tensor<f32>) -> tensor<?x12x?x64xf32>
    %3 = graph.attention %2, %k, %v scale 1.250000e-01 : (tensor<?x12x?x64xf32>, tensor<?x12x?x64xf32>, tensor<?x12x?x64xf32>) -> tensor<?x12x?x64xf32>
    ```

    After:

    ```mlir
    %0 = graph.quantize %x scale %s : (tensor<?x?x12x64xf32>, tensor<f32>) -> tensor<?x?x12x64xui8>
    %1 = graph.dequantize %0 scale %s : (tensor<?x?x12x64xui8>, tensor<f32>) -> tensor<?x?x12x64xf32>
    %2 = graph.transpose %1 [0, 2, 1, 3] : tensor<?x?x12x64xf32> -> tensor<?x12x?x64xf32>
    %3 = graph.attention %2, %k, %v scale 1.250000e-01 : (tensor<?x12x?x64xf32>, tensor<?x12x?x64xf32>, tensor<?x12x?x64xf32>) -> tensor<?x12x?x64xf32>
    ```
  }];
}

def SinkDequantizePass : Pass<"graph-sink-dequantize"> {
  let summary = "Move elements as integers, and dequantize what is left of them";
  let description = [{
    Exporters quantize and dequantize around each op that moves elements. Where
    both have the same parameters they cancel, what is moved is quantized first,
    and of a table only the rows that are looked up are dequantized.

    Before:

    ```mlir
    %0 = graph.dequantize %table scale %s : (tensor<30522x384xui8>, tensor<f32>) -> tensor<30522x384xf32>
    %1 = graph.gather %0, %ids axis 0 : tensor<30522x384xf32>, tensor<?x?xi64> -> tensor<?x?x384xf32>
    ```

    After:

    ```mlir
    %0 = graph.gather %table, %ids axis 0 : tensor<30522x384xui8>, tensor<?x?xi64> -> tensor<?x?x384xui8>
    %1 = graph.dequantize %0 scale %s : (tensor<?x?x384xui8>, tensor<f32>) -> tensor<?x?x384xf32>
    ```
  }];
}

def RecognizeNormPass : Pass<"graph-recognize-norm"> {
  let summary = "Turn layer norm and RMS norm written out into graph.norm";
  let description = [{
    A product with a vector and a sum with a vector behind the norm become its
    scale and bias.

    Before:

    ```mlir
    %two = graph.constant dense<2.0> : tensor<f32>
    %eps = graph.constant dense<9.99999974E-6> : tensor<f32>
    %0 = graph.pow %x, %two : tensor<?x8xf32>, tensor<f32> -> tensor<?x8xf32>
    %1 = graph.reduce mean %0 axes [1] : tensor<?x8xf32> -> tensor<?x1xf32>
    %2 = graph.add %1, %eps : tensor<?x1xf32>, tensor<f32> -> tensor<?x1xf32>
    %3 = graph.sqrt %2 : tensor<?x1xf32> -> tensor<?x1xf32>
    %4 = graph.div %x, %3 : tensor<?x8xf32>, tensor<?x1xf32> -> tensor<?x8xf32>
    %5 = graph.mul %w, %4 : tensor<8xf32>, tensor<?x8xf32> -> tensor<?x8xf32>
    ```

    After:

    ```mlir
    %5 = graph.norm rms %x scale %w axis 1 epsilon 9.99999974E-6 : (tensor<?x8xf32>, tensor<8xf32>) -> tensor<?x8xf32>
    ```
  }];
}

def RecognizeGroupedHeadsPass : Pass<"graph-recognize-grouped-heads", "::mlir::func::FuncOp"> {
  let summary = "Let graph.attention read heads of keys and values that queries share";
  let description = [{
    Exporters repeat each head of keys and values for the heads of the query that
    read it; `graph.attention` does without the copies.

    Before:

    ```mlir
    %k1 = graph.reshape %k to [%b, 3, 1, %t, 64] {allow_zero} : tensor<?x3x?x64xf32> -> tensor<?x3x1x?x64xf32>
    %k2 = graph.broadcast %k1 to [%b, 3, 3, %t, 64] : tensor<?x3x1x?x64xf32> -> tensor<?x3x3x?x64xf32>
    %k3 = graph.reshape %k2 to [%b, 9, %t, 64] {allow_zero} : tensor<?x3x3x?x64xf32> -> tensor<?x9x?x64xf32>
    %v1 = graph.reshape %v to [%b, 3, 1, %t, 64] {allow_zero} : tensor<?x3x?x64xf32> -> tensor<?x3x1x?x64xf32>
    %v2 = graph.broadcast %v1 to [%b, 3, 3, %t, 64] : tensor<?x3x1x?x64xf32> -> tensor<?x3x3x?x64xf32>
    %v3 = graph.reshape %v2 to [%b, 9, %t, 64] {allow_zero} : tensor<?x3x3x?x64xf32> -> tensor<?x9x?x64xf32>
    %o = graph.attention %q, %k3, %v3 scale 1.250000e-01 : (tensor<?x9x?x64xf32>, tensor<?x9x?x64xf32>, tensor<?x9x?x64xf32>) -> tensor<?x9x?x64xf32>
    ```

    After:

    ```mlir
    %o = graph.attention %q, %k, %v scale 1.250000e-01 : (tensor<?x9x?x64xf32>, tensor<?x3x?x64xf32>, tensor<?x3x?x64xf32>) -> tensor<?x9x?x64xf32>
    ```
  }];
}

def RecognizeRotaryPass : Pass<"graph-recognize-rotary", "::mlir::func::FuncOp"> {
  let summary = "Turn rotary embedding by halves, written out, into graph.rotary";
  let description = [{
    The tables of cosines and sines must be made of two equal halves, as
    exporters make them; they become half as wide.

    Before:

    ```mlir
    %f2 = graph.concat %f, %f axis 3 : (tensor<?x1x?x32xf32>, tensor<?x1x?x32xf32>) -> tensor<?x1x?x64xf32>
    %c = graph.cos %f2 : tensor<?x1x?x64xf32> -> tensor<?x1x?x64xf32>
    %s = graph.sin %f2 : tensor<?x1x?x64xf32> -> tensor<?x1x?x64xf32>
    %0 = graph.mul %x, %c : tensor<?x9x?x64xf32>, tensor<?x1x?x64xf32> -> tensor<?x9x?x64xf32>
    %1 = graph.slice %x from [0, 0, 0, 0] to [%b, 9, %n, 32] step [1, 1, 1, 1] : tensor<?x9x?x64xf32> -> tensor<?x9x?x32xf32>
    %2 = graph.slice %x from [0, 0, 0, 32] to [%b, 9, %n, 64] step [1, 1, 1, 1] : tensor<?x9x?x64xf32> -> tensor<?x9x?x32xf32>
    %3 = graph.neg %2 : tensor<?x9x?x32xf32> -> tensor<?x9x?x32xf32>
    %4 = graph.concat %3, %1 axis 3 : (tensor<?x9x?x32xf32>, tensor<?x9x?x32xf32>) -> tensor<?x9x?x64xf32>
    %5 = graph.mul %4, %s : tensor<?x9x?x64xf32>, tensor<?x1x?x64xf32> -> tensor<?x9x?x64xf32>
    %6 = graph.add %0, %5 : tensor<?x9x?x64xf32>, tensor<?x9x?x64xf32> -> tensor<?x9x?x64xf32>
    ```

    After:

    ```mlir
    %c = graph.cos %f : tensor<?x1x?x32xf32> -> tensor<?x1x?x32xf32>
    %s = graph.sin %f : tensor<?x1x?x32xf32> -> tensor<?x1x?x32xf32>
    %6 = graph.rotary %x, %c, %s : tensor<?x9x?x64xf32>, tensor<?x1x?x32xf32>, tensor<?x1x?x32xf32> -> tensor<?x9x?x64xf32>
    ```
  }];
}

def ShareEqualOpsPass : Pass<"graph-share-equal-ops", "::mlir::func::FuncOp"> {
  let summary = "Compute once what nodes of different names compute alike";
  let description = [{
    As CSE, which keeps ops apart whose `tenon.id` differs: exporters write the
    same table of cosines once for each layer. The first op stays. Runs before
    compress, so no other attribute tells two ops apart.

    Before:

    ```mlir
    %0 = graph.cos %x {tenon.id = "layer0"} : tensor<?xf32> -> tensor<?xf32>
    %1 = graph.cos %x {tenon.id = "layer1"} : tensor<?xf32> -> tensor<?xf32>
    %2 = graph.add %0, %1 : tensor<?xf32>, tensor<?xf32> -> tensor<?xf32>
    ```

    After:

    ```mlir
    %0 = graph.cos %x {tenon.id = "layer0"} : tensor<?xf32> -> tensor<?xf32>
    %2 = graph.add %0, %0 : tensor<?xf32>, tensor<?xf32> -> tensor<?xf32>
    ```
  }];
}

def SliceHeadsPass : Pass<"graph-slice-heads", "::mlir::func::FuncOp"> {
  let summary = "Slice what attention, caches and rotation read as heads";
  let description = [{
    Queries, keys and values that lie packed in one tensor are made by slices,
    reshapes and transposes, in whatever order an exporter writes. Where all of
    these together show a regular part of the tensor, that is given four
    dimensions first, of which one is sliced, and the transpose comes last: both
    then become how an operand is read, and nothing is copied.

    Before:

    ```mlir
    %0 = graph.slice %qkv from [0, 0, 768] to [%b, %s, 1536] step [1, 1, 1] : tensor<?x?x2304xf32> -> tensor<?x?x768xf32>
    %1 = graph.reshape %0 to [%b, %s, 12, 64] {allow_zero} : tensor<?x?x768xf32> -> tensor<?x?x12x64xf32>
    %2 = graph.transpose %1 [0, 2, 1, 3] : tensor<?x?x12x64xf32> -> tensor<?x12x?x64xf32>
    %3 = graph.attention causal %q, %2, %v scale 1.250000e-01 : (tensor<?x12x?x64xf32>, tensor<?x12x?x64xf32>, tensor<?x12x?x64xf32>) -> tensor<?x12x?x64xf32>
    ```

    After:

    ```mlir
    %0 = graph.reshape %qkv to [%b, %s, 36, 64] {allow_zero} : tensor<?x?x2304xf32> -> tensor<?x?x36x64xf32>
    %1 = graph.slice %0 from [0, 0, 12, 0] to [9223372036854775807, 9223372036854775807, 24, 64] step [1, 1, 1, 1]
       : tensor<?x?x36x64xf32> -> tensor<?x?x12x64xf32>
    %2 = graph.transpose %1 [0, 2, 1, 3] : tensor<?x?x12x64xf32> -> tensor<?x12x?x64xf32>
    %3 = graph.attention causal %q, %2, %v scale 1.250000e-01 : (tensor<?x12x?x64xf32>, tensor<?x12x?x64xf32>, tensor<?x12x?x64xf32>) -> tensor<?x12x?x64xf32>
    ```
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect"];
}

def SwapTransposedProductPass : Pass<"graph-swap-transposed-product", "::mlir::func::FuncOp"> {
  let summary = "Multiply by a weight from the right where the product is transposed";
  let description = [{
    A convolution is the product of its weights with windows of its input.
    Transformers read its result transposed: each place of an image or a sound is
    a row. Then the windows are the rows and the weights, on the right, lie in
    panels. Elementwise ops between product and transpose, whose other operands
    are scalars or one number for each row, go along.

    Before:

    ```mlir
    %w = graph.weight "w" from "model.onnx.data" at 0 : tensor<768x588xf32>
    %0 = graph.transpose %windows [0, 1, 4, 5, 2, 3] : tensor<?x3x16x16x14x14xf32> -> tensor<?x3x14x14x16x16xf32>
    %1 = graph.reshape %0 to [%n, 588, 256] {allow_zero} : tensor<?x3x14x14x16x16xf32> -> tensor<?x588x256xf32>
    %2 = graph.matmul %w, %1 : tensor<768x588xf32>, tensor<?x588x256xf32> -> tensor<?x768x256xf32>
    %3 = graph.add %2, %bias : tensor<?x768x256xf32>, tensor<768x1xf32> -> tensor<?x768x256xf32>
    %4 = graph.transpose %3 [0, 2, 1] : tensor<?x768x256xf32> -> tensor<?x256x768xf32>
    ```

    After:

    ```mlir
    %w = graph.weight "w" from "model.onnx.data" at 0 : tensor<768x588xf32>
    %0 = graph.transpose %windows [0, 2, 3, 1, 4, 5] : tensor<?x3x16x16x14x14xf32> -> tensor<?x16x16x3x14x14xf32>
    %1 = graph.reshape %0 to [%n, 256, 588] {allow_zero} : tensor<?x16x16x3x14x14xf32> -> tensor<?x256x588xf32>
    %2 = graph.matmul transpose_rhs %1, %w : tensor<?x256x588xf32>, tensor<768x588xf32> -> tensor<?x256x768xf32>
    %3 = graph.reshape %bias to [1, 768] {allow_zero} : tensor<768x1xf32> -> tensor<1x768xf32>
    %4 = graph.add %2, %3 : tensor<?x256x768xf32>, tensor<1x768xf32> -> tensor<?x256x768xf32>
    ```
  }];
}

def UnflattenPass : Pass<"graph-unflatten", "::mlir::func::FuncOp"> {
  let summary = "Drop reshapes that merge dimensions around a transpose or a product";
  let description = [{
    PyTorch's decomposition of attention merges batch and heads before it
    transposes the keys, and splits them behind; BLOOM does so around products of
    queries and keys, with what is added to these; GPT-2's layers merge batch and
    sequence around each product. What follows the product can then be its
    epilogue.

    Before:

    ```mlir
    %0 = graph.reshape %x to [%bh, %t, 64] {allow_zero} : tensor<?x12x?x64xf32> -> tensor<?x?x64xf32>
    %1 = graph.transpose %0 [0, 2, 1] : tensor<?x?x64xf32> -> tensor<?x64x?xf32>
    %2 = graph.reshape %1 to [%b, 12, 64, %t] {allow_zero} : tensor<?x64x?xf32> -> tensor<?x12x64x?xf32>

    %3 = graph.reshape %y to [%bs, 768] {allow_zero} : tensor<?x?x768xf32> -> tensor<?x768xf32>
    %4 = graph.matmul %3, %w : tensor<?x768xf32>, tensor<768x3072xf32> -> tensor<?x3072xf32>
    %5 = graph.add %4, %bias : tensor<?x3072xf32>, tensor<3072xf32> -> tensor<?x3072xf32>
    %6 = graph.reshape %5 to [%b, %s, 3072] {allow_zero} : tensor<?x3072xf32> -> tensor<?x?x3072xf32>
    ```

    After:

    ```mlir
    %2 = graph.transpose %x [0, 1, 3, 2] : tensor<?x12x?x64xf32> -> tensor<?x12x64x?xf32>

    %5 = graph.matmul %y, %w : tensor<?x?x768xf32>, tensor<768x3072xf32> -> tensor<?x?x3072xf32>
    %6 = graph.add %5, %bias : tensor<?x?x3072xf32>, tensor<3072xf32> -> tensor<?x?x3072xf32>
    ```
  }];
}

#endif // TENON_DIALECT_GRAPH_TRANSFORMS_PASSES_TD
