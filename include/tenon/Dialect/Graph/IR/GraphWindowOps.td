// Sliding windows over spatial dimensions, of which convolution and pooling are
// made.
#ifndef TENON_DIALECT_GRAPH_IR_GRAPHWINDOWOPS_TD
#define TENON_DIALECT_GRAPH_IR_GRAPHWINDOWOPS_TD

include "tenon/Dialect/Graph/IR/GraphDialect.td"

def Graph_WindowOp : Graph_Op<"window", [Pure]> {
  let summary = "All windows of a tensor over its last dimensions (im2col, unfold)";
  let description = [{
    `kernel` has a size for each of the last dimensions, the spatial ones. Window
    `o` of a spatial dimension begins at element `o · stride` and takes every
    `dilation`-th element from there, `kernel` of them; as many windows are there
    as lie within the input, which `graph.pad` makes larger. The result has the
    input's other dimensions, then the number of windows along each spatial
    dimension, then `kernel`.

    Example:

    ```mlir
    %0 = graph.window %x kernel [3, 3] strides [2, 2] dilations [1, 1] : tensor<?x8x9x9xf32> -> tensor<?x8x4x4x3x3xf32>
    ```
  }];
  let arguments = (ins AnyRankedTensor:$input, DenseI64ArrayAttr:$kernel,
                       DenseI64ArrayAttr:$strides, DenseI64ArrayAttr:$dilations);
  let results = (outs AnyRankedTensor:$output);
  let assemblyFormat = [{
    $input `kernel` $kernel `strides` $strides `dilations` $dilations attr-dict
    `:` type($input) `->` type($output)
  }];
  let hasVerifier = 1;
}

def Graph_OverlapAddOp : Graph_Op<"overlap_add", [Pure]> {
  let summary = "Sums windows where they lie (col2im, fold)";
  let description = [{
    The transpose of `graph.window`: `input` is what that op gives for a tensor
    whose spatial dimensions have `sizes`, and each element of the result is the
    sum of all elements of windows that lie there, 0 where none does.

    Example:

    ```mlir
    %0 = graph.overlap_add %x to [%n, 9] strides [2, 2] dilations [1, 1] : tensor<?x8x?x4x3x3xf32> -> tensor<?x8x?x9xf32>
    ```
  }];
  let arguments = (ins AnyRankedTensor:$input, Variadic<Index>:$sizes,
                       DenseI64ArrayAttr:$static_sizes, DenseI64ArrayAttr:$strides,
                       DenseI64ArrayAttr:$dilations);
  let results = (outs AnyRankedTensor:$output);
  let assemblyFormat = [{
    $input `to` custom<DynamicIndexList>($sizes, $static_sizes) `strides` $strides
    `dilations` $dilations attr-dict `:` type($input) `->` type($output)
  }];
  let extraClassDeclaration = [{
    /// Of the spatial dimensions, constants and values mixed, in order.
    ::llvm::SmallVector<::mlir::OpFoldResult> getMixedSizes() {
      ::mlir::Builder builder(getContext());
      return ::mlir::getMixedValues(getStaticSizes(), getSizes(), builder);
    }
    /// How many of each window there are along each spatial dimension: the last
    /// sizes of the input.
    ::llvm::ArrayRef<int64_t> getKernel() {
      return ::llvm::cast<::mlir::RankedTensorType>(getInput().getType())
          .getShape().take_back(getStrides().size());
    }
  }];
  let hasVerifier = 1;
}

#endif // TENON_DIALECT_GRAPH_IR_GRAPHWINDOWOPS_TD
