// Stores chosen weights in eight bits or four. See Passes.td.
#include "DerivedWeights.h"
#include "tenon/Dialect/Graph/Transforms/Passes.h"
#include "llvm/ADT/bit.h"
#include "llvm/Support/Parallel.h"
#include <cmath>
#include <numeric>

using namespace mlir;

namespace tenon::graph {
#define GEN_PASS_DEF_QUANTIZEWEIGHTSPASS
#include "tenon/Dialect/Graph/Transforms/Passes.h.inc"

namespace {

/// A matrix as round(value / scale of its column).
struct Quantized {
  std::vector<int8_t> values;
  std::vector<float> scales;
};

Quantized quantize(ArrayRef<float> matrix, int64_t columns) {
  Quantized result{std::vector<int8_t>(matrix.size()),
                   std::vector<float>(columns)};
  for (size_t i = 0; i < matrix.size(); ++i) {
    float &scale = result.scales[i % columns];
    scale = std::max(scale, std::fabs(matrix[i]) / 127);
  }
  for (size_t i = 0; i < matrix.size(); ++i) {
    float scale = result.scales[i % columns];
    // Halves go to the even neighbour, as everywhere in ONNX.
    float rounded = scale > 0 ? std::nearbyint(matrix[i] / scale) : 0;
    result.values[i] = static_cast<int8_t>(std::clamp(rounded, -127.f, 127.f));
  }
  return result;
}

/// Rows in groups: element k of a row stands for (value - zero point) times a
/// scale, both of its group.
struct Grouped {
  int64_t rows, columns, group, bits;
  std::vector<uint8_t> values; ///< of whole groups, one element each
  std::vector<float> scales;
  std::vector<uint8_t> zeroPoints; ///< empty where all are 128
  int64_t groups() const { return llvm::divideCeil(columns, group); }
};

/// The nearest f16: scales are stored in it.
float roundToHalf(float number) {
  // Below 2^-14 the last place of an f16 is that of the sum with this.
  constexpr float least = 0x1p-14f, magic = 0x1.8p-1f;
  if (std::fabs(number) < least)
    return (number + magic) - magic;
  uint32_t bits = llvm::bit_cast<uint32_t>(number);
  bits += 0xfff + (bits >> 13 & 1);
  return llvm::bit_cast<float>(bits & ~0x1fffu);
}

/// The nearest integer, halves to even, of what is below 2^22.
float roundToInteger(float number) {
  constexpr float magic = 0x1.8p23f;
  return (number + magic) - magic;
}

/// How one group is quantized.
struct GroupChoice {
  float scale = 0, zeroPoint = 0;
};

/// A group and how much the square of each element's error counts. Values are
/// filled up with zeros, which every choice represents exactly.
struct WeightedGroup {
  static constexpr size_t lanes = 8;

  WeightedGroup(ArrayRef<float> group, ArrayRef<float> weights)
      : values(llvm::alignTo(group.size(), lanes)),
        importance(values.size(), 1) {
    llvm::copy(group, values.begin());
    llvm::copy(weights, importance.begin());
    for (float value : group) {
      low = std::min(low, value);
      high = std::max(high, value);
    }
  }

  /// Calls `add(lane, importance, value, rounded)` for all elements, where
  /// `rounded` is what integers without a zero point say. Sums in lanes become
  /// vectors, and do not depend on how long these are.
  template <typename Add>
  void visit(GroupChoice choice, float most, Add add) const {
    float inverse = choice.scale > 0 ? 1 / choice.scale : 0;
    float least = -choice.zeroPoint, largest = most - choice.zeroPoint;
    for (size_t i = 0; i < values.size(); i += lanes)
      for (size_t lane = 0; lane < lanes; ++lane) {
        float rounded = roundToInteger(values[i + lane] * inverse);
        rounded = std::min(std::max(rounded, least), largest);
        add(lane, importance[i + lane], values[i + lane], rounded);
      }
  }

  /// The sum of importance times squared error; nothing is above `most`.
  float error(GroupChoice choice, float most) const {
    float sums[lanes] = {};
    visit(choice, most,
          [&](size_t lane, float weight, float value, float rounded) {
            float error = rounded * choice.scale - value;
            sums[lane] += weight * error * error;
          });
    return std::accumulate(sums, sums + lanes, 0.f);
  }

  /// The scale with the least error for the integers of `choice`.
  float refitScale(GroupChoice choice, float most) const {
    float products[lanes] = {}, squares[lanes] = {};
    visit(choice, most,
          [&](size_t lane, float weight, float value, float rounded) {
            products[lane] += weight * rounded * value;
            squares[lane] += weight * rounded * rounded;
          });
    float square = std::accumulate(squares, squares + lanes, 0.f);
    float product = std::accumulate(products, products + lanes, 0.f);
    return square > 0 ? roundToHalf(product / square) : choice.scale;
  }

  SmallVector<float, 32> values, importance;
  float low = 0, high = 0; ///< of the range, which has zero in it
};

/// The choice with the least error of those that are tried.
struct BestChoice {
  GroupChoice choice;
  float error = std::numeric_limits<float>::infinity();

  bool take(const WeightedGroup &group, GroupChoice tried, float most) {
    float found = group.error(tried, most);
    if (!(found < error))
      return false;
    error = found;
    choice = tried;
    return true;
  }
};

/// Symmetric around 128: the whole range, and parts of it.
GroupChoice chooseEightBits(const WeightedGroup &group) {
  BestChoice best;
  float largest = std::max(-group.low, group.high);
  for (float part :
       {1.f, .975f, .95f, .925f, .9f, .875f, .85f, .8f, .75f, .7f, .65f, .6f})
    best.take(group, {roundToHalf(largest * part / 127), 128}, 255);
  return best.choice;
}

/// Every zero point that does not cut off much of the range, with scales from
/// the one that cuts off nothing downwards. Zero points are integers, so the
/// sixteen values rarely fit the range where it lies: often a scale above a
/// fifteenth of it loses less than cutting off an end. The scale is a grid's,
/// so at last it is fitted to the integers.
GroupChoice chooseFourBits(const WeightedGroup &group) {
  constexpr float most = 15, infinity = std::numeric_limits<float>::infinity();
  // In fifteenths of the range. Wider bounds and a finer step lower the error
  // by less than a thousandth.
  constexpr float leastScale = .75f, mostScale = 1.2f, step = .05f;
  constexpr float mostCovering = 1.5f;
  float fifteenth = (group.high - group.low) / most;
  BestChoice best;
  if (!(fifteenth > 0))
    return best.choice;
  for (float zeroPoint = 0; zeroPoint <= most; ++zeroPoint) {
    // Nothing is cut off from these on.
    float below = -group.low / fifteenth, above = group.high / fifteenth;
    below = below > 0 ? (zeroPoint > 0 ? below / zeroPoint : infinity) : 0;
    above = above > 0
                ? (zeroPoint < most ? above / (most - zeroPoint) : infinity)
                : 0;
    float covering = std::max(below, above);
    if (covering > mostCovering)
      continue;
    for (float scale = std::min(covering, mostScale); scale >= leastScale;
         scale -= step)
      best.take(group, {roundToHalf(scale * fifteenth), zeroPoint}, most);
  }
  auto refit = [&] {
    float scale = group.refitScale(best.choice, most);
    return best.take(group, {scale, best.choice.zeroPoint}, most);
  };
  for (int i = 0; i < 3 && refit(); ++i)
    ;
  return best.choice;
}

/// `importance` has a number for each column, or is empty: all are alike.
Grouped quantizeGroups(ArrayRef<float> matrix, int64_t rows, int64_t columns,
                       int64_t group, int64_t bits,
                       ArrayRef<float> importance) {
  Grouped result{rows, columns, group, bits, {}, {}, {}};
  int64_t groups = result.groups();
  result.values.resize(rows * groups * group);
  result.scales.resize(rows * groups);
  if (bits == 4)
    result.zeroPoints.resize(rows * groups);
  llvm::parallelFor(0, rows, [&](size_t row) {
    for (int64_t g = 0; g < groups; ++g) {
      int64_t begin = g * group, size = std::min(group, columns - begin);
      ArrayRef<float> values = matrix.slice(row * columns + begin, size);
      WeightedGroup weighted(values, importance.empty()
                                         ? importance
                                         : importance.slice(begin, size));
      GroupChoice choice =
          bits == 8 ? chooseEightBits(weighted) : chooseFourBits(weighted);
      result.scales[row * groups + g] = choice.scale;
      if (bits == 4)
        result.zeroPoints[row * groups + g] = choice.zeroPoint;
      float inverse = choice.scale > 0 ? 1 / choice.scale : 0;
      for (int64_t k = 0; k < size; ++k) {
        float rounded = roundToInteger(values[k] * inverse) + choice.zeroPoint;
        result.values[row * groups * group + begin + k] =
            std::clamp(rounded, 0.f, bits == 8 ? 255.f : 15.f);
      }
    }
  });
  return result;
}

struct QuantizeWeightsPass
    : impl::QuantizeWeightsPassBase<QuantizeWeightsPass> {
  void runOnOperation() override {
    SmallVector<MatmulOp> chosen;
    getOperation().walk([&](MatmulOp op) {
      auto format = op->getAttrOfType<StringAttr>("tenon.weights");
      if (format && format.getValue() != "f32")
        chosen.push_back(op);
    });
    for (MatmulOp op : chosen) {
      bool hasGroups = op->hasAttr("tenon.group");
      if (failed(hasGroups ? quantizeInGroups(op) : quantize(op)))
        return signalPassFailure();
    }
  }

private:
  static LogicalResult quantize(MatmulOp op) {
    FailureOr<WeightOp> found = findMatrix(op, "int8");
    if (failed(found) || !*found)
      return failure(failed(found));
    WeightOp weight = *found;
    auto type = cast<RankedTensorType>(op.getRhs().getType());
    FailureOr<std::vector<float>> matrix =
        readMatrix(weight, op.getTransposeRhs());
    if (failed(matrix))
      return failure();
    int64_t rows = type.getDimSize(op.getTransposeRhs() ? 1 : 0);
    int64_t columns = type.getDimSize(op.getTransposeRhs() ? 0 : 1);
    Quantized quantized = graph::quantize(*matrix, columns);

    OpBuilder b(op);
    Location loc = op.getLoc();
    FailureOr<WeightOp> values =
        createDerived(b, weight, ".int8",
                      RankedTensorType::get({rows, columns}, b.getI8Type()),
                      bytesOf(quantized.values));
    if (failed(values))
      return failure();
    FailureOr<WeightOp> scales = createDerived(
        b, weight, ".scales", RankedTensorType::get({columns}, b.getF32Type()),
        bytesOf(quantized.scales));
    if (failed(scales))
      return failure();
    op.getRhsMutable().assign((*values).getOutput());
    op.setTransposeRhs(false);
    b.setInsertionPointAfter(op);
    auto scaled = MulOp::create(b, loc, op.getType(), op.getOutput(),
                                (*scales).getOutput());
    scaled->setAttr("tenon.id", b.getStringAttr(idOf(op) + "/scales"));
    op.getOutput().replaceAllUsesExcept(scaled.getOutput(), scaled);
    op.emitRemark("weights in int8: ")
        << rows << "x" << columns << ", "
        << matrix->size() * type.getElementTypeBitWidth() / 8
        << " bytes before, " << quantized.values.size() + columns * 4
        << " after";
    return success();
  }

  /// The right operand, if it is a matrix of weights to be quantized; null if
  /// it is quantized already. Fails after an error.
  static FailureOr<WeightOp> findMatrix(MatmulOp op, StringRef format) {
    auto weight = op.getRhs().getDefiningOp<WeightOp>();
    auto type = cast<RankedTensorType>(op.getRhs().getType());
    if (type.getElementType().isInteger(8) ||
        op.getRhs().getDefiningOp<DequantizeBlocksOp>())
      return WeightOp(); // the module comes from after this pass
    if (!weight || type.getRank() != 2)
      return op.emitOpError("cannot have ")
             << format << " weights: its right operand is no matrix of weights";
    return weight;
  }

  /// How much errors of each contracted channel count; empty if nothing says
  /// so.
  static FailureOr<SmallVector<float>> readImportance(MatmulOp op,
                                                      int64_t channels) {
    Attribute attr = op->getAttr("tenon.importance");
    if (!attr)
      return SmallVector<float>();
    auto array = dyn_cast<DenseF32ArrayAttr>(attr);
    if (!array || array.size() != channels)
      return op.emitOpError("needs an array of ")
             << channels << " numbers of f32 as tenon.importance, one for each "
             << "contracted channel, but has " << attr;
    for (auto [channel, value] : llvm::enumerate(array.asArrayRef()))
      if (!(value >= 0) || std::isinf(value))
        return op.emitOpError("has tenon.importance ")
               << value << " of channel " << channel
               << ", which must be finite and not negative";
    return SmallVector<float>(array.asArrayRef());
  }

  static LogicalResult quantizeInGroups(MatmulOp op) {
    StringRef format =
        op->getAttrOfType<StringAttr>("tenon.weights").getValue();
    int64_t group = op->getAttrOfType<IntegerAttr>("tenon.group").getInt();
    FailureOr<WeightOp> found = findMatrix(op, format);
    if (failed(found) || !*found)
      return failure(failed(found));
    WeightOp weight = *found;
    // Columns of the product as rows.
    FailureOr<std::vector<float>> matrix =
        readMatrix(weight, !op.getTransposeRhs());
    if (failed(matrix))
      return failure();
    auto type = cast<RankedTensorType>(op.getRhs().getType());
    int64_t rows = type.getDimSize(op.getTransposeRhs() ? 0 : 1);
    int64_t columns = type.getDimSize(op.getTransposeRhs() ? 1 : 0);
    FailureOr<SmallVector<float>> importance = readImportance(op, columns);
    if (failed(importance))
      return failure();
    Grouped grouped = quantizeGroups(*matrix, rows, columns, group,
                                     format == "int4" ? 4 : 8, *importance);
    FailureOr<Value> blocks = createBlocks(op, weight, grouped);
    if (failed(blocks))
      return failure();
    if (op.getTransposeRhs())
      redirectLookUps(weight, *blocks);
    op.getRhsMutable().assign(*blocks);
    op.setTransposeRhs(true);
    return success();
  }

  /// The weights, the op that dequantizes them, and a remark.
  static FailureOr<Value> createBlocks(MatmulOp op, WeightOp weight,
                                       const Grouped &grouped) {
    // Where every reader of the weight finds it.
    OpBuilder b(op);
    b.setInsertionPointAfter(weight);
    StringRef name = weight.getName();
    Type byte = b.getIntegerType(8, /*isSigned=*/false);
    int64_t rows = grouped.rows, groups = grouped.groups();
    std::vector<uint8_t> bytes = grouped.values;
    if (grouped.bits == 4) {
      for (size_t i = 0; i < bytes.size() / 2; ++i)
        bytes[i] = grouped.values[2 * i] | grouped.values[2 * i + 1] << 4;
      bytes.resize(bytes.size() / 2);
    }
    int64_t width = int64_t(bytes.size()) / rows;
    FailureOr<WeightOp> values = createDerived(
        b, weight, grouped.bits == 4 ? ".int4" : ".int8",
        RankedTensorType::get({rows, width}, byte), bytesOf(bytes));
    FailureOr<WeightOp> scales = createDerivedFloats(
        b, weight, name + ".scales", {rows, groups}, grouped.scales);
    if (failed(values) || failed(scales))
      return failure();
    Value zeroPoint;
    if (grouped.bits == 8) {
      auto type = RankedTensorType::get({}, byte);
      zeroPoint = ConstantOp::create(
          b, op.getLoc(), type, DenseElementsAttr::get(type, APInt(8, 128)));
    } else {
      FailureOr<WeightOp> zeros = createDerived(
          b, weight, ".zeros", RankedTensorType::get({rows, groups}, byte),
          bytesOf(grouped.zeroPoints));
      if (failed(zeros))
        return failure();
      zeroPoint = (*zeros).getOutput();
    }
    auto type = RankedTensorType::get({rows, grouped.columns}, b.getF32Type());
    auto blocks = DequantizeBlocksOp::create(
        b, op.getLoc(), type, (*values).getOutput(), (*scales).getOutput(),
        zeroPoint, grouped.group, grouped.bits);
    blocks->setAttr("tenon.id", b.getStringAttr(idOf(op) + "/weights"));
    auto bytesOfType = [](Value value) {
      auto type = cast<RankedTensorType>(value.getType());
      return type.getNumElements() * type.getElementTypeBitWidth() / 8;
    };
    op.emitRemark("weights in int")
        << grouped.bits << " in groups of " << grouped.group << ": "
        << grouped.columns << "x" << rows << ", "
        << bytesOfType(weight.getOutput()) << " bytes before, "
        << bytesOfType((*values).getOutput()) +
               bytesOfType((*scales).getOutput()) + bytesOfType(zeroPoint)
        << " after";
    return Value(blocks.getOutput());
  }

  /// gather(w, i)  ->  cast (gather(blocks, i))
  static void redirectLookUps(WeightOp weight, Value blocks) {
    for (Operation *user :
         llvm::make_early_inc_range(weight.getOutput().getUsers())) {
      auto gather = dyn_cast<GatherOp>(user);
      if (!gather || gather.getInput() != weight.getOutput() ||
          gather.getAxis() != 0)
        continue;
      OpBuilder b(gather);
      auto type = cast<RankedTensorType>(gather.getType());
      auto found =
          GatherOp::create(b, gather.getLoc(), type.clone(b.getF32Type()),
                           blocks, gather.getIndices(), gather.getAxis());
      found->setDiscardableAttrs(gather->getDiscardableAttrDictionary());
      Value result = found;
      if (type != found.getType())
        result = CastOp::create(b, gather.getLoc(), type, result);
      gather.replaceAllUsesWith(result);
      gather.erase();
    }
  }

  static std::string idOf(MatmulOp op) {
    auto id = op->getAttrOfType<StringAttr>("tenon.id");
    return id ? id.str() : "";
  }
};

} // namespace
} // namespace tenon::graph
