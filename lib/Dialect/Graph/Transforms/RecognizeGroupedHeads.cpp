// Lets attention read each head of keys and values once. See Passes.td.
#include "Matching.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "tenon/Analysis/SymbolicShapes.h"
#include "tenon/Dialect/Graph/IR/GraphOps.h"
#include "tenon/Dialect/Graph/Transforms/Passes.h"

using namespace mlir;

namespace tenon::graph {
#define GEN_PASS_DEF_RECOGNIZEGROUPEDHEADSPASS
#include "tenon/Dialect/Graph/Transforms/Passes.h.inc"

namespace {

/// x where `heads` is x with each of its heads repeated in place:
/// batch×H×T×D -> batch×H×1×T×D -> batch×H×group×T×D -> batch×(H·group)×T×D.
/// Else null.
Value getUnrepeated(Value heads, const SymbolicShapes &shapes) {
  auto joined = heads.getDefiningOp<ReshapeOp>();
  auto repeated =
      joined ? joined.getInput().getDefiningOp<BroadcastOp>() : nullptr;
  auto single =
      repeated ? repeated.getInput().getDefiningOp<ReshapeOp>() : nullptr;
  if (!single)
    return nullptr;
  const SymbolicSizes *input = shapes.getSizes(single.getInput());
  const SymbolicSizes *singleSizes = shapes.getSizes(single.getOutput());
  const SymbolicSizes *repeatedSizes = shapes.getSizes(repeated.getOutput());
  const SymbolicSizes *output = shapes.getSizes(heads);
  if (!input || !singleSizes || !repeatedSizes || !output ||
      input->size() != 4 || repeatedSizes->size() != 5)
    return nullptr;
  SymbolicSizes wanted = *input;
  wanted.insert(wanted.begin() + 2, SymbolicExpr(1));
  if (*singleSizes != wanted)
    return nullptr;
  SymbolicExpr group = (*repeatedSizes)[2];
  wanted[2] = group;
  if (*repeatedSizes != wanted)
    return nullptr;
  wanted = *input;
  wanted[1] = wanted[1] * group;
  return *output == wanted ? single.getInput() : nullptr;
}

/// Where only a part is as it must be, the obstacle says which.
LogicalResult readOnce(AttentionOp op, const SymbolicShapes &shapes,
                       Obstacle &obstacle) {
  Value key = getUnrepeated(op.getKey(), shapes);
  Value value = getUnrepeated(op.getValue(), shapes);
  if (!key && !value)
    return failure();
  if (!key || !value)
    return obstacle.refuse("only the keys or only the values repeat each head "
                           "in place");
  // A head of the query reads the same head of keys and of values.
  if ((*shapes.getSizes(key))[1] != (*shapes.getSizes(value))[1])
    return obstacle.refuse("keys and values have different numbers of heads");
  op.getKeyMutable().assign(key);
  op.getValueMutable().assign(value);
  return success();
}

struct RecognizeGroupedHeadsPass
    : impl::RecognizeGroupedHeadsPassBase<RecognizeGroupedHeadsPass> {
  void runOnOperation() override {
    SymbolicShapes shapes(getOperation());
    for (auto op : getOperation().getBody().front().getOps<AttentionOp>()) {
      Obstacle obstacle;
      if (succeeded(readOnce(op, shapes, obstacle)))
        reportRecognized(op, "grouped heads");
      else if (!obstacle.reason().empty())
        reportNotRecognized(op, "grouped heads", obstacle);
    }
  }
};

} // namespace
} // namespace tenon::graph
