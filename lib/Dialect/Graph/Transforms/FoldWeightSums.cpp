// Computes when compiling what depends on weights only. See Passes.td.
#include "DerivedWeights.h"
#include "tenon/Dialect/Graph/Transforms/Passes.h"
#include "llvm/ADT/SetVector.h"
#include "llvm/ADT/TypeSwitch.h"
#include "llvm/ADT/bit.h"

using namespace mlir;

namespace tenon::graph {
#define GEN_PASS_DEF_FOLDWEIGHTSUMSPASS
#include "tenon/Dialect/Graph/Transforms/Passes.h.inc"

namespace {

/// Constants above are weights, as the text of a module must stay short.
constexpr int64_t mostConstantBytes = 1024;

RankedTensorType typeOf(Value value) {
  return cast<RankedTensorType>(value.getType());
}

/// Of integers of up to 32 bits, extended as their type says, or the bits of
/// f32, in row-major order.
using Words = std::vector<int32_t>;

bool isInWords(Type element) {
  return element.isF32() || element.isInteger(8) || element.isInteger(16) ||
         element.isSignlessInteger(32);
}

/// Calls `visit` with a number of the C++ type that elements are stored as.
template <typename Visit> void visitStorage(Type element, Visit visit) {
  bool isUnsigned = element.isUnsignedInteger();
  switch (element.getIntOrFloatBitWidth()) {
  case 8:
    return isUnsigned ? visit(uint8_t()) : visit(int8_t());
  case 16:
    return isUnsigned ? visit(uint16_t()) : visit(int16_t());
  default:
    return visit(int32_t());
  }
}

Words fromBytes(StringRef bytes, RankedTensorType type) {
  Words words;
  visitStorage(type.getElementType(), [&](auto number) {
    words.resize(bytes.size() / sizeof(number));
    for (auto [i, word] : llvm::enumerate(words)) {
      std::memcpy(&number, bytes.data() + i * sizeof(number), sizeof(number));
      word = number;
    }
  });
  return words;
}

/// What is left of words that are stored as `element`.
void narrow(Words &words, Type element) {
  visitStorage(element, [&](auto number) {
    for (int32_t &word : words)
      word = static_cast<decltype(number)>(word);
  });
}

std::vector<char> toBytes(const Words &words, RankedTensorType type) {
  int64_t width = type.getElementTypeBitWidth() / 8;
  std::vector<char> bytes(words.size() * width);
  for (size_t i = 0; i < words.size(); ++i)
    std::memcpy(&bytes[i * width], &words[i], width);
  return bytes;
}

/// The most operands of what is computed element by element.
constexpr size_t mostOperands = 3;

/// Where the elements of operands lie that a row of a result is made from.
struct Row {
  int64_t begin; ///< of the row in the result
  int64_t length;
  std::array<int64_t, mostOperands> offset, step; ///< steps are 0 or 1
};

/// Calls `visit` with each row, the last dimension, of a tensor of type
/// `result`, to which tensors of the other types broadcast.
template <typename Visit>
void forEachRow(RankedTensorType result, ArrayRef<RankedTensorType> operands,
                Visit visit) {
  int64_t rank = result.getRank();
  Row row{0, rank ? result.getShape().back() : 1, {}, {}};
  SmallVector<std::array<int64_t, mostOperands>> strides(
      std::max<int64_t>(rank, 1));
  for (auto [number, type] : llvm::enumerate(operands)) {
    int64_t step = 1, leading = rank - type.getRank();
    for (int64_t dim = type.getRank() - 1; dim >= 0; --dim) {
      if (type.getDimSize(dim) != 1)
        strides[leading + dim][number] = step;
      step *= type.getDimSize(dim);
    }
  }
  row.step = strides.back();
  SmallVector<int64_t> at(rank, 0);
  for (int64_t end = result.getNumElements(); row.begin < end;
       row.begin += row.length) {
    visit(row);
    for (int64_t dim = rank - 2; dim >= 0; --dim) {
      bool isLast = ++at[dim] == result.getDimSize(dim);
      for (size_t number = 0; number < operands.size(); ++number)
        row.offset[number] += strides[dim][number] * (isLast ? 1 - at[dim] : 1);
      if (!isLast)
        break;
      at[dim] = 0;
    }
  }
}

/// Values of tensors that depend on weights and constants alone.
class Evaluator {
public:
  /// Whether `value` can be computed.
  bool isKnown(Value value) {
    auto [entry, isNew] = known.try_emplace(value, false);
    if (!isNew)
      return entry->second;
    bool result = findKnown(value);
    known[value] = result;
    return result;
  }

  /// Fails after an error.
  FailureOr<Words> evaluate(Value value);

  /// The first weight that `value` is computed from, or null.
  static WeightOp findWeight(Value value) {
    Operation *op = value.getDefiningOp();
    if (auto weight = dyn_cast<WeightOp>(op))
      return weight;
    for (Value operand : op->getOperands())
      if (WeightOp weight = findWeight(operand))
        return weight;
    return nullptr;
  }

private:
  static bool isSum(Operation *op) {
    auto reduce = dyn_cast<ReduceOp>(op);
    return reduce && reduce.getKind() == ReductionKind::Sum &&
           typeOf(reduce.getInput()).getElementType().isInteger(32);
  }

  bool findKnown(Value value) {
    Operation *op = value.getDefiningOp();
    if (!op || !isa<RankedTensorType>(value.getType()) ||
        !typeOf(value).hasStaticShape() ||
        !isInWords(typeOf(value).getElementType()))
      return false;
    if (isa<WeightOp>(op))
      return true;
    if (auto constant = dyn_cast<ConstantOp>(op))
      return isa<DenseElementsAttr>(constant.getValue());
    if (auto conversion = dyn_cast<CastOp>(op)) {
      Type from = typeOf(conversion.getInput()).getElementType(),
           to = typeOf(value).getElementType();
      if (!isa<IntegerType>(from) || !(to.isInteger(32) || to.isF32()))
        return false;
    } else if (!isa<BitcastOp, XorOp, AddOp, SubOp, MulOp, DequantizeOp,
                    ReshapeOp, TransposeOp>(op) &&
               !isSum(op)) {
      return false;
    }
    return llvm::all_of(op->getOperands(),
                        [&](Value operand) { return isKnown(operand); });
  }

  Words apply(Operation *op, ArrayRef<Words> operands);

  llvm::DenseMap<Value, bool> known;
};

/// `combine` of the operands' elements for each element of the result.
template <typename Combine>
Words combineElements(Operation *op, ArrayRef<Words> operands,
                      Combine combine) {
  RankedTensorType type = typeOf(op->getResult(0));
  SmallVector<RankedTensorType> types =
      llvm::map_to_vector(op->getOperands(), typeOf);
  Words result(type.getNumElements());
  forEachRow(type, types, [&](const Row &row) {
    std::array<int32_t, mostOperands> in{};
    std::array<const int32_t *, mostOperands> from{};
    for (auto [number, words] : llvm::enumerate(operands))
      from[number] = words.data() + row.offset[number];
    for (int64_t i = 0; i < row.length; ++i) {
      for (size_t number = 0; number < operands.size(); ++number)
        in[number] = from[number][i * row.step[number]];
      result[row.begin + i] = combine(in);
    }
  });
  narrow(result, type.getElementType());
  return result;
}

/// As integers, which wrap, or as f32.
template <typename Function>
Words compute(Operation *op, ArrayRef<Words> operands, Function function) {
  bool isFloat = typeOf(op->getResult(0)).getElementType().isF32();
  return combineElements(op, operands, [&](const auto &in) {
    if (isFloat)
      return llvm::bit_cast<int32_t>(
          function(llvm::bit_cast<float>(in[0]), llvm::bit_cast<float>(in[1])));
    return int32_t(function(uint32_t(in[0]), uint32_t(in[1])));
  });
}

Words sum(ReduceOp op, const Words &input) {
  RankedTensorType type = typeOf(op.getInput()),
                   result = typeOf(op.getOutput());
  std::vector<uint32_t> sums(result.getNumElements());
  forEachRow(type, result, [&](const Row &row) {
    for (int64_t i = 0; i < row.length; ++i)
      sums[row.offset[0] + i * row.step[0]] += uint32_t(input[row.begin + i]);
  });
  return Words(sums.begin(), sums.end());
}

Words transpose(TransposeOp op, const Words &input) {
  // The result's elements in the order of the input's.
  RankedTensorType type = typeOf(op.getInput()),
                   result = typeOf(op.getOutput());
  SmallVector<int64_t> strides(type.getRank()), at(type.getRank(), 0);
  int64_t step = 1;
  for (int64_t dim = type.getRank() - 1; dim >= 0; --dim) {
    strides[op.getPermutation()[dim]] = step;
    step *= result.getDimSize(dim);
  }
  Words moved(input.size());
  for (int32_t word : input) {
    int64_t place = 0;
    for (auto [coordinate, stride] : llvm::zip(at, strides))
      place += coordinate * stride;
    moved[place] = word;
    for (int64_t dim = type.getRank() - 1; dim >= 0; --dim) {
      if (++at[dim] < type.getDimSize(dim))
        break;
      at[dim] = 0;
    }
  }
  return moved;
}

Words Evaluator::apply(Operation *op, ArrayRef<Words> operands) {
  return llvm::TypeSwitch<Operation *, Words>(op)
      .Case([&](CastOp) {
        bool isFloat = typeOf(op->getResult(0)).getElementType().isF32();
        return combineElements(op, operands, [&](const auto &in) {
          return isFloat ? llvm::bit_cast<int32_t>(float(in[0])) : in[0];
        });
      })
      .Case([&](BitcastOp) {
        return combineElements(op, operands,
                               [](const auto &in) { return in[0]; });
      })
      .Case([&](XorOp) {
        return combineElements(op, operands,
                               [](const auto &in) { return in[0] ^ in[1]; });
      })
      .Case([&](AddOp) {
        return compute(op, operands, [](auto x, auto y) { return x + y; });
      })
      .Case([&](SubOp) {
        return compute(op, operands, [](auto x, auto y) { return x - y; });
      })
      .Case([&](MulOp) {
        return compute(op, operands, [](auto x, auto y) { return x * y; });
      })
      .Case([&](DequantizeOp) {
        // Without a zero point it is 0.
        return combineElements(op, operands, [](const auto &in) {
          float value = float(int32_t(uint32_t(in[0]) - uint32_t(in[2])));
          return llvm::bit_cast<int32_t>(value * llvm::bit_cast<float>(in[1]));
        });
      })
      .Case([&](ReduceOp reduce) { return sum(reduce, operands[0]); })
      .Case([&](ReshapeOp) { return operands[0]; })
      .Case([&](TransposeOp op) { return transpose(op, operands[0]); });
}

FailureOr<Words> Evaluator::evaluate(Value value) {
  Operation *op = value.getDefiningOp();
  if (auto weight = dyn_cast<WeightOp>(op)) {
    FailureOr<std::string> bytes = readBytes(weight);
    if (failed(bytes))
      return failure();
    return fromBytes(*bytes, typeOf(value));
  }
  if (auto constant = dyn_cast<ConstantOp>(op)) {
    auto elements = cast<DenseElementsAttr>(constant.getValue());
    ArrayRef<char> raw = elements.getRawData();
    Words words = fromBytes(StringRef(raw.data(), raw.size()), typeOf(value));
    if (elements.isSplat())
      words.assign(elements.getNumElements(), words.front());
    return words;
  }
  SmallVector<Words> operands;
  for (Value operand : op->getOperands()) {
    FailureOr<Words> words = evaluate(operand);
    if (failed(words))
      return failure();
    operands.push_back(std::move(*words));
  }
  return apply(op, operands);
}

/// One dimension at most that is not 1.
bool isVector(RankedTensorType type) {
  return type.hasStaticShape() &&
         llvm::count_if(type.getShape(),
                        [](int64_t size) { return size != 1; }) <= 1;
}

struct FoldWeightSumsPass : impl::FoldWeightSumsPassBase<FoldWeightSumsPass> {
  void runOnOperation() override {
    // Nothing is read where nothing can be written.
    if (!getOperation()->hasAttr("tenon.derived_prefix"))
      return;
    llvm::SetVector<Operation *> found;
    getOperation().walk([&](Operation *op) {
      if (isWanted(op))
        found.insert(op);
    });
    for (Operation *op : found)
      if (!llvm::all_of(
              op->getUsers(),
              [&](Operation *user) { return found.contains(user); }) &&
          failed(fold(op)))
        return signalPassFailure();
  }

private:
  /// What is small, and weights whose signedness is not that of a product.
  /// Weights themselves only where they may be zero points, all 0.
  bool isWanted(Operation *op) {
    if (op->getNumResults() != 1 || isa<ConstantOp>(op) ||
        !evaluator.isKnown(op->getResult(0)))
      return false;
    RankedTensorType type = typeOf(op->getResult(0));
    if (isa<WeightOp>(op))
      return isVector(type) && isa<IntegerType>(type.getElementType());
    return isVector(type) || isa<XorOp>(op);
  }

  LogicalResult fold(Operation *op) {
    Value value = op->getResult(0);
    RankedTensorType type = typeOf(value);
    FailureOr<Words> words = evaluator.evaluate(value);
    if (failed(words))
      return failure();
    bool isSplat = !words->empty() && llvm::all_equal(*words);
    if (isa<WeightOp>(op) && !isSplat)
      return success();
    std::vector<char> bytes = toBytes(*words, type);
    OpBuilder b(op);
    WeightOp weight = Evaluator::findWeight(value);
    if (isSplat)
      bytes.resize(type.getElementTypeBitWidth() / 8);
    if (!weight || int64_t(bytes.size()) <= mostConstantBytes) {
      value.replaceAllUsesWith(
          ConstantOp::create(b, op->getLoc(), type,
                             DenseElementsAttr::getFromRawBuffer(type, bytes)));
      return success();
    }
    b.setInsertionPointAfter(weight);
    FailureOr<WeightOp> derived = createDerived(
        b, weight, ("." + op->getName().stripDialect()).str(), type, bytes);
    if (failed(derived))
      return failure();
    value.replaceAllUsesWith((*derived).getOutput());
    return success();
  }

  Evaluator evaluator;
};

} // namespace
} // namespace tenon::graph
