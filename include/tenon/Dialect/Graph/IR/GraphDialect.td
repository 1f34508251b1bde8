#ifndef TENON_DIALECT_GRAPH_IR_GRAPHDIALECT_TD
#define TENON_DIALECT_GRAPH_IR_GRAPHDIALECT_TD

include "mlir/IR/OpBase.td"
include "mlir/Interfaces/SideEffectInterfaces.td"

def Graph_Dialect : Dialect {
  let name = "graph";
  let cppNamespace = "::tenon::graph";
  let summary = "What a model computes: pure operations on tensor values";
  let description = [{
    Ops in `graph` say *what* is computed and nothing about how, where, or when.
    Every op is pure and every value is a ranked tensor or an `index`, so a
    function in this dialect can be reordered, duplicated, or erased freely.

    Sizes are SSA `index` values. `graph.symbol` is a named size of the model;
    `graph.dim` reads a size of a tensor and `graph.extract` one element of an
    integer tensor. Simplify folds the last two away: after it every size is an
    expression of `arith` ops over symbols.

    Control flow is `scf.if` and `scf.while` on tensors, decided by `graph.read`.

    Element types are those of ONNX with MLIR's names: `f32`, `f16`, `bf16`,
    `f64`, `i1` (bool), `i8`…`i64` (signed), `ui8`…`ui64` (unsigned).
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect"];
  let hasConstantMaterializer = 1;
}

class Graph_Op<string mnemonic, list<Trait> traits = []>
    : Op<Graph_Dialect, mnemonic, traits>;

// A 64-bit integer whose accessor is signed.
def Graph_I64Attr : TypedSignlessIntegerAttrBase<I64, "int64_t", "64-bit integer">;

#endif // TENON_DIALECT_GRAPH_IR_GRAPHDIALECT_TD
