// Elementwise ops: one linalg.generic each, broadcast by its indexing maps.
#include "GraphToKernel.h"
#include "NarrowTypes.h"
#include "Signless.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "llvm/ADT/TypeSwitch.h"
#include <cmath>
#include <limits>

using namespace mlir;

namespace tenon {

AffineMap broadcastMap(RankedTensorType type, RankedTensorType output) {
  MLIRContext *context = type.getContext();
  int64_t offset = output.getRank() - type.getRank();
  SmallVector<AffineExpr> exprs;
  for (int64_t dim = 0; dim < type.getRank(); ++dim)
    exprs.push_back(type.getDimSize(dim) == 1 &&
                            output.getDimSize(dim + offset) != 1
                        ? getAffineConstantExpr(0, context)
                        : getAffineDimExpr(dim + offset, context));
  return AffineMap::get(output.getRank(), 0, exprs, context);
}

Type computeType(Type element) {
  return isa<Float16Type, BFloat16Type>(element)
             ? Float32Type::get(element.getContext())
             : element;
}

Value widen(OpBuilder &b, Location loc, Value value) {
  Type type = computeType(value.getType());
  if (type == value.getType())
    return value;
  auto result = arith::ExtFOp::create(b, loc, type, value);
  result.setFastmath(arith::FastMathFlags::contract);
  return result;
}

Value narrow(OpBuilder &b, Location loc, Value value, Type element) {
  if (computeType(element) == element)
    return value;
  auto result = arith::TruncFOp::create(b, loc, element, value);
  result.setFastmath(arith::FastMathFlags::contract);
  return result;
}

/// The constant that all elements of `value` are, or null.
static TypedAttr getSplat(Value value) {
  auto constant = value.getDefiningOp<graph::ConstantOp>();
  if (!constant)
    return nullptr;
  auto elements = dyn_cast<DenseElementsAttr>(constant.getValue());
  if (!elements || !elements.isSplat())
    return nullptr;
  return dyn_cast<TypedAttr>(elements.getSplatValue<Attribute>());
}

static bool isSplat(Value value, double wanted) {
  auto number = dyn_cast_if_present<FloatAttr>(getSplat(value));
  return number && number.getValueAsDouble() == wanted;
}

static arith::CmpIPredicate unsignedForm(arith::CmpIPredicate predicate) {
  using P = arith::CmpIPredicate;
  switch (predicate) {
  case P::slt:
    return P::ult;
  case P::sle:
    return P::ule;
  case P::sgt:
    return P::ugt;
  case P::sge:
    return P::uge;
  default:
    return predicate;
  }
}

namespace {

/// Builds the scalar form of one op.
struct ScalarBuilder {
  OpBuilder &b;
  Location loc;
  bool isUnsigned; ///< integers that are operands

  Value number(Type type, double value) {
    return arith::ConstantOp::create(
        b, loc,
        isa<FloatType>(type)
            ? TypedAttr(b.getFloatAttr(type, value))
            : TypedAttr(b.getIntegerAttr(type, static_cast<int64_t>(value))));
  }
  template <typename OpTy> Value make(Value lhs) {
    return OpTy::create(b, loc, lhs);
  }
  template <typename OpTy> Value make(Value lhs, Value rhs) {
    return OpTy::create(b, loc, lhs, rhs);
  }
  template <typename FloatOp, typename IntOp> Value pick(Value x, Value y) {
    return isa<FloatType>(x.getType()) ? make<FloatOp>(x, y)
                                       : make<IntOp>(x, y);
  }

  /// Of integers, `i` for signed ones.
  Value compare(arith::CmpFPredicate f, arith::CmpIPredicate i, Value x,
                Value y) {
    if (isa<FloatType>(x.getType()))
      return arith::CmpFOp::create(b, loc, f, x, y);
    if (isUnsigned)
      i = unsignedForm(i);
    return arith::CmpIOp::create(b, loc, i, x, y);
  }
  template <typename FloatOp, typename SignedOp, typename UnsignedOp>
  Value pick(Value x, Value y) {
    return isUnsigned ? make<UnsignedOp>(x, y) : pick<FloatOp, SignedOp>(x, y);
  }
  Value select(Value condition, Value x, Value y) {
    return arith::SelectOp::create(b, loc, condition, x, y);
  }

  /// From and to integers that are unsigned as `isUnsigned` and `toUnsigned`
  /// say; anything to a boolean is != 0.
  Value cast(Value x, Type to, bool toUnsigned = false);
  Value convert(graph::CastOp op, Value x);
  Value divide(Value x, Value y);
  Value remainder(Value x, Value y, bool truncated);
  Value shift(Value x, Value y, bool left);
  Value power(Value x, Value y);
  Value roundToOdd(Value x);
  Value gelu(Value x, bool approximate);
  Value quantize(graph::QuantizeOp op, ArrayRef<Value> x);
  Value dequantize(ArrayRef<Value> x);
  /// Null for an op this file does not know.
  Value build(Operation *op, ArrayRef<Value> x);
};

} // namespace

/// f64 as f32, where what is inexact gets an odd last bit: rounding that to 16
/// bits gives what rounding `x` at once would.
Value ScalarBuilder::roundToOdd(Value x) {
  Type i32 = b.getI32Type();
  Value nearest = arith::TruncFOp::create(b, loc, b.getF32Type(), x);
  Value back = arith::ExtFOp::create(b, loc, x.getType(), nearest);
  Value bits = arith::BitcastOp::create(b, loc, i32, nearest);
  // x lies between this and the next number, towards zero or away from it.
  Value isAway =
      arith::CmpFOp::create(b, loc, arith::CmpFPredicate::OGT,
                            make<math::AbsFOp>(back), make<math::AbsFOp>(x));
  Value next = make<arith::AddIOp>(
      bits,
      arith::SelectOp::create(b, loc, isAway, number(i32, -1), number(i32, 1)));
  Value isExact = make<arith::XOrIOp>(
      arith::CmpFOp::create(b, loc, arith::CmpFPredicate::ONE, back, x),
      number(b.getI1Type(), 1));
  Value isOdd = arith::TruncIOp::create(b, loc, b.getI1Type(), bits);
  Value keeps = make<arith::OrIOp>(isExact, isOdd);
  return arith::BitcastOp::create(
      b, loc, b.getF32Type(),
      arith::SelectOp::create(b, loc, keeps, bits, next));
}

Value ScalarBuilder::cast(Value x, Type to, bool toUnsigned) {
  Type from = x.getType();
  if (from == to)
    return x;
  Type single = b.getF32Type();
  if (computeType(to) != to && from != single)
    return cast(from.isF64() ? roundToOdd(x) : cast(x, single), to, toUnsigned);
  if (computeType(from) != from && to != single)
    return cast(cast(x, single), to, toUnsigned);
  bool fromFloat = isa<FloatType>(from), toFloat = isa<FloatType>(to);
  if (to.isInteger(1))
    return compare(arith::CmpFPredicate::UNE, arith::CmpIPredicate::ne, x,
                   number(from, 0));
  unsigned fromWidth = from.getIntOrFloatBitWidth(),
           toWidth = to.getIntOrFloatBitWidth();
  if (fromFloat && toFloat)
    return fromWidth < toWidth
               ? arith::ExtFOp::create(b, loc, to, x).getResult()
               : arith::TruncFOp::create(b, loc, to, x).getResult();
  if (fromFloat && toUnsigned)
    return arith::FPToUIOp::create(b, loc, to, x);
  if (fromFloat)
    return arith::FPToSIOp::create(b, loc, to, x);
  bool fromUnsigned = isUnsigned || from.isInteger(1);
  if (toFloat) {
    if (fromUnsigned)
      return arith::UIToFPOp::create(b, loc, to, x);
    return arith::SIToFPOp::create(b, loc, to, x);
  }
  if (fromWidth > toWidth)
    return arith::TruncIOp::create(b, loc, to, x);
  if (fromWidth == toWidth)
    return x;
  if (fromUnsigned)
    return arith::ExtUIOp::create(b, loc, to, x);
  return arith::ExtSIOp::create(b, loc, to, x);
}

/// By f32, or an integer of 8 bits, from and to what is stored as bytes.
Value ScalarBuilder::convert(graph::CastOp op, Value x) {
  Type from = getReadAsBytes(op), to = getWrittenAsBytes(op);
  ScalarBuilder of = *this;
  if (from) {
    x = decodeByte(b, loc, x, from);
    of.isUnsigned = from.isUnsignedInteger();
  }
  if (!to)
    return of.cast(x,
                   mlir::cast<RankedTensorType>(op.getType()).getElementType(),
                   makesUnsigned(op));
  if (isa<IntegerType>(to))
    return encodeByte(b, loc, of.cast(x, b.getI8Type(), to.isUnsignedInteger()),
                      to);
  // Rounded once.
  x = x.getType().isF64() ? roundToOdd(x) : of.cast(x, b.getF32Type());
  return encodeByte(b, loc, x, to);
}

/// x / y, and 0 by the integer 0. A processor traps at that and at the quotient
/// of the smallest number and -1, so neither may reach it.
Value ScalarBuilder::divide(Value x, Value y) {
  Type type = x.getType();
  if (isa<FloatType>(type))
    return make<arith::DivFOp>(x, y);
  using P = arith::CmpIPredicate;
  Value zero = number(type, 0), one = number(type, 1);
  Value byZero = arith::CmpIOp::create(b, loc, P::eq, y, zero);
  Value divisor = select(byZero, one, y);
  if (isUnsigned)
    return select(byZero, zero, make<arith::DivUIOp>(x, divisor));
  Value byMinusOne = arith::CmpIOp::create(b, loc, P::eq, y, number(type, -1));
  Value quotient = make<arith::DivSIOp>(x, select(byMinusOne, one, divisor));
  quotient = select(byMinusOne, make<arith::SubIOp>(zero, x), quotient);
  return select(byZero, zero, quotient);
}

/// x - trunc(x / y) · y, or with floor in place of trunc.
Value ScalarBuilder::remainder(Value x, Value y, bool truncated) {
  Type type = x.getType();
  using P = arith::CmpIPredicate;
  if (isa<FloatType>(type)) {
    // What is left of a whole quotient is exact, as it is a number of f64.
    Type wide = b.getF64Type();
    Value left = cast(x, wide), right = cast(y, wide), zero = number(wide, 0);
    auto isNegative = [&](Value value) {
      return compare(arith::CmpFPredicate::OLT, P::slt, value, zero);
    };
    Value differs = make<arith::XOrIOp>(isNegative(left), isNegative(right));
    Value quotient = make<arith::DivFOp>(left, right);
    Value whole = truncated ? make<math::TruncOp>(quotient)
                            : make<math::FloorOp>(quotient);
    Value rest =
        math::FmaOp::create(b, loc, make<arith::NegFOp>(whole), right, left);
    // Where rounding took the quotient up to a whole number, once too often.
    Value isAbove = make<arith::XOrIOp>(isNegative(rest),
                                        isNegative(truncated ? left : right));
    Value isSome = compare(arith::CmpFPredicate::ONE, P::ne, rest, zero);
    Value step = right;
    if (truncated)
      step = select(differs, make<arith::NegFOp>(right), right);
    rest = select(make<arith::AndIOp>(isSome, isAbove),
                  make<arith::AddFOp>(rest, step), rest);
    // A finite number by infinity is itself, or the infinity of its own sign.
    Value infinity = number(wide, std::numeric_limits<double>::infinity());
    Value isInfinite = compare(arith::CmpFPredicate::OEQ, P::eq,
                               make<math::AbsFOp>(right), infinity);
    Value isFinite = compare(arith::CmpFPredicate::OLT, P::slt,
                             make<math::AbsFOp>(left), infinity);
    Value limit = left;
    if (!truncated) {
      Value isZero = compare(arith::CmpFPredicate::OEQ, P::eq, left, zero);
      limit = select(differs, right, left);
      limit = select(isZero, left, limit);
    }
    rest = select(make<arith::AndIOp>(isInfinite, isFinite), limit, rest);
    return cast(rest, type);
  }
  Value rest = make<arith::SubIOp>(x, make<arith::MulIOp>(divide(x, y), y));
  Value zero = number(type, 0);
  if (!truncated && !isUnsigned) {
    Value differs = arith::CmpIOp::create(b, loc, P::slt,
                                          make<arith::XOrIOp>(rest, y), zero);
    Value isZero = arith::CmpIOp::create(b, loc, P::eq, rest, zero);
    rest = select(isZero, rest,
                  select(differs, make<arith::AddIOp>(rest, y), rest));
  }
  return select(arith::CmpIOp::create(b, loc, P::eq, y, zero), zero, rest);
}

/// Of integers, by squaring, modulo 2^width; 0 where the exponent is negative.
Value ScalarBuilder::power(Value x, Value y) {
  Type type = x.getType();
  using P = arith::CmpIPredicate;
  Value zero = number(type, 0), result = number(type, 1), square = x, rest = y;
  unsigned width = type.getIntOrFloatBitWidth();
  for (unsigned bit = 0; bit < width; ++bit) {
    Value isSet = arith::CmpIOp::create(
        b, loc, P::ne, make<arith::AndIOp>(rest, number(type, 1)), zero);
    result = select(isSet, make<arith::MulIOp>(result, square), result);
    square = make<arith::MulIOp>(square, square);
    rest = make<arith::ShRUIOp>(rest, number(type, 1));
  }
  if (isUnsigned)
    return result;
  return select(arith::CmpIOp::create(b, loc, P::slt, y, zero), zero, result);
}

/// By no bits or by all, where the processor would take the amount modulo.
Value ScalarBuilder::shift(Value x, Value y, bool left) {
  Type type = x.getType();
  unsigned width = type.getIntOrFloatBitWidth();
  Value inside = arith::CmpIOp::create(b, loc, arith::CmpIPredicate::ult, y,
                                       number(type, width));
  Value zero = number(type, 0);
  if (!left && !isUnsigned)
    return make<arith::ShRSIOp>(x, select(inside, y, number(type, width - 1)));
  Value amount = select(inside, y, zero);
  return select(inside,
                left ? make<arith::ShLIOp>(x, amount)
                     : make<arith::ShRUIOp>(x, amount),
                zero);
}

Value ScalarBuilder::gelu(Value x, bool approximate) {
  Type type = x.getType();
  Value gate;
  if (approximate) {
    Value square = make<arith::MulFOp>(x, x);
    Value cube = make<arith::MulFOp>(square, x);
    Value sum = make<arith::AddFOp>(
        x, make<arith::MulFOp>(number(type, 0.044715), cube));
    gate = make<math::TanhOp>(
        make<arith::MulFOp>(number(type, std::sqrt(2 / M_PI)), sum));
  } else {
    gate = make<math::ErfOp>(make<arith::MulFOp>(x, number(type, M_SQRT1_2)));
  }
  Value half = make<arith::MulFOp>(x, number(type, 0.5));
  return make<arith::MulFOp>(half, make<arith::AddFOp>(gate, number(type, 1)));
}

/// round(x / scale) + zero point, in the range of the type.
Value ScalarBuilder::quantize(graph::QuantizeOp op, ArrayRef<Value> x) {
  Type single = b.getF32Type();
  Type type = mlir::cast<RankedTensorType>(op.getType()).getElementType();
  bool toUnsigned = makesUnsigned(op);
  double count = double(int64_t(1) << type.getIntOrFloatBitWidth());
  Value low = number(single, toUnsigned ? 0 : -count / 2);
  Value high = number(single, (toUnsigned ? count : count / 2) - 1);
  Value value =
      isSplat(op.getScale(), 1) ? x[0] : make<arith::DivFOp>(x[0], x[1]);
  value = make<math::RoundEvenOp>(value);
  if (x.size() > 2) {
    ScalarBuilder of{b, loc, toUnsigned};
    Value offset =
        arith::SIToFPOp::create(b, loc, single, of.cast(x[2], b.getI32Type()));
    value = make<arith::AddFOp>(value, offset);
  }
  // Not a maximum, which would stay NaN.
  using P = arith::CmpFPredicate;
  value = select(arith::CmpFOp::create(b, loc, P::OGT, value, low), value, low);
  value =
      select(arith::CmpFOp::create(b, loc, P::OLT, value, high), value, high);
  Value word = arith::FPToSIOp::create(b, loc, b.getI32Type(), value);
  return arith::TruncIOp::create(b, loc, type, word);
}

/// (x - zero point) · scale
Value ScalarBuilder::dequantize(ArrayRef<Value> x) {
  Type word = b.getI32Type();
  Value value = cast(x[0], word);
  if (x.size() > 2)
    value = make<arith::SubIOp>(value, cast(x[2], word));
  return make<arith::MulFOp>(
      arith::SIToFPOp::create(b, loc, b.getF32Type(), value), x[1]);
}

Value ScalarBuilder::build(Operation *op, ArrayRef<Value> x) {
  using FP = arith::CmpFPredicate;
  using IP = arith::CmpIPredicate;
  Type type = x[0].getType();
  bool isFloat = isa<FloatType>(type);
  using R = Value;
  return llvm::TypeSwitch<Operation *, Value>(op)
      .Case([&](graph::AbsOp) -> R {
        if (isUnsigned)
          return x[0];
        return isFloat ? make<math::AbsFOp>(x[0])
                       : make<arith::MaxSIOp>(
                             x[0], make<arith::SubIOp>(number(type, 0), x[0]));
      })
      .Case([&](graph::NegOp) -> R {
        return isFloat ? make<arith::NegFOp>(x[0])
                       : make<arith::SubIOp>(number(type, 0), x[0]);
      })
      .Case([&](graph::ExpOp) { return make<math::ExpOp>(x[0]); })
      .Case([&](graph::LogOp) { return make<math::LogOp>(x[0]); })
      .Case([&](graph::SqrtOp) { return make<math::SqrtOp>(x[0]); })
      .Case([&](graph::SinOp) { return make<math::SinOp>(x[0]); })
      .Case([&](graph::CosOp) { return make<math::CosOp>(x[0]); })
      .Case([&](graph::TanhOp) { return make<math::TanhOp>(x[0]); })
      .Case([&](graph::ErfOp) { return make<math::ErfOp>(x[0]); })
      .Case([&](graph::ReciprocalOp) {
        return make<arith::DivFOp>(number(type, 1), x[0]);
      })
      .Case([&](graph::SigmoidOp) {
        Value power = make<math::ExpOp>(make<arith::NegFOp>(x[0]));
        Value one = number(type, 1);
        return make<arith::DivFOp>(one, make<arith::AddFOp>(one, power));
      })
      .Case([&](graph::ReluOp) {
        return pick<arith::MaximumFOp, arith::MaxSIOp, arith::MaxUIOp>(
            x[0], number(type, 0));
      })
      .Case([&](graph::FloorOp) -> R {
        return isFloat ? make<math::FloorOp>(x[0]) : x[0];
      })
      .Case([&](graph::CeilOp) -> R {
        return isFloat ? make<math::CeilOp>(x[0]) : x[0];
      })
      .Case([&](graph::RoundOp) -> R {
        return isFloat ? make<math::RoundEvenOp>(x[0]) : x[0];
      })
      .Case([&](graph::NotOp) {
        return make<arith::XOrIOp>(x[0],
                                   number(type, type.isInteger(1) ? 1 : -1));
      })
      .Case(
          [&](graph::IsNaNOp) { return compare(FP::UNO, IP::ne, x[0], x[0]); })
      .Case([&](graph::CastOp cast) { return convert(cast, x[0]); })
      .Case([&](graph::BitcastOp bitcast) -> R {
        Type to =
            mlir::cast<RankedTensorType>(bitcast.getType()).getElementType();
        return type == to
                   ? x[0]
                   : arith::BitcastOp::create(b, loc, to, x[0]).getResult();
      })
      .Case([&](graph::GeluOp gelu) {
        return this->gelu(x[0], gelu.getTanhApproximation());
      })
      .Case([&](graph::AddOp) {
        return pick<arith::AddFOp, arith::AddIOp>(x[0], x[1]);
      })
      .Case([&](graph::SubOp) {
        return pick<arith::SubFOp, arith::SubIOp>(x[0], x[1]);
      })
      .Case([&](graph::MulOp) {
        return pick<arith::MulFOp, arith::MulIOp>(x[0], x[1]);
      })
      .Case([&](graph::DivOp) { return divide(x[0], x[1]); })
      .Case([&](graph::ModOp mod) {
        return remainder(x[0], x[1], mod.getTruncated());
      })
      .Case([&](graph::MaxOp) {
        return pick<arith::MaximumFOp, arith::MaxSIOp, arith::MaxUIOp>(x[0],
                                                                       x[1]);
      })
      .Case([&](graph::MinOp) {
        return pick<arith::MinimumFOp, arith::MinSIOp, arith::MinUIOp>(x[0],
                                                                       x[1]);
      })
      .Case([&](graph::PowOp pow) -> R {
        if (isSplat(pow.getRhs(), 2))
          return make<arith::MulFOp>(x[0], x[0]);
        if (isSplat(pow.getRhs(), 3))
          return make<arith::MulFOp>(make<arith::MulFOp>(x[0], x[0]), x[0]);
        if (isSplat(pow.getRhs(), 0.5))
          return make<math::SqrtOp>(x[0]);
        return isFloat ? make<math::PowFOp>(x[0], x[1]) : power(x[0], x[1]);
      })
      .Case(
          [&](graph::EqualOp) { return compare(FP::OEQ, IP::eq, x[0], x[1]); })
      .Case(
          [&](graph::LessOp) { return compare(FP::OLT, IP::slt, x[0], x[1]); })
      .Case([&](graph::LessEqualOp) {
        return compare(FP::OLE, IP::sle, x[0], x[1]);
      })
      .Case([&](graph::GreaterOp) {
        return compare(FP::OGT, IP::sgt, x[0], x[1]);
      })
      .Case([&](graph::GreaterEqualOp) {
        return compare(FP::OGE, IP::sge, x[0], x[1]);
      })
      .Case([&](graph::AndOp) { return make<arith::AndIOp>(x[0], x[1]); })
      .Case([&](graph::OrOp) { return make<arith::OrIOp>(x[0], x[1]); })
      .Case([&](graph::XorOp) { return make<arith::XOrIOp>(x[0], x[1]); })
      .Case([&](graph::ShiftLeftOp) { return shift(x[0], x[1], true); })
      .Case([&](graph::ShiftRightOp) { return shift(x[0], x[1], false); })
      .Case([&](graph::WhereOp) -> R {
        return arith::SelectOp::create(b, loc, x[0], x[1], x[2]);
      })
      .Case([&](graph::QuantizeOp quantized) { return quantize(quantized, x); })
      .Case([&](graph::DequantizeOp) { return dequantize(x); })
      .Default([](Operation *) { return Value(); });
}

static bool isElementwise(Operation *op) {
  return isa<graph::AbsOp, graph::NegOp, graph::ExpOp, graph::LogOp,
             graph::SqrtOp, graph::SinOp, graph::CosOp, graph::TanhOp,
             graph::ErfOp, graph::ReciprocalOp, graph::SigmoidOp, graph::ReluOp,
             graph::FloorOp, graph::CeilOp, graph::RoundOp, graph::NotOp,
             graph::IsNaNOp, graph::CastOp, graph::BitcastOp, graph::GeluOp>(
             op) ||
         isa<graph::AddOp, graph::SubOp, graph::MulOp, graph::DivOp,
             graph::MaxOp, graph::MinOp, graph::PowOp, graph::EqualOp,
             graph::LessOp, graph::LessEqualOp, graph::GreaterOp,
             graph::GreaterEqualOp, graph::AndOp, graph::OrOp, graph::WhereOp,
             graph::XorOp, graph::ModOp, graph::ShiftLeftOp,
             graph::ShiftRightOp, graph::QuantizeOp, graph::DequantizeOp>(op);
}

/// Whether a constant is passed to the kernel, so that layers whose scales and
/// zero points differ share one.
static bool isParameter(Value operand, Operation *op) {
  return isa<graph::QuantizeOp, graph::DequantizeOp>(op) &&
         operand != op->getOperand(0) && !isSplat(operand, 1);
}

FailureOr<bool> GraphToKernel::convertElementwise(Operation *op) {
  if (!isElementwise(op))
    return false;
  auto type = cast<RankedTensorType>(op->getResult(0).getType());
  SmallVector<Value> elements;
  SmallVector<AffineMap> maps;
  SmallVector<int64_t> position; // of the element, or -1 for a splat
  for (Value operand : op->getOperands()) {
    if (getSplat(operand) && !isParameter(operand, op)) {
      position.push_back(-1);
      continue;
    }
    auto *known = llvm::find(elements, get(operand));
    position.push_back(known - elements.begin());
    if (known != elements.end())
      continue; // x · x reads x once
    elements.push_back(get(operand));
    maps.push_back(
        broadcastMap(cast<RankedTensorType>(operand.getType()), type));
  }
  StringRef name = op->getName().stripDialect();
  bool isAsStored = isa<graph::CastOp, graph::BitcastOp>(op);
  Value result = createGeneric(
      op, name, type, sizesOf(op->getResult(0)), elements, maps, {}, {},
      [&](OpBuilder &b, Scalars scalars) {
        ScalarBuilder scalar{b, op->getLoc(), hasUnsignedOperands(op)};
        SmallVector<Value> x;
        for (auto [i, operand] : llvm::enumerate(op->getOperands())) {
          Value value = position[i] < 0
                            ? arith::ConstantOp::create(b, op->getLoc(),
                                                        getSplat(operand))
                                  .getResult()
                            : scalars.elements[position[i]];
          // What the model casts is rounded where it says so.
          x.push_back(isAsStored ? value : widen(b, op->getLoc(), value));
        }
        Value value = scalar.build(op, x);
        return isAsStored
                   ? value
                   : narrow(b, op->getLoc(), value, type.getElementType());
      });
  replace(op->getResult(0), result);
  return true;
}

} // namespace tenon
