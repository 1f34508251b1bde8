// What the subcommands that compile share.
#include "Compilation.h"
#include "mlir/IR/Diagnostics.h"
#include "mlir/IR/MLIRContext.h"
#include "tenon/Target/CPU/Emit.h"

using namespace mlir;
using llvm::StringRef;

bool parseTarget(StringRef text, std::string &target) {
  target = text == "native" ? tenon::nativeFacts().name : text.str();
  llvm::Expected<tenon::TargetFacts> facts = tenon::readTargetFacts(target);
  if (!facts)
    llvm::errs() << "error: --cpu " << text << ": "
                 << llvm::toString(facts.takeError()) << "\n";
  return bool(facts);
}

/// The ONNX node that a location names, or null.
static StringAttr nodeName(Location loc) {
  StringAttr name;
  loc->walk([&](Location inner) {
    if (auto named = dyn_cast<NameLoc>(inner)) {
      name = named.getName();
      return WalkResult::interrupt();
    }
    return WalkResult::advance();
  });
  return name;
}

/// Where a diagnostic points, unless its text says so itself: import names the
/// node, later phases only know its location. What is said of the whole model
/// has the name of its file.
static std::string placeOf(Location loc, StringRef text, StringRef model) {
  StringAttr node = nodeName(loc);
  if (node && node == model)
    return text.contains(model) ? "" : model.str();
  if (node)
    return text.contains(("'" + node.getValue() + "'").str())
               ? ""
               : ("node '" + node.getValue() + "'").str();
  if (auto file = dyn_cast<FileLineColLoc>(loc))
    return (file.getFilename().getValue() + ":" + Twine(file.getLine())).str();
  return "";
}

static StringRef severityOf(const Diagnostic &diagnostic) {
  switch (diagnostic.getSeverity()) {
  case DiagnosticSeverity::Error:
    return "error";
  case DiagnosticSeverity::Warning:
    return "warning";
  case DiagnosticSeverity::Note:
  case DiagnosticSeverity::Remark:
    return "note";
  }
  llvm_unreachable("all severities are handled");
}

int compileAndCollect(StringRef inputPath, StringRef outputPath,
                      const tenon::CompilerOptions &options,
                      const DialectRegistry &registry,
                      tenon::CompileObserver &observer,
                      llvm::function_ref<void(const Problem &)> found) {
  MLIRContext context(registry);
  context.printOpOnDiagnostic(false);
  context.getDiagEngine().registerHandler([&](Diagnostic &diagnostic) {
    std::string text = diagnostic.str();
    found({severityOf(diagnostic),
           placeOf(diagnostic.getLocation(), text, inputPath), text});
  });
  switch (
      tenon::compileModel(&context, inputPath, outputPath, options, observer)) {
  case tenon::CompileStatus::Success:
    return 0;
  case tenon::CompileStatus::Unsupported:
    return 3;
  case tenon::CompileStatus::Error:
    return 1;
  }
  llvm_unreachable("all statuses are handled");
}
