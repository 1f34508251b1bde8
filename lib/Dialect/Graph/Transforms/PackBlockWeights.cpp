// Stores weights that are quantized in blocks as products read them. See
// Passes.td.
#include "DerivedWeights.h"
#include "mlir/IR/TypeUtilities.h"
#include "tenon/Dialect/Graph/Transforms/Passes.h"
#include "llvm/ADT/APFloat.h"
#include "llvm/ADT/TypeSwitch.h"
#include <cmath>

using namespace mlir;

namespace tenon::graph {
#define GEN_PASS_DEF_PACKBLOCKWEIGHTSPASS
#include "tenon/Dialect/Graph/Transforms/Passes.h.inc"

namespace {

RankedTensorType typeOf(Value value) {
  return cast<RankedTensorType>(value.getType());
}

/// Integers of up to 8 bits or floats of up to 32, row-major: f32 has them all.
using Numbers = std::vector<float>;

bool isNumber(Type element) {
  if (auto integer = dyn_cast<IntegerType>(element))
    return integer.getWidth() > 1 && integer.getWidth() <= 8;
  return isa<Float32Type, Float16Type, BFloat16Type>(element);
}

/// Whether `value` is made of weights and constants by what only moves elements
/// or takes bits of integers.
bool isKnown(Value value) {
  Operation *op = value.getDefiningOp();
  if (!op || !isa<RankedTensorType>(value.getType()) ||
      !typeOf(value).hasStaticShape() ||
      !isNumber(typeOf(value).getElementType()))
    return false;
  bool isInteger = isa<IntegerType>(typeOf(value).getElementType());
  bool isLeaf = llvm::TypeSwitch<Operation *, bool>(op)
                    .Case([](WeightOp) { return true; })
                    .Case([](ConstantOp constant) {
                      return isa<DenseElementsAttr>(constant.getValue());
                    })
                    .Default([](Operation *) { return false; });
  if (isLeaf)
    return true;
  if (isa<CastOp, BitcastOp, ShiftRightOp>(op) && !isInteger)
    return false;
  if (auto shift = dyn_cast<ShiftRightOp>(op);
      shift && typeOf(shift.getRhs()).getNumElements() != 1)
    return false;
  if (auto slice = dyn_cast<SliceOp>(op);
      slice && (!slice.getStarts().empty() || !slice.getEnds().empty()))
    return false;
  return isa<BitcastOp, CastOp, ConcatOp, ReshapeOp, ShiftRightOp, SliceOp,
             TransposeOp>(op) &&
         llvm::all_of(op->getOperands(), isKnown);
}

/// What is left of an integer in as many bits as `element` has.
float wrap(int64_t number, Type element) {
  auto type = cast<IntegerType>(element);
  int64_t count = int64_t(1) << type.getWidth();
  int64_t rest = ((number % count) + count) % count;
  return type.isUnsigned() || rest < count / 2 ? rest : rest - count;
}

Numbers decode(StringRef bytes, Type element) {
  int64_t width = llvm::divideCeil(element.getIntOrFloatBitWidth(), 8);
  Numbers numbers(bytes.size() / width);
  for (auto [i, number] : llvm::enumerate(numbers)) {
    const char *at = bytes.data() + i * width;
    if (isa<IntegerType>(element)) {
      number = wrap(static_cast<uint8_t>(*at), element);
    } else if (element.isF32()) {
      std::memcpy(&number, at, sizeof(number));
    } else {
      uint16_t bits;
      std::memcpy(&bits, at, sizeof(bits));
      number = widenHalf(bits, cast<FloatType>(element));
    }
  }
  return numbers;
}

Numbers decode(DenseElementsAttr elements) {
  Numbers numbers;
  Type element = elements.getElementType();
  if (isa<FloatType>(element))
    for (const APFloat &number : elements.getValues<APFloat>())
      numbers.push_back(number.convertToDouble());
  else
    for (const APInt &number : elements.getValues<APInt>())
      numbers.push_back(wrap(number.getZExtValue(), element));
  return numbers;
}

/// The elements at `start[i] + at[i] · step[i]` of the input, for the sizes of
/// the result.
Numbers pick(const Numbers &input, ArrayRef<int64_t> sizes,
             ArrayRef<int64_t> steps, int64_t place) {
  int64_t count = 1;
  for (int64_t size : sizes)
    count *= size;
  Numbers result(count);
  SmallVector<int64_t> at(sizes.size(), 0);
  for (float &number : result) {
    number = input[place];
    for (int64_t dim = int64_t(sizes.size()) - 1; dim >= 0; --dim) {
      place += steps[dim];
      if (++at[dim] < sizes[dim])
        break;
      place -= sizes[dim] * steps[dim];
      at[dim] = 0;
    }
  }
  return result;
}

SmallVector<int64_t> stridesOf(RankedTensorType type) {
  SmallVector<int64_t> strides(type.getRank(), 1);
  for (int64_t dim = type.getRank() - 1; dim > 0; --dim)
    strides[dim - 1] = strides[dim] * type.getDimSize(dim);
  return strides;
}

/// Fails after an error.
FailureOr<Numbers> evaluate(Value value) {
  Operation *op = value.getDefiningOp();
  RankedTensorType type = typeOf(value);
  Type element = type.getElementType();
  if (auto weight = dyn_cast<WeightOp>(op)) {
    FailureOr<std::string> bytes = readBytes(weight);
    if (failed(bytes))
      return failure();
    return decode(*bytes, element);
  }
  if (auto constant = dyn_cast<ConstantOp>(op))
    return decode(cast<DenseElementsAttr>(constant.getValue()));
  SmallVector<Numbers> in;
  for (Value operand : op->getOperands()) {
    FailureOr<Numbers> numbers = evaluate(operand);
    if (failed(numbers))
      return failure();
    in.push_back(std::move(*numbers));
  }
  Numbers result =
      llvm::TypeSwitch<Operation *, Numbers>(op)
          .Case([&](ReshapeOp) { return in[0]; })
          .Case<CastOp, BitcastOp>([&](auto) {
            for (float &number : in[0])
              number = wrap(number, element);
            return in[0];
          })
          .Case([&](ShiftRightOp) {
            for (float &number : in[0])
              number = int64_t(number) >> int64_t(in[1][0]);
            return in[0];
          })
          .Case([&](TransposeOp transpose) {
            SmallVector<int64_t> strides =
                stridesOf(typeOf(transpose.getInput()));
            SmallVector<int64_t> steps;
            for (int64_t dim : transpose.getPermutation())
              steps.push_back(strides[dim]);
            return pick(in[0], type.getShape(), steps, 0);
          })
          .Case([&](SliceOp slice) {
            SmallVector<int64_t> steps = stridesOf(typeOf(slice.getInput()));
            int64_t place = 0;
            for (auto [dim, step] : llvm::enumerate(steps)) {
              int64_t size = typeOf(slice.getInput()).getDimSize(dim);
              int64_t start = slice.getStaticStarts()[dim];
              start = std::clamp<int64_t>(start < 0 ? start + size : start, 0,
                                          size);
              place += start * step;
              step *= slice.getSteps()[dim];
            }
            return pick(in[0], type.getShape(), steps, place);
          })
          .Case([&](ConcatOp concat) {
            // Blocks of the dimensions from the axis on, of one input after
            // another.
            int64_t leading = 1;
            for (int64_t size : type.getShape().take_front(concat.getAxis()))
              leading *= size;
            Numbers result;
            for (int64_t i = 0; i < leading; ++i)
              for (const Numbers &part : in) {
                int64_t width = int64_t(part.size()) / leading;
                result.insert(result.end(), part.begin() + i * width,
                              part.begin() + (i + 1) * width);
              }
            return result;
          });
  return result;
}

/// The weight that `value` holds in other sizes; null if it is none.
WeightOp getReshapedWeight(Value value) {
  while (auto reshape = value.getDefiningOp<ReshapeOp>())
    value = reshape.getInput();
  return value.getDefiningOp<WeightOp>();
}

/// The first weight that `value` is computed from, or null.
WeightOp findWeight(Value value) {
  Operation *op = value.getDefiningOp();
  if (auto weight = dyn_cast<WeightOp>(op))
    return weight;
  for (Value operand : op->getOperands())
    if (WeightOp weight = findWeight(operand))
      return weight;
  return nullptr;
}

/// Rewrites one op.
class Packer {
public:
  explicit Packer(DequantizeBlocksOp op) : op(op), b(op) {}

  LogicalResult pack() {
    for (Value operand : op->getOperands())
      if (!isKnown(operand))
        return success();
    FailureOr<Numbers> scale = evaluate(op.getScale());
    if (failed(scale))
      return failure();
    Numbers zero;
    if (op.getZeroPoint()) {
      FailureOr<Numbers> found = evaluate(op.getZeroPoint());
      if (failed(found))
        return failure();
      zero = std::move(*found);
    }
    FailureOr<Value> input = packInput(zero);
    if (failed(input))
      return failure();
    FailureOr<Value> scales = packFloats(op.getScale(), *scale, ".scales"),
                     zeros = Value();
    if (failed(scales))
      return failure();
    if (!zero.empty()) {
      zeros = packZeroPoints(zero);
      if (failed(zeros))
        return failure();
    }
    auto packed =
        DequantizeBlocksOp::create(b, op.getLoc(), op.getType(), *input,
                                   *scales, *zeros, op.getBlock(), bits);
    packed->setDiscardableAttrs(op->getDiscardableAttrDictionary());
    op.replaceAllUsesWith(packed.getOutput());
    op.erase();
    return success();
  }

private:
  int64_t paddedColumns() {
    return llvm::alignTo(op.getType().getDimSize(1), op.getBlock());
  }

  /// The input in unsigned integers and whole blocks, with zero points that go
  /// with it.
  FailureOr<Value> packInput(Numbers &zero) {
    Value input = op.getInput();
    int64_t rows = op.getType().getDimSize(0), columns = paddedColumns();
    bits = op.getBits();
    Type byte = b.getIntegerType(8, /*isSigned=*/false);
    auto wanted = RankedTensorType::get({rows, columns * bits / 8}, byte);
    if (WeightOp weight = getReshapedWeight(input);
        weight && input.getType() == wanted) {
      if (weight.getOutput().getType() == wanted)
        return Value(weight.getOutput());
      // Its bytes are those of the reshaped one.
      OpBuilder behind(b.getContext());
      behind.setInsertionPointAfter(weight);
      return Value(WeightOp::create(behind, weight.getLoc(), wanted,
                                    weight.getNameAttr(), weight.getFileAttr(),
                                    weight.getOffsetAttr())
                       .getOutput());
    }
    FailureOr<Numbers> found = evaluate(input);
    if (failed(found))
      return failure();
    Numbers numbers = std::move(*found);
    bool isSigned = !typeOf(input).getElementType().isUnsignedInteger();
    int64_t width = typeOf(input).getDimSize(1);
    if (bits == 4) {
      Numbers halves;
      for (float number : numbers) {
        halves.push_back(int64_t(number) & 15);
        halves.push_back(int64_t(number) >> 4);
      }
      numbers = std::move(halves);
      width *= 2;
    }
    auto [least, most] = std::minmax_element(numbers.begin(), numbers.end());
    // Zero points are bytes, too.
    bool isSmall = isSigned ? *least >= -8 && *most <= 7 : *most <= 15;
    bool isInteger = op.getZeroPoint() &&
                     isa<IntegerType>(getElementTypeOrSelf(op.getZeroPoint()));
    if (isSigned && isInteger)
      isSmall &= *std::min_element(zero.begin(), zero.end()) >= -8;
    bits = isSmall ? 4 : 8;
    float shift = !isSigned ? 0 : bits == 4 ? 8 : 128;
    if (isSigned && zero.empty())
      zero.push_back(0);
    for (float &point : zero)
      point += shift;
    std::vector<uint8_t> bytes(rows * columns * bits / 8);
    int64_t kept = op.getType().getDimSize(1);
    for (int64_t row = 0; row < rows; ++row)
      for (int64_t k = 0; k < kept; ++k) {
        auto number = static_cast<uint8_t>(numbers[row * width + k] + shift);
        int64_t at = row * columns + k;
        if (bits == 4)
          bytes[at / 2] |= number << 4 * (at % 2);
        else
          bytes[at] = number;
      }
    return derive(input, ".blocks",
                  RankedTensorType::get({rows, columns * bits / 8}, byte),
                  bytesOf(bytes));
  }

  /// In f16 if that is exact, else in f32; itself if it is that already.
  FailureOr<Value> packFloats(Value from, const Numbers &numbers,
                              StringRef suffix) {
    if (from.getDefiningOp<WeightOp>() && getElementTypeOrSelf(from).isF16())
      return from;
    FailureOr<WeightOp> derived = createDerivedFloats(
        b, op, nameOf(from) + suffix, typeOf(from).getShape(), numbers);
    if (failed(derived))
      return failure();
    return Value((*derived).getOutput());
  }

  /// One constant for all if they are equal, bytes if they are such.
  FailureOr<Value> packZeroPoints(const Numbers &zero) {
    bool isByte = llvm::all_of(zero, [](float point) {
      return point >= 0 && point <= 255 && point == std::floor(point);
    });
    Type byte = b.getIntegerType(8, /*isSigned=*/false);
    if (llvm::all_equal(zero)) {
      if (isByte && zero.front() == 0)
        return Value();
      auto type =
          RankedTensorType::get({}, isByte ? byte : Type(b.getF32Type()));
      auto value =
          isByte ? DenseElementsAttr::get(
                       type, APInt(8, static_cast<uint64_t>(zero.front())))
                 : DenseElementsAttr::get(type, zero.front());
      return Value(ConstantOp::create(b, op.getLoc(), type, value).getOutput());
    }
    Value from = op.getZeroPoint();
    if (!isByte)
      return packFloats(from, zero, ".zeros");
    std::vector<uint8_t> bytes(zero.begin(), zero.end());
    return derive(from, ".zeros", typeOf(from).clone(byte), bytesOf(bytes));
  }

  /// Of what new weights are called by.
  std::string nameOf(Value from) {
    WeightOp origin = findWeight(from);
    if (!origin)
      origin = findWeight(op.getInput());
    return origin ? origin.getName().str() : "blocks";
  }

  /// A weight with these bytes: `from` itself if it is that already.
  FailureOr<Value> derive(Value from, StringRef suffix, RankedTensorType type,
                          ArrayRef<char> bytes) {
    if (from.getType() == type && from.getDefiningOp<WeightOp>())
      return from;
    FailureOr<WeightOp> derived =
        createDerived(b, op, nameOf(from) + suffix, type, bytes);
    if (failed(derived))
      return failure();
    return Value((*derived).getOutput());
  }

  DequantizeBlocksOp op;
  OpBuilder b;
  int64_t bits = 8;
};

/// Whether `value` is dequantized in blocks, with rows and columns as they are
/// or swapped.
bool isOfBlocks(Value value) {
  if (auto transpose = value.getDefiningOp<TransposeOp>())
    value = transpose.getInput();
  return bool(value.getDefiningOp<DequantizeBlocksOp>());
}

struct PackBlockWeightsPass
    : impl::PackBlockWeightsPassBase<PackBlockWeightsPass> {
  void runOnOperation() override {
    // Nothing is read where nothing can be written.
    if (!getOperation()->hasAttr("tenon.derived_prefix"))
      return;
    // matmul(x, cast (dequantize_blocks q))  ->  matmul(x, dequantize_blocks q)
    // which computes in f32 all the same.
    getOperation().walk([](MatmulOp op) {
      auto cast = op.getRhs().getDefiningOp<CastOp>();
      if (cast && isOfBlocks(cast.getInput()))
        op.getRhsMutable().assign(cast.getInput());
    });
    SmallVector<DequantizeBlocksOp> ops;
    getOperation().walk([&](DequantizeBlocksOp op) { ops.push_back(op); });
    for (DequantizeBlocksOp op : ops)
      if (failed(Packer(op).pack()))
        return signalPassFailure();
  }
};

} // namespace
} // namespace tenon::graph
