#ifndef TENON_DIALECT_KERNEL_IR_KERNELOPS_TD
#define TENON_DIALECT_KERNEL_IR_KERNELOPS_TD

include "mlir/IR/AttrTypeBase.td"
include "mlir/IR/EnumAttr.td"
include "mlir/IR/OpAsmInterface.td"
include "mlir/Interfaces/ControlFlowInterfaces.td"
include "mlir/Interfaces/SideEffectInterfaces.td"
include "tenon/Dialect/Kernel/IR/KernelDialect.td"

class Kernel_Op<string mnemonic, list<Trait> traits = []>
    : Op<Kernel_Dialect, mnemonic, traits>;

def Kernel_ScheduleAttr : AttrDef<Kernel_Dialect, "Schedule"> {
  let mnemonic = "schedule";
  let summary = "The family that runs a region, and its tile sizes";
  let description = [{
    `tile` holds the sizes the family asks for, outermost loop first; `vector`
    the number of lanes.
  }];
  let parameters = (ins StringRefParameter<"name of the family">:$family,
                        OptionalArrayRefParameter<"int64_t">:$tile, "int64_t":$vector);
  let assemblyFormat = "`<` $family `,` `tile` `=` `[` (`]`) : ($tile^ `]`)? `,` `vector` `=` $vector `>`";
}

def Kernel_LayoutKind : I32EnumAttr<"LayoutKind", "how a weight lies in the artifact", [
    I32EnumAttrCase<"Rows", 0, "rows">, I32EnumAttrCase<"Panel32", 1, "panel32">,
    I32EnumAttrCase<"Panel32x2", 2, "panel32x2">, I32EnumAttrCase<"Panel32x4", 3, "panel32x4">,
    I32EnumAttrCase<"Panel32x8", 4, "panel32x8">]> {
  let cppNamespace = "::tenon::kernel";
}

def Kernel_DotKind : I32EnumAttr<"DotKind", "what a lane of 32 bits holds in a dot product", [
    I32EnumAttrCase<"BF16", 0, "bf16">, I32EnumAttrCase<"U8S8", 1, "u8s8">,
    I32EnumAttrCase<"U4S8", 2, "u4s8">]> {
  let cppNamespace = "::tenon::kernel";
}

// Not pure, so that it stays where only an argument names it.
def Kernel_SymbolOp : Kernel_Op<"symbol"> {
  let summary = "A named size of the model; as graph.symbol";
  let description = [{
    Example:

    ```mlir
    %sequence = kernel.symbol "sequence" range 1 to 512 hint 128
    ```
  }];
  let arguments = (ins StrAttr:$name, Kernel_I64Attr:$min, Kernel_I64Attr:$max,
                       OptionalAttr<Kernel_I64Attr>:$hint);
  let results = (outs Index:$value);
  let assemblyFormat = "$name `range` $min `to` $max (`hint` $hint^)? attr-dict";
}

def Kernel_AssumeEqualOp : Kernel_Op<"assume_equal"> {
  let summary = "Two sizes that must agree; as graph.assume_equal";
  let description = [{
    Example:

    ```mlir
    kernel.assume_equal %total, %sum
    ```
  }];
  let arguments = (ins Index:$lhs, Index:$rhs);
  let assemblyFormat = "$lhs `,` $rhs attr-dict";
}

def Kernel_ConstantOp : Kernel_Op<"constant", [Pure, AllTypesMatch<["value", "output"]>]> {
  let summary = "A small tensor that becomes read-only data of the artifact";
  let description = [{
    Example:

    ```mlir
    %0 = kernel.constant dense<1.0> : tensor<4xf32>
    ```
  }];
  let arguments = (ins ElementsAttr:$value);
  let results = (outs AnyStaticShapeTensor:$output);
  let assemblyFormat = "attr-dict $value";
}

def Kernel_WeightOp : Kernel_Op<"weight", [Pure]> {
  let summary = "A tensor in a file, and how it will lie in the artifact";
  let description = [{
    `file` and `offset` say where the bytes of `source`, the type in the file,
    are. `transposed` swaps the last two dimensions of the matrix. Layout `rows`
    keeps it row-major; `panel32` turns `K×N` into `ceil(N/32)×K×32`, and
    `panel32x2` and `panel32x4` into `ceil(N/32)×ceil(K/g)×32×g`, where a group of
    g elements fills the 32 bits of a lane of `kernel.dot`. Panels and groups are
    filled with zeros. The result has that type, of the elements of `source`, or
    of bf16, to which f32 and f16 are rounded as they are written.

    `panel32x8` is for elements of four bits, of which each byte of `source` holds
    two along its last dimension, the first in the low half; it is `transposed`, so
    that the elements of a row of `source` are contracted. The result is
    `ceil(N/32)×4·ceil(K/32)×32×4` bytes: byte t of column n in group 4u + g holds
    k = 32u + 4g + t in its low half and k + 16 in the other.

    Example:

    ```mlir
    %0 = kernel.weight "w" from "model.onnx.data" at 4096 source tensor<384x1536xf32> layout panel32 : tensor<48x384x32xf32>
    %1 = kernel.weight "b" from "model.onnx.data" at 0 source tensor<1536xf32> layout rows : tensor<1536xf32>
    %2 = kernel.weight "w" from "model.onnx.data" at 4096 source tensor<384x1536xf32> layout panel32x2 : tensor<48x192x32x2xbf16>
    %3 = kernel.weight "q" from "model.onnx.data" at 8192 source tensor<1536x192xi8> transposed layout panel32x8 : tensor<48x48x32x4xi8>
    ```
  }];
  let arguments = (ins StrAttr:$name, StrAttr:$file, Kernel_I64Attr:$offset,
                       TypeAttr:$source, Kernel_LayoutKind:$layout, UnitAttr:$transposed);
  let results = (outs AnyStaticShapeTensor:$output);
  let assemblyFormat = [{
    $name `from` $file `at` $offset `source` $source (`transposed` $transposed^)? `layout` $layout attr-dict `:` type($output)
  }];
  let hasVerifier = 1;
}

def Kernel_IndexErrorOp : Kernel_Op<"index_error", [Pure]> {
  let summary = "Memory for an index that is out of range";
  let description = [{
    Two numbers that `kernel.check_index` writes; both are 0 when a run starts.
    The run fails if the second is not 0 at its end, and names the op's
    location. `number` is one of its own for each look-up of the function.

    Example:

    ```mlir
    %0 = kernel.index_error 0 : tensor<2xi64>
    ```
  }];
  let arguments = (ins Kernel_I64Attr:$number);
  let results = (outs TensorOf<[I64]>:$error);
  let assemblyFormat = "$number attr-dict `:` type($error)";
}

def Kernel_CheckIndexOp : Kernel_Op<"check_index", [Pure]> {
  let summary = "An index, counted from the end if negative, that is in range";
  let description = [{
    `position` where it is not negative, else `position + size`. An index that
    is then not in `[0, size)` gives 0, and `position` and `1 + size` are written
    to `error`. Stands in the body of a `linalg.generic` or a `kernel.lines`. Others of the same
    look-up may write at the same time: one of them stays.

    Example:

    ```mlir
    %1 = kernel.check_index %position below %size else %error : tensor<2xi64>
    ```
  }];
  let arguments = (ins Index:$position, Index:$size, TensorOf<[I64]>:$error);
  let results = (outs Index:$index);
  let assemblyFormat = "$position `below` $size `else` $error attr-dict `:` type($error)";
}

def Kernel_ViewOp : Kernel_Op<"view", [Pure]> {
  let summary = "The same elements, in row-major order, with other sizes; costs nothing";
  let description = [{
    `sizes` are the dynamic sizes of the result, in order.

    Example:

    ```mlir
    %0 = kernel.view %x sizes(%b, %s) : tensor<?x?x384xf32> -> tensor<?x?x12x32xf32>
    ```
  }];
  let arguments = (ins AnyRankedTensor:$input, Variadic<Index>:$sizes);
  let results = (outs AnyRankedTensor:$output);
  let assemblyFormat = "$input `sizes` `(` $sizes `)` attr-dict `:` type($input) `->` type($output)";
  let hasVerifier = 1;
}

def Kernel_ReadOp : Kernel_Op<"read", [Pure]> {
  let summary = "The only element of a tensor, for the host; as graph.read";
  let description = [{
    Example:

    ```mlir
    %0 = kernel.read %keep : tensor<i1> -> i1
    ```
  }];
  let arguments = (ins AnyStaticShapeTensor:$input);
  let results = (outs AnySignlessInteger:$value);
  let assemblyFormat = "$input attr-dict `:` type($input) `->` type($value)";
}

def Kernel_CountOp : Kernel_Op<"count", [Pure]> {
  let summary = "A size that the model computes while it runs; as graph.count";
  let description = [{
    Example:

    ```mlir
    %0 = kernel.count "nonzero/count" %total at_most %n : tensor<i64>
    ```
  }];
  let arguments = (ins StrAttr:$name, TensorOf<[I64]>:$input, Index:$most);
  let results = (outs Index:$size);
  let assemblyFormat = "$name $input `at_most` $most attr-dict `:` type($input)";
}

def Kernel_RegionOp : Kernel_Op<"region", [
    IsolatedFromAbove, SingleBlock, RecursiveMemoryEffects, AttrSizedOperandSegments]> {
  let summary = "A computation that runs as one launch";
  let description = [{
    `sizes` are the dynamic sizes of the results, in order over all results;
    `indices` are sizes that the body needs itself. The body sees its block
    arguments and nothing else of its surroundings.

    A region has two forms. **Before schedule** the block arguments are `inputs`
    (tensors) and `indices`; the body is at most one anchor and linalg ops and
    yields the results. **After schedule** (`schedule` and `grid` are set) the
    block arguments are one memref for each input, one for each result,
    `indices`, and two more of type index: the body computes the part `[begin,
    end)` of a grid of `grid` independent tiles, writes results through memory,
    and yields nothing.

    `updates` has a number for each result: that of the input of which it is a
    changed form, or -1. Such a result takes the input's memory, or a copy where
    something else still reads the input; the body writes what changes.

    Example:

    ```mlir
    %0 = kernel.region "double" inputs(%x : tensor<?xf32>) indices() sizes(%n) -> tensor<?xf32> {
    ^bb0(%in: tensor<?xf32>):
      %1 = arith.addf %in, %in : tensor<?xf32>
      kernel.yield %1 : tensor<?xf32>
    }
    %2 = kernel.region "copy" inputs(%x : tensor<?xf32>) indices() sizes(%n) grid(%n) schedule <"loops", tile = [1], vector = 1> -> tensor<?xf32> {
    ^bb0(%in: memref<?xf32>, %out: memref<?xf32>, %begin: index, %end: index):
      %c1 = arith.constant 1 : index
      scf.for %i = %begin to %end step %c1 {
        %3 = memref.load %in[%i] : memref<?xf32>
        memref.store %3, %out[%i] : memref<?xf32>
      }
      kernel.yield
    }
    ```
  }];
  let arguments = (ins StrAttr:$name, Variadic<AnyRankedTensor>:$inputs,
                       Variadic<Index>:$indices, Variadic<Index>:$sizes,
                       Optional<Index>:$grid, OptionalAttr<Kernel_ScheduleAttr>:$schedule,
                       OptionalAttr<DenseI64ArrayAttr>:$updates);
  let results = (outs Variadic<AnyRankedTensor>:$outputs);
  let regions = (region SizedRegion<1>:$body);
  let assemblyFormat = [{
    $name `inputs` `(` ($inputs^ `:` type($inputs))? `)` `indices` `(` $indices `)` `sizes` `(` $sizes `)`
    (`grid` `(` $grid^ `)`)? (`schedule` $schedule^)? (`updates` $updates^)? attr-dict-with-keyword (`->` type($outputs)^)? $body
  }];
  let hasCanonicalizeMethod = 1;
  let hasRegionVerifier = 1;
  let hasVerifier = 1;
}

def Kernel_YieldOp : Kernel_Op<"yield", [
    Pure, ReturnLike, Terminator, ParentOneOf<["RegionOp", "LinesOp"]>]> {
  let summary = "Ends the body of a region, with its results before schedule, or of lines";
  let arguments = (ins Variadic<AnyRankedTensor>:$values);
  let assemblyFormat = "attr-dict ($values^ `:` type($values))?";
}

def Kernel_ContractOp : Kernel_Op<"contract", [Pure, AttrSizedOperandSegments]> {
  let summary = "Anchor: matrix product, batched over leading dimensions";
  let description = [{
    Semantics of `graph.matmul`. With `packed`, rhs is a weight in panels: in
    groups where both operands are of bf16, or of i8 with a result of i32, else in
    layout `panel32`; it may be of i8 where the result is of f32. Products of f16
    or bf16 have a result of f32, whatever the operands are. Where operands of i8
    have a result of i32, lhs is unsigned and rhs signed.

    With `scale` rhs is quantized in blocks of `block` elements along the contracted
    dimension, as `graph.dequantize_blocks` says: unsigned integers of `bits` bits,
    in layout `panel32x8` if these are 4 and `panel32x4` if they are 8. Scales, and
    zero points where `zero_point` gives them, are in layout `panel32`; else all
    zero points are `offset`. With `quantize_lhs` the rows of lhs are rounded first: each
    32 elements, the last of which may be fewer, to `amax / 127` times integers, halves
    to the even neighbour.

    Example:

    ```mlir
    %0 = kernel.contract %a, %b : tensor<?x?x384xf32>, tensor<384x1536xf32> -> tensor<?x?x1536xf32>
    %1 = kernel.contract packed %bytes, %panels : tensor<?x384xi8>, tensor<48x96x32x4xi8> -> tensor<?x1536xi32>
    %2 = kernel.contract packed %x, %q scale(%s : tensor<48x12x32xf16>) bits 4 block 32 offset 8.0 : tensor<?x384xf32>, tensor<48x48x32x4xi8> -> tensor<?x1536xf32>
    ```
  }];
  let arguments = (ins AnyRankedTensor:$lhs, AnyRankedTensor:$rhs,
                       Optional<AnyRankedTensor>:$scale, Optional<AnyRankedTensor>:$zero_point,
                       UnitAttr:$transpose_lhs, UnitAttr:$transpose_rhs, UnitAttr:$packed,
                       OptionalAttr<Kernel_I64Attr>:$bits, OptionalAttr<Kernel_I64Attr>:$block,
                       OptionalAttr<F32Attr>:$offset, UnitAttr:$quantize_lhs);
  let results = (outs AnyRankedTensor:$output);
  let builders = [OpBuilder<(ins "::mlir::Type":$output, "::mlir::Value":$lhs, "::mlir::Value":$rhs,
                                 "bool":$transpose_lhs, "bool":$transpose_rhs, "bool":$packed), [{
    build($_builder, $_state, output, lhs, rhs, ::mlir::Value(), ::mlir::Value(), transpose_lhs, transpose_rhs,
          packed, ::mlir::IntegerAttr(), ::mlir::IntegerAttr(), ::mlir::FloatAttr(), false);
  }]>];
  let assemblyFormat = [{
    (`transpose_lhs` $transpose_lhs^)? (`transpose_rhs` $transpose_rhs^)? (`packed` $packed^)?
    (`quantize_lhs` $quantize_lhs^)? $lhs `,` $rhs (`scale` `(` $scale^ `:` type($scale) `)`)? (`zero_point` `(` $zero_point^ `:` type($zero_point) `)`)?
    (`bits` $bits^)? (`block` $block^)? (`offset` $offset^)?
    attr-dict `:` type($lhs) `,` type($rhs) `->` type($output)
  }];
  let hasVerifier = 1;
}

def Kernel_DotOp : Kernel_Op<"dot", [
    Pure, AllTypesMatch<["acc", "output"]>,
    TypesMatchWith<"operands have the lanes of the sum, of i32", "acc", "lhs",
                   "cast<VectorType>($_self).clone(IntegerType::get($_ctxt, 32))">,
    TypesMatchWith<"operands have the lanes of the sum, of i32", "acc", "rhs",
                   "cast<VectorType>($_self).clone(IntegerType::get($_ctxt, 32))">]> {
  let summary = "Adds the products of a group of narrow elements, lane by lane";
  let description = [{
    `acc + Σ lhs · rhs` for each lane, whose 32 bits in `lhs` and `rhs` are a group,
    the first element lowest: two bf16, added to f32; or four bytes, of `lhs`
    unsigned and of `rhs` signed, added to i32, exactly, modulo 2³². Of `u4s8` no
    byte of `lhs` is above 15, and none of `rhs` is -128. Whether the
    sum of two products of bf16 is rounded before it is added, and what becomes
    of subnormal numbers, is the machine's. Stands in scheduled bodies and in the
    kernels of a plan; emit chooses the instructions.

    Example:

    ```mlir
    %0 = kernel.dot u8s8 %sum, %a, %b : vector<16xi32>
    %1 = kernel.dot bf16 %total, %x, %y : vector<8xf32>
    ```
  }];
  let arguments = (ins Kernel_DotKind:$kind, VectorOfLengthAndType<[8, 16], [I32, F32]>:$acc,
                       VectorOfLengthAndType<[8, 16], [I32]>:$lhs,
                       VectorOfLengthAndType<[8, 16], [I32]>:$rhs);
  let results = (outs VectorOfLengthAndType<[8, 16], [I32, F32]>:$output);
  let assemblyFormat = "$kind $acc `,` $lhs `,` $rhs attr-dict `:` type($acc)";
  let hasVerifier = 1;
}

def Kernel_MultiplyTilesOp : Kernel_Op<"multiply_tiles", [AttrSizedOperandSegments]> {
  let summary = "A product of groups of narrow elements, of 16 or 32 rows and 32 columns";
  let description = [{
    Writes `Σ lhs · rhs` to `rows` rows of 32 columns of `acc`, or adds it to what
    is there, for `depth` times 16 groups as in `kernel.dot`, but `u4s8`. Each matrix
    lies in a memref of rank one, its rows as many elements apart as `row` says, its first at the
    offset. The elements of a row are contiguous: those of `lhs` along the
    contracted dimension, in `rhs` the groups of 32 columns, in `acc` 32 sums.
    With `split`, of bf16, an element is the sum of two or three parts, the largest
    first: the operands hold those of 16 groups behind each other, `lhs` 32 elements
    for each part, `rhs` 16 rows. The products of parts are added whose ranks, from
    zero, add up to two or less: all four, or six of nine. With `ahead`, each step brings
    1024 bytes, from the offset on, into the second cache.
    Stands in scheduled bodies and in the kernels of a plan, of machines whose
    facts have `tile_rows`.

    Example:

    ```mlir
    kernel.multiply_tiles u8s8 accumulate %a[%i] row %k, %b[%p] row %c128, %sums[%j] row %c32
        depth %n rows 32 : memref<?xi8>, memref<?xi8>, memref<?xi32>
    kernel.multiply_tiles bf16 split 3 %x[%i] row %c96, %y[%p] row %c64, %totals[%j] row %c32
        ahead %w[%q] : memref<?xf32> depth %n rows 32 : memref<?xbf16>, memref<?xbf16>, memref<?xf32>
    ```
  }];
  let arguments = (ins Kernel_DotKind:$kind, OptionalAttr<Kernel_I64Attr>:$split, UnitAttr:$accumulate,
                       Arg<MemRefRankOf<[I8, UI8, BF16], [1]>, "", [MemRead]>:$lhs, Index:$lhs_offset, Index:$lhs_row,
                       Arg<MemRefRankOf<[I8, BF16], [1]>, "", [MemRead]>:$rhs, Index:$rhs_offset, Index:$rhs_row,
                       Arg<MemRefRankOf<[I32, F32], [1]>, "", [MemRead, MemWrite]>:$acc, Index:$acc_offset, Index:$acc_row,
                       Optional<AnyMemRef>:$ahead, Optional<Index>:$ahead_offset,
                       Index:$depth, Kernel_I64Attr:$rows);
  let assemblyFormat = [{
    $kind (`split` $split^)? (`accumulate` $accumulate^)? $lhs `[` $lhs_offset `]` `row` $lhs_row `,` $rhs `[` $rhs_offset `]` `row` $rhs_row `,`
    $acc `[` $acc_offset `]` `row` $acc_row
    (`ahead` $ahead^ `[` $ahead_offset `]` `:` type($ahead))? `depth` $depth `rows` $rows attr-dict `:` type($lhs) `,` type($rhs) `,` type($acc)
  }];
  let hasVerifier = 1;
  let extraClassDeclaration = [{
    /// The products of so many parts that are added, in an order in which each
    /// has a part of the one before.
    static ::llvm::ArrayRef<std::pair<int64_t, int64_t>> splitProducts(int64_t parts);
    /// Bytes that a step brings into the second cache.
    static constexpr int64_t aheadBytes = 1024;
  }];
}

def Kernel_AttentionOp : Kernel_Op<"attention", [Pure, AttrSizedOperandSegments]> {
  let summary = "Anchor: fused attention; semantics of graph.attention";
  let description = [{
    `query_layout` and the others say where batch, heads, sequence and size lie
    in the operand and result: a permutation p such that dimension p[i] of the
    stored tensor is dimension i of (batch, heads, sequence, size). So no
    transpose runs by itself. With `quantized` queries are unsigned, as integers of
    kernels that are contracted are.

    Query, key and value may each be a `tensor.extract_slice` of an input of the
    region, of fixed parts of dimensions with steps of one: they are read where they
    lie.

    Example:

    ```mlir
    %0 = kernel.attention %q, %k, %v scale 1.250000e-01
         {query_layout = array<i64: 0, 2, 1, 3>, key_layout = array<i64: 0, 2, 1, 3>,
          value_layout = array<i64: 0, 2, 1, 3>, output_layout = array<i64: 0, 2, 1, 3>}
         : (tensor<?x?x12x64xf32>, tensor<?x?x12x64xf32>, tensor<?x?x12x64xf32>) -> tensor<?x?x12x64xf32>
    ```
  }];
  let arguments = (ins AnyRankedTensor:$query, AnyRankedTensor:$key, AnyRankedTensor:$value,
                       Optional<AnyRankedTensor>:$mask, Optional<TensorOf<[I64]>>:$starts,
                       Optional<TensorOf<[I64]>>:$slots, Optional<Index>:$length,
                       Optional<TensorOf<[F32]>>:$parameters, F32Attr:$scale,
                       UnitAttr:$causal, UnitAttr:$relative, UnitAttr:$zero_if_masked, UnitAttr:$round_weights,
                       OptionalAttr<Kernel_I64Attr>:$window, OptionalAttr<F32Attr>:$softcap,
                       DenseI64ArrayAttr:$query_layout, DenseI64ArrayAttr:$key_layout,
                       DenseI64ArrayAttr:$value_layout, DenseI64ArrayAttr:$output_layout);
  let results = (outs AnyRankedTensor:$output);
  let assemblyFormat = [{
    (`causal` $causal^)? (`relative` $relative^)? (`zero_if_masked` $zero_if_masked^)? (`round_weights` $round_weights^)? $query `,` $key `,` $value (`mask` $mask^)?
    (`at` $starts^)? (`in` $slots^)? (`length` $length^)? (`quantized` $parameters^)?
    `scale` $scale (`window` $window^)? (`softcap` $softcap^)? attr-dict `:` functional-type(operands, $output)
  }];
  let hasVerifier = 1;
}

def Kernel_AppendOp : Kernel_Op<"append", [Pure]> {
  let summary = "Anchor: a cache with what is new in it; semantics of graph.append";
  let description = [{
    `layout` says where batch, heads, sequence and size lie in the input, as in
    `kernel.attention`, and it may be a part of an input as there; `batch` and
    `sequence` are the sizes of these. `error` is
    that of a `kernel.check_index`: a place outside the cache is written to it,
    and what should go there goes nowhere.

    Example:

    ```mlir
    %0 = kernel.append %new[%b, %s] into %cache at %starts in %slots else %error {layout = array<i64: 0, 2, 1, 3>}
         : (tensor<?x?x3x64xf32>, index, index, tensor<?x3x?x64xf32>, tensor<?xi64>, tensor<?xi64>, tensor<2xi64>) -> tensor<?x3x?x64xf32>
    ```
  }];
  let arguments = (ins AnyRankedTensor:$input, Index:$batch, Index:$sequence, AnyRankedTensor:$cache,
                       TensorOf<[I64]>:$starts, Optional<TensorOf<[I64]>>:$slots,
                       TensorOf<[I64]>:$error, DenseI64ArrayAttr:$layout);
  let results = (outs AnyRankedTensor:$output);
  let assemblyFormat = [{
    $input `[` $batch `,` $sequence `]` `into` $cache `at` $starts (`in` $slots^)? `else` $error attr-dict
    `:` functional-type(operands, $output)
  }];
  let hasVerifier = 1;
}

def Kernel_SoftmaxOp : Kernel_Op<"softmax", [Pure]> {
  let summary = "Anchor: softmax over the last dimension";
  let description = [{
    Example:

    ```mlir
    %0 = kernel.softmax %x : tensor<?x12x?x?xf32> -> tensor<?x12x?x?xf32>
    ```
  }];
  let arguments = (ins AnyRankedTensor:$input);
  let results = (outs AnyRankedTensor:$output);
  let assemblyFormat = "$input attr-dict `:` type($input) `->` type($output)";
}

def Kernel_NormOp : Kernel_Op<"norm", [Pure, AttrSizedOperandSegments]> {
  let summary = "Anchor: layer norm or RMS norm over the last dimension";
  let description = [{
    Example:

    ```mlir
    %0 = kernel.norm rms %x scale %g epsilon 9.99999974E-6 : (tensor<?x?x576xf32>, tensor<576xf32>) -> tensor<?x?x576xf32>
    ```
  }];
  let arguments = (ins AnyRankedTensor:$input, Optional<AnyRankedTensor>:$scale,
                       Optional<AnyRankedTensor>:$bias, F32Attr:$epsilon, UnitAttr:$rms);
  let results = (outs AnyRankedTensor:$output);
  let assemblyFormat = [{
    (`rms` $rms^)? $input (`scale` $scale^)? (`bias` $bias^)? `epsilon` $epsilon attr-dict
    `:` functional-type(operands, $output)
  }];
}

def Kernel_LinesOp : Kernel_Op<"lines", [
    RecursiveMemoryEffects, SingleBlock, AllTypesMatch<["init", "output"]>]> {
  let summary = "Anchor: each line along one dimension is computed in order, by itself";
  let description = [{
    `init` gives the sizes of the result. The body computes one line of it: its
    arguments are the coordinates of the line, one for each dimension but `axis`,
    and the line, a tensor of rank one that holds nothing yet; it yields the line
    when it is complete. It reads whatever is around it with `tensor.extract`,
    writes the line with `tensor.insert` and loops with `scf.for`. There is one
    line, whose latest form alone is used, so that it is written in place.

    Example: sums of all elements up to here.

    ```mlir
    func.func @sums(%x: tensor<?x?xf32>, %rows: index, %columns: index) -> tensor<?x?xf32> {
      %c0 = arith.constant 0 : index
      %c1 = arith.constant 1 : index
      %zero = arith.constant 0.0 : f32
      %empty = tensor.empty(%rows, %columns) : tensor<?x?xf32>
      %0 = kernel.lines %empty axis 1 : tensor<?x?xf32> {
      ^bb0(%row: index, %line: tensor<?xf32>):
        %1:2 = scf.for %i = %c0 to %columns step %c1 iter_args(%l = %line, %sum = %zero) -> (tensor<?xf32>, f32) {
          %element = tensor.extract %x[%row, %i] : tensor<?x?xf32>
          %next = arith.addf %sum, %element : f32
          %longer = tensor.insert %next into %l[%i] : tensor<?xf32>
          scf.yield %longer, %next : tensor<?xf32>, f32
        }
        kernel.yield %1#0 : tensor<?xf32>
      }
      return %0 : tensor<?x?xf32>
    }
    ```
  }];
  let arguments = (ins AnyRankedTensor:$init, Kernel_I64Attr:$axis);
  let results = (outs AnyRankedTensor:$output);
  let regions = (region SizedRegion<1>:$body);
  let assemblyFormat = "$init `axis` $axis attr-dict `:` type($output) $body";
  let hasRegionVerifier = 1;
  let hasVerifier = 1;
}

#endif // TENON_DIALECT_KERNEL_IR_KERNELOPS_TD
