// ONNX operators that are matrix products.
#include "Activation.h"

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
/// Null after an error.
Value makeGemm(ImportContext &ctx) {
  if (failed(ctx.requireOperands(2)))
    return {};
  Value lhs = ctx.getOperand(0), rhs = ctx.getOperand(1),
        addend = ctx.getOperand(2);
  if (typeOf(lhs).getRank() != 2 || typeOf(rhs).getRank() != 2) {
    ctx.invalid() << "needs two matrices, but has " << lhs.getType() << " and "
                  << rhs.getType();
    return {};
  }
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
  return result;
}

LogicalResult importGemm(ImportContext &ctx) {
  Value result = makeGemm(ctx);
  return result ? ctx.setResult(result) : failure();
}

/// FusedGemm(a, b, c)  ->  activation (Gemm(a, b, c))
LogicalResult importFusedGemm(ImportContext &ctx) {
  SmallVector<float> parameters;
  for (StringRef name :
       {"activation_alpha", "activation_beta", "activation_gamma"})
    if (ctx.hasAttribute(name))
      parameters.push_back(ctx.getFloat(name, 0));
  Value result = makeGemm(ctx);
  if (result)
    result = activate(ctx, result, parameters);
  return result ? ctx.setResult(result) : failure();
}

/// N×…×M×K, whose first dimension goes behind its batch dimensions.
Value moveFirstDim(ImportContext &ctx, Value matrices) {
  int64_t rank = typeOf(matrices).getRank();
  SmallVector<int64_t> permutation =
      llvm::to_vector(llvm::seq<int64_t>(1, rank - 1));
  permutation.append({0, rank - 1});
  return ctx.transpose(matrices, permutation);
}

/// FusedMatMul(a, b)  ->  mul (matmul (transpose a), (transpose b)), alpha
/// A vector has nothing to transpose.
LogicalResult importFusedMatMul(ImportContext &ctx) {
  if (failed(ctx.requireOperands(2)))
    return failure();
  Value operands[] = {ctx.getOperand(0), ctx.getOperand(1)};
  bool transposed[] = {ctx.getInt("transA", 0) != 0,
                       ctx.getInt("transB", 0) != 0};
  bool moved[] = {ctx.getInt("transBatchA", 0) != 0,
                  ctx.getInt("transBatchB", 0) != 0};
  bool areMatrices = true;
  for (unsigned i = 0; i < 2; ++i) {
    int64_t rank = typeOf(operands[i]).getRank();
    if (moved[i] && rank > 2)
      operands[i] = moveFirstDim(ctx, operands[i]);
    transposed[i] &= rank > 1;
    areMatrices &= rank > 1;
  }
  if (!areMatrices)
    for (unsigned i = 0; i < 2; ++i)
      if (transposed[i]) {
        int64_t rank = typeOf(operands[i]).getRank();
        auto permutation = llvm::to_vector(llvm::seq<int64_t>(0, rank));
        std::swap(permutation[rank - 2], permutation[rank - 1]);
        operands[i] = ctx.transpose(operands[i], permutation);
      }
  Value result = areMatrices ? ctx.matmul(operands[0], operands[1],
                                          transposed[0], transposed[1])
                             : ctx.numpyMatmul(operands[0], operands[1]);
  float alpha = ctx.getFloat("alpha", 1);
  if (result && alpha != 1)
    result = ctx.binary<graph::MulOp>(
        result, ctx.makeScalar(alpha, typeOf(result).getElementType()));
  return result ? ctx.setResult(result) : failure();
}

const OpHandler handlers[] = {
    {"FusedGemm", importFusedGemm, 1, microsoftDomain},
    {"FusedMatMul", importFusedMatMul, 1, microsoftDomain},
    {"Gemm", importGemm},
    {"MatMul", importMatMul},
    {"TransposeMatMul", importFusedMatMul, 1, microsoftDomain},
};

} // namespace

ArrayRef<OpHandler> contractionHandlers() { return handlers; }

} // namespace tenon
