#ifndef TENON_DIALECT_PLAN_IR_PLANOPS_TD
#define TENON_DIALECT_PLAN_IR_PLANOPS_TD

include "mlir/IR/SymbolInterfaces.td"
include "mlir/Interfaces/SideEffectInterfaces.td"
include "tenon/Dialect/Plan/IR/PlanDialect.td"

class Plan_Op<string mnemonic, list<Trait> traits = []>
    : Op<Plan_Dialect, mnemonic, traits>;

// Not pure, so that it stays where only an argument names it.
def Plan_SymbolOp : Plan_Op<"symbol"> {
  let summary = "A named size of the model, known when a run starts";
  let description = [{
    Example:

    ```mlir
    %sequence = plan.symbol "sequence" range 1 to 512 hint 128
    ```
  }];
  let arguments = (ins StrAttr:$name, Plan_I64Attr:$min, Plan_I64Attr:$max,
                       OptionalAttr<Plan_I64Attr>:$hint);
  let results = (outs Index:$value);
  let assemblyFormat = "$name `range` $min `to` $max (`hint` $hint^)? attr-dict";
  let hasVerifier = 1;
}

def Plan_AssumeEqualOp : Plan_Op<"assume_equal"> {
  let summary = "Refuses to run where two sizes differ";
  let description = [{
    Before anything runs, or, where a size is computed from `plan.read`, at its
    place in the run.

    Example:

    ```mlir
    plan.assume_equal %total, %sum
    ```
  }];
  let arguments = (ins Index:$lhs, Index:$rhs);
  let assemblyFormat = "$lhs `,` $rhs attr-dict";
}

def Plan_AllocOp : Plan_Op<"alloc"> {
  let summary = "A slice of the arena";
  let description = [{
    `sizes` are the dynamic sizes of the buffer. Once offsets are assigned, `id`
    numbers the slices of a function and `below` lists those that are alive
    together with this one and lie below it: at run time the slice starts at
    the largest end among them, rounded up to 64 bytes, or at 0. A slice that
    lies below one in the list is left out. `below` holds smaller ids only, so
    offsets are computed in the order of ids, which need not be that of the ops.

    Example:

    ```mlir
    %0 = plan.alloc sizes(%n) : memref<?x8xf32>
    ```

    ```mlir
    %0 = plan.alloc 0 below [] sizes(%n) : memref<?x8xf32>
    %1 = plan.alloc 1 below [0] sizes(%n) : memref<?x8xf32>
    ```
  }];
  let arguments = (ins OptionalAttr<Plan_I64Attr>:$id, OptionalAttr<DenseI64ArrayAttr>:$below,
                       Variadic<Index>:$sizes);
  let results = (outs Res<AnyMemRef, "", [MemAlloc]>:$buffer);
  let assemblyFormat = "($id^ `below` $below)? `sizes` `(` $sizes `)` attr-dict `:` type($buffer)";
  let hasVerifier = 1;
}

def Plan_ConstantOp : Plan_Op<"constant", [Pure]> {
  let summary = "Read-only data of the artifact";
  let description = [{
    It lies beside the code, or, with a `position`, among the weights, at that
    byte, a multiple of 64: a device finds it only there.

    Example:

    ```mlir
    %0 = plan.constant dense<1.0> : tensor<4xf32> -> memref<4xf32>
    %1 = plan.constant dense<1.0> : tensor<4xf32> position 4096 -> memref<4xf32>
    ```
  }];
  let arguments = (ins ElementsAttr:$value, OptionalAttr<Plan_I64Attr>:$position);
  let results = (outs AnyMemRef:$buffer);
  let assemblyFormat = "$value (`position` $position^)? attr-dict `->` type($buffer)";
  let hasVerifier = 1;
}

def Plan_WeightOp : Plan_Op<"weight", [Pure]> {
  let summary = "A weight of the artifact, mapped from its file";
  let description = [{
    `file`, `offset`, `source`, `transposed` and `layout` are those of
    `kernel.weight`: what emit reads and how it packs it. `position` is the byte
    at which it lies in the artifact's weights, a multiple of 64.

    Example:

    ```mlir
    %0 = plan.weight "w" from "model.onnx.data" at 4096 source tensor<384x1536xf32> layout "panel32" position 0 : memref<48x384x32xf32>
    ```
  }];
  let arguments = (ins StrAttr:$name, StrAttr:$file, Plan_I64Attr:$offset, TypeAttr:$source,
                       UnitAttr:$transposed, StrAttr:$layout, Plan_I64Attr:$position);
  let results = (outs AnyMemRef:$buffer);
  let assemblyFormat = [{
    $name `from` $file `at` $offset `source` $source (`transposed` $transposed^)? `layout` $layout
    `position` $position attr-dict `:` type($buffer)
  }];
  let hasVerifier = 1;
}

def Plan_IndexErrorOp : Plan_Op<"index_error", [Pure]> {
  let summary = "Memory of a run for an index that is out of range";
  let description = [{
    As `kernel.index_error`; in the frame that the runtime hands over.

    Example:

    ```mlir
    %0 = plan.index_error 0 : memref<2xi64>
    ```
  }];
  let arguments = (ins Plan_I64Attr:$number);
  let results = (outs AnyMemRef:$error);
  let assemblyFormat = "$number attr-dict `:` type($error)";
}

def Plan_ViewOp : Plan_Op<"view", [Pure]> {
  let summary = "The bytes of a buffer with other sizes";
  let description = [{
    The first bytes, where a size is computed from `plan.read` and the buffer is
    as large as it may become.

    Example:

    ```mlir
    %0 = plan.view %x sizes(%b, %s) : memref<?x?x384xf32> -> memref<?x?x12x32xf32>
    ```
  }];
  let arguments = (ins AnyMemRef:$input, Variadic<Index>:$sizes);
  let results = (outs AnyMemRef:$output);
  let assemblyFormat = "$input `sizes` `(` $sizes `)` attr-dict `:` type($input) `->` type($output)";
  let hasVerifier = 1;
}

def Plan_OutputOp : Plan_Op<"output", [AttrSizedOperandSegments]> {
  let summary = "The dynamic sizes of an output of the model";
  let description = [{
    `buffer` is an argument of the function with the attribute `tenon.output`;
    `sizes` are what the caller must make it as large as. One for each output.
    Where sizes are known only when the model has run, `counted` are all dynamic
    sizes that the output then has, each at most that of `sizes`.

    Example:

    ```mlir
    func.func @main(%y: memref<?x8xf32> {tenon.output, tenon.name = "y"}) {
      %n = plan.symbol "n" range 0 to 512
      plan.output %y sizes(%n) : memref<?x8xf32>
      return
    }
    ```

    ```mlir
    func.func @main(%x: memref<i64>, %y: memref<?xf32> {tenon.output}) {
      %n = plan.symbol "n" range 0 to 512
      %count = plan.read %x : memref<i64> -> i64
      %size = arith.index_cast %count : i64 to index
      plan.output %y sizes(%n) counted(%size) : memref<?xf32>
      return
    }
    ```
  }];
  let arguments = (ins AnyMemRef:$buffer, Variadic<Index>:$sizes, Variadic<Index>:$counted);
  let assemblyFormat = [{
    $buffer `sizes` `(` $sizes `)` (`counted` `(` $counted^ `)`)? attr-dict `:` type($buffer)
  }];
  let hasVerifier = 1;
}

def Plan_LaunchOp : Plan_Op<"launch", [
    AttrSizedOperandSegments, DeclareOpInterfaceMethods<SymbolUserOpInterface>]> {
  let summary = "Runs one kernel on buffers, split over the threads";
  let description = [{
    `kernel` names a function that takes the buffers, the indices, and the part
    `[begin, end)` of the grid. Where the function is a declaration, its body is
    the entry of that name in the device's code, and its attribute
    `tenon.threads` says how many threads run a tile.

    Example:

    ```mlir
    func.func private @copy_0(memref<?xf32>, memref<?xf32>, index, index, index) attributes {tenon.kernel}
    plan.launch @copy_0 grid(%n) buffers(%a, %b : memref<?xf32>, memref<?xf32>) indices(%n)
    ```
  }];
  let arguments = (ins FlatSymbolRefAttr:$kernel, Index:$grid,
                       Variadic<AnyMemRef>:$buffers, Variadic<Index>:$indices);
  let assemblyFormat = [{
    $kernel `grid` `(` $grid `)` `buffers` `(` ($buffers^ `:` type($buffers))? `)` `indices` `(` $indices `)` attr-dict
  }];
}

def Plan_SectionOp : Plan_Op<"section", [SingleBlock, NoTerminator, NoRegionArguments]> {
  let summary = "Launches that run at the same time";
  let description = [{
    None reads or writes a buffer that another writes, so that threads take parts
    of all of them in any order and wait for each other once.

    Example:

    ```mlir
    func.func private @copy_0(memref<?xf32>, memref<?xf32>, index, index) attributes {tenon.kernel}
    plan.section {
      plan.launch @copy_0 grid(%n) buffers(%a, %b : memref<?xf32>, memref<?xf32>) indices() {tenon.results = 1}
      plan.launch @copy_0 grid(%n) buffers(%a, %c : memref<?xf32>, memref<?xf32>) indices() {tenon.results = 1}
    }
    ```
  }];
  let regions = (region SizedRegion<1>:$body);
  let assemblyFormat = "$body attr-dict";
  let hasRegionVerifier = 1;
}

def Plan_ReadOp : Plan_Op<"read"> {
  let summary = "Brings the only element of a buffer to the host";
  let description = [{
    The launches that write the buffer are done when it is read.

    Example:

    ```mlir
    %0 = plan.read %keep : memref<i1> -> i1
    ```
  }];
  let arguments = (ins Arg<AnyMemRef, "", [MemRead]>:$buffer);
  let results = (outs AnySignlessInteger:$value);
  let assemblyFormat = "$buffer attr-dict `:` type($buffer) `->` type($value)";
}

def Plan_CopyOp : Plan_Op<"copy"> {
  let summary = "Copies a buffer's bytes into another of the same size";
  let description = [{
    Example:

    ```mlir
    plan.copy %a, %b : memref<?xf32>, memref<?xf32>
    ```
  }];
  let arguments = (ins Arg<AnyMemRef, "", [MemRead]>:$source, Arg<AnyMemRef, "", [MemWrite]>:$target);
  let assemblyFormat = "$source `,` $target attr-dict `:` type($source) `,` type($target)";
  let hasVerifier = 1;
}

#endif // TENON_DIALECT_PLAN_IR_PLANOPS_TD
