// tenon-reduce: makes a .mlir file smaller as long as a program says that it is
// still interesting; scripts/reduce-miscompile.sh is one that does.
#include "Patterns.h"
#include "mlir/InitAllDialects.h"
#include "mlir/InitAllPasses.h"
#include "mlir/Tools/mlir-reduce/MlirReduceMain.h"
#include "tenon/Pipelines/Pipelines.h"

int main(int argc, char **argv) {
  mlir::DialectRegistry registry;
  mlir::registerAllDialects(registry);
  tenon::registerAllDialects(registry);
  registerReductionPatterns(registry);
  mlir::registerAllPasses();
  tenon::registerAllPasses();
  mlir::MLIRContext context(registry);
  return mlir::failed(mlir::mlirReduceMain(argc, argv, context));
}
