// ONNX LinearAttention: a state for each head, updated by one step after the
// other.
#include "Recurrent.h"
#include "mlir/IR/TypeUtilities.h"
#include <cmath>

using namespace mlir;

namespace tenon {
namespace {

Value add(ImportContext &ctx, Value lhs, Value rhs) {
  return ctx.binary<graph::AddOp>(lhs, rhs);
}
Value mul(ImportContext &ctx, Value lhs, Value rhs) {
  return ctx.binary<graph::MulOp>(lhs, rhs);
}

/// batch×steps×(heads·size)  ->  steps×batch×heads×rows×columns in f32
/// where rows·columns is the size.
Value splitSteps(ImportContext &ctx, Value input, int64_t heads, int64_t rows,
                 int64_t columns) {
  Value moved =
      ctx.transpose(ctx.cast(input, ctx.builder.getF32Type()), {1, 0, 2});
  return ctx.reshape(moved, {ctx.getSize(moved, 0), ctx.getSize(moved, 1),
                             ctx.makeSize(heads), ctx.makeSize(rows),
                             ctx.makeSize(columns)});
}

/// S  ->  exp(g)·S + k ⊗ v, or with a delta rule β·(v - Sᵀk), with S decayed,
/// in place of v; the output is scale·qᵀS.
LogicalResult importLinearAttention(ImportContext &ctx) {
  if (failed(ctx.requireOperands(3)))
    return failure();
  StringRef rule = ctx.getString("update_rule", "gated_delta");
  bool isGated = rule == "gated" || rule == "gated_delta";
  bool isDelta = rule == "delta" || rule == "gated_delta";
  if (!isGated && !isDelta && rule != "linear")
    return ctx.invalid() << "update_rule must be linear, gated, delta or "
                         << "gated_delta, but is " << rule;
  (void)ctx.getInt("chunk_size", 64); // how to compute it, not what
  Value query = ctx.getOperand(0), key = ctx.getOperand(1),
        value = ctx.getOperand(2), past = ctx.getOperand(3),
        decay = isGated ? ctx.getOperand(4) : Value(),
        rate = isDelta ? ctx.getOperand(5) : Value();
  if (isGated != bool(decay) || isDelta != bool(rate))
    return ctx.invalid() << "update_rule " << rule << " needs "
                         << (isGated && !decay ? "decay" : "beta");
  for (Value operand : {query, key, value, decay, rate}) {
    if (!operand)
      continue;
    if (typeOf(operand).getRank() != 3 || typeOf(operand).isDynamicDim(2))
      return ctx.unsupported()
             << "needs operands of rank 3 with a known last size, but has "
             << operand.getType();
    if (failed(verifyCompatibleShape(typeOf(operand).getShape().drop_back(),
                                     typeOf(query).getShape().drop_back())))
      return ctx.invalid() << "needs operands of one batch and length, but has "
                           << query.getType() << " and " << operand.getType();
  }
  auto width = [](Value operand) { return typeOf(operand).getDimSize(2); };
  int64_t queryHeads = ctx.getInt("q_num_heads", 0),
          heads = ctx.getInt("kv_num_heads", 0);
  if (heads <= 0 || queryHeads <= 0 || queryHeads % heads ||
      width(query) % queryHeads || width(value) % heads ||
      width(key) != width(query) / queryHeads * heads)
    return ctx.invalid() << "cannot split " << query.getType() << ", "
                         << key.getType() << " and " << value.getType()
                         << " into " << queryHeads << ", " << heads << " and "
                         << heads << " heads";
  int64_t keySize = width(query) / queryHeads, valueSize = width(value) / heads;
  for (auto [operand, size] :
       {std::pair(decay, heads * keySize), std::pair(rate, int64_t(1))})
    if (operand && width(operand) != heads && width(operand) != size)
      return ctx.invalid() << "needs a last size of " << heads << " or " << size
                           << ", but has " << operand.getType();
  Type single = ctx.builder.getF32Type();
  int64_t group = queryHeads / heads;
  Value queries = splitSteps(ctx, query, heads, group, keySize);
  Value rows = splitSteps(ctx, key, heads, 1, keySize);
  Value columns = splitSteps(ctx, key, heads, keySize, 1);
  Value values = splitSteps(ctx, value, heads, 1, valueSize);
  Value decays, rates;
  if (decay)
    decays = splitSteps(ctx, decay, heads, width(decay) / heads, 1);
  if (rate)
    rates = splitSteps(ctx, rate, width(rate), 1, 1);
  float given = ctx.getFloat("scale", 0);
  Value scale = ctx.makeScalar(
      given == 0 ? 1 / std::sqrt(double(keySize)) : given, single);

  OpFoldResult batch = ctx.getSize(query, 0), steps = ctx.getSize(query, 1);
  auto zeros = [&](ArrayRef<OpFoldResult> sizes) {
    return ctx.broadcast(ctx.makeScalar(0, single), sizes);
  };
  Value state = zeros({batch, ctx.makeSize(heads), ctx.makeSize(keySize),
                       ctx.makeSize(valueSize)});
  if (past) {
    if (failed(verifyCompatibleShape(typeOf(past), typeOf(state))))
      return ctx.invalid() << "needs a state like " << state.getType()
                           << ", but has " << past.getType();
    state = add(ctx, state, ctx.cast(past, single));
  }
  OpFoldResult size = ctx.makeSize(queryHeads * valueSize);
  auto step = [&](Value iteration, ValueRange carried) -> SmallVector<Value> {
    auto at = [&](Value all) { return ctx.gather(all, iteration, 0); };
    Value before = carried[0], added = at(values);
    if (decays) {
      Value powers = at(decays);
      powers =
          graph::ExpOp::create(ctx.builder, ctx.loc, powers.getType(), powers);
      before = mul(ctx, before, powers);
    }
    if (rates) {
      Value known = ctx.matmul(at(rows), before);
      added = mul(ctx, ctx.binary<graph::SubOp>(added, known), at(rates));
    }
    Value after = add(ctx, before, mul(ctx, at(columns), added));
    Value output = mul(ctx, ctx.matmul(at(queries), after), scale);
    return {ctx.reshape(output, {batch, size}), after};
  };
  SmallVector<Value> results =
      forEachStep(ctx, steps, zeros({steps, batch, size}), state, step);
  Type element = typeOf(query).getElementType();
  (void)ctx.setResult(ctx.cast(ctx.transpose(results[0], {1, 0, 2}), element),
                      0);
  return ctx.setResult(
      ctx.cast(results[1], past ? typeOf(past).getElementType() : element), 1);
}

const OpHandler handlers[] = {
    {"LinearAttention", importLinearAttention},
};

} // namespace

ArrayRef<OpHandler> linearAttentionHandlers() { return handlers; }

} // namespace tenon
