// Turns scheduled regions on tensors into launches on buffers. See Passes.td.
#include "SizeBounds.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/IRMapping.h"
#include "mlir/IR/SymbolTable.h"
#include "tenon/Analysis/EqualBodies.h"
#include "tenon/Conversion/Passes.h"
#include "tenon/Dialect/Kernel/IR/KernelOps.h"
#include "tenon/Dialect/Plan/IR/PlanOps.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;

namespace tenon {
#define GEN_PASS_DEF_CONVERTKERNELTOPLANPASS
#include "tenon/Conversion/Passes.h.inc"

namespace {

MemRefType bufferType(Type type) {
  auto tensor = cast<RankedTensorType>(type);
  return MemRefType::get(tensor.getShape(), tensor.getElementType());
}

/// The value whose bytes `value` shows through views.
Value rootOf(Value value) {
  while (auto view = value.getDefiningOp<kernel::ViewOp>())
    value = view.getInput();
  return value;
}

/// The input that a result of a region updates, or null.
Value updatedBy(OpResult result) {
  auto region = cast<kernel::RegionOp>(result.getOwner());
  std::optional<ArrayRef<int64_t>> updates = region.getUpdates();
  int64_t number = updates ? (*updates)[result.getResultNumber()] : -1;
  return number < 0 ? Value() : Value(region.getInputs()[number]);
}

/// Whether what updates `value` may write to its memory: to that of an argument
/// marked as state, or of what a region computes for this alone.
bool isUpdatedInPlace(Value value) {
  if (!value.hasOneUse())
    return false;
  auto argument = dyn_cast<BlockArgument>(value);
  if (!argument)
    return isa<kernel::RegionOp>(value.getDefiningOp());
  auto function = dyn_cast<func::FuncOp>(argument.getOwner()->getParentOp());
  return function &&
         function.getArgAttr(argument.getArgNumber(), "tenon.state");
}

/// The region's result whose memory `value` has, through views and updates.
Value memoryOf(Value value) {
  while (true) {
    value = rootOf(value);
    auto result = dyn_cast<OpResult>(value);
    if (!result || !isa<kernel::RegionOp>(result.getOwner()))
      return value;
    Value updated = updatedBy(result);
    if (!updated || !isUpdatedInPlace(updated))
      return value;
    value = updated;
  }
}

/// The sizes operands of a region that belong to one of its results.
ValueRange sizesOfResult(kernel::RegionOp region, OpResult result) {
  unsigned begin = 0;
  for (unsigned i = 0; i < result.getResultNumber(); ++i)
    begin +=
        cast<ShapedType>(region.getResult(i).getType()).getNumDynamicDims();
  return region.getSizes().slice(
      begin, cast<ShapedType>(result.getType()).getNumDynamicDims());
}

/// Where weights lie in the artifact: 64-byte aligned, each once, in the order
/// in which they were asked for.
class WeightPositions {
public:
  int64_t get(kernel::WeightOp weight) {
    auto transposed =
        BoolAttr::get(weight.getContext(), weight.getTransposed());
    auto layout = kernel::stringifyLayoutKind(weight.getLayout());
    Attribute key = ArrayAttr::get(
        weight.getContext(),
        {weight.getFileAttr(), weight.getOffsetAttr(), weight.getSourceAttr(),
         transposed, StringAttr::get(weight.getContext(), layout),
         TypeAttr::get(weight.getOutput().getType())});
    auto [entry, isNew] = positions.try_emplace(key, end);
    if (isNew) {
      auto type = cast<RankedTensorType>(weight.getOutput().getType());
      int64_t bytes =
          type.getNumElements() * ((type.getElementTypeBitWidth() + 7) / 8);
      end += (bytes + 63) / 64 * 64;
    }
    return entry->second;
  }

private:
  DenseMap<Attribute, int64_t> positions;
  int64_t end = 0;
};

/// The functions made of regions; regions with equal bodies share one.
class Kernels {
public:
  explicit Kernels(ModuleOp module) : symbols(module) {
    // Names of nodes make no other code.
    module.walk([](kernel::RegionOp region) {
      region.getBody().walk(
          [](Operation *op) { op->removeDiscardableAttr("tenon.id"); });
    });
    for (auto [number, group] : llvm::enumerate(groupEqualBodies(module)))
      for (kernel::RegionOp region : group)
        groups[region] = number;
  }

  func::FuncOp get(kernel::RegionOp region) {
    func::FuncOp &function = functions[groups.at(region)];
    if (function)
      return function;
    OpBuilder builder(region.getContext());
    Block &body = region.getBody().front();
    auto type = builder.getFunctionType(body.getArgumentTypes(), {});
    function = func::FuncOp::create(region.getLoc(), nameFor(region), type);
    function.setPrivate();
    function->setAttr("tenon.kernel", builder.getUnitAttr());
    IRMapping mapping;
    region.getBody().cloneInto(&function.getBody(), mapping);
    Operation *yield = function.front().getTerminator();
    builder.setInsertionPoint(yield);
    func::ReturnOp::create(builder, yield->getLoc());
    yield->erase();
    symbols.insert(function,
                   region->getParentOfType<func::FuncOp>()->getIterator());
    return function;
  }

private:
  /// The region's name, made an identifier, and a number. A region of very many
  /// ops is named after the first of them.
  std::string nameFor(kernel::RegionOp region) {
    std::string name;
    for (char c : region.getName().take_front(64))
      name += llvm::isAlnum(c) ? c : '_';
    return name + "_" + std::to_string(functions.size() - 1);
  }

  SymbolTable symbols;
  DenseMap<Operation *, size_t> groups;
  DenseMap<size_t, func::FuncOp> functions; ///< of groups
};

/// Rewrites one function of regions into one of launches.
class FunctionConverter {
public:
  FunctionConverter(func::FuncOp function, Kernels &kernels,
                    WeightPositions &weights)
      : function(function), kernels(kernels), weights(weights),
        builder(function.getContext()) {}

  LogicalResult convert() {
    if (failed(checkOps()))
      return failure();
    auto terminator = cast<func::ReturnOp>(function.front().getTerminator());
    assignPositions();
    Block *old = &function.front();
    Block *block = new Block();
    function.getBody().push_back(block);
    builder.setInsertionPointToStart(block);
    changeSignature(terminator, block);

    convertBody(*old);
    if (failedInside)
      return failure();
    for (auto [index, value] : llvm::enumerate(terminator.getOperands())) {
      Value output = outputs[index];
      Location loc = terminator.getLoc();
      FailureOr<SmallVector<Value>> sizes = sizesOf(value, terminator);
      if (failed(sizes))
        return failure();
      SmallVector<Value> most = mostOf(loc, *sizes);
      bool isCounted = most != *sizes;
      if (!claimed.contains(index)) {
        Value target = output;
        if (isCounted)
          target = plan::ViewOp::create(builder, loc, output.getType(), output,
                                        *sizes);
        plan::CopyOp::create(builder, loc, mapping.lookup(value), target);
      }
      plan::OutputOp::create(builder, loc, output, most,
                             isCounted ? *sizes : SmallVector<Value>());
    }
    if (failedInside)
      return failure();
    func::ReturnOp::create(builder, terminator.getLoc());
    old->dropAllReferences();
    old->erase();
    return success();
  }

private:
  LogicalResult checkOps() {
    if (!function.getBody().hasOneBlock())
      return function.emitOpError("has ")
             << function.getBody().getBlocks().size()
             << " blocks, but a plan is one sequence of ops";
    return checkOps(function.front());
  }

  LogicalResult checkOps(Block &block) {
    for (Operation &op : block) {
      if (isa<scf::IfOp, scf::WhileOp>(op)) {
        for (Region &region : op.getRegions())
          for (Block &nested : region)
            if (failed(checkOps(nested)))
              return failure();
        continue;
      }
      if (auto region = dyn_cast<kernel::RegionOp>(op)) {
        if (!region.getSchedule())
          return region.emitOpError("has no schedule");
        continue;
      }
      if (isa<kernel::SymbolOp, kernel::AssumeEqualOp, kernel::ConstantOp,
              kernel::WeightOp, kernel::IndexErrorOp, kernel::ViewOp,
              kernel::ReadOp, kernel::CountOp, func::ReturnOp, scf::YieldOp,
              scf::ConditionOp>(op))
        continue;
      if (auto select = dyn_cast<arith::SelectOp>(op);
          select && select.getCondition().getType().isInteger(1))
        continue;
      bool onSizes =
          isa<arith::ArithDialect>(op.getDialect()) &&
          llvm::none_of(op.getResultTypes(), llvm::IsaPred<ShapedType>);
      if (!onSizes)
        return op.emitOpError("cannot become part of a plan, which holds "
                              "regions, views, weights, constants and sizes");
    }
    return success();
  }

  /// In the order of first use, so that a run reads the weights from front to
  /// back.
  void assignPositions() {
    function.walk([&](kernel::RegionOp region) {
      for (Value input : region.getInputs())
        if (auto weight = rootOf(input).getDefiningOp<kernel::WeightOp>())
          weights.get(weight);
    });
  }

  /// (inputs) -> results  becomes  (inputs, outputs), and each result of a
  /// region that is returned gets an output as its buffer.
  void changeSignature(func::ReturnOp terminator, Block *block) {
    SmallVector<Type> types;
    SmallVector<DictionaryAttr> argAttrs;
    Block &old = function.front();
    for (BlockArgument argument : old.getArguments()) {
      Type type = argument.getType();
      if (isa<RankedTensorType>(type))
        type = bufferType(type);
      mapping.map(argument, block->addArgument(type, argument.getLoc()));
      types.push_back(type);
      argAttrs.push_back(builder.getDictionaryAttr(
          cast<FunctionOpInterface>(*function).getArgAttrs(
              argument.getArgNumber())));
    }
    for (auto [index, value] : llvm::enumerate(terminator.getOperands())) {
      types.push_back(bufferType(value.getType()));
      outputs.push_back(block->addArgument(types.back(), terminator.getLoc()));
      NamedAttrList attrs(function.getResultAttrs(index));
      attrs.set("tenon.output", builder.getUnitAttr());
      argAttrs.push_back(attrs.getDictionary(function.getContext()));
      Value root = memoryOf(value);
      if (root.getDefiningOp<kernel::RegionOp>() &&
          destinations.try_emplace(root, outputs.back()).second) {
        claimed.insert(index);
        if (root != value)
          reshaped.insert(root);
      }
    }
    function.removeResAttrsAttr();
    function.setFunctionType(builder.getFunctionType(types, {}));
    function.setAllArgAttrs(argAttrs);
  }

  void convertOp(Operation *op) {
    Location loc = op->getLoc();
    llvm::TypeSwitch<Operation *>(op)
        .Case([&](kernel::SymbolOp symbol) {
          auto result = plan::SymbolOp::create(
              builder, loc, builder.getIndexType(), symbol.getNameAttr(),
              symbol.getMinAttr(), symbol.getMaxAttr(), symbol.getHintAttr());
          symbols.try_emplace(symbol.getName(), result);
          mapping.map(symbol.getResult(), result.getResult());
        })
        .Case([&](kernel::AssumeEqualOp assume) {
          plan::AssumeEqualOp::create(builder, loc,
                                      mapping.lookup(assume.getLhs()),
                                      mapping.lookup(assume.getRhs()));
        })
        .Case([&](kernel::ConstantOp constant) {
          auto result = plan::ConstantOp::create(
              builder, loc, bufferType(constant.getOutput().getType()),
              constant.getValue(), /*position=*/IntegerAttr());
          mapping.map(constant.getResult(), result.getResult());
        })
        .Case([&](kernel::WeightOp weight) {
          if (weight->use_empty())
            return;
          auto layout = kernel::stringifyLayoutKind(weight.getLayout());
          auto result = plan::WeightOp::create(
              builder, loc, bufferType(weight.getOutput().getType()),
              weight.getNameAttr(), weight.getFileAttr(),
              weight.getOffsetAttr(), weight.getSourceAttr(),
              weight.getTransposedAttr(), builder.getStringAttr(layout),
              builder.getI64IntegerAttr(weights.get(weight)));
          mapping.map(weight.getResult(), result.getResult());
        })
        .Case([&](kernel::IndexErrorOp error) {
          auto result = plan::IndexErrorOp::create(
              builder, loc, bufferType(error.getType()), error.getNumber());
          mapping.map(error.getResult(), result.getResult());
        })
        .Case([&](kernel::ViewOp view) {
          auto result = plan::ViewOp::create(
              builder, loc, bufferType(view.getOutput().getType()),
              mapping.lookup(view.getInput()), mapped(view.getSizes()));
          mapping.map(view.getResult(), result.getResult());
        })
        .Case([&](kernel::ReadOp read) {
          auto result = plan::ReadOp::create(builder, loc, read.getType(),
                                             mapping.lookup(read.getInput()));
          mapping.map(read.getResult(), result.getResult());
        })
        .Case([&](kernel::CountOp count) { convertCount(count); })
        .Case([&](kernel::RegionOp region) { convertRegion(region); })
        .Case([&](scf::IfOp branch) { convertIf(branch); })
        .Case([&](arith::SelectOp select) { convertSelect(select); })
        .Case([&](scf::WhileOp loop) { convertWhile(loop); })
        .Default([&](Operation *other) { builder.clone(*other, mapping); });
  }

  /// count "name" x at_most n  becomes  index_cast (read x)
  void convertCount(kernel::CountOp count) {
    Location loc = count.getLoc();
    Value read = plan::ReadOp::create(builder, loc, builder.getI64Type(),
                                      mapping.lookup(count.getInput()));
    Value size =
        arith::IndexCastOp::create(builder, loc, builder.getIndexType(), read);
    bounds.addCount(size, mostOf(loc, mapping.lookup(count.getMost())).front());
    mapping.map(count.getSize(), size);
  }

  /// What these sizes are at most: known before the run, and built before the
  /// loop or branch around.
  SmallVector<Value> mostOf(Location loc, ValueRange sizes) {
    OpBuilder::InsertionGuard guard(builder);
    if (outermost)
      builder.setInsertionPoint(outermost);
    return llvm::map_to_vector(sizes, [&](Value size) {
      Value most = bounds.getMost(builder, size);
      if (most)
        return most;
      failedInside = true;
      emitError(loc) << "has a size that depends on data and has no bound "
                        "which is known before the model runs";
      return size;
    });
  }

  /// region(x) -> y  becomes  y = alloc; launch(x, y)
  void convertRegion(kernel::RegionOp region) {
    Location loc = region.getLoc();
    SmallVector<Value> buffers = mapped(region.getInputs());
    for (OpResult result : region->getResults()) {
      Type type = bufferType(result.getType());
      SmallVector<Value> sizes = mapped(sizesOfResult(region, result));
      Value buffer = destinations.lookup(result);
      Value updated = updatedBy(result);
      if (updated && isUpdatedInPlace(updated)) {
        mapping.map(result, mapping.lookup(updated));
        buffers.push_back(mapping.lookup(updated));
        continue;
      }
      if (!buffer)
        buffer = createAlloc(loc, type, sizes);
      else if (reshaped.contains(result) || mostOf(loc, sizes) != sizes)
        buffer = plan::ViewOp::create(builder, loc, type, buffer, sizes);
      if (updated)
        plan::CopyOp::create(builder, loc, mapping.lookup(updated), buffer);
      mapping.map(result, buffer);
      buffers.push_back(buffer);
    }
    auto launch = plan::LaunchOp::create(
        builder, loc, SymbolRefAttr::get(kernels.get(region)),
        mapping.lookup(region.getGrid()), buffers, mapped(region.getIndices()));
    launch->setDiscardableAttrs(region->getDiscardableAttrDictionary());
    // The last buffers are what it writes, for whoever reports on the plan.
    launch->setAttr("tenon.results",
                    builder.getI64IntegerAttr(region->getNumResults()));
  }

  /// A slice for `type`; in a body it is made before the loop or branch. As
  /// large as it may become, and seen with the sizes that it has.
  Value createAlloc(Location loc, Type type, ArrayRef<Value> sizes) {
    SmallVector<Value> most = mostOf(loc, sizes);
    OpBuilder::InsertPoint here = builder.saveInsertionPoint();
    if (outermost)
      builder.setInsertionPoint(outermost);
    Value buffer = plan::AllocOp::create(builder, loc, type, IntegerAttr(),
                                         DenseI64ArrayAttr(), most);
    builder.restoreInsertionPoint(here);
    if (most == sizes)
      return buffer;
    return plan::ViewOp::create(builder, loc, type, buffer, sizes);
  }

  /// A slice like the buffer of `value`.
  Value createAllocLike(Location loc, Value value) {
    FailureOr<SmallVector<Value>> sizes = sizesOf(value, function);
    if (failed(sizes)) {
      failedInside = true;
      return mapping.lookup(value);
    }
    return createAlloc(loc, bufferType(value.getType()), *sizes);
  }

  void convertBody(Block &body) {
    for (Operation &op : body.without_terminator())
      convertOp(&op);
  }

  /// r = if c { yield a } else { yield b }  becomes  buffers for r, and
  /// branches that end with copies into them
  void convertIf(scf::IfOp branch) {
    Location loc = branch.getLoc();
    auto result =
        scf::IfOp::create(builder, loc, mapping.lookup(branch.getCondition()),
                          /*withElseRegion=*/true);
    OpBuilder::InsertionGuard guard(builder);
    bool isOutermost = !outermost;
    if (isOutermost)
      outermost = result;
    for (auto [from, to] :
         llvm::zip(branch->getRegions(), result->getRegions())) {
      builder.setInsertionPoint(to.front().getTerminator());
      if (from.empty())
        continue;
      convertBody(from.front());
      for (auto [i, value] :
           llvm::enumerate(from.front().getTerminator()->getOperands())) {
        // The first branch makes the buffer, once its sizes are known.
        Value target = mapping.lookupOrNull(branch.getResult(i));
        if (!target) {
          OpBuilder::InsertionGuard before(builder);
          builder.setInsertionPoint(result);
          target = createAllocLike(loc, value);
          mapping.map(branch.getResult(i), target);
        }
        plan::CopyOp::create(builder, loc, mapping.lookup(value), target);
      }
    }
    if (isOutermost)
      outermost = nullptr;
  }

  /// select c, a, b on tensors, which a branch without ops has become  ->  a
  /// branch with copies
  void convertSelect(arith::SelectOp select) {
    if (!isa<RankedTensorType>(select.getType())) {
      builder.clone(*select, mapping);
      return;
    }
    Location loc = select.getLoc();
    Value target = createAllocLike(loc, select.getTrueValue());
    auto branch =
        scf::IfOp::create(builder, loc, mapping.lookup(select.getCondition()),
                          /*withElseRegion=*/true);
    for (auto [region, value] :
         llvm::zip(branch->getRegions(), select->getOperands().drop_front())) {
      OpBuilder::InsertionGuard guard(builder);
      builder.setInsertionPointToStart(&region.front());
      plan::CopyOp::create(builder, loc, mapping.lookup(value), target);
    }
    mapping.map(select.getResult(), target);
  }

  /// while (v = init) { condition c, v } do { yield next }  becomes  a buffer
  /// for v, copies into it, and a loop without values
  void convertWhile(scf::WhileOp loop) {
    Location loc = loop.getLoc();
    OpBuilder::InsertionGuard guard(builder);
    SmallVector<Value> carried;
    for (auto [init, argument] :
         llvm::zip(loop.getInits(), loop.getBeforeArguments())) {
      Value buffer = createAllocLike(loc, init);
      plan::CopyOp::create(builder, loc, mapping.lookup(init), buffer);
      mapping.map(argument, buffer);
      carried.push_back(buffer);
      sizesLike[argument] = init;
    }
    auto result = scf::WhileOp::create(
        builder, loc, TypeRange(), ValueRange(),
        [](OpBuilder &, Location, ValueRange) {},
        [](OpBuilder &, Location, ValueRange) {});
    bool isOutermost = !outermost;
    if (isOutermost)
      outermost = result;
    builder.setInsertionPointToEnd(result.getBeforeBody());
    convertBody(*loop.getBeforeBody());
    scf::ConditionOp condition = loop.getConditionOp();
    scf::ConditionOp::create(
        builder, loc, mapping.lookup(condition.getCondition()), ValueRange());
    for (auto [value, argument, end] :
         llvm::zip(condition.getArgs(), loop.getAfterArguments(),
                   loop.getResults())) {
      mapping.map(argument, mapping.lookup(value));
      mapping.map(end, mapping.lookup(value));
      sizesLike[argument] = value;
      sizesLike[end] = value;
    }
    builder.setInsertionPointToEnd(result.getAfterBody());
    convertBody(*loop.getAfterBody());
    copyCarried(loc, loop.getYieldOp().getOperands(), carried);
    scf::YieldOp::create(builder, loc);
    if (isOutermost)
      outermost = nullptr;
  }

  /// carried = next, all at once: what is both read and written goes through a
  /// buffer of its own.
  void copyCarried(Location loc, ValueRange next, ArrayRef<Value> carried) {
    SmallVector<Value> sources;
    for (auto [value, target] : llvm::zip(next, carried)) {
      Value source = mapping.lookup(value);
      Value root = source;
      while (auto view = root.getDefiningOp<plan::ViewOp>())
        root = view.getInput();
      if (root != target && llvm::is_contained(carried, root)) {
        Value between = createAllocLike(loc, value);
        plan::CopyOp::create(builder, loc, source, between);
        source = between;
      }
      sources.push_back(source);
    }
    for (auto [source, target] : llvm::zip(sources, carried))
      if (source != target)
        plan::CopyOp::create(builder, loc, source, target);
  }

  /// The sizes of a returned value, in the new function.
  FailureOr<SmallVector<Value>> sizesOf(Value value, Operation *user) {
    if (auto view = value.getDefiningOp<kernel::ViewOp>())
      return mapped(view.getSizes());
    if (auto region = value.getDefiningOp<kernel::RegionOp>())
      return mapped(sizesOfResult(region, cast<OpResult>(value)));
    SmallVector<Value> sizes;
    auto type = cast<RankedTensorType>(value.getType());
    if (type.hasStaticShape())
      return sizes;
    if (Value like = sizesLike.lookup(value))
      return sizesOf(like, user);
    if (auto select = value.getDefiningOp<arith::SelectOp>())
      return sizesOf(select.getTrueValue(), user);
    if (auto branch = value.getDefiningOp<scf::IfOp>())
      return sizesOf(branch.thenYield().getOperand(
                         cast<OpResult>(value).getResultNumber()),
                     user);
    unsigned number = cast<BlockArgument>(value).getArgNumber();
    auto dims = function.getArgAttrOfType<ArrayAttr>(number, "tenon.dims");
    for (int64_t dim = 0; dim < type.getRank(); ++dim) {
      if (!type.isDynamicDim(dim))
        continue;
      auto name = dims && dim < static_cast<int64_t>(dims.size())
                      ? dyn_cast<StringAttr>(dims[dim])
                      : StringAttr();
      Value symbol = name ? symbols.lookup(name.getValue()) : Value();
      if (!symbol)
        return user->emitOpError("returns argument ")
               << number << ", whose dimension " << dim
               << " is named after no symbol of the function";
      sizes.push_back(symbol);
    }
    return sizes;
  }

  SmallVector<Value> mapped(ValueRange values) {
    return llvm::map_to_vector(
        values, [&](Value value) { return mapping.lookup(value); });
  }

  func::FuncOp function;
  Kernels &kernels;
  WeightPositions &weights;
  OpBuilder builder;
  IRMapping mapping;
  SmallVector<Value> outputs;
  DenseMap<Value, Value> destinations; ///< A region's result -> its output.
  DenseSet<Value> reshaped; ///< Of these, what is returned as a view.
  /// What is carried by a loop, and a value of the same sizes before it.
  DenseMap<Value, Value> sizesLike;
  SizeBounds bounds;
  Operation *outermost = nullptr; ///< Loop or branch being converted.
  bool failedInside = false;      ///< A size was not found.
  DenseSet<size_t> claimed;       ///< Outputs that are some result's buffer.
  llvm::StringMap<Value> symbols;
};

struct ConvertKernelToPlanPass
    : impl::ConvertKernelToPlanPassBase<ConvertKernelToPlanPass> {
  void runOnOperation() override {
    Kernels kernels(getOperation());
    WeightPositions weights;
    SmallVector<func::FuncOp> functions;
    for (auto function : getOperation().getOps<func::FuncOp>())
      if (!function.isDeclaration() && !function->hasAttr("tenon.kernel"))
        functions.push_back(function);
    for (func::FuncOp function : functions)
      if (failed(FunctionConverter(function, kernels, weights).convert()))
        return signalPassFailure();
  }
};

} // namespace
} // namespace tenon
