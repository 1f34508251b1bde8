// Elementwise ops: each result element depends on the operands' elements at the
// same index, after multidirectional (numpy) broadcasting.
#ifndef TENON_DIALECT_GRAPH_IR_GRAPHELEMENTWISEOPS_TD
#define TENON_DIALECT_GRAPH_IR_GRAPHELEMENTWISEOPS_TD

include "tenon/Dialect/Graph/IR/GraphDialect.td"

class Graph_UnaryOp<string mnemonic, string what>
    : Graph_Op<mnemonic, [Pure]> {
  let summary = what;
  let description = "Applied to each element; the shape does not change.\n\nExample:\n\n```mlir\n%y = graph."
      # mnemonic # " %x : tensor<?x8xf32> -> tensor<?x8xf32>\n```\n";
  let arguments = (ins AnyRankedTensor:$input);
  let results = (outs AnyRankedTensor:$output);
  let assemblyFormat = "$input attr-dict `:` type($input) `->` type($output)";
  let hasVerifier = 1;
}

class Graph_BinaryOp<string mnemonic, string what>
    : Graph_Op<mnemonic, [Pure]> {
  let summary = what;
  let description = "Operands have one element type and broadcast as numpy does.\n\nExample:\n\n```mlir\n%y = graph."
      # mnemonic # " %a, %b : tensor<?x8xf32>, tensor<8xf32> -> tensor<?x8x"
      # !if(!or(!eq(mnemonic, "equal"), !eq(mnemonic, "less"), !eq(mnemonic, "less_equal"),
                !eq(mnemonic, "greater"), !eq(mnemonic, "greater_equal")), "i1", "f32") # ">\n```\n";
  let arguments = (ins AnyRankedTensor:$lhs, AnyRankedTensor:$rhs);
  let results = (outs AnyRankedTensor:$output);
  let assemblyFormat = "$lhs `,` $rhs attr-dict `:` type($lhs) `,` type($rhs) `->` type($output)";
  let hasVerifier = 1;
}

def Graph_AbsOp : Graph_UnaryOp<"abs", "Absolute value">;
def Graph_NegOp : Graph_UnaryOp<"neg", "Negation">;
def Graph_ExpOp : Graph_UnaryOp<"exp", "e to the power of the element">;
def Graph_LogOp : Graph_UnaryOp<"log", "Natural logarithm">;
def Graph_SqrtOp : Graph_UnaryOp<"sqrt", "Square root">;
def Graph_ReciprocalOp : Graph_UnaryOp<"reciprocal", "One over the element">;
def Graph_SinOp : Graph_UnaryOp<"sin", "Sine of radians">;
def Graph_CosOp : Graph_UnaryOp<"cos", "Cosine of radians">;
def Graph_TanhOp : Graph_UnaryOp<"tanh", "Hyperbolic tangent">;
def Graph_ErfOp : Graph_UnaryOp<"erf", "Gauss error function">;
def Graph_SigmoidOp : Graph_UnaryOp<"sigmoid", "1 / (1 + exp(-x))">;
def Graph_ReluOp : Graph_UnaryOp<"relu", "Maximum with zero">;
def Graph_FloorOp : Graph_UnaryOp<"floor", "Largest integer not above the element">;
def Graph_CeilOp : Graph_UnaryOp<"ceil", "Smallest integer not below the element">;
def Graph_RoundOp : Graph_UnaryOp<"round", "Nearest integer; of two, the even one">;
def Graph_NotOp : Graph_UnaryOp<"not", "Negation of each bit of an integer"> {
  let description = [{
    Of `i1`, the logical negation.

    Example:

    ```mlir
    %y = graph.not %x : tensor<4xi1> -> tensor<4xi1>
    ```
  }];
}
def Graph_IsNaNOp : Graph_UnaryOp<"is_nan", "Whether the element is not a number"> {
  let description = [{
    Example:

    ```mlir
    %y = graph.is_nan %x : tensor<4xf32> -> tensor<4xi1>
    ```
  }];
}
def Graph_CastOp : Graph_UnaryOp<"cast", "Conversion to another element type"> {
  let description = [{
    As ONNX Cast-13: float to integer truncates toward zero, anything to `i1` is
    `!= 0`, integers wrap.

    Example:

    ```mlir
    %y = graph.cast %x : tensor<4xi64> -> tensor<4xf32>
    ```
  }];
}

def Graph_BitcastOp : Graph_UnaryOp<"bitcast", "The bits of the element as another type of the same width"> {
  let description = [{
    As ONNX BitCast-26.

    Example:

    ```mlir
    %y = graph.bitcast %x : tensor<4xf32> -> tensor<4xi32>
    ```
  }];
}

def Graph_GeluOp : Graph_Op<"gelu", [Pure]> {
  let summary = "Gaussian error linear unit (arXiv:1606.08415)";
  let description = [{
    `x/2 · (1 + erf(x/√2))`, or with `tanh_approximation`
    `x/2 · (1 + tanh(√(2/π)·(x + 0.044715·x³)))`.

    Example:

    ```mlir
    %y = graph.gelu %x : tensor<?x8xf32> -> tensor<?x8xf32>
    %z = graph.gelu tanh_approximation %x : tensor<?x8xf32> -> tensor<?x8xf32>
    ```
  }];
  let arguments = (ins AnyRankedTensor:$input, UnitAttr:$tanh_approximation);
  let results = (outs AnyRankedTensor:$output);
  let assemblyFormat = [{
    (`tanh_approximation` $tanh_approximation^)? $input attr-dict `:` type($input) `->` type($output)
  }];
  let hasVerifier = 1;
}

def Graph_AddOp : Graph_BinaryOp<"add", "Sum">;
def Graph_SubOp : Graph_BinaryOp<"sub", "Difference">;
def Graph_MulOp : Graph_BinaryOp<"mul", "Product">;
def Graph_DivOp : Graph_BinaryOp<"div", "Quotient; of integers, truncated toward zero, and 0 by 0">;
def Graph_PowOp : Graph_BinaryOp<"pow", "lhs to the power of rhs">;
def Graph_MaxOp : Graph_BinaryOp<"max", "The larger element; NaN if either is">;
def Graph_MinOp : Graph_BinaryOp<"min", "The smaller element; NaN if either is">;
def Graph_EqualOp : Graph_BinaryOp<"equal", "Whether lhs equals rhs">;
def Graph_LessOp : Graph_BinaryOp<"less", "Whether lhs is below rhs">;
def Graph_LessEqualOp : Graph_BinaryOp<"less_equal", "Whether lhs is at most rhs">;
def Graph_GreaterOp : Graph_BinaryOp<"greater", "Whether lhs is above rhs">;
def Graph_GreaterEqualOp : Graph_BinaryOp<"greater_equal", "Whether lhs is at least rhs">;
def Graph_AndOp : Graph_BinaryOp<"and", "Conjunction of each bit of integers"> {
  let description = [{
    Of `i1`, the logical conjunction.

    Example:

    ```mlir
    %y = graph.and %a, %b : tensor<?x8xi1>, tensor<8xi1> -> tensor<?x8xi1>
    ```
  }];
}
def Graph_XorOp : Graph_BinaryOp<"xor", "Exclusive disjunction of each bit of integers"> {
  let description = [{
    Of `i1`, whether the operands differ.

    Example:

    ```mlir
    %y = graph.xor %a, %b : tensor<?x8xi1>, tensor<8xi1> -> tensor<?x8xi1>
    ```
  }];
}
def Graph_ShiftLeftOp : Graph_BinaryOp<"shift_left", "lhs, shifted by rhs bits to the left"> {
  let description = [{
    As ONNX BitShift-28: of integers; 0 if rhs is negative or not below the
    number of bits.

    Example:

    ```mlir
    %y = graph.shift_left %a, %b : tensor<?x8xi32>, tensor<8xi32> -> tensor<?x8xi32>
    ```
  }];
}
def Graph_ShiftRightOp : Graph_BinaryOp<"shift_right", "lhs, shifted by rhs bits to the right"> {
  let description = [{
    As ONNX BitShift-28: of integers, and keeps the sign of signed ones; what
    the sign extends to if rhs is negative or not below the number of bits.

    Example:

    ```mlir
    %y = graph.shift_right %a, %b : tensor<?x8xi32>, tensor<8xi32> -> tensor<?x8xi32>
    ```
  }];
}
def Graph_OrOp : Graph_BinaryOp<"or", "Disjunction of each bit of integers"> {
  let description = [{
    Of `i1`, the logical disjunction.

    Example:

    ```mlir
    %y = graph.or %a, %b : tensor<?x8xi1>, tensor<8xi1> -> tensor<?x8xi1>
    ```
  }];
}

def Graph_ModOp : Graph_Op<"mod", [Pure]> {
  let summary = "Remainder of a division";
  let description = [{
    As ONNX Mod-28: `lhs - floor(lhs / rhs) · rhs`, or with `truncated`
    `lhs - trunc(lhs / rhs) · rhs`, which is C's fmod. By the integer zero the
    remainder is 0. Of floats it is exact where the quotient is below 2⁵³.

    Example:

    ```mlir
    %y = graph.mod %a, %b : tensor<?x8xi64>, tensor<8xi64> -> tensor<?x8xi64>
    %z = graph.mod truncated %a, %b : tensor<?x8xi64>, tensor<8xi64> -> tensor<?x8xi64>
    ```
  }];
  let arguments = (ins AnyRankedTensor:$lhs, AnyRankedTensor:$rhs, UnitAttr:$truncated);
  let results = (outs AnyRankedTensor:$output);
  let assemblyFormat = [{
    (`truncated` $truncated^)? $lhs `,` $rhs attr-dict `:` type($lhs) `,` type($rhs) `->` type($output)
  }];
  let hasVerifier = 1;
}

def Graph_WhereOp : Graph_Op<"where", [Pure]> {
  let summary = "on_true where the condition holds, else on_false";
  let description = [{
    All three broadcast as numpy does.

    Example:

    ```mlir
    %y = graph.where %c, %a, %b : tensor<?x1xi1>, tensor<?x8xf32>, tensor<f32> -> tensor<?x8xf32>
    ```
  }];
  let arguments = (ins AnyRankedTensor:$condition, AnyRankedTensor:$on_true,
                       AnyRankedTensor:$on_false);
  let results = (outs AnyRankedTensor:$output);
  let assemblyFormat = [{
    $condition `,` $on_true `,` $on_false attr-dict `:` type($condition) `,` type($on_true) `,` type($on_false) `->` type($output)
  }];
  let hasVerifier = 1;
}

def Graph_QuantizeOp : Graph_Op<"quantize", [Pure]> {
  let summary = "The integer that a multiple of the scale rounds to";
  let description = [{
    `round(input / scale) + zero_point` in f32, halves to the even neighbour, as
    the nearest number of the result's type, an integer of 8 or 16 bits; NaN
    gives the smallest. Scale and zero point, which has the type of the result,
    broadcast to the input. As ONNX QuantizeLinear-23.

    Example:

    ```mlir
    %y = graph.quantize %x scale %s zero_point %z : (tensor<?x8xf32>, tensor<f32>, tensor<ui8>) -> tensor<?x8xui8>
    ```
  }];
  let arguments = (ins AnyRankedTensor:$input, AnyRankedTensor:$scale,
                       Optional<AnyRankedTensor>:$zero_point);
  let results = (outs AnyRankedTensor:$output);
  let assemblyFormat = [{
    $input `scale` $scale (`zero_point` $zero_point^)? attr-dict `:` functional-type(operands, $output)
  }];
  let hasVerifier = 1;
}

def Graph_DequantizeOp : Graph_Op<"dequantize", [Pure]> {
  let summary = "The multiple of the scale that an integer stands for";
  let description = [{
    `(input - zero_point) · scale` in f32, of an integer of 8, 16 or, if it is
    signed, 32 bits. Scale and zero point, which has the type of the input,
    broadcast to the input. As ONNX DequantizeLinear-23.

    Example:

    ```mlir
    %y = graph.dequantize %x scale %s zero_point %z : (tensor<?x8xi8>, tensor<8xf32>, tensor<8xi8>) -> tensor<?x8xf32>
    ```
  }];
  let arguments = (ins AnyRankedTensor:$input, AnyRankedTensor:$scale,
                       Optional<AnyRankedTensor>:$zero_point);
  let results = (outs AnyRankedTensor:$output);
  let assemblyFormat = [{
    $input `scale` $scale (`zero_point` $zero_point^)? attr-dict `:` functional-type(operands, $output)
  }];
  let hasVerifier = 1;
}

#endif // TENON_DIALECT_GRAPH_IR_GRAPHELEMENTWISEOPS_TD
