// ONNX operators that are matrix products, and attention.
#include "ImportContext.h"
#include <cmath>

using namespace mlir;

namespace tenon {
namespace {

/// Null, after an error, if the sizes do not fit.
Value makeMatmul(ImportContext &ctx, Value lhs, Value rhs, bool transposeLhs,
                 bool transposeRhs) {
  RankedTensorType left = typeOf(lhs), right = typeOf(rhs);
  FailureOr<SmallVector<int64_t>> sizes = graph::broadcastSizes(
      left.getShape().drop_back(2), right.getShape().drop_back(2));
  if (failed(sizes)) {
    ctx.invalid() << "cannot broadcast the leading dimensions of " << left
                  << " and " << right;
    return {};
  }
  sizes->push_back(left.getDimSize(left.getRank() - (transposeLhs ? 1 : 2)));
  sizes->push_back(right.getDimSize(right.getRank() - (transposeRhs ? 2 : 1)));
  return graph::MatmulOp::create(
      ctx.builder, ctx.loc,
      RankedTensorType::get(*sizes, left.getElementType()), lhs, rhs,
      transposeLhs, transposeRhs);
}

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
  Value result = makeMatmul(ctx, lhs, rhs, false, false);
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
  Value result = makeMatmul(ctx, lhs, rhs, ctx.getInt("transA", 0) != 0,
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

/// Past keys and values are joined before the new ones. `causal` of the op
/// aligns the last query with the last key; ONNX aligns the first query with
/// the first new key. These agree where there are as many queries as new keys.
LogicalResult importAttention(ImportContext &ctx) {
  if (failed(ctx.requireOperands(3)))
    return failure();
  if (ctx.getFloat("softcap", 0) != 0)
    return ctx.unsupported() << "softcap is unsupported";
  for (StringRef side : {"left_window_size", "right_window_size"})
    if (ctx.getInt(side, -1) != -1)
      return ctx.unsupported() << side << " is unsupported";
  if (ctx.isResultUsed(3))
    return ctx.unsupported() << "result qk_matmul_output is unsupported";
  if (ctx.getOperand(6))
    return ctx.unsupported() << "operand nonpad_kv_seqlen is unsupported";
  Value operands[] = {ctx.getOperand(0), ctx.getOperand(1), ctx.getOperand(2)};
  bool flat = typeOf(operands[0]).getRank() == 3;
  for (auto [i, operand] : llvm::enumerate(operands)) {
    if (typeOf(operand).getRank() == 3) {
      FailureOr<Value> split =
          ctx.splitHeads(operand, i == 0 ? "q_num_heads" : "kv_num_heads");
      if (failed(split))
        return failure();
      operand = *split;
    }
    if (typeOf(operand).getRank() != 4)
      return ctx.invalid() << "needs operands of rank 3 or 4, but has "
                           << operand.getType();
  }
  auto [query, key, value] = operands;
  bool causal = ctx.getInt("is_causal", 0) != 0;
  if (causal) {
    OpFoldResult queries = ctx.getSize(query, 2), keys = ctx.getSize(key, 2);
    int64_t knownQueries = staticSize(queries), knownKeys = staticSize(keys);
    if (ShapedType::isDynamic(knownQueries) || ShapedType::isDynamic(knownKeys))
      graph::AssumeEqualOp::create(ctx.builder, ctx.loc,
                                   ctx.materialize(queries),
                                   ctx.materialize(keys));
    else if (knownQueries != knownKeys)
      return ctx.unsupported()
             << "is_causal with " << knownQueries << " queries and "
             << knownKeys << " new keys is unsupported";
  }
  for (unsigned i : {4, 5})
    if (Value past = ctx.getOperand(i); past && typeOf(past).getRank() != 4)
      return ctx.invalid() << "needs a past of rank 4, but has "
                           << past.getType();
  if (Value past = ctx.getOperand(4))
    key = ctx.concat({past, key}, 2);
  if (Value past = ctx.getOperand(5))
    value = ctx.concat({past, value}, 2);
  // Since opset 24 a shorter mask hides the keys behind its end.
  if (Value mask = ctx.getOperand(3)) {
    RankedTensorType maskType = typeOf(mask);
    int64_t keys = typeOf(key).getDimSize(2);
    int64_t covered = maskType.getRank() ? maskType.getShape().back() : 1;
    if (!ShapedType::isDynamic(covered) && covered != 1 &&
        !ShapedType::isDynamic(keys) && covered != keys)
      return ctx.unsupported() << "a mask for " << covered << " of " << keys
                               << " keys is unsupported";
  }
  int64_t headSize = typeOf(query).getDimSize(3);
  if (ShapedType::isDynamic(headSize))
    headSize = typeOf(key).getDimSize(3);
  if (!ctx.getAttribute("scale") && ShapedType::isDynamic(headSize))
    return ctx.unsupported() << "without scale the size of a head must be "
                             << "known, but the query is " << query.getType();
  float scale = ctx.getFloat(
      "scale", static_cast<float>(1 / std::sqrt(double(headSize))));
  RankedTensorType queryType = typeOf(query);
  auto type = RankedTensorType::get(
      {queryType.getDimSize(0), queryType.getDimSize(1),
       queryType.getDimSize(2), typeOf(value).getDimSize(3)},
      queryType.getElementType());
  Builder &builder = ctx.builder;
  // A row that sees no key gives zeros: so says the op since ONNX 1.23, of
  // opset 23 too, and so does onnxruntime. Rows of padding must not become NaN,
  // which would spread through the values of the next layer.
  Value result = graph::AttentionOp::create(
      ctx.builder, ctx.loc, type, query, key, value, ctx.getOperand(3),
      builder.getF32FloatAttr(scale),
      causal ? builder.getUnitAttr() : UnitAttr(), builder.getUnitAttr());
  if (flat)
    result = ctx.joinHeads(result);
  (void)ctx.setResult(key, 1);
  (void)ctx.setResult(value, 2);
  return ctx.setResult(result);
}

const OpHandler handlers[] = {
    {"Attention", importAttention},
    {"Gemm", importGemm},
    {"MatMul", importMatMul},
};

} // namespace

ArrayRef<OpHandler> contractionHandlers() { return handlers; }

} // namespace tenon
