// What a handler of one ONNX operator sees: its node's operands, attributes and
// results, and the builder of the function that it adds graph ops to.
#ifndef TENON_LIB_IMPORT_ONNX_IMPORTCONTEXT_H
#define TENON_LIB_IMPORT_ONNX_IMPORTCONTEXT_H

#include "mlir/IR/Builders.h"
#include "mlir/IR/BuiltinAttributes.h"
#include "mlir/IR/Diagnostics.h"
#include "onnx.pb.h"
#include "tenon/Analysis/SymbolicShapes.h"
#include "tenon/Dialect/Graph/IR/GraphOps.h"
#include "llvm/ADT/BitVector.h"
#include "llvm/ADT/StringSet.h"
#include <optional>

namespace tenon {

class Initializers;
using Sizes = llvm::SmallVector<mlir::OpFoldResult>;

/// Which kinds of problem were reported for a model.
struct Problems {
  bool invalid = false, unsupported = false;
};

/// The attributes of the call that a function's body is inlined for; null
/// outside of functions.
using CallAttributes = llvm::StringMap<const onnx::AttributeProto *>;

class ImportContext {
public:
  ImportContext(mlir::OpBuilder &builder, const onnx::NodeProto &node,
                llvm::StringRef name, int64_t opset,
                llvm::ArrayRef<mlir::Value> operands,
                llvm::ArrayRef<bool> usedResults,
                const CallAttributes *callAttributes,
                Initializers &initializers, Problems &problems,
                const SymbolicShapes &shapes)
      : builder(builder), loc(mlir::NameLoc::get(builder.getStringAttr(name))),
        opset(opset), node(node), name(name), operands(operands),
        usedResults(usedResults), callAttributes(callAttributes),
        initializers(initializers), problems(problems), shapes(shapes),
        results(usedResults.size()), lookedAt(operands.size()) {}

  mlir::OpBuilder &builder;
  mlir::Location loc;
  int64_t opset;

  // Problems. Each starts an error `node 'NAME' (OP): `.

  /// The model breaks a rule of ONNX.
  mlir::InFlightDiagnostic invalid();
  /// The model is right, but asks for what Tenon does not have.
  mlir::InFlightDiagnostic unsupported();

  // Operands and results.

  unsigned getNumOperands() const { return operands.size(); }
  /// Null if the node leaves the operand out.
  mlir::Value getOperand(unsigned i) const;
  /// Fails, after an error, if one of the first `count` operands is left out.
  mlir::LogicalResult requireOperands(unsigned count);
  /// Fails, after an error, if operand `i` is there and has another rank.
  mlir::LogicalResult requireRank(unsigned i, int64_t rank);
  unsigned getNumResults() const { return results.size(); }
  /// Whether anything reads result `i`.
  bool isResultUsed(unsigned i) const {
    return i < usedResults.size() && usedResults[i];
  }
  llvm::ArrayRef<mlir::Value> getResults() const { return results; }
  mlir::LogicalResult setResult(mlir::Value value, unsigned i = 0) {
    if (i < results.size())
      results[i] = value;
    return mlir::success();
  }

  // Attributes.

  // One of another type is an error, and as if the node did not have it; what
  // is reported of the node from then on is not shown.

  bool hasAttribute(llvm::StringRef name) { return find(name); }
  /// Fails, after an error, if the node does not have it.
  mlir::LogicalResult requireAttribute(llvm::StringRef name);
  int64_t getInt(llvm::StringRef name, int64_t otherwise);
  float getFloat(llvm::StringRef name, float otherwise);
  llvm::StringRef getString(llvm::StringRef name, llvm::StringRef otherwise);
  /// Null if the node does not have it.
  const onnx::TensorProto *getTensor(llvm::StringRef name);
  std::optional<llvm::SmallVector<int64_t>> getInts(llvm::StringRef name);
  std::optional<llvm::SmallVector<float>> getFloats(llvm::StringRef name);
  /// Empty if the node does not have it.
  llvm::SmallVector<llvm::StringRef> getStrings(llvm::StringRef name);
  /// Attribute `axis`; negative values count from `rank`.
  mlir::FailureOr<int64_t> getAxis(int64_t otherwise, int64_t rank);
  /// Fails, after an error, if the axis is none of `rank` dimensions.
  mlir::FailureOr<int64_t> normalizeAxis(int64_t axis, int64_t rank);
  mlir::LogicalResult normalizeAxes(llvm::SmallVectorImpl<int64_t> &axes,
                                    int64_t rank);
  /// The integers of attribute `name` before opset `since`, of operand `i` from
  /// then on. Nothing if it is left out or no constant.
  std::optional<llvm::SmallVector<int64_t>>
  getIntsOrOperand(llvm::StringRef name, unsigned i, int64_t since);
  /// What nobody looked at might have changed the result. Fails, after an
  /// error, if the handler did not look at all that the node has.
  mlir::LogicalResult checkLeftovers();

  // Constants.

  /// The tensor as a constant or a weight.
  mlir::FailureOr<mlir::Value> makeTensor(const onnx::TensorProto &tensor);
  mlir::Value makeConstant(mlir::DenseElementsAttr value);
  /// A tensor of rank 0 of a float or integer type.
  mlir::Value makeScalar(double value, mlir::Type type);
  /// MLIR's type for a TensorProto.DataType; null if Tenon does not have it.
  mlir::Type getElementType(int64_t dataType);

  // Sizes: an IntegerAttr where known, else a value of type index.

  mlir::OpFoldResult makeSize(int64_t size) {
    return builder.getIndexAttr(size);
  }
  /// As a constant also where the type does not tell, but the nodes before do.
  mlir::OpFoldResult getSize(mlir::Value tensor, int64_t dim);
  Sizes getSizes(mlir::Value tensor);
  /// Over the model's symbols, of an operand; nothing if it depends on data.
  std::optional<SymbolicExpr> getSizeExpr(mlir::Value operand, int64_t dim);
  mlir::Value materialize(mlir::OpFoldResult size);
  mlir::OpFoldResult multiply(mlir::OpFoldResult lhs, mlir::OpFoldResult rhs);
  mlir::OpFoldResult add(mlir::OpFoldResult lhs, mlir::OpFoldResult rhs);
  mlir::OpFoldResult subtract(mlir::OpFoldResult lhs, mlir::OpFoldResult rhs);
  mlir::OpFoldResult ceilDivide(mlir::OpFoldResult lhs, mlir::OpFoldResult rhs);
  mlir::OpFoldResult floorDivide(mlir::OpFoldResult lhs,
                                 mlir::OpFoldResult rhs);
  /// How many steps lead to `span`, or beyond; below 0 if they lead away. A run
  /// ends where the step is 0.
  mlir::OpFoldResult countSteps(mlir::OpFoldResult span,
                                mlir::OpFoldResult step);
  mlir::OpFoldResult minimum(mlir::OpFoldResult lhs, mlir::OpFoldResult rhs);
  mlir::OpFoldResult maximum(mlir::OpFoldResult lhs, mlir::OpFoldResult rhs);
  mlir::OpFoldResult product(llvm::ArrayRef<mlir::OpFoldResult> sizes);
  /// Leaves it to the run to check two sizes, unless both are known here.
  void assumeEqual(mlir::OpFoldResult lhs, mlir::OpFoldResult rhs);
  /// `then` where `size` is `number`, else `otherwise`.
  mlir::OpFoldResult selectEqual(mlir::OpFoldResult size, int64_t number,
                                 mlir::OpFoldResult then,
                                 mlir::OpFoldResult otherwise);
  /// `then` where lhs < rhs, else `otherwise`.
  mlir::OpFoldResult selectLess(mlir::OpFoldResult lhs, mlir::OpFoldResult rhs,
                                mlir::OpFoldResult then,
                                mlir::OpFoldResult otherwise);
  /// The elements of a tensor of integers if they are known: it is a constant
  /// or computed from such and from known sizes.
  std::optional<llvm::SmallVector<int64_t>> getConstantInts(mlir::Value tensor);
  /// Element `position`, in row-major order, of an integer tensor.
  mlir::OpFoldResult extract(mlir::Value tensor, int64_t position);
  /// Whether an element of an integer tensor comes from what an input holds, so
  /// that it may be anything when the model runs.
  bool isRunTimeValue(mlir::Value tensor, int64_t position);
  /// All elements of an integer tensor. Fails, after an error, if their number
  /// is not known or one is known to be below `least`.
  mlir::FailureOr<Sizes> extractAll(mlir::Value tensor, int64_t least);

  // Ops whose result type takes some work.

  /// To exactly these sizes: none is 'what remains' or 'as in the input'.
  mlir::Value reshape(mlir::Value input,
                      llvm::ArrayRef<mlir::OpFoldResult> sizes);
  mlir::Value transpose(mlir::Value input, llvm::ArrayRef<int64_t> permutation);
  mlir::Value concat(llvm::ArrayRef<mlir::Value> inputs, int64_t axis);
  /// Elements [start, end) along `axis`.
  mlir::Value slice(mlir::Value input, int64_t axis, mlir::OpFoldResult start,
                    mlir::OpFoldResult end);
  mlir::Value gather(mlir::Value input, mlir::Value indices, int64_t axis);
  mlir::Value cast(mlir::Value input, mlir::Type elementType);
  /// As what several ops compute one result from: floats of 16 bits as f32, so
  /// that none of them rounds, integers as f64.
  mlir::Value widen(mlir::Value input);
  /// What is too large becomes the largest number:
  /// cast (min (max x, -largest), largest)
  mlir::Value castSaturated(mlir::Value input, mlir::FloatType elementType);
  /// Matrices of at least rank 2, stacked in their leading dimensions. Null,
  /// after an error, if these do not broadcast.
  mlir::Value matmul(mlir::Value lhs, mlir::Value rhs,
                     bool transposeLhs = false, bool transposeRhs = false);
  /// Along `axes`, which are left with size 1.
  mlir::Value reduce(graph::ReductionKind kind, mlir::Value input,
                     llvm::ArrayRef<int64_t> axes);
  /// With elements of `value`, of rank 0, around it; `input` if there are none.
  mlir::Value pad(mlir::Value input, mlir::Value value,
                  llvm::ArrayRef<mlir::OpFoldResult> lows,
                  llvm::ArrayRef<mlir::OpFoldResult> highs);
  /// A vector is a matrix of one row on the left, of one column on the right:
  /// v · m  ->  reshape (matmul (reshape v), m)
  /// Null after an error.
  mlir::Value numpyMatmul(mlir::Value lhs, mlir::Value rhs);
  /// start, start + 1, … as i64
  mlir::Value iota(mlir::OpFoldResult start, mlir::OpFoldResult size);
  /// start, start + step, … as i64
  mlir::Value iota(mlir::OpFoldResult start, mlir::OpFoldResult step,
                   mlir::OpFoldResult size);
  /// To exactly these sizes.
  mlir::Value broadcast(mlir::Value input,
                        llvm::ArrayRef<mlir::OpFoldResult> sizes);
  /// batch×S×(heads·D)  ->  batch×heads×S×D
  /// The number of heads is the attribute `name`, or `otherwise` if that is 0
  /// or left out. Fails after an error.
  mlir::FailureOr<mlir::Value>
  splitHeads(mlir::Value input, llvm::StringRef name, int64_t otherwise = 0);
  /// batch×heads×S×D  ->  batch×S×(heads·D)
  mlir::Value joinHeads(mlir::Value input);
  /// Null, after an error, if the operands' sizes do not broadcast.
  template <typename OpTy>
  mlir::Value binary(mlir::Value lhs, mlir::Value rhs,
                     mlir::Type elementType = {}) {
    lhs = padLast(lhs, rhs);
    rhs = padLast(rhs, lhs);
    mlir::RankedTensorType type = broadcastType({lhs, rhs}, elementType);
    return type ? OpTy::create(builder, loc, type, lhs, rhs).getResult()
                : mlir::Value();
  }
  /// The broadcast of the operands' sizes with the element type of the first or
  /// the given one. Null, after an error, if there is none.
  mlir::RankedTensorType broadcastType(llvm::ArrayRef<mlir::Value> operands,
                                       mlir::Type elementType = {});

private:
  /// What is the last of a dimension of `other`, and none if that is empty, as
  /// one element that broadcasts.
  mlir::Value padLast(mlir::Value operand, mlir::Value other);
  mlir::InFlightDiagnostic report(bool &kind);
  /// Null if the node does not have it.
  const onnx::AttributeProto *find(llvm::StringRef name);
  const onnx::AttributeProto *
  getAttribute(llvm::StringRef name, onnx::AttributeProto::AttributeType type);

  const onnx::NodeProto &node;
  llvm::StringRef name;
  llvm::ArrayRef<mlir::Value> operands;
  llvm::ArrayRef<bool> usedResults;
  const CallAttributes *callAttributes;
  Initializers &initializers;
  Problems &problems;
  const SymbolicShapes &shapes; ///< of what the nodes before have made
  llvm::SmallVector<mlir::Value> results;
  llvm::StringSet<> read;           ///< names of attributes
  mutable llvm::BitVector lookedAt; ///< operands
  bool hasWrongAttribute = false;
};

inline mlir::RankedTensorType typeOf(mlir::Value value) {
  return llvm::cast<mlir::RankedTensorType>(value.getType());
}
/// Whether a type is a float of 8 bits or fewer.
inline bool isNarrowFloat(mlir::Type type) {
  return llvm::isa<mlir::FloatType>(type) && type.getIntOrFloatBitWidth() <= 8;
}
/// Whether the sizes that are known make more bytes than a process can address.
bool isTooLarge(mlir::Type type);
/// What ONNX calls a TensorProto.DataType, or its number if it is none.
std::string elementTypeName(int64_t dataType);
/// The size if it is known, else kDynamic.
int64_t staticSize(mlir::OpFoldResult size);
llvm::SmallVector<int64_t>
staticSizes(llvm::ArrayRef<mlir::OpFoldResult> sizes);

/// The opsets of the default domain that are imported: those of ONNX 1.2 to
/// 1.23.
inline constexpr int64_t oldestOpset = 7, newestOpset = 28;
/// The only opset of com.microsoft.
inline constexpr int64_t microsoftOpset = 1;

/// The domain of what ONNX Runtime's optimizer fuses.
inline constexpr llvm::StringLiteral microsoftDomain = "com.microsoft";

/// One line of a family's table. `import` sets the results of the node, which
/// may be of any opset from `since` on.
struct OpHandler {
  llvm::StringLiteral opType;
  mlir::LogicalResult (*import)(ImportContext &);
  int64_t since = oldestOpset;
  llvm::StringLiteral domain = "";
};
llvm::ArrayRef<OpHandler> activationHandlers();
llvm::ArrayRef<OpHandler> attentionHandlers();
llvm::ArrayRef<OpHandler> blockQuantizationHandlers();
llvm::ArrayRef<OpHandler> channelNormHandlers();
llvm::ArrayRef<OpHandler> contractionHandlers();
llvm::ArrayRef<OpHandler> convolutionHandlers();
llvm::ArrayRef<OpHandler> dataHandlers();
llvm::ArrayRef<OpHandler> einsumHandlers();
llvm::ArrayRef<OpHandler> elementwiseHandlers();
llvm::ArrayRef<OpHandler> expertHandlers();
llvm::ArrayRef<OpHandler> fusedAttentionHandlers();
llvm::ArrayRef<OpHandler> gridHandlers();
llvm::ArrayRef<OpHandler> gridSampleHandlers();
llvm::ArrayRef<OpHandler> groupQueryAttentionHandlers();
llvm::ArrayRef<OpHandler> linearAttentionHandlers();
llvm::ArrayRef<OpHandler> lossHandlers();
llvm::ArrayRef<OpHandler> microsoftHandlers();
llvm::ArrayRef<OpHandler> microsoftQuantizationHandlers();
llvm::ArrayRef<OpHandler> poolingHandlers();
llvm::ArrayRef<OpHandler> positionBiasHandlers();
llvm::ArrayRef<OpHandler> quantizationHandlers();
llvm::ArrayRef<OpHandler> recurrentHandlers();
llvm::ArrayRef<OpHandler> reductionHandlers();
llvm::ArrayRef<OpHandler> resizeHandlers();
llvm::ArrayRef<OpHandler> rotaryHandlers();
llvm::ArrayRef<OpHandler> selectionHandlers();
llvm::ArrayRef<OpHandler> shapeHandlers();
llvm::ArrayRef<OpHandler> slicingHandlers();
llvm::ArrayRef<OpHandler> spatialHandlers();
llvm::ArrayRef<OpHandler> trigonometryHandlers();

} // namespace tenon

#endif // TENON_LIB_IMPORT_ONNX_IMPORTCONTEXT_H
