// Attention of domain com.microsoft: products, masks and caches of a layer in
// one node.
#include "Quantized.h"
#include <cmath>

using namespace mlir;

namespace tenon {
namespace {

/// One Attention or MultiHeadAttention node on its way to graph.attention.
class FusedAttention {
public:
  explicit FusedAttention(ImportContext &ctx) : ctx(ctx) {}

  LogicalResult importPacked();
  LogicalResult importQuantized();
  LogicalResult importSeparate();

private:
  LogicalResult refuseOthers(unsigned operands, unsigned results);
  FailureOr<SmallVector<int64_t>> readWidths();
  LogicalResult attendPacked(Value all, Value mask, Value past, Value bias);
  Value takePart(Value packed, int64_t part);
  LogicalResult readSeparate(SmallVectorImpl<Value> &flat);
  LogicalResult addBias(MutableArrayRef<Value> flat);
  LogicalResult splitHeads(Value flat, Value &heads);
  void appendToPast(Value pastKey, Value pastValue);
  OpFoldResult countQueries() { return ctx.getSize(query, 2); }
  OpFoldResult countKeys() { return ctx.getSize(key, 2); }
  Value findSeenKeys(Value mask);
  FailureOr<Value> findSeen(Value mask);
  LogicalResult attend(Value mask, Value bias);

  ImportContext &ctx;
  Value query, key, value;        ///< batch, heads, sequence, size
  OpFoldResult newKeys, pastKeys; ///< along the sequence
};

/// Fails, after an error, if there are more operands or results than these.
LogicalResult FusedAttention::refuseOthers(unsigned operands,
                                           unsigned results) {
  for (unsigned i = operands; i < ctx.getNumOperands(); ++i)
    if (ctx.getOperand(i))
      return ctx.unsupported() << "operand " << i << " is unsupported";
  for (unsigned i = results; i < ctx.getNumResults(); ++i)
    if (ctx.isResultUsed(i))
      return ctx.unsupported() << "result " << i << " is unsupported";
  return success();
}

LogicalResult FusedAttention::splitHeads(Value flat, Value &heads) {
  FailureOr<Value> split = ctx.splitHeads(flat, "num_heads");
  if (succeeded(split))
    heads = *split;
  return split;
}

/// Puts what was computed before in front of the new keys and values.
void FusedAttention::appendToPast(Value pastKey, Value pastValue) {
  newKeys = countKeys();
  pastKeys = ctx.makeSize(0);
  if (!pastKey)
    return;
  pastKeys = ctx.getSize(pastKey, 2);
  key = ctx.concat({pastKey, key}, 2);
  value = ctx.concat({pastValue, value}, 2);
}

/// Of a mask of one dimension, which has the end of the keys of each sequence
/// first; behind them may be the starts, or more that tells nothing else.
Value FusedAttention::findSeenKeys(Value mask) {
  Type element = typeOf(mask).getElementType(), flag = ctx.builder.getI1Type();
  OpFoldResult one = ctx.makeSize(1), count = ctx.getSize(key, 0);
  Value keys = ctx.cast(ctx.iota(ctx.makeSize(0), countKeys()), element);
  auto bound = [&](Value bounds) {
    return ctx.reshape(bounds, {ctx.getSize(bounds, 0), one, one, one});
  };
  std::optional<SymbolicExpr> batch = ctx.getSizeExpr(ctx.getOperand(0), 0),
                              size = ctx.getSizeExpr(mask, 0);
  bool hasStarts = batch && size && *size == *batch * 2;
  bool hasMore = batch && size && *size == *batch * 3 + 2;
  Value ends = mask;
  if (hasStarts || hasMore)
    ends = ctx.slice(mask, 0, ctx.makeSize(0), count);
  Value seen = ctx.binary<graph::LessOp>(keys, bound(ends), flag);
  if (!hasStarts)
    return seen;
  Value starts =
      ctx.slice(mask, 0, count, ctx.multiply(count, ctx.makeSize(2)));
  return ctx.binary<graph::AndOp>(
      seen, ctx.binary<graph::GreaterEqualOp>(keys, bound(starts), flag));
}

/// Which keys a mask shows, batch×1×S×T or batch×1×1×T. Fails after an error.
FailureOr<Value> FusedAttention::findSeen(Value mask) {
  RankedTensorType type = typeOf(mask);
  if (!isa<IntegerType>(type.getElementType()) ||
      type.getElementType().isInteger(1) || type.getRank() < 1 ||
      type.getRank() > 4) {
    ctx.invalid() << "needs a mask of integers with 1 to 4 dimensions, but has "
                  << type;
    return failure();
  }
  if (type.getRank() == 1)
    return findSeenKeys(mask);
  Sizes sizes = ctx.getSizes(mask);
  if (type.getRank() == 4) {
    // Of the largest numbers of queries and keys there may be.
    mask = ctx.slice(mask, 2, pastKeys, ctx.add(pastKeys, countQueries()));
    mask = ctx.slice(mask, 3, ctx.makeSize(0), countKeys());
  } else {
    while (sizes.size() < 4)
      sizes.insert(sizes.begin() + 1, ctx.makeSize(1));
    mask = ctx.reshape(mask, sizes);
  }
  return ctx.binary<graph::GreaterOp>(
      mask, ctx.makeScalar(0, type.getElementType()), ctx.builder.getI1Type());
}

/// Sets the first result. Scores of keys that the mask hides become
/// mask_filter_value smaller, which is what a row sees that sees no key.
LogicalResult FusedAttention::attend(Value mask, Value bias) {
  Type element = typeOf(query).getElementType();
  if (bias && typeOf(bias).getRank() != 4)
    return ctx.invalid() << "needs an attention_bias of rank 4, but has "
                         << bias.getType();
  if (mask) {
    FailureOr<Value> seen = findSeen(mask);
    if (failed(seen))
      return failure();
    Value hidden = graph::WhereOp::create(
        ctx.builder, ctx.loc, typeOf(*seen).clone(element), *seen,
        ctx.makeScalar(0, element),
        ctx.makeScalar(ctx.getFloat("mask_filter_value", -10000), element));
    bias = bias ? ctx.binary<graph::AddOp>(hidden, bias) : hidden;
    if (!bias)
      return failure();
  }
  for (Value heads : {query, value})
    if (!graph::AttentionOp::takes(typeOf(heads)))
      return ctx.unsupported()
             << "there are no kernels for heads of " << typeOf(heads);
  bool isCausal = ctx.getInt("unidirectional", 0) != 0;
  OpFoldResult queries = countQueries();
  // Which keys the first of fewer queries sees is not said.
  std::optional<int64_t> knownQueries = getConstantIntValue(queries),
                         knownKeys = getConstantIntValue(newKeys);
  if (isCausal && knownQueries && knownKeys && *knownQueries != *knownKeys)
    return ctx.unsupported()
           << "unidirectional needs as many queries as keys, "
           << "but has " << *knownQueries << " and " << *knownKeys;
  if (isCausal)
    ctx.assumeEqual(queries, newKeys);
  RankedTensorType type = typeOf(query);
  float scale = ctx.getFloat("scale", 0);
  if (scale == 0)
    scale = static_cast<float>(1 / std::sqrt(double(type.getDimSize(3))));
  auto resultType =
      RankedTensorType::get({type.getDimSize(0), type.getDimSize(1),
                             type.getDimSize(2), typeOf(value).getDimSize(3)},
                            element);
  Builder &builder = ctx.builder;
  Value result = graph::AttentionOp::create(
      ctx.builder, ctx.loc, resultType, query, key, value, bias,
      /*starts=*/nullptr, /*slots=*/nullptr, /*length=*/nullptr,
      /*parameters=*/nullptr, builder.getF32FloatAttr(scale),
      isCausal ? builder.getUnitAttr() : UnitAttr(), /*relative=*/nullptr,
      /*zero_if_masked=*/nullptr,
      /*round_weights=*/nullptr, /*window=*/nullptr, /*softcap=*/nullptr);
  return ctx.setResult(ctx.joinHeads(result));
}

/// How wide queries, keys and values are in the product. Fails after an error.
FailureOr<SmallVector<int64_t>> FusedAttention::readWidths() {
  RankedTensorType input = typeOf(ctx.getOperand(0)),
                   weight = typeOf(ctx.getOperand(1));
  int64_t width = weight.getDimSize(1);
  if (auto given = ctx.getInts("qkv_hidden_sizes")) {
    if (given->size() == 3 && (*given)[0] == (*given)[1] && (*given)[0] > 0 &&
        (*given)[2] > 0 && (*given)[0] < INT32_MAX && (*given)[2] < INT32_MAX &&
        (ShapedType::isDynamic(width) ||
         width == (*given)[0] + (*given)[1] + (*given)[2]))
      return *given;
  } else if (!ShapedType::isDynamic(width) && width % 3 == 0) {
    return SmallVector<int64_t>(3, width / 3);
  }
  ctx.invalid() << "multiplies " << input << " and " << weight
                << ", which are no input and three projections";
  return failure();
}

/// Attention(x, w, b, mask, past, bias)  ->
///   attention of the three parts of x·w + b
LogicalResult FusedAttention::importPacked() {
  if (failed(ctx.requireOperands(2)) || failed(refuseOthers(6, 2)) ||
      failed(ctx.requireRank(0, 3)) || failed(ctx.requireRank(1, 2)) ||
      failed(ctx.requireRank(2, 1)) || failed(ctx.requireRank(4, 5)))
    return failure();
  Value all = ctx.matmul(ctx.getOperand(0), ctx.getOperand(1));
  if (Value bias = ctx.getOperand(2); all && bias)
    all = ctx.binary<graph::AddOp>(all, bias);
  if (!all)
    return failure();
  return attendPacked(all, ctx.getOperand(3), ctx.getOperand(4),
                      ctx.getOperand(5));
}

/// QAttention(x, w, b, xs, ws, mask, xz, wz, past)  ->
///   attention of the three parts of (x - xz)·(w - wz)·xs·ws + b
LogicalResult FusedAttention::importQuantized() {
  if (failed(ctx.requireOperands(5)) || failed(refuseOthers(9, 2)) ||
      failed(ctx.requireRank(0, 3)) || failed(ctx.requireRank(1, 2)) ||
      failed(ctx.requireRank(2, 1)) || failed(ctx.requireRank(8, 5)))
    return failure();
  Value product = multiplyIntegers(ctx, ctx.getOperand(0), ctx.getOperand(6),
                                   ctx.getOperand(1), ctx.getOperand(7));
  Value all = scaleProduct(ctx, product, ctx.getOperand(3), ctx.getOperand(4));
  if (all)
    all = ctx.binary<graph::AddOp>(all, ctx.getOperand(2));
  if (!all)
    return failure();
  return attendPacked(all, ctx.getOperand(5), ctx.getOperand(8), Value());
}

/// `all` has queries, keys and values beside each other.
LogicalResult FusedAttention::attendPacked(Value all, Value mask, Value past,
                                           Value bias) {
  for (StringRef name : {"do_rotary", "past_present_share_buffer"})
    if (ctx.getInt(name, 0))
      return ctx.unsupported() << name << " is unsupported";
  FailureOr<SmallVector<int64_t>> widths = readWidths();
  if (failed(widths))
    return failure();
  int64_t start = 0;
  Value *parts[] = {&query, &key, &value};
  for (auto [width, heads] : llvm::zip(*widths, parts)) {
    Value part =
        ctx.slice(all, 2, ctx.makeSize(start), ctx.makeSize(start + width));
    if (failed(splitHeads(part, *heads)))
      return failure();
    start += width;
  }
  // Keys and values are one tensor: 2×batch×heads×sequence×size.
  auto takePast = [&](int64_t i) -> Value {
    if (!past)
      return {};
    Value part = ctx.slice(past, 0, ctx.makeSize(i), ctx.makeSize(i + 1));
    return ctx.reshape(part, ArrayRef(ctx.getSizes(past)).drop_front());
  };
  appendToPast(takePast(0), takePast(1));
  if (ctx.isResultUsed(1)) {
    if ((*widths)[0] != (*widths)[2])
      return ctx.unsupported()
             << "keys and values of different sizes as one result are "
                "unsupported";
    SmallVector<Value> both;
    for (Value part : {key, value}) {
      Sizes sizes = ctx.getSizes(part);
      sizes.insert(sizes.begin(), ctx.makeSize(1));
      both.push_back(ctx.reshape(part, sizes));
    }
    (void)ctx.setResult(ctx.concat(both, 0), 1);
  }
  return attend(mask, bias);
}

/// batch×S×heads×n×D  ->  batch×S×(heads·D)
Value FusedAttention::takePart(Value packed, int64_t part) {
  Sizes sizes = ctx.getSizes(packed);
  Value taken =
      ctx.slice(packed, 3, ctx.makeSize(part), ctx.makeSize(part + 1));
  return ctx.reshape(taken,
                     {sizes[0], sizes[1], ctx.multiply(sizes[2], sizes[4])});
}

/// Queries, keys and values of rank 3, all three packed, or the last two; keys
/// and values of rank 4 have their heads apart already and are left out.
LogicalResult FusedAttention::readSeparate(SmallVectorImpl<Value> &flat) {
  Value operands[] = {ctx.getOperand(0), ctx.getOperand(1), ctx.getOperand(2)};
  auto fits = [](Value operand, int64_t rank, int64_t parts = 0) {
    return operand && typeOf(operand).getRank() == rank &&
           (parts == 0 || typeOf(operand).getDimSize(3) == parts);
  };
  if (fits(operands[0], 5, 3) && !operands[1] && !operands[2]) {
    for (int64_t part = 0; part < 3; ++part)
      flat.push_back(takePart(operands[0], part));
    return success();
  }
  if (fits(operands[0], 3) && fits(operands[1], 5, 2) && !operands[2]) {
    flat.append(
        {operands[0], takePart(operands[1], 0), takePart(operands[1], 1)});
    return success();
  }
  if (fits(operands[0], 3) && fits(operands[1], 4) && fits(operands[2], 4)) {
    flat.push_back(operands[0]);
    key = operands[1], value = operands[2];
    return success();
  }
  if (fits(operands[0], 3) && fits(operands[1], 3) && fits(operands[2], 3)) {
    flat.assign(operands, operands + 3);
    return success();
  }
  auto error = ctx.invalid() << "cannot take queries, keys and values from";
  for (Value operand : operands)
    if (operand)
      error << " " << operand.getType();
  return error;
}

/// Adds to each tensor its part of operand 3, which has one behind the other.
LogicalResult FusedAttention::addBias(MutableArrayRef<Value> flat) {
  Value bias = ctx.getOperand(3);
  if (!bias)
    return success();
  OpFoldResult start = ctx.makeSize(0);
  for (Value &part : flat) {
    OpFoldResult end = ctx.add(start, ctx.getSize(part, 2));
    part = ctx.binary<graph::AddOp>(part, ctx.slice(bias, 0, start, end));
    if (!part)
      return failure();
    start = end;
  }
  return success();
}

/// MultiHeadAttention(q, k, v, b, mask, bias, past)  ->
///   attention of q, k, v, each plus its part of b
LogicalResult FusedAttention::importSeparate() {
  if (failed(ctx.requireOperands(1)) || failed(refuseOthers(8, 3)) ||
      failed(ctx.requireRank(3, 1)) || failed(ctx.requireRank(6, 4)) ||
      failed(ctx.requireRank(7, 4)))
    return failure();
  Value pastKey = ctx.getOperand(6), pastValue = ctx.getOperand(7);
  if (bool(pastKey) != bool(pastValue))
    return ctx.invalid() << "needs past_key and past_value together";
  SmallVector<Value> flat;
  if (failed(readSeparate(flat)) || failed(addBias(flat)))
    return failure();
  Value *parts[] = {&query, &key, &value};
  for (auto [part, heads] : llvm::zip_first(flat, parts))
    if (failed(splitHeads(part, *heads)))
      return failure();
  appendToPast(pastKey, pastValue);
  (void)ctx.setResult(key, 1);
  (void)ctx.setResult(value, 2);
  return attend(ctx.getOperand(4), ctx.getOperand(5));
}

LogicalResult importAttention(ImportContext &ctx) {
  return FusedAttention(ctx).importPacked();
}

LogicalResult importQAttention(ImportContext &ctx) {
  return FusedAttention(ctx).importQuantized();
}

LogicalResult importMultiHeadAttention(ImportContext &ctx) {
  return FusedAttention(ctx).importSeparate();
}

const OpHandler handlers[] = {
    {"Attention", importAttention, 1, microsoftDomain},
    {"MultiHeadAttention", importMultiHeadAttention, 1, microsoftDomain},
    {"QAttention", importQAttention, 1, microsoftDomain},
};

} // namespace

ArrayRef<OpHandler> fusedAttentionHandlers() { return handlers; }

} // namespace tenon
