// A dialect with one op, to copy.
#ifndef POLY_TD
#define POLY_TD

include "mlir/IR/OpBase.td"
include "mlir/Interfaces/InferTypeOpInterface.td"
include "mlir/Interfaces/SideEffectInterfaces.td"

def Poly_Dialect : Dialect {
  let name = "poly";
  let cppNamespace = "::poly";
}

def Poly_EvalOp : Op<Poly_Dialect, "eval", [Pure, SameOperandsAndResultType]> {
  let summary = "A polynomial of each element";
  let description = [{
    `coefficients` are those of x⁰, x¹, …, at least two.

    ```mlir
    %y = poly.eval [1.0, 0.0, 2.0] %x : tensor<?xf32>
    ```
  }];
  let arguments = (ins DenseF32ArrayAttr:$coefficients, TensorRankOf<[F32], [0, 1, 2, 3, 4]>:$input);
  let results = (outs TensorRankOf<[F32], [0, 1, 2, 3, 4]>:$output);
  let assemblyFormat = "$coefficients $input attr-dict `:` type($input)";
  let hasVerifier = 1;
}

#endif // POLY_TD
