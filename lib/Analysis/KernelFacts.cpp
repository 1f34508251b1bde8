// Walks the body of a region and counts.
#include "tenon/Analysis/KernelFacts.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "tenon/Dialect/Graph/IR/GraphOps.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace tenon::kernel;

namespace tenon {

using Sizes = SmallVector<SymbolicExpr>;
using MaybeSizes = std::optional<Sizes>;

static SymbolicExpr product(ArrayRef<SymbolicExpr> sizes) {
  SymbolicExpr result = 1;
  for (const SymbolicExpr &size : sizes)
    result = result * size;
  return result;
}

static int64_t elementBytes(Type tensor) {
  return (getElementTypeOrSelf(tensor).getIntOrFloatBitWidth() + 7) / 8;
}

/// Sizes of `type`, with those that it leaves open from `dynamic` in order.
static MaybeSizes completeSizes(Type type, ValueRange dynamic,
                                SymbolicIndices &indices) {
  Sizes sizes;
  auto next = dynamic.begin();
  for (int64_t size : cast<RankedTensorType>(type).getShape()) {
    if (!ShapedType::isDynamic(size)) {
      sizes.push_back(size);
      continue;
    }
    if (next == dynamic.end())
      return std::nullopt;
    std::optional<SymbolicExpr> expr = indices.get(*next++);
    if (!expr)
      return std::nullopt;
    sizes.push_back(*expr);
  }
  return sizes;
}

static bool isFlop(Operation &op) {
  if (op.getNumResults() != 1)
    return false;
  bool isFloat = isa<FloatType>(getElementTypeOrSelf(op.getResult(0)));
  if (auto compare = dyn_cast<arith::CmpFOp>(op))
    return true;
  return isFloat &&
         !isa<arith::ConstantOp, arith::SelectOp, arith::ExtFOp,
              arith::TruncFOp>(op) &&
         isa<arith::ArithDialect, math::MathDialect>(op.getDialect());
}

/// Instructions of lib/Target/CPU/VectorMath.cpp with AVX-512. A division takes
/// as long as more than four, but of a unit that others do not wait for.
static constexpr int64_t expSteps = 15, erfSteps = 20, tanhSteps = 22,
                         logSteps = 30, sineSteps = 30, divisionSteps = 4;

/// Vector instructions for one operation on elements.
static int64_t stepsOf(Operation &op) {
  if (op.getNumResults() != 1)
    return 0;
  Type type = getElementTypeOrSelf(op.getResult(0));
  // Sizes and indices are computed once for many elements.
  if (type.isIndex() || isa<arith::ConstantOp>(op))
    return 0;
  return llvm::TypeSwitch<Operation *, int64_t>(&op)
      .Case<math::ExpOp, math::Exp2Op>([](auto) { return expSteps; })
      .Case([](math::ErfOp) { return erfSteps; })
      .Case([](math::TanhOp) { return tanhSteps; })
      .Case([](math::LogOp) { return logSteps; })
      .Case<math::SinOp, math::CosOp>([](auto) { return sineSteps; })
      .Case([](math::PowFOp) { return expSteps + logSteps; })
      .Case<math::SqrtOp, math::RsqrtOp, arith::DivFOp>(
          [](auto) { return divisionSteps; })
      .Default([](Operation *other) {
        return isa<arith::ArithDialect, math::MathDialect>(other->getDialect())
                   ? 1
                   : 0;
      });
}

StringRef kindOf(RegionOp region) {
  StringRef kind = "move";
  region.getBody().walk([&](Operation *op) {
    StringRef found = llvm::TypeSwitch<Operation *, StringRef>(op)
                          .Case([](ContractOp) { return "product"; })
                          .Case([](AttentionOp) { return "attention"; })
                          .Case<NormOp, SoftmaxOp>([](auto) { return "norm"; })
                          .Default([](Operation *) { return ""; });
    if (!found.empty()) {
      kind = found; // the only anchor
      return WalkResult::interrupt();
    }
    if (isFlop(*op))
      kind = "elementwise";
    return WalkResult::advance();
  });
  return kind;
}

namespace {

/// Counts one body. Its tensors' sizes are found from those of its arguments.
class BodyCounter {
public:
  BodyCounter(RegionOp region, ArrayRef<Sizes> inputs, SymbolicIndices &outer)
      : region(region) {
    Block &block = region.getBody().front();
    size_t count = region.getInputs().size();
    for (size_t i = 0; i < count; ++i)
      sizes[block.getArgument(i)] = inputs[i];
    for (auto [i, index] : llvm::enumerate(region.getIndices()))
      if (std::optional<SymbolicExpr> expr = outer.get(index))
        indices.set(block.getArgument(count + i), *expr);
  }

  std::optional<KernelFacts> count() {
    for (Operation &op : region.getBody().front())
      if (!visit(op, facts.flops))
        return std::nullopt;
    for (BlockArgument argument : region.getBody().front().getArguments())
      if (isa<RankedTensorType>(argument.getType()))
        facts.readBytes = facts.readBytes + bytesRead(argument);
    return facts;
  }

private:
  bool visit(Operation &op, SymbolicExpr &flops) {
    MaybeSizes result =
        TypeSwitch<Operation *, MaybeSizes>(&op)
            .Case([&](ContractOp contract) { return visit(contract, flops); })
            .Case(
                [&](AttentionOp attention) { return visit(attention, flops); })
            .Case([&](AppendOp append) {
              facts.writtenBytes =
                  facts.writtenBytes +
                  product(sizes.at(append.getInput())) *
                      SymbolicExpr(elementBytes(append.getCache().getType()));
              unread.insert(append.getCache());
              return MaybeSizes(sizes.at(append.getCache()));
            })
            .Case([&](SoftmaxOp softmax) {
              const Sizes &input = sizes.at(softmax.getInput());
              flops = flops + SymbolicExpr(5) * product(input);
              countSoftmax(product(input));
              return MaybeSizes(input);
            })
            .Case([&](NormOp norm) { return visit(norm, flops); })
            .Case([&](linalg::GenericOp generic) {
              return visit(generic, flops);
            })
            .Case([&](LinesOp lines) {
              const Sizes &result = sizes.at(lines.getInit());
              visitBody(lines.getBody(), product(result), flops);
              return MaybeSizes(result);
            })
            .Case([&](linalg::FillOp fill) {
              return MaybeSizes(sizes.at(fill.getOutputs()[0]));
            })
            .Case([&](tensor::EmptyOp empty) {
              return completeSizes(empty.getType(), empty.getDynamicSizes(),
                                   indices);
            })
            .Case([&](tensor::ExtractSliceOp part) {
              MaybeSizes size =
                  completeSizes(part.getType(), part.getSizes(), indices);
              if (size)
                lookUps[part.getSource()].push_back(product(*size));
              return size;
            })
            .Case([&](tensor::DimOp dim) -> MaybeSizes {
              if (std::optional<int64_t> number = dim.getConstantIndex())
                indices.set(dim.getResult(),
                            sizes.at(dim.getSource())[*number]);
              return Sizes();
            })
            .Case([&](arith::ConstantOp constant) -> MaybeSizes {
              if (auto type = dyn_cast<RankedTensorType>(constant.getType()))
                return Sizes(type.getShape().begin(), type.getShape().end());
              return Sizes();
            })
            .Default([&](Operation *other) {
              return visitElementwise(*other, flops);
            });
    if (!result)
      return false;
    if (op.getNumResults() == 1)
      sizes[op.getResult(0)] = *result;
    return true;
  }

  /// Arithmetic on whole tensors, or on sizes; of other ops nothing is known.
  MaybeSizes visitElementwise(Operation &op, SymbolicExpr &flops) {
    if (op.getNumResults() == 0 ||
        !isa<RankedTensorType>(op.getResult(0).getType()))
      return Sizes();
    if (!OpTrait::hasElementwiseMappableTraits(&op))
      return std::nullopt;
    auto found = sizes.find(op.getOperand(0));
    if (found == sizes.end())
      return std::nullopt;
    if (isFlop(op))
      flops = flops + product(found->second);
    facts.steps =
        facts.steps + SymbolicExpr(stepsOf(op)) * product(found->second);
    return found->second;
  }

  /// Maximum, difference, exponential, sum, and what makes the sum one.
  void countSoftmax(const SymbolicExpr &elements) {
    facts.steps = facts.steps + SymbolicExpr(expSteps + 4) * elements;
  }

  /// Products of which both operands are narrow are computed narrow.
  void countProduct(Value lhs, Value rhs, const SymbolicExpr &operations) {
    facts.productFlops = facts.productFlops + operations;
    Type left = getElementTypeOrSelf(lhs), right = getElementTypeOrSelf(rhs);
    if (left.isBF16() && right.isBF16())
      facts.bf16Flops = facts.bf16Flops + operations;
    if (left.isInteger(8) && right.isInteger(8))
      facts.int8Ops = facts.int8Ops + operations;
  }

  MaybeSizes visit(ContractOp op, SymbolicExpr &flops) {
    const Sizes &lhs = sizes.at(op.getLhs());
    auto type = cast<RankedTensorType>(op.getOutput().getType());
    int64_t rank = type.getRank(), lhsRank = lhs.size();
    Sizes result;
    // Leading sizes are those of the operand that does not broadcast.
    const Sizes *rhs = op.getPacked() ? nullptr : &sizes.at(op.getRhs());
    for (int64_t dim = 0; dim + 2 < rank; ++dim) {
      auto at = [&](const Sizes *operand) -> std::optional<SymbolicExpr> {
        int64_t place = dim + int64_t(operand->size()) - rank;
        if (place < 0)
          return std::nullopt;
        return (*operand)[place];
      };
      std::optional<SymbolicExpr> left = at(&lhs);
      std::optional<SymbolicExpr> right = rhs ? at(rhs) : std::nullopt;
      bool useRight = right && (!left || *left == SymbolicExpr(1));
      result.push_back(useRight ? *right : *left);
    }
    result.push_back(lhs[lhsRank - (op.getTransposeLhs() ? 1 : 2)]);
    if (!type.isDynamicDim(rank - 1))
      result.push_back(type.getDimSize(rank - 1));
    else if (rhs)
      result.push_back((*rhs)[rhs->size() - (op.getTransposeRhs() ? 2 : 1)]);
    else
      return std::nullopt;
    SymbolicExpr depth = lhs[lhsRank - (op.getTransposeLhs() ? 2 : 1)];
    SymbolicExpr operations = SymbolicExpr(2) * product(result) * depth;
    flops = flops + operations;
    countProduct(op.getLhs(), op.getRhs(), operations);
    if (op.getQuantizeLhs())
      facts.int8Ops = facts.int8Ops + operations;
    return result;
  }

  MaybeSizes visit(AttentionOp op, SymbolicExpr &flops) {
    auto canonical = [&](Value value, ArrayRef<int64_t> layout) {
      const Sizes &stored = sizes.at(value);
      Sizes result;
      for (int64_t place : layout)
        result.push_back(stored[place]);
      return result;
    };
    Sizes query = canonical(op.getQuery(), op.getQueryLayout());
    Sizes key = canonical(op.getKey(), op.getKeyLayout());
    Sizes value = canonical(op.getValue(), op.getValueLayout());
    if (op.getLength()) {
      std::optional<SymbolicExpr> length = indices.get(op.getLength());
      if (!length)
        return std::nullopt;
      // Of a cache each row of the batch reads its own part.
      for (auto [cache, heads] :
           {std::pair(op.getKey(), &key), std::pair(op.getValue(), &value)}) {
        (*heads)[0] = query[0];
        (*heads)[2] = *length;
        facts.readBytes =
            facts.readBytes +
            product(*heads) * SymbolicExpr(elementBytes(cache.getType()));
        unread.insert(cache);
      }
    }
    if (op.getStarts()) {
      Type stored = getElementTypeOrSelf(op.getValue());
      value[3] =
          value[3] - SymbolicExpr(graph::AppendOp::getRowSize(0, stored));
    }
    SymbolicExpr scores = query[0] * query[1] * query[2] * key[2];
    flops = flops + SymbolicExpr(2) * scores * (query[3] + value[3]) +
            SymbolicExpr(5) * scores;
    // The weights of the values are of f32, whatever the values are, but for
    // attention of bytes.
    countProduct(op.getQuery(), op.getKey(),
                 SymbolicExpr(2) * scores * query[3]);
    SymbolicExpr weighting = SymbolicExpr(2) * scores * value[3];
    facts.productFlops = facts.productFlops + weighting;
    if (op.getParameters())
      facts.int8Ops = facts.int8Ops + weighting;
    countSoftmax(scores);
    Sizes result(4);
    Sizes output = {query[0], query[1], query[2], value[3]};
    for (auto [i, place] : llvm::enumerate(op.getOutputLayout()))
      result[place] = output[i];
    return result;
  }

  MaybeSizes visit(NormOp op, SymbolicExpr &flops) {
    const Sizes &input = sizes.at(op.getInput());
    // RMS: square, sum, product. Layer: sum, difference, square, sum, product.
    int64_t each = op.getRms() ? 3 : 5;
    each += bool(op.getScale()) + bool(op.getBias());
    flops = flops + SymbolicExpr(each) * product(input);
    facts.steps = facts.steps + SymbolicExpr(each) * product(input);
    return input;
  }

  MaybeSizes visit(linalg::GenericOp op, SymbolicExpr &flops) {
    std::optional<Sizes> space = iterationSpace(op);
    if (!space)
      return std::nullopt;
    visitBody(op.getRegion(), product(*space), flops);
    for (OpOperand *operand : op.getDpsInputOperands())
      elementwise.insert(operand->get());
    return sizes.at(op.getDpsInits()[0]);
  }

  /// Every op counts once for each of `elements`, loops or not.
  void visitBody(Region &body, const SymbolicExpr &elements,
                 SymbolicExpr &flops) {
    int64_t each = 0, steps = 0;
    body.walk([&](Operation *op) {
      each += isFlop(*op);
      steps += stepsOf(*op);
      if (auto extract = dyn_cast<tensor::ExtractOp>(op))
        lookUps[extract.getTensor()].push_back(elements);
    });
    flops = flops + SymbolicExpr(each) * elements;
    facts.steps = facts.steps + SymbolicExpr(steps) * elements;
  }

  /// The size of each loop, from an operand that it walks over.
  std::optional<Sizes> iterationSpace(linalg::GenericOp op) {
    SmallVector<std::optional<SymbolicExpr>> loops(op.getNumLoops());
    for (OpOperand &operand : op->getOpOperands()) {
      auto known = sizes.find(operand.get());
      if (known == sizes.end())
        continue;
      AffineMap map = op.getMatchingIndexingMap(&operand);
      for (auto [place, expr] : llvm::enumerate(map.getResults()))
        if (auto dim = dyn_cast<AffineDimExpr>(expr))
          if (!loops[dim.getPosition()])
            loops[dim.getPosition()] = known->second[place];
    }
    Sizes result;
    for (const std::optional<SymbolicExpr> &loop : loops) {
      if (!loop)
        return std::nullopt;
      result.push_back(*loop);
    }
    return result;
  }

  /// An input that is only looked up counts the elements that are.
  SymbolicExpr bytesRead(BlockArgument argument) {
    if (unread.contains(argument))
      return 0;
    if (!argument.use_empty() &&
        llvm::all_of(argument.getUsers(), llvm::IsaPred<CheckIndexOp>))
      return 0; // written, and that only once a run has failed
    SymbolicExpr whole = product(sizes.at(argument));
    auto found = lookUps.find(argument);
    if (found != lookUps.end() && !elementwise.contains(argument)) {
      SymbolicExpr read = 0;
      for (const SymbolicExpr &count : found->second)
        read = read + count;
      whole = SymbolicExpr::min(read, whole);
    }
    return whole * SymbolicExpr(elementBytes(argument.getType()));
  }

  RegionOp region;
  KernelFacts facts;
  SymbolicIndices indices;
  llvm::DenseMap<Value, Sizes> sizes;
  llvm::DenseMap<Value, SmallVector<SymbolicExpr>> lookUps;
  llvm::DenseSet<Value> elementwise;
  llvm::DenseSet<Value> unread; ///< not as a whole: counted where it is used
};

} // namespace

KernelFactsAnalysis::KernelFactsAnalysis(func::FuncOp function)
    : function(function) {}

std::optional<Sizes> KernelFactsAnalysis::sizesFrom(Type type,
                                                    ValueRange dynamic) {
  return completeSizes(type, dynamic, indices);
}

std::optional<Sizes> KernelFactsAnalysis::sizesOf(Value tensor) {
  if (auto view = tensor.getDefiningOp<ViewOp>())
    return sizesFrom(view.getType(), view.getSizes());
  if (auto region = tensor.getDefiningOp<RegionOp>()) {
    ValueRange dynamic = region.getSizes();
    for (OpResult result : region->getResults()) {
      auto type = cast<RankedTensorType>(result.getType());
      if (result == tensor)
        return sizesFrom(type, dynamic);
      dynamic = dynamic.drop_front(type.getNumDynamicDims());
    }
  }
  auto type = cast<RankedTensorType>(tensor.getType());
  if (type.hasStaticShape())
    return Sizes(type.getShape().begin(), type.getShape().end());
  auto argument = dyn_cast<BlockArgument>(tensor);
  if (!argument || argument.getOwner() != &function.front())
    return std::nullopt;
  auto dims = function.getArgAttrOfType<ArrayAttr>(argument.getArgNumber(),
                                                   "tenon.dims");
  Sizes sizes;
  for (int64_t dim = 0; dims && dim < type.getRank(); ++dim) {
    if (!type.isDynamicDim(dim))
      sizes.push_back(type.getDimSize(dim));
    else if (auto name = dyn_cast<StringAttr>(dims[dim]))
      sizes.push_back(SymbolicExpr::symbol(name.getValue()));
  }
  if (int64_t(sizes.size()) != type.getRank())
    return std::nullopt;
  return sizes;
}

std::optional<KernelFacts> KernelFactsAnalysis::get(RegionOp region) {
  SmallVector<Sizes> inputs;
  llvm::SmallDenseSet<Value> seen;
  SymbolicExpr twice = 0; // bytes of inputs that are the same value again
  for (Value input : region.getInputs()) {
    std::optional<Sizes> sizes = sizesOf(input);
    if (!sizes)
      return std::nullopt;
    if (!seen.insert(input).second)
      twice =
          twice + product(*sizes) * SymbolicExpr(elementBytes(input.getType()));
    inputs.push_back(*sizes);
  }
  std::optional<KernelFacts> facts =
      BodyCounter(region, inputs, indices).count();
  if (!facts)
    return std::nullopt;
  facts->readBytes = facts->readBytes - twice;
  for (OpResult output : region->getResults()) {
    std::optional<Sizes> sizes = sizesOf(output);
    if (!sizes)
      return std::nullopt;
    // Of what is updated the body says how much.
    if (region.getUpdates() &&
        (*region.getUpdates())[output.getResultNumber()] >= 0)
      continue;
    facts->writtenBytes =
        facts->writtenBytes +
        product(*sizes) * SymbolicExpr(elementBytes(output.getType()));
  }
  return facts;
}

} // namespace tenon
