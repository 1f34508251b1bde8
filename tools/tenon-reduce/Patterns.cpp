// What tenon-reduce tries on each op of a function, one change at a time: as
// every op feeds the result, leaving ops out alone would not get far.
#include "Patterns.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/IRMapping.h"
#include "mlir/IR/PatternMatch.h"
#include "mlir/IR/Verifier.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"
#include "mlir/Reducer/ReductionPatternInterface.h"
#include "mlir/Reducer/Tester.h"
#include "tenon/Dialect/Graph/IR/GraphOps.h"

using namespace mlir;
using namespace tenon;

namespace {

/// Changes the function around an op. Called on a copy first.
using Change = std::function<void(Operation *op, RewriterBase &rewriter)>;

/// y = op(x, ...)  ->  y = x, where the types agree
void addForwards(Operation *op, SmallVectorImpl<Change> &changes) {
  for (auto [number, operand] : llvm::enumerate(op->getOperands()))
    if (operand.getType() == op->getResult(0).getType())
      changes.push_back([number](Operation *op, RewriterBase &rewriter) {
        rewriter.replaceOp(op, op->getOperand(number));
      });
}

/// y = op(x, ...)  ->  y is an argument
void addArgument(Operation *op, SmallVectorImpl<Change> &changes) {
  auto type = dyn_cast<RankedTensorType>(op->getResult(0).getType());
  if (!type || !type.hasStaticShape())
    return;
  changes.push_back([type](Operation *op, RewriterBase &rewriter) {
    auto function = op->getParentOfType<func::FuncOp>();
    unsigned number = function.getNumArguments();
    NamedAttrList attributes;
    Attribute id = op->getAttr("tenon.id");
    attributes.set("tenon.name", id ? id : rewriter.getStringAttr("cut"));
    attributes.set("tenon.dims", rewriter.getI64ArrayAttr(type.getShape()));
    (void)function.insertArgument(
        number, type, attributes.getDictionary(op->getContext()), op->getLoc());
    rewriter.replaceOp(op, function.getArgument(number));
  });
}

/// return op(x, ...)  ->  return x; and of several results one less
void addEarlierResults(func::ReturnOp terminator,
                       SmallVectorImpl<Change> &changes) {
  unsigned count = terminator.getNumOperands();
  for (unsigned result = 0; result < count; ++result) {
    if (count > 1)
      changes.push_back([result](Operation *op, RewriterBase &rewriter) {
        rewriter.modifyOpInPlace(op, [&] { op->eraseOperand(result); });
        (void)op->getParentOfType<func::FuncOp>().eraseResult(result);
      });
    Operation *source = terminator.getOperand(result).getDefiningOp();
    for (unsigned i = 0; source && i < source->getNumOperands(); ++i)
      if (isa<RankedTensorType>(source->getOperand(i).getType()))
        changes.push_back([result, i](Operation *op, RewriterBase &rewriter) {
          auto function = op->getParentOfType<func::FuncOp>();
          Value value = op->getOperand(result).getDefiningOp()->getOperand(i);
          rewriter.modifyOpInPlace(op, [&] { op->setOperand(result, value); });
          SmallVector<Type> results(op->getOperandTypes());
          function.setType(rewriter.getFunctionType(
              function.getFunctionType().getInputs(), results));
        });
  }
}

/// Leaves out what the change has left without a use.
void eraseUnused(func::FuncOp function, RewriterBase &rewriter) {
  for (Operation &op :
       llvm::make_early_inc_range(llvm::reverse(function.getBody().front())))
    if (isOpTriviallyDead(&op))
      rewriter.eraseOp(&op);
  for (unsigned i = function.getNumArguments(); i-- > 0;)
    if (function.getArgument(i).use_empty())
      (void)function.eraseArgument(i);
}

struct Reduction : RewritePattern {
  Reduction(MLIRContext *context, Tester &tester)
      : RewritePattern(MatchAnyOpTypeTag(), 1, context), tester(tester) {}

  LogicalResult matchAndRewrite(Operation *op,
                                PatternRewriter &rewriter) const override {
    auto function = dyn_cast<func::FuncOp>(op->getParentOp());
    if (!function)
      return rewriter.notifyMatchFailure(op, "is not at the top of a function");
    SmallVector<Change> changes;
    if (auto terminator = dyn_cast<func::ReturnOp>(op)) {
      addEarlierResults(terminator, changes);
    } else if (isa<graph::GraphDialect>(op->getDialect()) &&
               op->getNumResults() == 1) {
      // A constant is no bigger than an argument, and needs no data.
      if (!isa<graph::ConstantOp>(op))
        addArgument(op, changes);
      addForwards(op, changes);
    }
    for (const Change &change : changes)
      if (staysInteresting(op, change)) {
        change(op, rewriter);
        eraseUnused(function, rewriter);
        return success();
      }
    return rewriter.notifyMatchFailure(op, "no change is interesting");
  }

private:
  bool staysInteresting(Operation *op, const Change &change) const {
    IRMapping twins;
    OwningOpRef<ModuleOp> copy =
        cast<ModuleOp>(op->getParentOfType<ModuleOp>()->clone(twins));
    Operation *twin = twins.lookup(op);
    auto function = twin->getParentOfType<func::FuncOp>();
    IRRewriter rewriter(twin);
    change(twin, rewriter);
    eraseUnused(function, rewriter);
    return succeeded(verify(*copy)) &&
           tester.isInteresting(*copy).first == Tester::Interestingness::True;
  }

  Tester &tester;
};

struct GraphReductionPatterns : DialectReductionPatternInterface {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(GraphReductionPatterns)
  GraphReductionPatterns(Dialect *dialect)
      : DialectReductionPatternInterface(dialect) {}

  void populateReductionPatterns(RewritePatternSet &) const override {}
  void populateReductionPatternsWithTester(RewritePatternSet &patterns,
                                           Tester &tester) const override {
    patterns.add<Reduction>(patterns.getContext(), tester);
  }
};

} // namespace

void registerReductionPatterns(DialectRegistry &registry) {
  registry.addExtension(+[](MLIRContext *, graph::GraphDialect *dialect) {
    dialect->addInterfaces<GraphReductionPatterns>();
  });
}
