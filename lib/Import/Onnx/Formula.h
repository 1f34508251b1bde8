// Formulas of elementwise ops, for operators that are one.
#ifndef TENON_LIB_IMPORT_ONNX_FORMULA_H
#define TENON_LIB_IMPORT_ONNX_FORMULA_H

#include "ImportContext.h"
#include "llvm/ADT/StringMap.h"

namespace tenon {

/// Writes a formula over `x`, the node's first operand unless another is given.
class Formula {
public:
  explicit Formula(ImportContext &ctx) : Formula(ctx, ctx.getOperand(0)) {}
  Formula(ImportContext &ctx, mlir::Value x)
      : ctx(ctx), x(x), type(typeOf(x)) {}

  mlir::Value number(double value) {
    return ctx.makeScalar(value, type.getElementType());
  }
  /// One of `given`, else an attribute of the node.
  mlir::Value number(llvm::StringRef attribute, float otherwise) {
    auto found = given.find(attribute);
    return number(found == given.end() ? ctx.getFloat(attribute, otherwise)
                                       : found->second);
  }
  template <typename OpTy> mlir::Value map(mlir::Value value) {
    return OpTy::create(ctx.builder, ctx.loc, value.getType(), value);
  }
  template <typename OpTy> mlir::Value join(mlir::Value lhs, mlir::Value rhs) {
    return ctx.binary<OpTy>(lhs, rhs);
  }
  mlir::Value add(mlir::Value lhs, mlir::Value rhs) {
    return join<graph::AddOp>(lhs, rhs);
  }
  mlir::Value sub(mlir::Value lhs, mlir::Value rhs) {
    return join<graph::SubOp>(lhs, rhs);
  }
  mlir::Value mul(mlir::Value lhs, mlir::Value rhs) {
    return join<graph::MulOp>(lhs, rhs);
  }
  mlir::Value div(mlir::Value lhs, mlir::Value rhs) {
    return join<graph::DivOp>(lhs, rhs);
  }
  mlir::Value min(mlir::Value lhs, mlir::Value rhs) {
    return join<graph::MinOp>(lhs, rhs);
  }
  mlir::Value max(mlir::Value lhs, mlir::Value rhs) {
    return join<graph::MaxOp>(lhs, rhs);
  }
  mlir::Value exp(mlir::Value value) { return map<graph::ExpOp>(value); }
  mlir::Value less(mlir::Value lhs, mlir::Value rhs) {
    return ctx.binary<graph::LessOp>(lhs, rhs, ctx.builder.getI1Type());
  }
  mlir::Value select(mlir::Value condition, mlir::Value onTrue,
                     mlir::Value onFalse) {
    return graph::WhereOp::create(ctx.builder, ctx.loc, type, condition, onTrue,
                                  onFalse);
  }
  /// alpha * (exp(x) - 1)
  mlir::Value exponential(mlir::Value value, mlir::Value alpha) {
    return mul(alpha, sub(exp(value), number(1)));
  }
  /// max(0, min(1, value))
  mlir::Value clamp(mlir::Value value) {
    return max(number(0), min(number(1), value));
  }
  /// log(1 + exp(x)), written so that exp cannot overflow.
  mlir::Value softplus() {
    mlir::Value power = exp(map<graph::NegOp>(map<graph::AbsOp>(x)));
    return add(max(x, number(0)), map<graph::LogOp>(add(number(1), power)));
  }

  ImportContext &ctx;
  mlir::Value x;
  mlir::RankedTensorType type;
  llvm::StringMap<float> given; ///< attributes of an operator fused into it
};

} // namespace tenon

#endif // TENON_LIB_IMPORT_ONNX_FORMULA_H
