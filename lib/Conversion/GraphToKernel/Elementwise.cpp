// Elementwise ops: one linalg.generic each, broadcast by its indexing maps.
#include "GraphToKernel.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "llvm/ADT/TypeSwitch.h"
#include <cmath>

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

namespace {

/// Builds the scalar form of one op.
struct ScalarBuilder {
  OpBuilder &b;
  Location loc;

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

  Value compare(arith::CmpFPredicate f, arith::CmpIPredicate i, Value x,
                Value y) {
    if (isa<FloatType>(x.getType()))
      return arith::CmpFOp::create(b, loc, f, x, y);
    return arith::CmpIOp::create(b, loc, i, x, y);
  }

  Value cast(Value x, Type to);
  Value roundToOdd(Value x);
  Value gelu(Value x, bool approximate);
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

Value ScalarBuilder::cast(Value x, Type to) {
  Type from = x.getType();
  if (from == to)
    return x;
  Type single = b.getF32Type();
  if (computeType(to) != to && from != single)
    return cast(from.isF64() ? roundToOdd(x) : cast(x, single), to);
  if (computeType(from) != from && to != single)
    return cast(cast(x, single), to);
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
  if (fromFloat)
    return arith::FPToSIOp::create(b, loc, to, x);
  if (toFloat) {
    if (from.isInteger(1))
      return arith::UIToFPOp::create(b, loc, to, x);
    return arith::SIToFPOp::create(b, loc, to, x);
  }
  if (fromWidth > toWidth)
    return arith::TruncIOp::create(b, loc, to, x);
  if (from.isInteger(1))
    return arith::ExtUIOp::create(b, loc, to, x);
  return arith::ExtSIOp::create(b, loc, to, x);
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

Value ScalarBuilder::build(Operation *op, ArrayRef<Value> x) {
  using FP = arith::CmpFPredicate;
  using IP = arith::CmpIPredicate;
  Type type = x[0].getType();
  bool isFloat = isa<FloatType>(type);
  bool isBool = type.isInteger(1);
  using R = Value;
  return llvm::TypeSwitch<Operation *, Value>(op)
      .Case([&](graph::AbsOp) -> R {
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
        return pick<arith::MaximumFOp, arith::MaxSIOp>(x[0], number(type, 0));
      })
      .Case([&](graph::FloorOp) -> R {
        return isFloat ? make<math::FloorOp>(x[0]) : x[0];
      })
      .Case([&](graph::CeilOp) -> R {
        return isFloat ? make<math::CeilOp>(x[0]) : x[0];
      })
      .Case([&](graph::NotOp) {
        return make<arith::XOrIOp>(x[0], number(type, 1));
      })
      .Case(
          [&](graph::IsNaNOp) { return compare(FP::UNO, IP::ne, x[0], x[0]); })
      .Case([&](graph::CastOp cast) {
        return this->cast(
            x[0],
            mlir::cast<RankedTensorType>(cast.getType()).getElementType());
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
      .Case([&](graph::DivOp) {
        return pick<arith::DivFOp, arith::DivSIOp>(x[0], x[1]);
      })
      .Case([&](graph::MaxOp) {
        return pick<arith::MaximumFOp, arith::MaxSIOp>(x[0], x[1]);
      })
      .Case([&](graph::MinOp) {
        return pick<arith::MinimumFOp, arith::MinSIOp>(x[0], x[1]);
      })
      .Case([&](graph::PowOp pow) -> R {
        if (isSplat(pow.getRhs(), 2))
          return make<arith::MulFOp>(x[0], x[0]);
        if (isSplat(pow.getRhs(), 3))
          return make<arith::MulFOp>(make<arith::MulFOp>(x[0], x[0]), x[0]);
        if (isSplat(pow.getRhs(), 0.5))
          return make<math::SqrtOp>(x[0]);
        if (isFloat)
          return make<math::PowFOp>(x[0], x[1]);
        Type wide = b.getF64Type();
        return this->cast(
            make<math::PowFOp>(this->cast(x[0], wide), this->cast(x[1], wide)),
            type);
      })
      .Case(
          [&](graph::EqualOp) { return compare(FP::OEQ, IP::eq, x[0], x[1]); })
      .Case([&](graph::LessOp) {
        return compare(FP::OLT, isBool ? IP::ult : IP::slt, x[0], x[1]);
      })
      .Case([&](graph::LessEqualOp) {
        return compare(FP::OLE, isBool ? IP::ule : IP::sle, x[0], x[1]);
      })
      .Case([&](graph::GreaterOp) {
        return compare(FP::OGT, isBool ? IP::ugt : IP::sgt, x[0], x[1]);
      })
      .Case([&](graph::GreaterEqualOp) {
        return compare(FP::OGE, isBool ? IP::uge : IP::sge, x[0], x[1]);
      })
      .Case([&](graph::AndOp) { return make<arith::AndIOp>(x[0], x[1]); })
      .Case([&](graph::OrOp) { return make<arith::OrIOp>(x[0], x[1]); })
      .Case([&](graph::WhereOp) -> R {
        return arith::SelectOp::create(b, loc, x[0], x[1], x[2]);
      })
      .Default([](Operation *) { return Value(); });
}

static bool isElementwise(Operation *op) {
  return isa<graph::AbsOp, graph::NegOp, graph::ExpOp, graph::LogOp,
             graph::SqrtOp, graph::SinOp, graph::CosOp, graph::TanhOp,
             graph::ErfOp, graph::ReciprocalOp, graph::SigmoidOp, graph::ReluOp,
             graph::FloorOp, graph::CeilOp, graph::NotOp, graph::IsNaNOp,
             graph::CastOp, graph::GeluOp>(op) ||
         isa<graph::AddOp, graph::SubOp, graph::MulOp, graph::DivOp,
             graph::MaxOp, graph::MinOp, graph::PowOp, graph::EqualOp,
             graph::LessOp, graph::LessEqualOp, graph::GreaterOp,
             graph::GreaterEqualOp, graph::AndOp, graph::OrOp, graph::WhereOp>(
             op);
}

FailureOr<bool> GraphToKernel::convertElementwise(Operation *op) {
  if (!isElementwise(op))
    return false;
  auto type = cast<RankedTensorType>(op->getResult(0).getType());
  SmallVector<Value> operands, elements;
  SmallVector<AffineMap> maps;
  SmallVector<int64_t> position; // of the element, or -1 for a splat
  for (Value operand : op->getOperands()) {
    operands.push_back(get(operand));
    if (getSplat(operand)) {
      position.push_back(-1);
      continue;
    }
    auto *known = llvm::find(elements, operands.back());
    position.push_back(known - elements.begin());
    if (known != elements.end())
      continue; // x · x reads x once
    elements.push_back(operands.back());
    maps.push_back(
        broadcastMap(cast<RankedTensorType>(operand.getType()), type));
  }
  Sizes sizes = broadcast(op->getLoc(), type, operands);
  StringRef name = op->getName().stripDialect();
  Value result = createGeneric(
      op, name, type, sizes, elements, maps, {}, {},
      [&](OpBuilder &b, Scalars scalars) {
        ScalarBuilder scalar{b, op->getLoc()};
        SmallVector<Value> x;
        for (auto [i, operand] : llvm::enumerate(op->getOperands())) {
          Value value = position[i] < 0
                            ? arith::ConstantOp::create(b, op->getLoc(),
                                                        getSplat(operand))
                                  .getResult()
                            : scalars.elements[position[i]];
          // What the model casts is rounded where it says so.
          x.push_back(isa<graph::CastOp>(op) ? value
                                             : widen(b, op->getLoc(), value));
        }
        Value value = scalar.build(op, x);
        return isa<graph::CastOp>(op)
                   ? value
                   : narrow(b, op->getLoc(), value, type.getElementType());
      });
  replace(op->getResult(0), result, sizes);
  return true;
}

} // namespace tenon
