// What tenon and tenon-opt ask the plugin for: a dialect and its pass.
#include "Poly.h"
#include "mlir/Tools/Plugins/DialectPlugin.h"
#include "mlir/Tools/Plugins/PassPlugin.h"

extern "C" mlir::DialectPluginLibraryInfo mlirGetDialectPluginInfo() {
  return {MLIR_PLUGIN_API_VERSION, "poly", "1",
          [](mlir::DialectRegistry *registry) {
            registry->insert<poly::PolyDialect>();
          }};
}

extern "C" mlir::PassPluginLibraryInfo mlirGetPassPluginInfo() {
  return {MLIR_PLUGIN_API_VERSION, "poly", "1",
          [] { poly::registerConvertPolyToGraphPass(); }};
}
