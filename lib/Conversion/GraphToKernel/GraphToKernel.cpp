// Converts graph to kernel, op by op in the order of the function. See
// Passes.td; the bodies are in the file of each op family.
#include "GraphToKernel.h"
#include "Signless.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/Matchers.h"
#include "tenon/Analysis/SymbolicShapes.h"
#include "tenon/Conversion/Passes.h"
#include "llvm/ADT/SetVector.h"

using namespace mlir;

namespace tenon {
#define GEN_PASS_DEF_CONVERTGRAPHTOKERNELPASS
#include "tenon/Conversion/Passes.h.inc"

Sizes GraphToKernel::sizesOf(Value value) {
  auto it = sizes.find(value);
  if (it != sizes.end())
    return it->second;
  Sizes result;
  for (int64_t size : cast<RankedTensorType>(value.getType()).getShape())
    result.push_back(index(size));
  return result;
}

void GraphToKernel::replace(Value value, Value by, Sizes bySizes) {
  values[value] = by;
  if (isa<RankedTensorType>(by.getType()))
    sizes[by] = std::move(bySizes);
}

Operation *GraphToKernel::outermostOp() {
  Operation *outermost = nullptr;
  for (Block *block = builder.getBlock();
       !isa<func::FuncOp>(block->getParentOp());
       block = block->getParentOp()->getBlock())
    outermost = block->getParentOp();
  return outermost;
}

/// Sizes are computed at the level of the function, whatever needs them, so
/// that memory for the bodies of loops can be planned before they run.
struct AtFunctionLevel : OpBuilder::InsertionGuard {
  explicit AtFunctionLevel(GraphToKernel &state)
      : InsertionGuard(state.builder) {
    if (Operation *outermost = state.outermostOp())
      state.builder.setInsertionPoint(outermost);
  }
};

Value GraphToKernel::index(int64_t value) {
  // One constant for each value, so that equal sizes are one value.
  auto name = "#" + std::to_string(value);
  auto it = symbols.find(name);
  if (it != symbols.end())
    return it->second;
  AtFunctionLevel guard(*this);
  builder.setInsertionPointToStart(builder.getBlock());
  Value result =
      arith::ConstantIndexOp::create(builder, builder.getUnknownLoc(), value);
  symbols[name] = result;
  return result;
}

Value GraphToKernel::index(OpFoldResult value) {
  if (auto attr = dyn_cast<Attribute>(value))
    return index(cast<IntegerAttr>(attr).getInt());
  Value result = get(cast<Value>(value));
  APInt known;
  if (matchPattern(result, m_ConstantInt(&known)))
    return index(known.getSExtValue());
  return result;
}

/// The value an op folds to, else the op; constants are shared.
template <typename OpTy>
static Value fold(GraphToKernel &state, Value lhs, Value rhs) {
  AtFunctionLevel guard(state);
  Value result =
      state.builder.createOrFold<OpTy>(state.builder.getUnknownLoc(), lhs, rhs);
  APInt known;
  if (!matchPattern(result, m_ConstantInt(&known)))
    return result;
  Operation *constant = result.getDefiningOp();
  Value shared = state.index(known.getSExtValue());
  if (constant->use_empty() && shared.getDefiningOp() != constant)
    constant->erase();
  return shared;
}

Value GraphToKernel::add(Value lhs, Value rhs) {
  return fold<arith::AddIOp>(*this, lhs, rhs);
}
Value GraphToKernel::sub(Value lhs, Value rhs) {
  return fold<arith::SubIOp>(*this, lhs, rhs);
}
Value GraphToKernel::mul(Value lhs, Value rhs) {
  return fold<arith::MulIOp>(*this, lhs, rhs);
}
Value GraphToKernel::min(Value lhs, Value rhs) {
  return fold<arith::MinSIOp>(*this, lhs, rhs);
}
Value GraphToKernel::max(Value lhs, Value rhs) {
  return fold<arith::MaxSIOp>(*this, lhs, rhs);
}

void GraphToKernel::assumeEqual(Location loc, Value lhs, Value rhs) {
  AtFunctionLevel guard(*this);
  if (lhs != rhs && assumed.insert({lhs, rhs}).second)
    kernel::AssumeEqualOp::create(builder, loc, lhs, rhs);
}

Sizes GraphToKernel::broadcast(Location loc, RankedTensorType type,
                               ValueRange operands) {
  Sizes result;
  for (int64_t dim = 0; dim < type.getRank(); ++dim) {
    Value size;
    if (!type.isDynamicDim(dim))
      size = index(type.getDimSize(dim));
    for (Value operand : operands) {
      auto other = cast<RankedTensorType>(operand.getType());
      int64_t position = dim - (type.getRank() - other.getRank());
      if (position < 0 || other.getDimSize(position) == 1)
        continue;
      Value candidate = sizesOf(operand)[position];
      if (size)
        assumeEqual(loc, size, candidate);
      else
        size = candidate;
    }
    result.push_back(size ? size : index(1));
  }
  return result;
}

Value GraphToKernel::createRegion(Operation *op, StringRef name,
                                  RankedTensorType type, Sizes outSizes,
                                  ValueRange inputs, ValueRange indices,
                                  BuildAnchor build) {
  Location loc = op->getLoc();
  llvm::SetVector<Value> uniqueInputs(inputs.begin(), inputs.end());
  llvm::SetVector<Value> uniqueIndices(indices.begin(), indices.end());
  SmallVector<Value> dynamic;
  for (auto [dim, size] : llvm::enumerate(outSizes))
    if (type.isDynamicDim(dim))
      dynamic.push_back(size);
  auto region = kernel::RegionOp::create(
      builder, loc, TypeRange{type}, name, uniqueInputs.getArrayRef(),
      uniqueIndices.getArrayRef(), dynamic, Value(), kernel::ScheduleAttr());
  if (Attribute id = op->getAttr("tenon.id"))
    region->setAttr("tenon.id", id);
  OpBuilder::InsertionGuard guard(builder);
  Block *block = builder.createBlock(&region.getBody());
  IRMapping map;
  for (auto &list : {uniqueInputs.getArrayRef(), uniqueIndices.getArrayRef()})
    for (Value value : list)
      map.map(value, block->addArgument(value.getType(), loc));
  Scalars scalars;
  for (Value value : inputs)
    scalars.tensors.push_back(map.lookup(value));
  for (Value value : indices)
    scalars.indices.push_back(map.lookup(value));
  Value result = build(builder, scalars);
  kernel::YieldOp::create(builder, loc, result);
  sizes[region.getResult(0)] = outSizes;
  return region.getResult(0);
}

Value GraphToKernel::createFilledRegion(
    Operation *op, StringRef name, RankedTensorType type, Sizes outSizes,
    ValueRange inputs, ValueRange indices,
    function_ref<Value(OpBuilder &, Scalars, Value)> build) {
  // Constant indices are constants of the body; the sizes of the result follow.
  SmallVector<Value> passed;
  for (Value value : indices)
    if (!matchPattern(value, m_Constant()))
      passed.push_back(value);
  for (auto [dim, size] : llvm::enumerate(outSizes))
    if (type.isDynamicDim(dim))
      passed.push_back(size);
  return createRegion(
      op, name, type, outSizes, inputs, passed,
      [&](OpBuilder &b, Scalars arguments) -> Value {
        Location loc = op->getLoc();
        ArrayRef<Value> rest = arguments.indices;
        Scalars scalars;
        for (Value value : indices) {
          APInt known;
          if (matchPattern(value, m_ConstantInt(&known))) {
            scalars.indices.push_back(
                arith::ConstantIndexOp::create(b, loc, known.getSExtValue()));
            continue;
          }
          scalars.indices.push_back(rest.front());
          rest = rest.drop_front();
        }
        scalars.tensors = arguments.tensors;
        Value init = tensor::EmptyOp::create(b, loc, type, rest);
        return build(b, scalars, init);
      });
}

Value GraphToKernel::createGeneric(Operation *op, StringRef name,
                                   RankedTensorType type, Sizes outSizes,
                                   ValueRange elements,
                                   ArrayRef<AffineMap> maps, ValueRange tensors,
                                   ValueRange indices, BuildScalar build) {
  SmallVector<Value> inputs(elements);
  inputs.append(tensors.begin(), tensors.end());
  return createFilledRegion(
      op, name, type, outSizes, inputs, indices,
      [&](OpBuilder &b, Scalars scalars, Value init) -> Value {
        SmallVector<Value> all = std::move(scalars.tensors);
        scalars.tensors.assign(all.begin() + elements.size(), all.end());
        SmallVector<AffineMap> allMaps(maps);
        allMaps.push_back(b.getMultiDimIdentityMap(type.getRank()));
        SmallVector<utils::IteratorType> iterators(
            type.getRank(), utils::IteratorType::parallel);
        auto generic = linalg::GenericOp::create(
            b, op->getLoc(), TypeRange{type},
            ArrayRef(all).take_front(elements.size()), ValueRange{init},
            allMaps, iterators,
            [&](OpBuilder &nested, Location loc, ValueRange elems) {
              llvm::append_range(scalars.elements, elems.drop_back());
              linalg::YieldOp::create(nested, loc, build(nested, scalars));
            });
        return generic.getResult(0);
      });
}

Value GraphToKernel::createLines(Operation *op, StringRef name,
                                 RankedTensorType type, Sizes outSizes,
                                 int64_t axis, ValueRange tensors,
                                 ValueRange indices, BuildLine build) {
  return createFilledRegion(
      op, name, type, outSizes, tensors, indices,
      [&](OpBuilder &b, Scalars scalars, Value init) -> Value {
        Location loc = op->getLoc();
        auto lines = kernel::LinesOp::create(b, loc, type, init, axis);
        OpBuilder::InsertionGuard guard(b);
        SmallVector<Type> types(type.getRank() - 1, b.getIndexType());
        types.push_back(RankedTensorType::get(type.getDimSize(axis),
                                              type.getElementType()));
        Block *body = b.createBlock(&lines.getBody(), {}, types,
                                    SmallVector<Location>(types.size(), loc));
        SmallVector<Value> place(body->getArguments().drop_back());
        place.insert(place.begin() + axis, Value());
        Value line = build(b, scalars, place, body->getArguments().back());
        kernel::YieldOp::create(b, loc, line);
        return lines.getOutput();
      });
}

LogicalResult GraphToKernel::bind(Operation *op, Value argument,
                                  ArrayAttr dims) {
  auto type = dyn_cast<RankedTensorType>(argument.getType());
  if (!type)
    return success();
  Sizes result;
  for (int64_t dim = 0; dim < type.getRank(); ++dim) {
    if (!type.isDynamicDim(dim)) {
      result.push_back(index(type.getDimSize(dim)));
      continue;
    }
    Attribute attr = dims && dim < (int64_t)dims.size() ? dims[dim] : nullptr;
    if (auto known = dyn_cast_if_present<IntegerAttr>(attr)) {
      result.push_back(index(known.getInt()));
      continue;
    }
    auto name = dyn_cast_if_present<StringAttr>(attr);
    if (!name)
      return op->emitError("argument of type ")
             << type << " needs tenon.dims that name dimension " << dim;
    Value &symbol = symbols[name.str()];
    if (!symbol) {
      OpBuilder::InsertionGuard guard(builder);
      builder.setInsertionPointToStart(builder.getBlock());
      symbol = kernel::SymbolOp::create(builder, op->getLoc(),
                                        builder.getIndexType(), name.getValue(),
                                        0, INT64_MAX, IntegerAttr());
    }
    result.push_back(symbol);
  }
  replace(argument, argument, result);
  return success();
}

LogicalResult GraphToKernel::convert(Operation *op) {
  using Family = FailureOr<bool> (GraphToKernel::*)(Operation *);
  for (Family family :
       {&GraphToKernel::convertElementwise, &GraphToKernel::convertShape,
        &GraphToKernel::convertData, &GraphToKernel::convertContraction,
        &GraphToKernel::convertReduction}) {
    FailureOr<bool> converted = (this->*family)(op);
    if (failed(converted))
      return failure();
    if (*converted)
      return success();
  }
  return op->emitOpError("has no lowering to kernel");
}

LogicalResult GraphToKernel::convertBlock(Block &block) {
  SmallVector<Operation *> old;
  for (Operation &op : block)
    old.push_back(&op);
  auto remap = [&](Operation *op) {
    for (OpOperand &operand : op->getOpOperands())
      if (Value by = get(operand.get()))
        operand.set(by);
  };
  SmallPtrSet<Operation *, 4> kept;
  for (Operation *op : old) {
    // Those of this block that were made just now stay.
    if (op == block.getTerminator() ||
        isa<kernel::KernelDialect>(op->getDialect())) {
      kept.insert(op);
      continue;
    }
    builder.setInsertionPoint(op);
    if (isa<graph::SymbolOp>(op))
      continue;
    if (auto assume = dyn_cast<graph::AssumeEqualOp>(op)) {
      assumeEqual(op->getLoc(), get(assume.getLhs()), get(assume.getRhs()));
    } else if (auto read = dyn_cast<graph::ReadOp>(op)) {
      auto result = kernel::ReadOp::create(
          builder, op->getLoc(), read.getType(), get(read.getInput()));
      replace(read, result, {});
    } else if (isa<graph::GraphDialect>(op->getDialect())) {
      if (failed(convert(op)))
        return failure();
    } else if (isa<scf::IfOp, scf::WhileOp>(op)) {
      remap(op);
      if (failed(convertControl(op)))
        return failure();
      kept.insert(op);
    } else {
      remap(op);
      Operation *around = outermostOp();
      bool waits =
          around && llvm::any_of(op->getOperands(), [&](Value operand) {
            return around->isAncestor(operand.getParentBlock()->getParentOp());
          });
      if (waits && op->getResult(0).getType().isIndex())
        return op->emitOpError("computes with a value that is known only when "
                               "a loop or branch runs");
      // Arithmetic on sizes stands before all bodies, what decides stays.
      if (around && !waits)
        op->moveBefore(around);
      kept.insert(op);
      auto select = dyn_cast<arith::SelectOp>(op);
      for (Value result : op->getResults())
        replace(result, result,
                select && isa<RankedTensorType>(result.getType())
                    ? sizesOf(select.getTrueValue())
                    : Sizes());
    }
  }
  remap(block.getTerminator());
  for (Operation *op : llvm::reverse(old))
    if (!kept.contains(op) && op->use_empty())
      op->erase();
  return success();
}

namespace {

struct ConvertGraphToKernelPass
    : impl::ConvertGraphToKernelPassBase<ConvertGraphToKernelPass> {
  void runOnOperation() override {
    for (auto function : getOperation().getOps<func::FuncOp>())
      if (!function.isExternal() && failed(convertFunction(function)))
        return signalPassFailure();
  }

  LogicalResult convertFunction(func::FuncOp function) {
    // A buffer has one size, whatever is decided while the model runs.
    if (failed(verifyControlSizes(function)))
      return failure();
    makeSignless(function);
    Block &block = function.getBody().front();
    OpBuilder builder(&block, block.begin());
    GraphToKernel state(builder);
    // Symbols first: any size may need any of them.
    for (auto symbol : block.getOps<graph::SymbolOp>()) {
      auto converted = kernel::SymbolOp::create(
          state.builder, symbol.getLoc(), state.builder.getIndexType(),
          symbol.getNameAttr(), symbol.getMinAttr(), symbol.getMaxAttr(),
          symbol.getHintAttr());
      state.addSymbol(symbol.getName(), converted);
      state.replace(symbol, converted, {});
    }
    for (BlockArgument argument : function.getArguments())
      if (failed(state.bind(function, argument,
                            function.getArgAttrOfType<ArrayAttr>(
                                argument.getArgNumber(), "tenon.dims"))))
        return failure();
    return state.convertBlock(block);
  }
};

} // namespace
} // namespace tenon
