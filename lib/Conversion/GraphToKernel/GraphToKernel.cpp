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
#include "llvm/ADT/StringSet.h"

using namespace mlir;

namespace tenon {
#define GEN_PASS_DEF_CONVERTGRAPHTOKERNELPASS
#include "tenon/Conversion/Passes.h.inc"

Operation *GraphToKernel::outermostOp() {
  Operation *outermost = nullptr;
  for (Block *block = builder.getBlock();
       !isa<func::FuncOp>(block->getParentOp());
       block = block->getParentOp()->getBlock())
    outermost = block->getParentOp();
  return outermost;
}

Value GraphToKernel::index(OpFoldResult value) {
  if (std::optional<SymbolicExpr> known = shapes.getIndex(value))
    return index(*known);
  return get(cast<Value>(value));
}

Value GraphToKernel::createRegion(Operation *op, StringRef name,
                                  RankedTensorType type,
                                  const SymbolicSizes &sizes, ValueRange inputs,
                                  ValueRange indices, BuildAnchor build) {
  Location loc = op->getLoc();
  llvm::SetVector<Value> uniqueInputs(inputs.begin(), inputs.end());
  llvm::SetVector<Value> uniqueIndices(indices.begin(), indices.end());
  SmallVector<Value> dynamic;
  for (auto [dim, size] : llvm::enumerate(sizes))
    if (type.isDynamicDim(dim))
      dynamic.push_back(index(size));
  auto region = kernel::RegionOp::create(
      builder, loc, TypeRange{type}, name, uniqueInputs.getArrayRef(),
      uniqueIndices.getArrayRef(), dynamic, Value(), kernel::ScheduleAttr(),
      DenseI64ArrayAttr());
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
  return region.getResult(0);
}

Value GraphToKernel::createFilledRegion(
    Operation *op, StringRef name, RankedTensorType type,
    const SymbolicSizes &sizes, ValueRange inputs, ValueRange indices,
    function_ref<Value(OpBuilder &, Scalars, Value)> build) {
  // Constant indices are constants of the body; the sizes of the result follow.
  SmallVector<Value> passed;
  for (Value value : indices)
    if (!matchPattern(value, m_Constant()))
      passed.push_back(value);
  for (auto [dim, size] : llvm::enumerate(sizes))
    if (type.isDynamicDim(dim))
      passed.push_back(index(size));
  return createRegion(
      op, name, type, sizes, inputs, passed,
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

Value GraphToKernel::refine(Operation *op, Value input, AffineMap map,
                            RankedTensorType type, const SymbolicSizes &sizes) {
  auto old = cast<RankedTensorType>(input.getType());
  SmallVector<int64_t> shape(old.getShape());
  SmallVector<Value> dynamic;
  for (auto [size, expr] : llvm::zip(shape, map.getResults())) {
    auto dim = dyn_cast<AffineDimExpr>(expr);
    if (!ShapedType::isDynamic(size))
      continue;
    if (!dim)
      return input;
    size = type.getDimSize(dim.getPosition());
    if (ShapedType::isDynamic(size))
      dynamic.push_back(index(sizes[dim.getPosition()]));
  }
  if (shape == old.getShape())
    return input;
  return kernel::ViewOp::create(builder, op->getLoc(), old.clone(shape), input,
                                dynamic);
}

Value GraphToKernel::createGeneric(Operation *op, StringRef name,
                                   RankedTensorType type,
                                   const SymbolicSizes &sizes,
                                   ValueRange elements,
                                   ArrayRef<AffineMap> maps, ValueRange tensors,
                                   ValueRange indices, BuildScalar build) {
  SmallVector<Value> inputs;
  for (auto [element, map] : llvm::zip(elements, maps))
    inputs.push_back(refine(op, element, map, type, sizes));
  inputs.append(tensors.begin(), tensors.end());
  return createFilledRegion(
      op, name, type, sizes, inputs, indices,
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
                                 RankedTensorType type,
                                 const SymbolicSizes &sizes, int64_t axis,
                                 ValueRange tensors, ValueRange indices,
                                 BuildLine build) {
  return createFilledRegion(
      op, name, type, sizes, tensors, indices,
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

LogicalResult GraphToKernel::convert(Operation *op) {
  for (ValueRange list :
       {ValueRange(op->getOperands()), ValueRange(op->getResults())})
    for (Value value : list)
      if (isa<RankedTensorType>(value.getType()) && !shapes.getSizes(value))
        return op->emitOpError("needs a tensor of type ")
               << value.getType()
               << " whose sizes depend on data, which is unsupported";
  using Family = FailureOr<bool> (GraphToKernel::*)(Operation *);
  for (Family family :
       {&GraphToKernel::convertData, &GraphToKernel::convertElementwise,
        &GraphToKernel::convertShape, &GraphToKernel::convertContraction,
        &GraphToKernel::convertReduction, &GraphToKernel::convertWindows}) {
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
    if (isa<graph::SymbolOp, graph::AssumeEqualOp>(op)) {
      kept.insert(op);
    } else if (auto count = dyn_cast<graph::CountOp>(op)) {
      count.getInputMutable().assign(get(count.getInput()));
      count.getMostMutable().assign(index(OpFoldResult(count.getMost())));
      replace(count, count);
      kept.insert(op);
    } else if (auto read = dyn_cast<graph::ReadOp>(op)) {
      auto result = kernel::ReadOp::create(
          builder, op->getLoc(), read.getType(), get(read.getInput()));
      replace(read, result);
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
      bool countsOnly = llvm::all_of(op->getOperands(), [](Value operand) {
        return operand.getType().isIndex() ||
               operand.getDefiningOp<arith::CmpIOp>();
      });
      if (waits && !countsOnly && op->getResult(0).getType().isIndex())
        return op->emitOpError("computes with a value that is known only when "
                               "a loop or branch runs");
      // Arithmetic on sizes stands before all bodies, what decides stays.
      if (around && !waits)
        op->moveBefore(around);
      kept.insert(op);
      for (Value result : op->getResults())
        replace(result, result);
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

  /// Expressions know counts by their names alone.
  static LogicalResult verifyCountNames(func::FuncOp function) {
    llvm::StringSet<> names;
    for (auto symbol : function.getOps<graph::SymbolOp>())
      names.insert(symbol.getName());
    WalkResult result = function.walk([&](graph::CountOp count) {
      if (names.insert(count.getName()).second)
        return WalkResult::advance();
      count.emitOpError("has the name '")
          << count.getName() << "', as another count or symbol";
      return WalkResult::interrupt();
    });
    return failure(result.wasInterrupted());
  }

  LogicalResult convertFunction(func::FuncOp function) {
    if (failed(verifyCountNames(function)))
      return failure();
    // A buffer has one size, whatever is decided while the model runs.
    if (failed(verifyControlSizes(function)))
      return failure();
    makeSignless(function);
    GraphToKernel state(function);
    for (BlockArgument argument : function.getArguments()) {
      auto type = dyn_cast<RankedTensorType>(argument.getType());
      auto dims = function.getArgAttrOfType<ArrayAttr>(argument.getArgNumber(),
                                                       "tenon.dims");
      for (int64_t dim = 0; type && dim < type.getRank(); ++dim)
        if (type.isDynamicDim(dim) &&
            !(dims && dim < static_cast<int64_t>(dims.size()) &&
              isa<StringAttr, IntegerAttr>(dims[dim])))
          return function.emitError("argument of type ")
                 << type << " needs tenon.dims that name dimension " << dim;
      state.replace(argument, argument);
    }
    convertAssumptions(function, state);
    if (failed(state.convertBlock(function.getBody().front())))
      return failure();
    // Last, since sizes are computed from them, or before them.
    function.walk([](graph::AssumeEqualOp op) { op.erase(); });
    function.walk([](graph::CountOp count) {
      OpBuilder builder(count);
      auto converted = kernel::CountOp::create(
          builder, count.getLoc(), builder.getIndexType(), count.getNameAttr(),
          count.getInput(), count.getMost());
      count.replaceAllUsesWith(converted.getSize());
      count.erase();
    });
    for (auto symbol :
         llvm::make_early_inc_range(function.getOps<graph::SymbolOp>())) {
      OpBuilder builder(symbol);
      auto converted = kernel::SymbolOp::create(
          builder, symbol.getLoc(), builder.getIndexType(),
          symbol.getNameAttr(), symbol.getMinAttr(), symbol.getMaxAttr(),
          symbol.getHintAttr());
      symbol.replaceAllUsesWith(converted.getValue());
      symbol.erase();
    }
    return success();
  }

  /// What the graph assumes, and what its ops do: each once.
  static void convertAssumptions(func::FuncOp function, GraphToKernel &state) {
    llvm::StringSet<> seen;
    OpBuilder &builder = state.builder;
    auto assume = [&](Location loc, const SymbolicExpr &lhs,
                      const SymbolicExpr &rhs) {
      if (lhs == rhs || !seen.insert(lhs.str() + "=" + rhs.str()).second)
        return;
      builder.setInsertionPoint(function.getBody().front().getTerminator());
      state.setInsertionPointBehind({lhs, rhs}, builder);
      kernel::AssumeEqualOp::create(builder, loc, state.index(lhs),
                                    state.index(rhs));
    };
    function.walk([&](graph::AssumeEqualOp op) {
      std::optional<SymbolicExpr> lhs = state.shapes.getIndex(op.getLhs()),
                                  rhs = state.shapes.getIndex(op.getRhs());
      if (lhs && rhs)
        assume(op.getLoc(), *lhs, *rhs);
    });
    for (const auto &[lhs, rhs, loc] : state.shapes.getAssumptions())
      assume(loc, lhs, rhs);
  }
};

} // namespace
} // namespace tenon
