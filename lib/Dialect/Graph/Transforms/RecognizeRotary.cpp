// Recognises rotary position embedding written out. See Passes.td.
#include "Matching.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "tenon/Analysis/SymbolicShapes.h"
#include "tenon/Dialect/Graph/Transforms/Passes.h"
#include "llvm/ADT/DenseMap.h"

using namespace mlir;

namespace tenon::graph {
#define GEN_PASS_DEF_RECOGNIZEROTARYPASS
#include "tenon/Dialect/Graph/Transforms/Passes.h.inc"

namespace {

RankedTensorType tensorType(Value value) {
  return cast<RankedTensorType>(value.getType());
}

bool isScalar(Value value) {
  return tensorType(value).getRank() == 0 && getSplat(value);
}

/// Tables of cosines and sines whose two halves are equal, and their halves.
/// Layers share tables, so each half is made once.
class Tables {
public:
  /// The first half along the last dimension; null if the halves may differ.
  Value getHalf(Value table);

private:
  Value makeHalf(Value table);
  /// `op` on half of its operand number `number`.
  Value halve(Operation *op, unsigned number);

  llvm::DenseMap<Value, Value> halves;
};

class Recognizer {
public:
  Recognizer(func::FuncOp function) : shapes(function) {}
  /// Where the sum is none but resembles one, the obstacle says why.
  LogicalResult recognize(AddOp op, Obstacle &obstacle);

private:
  /// Whether `value` is x rotated by half: concat(-x[half:], x[:half]).
  bool isRotated(Value value, Value x);
  /// Whether `value` is x[start, start + half) along the last dimension.
  bool isHalf(Value value, Value x, int64_t start);

  SymbolicShapes shapes;
  Tables tables;
};

} // namespace

Value Tables::getHalf(Value table) {
  auto [it, isNew] = halves.try_emplace(table);
  if (!isNew)
    return it->second;
  Value half = makeHalf(table);
  return halves[table] = half;
}

Value Tables::makeHalf(Value table) {
  Operation *op = table.getDefiningOp();
  int64_t size = tensorType(table).getRank() == 0
                     ? 0
                     : tensorType(table).getShape().back();
  if (!op || ShapedType::isDynamic(size) || size % 2 != 0)
    return nullptr;
  if (auto concat = dyn_cast<ConcatOp>(op)) {
    bool doubles = concat.getInputs().size() == 2 &&
                   concat.getInputs()[0] == concat.getInputs()[1] &&
                   concat.getAxis() == tensorType(table).getRank() - 1;
    return doubles ? concat.getInputs()[0] : Value();
  }
  if (isa<CosOp, SinOp, CastOp>(op))
    return halve(op, 0);
  if (isa<MulOp>(op))
    for (unsigned number : {0, 1})
      if (isScalar(op->getOperand(1 - number)))
        return halve(op, number);
  if (auto reshape = dyn_cast<ReshapeOp>(op)) {
    RankedTensorType from = tensorType(reshape.getInput());
    if (from.getRank() == 0 || from.getShape().back() != size)
      return nullptr;
    Value half = halve(op, 0);
    if (half) {
      auto halved = half.getDefiningOp<ReshapeOp>();
      SmallVector<int64_t> sizes(halved.getStaticSizes());
      // A size kept by a symbol is as static in the type.
      if (sizes.back() != size) {
        halved.erase();
        return nullptr;
      }
      sizes.back() = size / 2;
      halved.setStaticSizes(sizes);
    }
    return half;
  }
  return nullptr;
}

Value Tables::halve(Operation *op, unsigned number) {
  Value half = getHalf(op->getOperand(number));
  if (!half)
    return nullptr;
  OpBuilder builder(op);
  Operation *halved = builder.clone(*op);
  halved->setOperand(number, half);
  SmallVector<int64_t> sizes(tensorType(op->getResult(0)).getShape());
  sizes.back() /= 2;
  halved->getResult(0).setType(RankedTensorType::get(
      sizes, tensorType(op->getResult(0)).getElementType()));
  if (auto id = op->getAttrOfType<StringAttr>("tenon.id"))
    halved->setAttr("tenon.id", builder.getStringAttr(id.getValue() + ".half"));
  return halved->getResult(0);
}

bool Recognizer::isHalf(Value value, Value x, int64_t start) {
  auto slice = value.getDefiningOp<SliceOp>();
  if (!slice || slice.getInput() != x ||
      llvm::any_of(slice.getSteps(), [](int64_t step) { return step != 1; }))
    return false;
  const SymbolicSizes *input = shapes.getSizes(x);
  const SymbolicSizes *output = shapes.getSizes(value);
  if (!input || !output)
    return false;
  SymbolicSizes wanted = *input;
  wanted.back() = tensorType(x).getShape().back() / 2;
  if (*output != wanted)
    return false;
  for (auto [dim, mixed] : llvm::enumerate(slice.getMixedStarts())) {
    bool isLast = dim + 1 == wanted.size();
    if (shapes.getIndex(mixed) != SymbolicExpr(isLast ? start : 0))
      return false;
  }
  return true;
}

bool Recognizer::isRotated(Value value, Value x) {
  auto concat = value.getDefiningOp<ConcatOp>();
  int64_t last = tensorType(x).getRank() - 1;
  if (!concat || concat.getInputs().size() != 2 || concat.getAxis() != last)
    return false;
  auto neg = concat.getInputs()[0].getDefiningOp<NegOp>();
  int64_t half = tensorType(x).getDimSize(last) / 2;
  return neg && isHalf(neg.getInput(), x, half) &&
         isHalf(concat.getInputs()[1], x, 0);
}

/// Whether a table broadcasts over the heads: batch×1×S×D, or less in front.
static bool isSharedByHeads(Value table) {
  RankedTensorType type = tensorType(table);
  if (type.getRank() == 3)
    return type.getDimSize(0) == 1;
  return type.getRank() == 2 ||
         (type.getRank() == 4 && type.getDimSize(1) == 1);
}

/// Whether `value` is concat(-a, b), as what turns x by half is.
static bool isLikeRotated(Value value) {
  auto concat = value.getDefiningOp<ConcatOp>();
  return concat && concat.getInputs().size() == 2 &&
         concat.getInputs()[0].getDefiningOp<NegOp>();
}

LogicalResult Recognizer::recognize(AddOp op, Obstacle &obstacle) {
  auto type = tensorType(op);
  auto lhs = op.getLhs().getDefiningOp<MulOp>();
  auto rhs = op.getRhs().getDefiningOp<MulOp>();
  if (!lhs || !rhs)
    return failure();
  auto isTurned = [](MulOp mul) {
    return isLikeRotated(mul.getLhs()) || isLikeRotated(mul.getRhs());
  };
  if (!isTurned(lhs) && !isTurned(rhs))
    return failure();
  if (type.getRank() != 4)
    return obstacle.refuse("it is not of rank 4");
  if (type.isDynamicDim(3) || type.getDimSize(3) % 2 != 0)
    return obstacle.refuse("its last dimension has no even, fixed size");
  for (auto [straight, turned] : {std::pair(lhs, rhs), std::pair(rhs, lhs)})
    for (unsigned i : {0, 1})
      for (unsigned j : {0, 1}) {
        Value x = straight->getOperand(i), cosine = straight->getOperand(1 - i);
        Value sine = turned->getOperand(1 - j);
        if (x.getType() != type || !isRotated(turned->getOperand(j), x))
          continue;
        if (!isSharedByHeads(cosine) || !isSharedByHeads(sine))
          return obstacle.refuse("heads have tables of their own");
        if (tensorType(cosine).getShape().back() != type.getDimSize(3) ||
            tensorType(sine).getShape().back() != type.getDimSize(3))
          return obstacle.refuse(
              "a table is not as long as the last dimension");
        Value halfCosine = tables.getHalf(cosine);
        Value halfSine = tables.getHalf(sine);
        if (!halfCosine || !halfSine)
          return obstacle.refuse("the halves of a table may differ");
        OpBuilder builder(op);
        auto rotary =
            RotaryOp::create(builder, op.getLoc(), type, x, halfCosine,
                             halfSine, /*interleaved=*/false);
        rotary->setDiscardableAttrs(op->getDiscardableAttrDictionary());
        reportRecognized(rotary, "rotary");
        op.getOutput().replaceAllUsesWith(rotary.getOutput());
        op.erase();
        return success();
      }
  return obstacle.refuse("what the sines scale is not concat(-b, a) of the "
                         "halves a and b of what the cosines scale");
}

namespace {

struct RecognizeRotaryPass
    : impl::RecognizeRotaryPassBase<RecognizeRotaryPass> {
  void runOnOperation() override {
    Recognizer recognizer(getOperation());
    SmallVector<AddOp> sums(getOperation().getBody().front().getOps<AddOp>());
    for (AddOp sum : sums) {
      Obstacle obstacle;
      if (failed(recognizer.recognize(sum, obstacle)) &&
          !obstacle.reason().empty())
        reportNotRecognized(sum, "rotary", obstacle);
    }
  }
};

} // namespace
} // namespace tenon::graph
