// Reductions, and the row operations made of them: softmax and norms.
#ifndef TENON_DIALECT_GRAPH_IR_GRAPHREDUCTIONOPS_TD
#define TENON_DIALECT_GRAPH_IR_GRAPHREDUCTIONOPS_TD

include "mlir/IR/EnumAttr.td"
include "tenon/Dialect/Graph/IR/GraphDialect.td"

def Graph_ReductionKind : I32EnumAttr<"ReductionKind", "how a reduction combines", [
    I32EnumAttrCase<"Sum", 0, "sum">, I32EnumAttrCase<"Mean", 1, "mean">,
    I32EnumAttrCase<"Max", 2, "max">, I32EnumAttrCase<"Min", 3, "min">,
    I32EnumAttrCase<"Prod", 4, "prod">]> {
  let cppNamespace = "::tenon::graph";
}

def Graph_ReduceOp : Graph_Op<"reduce", [Pure]> {
  let summary = "Combines the elements along some dimensions; those get size 1";
  let description = [{
    Axes are sorted and not negative. Dimensions are kept; a reshape drops them.

    Example:

    ```mlir
    %0 = graph.reduce mean %x axes [2] : tensor<?x?x384xf32> -> tensor<?x?x1xf32>
    ```
  }];
  let arguments = (ins Graph_ReductionKind:$kind, AnyRankedTensor:$input, DenseI64ArrayAttr:$axes);
  let results = (outs AnyRankedTensor:$output);
  let assemblyFormat = "$kind $input `axes` $axes attr-dict `:` type($input) `->` type($output)";
  let hasVerifier = 1;
}

class Graph_CumulativeOp<string mnemonic, string what>
    : Graph_Op<mnemonic, [Pure]> {
  let summary = what # " of the elements along one dimension up to each";
  let description = "Each element is combined with those before it, in their order: from the first\nelement on, with `reverse` from the last. With `exclusive` an element itself does not\ncount.\n\nExample:\n\n```mlir\n%0 = graph."
      # mnemonic # " exclusive reverse %x axis 1 : tensor<?x?xi64> -> tensor<?x?xi64>\n```\n";
  let arguments = (ins AnyRankedTensor:$input, Graph_I64Attr:$axis, UnitAttr:$exclusive, UnitAttr:$reverse);
  let results = (outs AnyRankedTensor:$output);
  let assemblyFormat = [{
    (`exclusive` $exclusive^)? (`reverse` $reverse^)? $input `axis` $axis attr-dict `:` type($input) `->` type($output)
  }];
  let hasVerifier = 1;
}

/// ONNX CumSum and CumProd.
def Graph_CumulativeSumOp : Graph_CumulativeOp<"cumulative_sum", "Sums">;
def Graph_CumulativeProductOp : Graph_CumulativeOp<"cumulative_product", "Products">;

def Graph_TopKOp : Graph_Op<"top_k", [Pure]> {
  let summary = "Where the largest elements along one dimension are (ONNX TopK, ArgMax)";
  let description = [{
    The result's sizes are the input's with that of `axis` replaced by `k`, which
    must not be larger. It holds the indices along `axis` of the largest
    elements, with `smallest` of the smallest, the first of them first. Equal
    elements are in the order of their indices, with `prefer_last` the other way.
    A NaN is larger than any number.

    Example:

    ```mlir
    %0 = graph.top_k %x k %k axis 1 : tensor<?x128xf32> -> tensor<?x?xi64>
    %1 = graph.top_k smallest prefer_last %x k %one axis 1 : tensor<?x128xf32> -> tensor<?x1xi64>
    ```
  }];
  // The tensor comes last: whether it is unsigned is what the op remembers.
  let arguments = (ins Index:$k, AnyRankedTensor:$input, Graph_I64Attr:$axis,
                       UnitAttr:$smallest, UnitAttr:$prefer_last);
  let results = (outs AnyRankedTensor:$indices);
  let assemblyFormat = [{
    (`smallest` $smallest^)? (`prefer_last` $prefer_last^)? $input `k` $k `axis` $axis attr-dict
    `:` type($input) `->` type($indices)
  }];
  let hasVerifier = 1;
}

def Graph_SoftmaxOp : Graph_Op<"softmax", [Pure]> {
  let summary = "exp(x - max) / sum(exp(x - max)) along one dimension";
  let description = [{
    Example:

    ```mlir
    %0 = graph.softmax %x axis 3 : tensor<?x12x?x?xf32> -> tensor<?x12x?x?xf32>
    ```
  }];
  let arguments = (ins RankedTensorOf<[AnyFloat]>:$input, Graph_I64Attr:$axis);
  let results = (outs RankedTensorOf<[AnyFloat]>:$output);
  let assemblyFormat = "$input `axis` $axis attr-dict `:` type($input) `->` type($output)";
  let hasVerifier = 1;
}

def Graph_NormOp : Graph_Op<"norm", [Pure, AttrSizedOperandSegments]> {
  let summary = "Layer norm (arXiv:1607.06450) or, with rms, RMS norm (arXiv:1910.07467)";
  let description = [{
    Normalises each slice over the dimensions from `axis` on: `(x - mean) /
    sqrt(variance + epsilon) · scale + bias`; with `rms` the mean is not
    subtracted. Scale and bias have the sizes of the normalised dimensions.

    Example:

    ```mlir
    %0 = graph.norm %x scale %g bias %b axis 2 epsilon 9.99999996E-13 : (tensor<?x?x384xf32>, tensor<384xf32>, tensor<384xf32>) -> tensor<?x?x384xf32>
    %1 = graph.norm rms %y scale %h axis 2 epsilon 9.99999974E-6 : (tensor<?x?x576xf32>, tensor<576xf32>) -> tensor<?x?x576xf32>
    ```
  }];
  let arguments = (ins RankedTensorOf<[AnyFloat]>:$input,
                       Optional<RankedTensorOf<[AnyFloat]>>:$scale,
                       Optional<RankedTensorOf<[AnyFloat]>>:$bias,
                       Graph_I64Attr:$axis, F32Attr:$epsilon, UnitAttr:$rms);
  let results = (outs RankedTensorOf<[AnyFloat]>:$output);
  let assemblyFormat = [{
    (`rms` $rms^)? $input (`scale` $scale^)? (`bias` $bias^)? `axis` $axis `epsilon` $epsilon attr-dict
    `:` functional-type(operands, $output)
  }];
  let hasVerifier = 1;
}

def Graph_RotaryOp : Graph_Op<"rotary", [Pure]> {
  let summary = "Rotary position embedding (arXiv:2104.09864)";
  let description = [{
    `input` is `batch×heads×S×D`, `cosine` and `sine` broadcast to
    `batch×1×S×D/2` (rank 3: `batch×S×D/2`). Pairs are (i, i + D/2), or with
    `interleaved` (2i, 2i + 1): the first becomes `a·cos - b·sin`, the second
    `a·sin + b·cos`.

    Example:

    ```mlir
    %0 = graph.rotary %x, %cos, %sin : tensor<?x9x?x64xf32>, tensor<?x?x32xf32>, tensor<?x?x32xf32> -> tensor<?x9x?x64xf32>
    ```
  }];
  let arguments = (ins AnyRankedTensor:$input, AnyRankedTensor:$cosine,
                       AnyRankedTensor:$sine, UnitAttr:$interleaved);
  let results = (outs AnyRankedTensor:$output);
  let assemblyFormat = [{
    (`interleaved` $interleaved^)? $input `,` $cosine `,` $sine attr-dict
    `:` type($input) `,` type($cosine) `,` type($sine) `->` type($output)
  }];
  let hasVerifier = 1;
}

#endif // TENON_DIALECT_GRAPH_IR_GRAPHREDUCTIONOPS_TD
