// Sizes, and ops that move elements without computing on them.
#ifndef TENON_DIALECT_GRAPH_IR_GRAPHSHAPEOPS_TD
#define TENON_DIALECT_GRAPH_IR_GRAPHSHAPEOPS_TD

include "mlir/IR/EnumAttr.td"
include "tenon/Dialect/Graph/IR/GraphDialect.td"

// Not pure: nothing may erase it.
def Graph_SymbolOp : Graph_Op<"symbol"> {
  let summary = "A named size of the model";
  let description = [{
    The value lies in `[min, max]`; `hint`, where given, is the size to be fast
    at. A symbol gets its value from the inputs' sizes: an argument of the
    function names its sizes in the attribute `tenon.dims`, an array of symbol
    names and integers. So the op stays, with its range and hint, where nothing
    reads its value. A small argument of integers may name its elements, too, in
    `tenon.elements`: such a symbol is read from the input before a run, and its
    range begins below 0.

    Example:

    ```mlir
    %batch = graph.symbol "batch" range 0 to 9223372036854775807
    %sequence = graph.symbol "sequence" range 1 to 512 hint 128
    ```
  }];
  let arguments = (ins StrAttr:$name, Graph_I64Attr:$min, Graph_I64Attr:$max,
                       OptionalAttr<Graph_I64Attr>:$hint);
  let results = (outs Index:$value);
  let assemblyFormat = "$name `range` $min `to` $max (`hint` $hint^)? attr-dict";
  let hasVerifier = 1;
}

def Graph_AssumeEqualOp : Graph_Op<"assume_equal"> {
  let summary = "Two sizes that the model requires to be equal";
  let description = [{
    Shape inference leaves one where a model is only defined if two symbolic
    sizes agree. The compiled program checks it before anything runs, or, where
    a count is part of it, as soon as that is known.

    Example:

    ```mlir
    graph.assume_equal %total, %sum
    ```
  }];
  let arguments = (ins Index:$lhs, Index:$rhs);
  let assemblyFormat = "$lhs `,` $rhs attr-dict";
}

def Graph_DimOp : Graph_Op<"dim", [Pure]> {
  let summary = "A size of a tensor";
  let description = [{
    Example:

    ```mlir
    %0 = graph.dim %x, 1 : tensor<?x?x8xf32>
    ```
  }];
  let arguments = (ins AnyRankedTensor:$input, Graph_I64Attr:$dim);
  let results = (outs Index:$size);
  let assemblyFormat = "$input `,` $dim attr-dict `:` type($input)";
  let hasVerifier = 1;
  let hasFolder = 1;
}

def Graph_ExtractOp : Graph_Op<"extract", [Pure]> {
  let summary = "One element of an integer tensor, as a size";
  let description = [{
    `position` counts elements in row-major order.

    Example:

    ```mlir
    %0 = graph.extract %shape[2] : tensor<4xi64>
    ```
  }];
  let arguments = (ins AnyRankedTensor:$input, Graph_I64Attr:$position);
  let results = (outs Index:$value);
  let assemblyFormat = "$input `[` $position `]` attr-dict `:` type($input)";
}

def Graph_FromIndicesOp : Graph_Op<"from_indices", [Pure]> {
  let summary = "A small integer tensor made of sizes";
  let description = [{
    The elements in row-major order; the type is static.

    Example:

    ```mlir
    %0 = graph.from_indices %a, %b : tensor<2xi64>
    ```
  }];
  let arguments = (ins Variadic<Index>:$values);
  let results = (outs AnyStaticShapeTensor:$output);
  let assemblyFormat = "$values attr-dict `:` type($output)";
  let hasVerifier = 1;
}

class Graph_SizedOp<string mnemonic> : Graph_Op<mnemonic, [Pure]> {
  code sized = [{
    /// The requested sizes, constants and values mixed, in order.
    ::llvm::SmallVector<::mlir::OpFoldResult> getMixedSizes() {
      ::mlir::Builder builder(getContext());
      return ::mlir::getMixedValues(getStaticSizes(), getSizes(), builder);
    }
  }];
  let extraClassDeclaration = sized;
}

def Graph_ReshapeOp : Graph_SizedOp<"reshape"> {
  let summary = "The same elements, in row-major order, with other sizes";
  let description = [{
    Import may leave a size of -1 (what remains) or, without `allow_zero`, 0
    (copied from the input); simplify replaces both.

    Example:

    ```mlir
    %0 = graph.reshape %x to [%b, %s, 12, 32] : tensor<?x?x384xf32> -> tensor<?x?x12x32xf32>
    ```
  }];
  let arguments = (ins AnyRankedTensor:$input, Variadic<Index>:$sizes,
                       DenseI64ArrayAttr:$static_sizes, UnitAttr:$allow_zero);
  let results = (outs AnyRankedTensor:$output);
  let assemblyFormat = [{
    $input `to` custom<DynamicIndexList>($sizes, $static_sizes) attr-dict `:` type($input) `->` type($output)
  }];
  let hasCanonicalizer = 1;
  let hasVerifier = 1;
  let hasFolder = 1;
}

def Graph_BroadcastOp : Graph_SizedOp<"broadcast"> {
  let summary = "Repeats an input along new or unit dimensions (ONNX Expand)";
  let description = [{
    The input broadcasts as numpy does against `sizes`; the result's sizes are
    the broadcast of the two, so a requested 1 keeps a larger input size.

    Example:

    ```mlir
    %0 = graph.broadcast %x to [%b, 4, %s] : tensor<1x?xf32> -> tensor<?x4x?xf32>
    ```
  }];
  let arguments = (ins AnyRankedTensor:$input, Variadic<Index>:$sizes,
                       DenseI64ArrayAttr:$static_sizes);
  let results = (outs AnyRankedTensor:$output);
  let assemblyFormat = [{
    $input `to` custom<DynamicIndexList>($sizes, $static_sizes) attr-dict `:` type($input) `->` type($output)
  }];
  let hasVerifier = 1;
}

def Graph_IotaOp : Graph_Op<"iota", [Pure]> {
  let summary = "start, start + step, … (ONNX Range with integer operands)";
  let description = [{
    The number of elements is `size`, or 0 if it is negative.

    Example:

    ```mlir
    %0 = graph.iota %start step 1 size %n : tensor<?xi64>
    ```
  }];
  let arguments = (ins Index:$start, Graph_I64Attr:$step, Index:$size);
  let results = (outs AnyRankedTensor:$output);
  let assemblyFormat = "$start `step` $step `size` $size attr-dict `:` type($output)";
}

def Graph_TransposeOp : Graph_Op<"transpose", [Pure]> {
  let summary = "Permutes dimensions: result dimension i is input dimension permutation[i]";
  let description = [{
    Example:

    ```mlir
    %0 = graph.transpose %x [0, 2, 1, 3] : tensor<?x?x12x32xf32> -> tensor<?x12x?x32xf32>
    ```
  }];
  let arguments = (ins AnyRankedTensor:$input, DenseI64ArrayAttr:$permutation);
  let results = (outs AnyRankedTensor:$output);
  let assemblyFormat = "$input $permutation attr-dict `:` type($input) `->` type($output)";
  let hasVerifier = 1;
  let hasFolder = 1;
}

def Graph_ConcatOp : Graph_Op<"concat", [Pure]> {
  let summary = "Joins tensors along one dimension";
  let description = [{
    Example:

    ```mlir
    %0 = graph.concat %a, %b axis 2 : (tensor<1x3x?x64xf32>, tensor<1x3x?x64xf32>) -> tensor<1x3x?x64xf32>
    ```
  }];
  let arguments = (ins Variadic<AnyRankedTensor>:$inputs, Graph_I64Attr:$axis);
  let results = (outs AnyRankedTensor:$output);
  let assemblyFormat = "$inputs `axis` $axis attr-dict `:` functional-type($inputs, $output)";
  let hasVerifier = 1;
}

def Graph_SliceOp : Graph_Op<"slice", [Pure, AttrSizedOperandSegments]> {
  let summary = "A regular part of a tensor (ONNX Slice)";
  let description = [{
    One entry per dimension of the input. Bounds are as ONNX Slice-13 wants
    them: negative values count from the end and all are clamped to the size;
    simplify replaces a bound by its clamped value where it can prove it.

    Example:

    ```mlir
    %0 = graph.slice %x from [0, %start] to [9223372036854775807, %end] step [1, 1]
       : tensor<?x512xi64> -> tensor<?x?xi64>
    ```
  }];
  let arguments = (ins AnyRankedTensor:$input,
                       Variadic<Index>:$starts, DenseI64ArrayAttr:$static_starts,
                       Variadic<Index>:$ends, DenseI64ArrayAttr:$static_ends,
                       DenseI64ArrayAttr:$steps);
  let results = (outs AnyRankedTensor:$output);
  let assemblyFormat = [{
    $input `from` custom<DynamicIndexList>($starts, $static_starts)
    `to` custom<DynamicIndexList>($ends, $static_ends) `step` $steps attr-dict
    `:` type($input) `->` type($output)
  }];
  let extraClassDeclaration = [{
    ::llvm::SmallVector<::mlir::OpFoldResult> getMixedStarts() {
      ::mlir::Builder builder(getContext());
      return ::mlir::getMixedValues(getStaticStarts(), getStarts(), builder);
    }
    ::llvm::SmallVector<::mlir::OpFoldResult> getMixedEnds() {
      ::mlir::Builder builder(getContext());
      return ::mlir::getMixedValues(getStaticEnds(), getEnds(), builder);
    }
  }];
  let hasVerifier = 1;
}

def Graph_PadKind : I32EnumAttr<"PadKind", "what stands around a padded tensor", [
    I32EnumAttrCase<"Constant", 0, "constant">, I32EnumAttrCase<"Reflect", 1, "reflect">,
    I32EnumAttrCase<"Edge", 2, "edge">, I32EnumAttrCase<"Wrap", 3, "wrap">]> {
  let cppNamespace = "::tenon::graph";
}

def Graph_PadOp : Graph_Op<"pad", [Pure, AttrSizedOperandSegments]> {
  let summary = "A tensor with elements added around it, or taken off (ONNX Pad)";
  let description = [{
    `low` and `high` say for each dimension how many elements come before and
    behind the input's; negative ones are taken off. Those that come are
    `value`, of rank 0, or with another kind than `constant` the input's as it
    goes on: mirrored at its first and last element (`reflect`), these elements
    again (`edge`) or from its other end (`wrap`).

    Example:

    ```mlir
    %0 = graph.pad constant %x value %v low [0, 1] high [%n, -1] : (tensor<?x8xf32>, tensor<f32>, index) -> tensor<?x8xf32>
    %1 = graph.pad reflect %x low [0, 2] high [0, 2] : (tensor<?x8xf32>) -> tensor<?x12xf32>
    ```
  }];
  let arguments = (ins Graph_PadKind:$kind, AnyRankedTensor:$input, Optional<AnyRankedTensor>:$value,
                       Variadic<Index>:$lows, DenseI64ArrayAttr:$static_lows,
                       Variadic<Index>:$highs, DenseI64ArrayAttr:$static_highs);
  let results = (outs AnyRankedTensor:$output);
  let assemblyFormat = [{
    $kind $input (`value` $value^)? `low` custom<DynamicIndexList>($lows, $static_lows)
    `high` custom<DynamicIndexList>($highs, $static_highs) attr-dict
    `:` functional-type(operands, $output)
  }];
  let extraClassDeclaration = [{
    ::llvm::SmallVector<::mlir::OpFoldResult> getMixedLows() {
      ::mlir::Builder builder(getContext());
      return ::mlir::getMixedValues(getStaticLows(), getLows(), builder);
    }
    ::llvm::SmallVector<::mlir::OpFoldResult> getMixedHighs() {
      ::mlir::Builder builder(getContext());
      return ::mlir::getMixedValues(getStaticHighs(), getHighs(), builder);
    }
  }];
  let hasVerifier = 1;
}

def Graph_ReadOp : Graph_Op<"read", [Pure]> {
  let summary = "The only element of a tensor, for the host to decide by";
  let description = [{
    The condition of `scf.if` and `scf.while`. In a plan the host waits for the
    element before it goes on.

    Example:

    ```mlir
    %0 = graph.read %keep : tensor<i1> -> i1
    ```
  }];
  let arguments = (ins AnyStaticShapeTensor:$input);
  let results = (outs AnySignlessInteger:$value);
  let assemblyFormat = "$input attr-dict `:` type($input) `->` type($value)";
  let hasFolder = 1;
  let hasVerifier = 1;
}

def Graph_CountOp : Graph_Op<"count", [Pure]> {
  let summary = "A size that the model computes while it runs";
  let description = [{
    The only element of a tensor, as a size: from 0 to `most`, by which memory is
    planned before the run. `name` stands for it in expressions and is unlike that
    of any other count or symbol of the function.

    Example:

    ```mlir
    %0 = graph.count "nonzero/count" %total at_most %n : tensor<i64>
    ```
  }];
  let arguments = (ins StrAttr:$name, TensorOf<[I64]>:$input, Index:$most);
  let results = (outs Index:$size);
  let assemblyFormat = "$name $input `at_most` $most attr-dict `:` type($input)";
  let hasFolder = 1;
  let hasVerifier = 1;
}

#endif // TENON_DIALECT_GRAPH_IR_GRAPHSHAPEOPS_TD
