// Recognises products of integers of 8 bits. See Passes.td.
#include "Matching.h"
#include "mlir/IR/PatternMatch.h"
#include "mlir/IR/TypeUtilities.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"
#include "tenon/Dialect/Graph/Transforms/Passes.h"

using namespace mlir;

namespace tenon::graph {
#define GEN_PASS_DEF_RECOGNIZEINTEGERPRODUCTSPASS
#include "tenon/Dialect/Graph/Transforms/Passes.h.inc"

namespace {

RankedTensorType typeOf(Value value) {
  return cast<RankedTensorType>(value.getType());
}

/// The integer that all elements of a zero point are.
std::optional<int64_t> getInteger(Value value) {
  while (auto cast = value.getDefiningOp<CastOp>())
    value = cast.getInput();
  std::optional<double> scalar = getScalar(value);
  return scalar ? std::optional(int64_t(*scalar)) : std::nullopt;
}

/// An operand that stands for (bytes - zeroPoint) · scale.
struct Factor {
  Value bytes;
  Value zeroPoint; ///< of bytes or i32; null for 0
  Value scale;     ///< of f32; null in a product of i32
};

bool isNarrow(Value value) {
  return getElementTypeOrSelf(value.getType()).isInteger(8);
}

/// Nothing is refused where the operand resembles no integers of 8 bits.
FailureOr<Factor> matchFactor(Value operand, Obstacle &obstacle) {
  Factor factor;
  Value wide = operand;
  if (auto dequantize = operand.getDefiningOp<DequantizeOp>()) {
    if (!isNarrow(dequantize.getInput()))
      return obstacle.refuse("an operand has more than 8 bits");
    factor = {dequantize.getInput(), dequantize.getZeroPoint(),
              dequantize.getScale()};
  } else {
    if (!getElementTypeOrSelf(operand.getType()).isSignlessInteger(32))
      return failure();
    if (auto sub = operand.getDefiningOp<SubOp>()) {
      wide = sub.getLhs();
      factor.zeroPoint = sub.getRhs();
    }
    auto cast = wide.getDefiningOp<CastOp>();
    if (!cast || !isNarrow(cast.getInput()) ||
        typeOf(wide).getShape() != typeOf(operand).getShape())
      return failure();
    factor.bytes = cast.getInput();
  }
  if (factor.zeroPoint && getInteger(factor.zeroPoint) == 0)
    factor.zeroPoint = nullptr;
  return factor;
}

/// The factors of a product. Fails where either is no such.
FailureOr<std::pair<Factor, Factor>> matchProduct(MatmulOp op,
                                                  Obstacle &obstacle) {
  FailureOr<Factor> lhs = matchFactor(op.getLhs(), obstacle);
  FailureOr<Factor> rhs = matchFactor(op.getRhs(), obstacle);
  if (failed(lhs) && failed(rhs))
    return failure();
  if (failed(lhs) && obstacle.reason().empty())
    return obstacle.refuse("the left operand is not quantized");
  if (failed(rhs) && obstacle.reason().empty())
    return obstacle.refuse("the right operand is not quantized");
  if (failed(lhs) || failed(rhs))
    return failure();
  return std::pair(*lhs, *rhs);
}

/// Writes ops for one product, each with an id of its own.
class ProductBuilder {
public:
  ProductBuilder(MatmulOp op, PatternRewriter &rewriter)
      : op(op), rewriter(rewriter), transposeLhs(op.getTransposeLhs()),
        transposeRhs(op.getTransposeRhs()) {}

  /// Fails, before anything is changed, where a parameter varies along the
  /// contracted dimension.
  LogicalResult check(const Factor &factor, bool isLhs, Obstacle &obstacle) {
    for (Value parameter : {factor.zeroPoint, factor.scale})
      if (parameter && !canAlign(typeOf(parameter), isLhs))
        return obstacle.refuse("a scale or zero point varies along the "
                               "contracted dimension");
    return success();
  }

  /// A product in i32 or f32 in place of the op.
  Value build(Factor lhs, Factor rhs);
  /// matmul(x, dequantize w)  ->  mul (matmul x, w), scale
  Value buildWithBytes(Factor rhs);

private:
  template <typename OpTy, typename... Args>
  Value make(StringRef role, RankedTensorType type, Args &&...args) {
    auto made =
        OpTy::create(rewriter, op.getLoc(), type, std::forward<Args>(args)...);
    if (auto id = op->template getAttrOfType<StringAttr>("tenon.id"))
      made->setAttr("tenon.id",
                    rewriter.getStringAttr(id.getValue() + "/" + role));
    return made.getResult();
  }
  template <typename OpTy> Value binary(StringRef role, Value lhs, Value rhs) {
    FailureOr<SmallVector<int64_t>> sizes =
        broadcastSizes(typeOf(lhs).getShape(), typeOf(rhs).getShape());
    assert(succeeded(sizes) && "parameters broadcast to their operand");
    return make<OpTy>(role, typeOf(lhs).clone(*sizes), lhs, rhs);
  }
  Value cast(StringRef role, Value value, Type element) {
    RankedTensorType type = typeOf(value);
    return type.getElementType() == element
               ? value
               : make<CastOp>(role, type.clone(element), value);
  }
  Value scalar(int64_t number, Type element) {
    auto type = RankedTensorType::get({}, element);
    return ConstantOp::create(
        rewriter, op.getLoc(), type,
        DenseElementsAttr::get(type, APInt(element.getIntOrFloatBitWidth(),
                                           number, /*isSigned=*/true,
                                           /*implicitTrunc=*/true)));
  }

  bool isTransposed(bool isLhs) { return isLhs ? transposeLhs : transposeRhs; }
  /// Where the contracted dimension is, counted from the last, which is 1.
  int64_t contracted(bool isLhs) {
    return isLhs == isTransposed(isLhs) ? 2 : 1;
  }

  bool canAlign(RankedTensorType type, bool isLhs);
  Value align(StringRef role, Value parameter, bool isLhs);
  void keepRows(Factor &rhs);
  void makeSigned(Factor &factor, bool isSigned, StringRef role);
  Value sum(StringRef role, Value bytes, Value zeroPoint, bool isLhs);

  MatmulOp op;
  PatternRewriter &rewriter;
  bool transposeLhs, transposeRhs; ///< of the product that is built
};

/// matmul(a, transpose b)  ->  matmul transpose_rhs (a, transpose' b)
/// where the last dimension of b would be the contracted one: it stays the
/// last, so that rows are moved and not elements.
void ProductBuilder::keepRows(Factor &rhs) {
  auto transpose = rhs.bytes.getDefiningOp<TransposeOp>();
  if (!transpose || transposeRhs)
    return;
  for (Value parameter : {rhs.zeroPoint, rhs.scale})
    if (parameter && typeOf(parameter).getRank() != 0)
      return;
  SmallVector<int64_t> permutation(transpose.getPermutation()),
      sizes(typeOf(rhs.bytes).getShape());
  size_t rank = sizes.size();
  if (permutation[rank - 2] != int64_t(rank) - 1)
    return;
  std::swap(permutation[rank - 1], permutation[rank - 2]);
  std::swap(sizes[rank - 1], sizes[rank - 2]);
  transposeRhs = true;
  rhs.bytes = make<TransposeOp>("rhs/rows", typeOf(rhs.bytes).clone(sizes),
                                transpose.getInput(), permutation);
}

bool ProductBuilder::canAlign(RankedTensorType type, bool isLhs) {
  if (type.hasStaticShape() && type.getNumElements() == 1)
    return true;
  int64_t along = contracted(isLhs);
  if (type.getRank() >= along && type.getDimSize(type.getRank() - along) != 1)
    return false;
  return !isTransposed(isLhs) || type.hasStaticShape();
}

/// A parameter of an operand in a shape that broadcasts to the product.
Value ProductBuilder::align(StringRef role, Value parameter, bool isLhs) {
  RankedTensorType type = typeOf(parameter);
  SmallVector<int64_t> sizes(type.getShape());
  if (type.hasStaticShape() && type.getNumElements() == 1) {
    sizes.clear();
  } else if (isTransposed(isLhs)) {
    if (sizes.size() < 2)
      sizes.insert(sizes.begin(), 1);
    std::swap(sizes[sizes.size() - 1], sizes[sizes.size() - 2]);
  }
  if (sizes == type.getShape())
    return parameter;
  return make<ReshapeOp>(role, type.clone(sizes), parameter, ValueRange(),
                         sizes, /*allow_zero=*/true);
}

/// Makes the bytes signed or unsigned, and the zero point of i32:
/// x - z  ->  (x xor 128) - (z ± 128)
void ProductBuilder::makeSigned(Factor &factor, bool isSigned, StringRef role) {
  auto named = [&](StringRef what) { return (role + "/" + what).str(); };
  Type word = rewriter.getI32Type();
  Type element = isSigned ? rewriter.getI8Type()
                          : rewriter.getIntegerType(8, /*isSigned=*/false);
  RankedTensorType type = typeOf(factor.bytes);
  if (type.getElementType() == element) {
    if (factor.zeroPoint)
      factor.zeroPoint = cast(named("zero_point"), factor.zeroPoint, word);
    return;
  }
  factor.bytes =
      make<BitcastOp>(named("bits"), type.clone(element), factor.bytes);
  factor.bytes = make<XorOp>(named("xor"), type.clone(element), factor.bytes,
                             scalar(128, element));
  int64_t offset = isSigned ? -128 : 128;
  std::optional<int64_t> known =
      factor.zeroPoint ? getInteger(factor.zeroPoint) : 0;
  if (known)
    factor.zeroPoint =
        *known + offset == 0 ? Value() : scalar(*known + offset, word);
  else
    factor.zeroPoint =
        binary<AddOp>(named("zero_point"),
                      cast(named("wide_zero_point"), factor.zeroPoint, word),
                      scalar(offset, word));
}

/// Σ (bytes - zeroPoint) over the contracted dimension, as a column for the
/// rows of the product or a row for its columns.
Value ProductBuilder::sum(StringRef role, Value bytes, Value zeroPoint,
                          bool isLhs) {
  auto named = [&](StringRef what) { return (role + "/" + what).str(); };
  Value wide = cast(named("wide"), bytes, rewriter.getI32Type());
  if (zeroPoint)
    wide = binary<SubOp>(named("difference"), wide, zeroPoint);
  int64_t axis = typeOf(wide).getRank() - contracted(isLhs);
  SmallVector<int64_t> sizes(typeOf(wide).getShape());
  sizes[axis] = 1;
  Value result =
      make<ReduceOp>(named("sum"), typeOf(wide).clone(sizes),
                     ReductionKind::Sum, wide, ArrayRef<int64_t>{axis});
  if (!isTransposed(isLhs))
    return result;
  auto permutation =
      llvm::to_vector(llvm::seq<int64_t>(0, int64_t(sizes.size())));
  std::swap(permutation[sizes.size() - 1], permutation[sizes.size() - 2]);
  std::swap(sizes[sizes.size() - 1], sizes[sizes.size() - 2]);
  return make<TransposeOp>(named("transpose"), typeOf(wide).clone(sizes),
                           result, permutation);
}

/// Whether a value is there before the model runs.
bool isKnown(Value value) {
  while (auto reshape = value.getDefiningOp<ReshapeOp>())
    value = reshape.getInput();
  return isa_and_present<ConstantOp, WeightOp>(value.getDefiningOp());
}

Value ProductBuilder::build(Factor lhs, Factor rhs) {
  keepRows(rhs);
  makeSigned(lhs, /*isSigned=*/false, "lhs");
  makeSigned(rhs, /*isSigned=*/true, "rhs");
  RankedTensorType type =
      typeOf(op.getOutput()).clone(Type(rewriter.getI32Type()));
  Value result = make<MatmulOp>("product", type, lhs.bytes, rhs.bytes,
                                transposeLhs, transposeRhs);
  // Σ (a - za)(b - zb) = Σ ab - za · Σ (b - zb) - zb · Σ a
  if (lhs.zeroPoint) {
    Value sums = sum("columns", rhs.bytes, rhs.zeroPoint, /*isLhs=*/false);
    Value offset = align("lhs/aligned", lhs.zeroPoint, /*isLhs=*/true);
    result = binary<SubOp>("without_columns", result,
                           binary<MulOp>("columns", sums, offset));
  }
  if (rhs.zeroPoint) {
    Value sums = sum("rows", lhs.bytes, Value(), /*isLhs=*/true);
    Value offset = align("rhs/aligned", rhs.zeroPoint, /*isLhs=*/false);
    result = binary<SubOp>("without_rows", result,
                           binary<MulOp>("rows", sums, offset));
  }
  if (!lhs.scale)
    return result;
  result = cast("float", result, rewriter.getF32Type());
  Value left = align("lhs/scale", lhs.scale, /*isLhs=*/true),
        right = align("rhs/scale", rhs.scale, /*isLhs=*/false);
  // One factor where it is known when compiling, none of a kernel of its own.
  if (isKnown(left) && isKnown(right))
    return binary<MulOp>("scaled", result, binary<MulOp>("scale", right, left));
  return binary<MulOp>("scaled", binary<MulOp>("half_scaled", result, right),
                       left);
}

Value ProductBuilder::buildWithBytes(Factor rhs) {
  Value result = make<MatmulOp>("product", typeOf(op.getOutput()), op.getLhs(),
                                rhs.bytes, transposeLhs, transposeRhs);
  return binary<MulOp>("scaled", result,
                       align("scale", rhs.scale, /*isLhs=*/false));
}

/// The result takes over the id of the product.
void replace(MatmulOp op, Value result, PatternRewriter &rewriter) {
  if (Attribute id = op->getAttr("tenon.id"))
    result.getDefiningOp()->setAttr("tenon.id", id);
  rewriter.replaceOp(op, result);
}

LogicalResult matchIntegers(MatmulOp op, ProductBuilder &builder,
                            std::pair<Factor, Factor> &factors,
                            Obstacle &obstacle) {
  FailureOr<std::pair<Factor, Factor>> found = matchProduct(op, obstacle);
  if (failed(found))
    return failure();
  factors = *found;
  return failure(
      failed(builder.check(factors.first, /*isLhs=*/true, obstacle)) ||
      failed(builder.check(factors.second, /*isLhs=*/false, obstacle)));
}

/// matmul(a - za, b - zb)  ->  matmul(a, b) less what the zero points make of
/// it
struct RecognizeIntegers : OpRewritePattern<MatmulOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(MatmulOp op,
                                PatternRewriter &rewriter) const override {
    Obstacle obstacle;
    ProductBuilder builder(op, rewriter);
    std::pair<Factor, Factor> factors;
    if (failed(matchIntegers(op, builder, factors, obstacle)))
      return rewriter.notifyMatchFailure(op, "is no product of integers: " +
                                                 obstacle.reason());
    reportRecognized(op, "product of integers");
    replace(op, builder.build(factors.first, factors.second), rewriter);
    return success();
  }
};

/// matmul(x, dequantize w)  ->  mul (matmul x, w), scale
/// of a weight that nothing else reads and that has no zero point, so that its
/// bytes lie in panels and are converted in registers.
struct ReadBytes : OpRewritePattern<MatmulOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(MatmulOp op,
                                PatternRewriter &rewriter) const override {
    Obstacle obstacle;
    FailureOr<Factor> factor = matchFactor(op.getRhs(), obstacle);
    if (failed(factor) || !factor->scale || factor->zeroPoint)
      return rewriter.notifyMatchFailure(op, "rhs has no bytes to read");
    auto weight = factor->bytes.getDefiningOp<WeightOp>();
    RankedTensorType type = typeOf(factor->bytes);
    if (!weight || type.getRank() != 2 ||
        !type.getElementType().isSignlessInteger(8) ||
        !op.getRhs().hasOneUse() || !weight.getOutput().hasOneUse())
      return rewriter.notifyMatchFailure(op, "rhs is no weight of its own");
    ProductBuilder builder(op, rewriter);
    if (failed(builder.check(*factor, /*isLhs=*/false, obstacle)))
      return rewriter.notifyMatchFailure(op, obstacle.reason());
    replace(op, builder.buildWithBytes(*factor), rewriter);
    return success();
  }
};

/// Products of which an operand is quantized that are left, and why.
void reportLeft(Operation *root) {
  root->walk([](MatmulOp op) {
    Obstacle obstacle;
    PatternRewriter rewriter(op.getContext());
    ProductBuilder builder(op, rewriter);
    std::pair<Factor, Factor> factors;
    if (failed(matchIntegers(op, builder, factors, obstacle)) &&
        !obstacle.reason().empty())
      reportNotRecognized(op, "product of integers", obstacle);
  });
}

struct RecognizeIntegerProductsPass
    : impl::RecognizeIntegerProductsPassBase<RecognizeIntegerProductsPass> {
  void runOnOperation() override {
    RewritePatternSet patterns(&getContext());
    patterns.add<RecognizeIntegers>(&getContext(), /*benefit=*/2);
    patterns.add<ReadBytes>(&getContext());
    if (failed(applyPatternsGreedily(getOperation(), std::move(patterns))))
      return signalPassFailure();
    if (hasRemarks(getOperation()))
      reportLeft(getOperation());
  }
};

} // namespace
} // namespace tenon::graph
