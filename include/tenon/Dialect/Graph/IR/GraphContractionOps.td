// Matrix products and attention.
#ifndef TENON_DIALECT_GRAPH_IR_GRAPHCONTRACTIONOPS_TD
#define TENON_DIALECT_GRAPH_IR_GRAPHCONTRACTIONOPS_TD

include "tenon/Dialect/Graph/IR/GraphDialect.td"

def Graph_MatmulOp : Graph_Op<"matmul", [Pure]> {
  let summary = "Matrix product, batched over leading dimensions";
  let description = [{
    `lhs` is `…×M×K` and `rhs` `…×K×N`, both of rank two or more; leading
    dimensions broadcast as numpy does. `transpose_lhs` and `transpose_rhs` read
    an operand as if its last two dimensions were swapped; no data moves. `rhs`
    may be of i8, f16 or bf16 where the result is of f32: it is converted first.
    The product of bf16 with bf16 may be f32, and that of ui8 with i8 is i32: both
    are exact, and the sums modulo 2³² or in f32.

    Example:

    ```mlir
    %0 = graph.matmul %a, %b : tensor<?x?x384xf32>, tensor<384x1536xf32> -> tensor<?x?x1536xf32>
    %1 = graph.matmul transpose_rhs %c, %d : tensor<?x12x?x32xf32>, tensor<?x12x?x32xf32> -> tensor<?x12x?x?xf32>
    %2 = graph.matmul %bytes, %signed : tensor<?x?x384xui8>, tensor<384x1536xi8> -> tensor<?x?x1536xi32>
    ```
  }];
  let arguments = (ins AnyRankedTensor:$lhs, AnyRankedTensor:$rhs,
                       UnitAttr:$transpose_lhs, UnitAttr:$transpose_rhs);
  let results = (outs AnyRankedTensor:$output);
  let assemblyFormat = [{
    (`transpose_lhs` $transpose_lhs^)? (`transpose_rhs` $transpose_rhs^)?
    $lhs `,` $rhs attr-dict `:` type($lhs) `,` type($rhs) `->` type($output)
  }];
  let hasVerifier = 1;
}

def Graph_AttentionOp : Graph_Op<"attention", [Pure, AttrSizedOperandSegments]> {
  let summary = "softmax(scale · query · keyᵀ + bias) · value (arXiv:1706.03762)";
  let description = [{
    `query` is `batch×heads×S×D`, `key` `batch×kv_heads×T×D`, `value`
    `batch×kv_heads×T×E`; heads is a multiple of kv_heads and query head h reads
    head `h / (heads / kv_heads)`. `mask` broadcasts to `batch×heads×S×T`: a
    float is added to the scaled scores, an `i1` keeps a score where true. With
    `causal` query row i sees keys up to `i + T - S`. A row that sees no key
    gives NaN, as the decomposed form does, unless `zero_if_masked`; where there
    are no keys at all every row is 0, as an empty sum is. With `round_weights`
    what values are multiplied by may be rounded to bf16. With `window` w a row
    sees no key but the last w of those that `causal` shows it. With `softcap` c
    a scaled score x becomes `c · tanh(x / c)` before it is masked.

    With `at`, keys and values are caches: their first dimension counts slots,
    their third has a fixed capacity. Row b of the queries reads slot `slots[b]`,
    or b where only starts are given. With `causal` query i of it stands at
    position `starts[b] + i` and sees the keys up to there; without, each query
    sees the first `starts[b]` keys. `length`, at most the capacity, is the
    largest number of keys that a query sees, and what the mask has for the
    capacity. With `relative`, which needs `causal`, the mask is the same for all
    queries and says by distance: key j of a query at position p has element
    `length - 1 - (p - j)` of its last dimension. Caches may be of another type
    than queries, which they are converted to f32 for, and of i8 as `graph.append`
    writes them.

    With `quantized`, queries are of ui8, keys and values of i8, and its operand
    has what these integers stand for: the zero points of query, key and value,
    the product of the scales of query and key, and the scale of value. Where
    three more follow, scores are quantized before `scale` as well: by the first,
    to integers from the second to the third, less their zero point. Products
    are exact. Weights are rounded to multiples of 1/255 of the largest of their
    row, or of its keys up to there, and divided by the sum of what they were
    rounded to.

    Example:

    ```mlir
    %0 = graph.attention %q, %k, %v mask %m scale 1.250000e-01 : (tensor<?x12x?x64xf32>, tensor<?x12x?x64xf32>, tensor<?x12x?x64xf32>, tensor<?x1x?x?xi1>) -> tensor<?x12x?x64xf32>
    %1 = graph.attention causal %q, %k, %v scale 1.250000e-01 : (tensor<?x12x?x64xf32>, tensor<?x12x?x64xf32>, tensor<?x12x?x64xf32>) -> tensor<?x12x?x64xf32>
    %2 = graph.attention causal %r, %keys, %values at %starts in %slots length %n scale 1.250000e-01 : (tensor<?x9x?x64xf32>, tensor<?x3x?x64xf32>, tensor<?x3x?x64xf32>, tensor<?xi64>, tensor<?xi64>, index) -> tensor<?x9x?x64xf32>
    %3 = graph.attention causal relative %r, %keys, %values mask %bias at %starts in %slots length %n scale 1.250000e-01 : (tensor<?x9x?x64xf32>, tensor<?x3x?x64xf32>, tensor<?x3x?x64xf32>, tensor<1x9x1x?xf32>, tensor<?xi64>, tensor<?xi64>, index) -> tensor<?x9x?x64xf32>
    %4 = graph.attention %a, %b, %c quantized %p scale 1.250000e-01 : (tensor<?x12x?x64xui8>, tensor<?x12x?x64xi8>, tensor<?x12x?x64xi8>, tensor<8xf32>) -> tensor<?x12x?x64xf32>
    ```
  }];
  let arguments = (ins AnyRankedTensor:$query, AnyRankedTensor:$key, AnyRankedTensor:$value,
                       Optional<AnyRankedTensor>:$mask, Optional<TensorOf<[I64]>>:$starts,
                       Optional<TensorOf<[I64]>>:$slots, Optional<Index>:$length,
                       Optional<TensorOf<[F32]>>:$parameters, F32Attr:$scale,
                       UnitAttr:$causal, UnitAttr:$relative, UnitAttr:$zero_if_masked, UnitAttr:$round_weights,
                       OptionalAttr<Graph_I64Attr>:$window, OptionalAttr<F32Attr>:$softcap);
  let results = (outs AnyRankedTensor:$output);
  let assemblyFormat = [{
    (`causal` $causal^)? (`relative` $relative^)? (`zero_if_masked` $zero_if_masked^)? (`round_weights` $round_weights^)? $query `,` $key `,` $value (`mask` $mask^)?
    (`at` $starts^)? (`in` $slots^)? (`length` $length^)? (`quantized` $parameters^)?
    `scale` $scale (`window` $window^)? (`softcap` $softcap^)? attr-dict `:` functional-type(operands, $output)
  }];
  let extraClassDeclaration = [{
    /// Kernels keep a head on the stack, or in registers.
    static constexpr int64_t largestHead = 512;
    /// Whether there are kernels for queries or values of this type: of f32,
    /// f16 or bf16, a head of a known size.
    static bool takes(::mlir::RankedTensorType heads);
    /// Of `quantized`: how many there are, and how many where scores are
    /// quantized as well.
    static constexpr int64_t fewParameters = 5, allParameters = 8;
  }];
  let hasVerifier = 1;
}

def Graph_AppendOp : Graph_Op<"append", [Pure]> {
  let summary = "A cache of keys or values with what is new in it";
  let description = [{
    `input` is `batch×heads×S×D`, `cache` `slots×heads×capacity×D`. Element
    `(b, h, i, d)` of the input goes to `(slots[b], h, starts[b] + i, d)` of the
    cache; without `slots` to slot b. The slots of one op differ. A place outside
    the cache is an error of the run. Where the cache is an argument of the
    function marked `tenon.state` that nothing else reads, the argument's memory
    is changed in place and the result is it.

    A cache of floats may have another type than the input, which is converted. A
    cache of i8 has rows of `D + 4` bytes: D integers from -127 to 127, and behind
    them an f32, the scale that they are multiplied by. With amax, the largest
    magnitude in a row, an element x becomes `x · (127 / amax)` to the nearest,
    halves to the even neighbour, and the scale is `amax / 127`; where amax is no
    more than 2⁻¹⁰⁰ all become 0.

    Example:

    ```mlir
    %0 = graph.append %new into %cache at %starts in %slots : (tensor<?x3x?x64xf32>, tensor<?x3x?x64xf32>, tensor<?xi64>, tensor<?xi64>) -> tensor<?x3x?x64xf32>
    %1 = graph.append %new into %bytes at %starts in %slots : (tensor<?x3x?x64xf32>, tensor<?x3x?x68xi8>, tensor<?xi64>, tensor<?xi64>) -> tensor<?x3x?x68xi8>
    ```
  }];
  let arguments = (ins AnyRankedTensor:$input, AnyRankedTensor:$cache, TensorOf<[I64]>:$starts,
                       Optional<TensorOf<[I64]>>:$slots);
  let results = (outs AnyRankedTensor:$output);
  let assemblyFormat = [{
    $input `into` $cache `at` $starts (`in` $slots^)? attr-dict `:` functional-type(operands, $output)
  }];
  let extraClassDeclaration = [{
    /// Bytes of a scale, which each row of a cache of i8 ends with.
    static constexpr int64_t scaleBytes = 4;
    /// What a row of heads of this size has in a cache of this type.
    static int64_t getRowSize(int64_t headSize, ::mlir::Type element);
    /// The size of heads whose rows in a cache have this type.
    static int64_t getHeadSize(::mlir::RankedTensorType cache);
  }];
  let hasVerifier = 1;
}

#endif // TENON_DIALECT_GRAPH_IR_GRAPHCONTRACTIONOPS_TD
