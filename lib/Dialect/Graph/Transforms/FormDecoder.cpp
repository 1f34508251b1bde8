// Turns a decoder whose caches grow into one that changes them in place. See
// Passes.td.
#include "PositionBias.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Utils/StaticValueUtils.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"
#include "tenon/Analysis/SymbolicShapes.h"
#include "tenon/Dialect/Graph/IR/GraphOps.h"
#include "tenon/Dialect/Graph/Transforms/Passes.h"
#include "llvm/ADT/SetVector.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/ADT/StringSet.h"
#include "llvm/ADT/StringSwitch.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;

namespace tenon::graph {
#define GEN_PASS_DEF_FORMDECODERPASS
#include "tenon/Dialect/Graph/Transforms/Passes.h.inc"

namespace {

/// Moves the choice of rows up to where each row is computed by itself, through
/// what nobody needs of other rows.
class RowChooser {
public:
  RowChooser(func::FuncOp function, Value rows) : shapes(function), rows(rows) {
    Block &block = function.front();
    narrowed.insert(block.getTerminator());
    for (Operation &op : llvm::reverse(block.without_terminator()))
      if (op.getNumResults() == 1 && !op.use_empty() &&
          llvm::all_of(
              op.getUsers(),
              [&](Operation *user) { return narrowed.contains(user); }) &&
          !operandsWithRows(&op).empty())
        narrowed.insert(&op);
  }

  /// The rows of `value`, which has them in dimension 1.
  Value choose(Value value) {
    if (Value chosen = done.lookup(value))
      return chosen;
    Value made = make(value);
    done[value] = made;
    return made;
  }
  /// Of what a model gives: batch×sequence×anything.
  bool hasRows(Value value, const SymbolicExpr &sequence) const {
    const SymbolicSizes *sizes = shapes.getSizes(value);
    return sizes && sizes->size() == 3 && (*sizes)[1] == sequence;
  }

private:
  /// Numbers of the operands that have the rows of the result, where each row
  /// of it is computed from the same row of these; else none.
  SmallVector<unsigned> operandsWithRows(Operation *op) const {
    const SymbolicSizes *sizes = shapes.getSizes(op->getResult(0));
    if (!sizes || sizes->size() != 3)
      return {};
    auto has = [&](Value value) { return hasRows(value, (*sizes)[1]); };
    if (auto product = dyn_cast<MatmulOp>(op)) {
      bool isByRow =
          !product.getTransposeLhs() && has(product.getLhs()) &&
          cast<RankedTensorType>(product.getRhs().getType()).getRank() == 2;
      return isByRow ? SmallVector<unsigned>{0} : SmallVector<unsigned>();
    }
    if (auto norm = dyn_cast<NormOp>(op))
      return norm.getAxis() == 2 && has(norm.getInput())
                 ? SmallVector<unsigned>{0}
                 : SmallVector<unsigned>();
    if (!isa<AddOp, SubOp, MulOp, DivOp, CastOp, GeluOp, SigmoidOp, TanhOp,
             ReluOp, ErfOp, ExpOp>(op))
      return {};
    SmallVector<unsigned> numbers;
    for (auto [number, operand] : llvm::enumerate(op->getOperands())) {
      const SymbolicSizes *own = shapes.getSizes(operand);
      bool isForAllRows =
          own && (own->size() < 2 || own->end()[-2] == SymbolicExpr(1));
      if (isForAllRows)
        continue;
      if (!has(operand))
        return {};
      numbers.push_back(number);
    }
    return numbers;
  }

  Value make(Value value) {
    Operation *op = value.getDefiningOp();
    OpBuilder builder(value.getContext());
    if (!op || !narrowed.contains(op)) {
      builder.setInsertionPointAfterValue(value);
      return GatherOp::create(builder, value.getLoc(), withRows(value), value,
                              rows, /*axis=*/1);
    }
    IRMapping map;
    for (unsigned number : operandsWithRows(op))
      map.map(op->getOperand(number), choose(op->getOperand(number)));
    builder.setInsertionPoint(op);
    Operation *clone = builder.clone(*op, map);
    clone->getResult(0).setType(withRows(value));
    return clone->getResult(0);
  }

  static RankedTensorType withRows(Value value) {
    auto type = cast<RankedTensorType>(value.getType());
    SmallVector<int64_t> sizes(type.getShape());
    sizes[1] = ShapedType::kDynamic;
    return RankedTensorType::get(sizes, type.getElementType());
  }

  SymbolicShapes shapes;
  Value rows;
  DenseSet<Operation *> narrowed; ///< of which no other rows are needed
  llvm::DenseMap<Value, Value> done;
};

/// What every element of `value` is, over the function's sizes; none where they
/// differ or depend on data. Integers of 32 bits are taken to hold a size, as
/// the operators that ask for such take them to.
std::optional<SymbolicExpr> getUniform(Value value,
                                       const SymbolicShapes &shapes) {
  Type element = getElementTypeOrSelf(value.getType());
  if (!element.isSignlessInteger(32) && !element.isSignlessInteger(64))
    return std::nullopt;
  if (const SymbolicSizes *contents = shapes.getContents(value))
    return !contents->empty() && llvm::all_equal(*contents)
               ? std::optional(contents->front())
               : std::nullopt;
  Operation *op = value.getDefiningOp();
  if (!op)
    return std::nullopt;
  if (isa<BroadcastOp, CastOp, ReshapeOp, SliceOp, TransposeOp>(op))
    return getUniform(op->getOperand(0), shapes);
  if (auto reduce = dyn_cast<ReduceOp>(op)) {
    std::optional<SymbolicExpr> each = getUniform(reduce.getInput(), shapes);
    const SymbolicSizes *sizes = shapes.getSizes(reduce.getInput());
    if (!each || !sizes || reduce.getKind() != ReductionKind::Sum)
      return std::nullopt;
    for (int64_t axis : reduce.getAxes())
      each = *each * (*sizes)[axis];
    return each;
  }
  if (!isa<AddOp, SubOp, MulOp, MaxOp>(op))
    return std::nullopt;
  std::optional<SymbolicExpr> lhs = getUniform(op->getOperand(0), shapes),
                              rhs = getUniform(op->getOperand(1), shapes);
  if (!lhs || !rhs)
    return std::nullopt;
  if (isa<AddOp>(op))
    return *lhs + *rhs;
  if (isa<SubOp>(op))
    return *lhs - *rhs;
  if (isa<MulOp>(op))
    return *lhs * *rhs;
  return shapes.isAtLeast(*lhs - *rhs, 0)   ? lhs
         : shapes.isAtLeast(*rhs - *lhs, 0) ? rhs
                                            : SymbolicExpr::max(*lhs, *rhs);
}

struct FormDecoderPass : impl::FormDecoderPassBase<FormDecoderPass> {
  void runOnOperation() override {
    function = getOperation();
    auto module = function->getParentOfType<ModuleOp>();
    if (!module->hasAttr("tenon.decoder") || function.getName() != "main")
      return;
    roles.clear();
    grown.clear();
    kept.clear();
    past.reset();
    for (BlockArgument argument : function.getArguments()) {
      unsigned number = argument.getArgNumber();
      if (auto role =
              function.getArgAttrOfType<StringAttr>(number, "tenon.role"))
        roles[role.getValue()] = argument;
      if (function.getArgAttr(number, "tenon.state"))
        return; // has the form already
      if (function.getArgAttr(number, "tenon.kept"))
        kept.push_back(argument);
    }
    // What repeated heads is not read any more.
    dropUnused();
    if (failed(formCaches()) || failed(formKept()) || failed(formResults()) ||
        failed(checkRest()))
      return signalPassFailure();
  }

private:
  StringRef nameOf(BlockArgument argument) {
    auto name = function.getArgAttrOfType<StringAttr>(argument.getArgNumber(),
                                                      "tenon.name");
    return name ? name.getValue() : "";
  }

  /// A past with what is new behind it.
  struct Grown {
    BlockArgument cache;
    Operation *op; ///< whose result it is
    Value input;   ///< what is new
  };

  /// concat(past, new), or append new into the past with room behind it at its
  /// end. Null where the past is read otherwise.
  Operation *getGrown(BlockArgument past, const SymbolicShapes &shapes) {
    if (!past.hasOneUse())
      return nullptr;
    Operation *user = *past.user_begin();
    if (auto concat = dyn_cast<ConcatOp>(user)) {
      bool isAppended = concat.getAxis() == 2 &&
                        concat.getInputs().size() == 2 &&
                        concat.getInputs()[0] == past;
      return isAppended ? user : nullptr;
    }
    Value room = past;
    if (auto pad = dyn_cast<PadOp>(user); pad && pad->hasOneUse()) {
      // What is read of the room is written before.
      const SymbolicSizes *before = shapes.getSizes(past),
                          *behind = shapes.getSizes(pad.getOutput());
      if (!before || !behind || !llvm::all_of(pad.getMixedLows(), [](auto low) {
            return isConstantIntValue(low, 0);
          }))
        return nullptr;
      for (int64_t dim : {0, 1, 3})
        if ((*before)[dim] != (*behind)[dim])
          return nullptr;
      room = pad.getOutput();
      user = *room.user_begin();
    }
    auto append = dyn_cast<AppendOp>(user);
    bool isAtEnd = append && append.getCache() == room && !append.getSlots() &&
                   isPast(append.getStarts(), shapes);
    return isAtEnd ? user : nullptr;
  }

  /// Whether `starts` are, for each row of the batch, how much is in its cache.
  bool isPast(Value starts, const SymbolicShapes &shapes) {
    std::optional<SymbolicExpr> uniform = getUniform(starts, shapes);
    return uniform && *uniform == *past;
  }

  /// Whether all that is made of `value` is a result of the function, and of
  /// nothing but what caches hold: keys and values may be one result.
  bool isPresentAlone(Value value) {
    return llvm::all_of(value.getUsers(), [&](Operation *user) {
      return isa<func::ReturnOp>(user) ||
             (isa<ReshapeOp, ConcatOp>(user) && isPresent(user->getResult(0)) &&
              isPresentAlone(user->getResult(0)));
    });
  }
  bool isPresent(Value value) {
    if (llvm::any_of(grown,
                     [&](const Grown &one) {
                       return one.op == value.getDefiningOp();
                     }) ||
        llvm::is_contained(kept, value))
      return true;
    Operation *op = value.getDefiningOp();
    return isa_and_nonnull<ReshapeOp, ConcatOp>(op) &&
           llvm::all_of(isa<ConcatOp>(op) ? op->getOperands()
                                          : op->getOperands().take_front(),
                        [&](Value part) { return isPresent(part); });
  }

  /// concat(past, new)  ->  append new into cache
  /// and attention that reads it  ->  attention at starts in slots
  LogicalResult formCaches() {
    SymbolicShapes shapes(function);
    for (BlockArgument argument : function.getArguments()) {
      auto type = cast<RankedTensorType>(argument.getType());
      if (type.getRank() != 4 || !isa<FloatType>(type.getElementType()) ||
          llvm::is_contained(kept, argument))
        continue;
      const SymbolicSizes *sizes = shapes.getSizes(argument);
      if (sizes && !past)
        past = (*sizes)[2];
      Operation *op =
          sizes && (*sizes)[2] == *past ? getGrown(argument, shapes) : nullptr;
      if (!op)
        return function.emitError("input '")
               << nameOf(argument)
               << "' is no cache of a decoder: what is new must be appended "
                  "to it, and nothing else may read it";
      auto concat = dyn_cast<ConcatOp>(op);
      grown.push_back(
          {argument, op,
           concat ? concat.getInputs()[1] : cast<AppendOp>(op).getInput()});
    }
    SmallVector<AttentionOp> readers;
    llvm::SetVector<Value> starts;
    for (const Grown &one : grown) {
      for (OpOperand &use : one.op->getUses()) {
        Operation *user = use.getOwner();
        if (isa<func::ReturnOp>(user))
          continue;
        if (isa<ReshapeOp, ConcatOp>(user) && isPresent(user->getResult(0)) &&
            isPresentAlone(user->getResult(0)))
          continue;
        auto attention = dyn_cast<AttentionOp>(user);
        if (!attention || use.getOperandNumber() < 1 ||
            use.getOperandNumber() > 2)
          return user->emitError("reads the cache '")
                 << nameOf(one.cache)
                 << "' and is no part of an attention that was recognised";
        if (!llvm::is_contained(readers, attention))
          readers.push_back(attention);
      }
    }
    for (AttentionOp attention : readers) {
      if (!attention.getCausal() ||
          (attention.getStarts() && !isPast(attention.getStarts(), shapes)))
        return attention->emitError(
            "has a mask that is not known to show each query the keys before "
            "it alone, which a decoder needs");
      if (attention.getStarts())
        starts.insert(attention.getStarts());
    }
    if (failed(formPositions(readers, shapes)))
      return failure();
    if (failed(chooseStoredType()))
      return failure();
    for (const Grown &one : grown) {
      OpBuilder builder(one.op);
      if (auto append = dyn_cast<AppendOp>(one.op))
        starts.insert(append.getStarts());
      Value appended = AppendOp::create(
          builder, one.op->getLoc(), one.cache.getType(), one.input, one.cache,
          roles["starts"], roles["slots"]);
      if (Attribute id = one.op->getAttr("tenon.id"))
        appended.getDefiningOp()->setAttr("tenon.id", id);
      one.op->getResult(0).replaceUsesWithIf(appended, [](OpOperand &use) {
        return isa<AttentionOp>(use.getOwner());
      });
    }
    for (AttentionOp attention : readers) {
      for (Value operand : {attention.getKey(), attention.getValue()})
        if (!operand.getDefiningOp<AppendOp>())
          return attention->emitError(
              "reads keys or values that are in no cache beside those that "
              "are");
      attention.getStartsMutable().assign(roles["starts"]);
      attention.getSlotsMutable().assign(roles["slots"]);
      attention.getLengthMutable().assign(findSymbol("context").getValue());
    }
    // Positions follow from these, too.
    for (Value value : starts)
      value.replaceAllUsesWith(roles["starts"]);
    Builder builder(&getContext());
    for (const Grown &one : grown) {
      unsigned number = one.cache.getArgNumber();
      auto type = cast<RankedTensorType>(one.cache.getType());
      function.setArgAttr(number, "tenon.state", builder.getUnitAttr());
      function.setArgAttr(number, "tenon.dims",
                          builder.getArrayAttr(
                              {builder.getStringAttr("slots"),
                               builder.getI64IntegerAttr(type.getDimSize(1)),
                               builder.getStringAttr("capacity"),
                               builder.getI64IntegerAttr(type.getDimSize(3))}));
    }
    return success();
  }

  /// What an encoder gave lies in slots, too: attention reads keys and values
  /// there, up to the length of each, and for all else they are looked up.
  LogicalResult formKept() {
    if (kept.empty())
      return success();
    SymbolicShapes shapes(function);
    if (BlockArgument lengths = roles.lookup("lengths"))
      if (failed(formCrossAttention(lengths, shapes)))
        return failure();
    OpBuilder builder(&getContext());
    for (BlockArgument argument : kept) {
      auto isElsewhere = [&](OpOperand &use) {
        auto attention = dyn_cast<AttentionOp>(use.getOwner());
        return !(attention && attention.getSlots()) &&
               !isa<func::ReturnOp>(use.getOwner());
      };
      if (llvm::any_of(argument.getUses(), isElsewhere)) {
        builder.setInsertionPointToStart(&function.front());
        auto rows =
            GatherOp::create(builder, argument.getLoc(), argument.getType(),
                             argument, roles["slots"], /*axis=*/0);
        argument.replaceUsesWithIf(rows, [&](OpOperand &use) {
          return isElsewhere(use) && use.getOwner() != rows;
        });
      }
      unsigned number = argument.getArgNumber();
      auto dims = function.getArgAttrOfType<ArrayAttr>(number, "tenon.dims");
      SmallVector<Attribute> named(dims.getValue());
      named[0] = builder.getStringAttr("slots");
      function.setArgAttr(number, "tenon.dims", builder.getArrayAttr(named));
    }
    return success();
  }

  /// attention q, k, v of all that was encoded
  ///   ->  attention q, k, v at lengths in slots
  LogicalResult formCrossAttention(BlockArgument lengths,
                                   const SymbolicShapes &shapes) {
    // How long what was encoded may be.
    std::optional<SymbolicExpr> longest;
    BlockArgument measured;
    for (BlockArgument argument : kept) {
      if (getLengthDim(argument) < 0)
        continue;
      measured = argument;
      longest = (*shapes.getSizes(argument))[getLengthDim(argument)];
    }
    if (SymbolOp symbol = symbolOfKept(measured))
      for (Operation *user : symbol.getValue().getUsers())
        if (isa<FromIndicesOp>(user))
          return user->emitError("computes with the length of '")
                 << nameOf(measured) << "', of which sequences have different";
    auto isLong = [&](Value value) {
      const SymbolicSizes *sizes = shapes.getSizes(value);
      return sizes && llvm::is_contained(*sizes, *longest);
    };
    auto isKept = [&](Value value) { return llvm::is_contained(kept, value); };
    bool isSymbolic = !longest->getConstant();
    OpBuilder builder(&getContext());
    for (Operation &op : function.front().without_terminator()) {
      auto attention = dyn_cast<AttentionOp>(op);
      bool isCross = attention && (isKept(attention.getKey()) ||
                                   (isSymbolic && isLong(attention.getKey())));
      if (isSymbolic && !isCross && failed(checkByPlace(&op, *longest, shapes)))
        return op.emitError("computes from all of '")
               << nameOf(measured)
               << "' together, of which sequences have different lengths";
      if (!isCross)
        continue;
      if (attention.getMask() || attention.getCausal() ||
          isLong(attention.getQuery()))
        return attention->emitError("reads '")
               << nameOf(measured)
               << "' with a mask that is not known to show all of it, which a "
                  "decoder needs";
      builder.setInsertionPoint(attention);
      attention.getStartsMutable().assign(lengths);
      if (isKept(attention.getKey()) && isKept(attention.getValue()))
        attention.getSlotsMutable().assign(roles["slots"]);
      Value length =
          isSymbolic ? symbolOfKept(measured).getValue()
                     : arith::ConstantIndexOp::create(
                           builder, attention.getLoc(), *longest->getConstant())
                           .getResult();
      attention.getLengthMutable().assign(length);
    }
    return success();
  }

  /// Whether what `op` computes for one place of what was encoded comes from
  /// the same place alone.
  LogicalResult checkByPlace(Operation *op, const SymbolicExpr &longest,
                             const SymbolicShapes &shapes) {
    auto find = [&](Value value) -> std::optional<int64_t> {
      const SymbolicSizes *sizes = shapes.getSizes(value);
      for (int64_t dim = 1; sizes && dim <= int64_t(sizes->size()); ++dim)
        if (sizes->end()[-dim] == longest)
          return dim;
      return std::nullopt;
    };
    for (OpOperand &operand : op->getOpOperands()) {
      std::optional<int64_t> dim = find(operand.get());
      if (!dim)
        continue;
      bool isByPlace =
          TypeSwitch<Operation *, bool>(op)
              .Case([&](MatmulOp product) {
                bool isTransposed = operand.getOperandNumber() == 0
                                        ? product.getTransposeLhs()
                                        : !product.getTransposeRhs();
                return *dim != (isTransposed ? 2 : 1);
              })
              .Case([&](NormOp norm) {
                auto type = cast<RankedTensorType>(norm.getInput().getType());
                return type.getRank() - norm.getAxis() != *dim;
              })
              .Case<AddOp, BroadcastOp, CastOp, DivOp, MulOp, ReshapeOp, SubOp,
                    TransposeOp>([](Operation *) { return true; })
              .Default([](Operation *) { return false; });
      if (!isByPlace || !find(op->getResult(0)))
        return failure();
    }
    return success();
  }

  /// What is computed from positions, for sequences at any of them: what is
  /// added to scores becomes a row, and what is looked up by positions is
  /// looked up by those of each row of the batch.
  LogicalResult formPositions(ArrayRef<AttentionOp> readers,
                              const SymbolicShapes &shapes) {
    PositionBias positions(shapes,
                           StepSizes{symbolOf(roles["ids"], 0),
                                     symbolOf(roles["ids"], 1),
                                     symbolOf(grown.front().cache, 2)},
                           findSymbol("context"));
    for (AttentionOp attention : readers) {
      if (!attention.getMask())
        continue;
      std::optional<PositionBias::Formed> formed =
          positions.form(attention.getMask());
      if (!formed)
        return attention->emitError(
            "has a mask that is not known to depend on the key alone, or its "
            "distance from the query, beside showing each query the keys "
            "before it, which a decoder needs");
      attention.getMaskMutable().assign(formed->mask);
      attention.setRelative(formed->isRelative);
    }
    for (Operation &op : function.front().without_terminator())
      if (isa<GatherOp, GatherNDOp>(op))
        if (std::optional<int64_t> offset =
                positions.getPosition(op.getOperand(1)))
          lookUpByRow(&op, *offset, shapes);
    return success();
  }

  /// gather table, past + i + offset  ->  gather table, starts[b] + i + offset
  void lookUpByRow(Operation *lookUp, int64_t offset,
                   const SymbolicShapes &shapes) {
    Value table = lookUp->getOperand(0), result = lookUp->getResult(0);
    auto tableType = cast<RankedTensorType>(table.getType());
    auto gather = dyn_cast<GatherOp>(lookUp);
    bool isByRow = tableType.getRank() == 2 &&
                   (gather ? gather.getAxis() == 0
                           : cast<GatherNDOp>(lookUp).getBatchDims() == 0);
    const SymbolicSizes &batch = *shapes.getSizes(roles["starts"]);
    // What has no dimension for the batch gets one where it meets what has.
    auto hasBatch = [&](Value value) {
      const SymbolicSizes *sizes = shapes.getSizes(value);
      return sizes && sizes->size() == 3 && (*sizes)[0] == batch[0];
    };
    if (!isByRow || !(hasBatch(result) ||
                      llvm::all_of(result.getUsers(), [&](Operation *user) {
                        return isa<AddOp, MulOp, SubOp>(user) &&
                               hasBatch(user->getResult(0));
                      })))
      return;
    OpBuilder builder(lookUp);
    Location loc = lookUp->getLoc();
    constexpr int64_t dynamic = ShapedType::kDynamic;
    Type i64 = builder.getI64Type();
    Value steps =
        IotaOp::create(builder, loc, RankedTensorType::get(dynamic, i64),
                       arith::ConstantIndexOp::create(builder, loc, offset),
                       /*step=*/1, symbolOf(roles["ids"], 1).getValue());
    Value column = ReshapeOp::create(
        builder, loc, RankedTensorType::get({dynamic, 1}, i64), roles["starts"],
        symbolOf(roles["ids"], 0).getValue(), ArrayRef<int64_t>{dynamic, 1},
        /*allow_zero=*/true);
    Value indices = AddOp::create(
        builder, loc, RankedTensorType::get({dynamic, dynamic}, i64), column,
        steps);
    auto type =
        RankedTensorType::get({dynamic, dynamic, tableType.getDimSize(1)},
                              tableType.getElementType());
    auto byRow = GatherOp::create(builder, loc, type, table, indices,
                                  /*axis=*/0);
    byRow->setDiscardableAttrs(lookUp->getDiscardableAttrDictionary());
    lookUp->removeAttr("tenon.id");
    result.replaceAllUsesWith(byRow);
  }

  /// Gives caches the type that the module asks for.
  LogicalResult chooseStoredType() {
    auto wanted =
        function->getParentOfType<ModuleOp>()->getAttrOfType<StringAttr>(
            "tenon.kv_cache");
    if (!wanted)
      return success();
    Builder builder(&getContext());
    Type element = llvm::StringSwitch<Type>(wanted)
                       .Case("f32", builder.getF32Type())
                       .Case("f16", builder.getF16Type())
                       .Case("bf16", builder.getBF16Type())
                       .Case("int8", builder.getI8Type())
                       .Default(Type());
    if (!element)
      return function.emitError("is wanted with caches of '")
             << wanted.getValue()
             << "', but caches are of f32, f16, bf16 or int8";
    for (Grown &one : grown) {
      auto type = cast<RankedTensorType>(one.cache.getType());
      SmallVector<int64_t> sizes(type.getShape());
      if (element.isInteger() && ShapedType::isDynamic(sizes[3]))
        return function.emitError("cache '")
               << nameOf(one.cache)
               << "' has heads of a size that is not known, and cannot be "
                  "stored in int8";
      sizes[3] = AppendOp::getRowSize(sizes[3], element);
      one.cache.setType(RankedTensorType::get(sizes, element));
    }
    return success();
  }

  /// Which dimension of a kept input counts what was encoded, or -1.
  int64_t getLengthDim(BlockArgument argument) {
    return function
        .getArgAttrOfType<IntegerAttr>(argument.getArgNumber(), "tenon.kept")
        .getInt();
  }
  /// The symbol that this dimension is, or null.
  SymbolOp symbolOfKept(BlockArgument argument) {
    auto dims = function.getArgAttrOfType<ArrayAttr>(argument.getArgNumber(),
                                                     "tenon.dims");
    return isa<StringAttr>(dims[getLengthDim(argument)])
               ? symbolOf(argument, getLengthDim(argument))
               : nullptr;
  }

  /// The symbol that a size of an input is.
  SymbolOp symbolOf(BlockArgument argument, unsigned dim) {
    auto dims = function.getArgAttrOfType<ArrayAttr>(argument.getArgNumber(),
                                                     "tenon.dims");
    return findSymbol(cast<StringAttr>(dims[dim]).getValue());
  }

  SymbolOp findSymbol(StringRef name) {
    for (auto symbol : function.getOps<SymbolOp>())
      if (symbol.getName() == name)
        return symbol;
    return nullptr;
  }

  /// Caches are no results any more; logits are those of the chosen rows.
  LogicalResult formResults() {
    auto terminator = cast<func::ReturnOp>(function.front().getTerminator());
    llvm::BitVector erased(terminator.getNumOperands());
    for (auto [number, value] : llvm::enumerate(terminator.getOperands()))
      if (isPresent(value))
        erased.set(number);
    terminator->eraseOperands(erased);
    (void)function.eraseResults(erased);
    dropUnused();
    BlockArgument ids = roles["ids"];
    auto dims =
        function.getArgAttrOfType<ArrayAttr>(ids.getArgNumber(), "tenon.dims");
    SymbolicExpr sequence =
        SymbolicExpr::symbol(cast<StringAttr>(dims[1]).getValue());
    RowChooser chooser(function, roles["rows"]);
    if (terminator.getNumOperands() != 1 ||
        !chooser.hasRows(terminator.getOperand(0), sequence))
      return function.emitError(
                 "must give logits (batch×sequence×vocabulary) and caches, but "
                 "beside caches it gives ")
             << terminator.getOperandTypes();
    Value logits = chooser.choose(terminator.getOperand(0));
    auto type = cast<RankedTensorType>(logits.getType());
    OpBuilder builder(terminator);
    if (!type.getElementType().isF32())
      logits = CastOp::create(builder, logits.getLoc(),
                              type.clone(builder.getF32Type()), logits);
    terminator.setOperand(0, logits);
    dropUnused();
    function.setFunctionType(
        FunctionType::get(&getContext(), function.front().getArgumentTypes(),
                          terminator.getOperandTypes()));
    return success();
  }

  void dropUnused() {
    SmallVector<Operation *> all;
    for (Operation &op : function.front().without_terminator())
      all.push_back(&op);
    for (Operation *op : llvm::reverse(all))
      if (isOpTriviallyDead(op))
        op->erase();
  }

  /// What was assumed of tensors that are there no more, as they were computed
  /// with this size. What they became is checked where it is read.
  void dropAssumptions(Value size) {
    for (Operation *user : llvm::make_early_inc_range(size.getUsers())) {
      if (isa<AssumeEqualOp>(user)) {
        user->erase();
      } else if (isa<arith::ArithDialect>(user->getDialect())) {
        dropAssumptions(user->getResult(0));
        if (isOpTriviallyDead(user))
          user->erase();
      }
    }
  }

  /// Sequences stand at different positions, so that nothing may be computed
  /// with one size of the past, and nothing may need an input of another kind.
  LogicalResult checkRest() {
    for (BlockArgument argument :
         llvm::make_early_inc_range(function.getArguments())) {
      unsigned number = argument.getArgNumber();
      if (!function.getArgAttr(number, "tenon.role") &&
          !function.getArgAttr(number, "tenon.state") &&
          !function.getArgAttr(number, "tenon.kept"))
        return function.emitError("input '")
               << nameOf(argument)
               << "' is none of tokens, positions, mask, caches or what an "
                  "encoder gives, which are all that a decoder has";
    }
    llvm::StringSet<> known;
    for (BlockArgument argument : function.getArguments())
      for (StringRef key : {"tenon.dims", "tenon.elements"})
        if (auto names = function.getArgAttrOfType<ArrayAttr>(
                argument.getArgNumber(), key))
          for (Attribute name : names)
            if (auto text = dyn_cast<StringAttr>(name))
              known.insert(text.getValue());
    for (auto symbol :
         llvm::make_early_inc_range(function.getOps<SymbolOp>())) {
      if (known.contains(symbol.getName()))
        continue;
      dropAssumptions(symbol.getValue());
      if (!symbol.getValue().use_empty())
        return (*symbol.getValue().user_begin())
                   ->emitError("computes with the size '")
               << symbol.getName()
               << "', which sequences at different positions have no one "
                  "value of";
      symbol.erase();
    }
    return success();
  }

  func::FuncOp function;
  llvm::StringMap<BlockArgument> roles;
  SmallVector<Grown> grown;
  SmallVector<BlockArgument> kept;  ///< inputs that an encoder gives
  std::optional<SymbolicExpr> past; ///< how much caches hold
};

} // namespace
} // namespace tenon::graph
