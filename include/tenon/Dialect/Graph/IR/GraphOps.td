// The whole dialect, for its documentation. Code is generated family by family.
#ifndef TENON_DIALECT_GRAPH_IR_GRAPHOPS_TD
#define TENON_DIALECT_GRAPH_IR_GRAPHOPS_TD

include "tenon/Dialect/Graph/IR/GraphContractionOps.td"
include "tenon/Dialect/Graph/IR/GraphDataOps.td"
include "tenon/Dialect/Graph/IR/GraphElementwiseOps.td"
include "tenon/Dialect/Graph/IR/GraphReductionOps.td"
include "tenon/Dialect/Graph/IR/GraphShapeOps.td"
include "tenon/Dialect/Graph/IR/GraphWindowOps.td"

#endif // TENON_DIALECT_GRAPH_IR_GRAPHOPS_TD
