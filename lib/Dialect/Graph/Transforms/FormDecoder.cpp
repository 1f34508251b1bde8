// Turns a decoder whose caches grow into one that changes them in place. See
// Passes.td.
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"
#include "tenon/Analysis/SymbolicShapes.h"
#include "tenon/Dialect/Graph/IR/GraphOps.h"
#include "tenon/Dialect/Graph/Transforms/Passes.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/ADT/StringSet.h"

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

struct FormDecoderPass : impl::FormDecoderPassBase<FormDecoderPass> {
  void runOnOperation() override {
    function = getOperation();
    auto module = function->getParentOfType<ModuleOp>();
    if (!module->hasAttr("tenon.decoder") || function.getName() != "main")
      return;
    roles.clear();
    caches.clear();
    for (BlockArgument argument : function.getArguments()) {
      unsigned number = argument.getArgNumber();
      if (auto role =
              function.getArgAttrOfType<StringAttr>(number, "tenon.role"))
        roles[role.getValue()] = argument;
      if (function.getArgAttr(number, "tenon.state"))
        return; // has the form already
    }
    // What repeated heads is not read any more.
    dropUnused();
    if (failed(formCaches()) || failed(formResults()) || failed(checkRest()))
      return signalPassFailure();
  }

private:
  StringRef nameOf(BlockArgument argument) {
    auto name = function.getArgAttrOfType<StringAttr>(argument.getArgNumber(),
                                                      "tenon.name");
    return name ? name.getValue() : "";
  }

  /// concat(past, new)  ->  append new into cache
  /// and attention that reads it  ->  attention at starts in slots
  LogicalResult formCaches() {
    SmallVector<ConcatOp> joined;
    for (BlockArgument argument : function.getArguments()) {
      auto type = cast<RankedTensorType>(argument.getType());
      if (type.getRank() != 4 || !isa<FloatType>(type.getElementType()))
        continue;
      auto concat = argument.hasOneUse()
                        ? dyn_cast<ConcatOp>(*argument.user_begin())
                        : ConcatOp();
      if (!concat || concat.getAxis() != 2 || concat.getInputs().size() != 2 ||
          concat.getInputs()[0] != argument)
        return function.emitError("input '")
               << nameOf(argument)
               << "' is no cache of a decoder: what is new must be appended "
                  "to it, and nothing else may read it";
      joined.push_back(concat);
      caches.push_back(argument);
    }
    SmallVector<AttentionOp> readers;
    for (auto [concat, cache] : llvm::zip(joined, caches)) {
      for (OpOperand &use : concat.getOutput().getUses()) {
        Operation *user = use.getOwner();
        if (isa<func::ReturnOp>(user))
          continue;
        auto attention = dyn_cast<AttentionOp>(user);
        if (!attention || use.getOperandNumber() < 1 ||
            use.getOperandNumber() > 2)
          return user->emitError("reads the cache '")
                 << nameOf(cache)
                 << "' and is no part of an attention that was recognised";
        if (!llvm::is_contained(readers, attention))
          readers.push_back(attention);
      }
      OpBuilder builder(concat);
      Value appended = AppendOp::create(builder, concat.getLoc(),
                                        cache.getType(), concat.getInputs()[1],
                                        cache, roles["starts"], roles["slots"]);
      if (Attribute id = concat->getAttr("tenon.id"))
        appended.getDefiningOp()->setAttr("tenon.id", id);
      concat.getOutput().replaceUsesWithIf(appended, [](OpOperand &use) {
        return isa<AttentionOp>(use.getOwner());
      });
    }
    for (AttentionOp attention : readers) {
      if (attention.getMask() || !attention.getCausal())
        return attention->emitError(
            "has a mask that is not known to show each query the keys before "
            "it alone, which a decoder needs");
      for (Value operand : {attention.getKey(), attention.getValue()})
        if (!operand.getDefiningOp<AppendOp>())
          return attention->emitError(
              "reads keys or values that are in no cache beside those that "
              "are");
      attention.getStartsMutable().assign(roles["starts"]);
      attention.getSlotsMutable().assign(roles["slots"]);
      attention.getLengthMutable().assign(findSymbol("context").getValue());
    }
    Builder builder(&getContext());
    for (BlockArgument cache : caches) {
      unsigned number = cache.getArgNumber();
      auto type = cast<RankedTensorType>(cache.getType());
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
      if (auto concat = value.getDefiningOp<ConcatOp>())
        for (BlockArgument cache : caches)
          if (concat.getInputs()[0] == cache)
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
    function.setFunctionType(FunctionType::get(&getContext(),
                                               function.getArgumentTypes(),
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

  /// Sequences stand at different positions, so that nothing may be computed
  /// with one size of the past, and nothing may need an input of another kind.
  LogicalResult checkRest() {
    for (BlockArgument argument :
         llvm::make_early_inc_range(function.getArguments())) {
      unsigned number = argument.getArgNumber();
      if (!function.getArgAttr(number, "tenon.role") &&
          !function.getArgAttr(number, "tenon.state"))
        return function.emitError("input '")
               << nameOf(argument)
               << "' is none of tokens, positions, mask or caches, which are "
                  "all that a decoder has";
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
  SmallVector<BlockArgument> caches;
};

} // namespace
} // namespace tenon::graph
