// What every family does alike: the second form of a region, ready for a body.
#include "ScheduledRegion.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
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

ScheduledRegion createScheduledRegion(RewriterBase &rewriter, RegionOp region,
                                      Value grid, ScheduleAttr schedule) {
  Location loc = region.getLoc();
  auto op = RegionOp::create(rewriter, loc, region.getResultTypes(),
                             region.getName(), region.getInputs(),
                             region.getIndices(), region.getSizes(), grid,
                             schedule, region.getUpdatesAttr());
  op->setDiscardableAttrs(region->getDiscardableAttrDictionary());
  Block *block = rewriter.createBlock(&op.getBody());
  auto addMemRef = [&](Type type) {
    auto tensor = cast<RankedTensorType>(type);
    block->addArgument(
        MemRefType::get(tensor.getShape(), tensor.getElementType()), loc);
  };
  llvm::for_each(region.getInputs().getTypes(), addMemRef);
  llvm::for_each(region.getResultTypes(), addMemRef);
  for (size_t i = 0; i < region.getIndices().size() + 2; ++i)
    block->addArgument(rewriter.getIndexType(), loc);
  rewriter.setInsertionPointToStart(block);
  return {op, block, block->getArgument(block->getNumArguments() - 2),
          block->getArguments().back()};
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
