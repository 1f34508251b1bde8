// Looks at regions of one linalg.generic.
#include "LoopNest.h"
#include "ScheduledRegion.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace tenon;
using namespace tenon::kernel;

bool tenon::isSizes(OpOperand *operand, linalg::GenericOp generic) {
  auto empty = operand->get().getDefiningOp<tensor::EmptyOp>();
  return empty && empty.getType().hasStaticShape() &&
         generic.isDpsInput(operand) &&
         generic.getMatchingBlockArgument(operand).use_empty();
}

namespace {

/// A coordinate, a constant, or a sum of multiples of coordinates.
bool isLinear(AffineExpr expr) {
  if (auto binary = dyn_cast<AffineBinaryOpExpr>(expr))
    return (expr.getKind() == AffineExprKind::Add ||
            expr.getKind() == AffineExprKind::Mul) &&
           isLinear(binary.getLHS()) && isLinear(binary.getRHS());
  return isa<AffineDimExpr, AffineConstantExpr>(expr);
}

/// Does the generic read single elements, at places that its coordinates
/// determine by sums and products, and write one at its own coordinates or
/// fixed ones, and is all it reads an input of the region or `reduced`?
bool isPlain(linalg::GenericOp generic, Value reduced) {
  for (OpOperand &operand : generic->getOpOperands())
    for (AffineExpr expr :
         generic.getMatchingIndexingMap(&operand).getResults())
      if (generic.isDpsInput(&operand)
              ? !isLinear(expr)
              : !isa<AffineDimExpr, AffineConstantExpr>(expr))
        return false;
  for (OpOperand *operand : generic.getDpsInputOperands()) {
    if (isSizes(operand, generic))
      continue;
    bool isReduced = reduced && operand->get() == reduced;
    if (isReduced ? !generic.getMatchingIndexingMap(operand).isIdentity()
                  : !getInput(operand->get()))
      return false;
  }
  auto readsOther = [](Operation *op) {
    return llvm::any_of(op->getOperands(), [](Value operand) {
      return isa<RankedTensorType>(operand.getType()) &&
             !isa<BlockArgument>(operand);
    });
  };
  return !generic.getBody()
              ->walk([&](Operation *op) {
                return readsOther(op) ? WalkResult::interrupt()
                                      : WalkResult::advance();
              })
              .wasInterrupted();
}

/// Are all loops parallel, and does the result not depend on what was there?
bool isElementwise(linalg::GenericOp generic) {
  return generic.getNumReductionLoops() == 0 &&
         generic.getRegionOutputArgs()[0].use_empty();
}

/// Whether a linear function of `dim` grows by one with it.
bool stepsByOne(AffineExpr expr, unsigned dim) {
  if (isa<AffineDimExpr>(expr))
    return true;
  auto sum = cast<AffineBinaryOpExpr>(expr);
  if (expr.getKind() != AffineExprKind::Add)
    return false;
  bool left = sum.getLHS().isFunctionOfDim(dim);
  return left != sum.getRHS().isFunctionOfDim(dim) &&
         stepsByOne(left ? sum.getLHS() : sum.getRHS(), dim);
}

} // namespace

std::optional<LoopNest> tenon::getLoopNest(RegionOp region) {
  if (region->getNumResults() != 1)
    return std::nullopt;
  LoopNest nest;
  Block &body = region.getBody().front();
  for (Operation &op : body.without_terminator()) {
    if (auto generic = dyn_cast<linalg::GenericOp>(op)) {
      if (generic->getNumResults() != 1 || nest.post)
        return std::nullopt;
      (nest.main ? nest.post : nest.main) = generic;
    } else if (!isa<linalg::FillOp, tensor::EmptyOp, tensor::DimOp,
                    tensor::ExtractSliceOp, arith::ConstantOp>(op)) {
      return std::nullopt;
    }
  }
  if (!nest.main || !isPlain(nest.main, nullptr))
    return std::nullopt;
  linalg::GenericOp last = nest.post ? nest.post : nest.main;
  if (body.getTerminator()->getOperand(0) != last.getResult(0))
    return std::nullopt;
  if (nest.main.getNumReductionLoops() == 0)
    return isElementwise(nest.main) && !nest.post ? std::optional(nest)
                                                  : std::nullopt;
  auto fill = nest.main.getOutputs()[0].getDefiningOp<linalg::FillOp>();
  if (!fill || !fill.getInputs()[0].getDefiningOp<arith::ConstantOp>())
    return std::nullopt;
  nest.initial = fill.getInputs()[0];
  if (nest.post && (!isPlain(nest.post, nest.main.getResult(0)) ||
                    !isElementwise(nest.post) ||
                    !nest.post.getIndexingMapsArray().back().isIdentity()))
    return std::nullopt;
  return nest;
}

std::optional<vector::CombiningKind>
tenon::findCombination(linalg::GenericOp reduction) {
  Block *body = reduction.getBody();
  Value total = body->getArguments().back();
  Operation *op = body->getTerminator()->getOperand(0).getDefiningOp();
  if (!op || op->getNumOperands() != 2 || !total.hasOneUse() ||
      !llvm::is_contained(op->getOperands(), total))
    return std::nullopt;
  using Kind = std::optional<vector::CombiningKind>;
  return llvm::TypeSwitch<Operation *, Kind>(op)
      .Case([](arith::AddIOp) { return vector::CombiningKind::ADD; })
      .Case([](arith::MaximumFOp) { return vector::CombiningKind::MAXIMUMF; })
      .Case([](arith::MinimumFOp) { return vector::CombiningKind::MINIMUMF; })
      .Case([](arith::MaxSIOp) { return vector::CombiningKind::MAXSI; })
      .Case([](arith::MinSIOp) { return vector::CombiningKind::MINSI; })
      .Case([](arith::MaxUIOp) { return vector::CombiningKind::MAXUI; })
      .Case([](arith::MinUIOp) { return vector::CombiningKind::MINUI; })
      .Default([](Operation *) { return std::nullopt; });
}

StringRef tenon::findVectorObstacle(linalg::GenericOp generic, unsigned dim) {
  for (OpOperand &operand : generic->getOpOperands()) {
    if (isSizes(&operand, generic))
      continue;
    Type element = getElementTypeOrSelf(operand.get().getType());
    if (!isa<Float32Type, Float16Type, BFloat16Type>(element) &&
        !element.isInteger(8) && !element.isInteger(16) &&
        !element.isInteger(32))
      return "an operand or the result has more than 32 bits or one";
    AffineMap map = generic.getMatchingIndexingMap(&operand);
    for (auto [position, expr] : llvm::enumerate(map.getResults()))
      if (expr.isFunctionOfDim(dim) &&
          (position + 1 != map.getNumResults() || !stepsByOne(expr, dim)))
        return "an operand is neither contiguous nor constant along a row";
  }
  Block *body = generic.getBody();
  auto isLocal = [&](Value value) {
    return value.getParentBlock() == body ||
           value.getDefiningOp<arith::ConstantOp>();
  };
  for (Operation &op : *body) {
    if (!llvm::all_of(op.getOperands(), isLocal))
      return "its body reads a size or other elements";
    if (auto index = dyn_cast<linalg::IndexOp>(op)) {
      if (index.getDim() == dim)
        return "its body depends on the place in a row";
    } else if (!isa<linalg::YieldOp, arith::ConstantOp>(op) &&
               (!OpTrait::hasElementwiseMappableTraits(&op) ||
                op.getNumResults() != 1 || op.getNumRegions() != 0)) {
      return "an op of its body has no form on vectors";
    }
  }
  return "";
}
