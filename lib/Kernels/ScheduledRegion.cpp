// What every family does alike: the second form of a region, ready for a body.
#include "ScheduledRegion.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/PatternMatch.h"

using namespace mlir;
using namespace tenon::kernel;

namespace tenon {

Value ScheduledRegion::output(unsigned number) const {
  return block->getArgument(RegionOp(op).getInputs().size() + number);
}

Value ScheduledRegion::argument(BlockArgument first) const {
  unsigned number = first.getArgNumber();
  if (first.getType().isIndex())
    number += RegionOp(op)->getNumResults(); // results' memrefs stand between
  return block->getArgument(number);
}

ScheduledRegion createScheduledRegion(RewriterBase &rewriter, Location loc,
                                      StringRef name, TypeRange results,
                                      ValueRange inputs, ValueRange indices,
                                      ValueRange sizes, Value grid,
                                      ScheduleAttr schedule,
                                      DenseI64ArrayAttr updates) {
  auto op =
      RegionOp::create(rewriter, loc, results, rewriter.getStringAttr(name),
                       inputs, indices, sizes, grid, schedule, updates);
  Block *block = rewriter.createBlock(&op.getBody());
  auto addMemRef = [&](Type type) {
    auto tensor = cast<RankedTensorType>(type);
    block->addArgument(
        MemRefType::get(tensor.getShape(), tensor.getElementType()), loc);
  };
  llvm::for_each(inputs.getTypes(), addMemRef);
  llvm::for_each(results, addMemRef);
  for (size_t i = 0; i < indices.size() + 2; ++i)
    block->addArgument(rewriter.getIndexType(), loc);
  rewriter.setInsertionPointToStart(block);
  return {op, block, block->getArgument(block->getNumArguments() - 2),
          block->getArguments().back()};
}

ScheduledRegion createScheduledRegion(RewriterBase &rewriter, RegionOp region,
                                      Value grid, ScheduleAttr schedule) {
  ScheduledRegion result = createScheduledRegion(
      rewriter, region.getLoc(), region.getName(), region.getResultTypes(),
      region.getInputs(), region.getIndices(), region.getSizes(), grid,
      schedule, region.getUpdatesAttr());
  result.op->setDiscardableAttrs(region->getDiscardableAttrDictionary());
  return result;
}

BlockArgument getInput(Value operand) {
  auto part = operand.getDefiningOp<tensor::ExtractSliceOp>();
  if (!part)
    return dyn_cast<BlockArgument>(operand);
  RankedTensorType type = part.getType();
  if (part.getSourceType().getRank() != type.getRank() || !part.hasUnitStride())
    return nullptr;
  for (int64_t dim = 0; dim < type.getRank(); ++dim) {
    if (ShapedType::isDynamic(part.getStaticOffsets()[dim]))
      return nullptr;
    if (!type.isDynamicDim(dim))
      continue;
    // Of these the whole is read.
    auto size = part.getDynamicSize(dim).getDefiningOp<tensor::DimOp>();
    if (part.getStaticOffsets()[dim] != 0 || !size ||
        size.getSource() != part.getSource() || size.getConstantIndex() != dim)
      return nullptr;
  }
  return dyn_cast<BlockArgument>(part.getSource());
}

ArrayRef<int64_t> getStarts(Value operand) {
  auto part = operand.getDefiningOp<tensor::ExtractSliceOp>();
  return part ? part.getStaticOffsets() : ArrayRef<int64_t>();
}

SmallVector<Value> getResultSizes(OpBuilder &builder, RegionOp region,
                                  unsigned number) {
  SmallVector<Value> sizes;
  size_t dynamic = 0;
  for (auto [i, type] : llvm::enumerate(region.getResultTypes()))
    for (int64_t size : cast<RankedTensorType>(type).getShape()) {
      Value value =
          ShapedType::isDynamic(size)
              ? region.getSizes()[dynamic++]
              : arith::ConstantIndexOp::create(builder, region.getLoc(), size)
                    .getResult();
      if (i == number)
        sizes.push_back(value);
    }
  return sizes;
}

} // namespace tenon
