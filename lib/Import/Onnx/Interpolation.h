// Arithmetic on tensors of f32, which broadcast, for operators that compute
// where they look something up and what it weighs.
#ifndef TENON_LIB_IMPORT_ONNX_INTERPOLATION_H
#define TENON_LIB_IMPORT_ONNX_INTERPOLATION_H

#include "ImportContext.h"

namespace tenon {

struct Numbers {
  ImportContext &ctx;

  mlir::Type f32() { return ctx.builder.getF32Type(); }
  mlir::Value number(double value) { return ctx.makeScalar(value, f32()); }
  mlir::Value size(mlir::OpFoldResult size) {
    if (std::optional<int64_t> known = getConstantIntValue(size))
      return number(*known);
    auto type = mlir::RankedTensorType::get({}, ctx.builder.getI64Type());
    return ctx.cast(graph::FromIndicesOp::create(ctx.builder, ctx.loc, type,
                                                 ctx.materialize(size)),
                    f32());
  }
  mlir::Value add(mlir::Value lhs, mlir::Value rhs) {
    return ctx.binary<graph::AddOp>(lhs, rhs);
  }
  mlir::Value sub(mlir::Value lhs, mlir::Value rhs) {
    return ctx.binary<graph::SubOp>(lhs, rhs);
  }
  mlir::Value mul(mlir::Value lhs, mlir::Value rhs) {
    return ctx.binary<graph::MulOp>(lhs, rhs);
  }
  mlir::Value div(mlir::Value lhs, mlir::Value rhs) {
    return ctx.binary<graph::DivOp>(lhs, rhs);
  }
  mlir::Value floor(mlir::Value x) {
    return graph::FloorOp::create(ctx.builder, ctx.loc, x.getType(), x);
  }
  mlir::Value ceil(mlir::Value x) {
    return graph::CeilOp::create(ctx.builder, ctx.loc, x.getType(), x);
  }
  mlir::Value abs(mlir::Value x) {
    return graph::AbsOp::create(ctx.builder, ctx.loc, x.getType(), x);
  }
  mlir::Value less(mlir::Value lhs, mlir::Value rhs) {
    return ctx.binary<graph::LessOp>(lhs, rhs, ctx.builder.getI1Type());
  }
  mlir::Value equal(mlir::Value lhs, mlir::Value rhs) {
    return ctx.binary<graph::EqualOp>(lhs, rhs, ctx.builder.getI1Type());
  }
  mlir::Value either(mlir::Value lhs, mlir::Value rhs) {
    return ctx.binary<graph::OrOp>(lhs, rhs);
  }
  mlir::Value where(mlir::Value condition, mlir::Value onTrue,
                    mlir::Value onFalse) {
    mlir::RankedTensorType type =
        ctx.broadcastType({onTrue, onFalse, condition}, f32());
    return graph::WhereOp::create(ctx.builder, ctx.loc, type, condition, onTrue,
                                  onFalse);
  }
  mlir::Value clamp(mlir::Value x, mlir::Value low, mlir::Value high) {
    return ctx.binary<graph::MaxOp>(ctx.binary<graph::MinOp>(x, high), low);
  }

  /// The weight of an element at a distance: a triangle.
  mlir::Value triangle(mlir::Value distance) {
    return ctx.binary<graph::MaxOp>(sub(number(1), abs(distance)), number(0));
  }
  /// The same, by the cubic convolution of doi:10.1109/TASSP.1981.1163711.
  mlir::Value cubic(mlir::Value distance, double a) {
    mlir::Value x = abs(distance);
    auto polynomial = [&](llvm::ArrayRef<double> coefficients) {
      mlir::Value sum = number(coefficients.front());
      for (double coefficient : coefficients.drop_front())
        sum = add(mul(sum, x), number(coefficient));
      return sum;
    };
    mlir::Value near = polynomial({a + 2, -(a + 3), 0, 1});
    mlir::Value far = polynomial({a, -5 * a, 8 * a, -4 * a});
    mlir::Value outer = where(less(x, number(2)), far, number(0));
    return where(less(number(1), x), outer, near);
  }
};

} // namespace tenon

#endif // TENON_LIB_IMPORT_ONNX_INTERPOLATION_H
