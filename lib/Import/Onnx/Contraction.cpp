// ONNX operators that are matrix products.
#include "ImportContext.h"

using namespace mlir;

namespace tenon {
namespace {

/// A vector is a matrix of one row on the left, of one column on the right:
/// MatMul(v, m)  ->  reshape (matmul (reshape v), m)
LogicalResult importMatMul(ImportContext &ctx) {
  if (failed(ctx.requireOperands(2)))
    return failure();
  Value lhs = ctx.getOperand(0), rhs = ctx.getOperand(1);
  bool row = typeOf(lhs).getRank() == 1, column = typeOf(rhs).getRank() == 1;
  if (typeOf(lhs).getRank() == 0 || typeOf(rhs).getRank() == 0)
    return ctx.invalid() << "multiplies " << lhs.getType() << " and "
                         << rhs.getType() << ", of which one is a scalar";
  if (row)
    lhs = ctx.reshape(lhs, {ctx.makeSize(1), ctx.getSize(lhs, 0)});
  if (column)
    rhs = ctx.reshape(rhs, {ctx.getSize(rhs, 0), ctx.makeSize(1)});
  Value result = ctx.matmul(lhs, rhs);
  if (!result)
    return failure();
  if (row || column) {
    Sizes sizes = ctx.getSizes(result);
    if (row)
      sizes.erase(sizes.end() - 2);
    if (column)
      sizes.pop_back();
    result = ctx.reshape(result, sizes);
  }
  return ctx.setResult(result);
}

/// Gemm(a, b, c)  ->  add (mul (matmul a, b), alpha), (mul c, beta)
LogicalResult importGemm(ImportContext &ctx) {
  if (failed(ctx.requireOperands(2)))
    return failure();
  Value lhs = ctx.getOperand(0), rhs = ctx.getOperand(1),
        addend = ctx.getOperand(2);
  if (typeOf(lhs).getRank() != 2 || typeOf(rhs).getRank() != 2)
    return ctx.invalid() << "needs two matrices, but has " << lhs.getType()
                         << " and " << rhs.getType();
  Value result = ctx.matmul(lhs, rhs, ctx.getInt("transA", 0) != 0,
                            ctx.getInt("transB", 0) != 0);
  Type element = typeOf(lhs).getElementType();
  auto scale = [&](Value value, float factor) {
    return value && factor != 1 ? ctx.binary<graph::MulOp>(
                                      value, ctx.makeScalar(factor, element))
                                : value;
  };
  result = scale(result, ctx.getFloat("alpha", 1));
  if (result && addend)
    result = ctx.binary<graph::AddOp>(result,
                                      scale(addend, ctx.getFloat("beta", 1)));
  return result ? ctx.setResult(result) : failure();
}

const OpHandler handlers[] = {
    {"Gemm", importGemm},
    {"MatMul", importMatMul},
};

} // namespace

ArrayRef<OpHandler> contractionHandlers() { return handlers; }

} // namespace tenon
