// ONNX trigonometric and hyperbolic functions and their inverses, as formulas
// of elementwise ops on f32. Coefficients and ranges are those of the Cephes
// library (S. L. Moshier); every result is within a few units in the last
// place.
#include "Formula.h"
#include <cmath>

using namespace mlir;

namespace tenon {
namespace {

Value abs(Formula &f, Value value) { return f.map<graph::AbsOp>(value); }
Value log(Formula &f, Value value) { return f.map<graph::LogOp>(value); }
Value sqrt(Formula &f, Value value) { return f.map<graph::SqrtOp>(value); }

/// With the sign of `sign`, of which `value` is an even function.
Value withSign(Formula &f, Value value, Value sign) {
  return f.select(f.less(sign, f.number(0)), f.map<graph::NegOp>(value), value);
}

/// Coefficients from the highest power down.
Value polynomial(Formula &f, Value x, ArrayRef<double> coefficients) {
  Value result = f.number(coefficients[0]);
  for (double c : coefficients.drop_front())
    result = f.add(f.mul(result, x), f.number(c));
  return result;
}

/// x·(1 + x²·p(x²)), of an odd function that is x near 0, where it keeps the
/// sign of zero.
Value oddPolynomial(Formula &f, Value x, ArrayRef<double> coefficients) {
  Value square = f.mul(x, x);
  Value p = f.mul(polynomial(f, square, coefficients), square);
  return f.mul(x, f.add(p, f.number(1)));
}

Value tan(Formula &f) {
  return f.div(f.map<graph::SinOp>(f.x), f.map<graph::CosOp>(f.x));
}

/// Of magnitudes up to ½.
Value asinNearZero(Formula &f, Value x) {
  return oddPolynomial(f, x,
                       {4.2163199048e-2, 2.4181311049e-2, 4.5470025998e-2,
                        7.4953002686e-2, 1.6666752422e-1});
}

/// 2·asin(√((1 - |x|)/2)), which is acos(|x|), for magnitudes from ½ up.
Value acosOfLarge(Formula &f) {
  Value half = f.mul(f.sub(f.number(1), abs(f, f.x)), f.number(0.5));
  Value quarter = asinNearZero(f, sqrt(f, half));
  return f.add(quarter, quarter);
}

Value asin(Formula &f) {
  Value large = f.sub(f.number(M_PI_2), acosOfLarge(f));
  return f.select(f.less(f.number(0.5), abs(f, f.x)), withSign(f, large, f.x),
                  asinNearZero(f, f.x));
}

Value acos(Formula &f) {
  Value large = acosOfLarge(f);
  large =
      f.select(f.less(f.x, f.number(0)), f.sub(f.number(M_PI), large), large);
  return f.select(f.less(f.number(0.5), abs(f, f.x)), large,
                  f.sub(f.number(M_PI_2), asinNearZero(f, f.x)));
}

/// Reduced to |t| <= tan(π/8) by atan(x) = π/2 - atan(1/x)
/// = π/4 + atan((x - 1)/(x + 1)).
Value atan(Formula &f) {
  Value t = abs(f, f.x), one = f.number(1);
  Value isLarge = f.less(f.number(2.414213562373095), t);
  Value isMiddle = f.less(f.number(0.4142135623730950), t);
  // What is small keeps its sign, that of zero too.
  Value reduced = f.select(isMiddle, f.div(f.sub(t, one), f.add(t, one)), f.x);
  reduced = f.select(isLarge, f.div(f.number(-1), t), reduced);
  Value offset = f.select(isLarge, f.number(M_PI_2), f.number(M_PI_4));
  Value near = oddPolynomial(f, reduced,
                             {8.05374449538e-2, -1.38776856032e-1,
                              1.99777106478e-1, -3.33329491539e-1});
  return f.select(isMiddle, withSign(f, f.add(offset, near), f.x), near);
}

/// ½·exp(|x|) and ½·exp(-|x|), where exp(|x|) itself may be too large.
std::pair<Value, Value> halfPowers(Formula &f) {
  Value root = f.exp(f.mul(abs(f, f.x), f.number(0.5)));
  Value halfRoot = f.mul(root, f.number(0.5));
  return {f.mul(halfRoot, root), f.div(f.div(f.number(0.5), root), root)};
}

Value sinh(Formula &f) {
  auto [grows, falls] = halfPowers(f);
  Value large = withSign(f, f.sub(grows, falls), f.x);
  Value small = oddPolynomial(
      f, f.x, {2.03721912945e-4, 8.33028376239e-3, 1.66667160211e-1});
  return f.select(f.less(f.number(1), abs(f, f.x)), large, small);
}

Value cosh(Formula &f) {
  auto [grows, falls] = halfPowers(f);
  return f.add(grows, falls);
}

Value asinh(Formula &f) {
  Value t = abs(f, f.x), one = f.number(1);
  // Beyond 10⁴ the 1 does not count, and the square might overflow.
  Value isHuge = f.less(f.number(1e4), t);
  Value root = sqrt(f, f.add(f.mul(t, t), one));
  Value large = log(f, f.select(isHuge, t, f.add(t, root)));
  large = f.add(large, f.select(isHuge, f.number(M_LN2), f.number(0)));
  Value small = oddPolynomial(
      f, f.x,
      {2.0122003309e-2, -4.2699340972e-2, 7.4847586088e-2, -1.6666288134e-1});
  return f.select(f.less(f.number(0.5), t), withSign(f, large, f.x), small);
}

Value acosh(Formula &f) {
  Value above = f.sub(f.x, f.number(1));
  Value isHuge = f.less(f.number(1e4), f.x);
  Value root = sqrt(f, f.mul(above, f.add(f.x, f.number(1))));
  Value large = log(f, f.select(isHuge, f.x, f.add(f.x, root)));
  large = f.add(large, f.select(isHuge, f.number(M_LN2), f.number(0)));
  Value small =
      f.mul(sqrt(f, above),
            polynomial(f, above,
                       {1.7596881071e-3, -7.5272886713e-3, 2.6454905019e-2,
                        -1.1784741703e-1, 1.4142135263e0}));
  return f.select(f.less(f.number(0.5), above), large, small);
}

Value atanh(Formula &f) {
  Value t = abs(f, f.x), one = f.number(1);
  Value large =
      f.mul(log(f, f.div(f.add(one, t), f.sub(one, t))), f.number(0.5));
  Value small =
      oddPolynomial(f, f.x,
                    {1.81740078349e-1, 8.24370301058e-2, 1.46691431730e-1,
                     1.99782164500e-1, 3.33337300303e-1});
  return f.select(f.less(f.number(0.5), t), withSign(f, large, f.x), small);
}

/// Imports a node as what `formula` makes of its operand in f32.
template <Value (*formula)(Formula &)>
LogicalResult importFunction(ImportContext &ctx) {
  if (failed(ctx.requireOperands(1)))
    return failure();
  Value input = ctx.getOperand(0);
  Type element = typeOf(input).getElementType();
  if (element.isF64())
    return ctx.unsupported()
           << "is computed in f32, so an operand of f64 is unsupported";
  Formula f(ctx, ctx.cast(input, ctx.builder.getF32Type()));
  return ctx.setResult(ctx.cast(formula(f), element));
}

const OpHandler handlers[] = {
    {"Acos", importFunction<acos>}, {"Acosh", importFunction<acosh>},
    {"Asin", importFunction<asin>}, {"Asinh", importFunction<asinh>},
    {"Atan", importFunction<atan>}, {"Atanh", importFunction<atanh>},
    {"Cosh", importFunction<cosh>}, {"Sinh", importFunction<sinh>},
    {"Tan", importFunction<tan>},
};

} // namespace

ArrayRef<OpHandler> trigonometryHandlers() { return handlers; }

} // namespace tenon
