// Verifiers of the plan dialect.
#include "tenon/Dialect/Plan/IR/PlanOps.h"
#include "mlir/Interfaces/FunctionInterfaces.h"

using namespace mlir;
using namespace tenon::plan;

#define GET_OP_CLASSES
#include "tenon/Dialect/Plan/IR/PlanOps.cpp.inc"

static LogicalResult verifySizes(Operation *op, ValueRange sizes, Type type) {
  int64_t dynamic = cast<MemRefType>(type).getNumDynamicDims();
  if (static_cast<int64_t>(sizes.size()) != dynamic)
    return op->emitOpError("has ")
           << sizes.size() << " sizes for the " << dynamic
           << " dynamic dimensions of " << type;
  return success();
}

LogicalResult SymbolOp::verify() {
  if (getMax() < getMin())
    return emitOpError("has an empty range ") << getMin() << " to " << getMax();
  if (getHint() && (*getHint() < getMin() || *getHint() > getMax()))
    return emitOpError("has hint ") << *getHint() << " outside its range "
                                    << getMin() << " to " << getMax();
  return success();
}

LogicalResult AllocOp::verify() {
  if (failed(verifySizes(*this, getSizes(), getBuffer().getType())))
    return failure();
  if (getId().has_value() != getBelow().has_value())
    return emitOpError("needs an id and a list of what lies below or neither, "
                       "but has only ")
           << (getId() ? "an id" : "a list");
  if (!getId())
    return success();
  DenseSet<int64_t> others;
  for (auto other : (*this)->getBlock()->getOps<AllocOp>())
    if (other != *this && other.getId())
      others.insert(*other.getId());
  if (others.contains(*getId()))
    return emitOpError("has id ") << *getId() << ", as another slice";
  ArrayRef<int64_t> listed = *getBelow();
  for (int64_t below : listed) {
    if (below >= static_cast<int64_t>(*getId()))
      return emitOpError("has id ") << *getId() << ", but lists " << below
                                    << " below it, which is not smaller";
    if (!others.contains(below))
      return emitOpError("lists ")
             << below << " below it, which is no slice of this function";
  }
  return success();
}

/// Pieces of the weights start where a cache line does.
static LogicalResult verifyPosition(Operation *op, int64_t position) {
  if (position < 0 || position % 64 != 0)
    return op->emitOpError("has position ")
           << position << ", which is no multiple of 64 from 0 on";
  return success();
}

LogicalResult ConstantOp::verify() {
  auto type = cast<ShapedType>(getValue().getType());
  auto wanted = MemRefType::get(type.getShape(), type.getElementType());
  if (getBuffer().getType() != wanted)
    return emitOpError("has type ")
           << getBuffer().getType() << ", but its value gives " << wanted;
  return getPosition() ? verifyPosition(*this, *getPosition()) : success();
}

LogicalResult WeightOp::verify() {
  if (failed(verifyPosition(*this, getPosition())))
    return failure();
  auto source = dyn_cast<RankedTensorType>(getSource());
  if (!source || !source.hasStaticShape())
    return emitOpError("has source ")
           << getSource() << ", which is no static tensor";
  auto type = cast<MemRefType>(getBuffer().getType());
  Type from = source.getElementType(), to = type.getElementType();
  bool isRounded = to.isBF16() && (from.isF32() || from.isF16());
  if (!type.hasStaticShape() || (from != to && !isRounded))
    return emitOpError("has type ")
           << type << ", which is no static buffer of " << from;
  return success();
}

LogicalResult ViewOp::verify() {
  auto input = cast<MemRefType>(getInput().getType());
  auto output = cast<MemRefType>(getOutput().getType());
  if (failed(verifySizes(*this, getSizes(), output)))
    return failure();
  if (input.getElementType() != output.getElementType())
    return emitOpError("views elements of ")
           << input.getElementType() << " as " << output.getElementType();
  if (input.hasStaticShape() && output.hasStaticShape() &&
      input.getNumElements() != output.getNumElements())
    return emitOpError("views ") << input.getNumElements() << " elements as "
                                 << output.getNumElements();
  return success();
}

LogicalResult OutputOp::verify() {
  if (failed(verifySizes(*this, getSizes(), getBuffer().getType())))
    return failure();
  if (!getCounted().empty() &&
      failed(verifySizes(*this, getCounted(), getBuffer().getType())))
    return failure();
  auto argument = dyn_cast<BlockArgument>(getBuffer());
  auto function = dyn_cast<FunctionOpInterface>((*this)->getParentOp());
  if (!argument || !function ||
      !function.getArgAttr(argument.getArgNumber(), "tenon.output"))
    return emitOpError(
        "needs an argument of the function with the attribute tenon.output");
  return success();
}

Value tenon::plan::getRoot(Value buffer) {
  while (auto view = buffer.getDefiningOp<ViewOp>())
    buffer = view.getInput();
  return buffer;
}

/// How many of the last buffers it writes; all where it does not say.
static size_t countWritten(LaunchOp launch) {
  auto results = launch->getAttrOfType<IntegerAttr>("tenon.results");
  size_t all = launch.getBuffers().size();
  return results ? std::min<size_t>(results.getInt(), all) : all;
}

void tenon::plan::addUses(LaunchOp launch, DenseSet<Value> &read,
                          DenseSet<Value> &written) {
  size_t results = countWritten(launch);
  for (Value buffer : launch.getBuffers().drop_back(results))
    read.insert(getRoot(buffer));
  for (Value buffer : launch.getBuffers().take_back(results))
    written.insert(getRoot(buffer));
}

bool tenon::plan::isIndependent(LaunchOp launch, const DenseSet<Value> &read,
                                const DenseSet<Value> &written) {
  DenseSet<Value> ownRead, ownWritten;
  addUses(launch, ownRead, ownWritten);
  return llvm::none_of(ownRead,
                       [&](Value root) { return written.contains(root); }) &&
         llvm::none_of(ownWritten, [&](Value root) {
           return written.contains(root) || read.contains(root);
         });
}

LogicalResult LaunchOp::verifySymbolUses(SymbolTableCollection &symbols) {
  auto function = symbols.lookupNearestSymbolFrom<FunctionOpInterface>(
      *this, getKernelAttr());
  if (!function)
    return emitOpError("launches ")
           << getKernelAttr() << ", which is no function";
  if (!function->hasAttr("tenon.kernel"))
    return emitOpError("launches ")
           << getKernelAttr() << ", which has no attribute tenon.kernel";
  // Emit gives kernels their C signature before it rewrites launches.
  auto type = dyn_cast<FunctionType>(function.getFunctionType());
  if (!type)
    return success();
  SmallVector<Type> wanted(getBuffers().getTypes());
  wanted.append(getIndices().size() + 2, IndexType::get(getContext()));
  if (type.getInputs() != ArrayRef<Type>(wanted) || type.getNumResults() != 0)
    return emitOpError("launches ")
           << getKernelAttr() << " of type " << type << ", but passes ("
           << TypeRange(wanted) << ")";
  return success();
}

LogicalResult SectionOp::verifyRegions() {
  DenseSet<Value> read, written;
  for (Operation &op : getBody().front()) {
    auto launch = dyn_cast<LaunchOp>(op);
    if (!launch)
      return op.emitOpError("stands in a section, which holds launches only");
    if (!isIndependent(launch, read, written))
      return launch.emitOpError(
          "needs another launch of its section to be done "
          "before or after it");
    addUses(launch, read, written);
  }
  return success();
}

LogicalResult CopyOp::verify() {
  auto source = cast<MemRefType>(getSource().getType());
  auto target = cast<MemRefType>(getTarget().getType());
  if (source != target)
    return emitOpError("copies ")
           << source << " into " << target << ", but both must have one type";
  return success();
}
