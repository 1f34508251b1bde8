// The importer: what its files share.
#ifndef TENON_LIB_IMPORT_ONNX_IMPORTER_H
#define TENON_LIB_IMPORT_ONNX_IMPORTER_H

#include "ImportContext.h"
#include "Initializers.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/OwningOpRef.h"
#include "llvm/ADT/StringSet.h"
#include <deque>

namespace tenon {

using Nodes = google::protobuf::RepeatedPtrField<onnx::NodeProto>;
using ValueInfos = google::protobuf::RepeatedPtrField<onnx::ValueInfoProto>;
using OpsetImports =
    google::protobuf::RepeatedPtrField<onnx::OperatorSetIdProto>;

/// "ai.onnx" is the other name of the default domain.
llvm::StringRef canonicalDomain(llvm::StringRef domain);
/// The name of a domain in messages.
llvm::StringRef domainName(llvm::StringRef domain);

/// The names that nodes of one graph or function body can refer to.
struct Scope {
  /// A null value belongs to a node that could not be imported.
  llvm::StringMap<mlir::Value> values;
  /// Inputs of a function that its call leaves out.
  llvm::StringSet<> omitted;
  llvm::StringMap<int64_t> opsets;
  /// What anything reads, results of the graph or function included.
  llvm::StringSet<> used;
  /// What gives each value of this graph, in words.
  llvm::StringMap<std::string> definitions;
  /// The nodes of this graph and of those around it, by their results.
  llvm::StringMap<const onnx::NodeProto *> producers;
  /// What the model says of the types of values, and those of them whose sizes
  /// others rely on: results of the graph. Exporters write wrong sizes of what
  /// lies between nodes, and nobody reads them.
  llvm::StringMap<const onnx::TypeProto *> declared;
  llvm::StringSet<> outputs;
  std::string prefix;
  const CallAttributes *callAttributes = nullptr;
  unsigned depth = 0;
};

class Importer {
public:
  Importer(mlir::MLIRContext *context, const onnx::ModelProto &model,
           llvm::StringRef path, const GivenWeights &given, mlir::Location loc);

  mlir::OwningOpRef<mlir::ModuleOp> run();
  const Problems &getProblems() const { return problems; }

private:
  mlir::InFlightDiagnostic invalid() {
    problems.invalid = true;
    return mlir::emitError(loc);
  }
  /// An error that starts `node 'NAME' (OP): `.
  mlir::InFlightDiagnostic invalid(const onnx::NodeProto &node,
                                   llvm::StringRef name);
  /// Makes initializers of inputs whose values are given.
  void takeGivenInputs();
  /// Reports names of weights that the model does not have.
  void checkGivenNames();
  mlir::LogicalResult importInputs(mlir::func::FuncOp function, Scope &scope);
  void importNodes(const Nodes &nodes, Scope &scope);
  void importNode(const onnx::NodeProto &node, Scope &scope);
  /// Reports what is wrong with the ops after `before`.
  bool verifyOps(mlir::Operation *before);
  void inferShapes(mlir::Operation *before);
  void importCall(const onnx::NodeProto &node, llvm::StringRef name,
                  const onnx::FunctionProto &function, Scope &scope);
  /// Fails if there is no such value, after an error that starts with `reader`
  /// unless it was reported before.
  mlir::FailureOr<mlir::Value> lookUp(mlir::Location at,
                                      const llvm::Twine &reader,
                                      const std::string &name, Scope &scope);
  // Rules.cpp: what a model must keep to around its nodes.
  /// Of the model or a function; messages start with `importer`.
  void checkOpsets(const OpsetImports &imports, const llvm::Twine &importer);
  /// Reports functions, inputs and initializers that have the name of another.
  void checkNames(Scope &scope);
  /// Whether the node can be imported: its domain has an opset, and it neither
  /// reads its results nor gives a value that is there already.
  bool checkNode(const onnx::NodeProto &node, llvm::StringRef name,
                 Scope &scope);
  /// Notes what the graph or function says of the types of its values.
  void declare(const ValueInfos &values, const ValueInfos &outputs,
               Scope &scope);
  /// Makes the results values of the scope, after an error where the model says
  /// otherwise or wants more of them. A null one is not known and not
  /// compared.
  void setResults(const onnx::NodeProto &node, llvm::StringRef name,
                  mlir::ValueRange results, Scope &scope);
  /// Makes null values of a node's results: it could not be imported.
  void dropResults(const onnx::NodeProto &node, Scope &scope);
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
  void nameOps(mlir::Block *block, mlir::Operation *before,
               llvm::StringRef name);
  std::string uniqueName(llvm::StringRef name);

  mlir::OpBuilder builder;
  const onnx::ModelProto &model;
  mlir::Location loc;
  Problems problems;
  const GivenWeights &given;
  Initializers initializers;
  llvm::StringMap<const OpHandler *> handlers;
  llvm::StringMap<const onnx::FunctionProto *> functions;
  llvm::StringMap<const onnx::TensorProto *> tensors;
  std::deque<onnx::TensorProto> givenInputs; ///< that `tensors` has, too
  llvm::StringMap<unsigned> names;
  /// Of what is imported so far, so that arithmetic on sizes is done at once.
  std::optional<SymbolicShapes> shapes;
  unsigned nodesSeen = 0;
  /// Where weights go while a nested graph is imported.
  std::optional<mlir::OpBuilder::InsertPoint> outermost;
};

} // namespace tenon

#endif // TENON_LIB_IMPORT_ONNX_IMPORTER_H
