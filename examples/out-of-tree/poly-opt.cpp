// poly-opt: tenon-opt with one dialect more.
#include "Poly.h"
#include "mlir/Tools/mlir-opt/MlirOptMain.h"
#include "tenon/Pipelines/Pipelines.h"

int main(int argc, char **argv) {
  mlir::DialectRegistry registry;
  tenon::registerAllDialects(registry);
  registry.insert<poly::PolyDialect>();
  tenon::registerAllPasses();
  poly::registerConvertPolyToGraphPass();
  return mlir::asMainReturnCode(mlir::MlirOptMain(
      argc, argv, "Tenon optimizer driver with polynomials\n", registry));
}
