// Where values come from and go to by index: constants, weights in files,
// look-ups, and writes.
#ifndef TENON_DIALECT_GRAPH_IR_GRAPHDATAOPS_TD
#define TENON_DIALECT_GRAPH_IR_GRAPHDATAOPS_TD

include "mlir/IR/EnumAttr.td"
include "mlir/IR/OpAsmInterface.td"
include "tenon/Dialect/Graph/IR/GraphDialect.td"

def Graph_ConstantOp : Graph_Op<"constant", [Pure, ConstantLike, AllTypesMatch<["value", "output"]>]> {
  let summary = "A small tensor known when compiling";
  let description = [{
    Anything above 1 KiB is a `graph.weight`.

    Example:

    ```mlir
    %0 = graph.constant dense<[1, -1]> : tensor<2xi64>
    ```
  }];
  let arguments = (ins ElementsAttr:$value);
  let results = (outs AnyStaticShapeTensor:$output);
  let assemblyFormat = "attr-dict $value";
  let hasFolder = 1;
}

def Graph_WeightOp : Graph_Op<"weight", [Pure]> {
  let summary = "A tensor that lies in a file";
  let description = [{
    `file` is a path relative to the model's folder, `offset` and the type's
    size say which bytes: little endian, row-major, as ONNX raw data. No byte of
    it enters the IR.

    Example:

    ```mlir
    %0 = graph.weight "encoder.weight" from "model.onnx.data" at 4096 : tensor<384x1536xf32>
    ```
  }];
  let arguments = (ins StrAttr:$name, StrAttr:$file, Graph_I64Attr:$offset);
  let results = (outs AnyStaticShapeTensor:$output);
  let assemblyFormat = "$name `from` $file `at` $offset attr-dict `:` type($output)";
}

def Graph_GatherOp : Graph_Op<"gather", [Pure]> {
  let summary = "Slices of the input along one axis, by index (ONNX Gather)";
  let description = [{
    The result's sizes are the input's with dimension `axis` replaced by those
    of `indices`. Negative indices count from the end.

    Example:

    ```mlir
    %0 = graph.gather %table, %ids axis 0 : tensor<30522x384xf32>, tensor<?x?xi64> -> tensor<?x?x384xf32>
    ```
  }];
  let arguments = (ins AnyRankedTensor:$input, AnyRankedTensor:$indices, Graph_I64Attr:$axis);
  let results = (outs AnyRankedTensor:$output);
  let assemblyFormat = [{
    $input `,` $indices `axis` $axis attr-dict `:` type($input) `,` type($indices) `->` type($output)
  }];
  let hasVerifier = 1;
}

def Graph_DequantizeBlocksOp : Graph_Op<"dequantize_blocks", [Pure]> {
  let summary = "A matrix whose rows are quantized in blocks";
  let description = [{
    `(input - zero_point) · scale` in f32. Element k of row n has the scale
    `scale[n, k / block]`, of f32, f16 or bf16, and such a zero point, which is an
    integer of the input's type or a float, or one of rank 0 for
    all; without it it is 0. The last block may be cut off, and the rows of the
    input may be longer than those of the result. With `bits 4` a byte of the
    input, which is of ui8, holds two elements, the first in its low half. As
    com.microsoft MatMulNBits-1 and GatherBlockQuantized-1 have their weights, and
    ONNX DequantizeLinear-21 with `block_size` along the last dimension.

    Example:

    ```mlir
    %w = graph.dequantize_blocks %q bits 4 block 32 scale %s zero_point %z : (tensor<576x288xui8>, tensor<576x18xf16>, tensor<576x18xui8>) -> tensor<576x576xf32>
    %v = graph.dequantize_blocks %r block 16 scale %t : (tensor<48x40xi8>, tensor<48x3xf32>) -> tensor<48x40xf32>
    ```
  }];
  let arguments = (ins AnyRankedTensor:$input, AnyRankedTensor:$scale,
                       Optional<AnyRankedTensor>:$zero_point, Graph_I64Attr:$block,
                       DefaultValuedAttr<Graph_I64Attr, "8">:$bits);
  let results = (outs AnyRankedTensor:$output);
  let assemblyFormat = [{
    $input (`bits` $bits^)? `block` $block `scale` $scale (`zero_point` $zero_point^)? attr-dict
    `:` functional-type(operands, $output)
  }];
  let hasVerifier = 1;
}

def Graph_GatherNDOp : Graph_Op<"gather_nd", [Pure]> {
  let summary = "Elements or slices of the input by index tuples (ONNX GatherND)";
  let description = [{
    The last dimension of `indices` is a tuple that addresses the input's
    dimensions after the first `batch_dims`, which both share.

    Example:

    ```mlir
    %0 = graph.gather_nd %x, %tuples batch_dims 0 : tensor<?x?xi1>, tensor<?x1x?x1x2xi64> -> tensor<?x1x?x1xi1>
    ```
  }];
  let arguments = (ins AnyRankedTensor:$input, AnyRankedTensor:$indices, Graph_I64Attr:$batch_dims);
  let results = (outs AnyRankedTensor:$output);
  let assemblyFormat = [{
    $input `,` $indices `batch_dims` $batch_dims attr-dict `:` type($input) `,` type($indices) `->` type($output)
  }];
  let hasVerifier = 1;
}

def Graph_GatherElementsOp : Graph_Op<"gather_elements", [Pure]> {
  let summary = "Single elements of the input along one axis, by index (ONNX GatherElements)";
  let description = [{
    The result has the sizes of `indices`. Each of its elements is the input's at
    the same place, but for the coordinate along `axis`, which is the index; a
    negative one counts from the end. No other size may be above the input's.

    Example:

    ```mlir
    %0 = graph.gather_elements %x, %i axis 1 : tensor<?x8xf32>, tensor<?x2xi64> -> tensor<?x2xf32>
    ```
  }];
  let arguments = (ins AnyRankedTensor:$input, AnyRankedTensor:$indices, Graph_I64Attr:$axis);
  let results = (outs AnyRankedTensor:$output);
  let assemblyFormat = [{
    $input `,` $indices `axis` $axis attr-dict `:` type($input) `,` type($indices) `->` type($output)
  }];
  let hasVerifier = 1;
}

def Graph_ScatterKind : I32EnumAttr<"ScatterKind", "what an update does to the element", [
    I32EnumAttrCase<"Replace", 0, "replace">, I32EnumAttrCase<"Add", 1, "add">,
    I32EnumAttrCase<"Mul", 2, "mul">, I32EnumAttrCase<"Max", 3, "max">,
    I32EnumAttrCase<"Min", 4, "min">]> {
  let cppNamespace = "::tenon::graph";
}

def Graph_ScatterElementsOp : Graph_Op<"scatter_elements", [Pure]> {
  let summary = "The input with single elements updated, by index (ONNX ScatterElements)";
  let description = [{
    `updates` has the sizes of `indices`. Each update goes to its own place in
    the input, but for the coordinate along `axis`, which is the index; a
    negative one counts from the end. No other size may be above the input's. Of
    updates to one element each finds what those before it, in order along
    `axis`, have left.

    Example:

    ```mlir
    %0 = graph.scatter_elements add %x, %i, %u axis 1 : tensor<?x8xf32>, tensor<?x2xi64>, tensor<?x2xf32> -> tensor<?x8xf32>
    ```
  }];
  let arguments = (ins Graph_ScatterKind:$kind, AnyRankedTensor:$input, AnyRankedTensor:$indices,
                       AnyRankedTensor:$updates, Graph_I64Attr:$axis);
  let results = (outs AnyRankedTensor:$output);
  let assemblyFormat = [{
    $kind $input `,` $indices `,` $updates `axis` $axis attr-dict
    `:` type($input) `,` type($indices) `,` type($updates) `->` type($output)
  }];
  let hasVerifier = 1;
}

def Graph_ScatterNDOp : Graph_Op<"scatter_nd", [Pure]> {
  let summary = "The input with slices updated, by index tuples (ONNX ScatterND)";
  let description = [{
    The last dimension of `indices` is a tuple that addresses the first
    dimensions of the input; `updates` has the other sizes of `indices`, then
    those that the tuple leaves. Of updates to one slice each finds what those
    before it, in row-major order, have left.

    Example:

    ```mlir
    %0 = graph.scatter_nd replace %x, %i, %u : tensor<?x8xf32>, tensor<?x1xi64>, tensor<?x8xf32> -> tensor<?x8xf32>
    ```
  }];
  let arguments = (ins Graph_ScatterKind:$kind, AnyRankedTensor:$input, AnyRankedTensor:$indices,
                       AnyRankedTensor:$updates);
  let results = (outs AnyRankedTensor:$output);
  let assemblyFormat = [{
    $kind $input `,` $indices `,` $updates attr-dict
    `:` type($input) `,` type($indices) `,` type($updates) `->` type($output)
  }];
  let hasVerifier = 1;
}

#endif // TENON_DIALECT_GRAPH_IR_GRAPHDATAOPS_TD
