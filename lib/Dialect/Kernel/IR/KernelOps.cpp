// Verifiers of the kernel dialect.
#include "tenon/Dialect/Kernel/IR/KernelOps.h"
#include "mlir/Dialect/Utils/IndexingUtils.h"
#include "mlir/IR/PatternMatch.h"
#include "mlir/IR/TypeUtilities.h"
#include "llvm/Support/InterleavedRange.h"

using namespace mlir;
using namespace tenon::kernel;

#include "tenon/Dialect/Kernel/IR/KernelOpsEnums.cpp.inc"

#define GET_OP_CLASSES
#include "tenon/Dialect/Kernel/IR/KernelOps.cpp.inc"

static int64_t countDynamicSizes(TypeRange types) {
  int64_t count = 0;
  for (Type type : types)
    count += cast<ShapedType>(type).getNumDynamicDims();
  return count;
}

int64_t tenon::kernel::groupOf(LayoutKind layout) {
  switch (layout) {
  case LayoutKind::Rows:
  case LayoutKind::Panel32:
    return 1;
  case LayoutKind::Panel32x2:
    return 2;
  case LayoutKind::Panel32x4:
  case LayoutKind::Panel32x8: // bytes
    return 4;
  }
  llvm_unreachable("all layouts are handled");
}

LogicalResult WeightOp::verify() {
  auto source = dyn_cast<RankedTensorType>(getSource());
  if (!source || !source.hasStaticShape())
    return emitOpError("has source ")
           << getSource() << ", which is no static tensor";
  SmallVector<int64_t> sizes(source.getShape());
  if (getTransposed()) {
    if (sizes.size() < 2)
      return emitOpError("cannot transpose ")
             << source << ", which needs rank 2 or more";
    std::swap(sizes[sizes.size() - 1], sizes[sizes.size() - 2]);
  }
  Type from = source.getElementType(),
       to = getOutput().getType().getElementType();
  if (from != to && !(to.isBF16() && (from.isF32() || from.isF16())))
    return emitOpError("has elements of ")
           << to << ", but those of " << source << " can only become bf16, and "
           << "that from f32 or f16";
  if (getLayout() != LayoutKind::Rows) {
    if (sizes.size() != 2)
      return emitOpError("can lay out only matrices in panels, not ") << source;
    int64_t group = groupOf(getLayout());
    if (getLayout() == LayoutKind::Panel32x8) {
      if (!getTransposed())
        return emitOpError("lies in panel32x8, which needs a transposed "
                           "source, whose rows hold two elements in a byte");
      sizes[0] = llvm::alignTo(sizes[0], 16);
    }
    sizes = {llvm::divideCeil(sizes[1], 32), llvm::divideCeil(sizes[0], group),
             32};
    if (group > 1) {
      sizes.push_back(group);
      if (group * to.getIntOrFloatBitWidth() != 32)
        return emitOpError("has groups of ")
               << group << " elements of " << to << ", which are not 32 bits";
    }
  }
  auto wanted = RankedTensorType::get(sizes, to);
  if (getOutput().getType() != wanted)
    return emitOpError("has type ")
           << getOutput().getType() << ", but its layout gives " << wanted;
  return success();
}

LogicalResult ViewOp::verify() {
  int64_t dynamic = countDynamicSizes(getOutput().getType());
  if (static_cast<int64_t>(getSizes().size()) != dynamic)
    return emitOpError("has ")
           << getSizes().size() << " sizes for the " << dynamic
           << " dynamic dimensions of " << getOutput().getType();
  return success();
}

LogicalResult RegionOp::verify() {
  if (std::optional<ArrayRef<int64_t>> updates = getUpdates()) {
    if (updates->size() != getNumResults())
      return emitOpError("has ")
             << getNumResults() << " results, but says of " << updates->size()
             << " which input they update";
    for (auto [number, result] : llvm::zip(*updates, getResults()))
      if (number != -1 &&
          (number < 0 || number >= int64_t(getInputs().size()) ||
           getInputs()[number].getType() != result.getType()))
        return emitOpError("has a result of type ")
               << result.getType() << " that updates input " << number
               << ", which is none of that type";
  }
  int64_t dynamic = countDynamicSizes(getResultTypes());
  if (static_cast<int64_t>(getSizes().size()) != dynamic)
    return emitOpError("has ")
           << getSizes().size() << " sizes for the " << dynamic
           << " dynamic dimensions of its results";
  if (static_cast<bool>(getSchedule()) != static_cast<bool>(getGrid()))
    return emitOpError(
               "needs a schedule and a grid or neither, but has only a ")
           << (getSchedule() ? "schedule" : "grid");
  return success();
}

LogicalResult RegionOp::verifyRegions() {
  Block &block = getBody().front();
  SmallVector<Type> wanted;
  auto memref = [](Type type) {
    auto tensor = cast<RankedTensorType>(type);
    return MemRefType::get(tensor.getShape(), tensor.getElementType());
  };
  Type index = IndexType::get(getContext());
  bool scheduled = static_cast<bool>(getSchedule());
  for (Type type : getInputs().getTypes())
    wanted.push_back(scheduled ? Type(memref(type)) : type);
  if (scheduled)
    for (Type type : getResultTypes())
      wanted.push_back(memref(type));
  wanted.append(getIndices().size() + (scheduled ? 2 : 0), index);
  if (block.getArgumentTypes() != TypeRange(wanted))
    return emitOpError("has block arguments (")
           << block.getArgumentTypes() << "), but its form needs ("
           << TypeRange(wanted) << ")";
  auto yield = dyn_cast<YieldOp>(block.back());
  TypeRange yielded = scheduled ? TypeRange() : TypeRange(getResultTypes());
  if (!yield || yield.getOperandTypes() != yielded)
    return emitOpError("must end in a kernel.yield of (")
           << yielded << "), but ends in " << block.back().getName() << " of ("
           << block.back().getOperandTypes() << ")";
  return success();
}

LogicalResult ContractOp::verify() {
  if (!getScale()) {
    if (getZeroPoint() || getBits() || getBlock() || getOffset() ||
        getQuantizeLhs())
      return emitOpError("says how rhs is quantized, but has no scales");
    return success();
  }
  if (!getPacked() || !getBits() || !getBlock())
    return emitOpError(
        "has scales, but not packed weights with bits and block");
  int64_t bits = *getBits(), block = *getBlock();
  if ((bits != 4 && bits != 8) || block < 16 || !llvm::isPowerOf2_64(block))
    return emitOpError("has weights of ")
           << bits << " bits in blocks of " << block
           << ", but needs 4 or 8 and a power of two of at least 16";
  auto lhs = cast<RankedTensorType>(getLhs().getType());
  auto rhs = cast<RankedTensorType>(getRhs().getType());
  int64_t depth =
      lhs.getRank() < 2
          ? ShapedType::kDynamic
          : lhs.getDimSize(lhs.getRank() - (getTransposeLhs() ? 2 : 1));
  if (ShapedType::isDynamic(depth))
    return emitOpError("has scales, so that ")
           << lhs << " needs a known size that is contracted";
  bool isPanels = rhs.getRank() == 4 && rhs.hasStaticShape() &&
                  rhs.getDimSize(2) == 32 && rhs.getDimSize(3) == 4 &&
                  rhs.getElementType().isSignlessInteger(8);
  if (!isPanels || rhs.getDimSize(1) * 32 / bits <
                       int64_t(llvm::alignTo(llvm::alignTo(depth, block),
                                             bits == 4 ? 32 : 16)))
    return emitOpError("reads ")
           << rhs << ", which are no panels of " << bits << " bits for "
           << depth << " contracted elements";
  SmallVector<int64_t> wanted = {
      rhs.getDimSize(0), static_cast<int64_t>(llvm::divideCeil(depth, block)),
      32};
  for (Value parameter : {getScale(), getZeroPoint()})
    if (parameter && cast<RankedTensorType>(parameter.getType()).getShape() !=
                         ArrayRef(wanted))
      return emitOpError("has ")
             << parameter.getType() << " for its blocks, but needs sizes "
             << llvm::interleaved(wanted);
  return success();
}

LogicalResult DotOp::verify() {
  Type element = cast<VectorType>(getAcc().getType()).getElementType();
  bool addsFloats = getKind() == DotKind::BF16;
  if (isa<FloatType>(element) != addsFloats)
    return emitOpError("of ")
           << stringifyDotKind(getKind()) << " adds to lanes of "
           << (addsFloats ? "f32" : "i32") << ", not of " << element;
  return success();
}

ArrayRef<std::pair<int64_t, int64_t>>
MultiplyTilesOp::splitProducts(int64_t parts) {
  static constexpr std::pair<int64_t, int64_t> two[] = {
      {1, 1}, {1, 0}, {0, 0}, {0, 1}};
  static constexpr std::pair<int64_t, int64_t> three[] = {
      {2, 0}, {1, 0}, {1, 1}, {0, 1}, {0, 2}, {0, 0}};
  if (parts == 2)
    return two;
  return parts == 3 ? ArrayRef(three) : ArrayRef<std::pair<int64_t, int64_t>>();
}

LogicalResult MultiplyTilesOp::verify() {
  auto element = [](Value value) {
    return cast<MemRefType>(value.getType()).getElementType();
  };
  bool isFloat = getKind() == DotKind::BF16;
  Type lhs = element(getLhs()), rhs = element(getRhs()),
       acc = element(getAcc());
  if (getKind() == DotKind::U4S8 || lhs.isBF16() != isFloat ||
      rhs.isBF16() != isFloat || acc.isF32() != isFloat)
    return emitOpError("of ")
           << stringifyDotKind(getKind()) << " does not multiply " << lhs
           << " by " << rhs << " into " << acc;
  if (getSplit() && !isFloat)
    return emitOpError("of ") << stringifyDotKind(getKind())
                              << " is split, but only floats have parts";
  if (getSplit() && splitProducts(*getSplit()).empty())
    return emitOpError("is split into ")
           << *getSplit() << " parts, but needs 2 or 3";
  if (getRows() != 16 && getRows() != 32)
    return emitOpError("has ") << getRows() << " rows, but needs 16 or 32";
  return success();
}

LogicalResult AttentionOp::verify() {
  std::pair<Value, ArrayRef<int64_t>> all[] = {
      {getQuery(), getQueryLayout()},
      {getKey(), getKeyLayout()},
      {getValue(), getValueLayout()},
      {getOutput(), getOutputLayout()}};
  for (auto [value, layout] : all)
    if (cast<RankedTensorType>(value.getType()).getRank() != 4 ||
        layout.size() != 4 || !isPermutationVector(layout))
      return emitOpError("has ")
             << value.getType() << " in layout [" << llvm::interleaved(layout)
             << "], but needs a permutation of 4 dimensions";
  if (!getParameters())
    return success();
  auto isByte = [](Value value) {
    return getElementTypeOrSelf(value).isSignlessInteger(8);
  };
  if (getStarts() || !isByte(getQuery()) || !isByte(getKey()) ||
      !isByte(getValue()))
    return emitOpError("is quantized, so that it needs queries, keys and "
                       "values of i8 that are no caches, but found ")
           << getQuery().getType() << ", " << getKey().getType() << " and "
           << getValue().getType();
  return success();
}

LogicalResult AppendOp::verify() {
  auto input = cast<RankedTensorType>(getInput().getType());
  if (input.getRank() != 4 || getLayout().size() != 4 ||
      !isPermutationVector(getLayout()))
    return emitOpError("has ")
           << input << " in layout [" << llvm::interleaved(getLayout())
           << "], but needs a permutation of 4 dimensions";
  if (cast<RankedTensorType>(getCache().getType()).getRank() != 4)
    return emitOpError("needs a cache of rank 4, but found ")
           << getCache().getType();
  if (getOutput().getType() != getCache().getType())
    return emitOpError("has result type ")
           << getOutput().getType() << ", but its cache has "
           << getCache().getType();
  return success();
}

LogicalResult LinesOp::verify() {
  int64_t rank = cast<RankedTensorType>(getOutput().getType()).getRank();
  if (getAxis() < 0 || getAxis() >= rank)
    return emitOpError("has axis ")
           << getAxis() << " for a tensor of rank " << rank;
  return success();
}

LogicalResult LinesOp::verifyRegions() {
  auto type = cast<RankedTensorType>(getOutput().getType());
  auto line =
      RankedTensorType::get(type.getDimSize(getAxis()), type.getElementType());
  SmallVector<Type> wanted(type.getRank() - 1, IndexType::get(getContext()));
  wanted.push_back(line);
  Block &block = getBody().front();
  if (block.getArgumentTypes() != TypeRange(wanted))
    return emitOpError("has block arguments (")
           << block.getArgumentTypes() << "), but its lines need ("
           << TypeRange(wanted) << ")";
  auto yield = dyn_cast<YieldOp>(block.back());
  if (!yield || yield.getOperandTypes() != TypeRange(line))
    return emitOpError("must end in a kernel.yield of (") << line << ")";
  return success();
}

/// region(x) { yield x }  ->  x
LogicalResult RegionOp::canonicalize(RegionOp op, PatternRewriter &rewriter) {
  if (op.getSchedule() || op->getNumResults() != 1)
    return rewriter.notifyMatchFailure(op, "is scheduled or has more results");
  auto yield = cast<YieldOp>(op.getBody().front().back());
  auto argument = dyn_cast<BlockArgument>(yield.getValues()[0]);
  if (!argument)
    return rewriter.notifyMatchFailure(op, "computes its result");
  rewriter.replaceOp(op, op.getInputs()[argument.getArgNumber()]);
  return success();
}
