// Expands math ops, on scalars and vectors of f32 and some on f64, into
// polynomials.
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Math/Transforms/Passes.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"
#include "mlir/IR/Matchers.h"
#include "mlir/IR/PatternMatch.h"
#include "mlir/IR/TypeUtilities.h"
#include "tenon/Target/CPU/Emit.h"
#include <limits>

using namespace mlir;

namespace {

/// Arithmetic on values of one type, a float or a vector of it.
class Arithmetic {
public:
  Arithmetic(OpBuilder &builder, Location loc, Type type)
      : b(loc, builder), type(type) {
    intElement =
        b.getIntegerType(getElementTypeOrSelf(type).getIntOrFloatBitWidth());
    auto vector = dyn_cast<VectorType>(type);
    intType = vector ? Type(vector.clone(intElement)) : intElement;
  }

protected:
  Value constant(double value) {
    return splat(type, b.getFloatAttr(getElementTypeOrSelf(type), value));
  }
  Value integer(int64_t value) {
    return splat(intType, b.getIntegerAttr(intElement, value));
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
  Value equal(Value x, Value y) {
    return arith::CmpFOp::create(b, arith::CmpFPredicate::OEQ, x, y);
  }
  Value select(Value c, Value x, Value y) {
    return arith::SelectOp::create(b, c, x, y);
  }
  Value abs(Value x) { return math::AbsFOp::create(b, x); }
  Value copySign(Value x, Value sign) {
    return math::CopySignOp::create(b, x, sign);
  }
  Value asInteger(Value x) { return arith::BitcastOp::create(b, intType, x); }
  Value asFloat(Value bits) { return arith::BitcastOp::create(b, type, bits); }
  Value addInt(Value x, Value y) { return arith::AddIOp::create(b, x, y); }
  Value subInt(Value x, Value y) { return arith::SubIOp::create(b, x, y); }
  Value shiftLeft(Value x, int64_t bits) {
    return arith::ShLIOp::create(b, x, integer(bits));
  }
  Value shiftRight(Value x, int64_t bits) {
    return arith::ShRSIOp::create(b, x, integer(bits));
  }
  /// A NaN stays one.
  Value clamp(Value x, double low, double high) {
    x = select(less(x, constant(low)), constant(low), x);
    return select(less(constant(high), x), constant(high), x);
  }
  /// Coefficients from the highest power down.
  Value polynomial(Value x, ArrayRef<double> coefficients) {
    Value result = constant(coefficients[0]);
    for (double c : coefficients.drop_front())
      result = fma(result, x, constant(c));
    return result;
  }
  /// y · 2^n. In two steps, as 2^n itself may be too large or too small to be a
  /// number. A float has `mantissa` bits behind the point and 2^0 the exponent
  /// `bias`.
  Value scale(Value y, Value n, int64_t mantissa, int64_t bias) {
    auto power = [&](Value exponent) {
      return asFloat(shiftLeft(addInt(exponent, integer(bias)), mantissa));
    };
    Value half = shiftRight(n, 1);
    return mul(mul(y, power(half)), power(subInt(n, half)));
  }
  /// Of what has no logarithm, or none that is a number, that is the result.
  Value finishLog(Value x, Value result) {
    constexpr double infinity = std::numeric_limits<double>::infinity();
    result = select(less(x, constant(infinity)), result, x);
    result = select(equal(x, constant(0)), constant(-infinity), result);
    return select(less(x, constant(0)),
                  constant(std::numeric_limits<double>::quiet_NaN()), result);
  }

  ImplicitLocOpBuilder b;
  Type type, intElement, intType;

private:
  Value splat(Type type, TypedAttr value) {
    if (auto vector = dyn_cast<VectorType>(type))
      value = DenseElementsAttr::get(vector, Attribute(value));
    return arith::ConstantOp::create(b, value);
  }
};

/// On f32.
class SingleMath : public Arithmetic {
public:
  using Arithmetic::Arithmetic;
  static bool takes(Type type) { return getElementTypeOrSelf(type).isF32(); }

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

  /// 1 + tanh(x) = 2 / (1 + exp(-2x)): without the branch near 0, where its
  /// relative error would be that of tanh.
  Value onePlusTanh(Value x) {
    Value e = exp(mul(x, constant(-2.0f)));
    return div(constant(2.0f), add(e, constant(1.0f)));
  }

  Value log(Value x) {
    // A denormal number is brought up to the normal ones first.
    Value small = less(x, constant(0x1p-126f));
    Value bits = asInteger(select(small, mul(x, constant(0x1p23f)), x));
    // x = 2^n · m with m between √½ and √2.
    Value n = shiftRight(subInt(bits, integer(0x3f3504f3)), 23);
    Value m = asFloat(subInt(bits, shiftLeft(n, 23)));
    Value power = add(arith::SIToFPOp::create(b, type, n),
                      select(small, constant(-23.0f), constant(0.0f)));
    Value r = sub(m, constant(1.0f)), s = mul(r, r);
    Value p =
        polynomial(r, {7.0376836292e-2f, -1.1514610310e-1f, 1.1676998740e-1f,
                       -1.2420140846e-1f, 1.4249322787e-1f, -1.6668057665e-1f,
                       2.0000714765e-1f, -2.4999993993e-1f, 3.3333331174e-1f});
    Value y = mul(mul(r, s), p);
    y = fma(power, constant(-2.12194440e-4f), y);
    y = fma(s, constant(-0.5f), y);
    return finishLog(x, fma(power, constant(0.693359375f), add(r, y)));
  }

  Value sin(Value x) { return sine(x, 0); }
  Value cos(Value x) { return sine(x, 1); }

private:
  /// sin(x + quarters · π/2). The multiple of π/2 nearest to x is taken off in
  /// three parts (Cody and Waite), each product exact in its multiply-add.
  Value sine(Value x, int32_t quarters) {
    Value magic = fma(x, constant(0.636619772f), constant(12582912.0f));
    Value n = sub(magic, constant(12582912.0f));
    Value r = fma(n, constant(-0x1.921fb4p+0f), x);
    r = fma(n, constant(-0x1.4442d0p-24f), r);
    r = fma(n, constant(-0x1.846988p-48f), r);
    // Beyond 4e6 n is wrong, and so is r; keep the result a sine.
    r = clamp(r, -1.0f, 1.0f);
    Value s = mul(r, r);
    Value odd = polynomial(
        s, {2.75573164e-6f, -1.98412700e-4f, 8.33333377e-3f, -1.66666672e-1f});
    odd = fma(mul(odd, s), r, r);
    Value even =
        polynomial(s, {2.44677067e-5f, -1.38877297e-3f, 4.16666567e-2f, -0.5f});
    even = fma(even, s, constant(1.0f));
    Value quadrant = addInt(asInteger(magic), integer(quarters));
    auto bit = [&](int32_t mask) {
      return arith::AndIOp::create(b, quadrant, integer(mask));
    };
    Value swap =
        arith::CmpIOp::create(b, arith::CmpIPredicate::ne, bit(1), integer(0));
    Value bits = asInteger(select(swap, even, odd));
    return asFloat(arith::XOrIOp::create(b, bits, shiftLeft(bit(2), 30)));
  }
  /// y · 2^n where `magic` is n + 1.5·2^23.
  virtual Value scale(Value y, Value magic) {
    return Arithmetic::scale(y, subInt(asInteger(magic), integer(0x4b400000)),
                             23, 127);
  }
  Value expNearZero(Value r) {
    Value p =
        polynomial(r, {1.9875691500e-4f, 1.3981999507e-3f, 8.3334519073e-3f,
                       4.1665795894e-2f, 1.6666665459e-1f, 5.0000001201e-1f});
    return add(fma(mul(r, r), p, r), constant(1.0f));
  }
};

/// Coefficients of erf near the multiples of 1/4 up to 15/4, one row for each
/// power from the fifth down: minimax polynomials, the first of which is odd in
/// its relative error and the last 1 at the end of its interval.
const float erfTable[6][16] = {
    {0.111089058, 0.0795599073, 0.00747555168, -0.0527897775, -0.0688255131,
     -0.0471012183, -0.014971843, 0.0064860736, 0.0130099412, 0.010641708,
     0.00612990651, 0.00277102855, 0.00102569629, 0.000317796803, 8.3487037e-05,
     0.0213273875},
    {0.000257579988, 0.126072735, 0.182121918, 0.150673419, 0.0688497871,
     -0.00528600672, -0.043613784, -0.047405567, -0.0337123908, -0.0185431782,
     -0.00961915776, -0.00299376668, -0.00180781644, 7.47582235e-05,
     0.000840478169, -4.80501876e-05},
    {-0.376139522, -0.309166372, -0.146464944, 0.0267862026, 0.138367251,
     0.167535439, 0.138752505, 0.0901579708, 0.0482233763, 0.0217246376,
     0.00835002493, 0.00276030833, 0.000789053098, 0.000195788816,
     4.22883568e-05, -0.000402439677},
    {2.23213902e-07, -0.264998734, -0.439388335, -0.482204646, -0.415101141,
     -0.29565987, -0.178406119, -0.0923649371, -0.0413453057, -0.0160793681,
     -0.00543081202, -0.00161679985, -0.000406006438, -0.000100577185,
     -3.31137635e-05, -2.4200549e-06},
    {1.12837923, 1.06001413, 0.87878257, 0.642931044, 0.415107489, 0.236521125,
     0.118930288, 0.0527749956, 0.0206669848, 0.00714231888, 0.00217828434,
     0.000586277223, 0.000139253054, 2.91890246e-05, 5.39942675e-06,
     2.43126738e-06},
    {0, 0.276326388, 0.520499885, 0.711155653, 0.842700779, 0.92290014,
     0.966105163, 0.986671686, 0.995322287, 0.998537302, 0.999593019,
     0.999899387, 0.999977887, 0.999995708, 0.999999285, 0.999999881}};

/// On f32, where AVX-512 has instructions.
class WideMath : public SingleMath {
public:
  using SingleMath::SingleMath;
  static bool takes(Type type) {
    auto vector = dyn_cast<VectorType>(type);
    return vector && vector.getShape() == ArrayRef<int64_t>(16) &&
           vector.getElementType().isF32();
  }

  /// 2^(x - n) · 2^n with n the integer nearest to x. What is left of an
  /// infinity is 0, so infinities and what is too small need no bounds.
  Value exp2(Value x) {
    // To nearest, to no binary places.
    Value mode = arith::ConstantOp::create(b, b.getI32IntegerAttr(0));
    Value r = call("llvm.x86.avx512.mask.reduce.ps.512",
                   {x, mode, x, allLanes(), currentRounding()});
    Value p =
        polynomial(r, {1.5353362e-4f, 1.33988739e-3f, 9.61843692e-3f,
                       5.55033237e-2f, 2.40226477e-1f, 6.93147182e-1f, 1.0f});
    return scaleByPower(p, sub(x, r));
  }

  /// Within 2^-23: erf as a polynomial whose coefficients are looked up.
  Value onePlusErf(Value x) {
    // Rounded to a quarter this is at most 15 / 4, and erf there is 1.
    Value t = abs(x);
    Value most = constant(0x1.effffep+1f);
    t = select(less(most, t), most, t);
    Value magic = fma(t, constant(4.0f), constant(0x1p23f));
    Value quarters = sub(magic, constant(0x1p23f));
    Value rest = fma(quarters, constant(-0.25f), t);
    Value index = asInteger(magic);
    auto coefficient = [&](ArrayRef<float> row) {
      Value table = arith::ConstantOp::create(
          b, DenseElementsAttr::get(cast<VectorType>(type), row));
      return call("llvm.x86.avx512.permvar.sf.512", {table, index});
    };
    Value result = coefficient(erfTable[0]);
    for (ArrayRef<float> row : ArrayRef(erfTable).drop_front())
      result = fma(result, rest, coefficient(row));
    return add(copySign(result, x), constant(1.0f));
  }

private:
  Value scale(Value y, Value magic) override {
    return scaleByPower(y, sub(magic, constant(12582912.0f)));
  }
  /// y · 2^n where n is rounded down.
  Value scaleByPower(Value y, Value n) {
    return call("llvm.x86.avx512.mask.scalef.ps.512",
                {y, n, y, allLanes(), currentRounding()});
  }
  Value allLanes() {
    return arith::ConstantOp::create(b, b.getI16IntegerAttr(-1));
  }
  /// As the machine rounds.
  Value currentRounding() {
    return arith::ConstantOp::create(b, b.getI32IntegerAttr(4));
  }
  Value call(StringRef intrinsic, ValueRange operands) {
    return LLVM::CallIntrinsicOp::create(b, type, b.getStringAttr(intrinsic),
                                         operands)
        .getResult(0);
  }
};

/// On f64: within 2^-51 of the result.
class DoubleMath : public Arithmetic {
public:
  using Arithmetic::Arithmetic;
  static bool takes(Type type) { return getElementTypeOrSelf(type).isF64(); }

  /// 2^n · exp(r), where exp(r) = 1 + 2·rP(r²) / (Q(r²) - rP(r²)) (Cephes).
  Value exp(Value x) {
    x = clamp(x, -746, 710);
    Value magic = fma(x, constant(1.4426950408889634), constant(0x1.8p52));
    Value n = sub(magic, constant(0x1.8p52));
    Value r = fma(n, constant(-6.93145751953125e-1), x);
    r = fma(n, constant(-1.42860682030941723212e-6), r);
    Value square = mul(r, r);
    Value p = mul(r, polynomial(square, {1.26177193074810590878e-4,
                                         3.02994407707441961300e-2, 1}));
    Value q = polynomial(square,
                         {3.00198505138664455042e-6, 2.52448340349684104192e-3,
                          2.27265548208155028766e-1, 2});
    Value ratio = div(p, sub(q, p));
    Value y = fma(constant(2), ratio, constant(1));
    return scale(y, subInt(asInteger(magic), integer(0x4338000000000000)), 52,
                 1023);
  }

  /// n·log(2) + log(1 + f), where log(1 + f) = f - s·(f - R(s²)) with
  /// s = f / (2 + f) (fdlibm).
  Value log(Value x) {
    // A denormal number is brought up to the normal ones first.
    Value small = less(x, constant(0x1p-1022));
    Value bits = asInteger(select(small, mul(x, constant(0x1p54)), x));
    // x = 2^n · m with m between √½ and √2.
    Value n = shiftRight(subInt(bits, integer(0x3fe6a09e667f3bcd)), 52);
    Value m = asFloat(subInt(bits, shiftLeft(n, 52)));
    Value power = add(arith::SIToFPOp::create(b, type, n),
                      select(small, constant(-54), constant(0)));
    Value f = sub(m, constant(1));
    Value s = div(f, add(f, constant(2))), z = mul(s, s);
    Value r =
        mul(z, polynomial(z, {1.479819860511658591e-1, 1.531383769920937332e-1,
                              1.818357216161805012e-1, 2.222219843214978396e-1,
                              2.857142874366239149e-1, 3.999999999940941908e-1,
                              6.666666666666735130e-1}));
    Value half = mul(mul(f, f), constant(0.5));
    Value rest =
        fma(power, constant(1.90821492927058770002e-10), mul(s, add(half, r)));
    Value y = fma(power, constant(6.93147180369123816490e-1),
                  sub(f, sub(half, rest)));
    return finishLog(x, y);
  }
};

/// The sum of 1 and what `op` gives, if nothing else reads that.
arith::AddFOp findOnePlus(Operation *op) {
  if (!op->hasOneUse())
    return nullptr;
  auto sum = dyn_cast<arith::AddFOp>(*op->user_begin());
  bool isOne = sum && (matchPattern(sum.getLhs(), m_OneFloat()) ||
                       matchPattern(sum.getRhs(), m_OneFloat()));
  return isOne ? sum : nullptr;
}

/// 1 + f(x), whose error is one of units of 1: what GELU makes of erf and tanh.
template <typename Op, typename Math, auto expand>
struct ExpandOnePlus : OpRewritePattern<Op> {
  ExpandOnePlus(MLIRContext *context, unsigned benefit = 30)
      : OpRewritePattern<Op>(context, benefit) {}
  LogicalResult matchAndRewrite(Op op,
                                PatternRewriter &rewriter) const override {
    arith::AddFOp sum = findOnePlus(op);
    if (!sum || !Math::takes(op.getType()))
      return rewriter.notifyMatchFailure(op, "is not added to 1 alone");
    Math arithmetic(rewriter, op.getLoc(), op.getType());
    rewriter.replaceOp(sum, (arithmetic.*expand)(op.getOperand()));
    rewriter.eraseOp(op);
    return success();
  }
};

template <typename Op, typename Math, auto expand>
struct Expand : OpRewritePattern<Op> {
  Expand(MLIRContext *context, unsigned benefit = 10)
      : OpRewritePattern<Op>(context, benefit) {}
  LogicalResult matchAndRewrite(Op op,
                                PatternRewriter &rewriter) const override {
    if (!Math::takes(op.getType()))
      return rewriter.notifyMatchFailure(op, "is on another type");
    Math arithmetic(rewriter, op.getLoc(), op.getType());
    rewriter.replaceOp(op, (arithmetic.*expand)(op.getOperand()));
    return success();
  }
};

} // namespace

void tenon::populateVectorMathPatterns(RewritePatternSet &patterns) {
  patterns
      .add<Expand<math::ExpOp, SingleMath, &SingleMath::exp>,
           Expand<math::Exp2Op, SingleMath, &SingleMath::exp2>,
           Expand<math::ErfOp, SingleMath, &SingleMath::erf>,
           Expand<math::TanhOp, SingleMath, &SingleMath::tanh>,
           Expand<math::LogOp, SingleMath, &SingleMath::log>,
           Expand<math::SinOp, SingleMath, &SingleMath::sin>,
           Expand<math::CosOp, SingleMath, &SingleMath::cos>,
           Expand<math::ExpOp, DoubleMath, &DoubleMath::exp>,
           Expand<math::LogOp, DoubleMath, &DoubleMath::log>,
           ExpandOnePlus<math::TanhOp, SingleMath, &SingleMath::onePlusTanh>,
           ExpandOnePlus<math::ErfOp, WideMath, &WideMath::onePlusErf>>(
          patterns.getContext());
  // Where both apply, what has the instruction.
  patterns.add<Expand<math::ExpOp, WideMath, &WideMath::exp>,
               Expand<math::Exp2Op, WideMath, &WideMath::exp2>,
               Expand<math::ErfOp, WideMath, &WideMath::erf>,
               Expand<math::TanhOp, WideMath, &WideMath::tanh>>(
      patterns.getContext(), /*benefit=*/20);
  patterns.add<ExpandOnePlus<math::TanhOp, WideMath, &WideMath::onePlusTanh>>(
      patterns.getContext(), /*benefit=*/40);
  math::populateExpansionPatterns(patterns, {"powf", "rsqrt"});
}
