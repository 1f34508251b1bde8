// Recognises attention between quantizers. See Passes.td.
#include "Matching.h"
#include "mlir/IR/PatternMatch.h"
#include "mlir/IR/TypeUtilities.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"
#include "tenon/Dialect/Graph/Transforms/Passes.h"

using namespace mlir;

namespace tenon::graph {
#define GEN_PASS_DEF_RECOGNIZEQUANTIZEDATTENTIONPASS
#include "tenon/Dialect/Graph/Transforms/Passes.h.inc"

namespace {

RankedTensorType typeOf(Value value) {
  return cast<RankedTensorType>(value.getType());
}

/// What integers stand for: (integers - zeroPoint) · scale.
struct Quantized {
  Value integers;
  double zeroPoint;
  double scale;
};

/// Fails where scale and zero point are no constants for all elements.
FailureOr<Quantized> matchDequantize(Value value) {
  auto op = value.getDefiningOp<DequantizeOp>();
  if (!op)
    return failure();
  std::optional<double> scale = getSplat(op.getScale());
  std::optional<double> zeroPoint =
      op.getZeroPoint() ? getScalar(op.getZeroPoint()) : 0;
  if (!scale || !zeroPoint)
    return failure();
  return Quantized{op.getInput(), *zeroPoint, *scale};
}

/// dequantize (quantize x) of the same parameters: x in `integers`.
FailureOr<Quantized> matchRounded(Value value) {
  FailureOr<Quantized> found = matchDequantize(value);
  auto op =
      failed(found) ? nullptr : found->integers.getDefiningOp<QuantizeOp>();
  if (!op || getSplat(op.getScale()) != found->scale ||
      (op.getZeroPoint() ? getScalar(op.getZeroPoint()) : 0) !=
          found->zeroPoint)
    return failure();
  found->integers = op.getInput();
  return found;
}

bool isOfBytes(Value dequantized) {
  Value integers = dequantized.getDefiningOp()->getOperand(0);
  return getElementTypeOrSelf(integers.getType()).isInteger(8);
}

/// What matmul(dq(q(softmax(c · dq(q(matmul(dq q, dq kᵀ))) + mask))), dq v) is
/// made of; the inner quantizer may be missing.
struct Written {
  Quantized query, key, value;
  bool isKeyTransposed;
  std::optional<Quantized> scores;
  Type scoreType; ///< of their integers
  Value mask;     ///< null without one
  double scale;
};

FailureOr<Written> matchAttention(MatmulOp op, Obstacle &obstacle) {
  Written found;
  FailureOr<Quantized> weights = matchRounded(op.getLhs());
  if (failed(weights))
    return failure();
  bool isGuarded;
  auto softmax =
      stripNaNGuard(weights->integers, isGuarded).getDefiningOp<SoftmaxOp>();
  if (!softmax)
    return failure();
  if (!isOfBytes(op.getLhs()))
    return obstacle.refuse("the softmax has more than 8 bits");
  if (typeOf(op.getOutput()).getRank() != 4 || op.getTransposeLhs() ||
      op.getTransposeRhs() || softmax.getAxis() != 3)
    return obstacle.refuse("its product is not of rank 4, or reads something "
                           "transposed");

  auto getMultiple = [&](Value value) -> MatmulOp {
    Product scaled = getProduct(value);
    if (scaled.factors.size() != 1 ||
        scaled.factors[0].getType() != value.getType())
      return nullptr;
    Value factor = scaled.factors[0];
    FailureOr<Quantized> rounded = matchRounded(factor);
    Value product = succeeded(rounded) ? rounded->integers : factor;
    auto matmul = product.getDefiningOp<MatmulOp>();
    if (!matmul)
      return nullptr;
    found.scale = scaled.coefficient;
    if (succeeded(rounded)) {
      found.scores = *rounded;
      found.scoreType = getElementTypeOrSelf(
          factor.getDefiningOp<DequantizeOp>().getInput().getType());
    }
    return matmul;
  };
  Value scores = softmax.getInput();
  MatmulOp product = getMultiple(scores);
  if (auto add = scores.getDefiningOp<AddOp>(); add && !product)
    for (auto [one, other] : {std::pair(add.getLhs(), add.getRhs()),
                              std::pair(add.getRhs(), add.getLhs())})
      if (!product && (product = getMultiple(one))) {
        scores = one;
        found.mask = other;
      }
  if (!product)
    return obstacle.refuse("scores are more than a multiple of a product of "
                           "query and key, quantized once, and a mask");
  if (found.mask && !broadcastsTo(found.mask, typeOf(scores)))
    return obstacle.refuse("the mask does not broadcast to the scores");
  if (product.getTransposeLhs())
    return obstacle.refuse("the query is read transposed");

  FailureOr<Quantized> query = matchDequantize(product.getLhs()),
                       key = matchDequantize(product.getRhs()),
                       value = matchDequantize(op.getRhs());
  if (failed(query) || failed(key) || failed(value) ||
      !isOfBytes(product.getLhs()) || !isOfBytes(product.getRhs()) ||
      !isOfBytes(op.getRhs()))
    return obstacle.refuse("the query, the key or the values are not of 8 bits "
                           "with one scale and zero point that constants say");
  found.query = *query;
  found.key = *key;
  found.value = *value;
  found.isKeyTransposed = product.getTransposeRhs();
  if (!found.isKeyTransposed && !key->integers.getDefiningOp<TransposeOp>())
    return obstacle.refuse("the key is not transposed");
  RankedTensorType types[] = {typeOf(query->integers), typeOf(key->integers),
                              typeOf(value->integers)};
  for (RankedTensorType type : types)
    if (type.getRank() != 4 ||
        (type.getDimSize(0) == 1) != (types[0].getDimSize(0) == 1))
      return obstacle.refuse("the query, the key or the values are repeated "
                             "for all heads or the whole batch");
  for (RankedTensorType type : {types[0], types[2]})
    if (type.isDynamicDim(3) || type.getDimSize(3) > AttentionOp::largestHead)
      return obstacle.refuse("there are no kernels for heads of its size");
  return found;
}

/// Writes what attention reads, each op with an id of its own.
class OperandBuilder {
public:
  OperandBuilder(MatmulOp op, PatternRewriter &rewriter)
      : op(op), rewriter(rewriter) {}

  /// Lets what quantizes to integers of the other sign quantize to those that
  /// are wanted, with a zero point that is 128 off. Fails where others read
  /// what it gives, or something else than moves stands between.
  LogicalResult requantize(Quantized &bytes, bool isSigned);
  /// The same of any integers.
  void flipSigns(Quantized &bytes, bool isSigned, StringRef role);
  Value parameters(const Written &written);

private:
  void setId(Operation *made, const Twine &role) {
    if (auto id = op->getAttrOfType<StringAttr>("tenon.id"))
      made->setAttr("tenon.id",
                    rewriter.getStringAttr(id.getValue() + "/" + role));
  }
  Type byteType(bool isSigned) {
    return isSigned ? Type(rewriter.getI8Type())
                    : rewriter.getIntegerType(8, /*isSigned=*/false);
  }
  Value byte(int64_t number, Type element) {
    auto type = RankedTensorType::get({}, element);
    return ConstantOp::create(
        rewriter, op.getLoc(), type,
        DenseElementsAttr::get(type, APInt(8, number, /*isSigned=*/true,
                                           /*implicitTrunc=*/true)));
  }
  Value quantizeAs(Value value, Type element, int64_t zeroPoint);

  MatmulOp op;
  PatternRewriter &rewriter;
};

/// Null where it fails.
Value OperandBuilder::quantizeAs(Value value, Type element, int64_t zeroPoint) {
  if (!value.hasOneUse() || !value.getDefiningOp())
    return nullptr;
  OpBuilder::InsertionGuard guard(rewriter);
  rewriter.setInsertionPoint(value.getDefiningOp());
  RankedTensorType type = typeOf(value).clone(element);
  if (auto quantize = value.getDefiningOp<QuantizeOp>()) {
    auto made = QuantizeOp::create(rewriter, quantize.getLoc(), type,
                                   quantize.getInput(), quantize.getScale(),
                                   byte(zeroPoint, element));
    made->setDiscardableAttrs(quantize->getDiscardableAttrDictionary());
    return made;
  }
  if (!isa<ReshapeOp, TransposeOp>(value.getDefiningOp()))
    return nullptr;
  Operation *move = value.getDefiningOp();
  Value input = quantizeAs(move->getOperand(0), element, zeroPoint);
  if (!input)
    return nullptr;
  Operation *moved = rewriter.clone(*move);
  moved->setOperand(0, input);
  moved->getResult(0).setType(type);
  return moved->getResult(0);
}

LogicalResult OperandBuilder::requantize(Quantized &bytes, bool isSigned) {
  Type element = byteType(isSigned);
  if (typeOf(bytes.integers).getElementType() == element)
    return success();
  double zeroPoint = bytes.zeroPoint + (isSigned ? -128 : 128);
  Value moved = quantizeAs(bytes.integers, element, zeroPoint);
  if (!moved)
    return failure();
  bytes = {moved, zeroPoint, bytes.scale};
  return success();
}

void OperandBuilder::flipSigns(Quantized &bytes, bool isSigned,
                               StringRef role) {
  Type element = byteType(isSigned);
  RankedTensorType type = typeOf(bytes.integers);
  bytes.zeroPoint += isSigned ? -128 : 128;
  auto bits = BitcastOp::create(rewriter, op.getLoc(), type.clone(element),
                                bytes.integers);
  setId(bits, role + "/bits");
  auto flipped = XorOp::create(rewriter, op.getLoc(), type.clone(element), bits,
                               byte(128, element));
  setId(flipped, role + "/xor");
  bytes.integers = flipped;
}

Value OperandBuilder::parameters(const Written &written) {
  SmallVector<float> numbers = {float(written.query.zeroPoint),
                                float(written.key.zeroPoint),
                                float(written.value.zeroPoint),
                                float(written.query.scale * written.key.scale),
                                float(written.value.scale)};
  if (written.scores) {
    auto type = cast<IntegerType>(written.scoreType);
    unsigned width = type.getWidth();
    bool isUnsigned = type.isUnsigned();
    double least =
        isUnsigned ? 0 : double(APInt::getSignedMinValue(width).getSExtValue());
    double largest =
        isUnsigned ? double(APInt::getMaxValue(width).getZExtValue())
                   : double(APInt::getSignedMaxValue(width).getSExtValue());
    numbers.append({float(written.scores->scale),
                    float(least - written.scores->zeroPoint),
                    float(largest - written.scores->zeroPoint)});
  }
  auto type =
      RankedTensorType::get(int64_t(numbers.size()), rewriter.getF32Type());
  return ConstantOp::create(
      rewriter, op.getLoc(), type,
      DenseElementsAttr::get(type, ArrayRef<float>(numbers)));
}

struct RecognizeQuantizedAttention : OpRewritePattern<MatmulOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(MatmulOp op,
                                PatternRewriter &rewriter) const override {
    Obstacle obstacle;
    FailureOr<Written> found = matchAttention(op, obstacle);
    if (failed(found))
      return rewriter.notifyMatchFailure(op, "is no attention of bytes: " +
                                                 obstacle.reason());
    OperandBuilder builder(op, rewriter);
    if (failed(builder.requantize(found->query, /*isSigned=*/false)))
      builder.flipSigns(found->query, /*isSigned=*/false, "query");
    LogicalResult isSigned = builder.requantize(found->key, /*isSigned=*/true);
    found->key.integers =
        getKey(found->key.integers, found->isKeyTransposed, rewriter);
    if (failed(isSigned))
      builder.flipSigns(found->key, /*isSigned=*/true, "key");
    if (failed(builder.requantize(found->value, /*isSigned=*/true)))
      builder.flipSigns(found->value, /*isSigned=*/true, "value");
    auto attention = AttentionOp::create(
        rewriter, op.getLoc(), op.getType(), found->query.integers,
        found->key.integers, found->value.integers,
        found->mask ? getBooleanMask(found->mask) : Value(),
        /*starts=*/nullptr, /*slots=*/nullptr, /*length=*/nullptr,
        builder.parameters(*found), rewriter.getF32FloatAttr(found->scale),
        /*causal=*/nullptr, /*relative=*/nullptr,
        // What becomes of NaN where all is masked: the smallest weight.
        /*zero_if_masked=*/rewriter.getUnitAttr(),
        /*round_weights=*/nullptr, /*window=*/nullptr, /*softcap=*/nullptr);
    if (Attribute id = op->getAttr("tenon.id"))
      attention->setAttr("tenon.id", id);
    reportRecognized(attention, "attention of bytes");
    rewriter.replaceOp(op, attention);
    return success();
  }
};

/// Products of a quantized softmax that are left, and why.
void reportLeft(Operation *root) {
  root->walk([](MatmulOp op) {
    Obstacle obstacle;
    if (failed(matchAttention(op, obstacle)) && !obstacle.reason().empty())
      reportNotRecognized(op, "attention of bytes", obstacle);
  });
}

struct RecognizeQuantizedAttentionPass
    : impl::RecognizeQuantizedAttentionPassBase<
          RecognizeQuantizedAttentionPass> {
  void runOnOperation() override {
    RewritePatternSet patterns(&getContext());
    patterns.add<RecognizeQuantizedAttention>(&getContext());
    if (failed(applyPatternsGreedily(getOperation(), std::move(patterns))))
      return signalPassFailure();
    if (hasRemarks(getOperation()))
      reportLeft(getOperation());
  }
};

} // namespace
} // namespace tenon::graph
