// The importer: what its files share.
#ifndef TENON_LIB_IMPORT_ONNX_IMPORTER_H
#define TENON_LIB_IMPORT_ONNX_IMPORTER_H

#include "ImportContext.h"
#include "Initializers.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/OwningOpRef.h"
#include "llvm/ADT/StringSet.h"

namespace tenon {

using Nodes = google::protobuf::RepeatedPtrField<onnx::NodeProto>;

/// The names that nodes of one graph or function body can refer to.
struct Scope {
  /// A null value belongs to a node that could not be imported.
  llvm::StringMap<mlir::Value> values;
  /// Inputs of a function that its call leaves out.
  llvm::StringSet<> omitted;
  llvm::StringMap<int64_t> opsets;
  /// What anything reads, results of the graph or function included.
  llvm::StringSet<> used;
  std::string prefix;
  const CallAttributes *callAttributes = nullptr;
  unsigned depth = 0;
};

class Importer {
public:
  Importer(mlir::MLIRContext *context, const onnx::ModelProto &model,
           llvm::StringRef folder, mlir::Location loc);

  mlir::OwningOpRef<mlir::ModuleOp> run();
  const Problems &getProblems() const { return problems; }

private:
  mlir::InFlightDiagnostic invalid() {
    problems.invalid = true;
    return mlir::emitError(loc);
  }
  mlir::LogicalResult importInputs(mlir::func::FuncOp function, Scope &scope);
  void importNodes(const Nodes &nodes, Scope &scope);
  void importNode(const onnx::NodeProto &node, Scope &scope);
  /// Reports what is wrong with the ops after `before`.
  bool verifyOps(mlir::Operation *before);
  void inferShapes(mlir::Operation *before);
  void importCall(const onnx::NodeProto &node, llvm::StringRef name,
                  const onnx::FunctionProto &function, Scope &scope);
  mlir::FailureOr<mlir::Value> lookUp(mlir::Location at,
                                      const std::string &name, Scope &scope);
  // Control.cpp: nodes with graphs of their own.
  void importIf(const onnx::NodeProto &node, llvm::StringRef name,
                Scope &scope);
  void importLoop(const onnx::NodeProto &node, llvm::StringRef name,
                  Scope &scope);
  void importScan(const onnx::NodeProto &node, llvm::StringRef name,
                  Scope &scope);
  /// Imports a graph into a new block of `region` with arguments of `types` for
  /// its inputs, and returns its outputs. Weights and constants of the model go
  /// before the node that the graph belongs to.
  mlir::FailureOr<llvm::SmallVector<mlir::Value>>
  importGraph(const onnx::GraphProto &graph, llvm::StringRef name,
              mlir::Region &region, mlir::TypeRange types, Scope &scope);
  mlir::Value addScans(mlir::Location loc, mlir::Value trips,
                       mlir::OpBuilder::InsertPoint here, mlir::Block *body,
                       llvm::ArrayRef<mlir::Value> elements,
                       llvm::SmallVectorImpl<mlir::Value> &inits,
                       llvm::SmallVectorImpl<mlir::Value> &yields);
  mlir::Value makeScalar(mlir::Type type, int64_t value);
  void setResults(const onnx::NodeProto &node, mlir::ValueRange results,
                  Scope &scope);
  void nameOps(mlir::Block *block, mlir::Operation *before,
               llvm::StringRef name);
  std::string uniqueName(llvm::StringRef name);

  mlir::OpBuilder builder;
  const onnx::ModelProto &model;
  mlir::Location loc;
  Problems problems;
  Initializers initializers;
  llvm::StringMap<const OpHandler *> handlers;
  llvm::StringMap<const onnx::FunctionProto *> functions;
  llvm::StringMap<const onnx::TensorProto *> tensors;
  llvm::StringMap<unsigned> names;
  /// Of what is imported so far, so that arithmetic on sizes is done at once.
  std::optional<SymbolicShapes> shapes;
  unsigned nodesSeen = 0;
  /// Where weights go while a nested graph is imported.
  std::optional<mlir::OpBuilder::InsertPoint> outermost;
};

} // namespace tenon

#endif // TENON_LIB_IMPORT_ONNX_IMPORTER_H
