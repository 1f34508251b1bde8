// Phase 2: graph -> graph. Says the same thing in fewer, simpler ops.
#include "mlir/Pass/PassManager.h"
#include "mlir/Transforms/Passes.h"
#include "tenon/Dialect/Graph/Transforms/Passes.h"
#include "tenon/Pipelines/Pipelines.h"
#include "tenon/Target/Registry.h"

using namespace mlir;

void tenon::buildSimplifyPipeline(OpPassManager &pm,
                                  const PhaseOptions &options) {
  TargetChoice choice =
      llvm::cantFail(chooseTarget(allTargets(), options.target));
  // Shape arithmetic first: until sizes are known nothing else can be compared.
  // Twice, since constants of floating point (scales, say) depend on sizes and
  // sizes can then depend on what they fold to.
  for (int round = 0; round < 2; ++round) {
    pm.addNestedPass<func::FuncOp>(graph::createFoldShapeArithmeticPass());
    pm.addNestedPass<func::FuncOp>(graph::createInferShapesPass());
    pm.addPass(graph::createFoldConstantsPass());
    pm.addPass(createCanonicalizerPass());
    pm.addPass(createCSEPass());
  }
  // Before any other pass looks at how they are made.
  pm.addPass(graph::createPackBlockWeightsPass());
  // Zero points that are 0 leave nothing behind, so this comes first.
  pm.addPass(graph::createFoldWeightSumsPass());
  pm.addPass(graph::createSinkDequantizePass());
  // Norms and GELUs inside attention's operands are no products any more when
  // attention looks for its scale factors.
  pm.addPass(graph::createRecognizeNormPass());
  pm.addPass(graph::createRecognizeGeluPass());
  // Each product of attention would be one of integers otherwise, which is what
  // they stay where these are no faster than floats.
  if (choice.facts.int8Gops > choice.facts.f32Gflops)
    pm.addPass(graph::createRecognizeQuantizedAttentionPass());
  pm.addPass(graph::createRecognizeIntegerProductsPass());
  pm.addPass(graph::createFoldConstantsPass());
  pm.addNestedPass<func::FuncOp>(graph::createShareEqualOpsPass());
  pm.addNestedPass<func::FuncOp>(graph::createRecognizeRotaryPass());
  pm.addNestedPass<func::FuncOp>(graph::createUnflattenPass());
  pm.addNestedPass<func::FuncOp>(graph::createSwapTransposedProductPass());
  pm.addPass(graph::createFoldTransposeIntoMatmulPass());
  // What products of integers have in common is one op now.
  pm.addPass(graph::createFoldWeightSumsPass());
  // A transpose between a cast and its product is gone now.
  pm.addPass(graph::createFoldWeightCastsPass());
  pm.addPass(graph::createRecognizeAttentionPass());
  pm.addNestedPass<func::FuncOp>(graph::createRecognizeGroupedHeadsPass());
  pm.addNestedPass<func::FuncOp>(graph::createRecognizeCausalMaskPass());
  pm.addNestedPass<func::FuncOp>(graph::createFormDecoderPass());
  pm.addPass(graph::createRaiseDequantizePass());
  // Last, when nobody looks for attention by how its operands are made.
  pm.addNestedPass<func::FuncOp>(graph::createSliceHeadsPass());
  pm.addPass(createCanonicalizerPass());
  pm.addPass(createCSEPass());
}
