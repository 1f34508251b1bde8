// Expands math ops on f32, scalars and vectors, into polynomials.
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Math/Transforms/Passes.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"
#include "mlir/IR/PatternMatch.h"
#include "mlir/IR/TypeUtilities.h"
#include "tenon/Target/CPU/Emit.h"

using namespace mlir;

namespace {

/// Arithmetic on values of one type, f32 or a vector of it.
class Arithmetic {
public:
  Arithmetic(OpBuilder &builder, Location loc, Type type)
      : b(loc, builder), type(type) {
    Type i32 = b.getI32Type();
    auto vector = dyn_cast<VectorType>(type);
    intType = vector ? Type(vector.clone(i32)) : i32;
  }

  Value constant(float value) { return splat(type, b.getF32FloatAttr(value)); }
  Value integer(int32_t value) {
    return splat(intType, b.getI32IntegerAttr(value));
  }
  Value add(Value x, Value y) { return arith::AddFOp::create(b, x, y); }
  Value sub(Value x, Value y) { return arith::SubFOp::create(b, x, y); }
  Value mul(Value x, Value y) { return arith::MulFOp::create(b, x, y); }
  Value div(Value x, Value y) { return arith::DivFOp::create(b, x, y); }
  Value fma(Value x, Value y, Value z) {
    return math::FmaOp::create(b, x, y, z);
  }
  Value less(Value x, Value y) {
    return arith::CmpFOp::create(b, arith::CmpFPredicate::OLT, x, y);
  }
  Value select(Value c, Value x, Value y) {
    return arith::SelectOp::create(b, c, x, y);
  }
  Value abs(Value x) { return math::AbsFOp::create(b, x); }
  Value copySign(Value x, Value sign) {
    return math::CopySignOp::create(b, x, sign);
  }
  /// A NaN stays one.
  Value clamp(Value x, float low, float high) {
    x = select(less(x, constant(low)), constant(low), x);
    return select(less(constant(high), x), constant(high), x);
  }
  /// Coefficients from the highest power down.
  Value polynomial(Value x, ArrayRef<float> coefficients) {
    Value result = constant(coefficients[0]);
    for (float c : coefficients.drop_front())
      result = fma(result, x, constant(c));
    return result;
  }

  /// y · 2^n where `magic` is n + 1.5·2^23. In two steps, as 2^n itself may be
  /// too large or too small to be a number.
  Value scale(Value y, Value magic) {
    Value n = arith::SubIOp::create(
        b, arith::BitcastOp::create(b, intType, magic), integer(0x4b400000));
    Value half = arith::ShRSIOp::create(b, n, integer(1));
    Value rest = arith::SubIOp::create(b, n, half);
    return mul(mul(y, power(half)), power(rest));
  }

  Value exp(Value x) {
    x = clamp(x, -104.0f, 89.0f);
    Value magic = fma(x, constant(1.44269504f), constant(12582912.0f));
    Value n = sub(magic, constant(12582912.0f));
    Value r = fma(n, constant(-0.693359375f), x);
    r = fma(n, constant(2.12194440e-4f), r);
    return scale(expNearZero(r), magic);
  }

  Value exp2(Value x) {
    x = clamp(x, -151.0f, 129.0f);
    Value magic = add(x, constant(12582912.0f));
    Value r = sub(x, sub(magic, constant(12582912.0f)));
    return scale(expNearZero(mul(r, constant(0.693147181f))), magic);
  }

  Value erf(Value x) {
    Value t = abs(x), s = mul(x, x);
    Value r = fma(constant(-1.72853470e-5f), t, constant(3.83197126e-4f));
    Value u = fma(constant(-3.88396438e-3f), t, constant(2.42546219e-2f));
    r = fma(r, s, u);
    for (float c : {-1.06777877e-1f, -6.34846687e-1f, -1.28717512e-1f})
      r = fma(r, t, constant(c));
    r = fma(r, t, sub(constant(0.0f), t));
    // Beyond 4 the result is 1; the polynomial does not hold for ever.
    r = select(less(constant(4.0f), t), constant(-104.0f), r);
    Value large = copySign(sub(constant(1.0f), exp(r)), x);
    Value p = polynomial(s, {-5.96761703e-4f, 4.99119423e-3f, -2.67681349e-2f,
                             1.12819925e-1f, -3.76125336e-1f, 1.28379166e-1f});
    return select(less(constant(0.927734375f), t), large, fma(p, x, x));
  }

  Value tanh(Value x) {
    Value t = abs(x), s = mul(x, x);
    Value e = exp(add(t, t));
    Value large =
        sub(constant(1.0f), div(constant(2.0f), add(e, constant(1.0f))));
    Value p = polynomial(s, {-5.70498872745e-3f, 2.06390887954e-2f,
                             -5.37397155531e-2f, 1.33314422036e-1f,
                             -3.33332819422e-1f});
    return select(less(t, constant(0.625f)), fma(mul(p, s), x, x),
                  copySign(large, x));
  }

private:
  Value splat(Type type, TypedAttr value) {
    if (auto vector = dyn_cast<VectorType>(type))
      value = DenseElementsAttr::get(vector, Attribute(value));
    return arith::ConstantOp::create(b, value);
  }
  Value power(Value n) {
    Value bits = arith::ShLIOp::create(
        b, arith::AddIOp::create(b, n, integer(127)), integer(23));
    return arith::BitcastOp::create(b, type, bits);
  }
  Value expNearZero(Value r) {
    Value p =
        polynomial(r, {1.9875691500e-4f, 1.3981999507e-3f, 8.3334519073e-3f,
                       4.1665795894e-2f, 1.6666665459e-1f, 5.0000001201e-1f});
    return add(fma(mul(r, r), p, r), constant(1.0f));
  }

  ImplicitLocOpBuilder b;
  Type type, intType;
};

template <typename Op, Value (Arithmetic::*expand)(Value)>
struct Expand : OpRewritePattern<Op> {
  Expand(MLIRContext *context)
      : OpRewritePattern<Op>(context, /*benefit=*/10) {}
  LogicalResult matchAndRewrite(Op op,
                                PatternRewriter &rewriter) const override {
    if (!getElementTypeOrSelf(op.getType()).isF32())
      return rewriter.notifyMatchFailure(op, "is not on f32");
    Arithmetic arithmetic(rewriter, op.getLoc(), op.getType());
    rewriter.replaceOp(op, (arithmetic.*expand)(op.getOperand()));
    return success();
  }
};

} // namespace

void tenon::populateVectorMathPatterns(RewritePatternSet &patterns) {
  patterns.add<Expand<math::ExpOp, &Arithmetic::exp>,
               Expand<math::Exp2Op, &Arithmetic::exp2>,
               Expand<math::ErfOp, &Arithmetic::erf>,
               Expand<math::TanhOp, &Arithmetic::tanh>>(patterns.getContext());
  math::populateExpansionPatterns(patterns, {"powf", "rsqrt"});
  populateMathPolynomialApproximationPatterns(patterns, [](StringRef name) {
    return name == "math.log" || name == "math.sin" || name == "math.cos";
  });
}
