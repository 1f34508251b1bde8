// Reads regions around a kernel.contract.
#include "ContractRegion.h"
#include "VectorBody.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

using namespace mlir;
using namespace tenon;
using namespace tenon::kernel;

ContractOp tenon::findContract(RegionOp region) {
  for (Operation &op : region.getBody().front())
    if (auto contract = dyn_cast<ContractOp>(op))
      return contract;
  return nullptr;
}

static Type elementOf(Value tensor) {
  return cast<RankedTensorType>(tensor.getType()).getElementType();
}

bool tenon::multipliesBytes(ContractOp op) {
  return elementOf(op.getLhs()).isInteger(8) &&
         elementOf(op.getRhs()).isInteger(8) &&
         elementOf(op.getOutput()).isInteger(32);
}

int64_t tenon::groupOf(ContractOp op) {
  auto type = cast<RankedTensorType>(op.getRhs().getType());
  return op.getPacked() && type.getRank() == 4 ? type.getDimSize(3) : 1;
}

static LogicalResult checkTypes(ContractOp op) {
  Type type = elementOf(op.getOutput());
  bool isBytes = multipliesBytes(op);
  for (Value operand : {op.getLhs(), op.getRhs()}) {
    Type found = elementOf(operand);
    // Packed weights may be bytes, which are widened in registers, as floats
    // of 16 bits are.
    bool isByte =
        operand == op.getRhs() && op.getPacked() && found.isInteger(8);
    bool isWidened = isa<Float16Type, BFloat16Type>(found) || isByte;
    if ((found != type && !(isWidened && type.isF32()) && !isBytes) ||
        !type.isIntOrFloat() || type.isInteger(1) || type.isF16() ||
        type.isBF16())
      return op.emitOpError("multiplies ")
             << operand.getType() << " into " << op.getOutput().getType()
             << ", but operands and result must have one element type, or the "
                "result f32, or i32 where both operands have i8";
  }
  if (op.getScale())
    return success(); // in groups, whatever is multiplied
  int64_t wanted =
      isBytes                                                              ? 4
      : elementOf(op.getLhs()).isBF16() && elementOf(op.getRhs()).isBF16() ? 2
                                                                           : 1;
  if (op.getPacked() && groupOf(op) != wanted)
    return op.emitOpError("reads ")
           << op.getRhs().getType() << " in groups of " << groupOf(op)
           << ", but multiplies groups of " << wanted;
  return success();
}

FailureOr<Contraction> tenon::analyzeContraction(RegionOp region) {
  Contraction result{findContract(region), nullptr, {}, {}};
  result.lhs = dyn_cast<BlockArgument>(result.op.getLhs());
  result.rhs = dyn_cast<BlockArgument>(result.op.getRhs());
  if (!llvm::all_of(result.op->getOperands(), llvm::IsaPred<BlockArgument>))
    return result.op.emitOpError("must read inputs of its region");
  if (failed(checkTypes(result.op)))
    return failure();
  Value last = result.op.getOutput();
  for (Operation &op : region.getBody().front()) {
    if (isa<ContractOp, YieldOp, tensor::EmptyOp, tensor::DimOp,
            arith::ConstantOp>(op))
      continue;
    auto generic = dyn_cast<linalg::GenericOp>(op);
    if (!generic || result.epilogue)
      return op.emitOpError("cannot stand beside a kernel.contract");
    result.epilogue = generic;
    last = generic->getResult(0);
  }
  Operation *yield = region.getBody().front().getTerminator();
  if (region.getNumResults() != 1 || yield->getOperand(0) != last)
    return region.emitOpError("has ")
           << region.getNumResults()
           << " results, but a contract yields one, the last value computed";
  auto output = cast<RankedTensorType>(last.getType());
  if (output.getElementType().isInteger(1))
    return region.emitOpError("cannot write ") << output << " by vectors";
  if (linalg::GenericOp generic = result.epilogue) {
    if (generic.getNumDpsInits() != 1 ||
        generic.getNumParallelLoops() != generic.getNumLoops() ||
        !generic.getIndexingMapsArray().back().isIdentity() ||
        !generic.getBody()->getArguments().back().use_empty())
      return generic.emitOpError(
          "is no elementwise epilogue of a kernel.contract");
    for (OpOperand *input : generic.getDpsInputOperands()) {
      AffineMap map = generic.getMatchingIndexingMap(input);
      bool readable =
          input->get() == result.op.getOutput()
              ? map.isIdentity()
              : (isa<BlockArgument>(input->get()) ||
                 constantScalar(input->get())) &&
                    llvm::all_of(
                        map.getResults(),
                        llvm::IsaPred<AffineDimExpr, AffineConstantExpr>);
      if (!readable)
        return generic.emitOpError("reads operand ")
               << input->getOperandNumber() << " through "
               << AffineMapAttr::get(map) << ", which an epilogue cannot";
    }
    for (Operation &op : *generic.getBody()) {
      if (!isa<arith::ConstantOp, linalg::YieldOp>(op) &&
          !OpTrait::hasElementwiseMappableTraits(&op))
        return op.emitOpError("cannot run on vectors in an epilogue");
      for (Value operand : op.getOperands())
        if (operand.getParentBlock() != generic.getBody() &&
            !constantScalar(operand) && !isa<BlockArgument>(operand))
          return op.emitOpError("reads a value outside of its epilogue");
    }
  }
  return result;
}

Value tenon::batchOffset(TileBuilder &t, ArrayRef<Value> operandSizes,
                         ArrayRef<Value> coordinates) {
  SmallVector<Value> strides = t.strides(operandSizes);
  size_t leading = operandSizes.size() - 2;
  Value offset = t.index(0);
  for (size_t dim = 0; dim < leading; ++dim) {
    Value coordinate = coordinates[coordinates.size() - leading + dim];
    Value single = t.equal(operandSizes[dim], t.index(1));
    Value used = t.b.createOrFold<arith::SelectOp>(t.loc, single, t.index(0),
                                                   coordinate);
    offset = t.add(offset, t.mul(used, strides[dim]));
  }
  return offset;
}

FlatMatrix tenon::matrixOf(TileBuilder &t, Value memref, bool transposed,
                           ArrayRef<Value> batch) {
  SmallVector<Value> sizes = t.sizes(memref);
  Value offset = batch.empty() ? t.index(0) : batchOffset(t, sizes, batch);
  FlatMatrix matrix{t.flatten(memref), offset, sizes.back(), t.index(1)};
  if (transposed)
    std::swap(matrix.row, matrix.column);
  return matrix;
}

Value tenon::buildEpilogue(TileBuilder &t, Contraction contraction,
                           function_ref<Value(Value)> buffer, Value value,
                           ArrayRef<Value> coordinates) {
  linalg::GenericOp generic = contraction.epilogue;
  if (!generic)
    return value;
  SmallVector<Value> arguments;
  for (OpOperand *input : generic.getDpsInputOperands()) {
    if (input->get() == contraction.op.getOutput()) {
      arguments.push_back(value);
    } else if (TypedAttr scalar = constantScalar(input->get())) {
      arguments.push_back(arith::ConstantOp::create(t.b, t.loc, scalar));
    } else {
      SmallVector<Value> position;
      for (AffineExpr expr : generic.getMatchingIndexingMap(input).getResults())
        if (auto dim = dyn_cast<AffineDimExpr>(expr))
          position.push_back(coordinates[dim.getPosition()]);
        else
          position.push_back(
              t.index(cast<AffineConstantExpr>(expr).getValue()));
      arguments.push_back(
          memref::LoadOp::create(t.b, t.loc, buffer(input->get()), position));
    }
  }
  return cloneOnScalars(t, generic, arguments, buffer);
}
