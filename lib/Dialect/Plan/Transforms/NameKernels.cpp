// Names kernels after the ONNX nodes that they compute. See Passes.td.
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/SymbolTable.h"
#include "tenon/Dialect/Plan/IR/PlanOps.h"
#include "tenon/Dialect/Plan/Transforms/Passes.h"
#include "llvm/ADT/MapVector.h"
#include "llvm/ADT/StringExtras.h"

using namespace mlir;

namespace tenon::plan {
#define GEN_PASS_DEF_NAMEKERNELSPASS
#include "tenon/Dialect/Plan/Transforms/Passes.h.inc"

namespace {

constexpr size_t longestNode = 64;

/// "/layer.0/query/Add" -> "layer_0_query_Add". Of a long name the end, which
/// says more than its beginning.
std::string identifierOf(StringRef node) {
  std::string name;
  for (char c : node)
    if (llvm::isAlnum(c))
      name += c;
    else if (!name.empty() && name.back() != '_')
      name += '_';
  StringRef end = name;
  return end.rtrim('_').take_back(longestNode).ltrim('_').str();
}

struct NameKernelsPass : impl::NameKernelsPassBase<NameKernelsPass> {
  void runOnOperation() override {
    ModuleOp module = getOperation();
    SymbolTable symbols(module);
    llvm::MapVector<Operation *, SmallVector<LaunchOp>> launches;
    module.walk([&](LaunchOp launch) {
      launches[symbols.lookup(launch.getKernel())].push_back(launch);
    });
    for (auto &[op, launched] : launches) {
      auto kernel = cast<func::FuncOp>(op);
      StringAttr plain = kernel.getNameAttr();
      kernel->setAttr("tenon.kernel", plain);
      std::string name = nameFor(plain.getValue(), launched);
      if (name == plain.getValue())
        continue;
      symbols.remove(kernel);
      kernel.setName(name);
      // Which may find that another symbol has the name, and change it.
      name = symbols.insert(kernel).str();
      for (LaunchOp launch : launched)
        launch.setKernel(name);
    }
  }

private:
  static std::string nameFor(StringRef plain, ArrayRef<LaunchOp> launches) {
    auto id = launches.front()->getAttrOfType<StringAttr>("tenon.id");
    std::string node = id ? identifierOf(id.getValue()) : "";
    if (node.empty())
      return plain.str();
    std::string name = (plain + "__" + node).str();
    if (launches.size() > 1)
      name += "__and_" + std::to_string(launches.size() - 1) + "_more";
    return name;
  }
};

} // namespace
} // namespace tenon::plan
