// Narrow numbers by arithmetic on their bits, since few machines have any.
#include "NarrowTypes.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"
#include <cmath>
#include <limits>

using namespace mlir;

namespace {

/// Arithmetic on numbers of f32 and their bits.
struct Bits {
  ImplicitLocOpBuilder b;
  Type i32 = b.getI32Type(), f32 = b.getF32Type();

  Value constant(int64_t value) {
    return arith::ConstantIntOp::create(b, i32, value);
  }
  Value number(double value) {
    return arith::ConstantOp::create(b, b.getF32FloatAttr(value));
  }
  Value asBits(Value value) { return arith::BitcastOp::create(b, i32, value); }
  Value asFloat(Value bits) { return arith::BitcastOp::create(b, f32, bits); }
  Value add(Value x, Value y) { return arith::AddIOp::create(b, x, y); }
  Value sub(Value x, Value y) { return arith::SubIOp::create(b, x, y); }
  Value both(Value x, Value y) { return arith::AndIOp::create(b, x, y); }
  Value either(Value x, Value y) { return arith::OrIOp::create(b, x, y); }
  Value left(Value x, int64_t bits) {
    return arith::ShLIOp::create(b, x, constant(bits));
  }
  Value right(Value x, int64_t bits) {
    return arith::ShRUIOp::create(b, x, constant(bits));
  }
  Value is(Value x, int64_t value) {
    return arith::CmpIOp::create(b, arith::CmpIPredicate::eq, x,
                                 constant(value));
  }
  Value isAbove(Value x, int64_t value) {
    return arith::CmpIOp::create(b, arith::CmpIPredicate::ugt, x,
                                 constant(value));
  }
  Value select(Value condition, Value x, Value y) {
    return arith::SelectOp::create(b, condition, x, y);
  }
};

/// What there is to know of a type of floats.
struct Format {
  explicit Format(FloatType type)
      : semantics(type.getFloatSemantics()), width(type.getWidth()),
        mantissa(APFloat::semanticsPrecision(semantics) - 1),
        bias(1 - APFloat::semanticsMinExponent(semantics)),
        largest(code(APFloat::getLargest(semantics))) {
    if (APFloat::semanticsHasInf(semantics))
      infinity = code(APFloat::getInf(semantics));
    if (APFloat::semanticsHasNaN(semantics))
      nan = code(APFloat::getQNaN(semantics));
  }
  static int64_t code(const APFloat &value) {
    return value.bitcastToAPInt().getZExtValue();
  }
  int64_t signBit() const { return int64_t(1) << (width - 1); }

  const llvm::fltSemantics &semantics;
  int64_t width, mantissa, bias; ///< bits, and the exponent of 1
  int64_t largest;               ///< codes
  std::optional<int64_t> infinity, nan;
};

} // namespace

bool tenon::isStoredAsByte(Type element) {
  unsigned width = element.isIntOrFloat() ? element.getIntOrFloatBitWidth() : 0;
  return isa<FloatType>(element) ? width <= 8 : width > 1 && width < 8;
}

/// The exponent and mantissa are those of an f32 whose exponents are counted
/// from another bias.
static Value decodeFloat(Bits bits, Value byte, Format format) {
  Value code = arith::ExtUIOp::create(bits.b, bits.i32, byte);
  Value magnitude = bits.both(code, bits.constant(format.signBit() - 1));
  Value sign = bits.left(bits.both(code, bits.constant(format.signBit())),
                         32 - format.width);
  Value number = arith::MulFOp::create(
      bits.b, bits.asFloat(bits.left(magnitude, 23 - format.mantissa)),
      bits.number(std::ldexp(1.0, 127 - format.bias)));
  number = bits.asFloat(bits.either(bits.asBits(number), sign));
  Value nan = bits.number(std::numeric_limits<double>::quiet_NaN());
  if (format.infinity) {
    double infinity = std::numeric_limits<double>::infinity();
    Value special = bits.select(bits.is(sign, 0), bits.number(infinity),
                                bits.number(-infinity));
    number = bits.select(bits.is(magnitude, *format.infinity), special, number);
    number =
        bits.select(bits.isAbove(magnitude, *format.infinity), nan, number);
  } else if (format.nan) {
    // The only code of no number may be that of a negative zero.
    bool hasSign = *format.nan & format.signBit();
    number = bits.select(bits.is(hasSign ? code : magnitude, *format.nan), nan,
                         number);
  }
  return number;
}

static Value encodeFloat(Bits bits, Value number, Format format) {
  Value magnitude = math::AbsFOp::create(bits.b, number);
  // The exponent's bias and the mantissa's width change; what the rounding
  // carries goes into the exponent.
  int64_t shift = 23 - format.mantissa;
  Value code = bits.asBits(magnitude);
  Value isOdd = bits.both(bits.right(code, shift), bits.constant(1));
  Value rounded = bits.add(code, bits.constant((1 << (shift - 1)) - 1));
  rounded = bits.right(bits.add(rounded, isOdd), shift);
  rounded =
      bits.sub(rounded, bits.constant((127 - format.bias) << format.mantissa));
  // Below the normal numbers an addition rounds to a multiple of the smallest.
  Value offset =
      bits.number(std::ldexp(1.0, 24 - format.bias - format.mantissa));
  Value denormal =
      bits.sub(bits.asBits(arith::AddFOp::create(bits.b, magnitude, offset)),
               bits.asBits(offset));
  Value isDenormal =
      arith::CmpFOp::create(bits.b, arith::CmpFPredicate::OLT, magnitude,
                            bits.number(std::ldexp(1.0, 1 - format.bias)));
  Value result = bits.select(isDenormal, denormal, rounded);
  int64_t above = format.infinity.value_or(format.nan.value_or(format.largest));
  result = bits.select(bits.isAbove(result, format.largest),
                       bits.constant(above), result);
  Value sign = bits.both(bits.right(bits.asBits(number), 32 - format.width),
                         bits.constant(format.signBit()));
  if (format.nan == format.signBit()) // which is no negative zero
    sign = bits.select(bits.is(result, 0), bits.constant(0), sign);
  Value isNaN =
      arith::CmpFOp::create(bits.b, arith::CmpFPredicate::UNO, number, number);
  // Without a code for no number it is a negative zero, as in ml_dtypes.
  return bits.select(isNaN,
                     bits.constant(format.nan.value_or(format.signBit())),
                     bits.either(result, sign));
}

Value tenon::decodeByte(OpBuilder &builder, Location loc, Value byte,
                        Type stored) {
  if (auto type = dyn_cast<FloatType>(stored))
    return decodeFloat({ImplicitLocOpBuilder(loc, builder)}, byte,
                       Format(type));
  Value unused = arith::ConstantIntOp::create(
      builder, loc, builder.getI8Type(), 8 - stored.getIntOrFloatBitWidth());
  Value raised = arith::ShLIOp::create(builder, loc, byte, unused);
  if (stored.isUnsignedInteger())
    return arith::ShRUIOp::create(builder, loc, raised, unused);
  return arith::ShRSIOp::create(builder, loc, raised, unused);
}

Value tenon::encodeByte(OpBuilder &builder, Location loc, Value number,
                        Type stored) {
  Type byte = builder.getI8Type();
  if (auto type = dyn_cast<FloatType>(stored)) {
    Value code =
        encodeFloat({ImplicitLocOpBuilder(loc, builder)}, number, Format(type));
    return arith::TruncIOp::create(builder, loc, byte, code);
  }
  int64_t mask = (1 << stored.getIntOrFloatBitWidth()) - 1;
  return arith::AndIOp::create(
      builder, loc, number,
      arith::ConstantIntOp::create(builder, loc, byte, mask));
}
