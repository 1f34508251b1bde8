// The graph dialect: what a model computes, as pure operations on tensors.
#ifndef TENON_DIALECT_GRAPH_IR_GRAPHOPS_H
#define TENON_DIALECT_GRAPH_IR_GRAPHOPS_H

#include "mlir/Bytecode/BytecodeOpInterface.h"
#include "mlir/Dialect/Utils/StaticValueUtils.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/Dialect.h"
#include "mlir/IR/OpDefinition.h"
#include "mlir/IR/OpImplementation.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"
#include "mlir/Interfaces/ViewLikeInterface.h"

#include "tenon/Dialect/Graph/IR/GraphDataEnums.h.inc"
#include "tenon/Dialect/Graph/IR/GraphOpsDialect.h.inc"
#include "tenon/Dialect/Graph/IR/GraphReductionEnums.h.inc"
#include "tenon/Dialect/Graph/IR/GraphShapeEnums.h.inc"

#define GET_OP_CLASSES
#include "tenon/Dialect/Graph/IR/GraphContractionOps.h.inc"
#define GET_OP_CLASSES
#include "tenon/Dialect/Graph/IR/GraphDataOps.h.inc"
#define GET_OP_CLASSES
#include "tenon/Dialect/Graph/IR/GraphElementwiseOps.h.inc"
#define GET_OP_CLASSES
#include "tenon/Dialect/Graph/IR/GraphReductionOps.h.inc"
#define GET_OP_CLASSES
#include "tenon/Dialect/Graph/IR/GraphShapeOps.h.inc"
#define GET_OP_CLASSES
#include "tenon/Dialect/Graph/IR/GraphWindowOps.h.inc"

namespace tenon::graph {
/// On a product, what it may round its left operand to: "int8".
inline constexpr llvm::StringLiteral activationsAttr = "tenon.activations";

/// The sizes of lhs and rhs broadcast as numpy does; kDynamic where unknown.
/// Fails where two known sizes differ and neither is 1.
mlir::FailureOr<llvm::SmallVector<int64_t>>
broadcastSizes(llvm::ArrayRef<int64_t> lhs, llvm::ArrayRef<int64_t> rhs);

/// How many windows graph.window finds along a dimension; kDynamic where its
/// size is.
int64_t countWindows(int64_t size, int64_t kernel, int64_t stride,
                     int64_t dilation);
} // namespace tenon::graph

#endif // TENON_DIALECT_GRAPH_IR_GRAPHOPS_H
