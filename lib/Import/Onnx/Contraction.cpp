// ONNX operators that are matrix products.
#include "ImportContext.h"

using namespace mlir;

namespace tenon {
namespace {

LogicalResult importMatMul(ImportContext &ctx) {
  if (failed(ctx.requireOperands(2)))
    return failure();
  Value result = ctx.numpyMatmul(ctx.getOperand(0), ctx.getOperand(1));
  return result ? ctx.setResult(result) : failure();
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
  float beta = ctx.getFloat("beta", 1);
  if (result && addend)
    result = ctx.binary<graph::AddOp>(result, scale(addend, beta));
  return result ? ctx.setResult(result) : failure();
}

const OpHandler handlers[] = {
    {"Gemm", importGemm},
    {"MatMul", importMatMul},
};

} // namespace

ArrayRef<OpHandler> contractionHandlers() { return handlers; }

} // namespace tenon
