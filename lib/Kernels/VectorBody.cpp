// Clones elementwise bodies: epilogues of contractions, loops.
#include "VectorBody.h"
#include "mlir/IR/IRMapping.h"

using namespace mlir;

namespace tenon {

TypedAttr constantScalar(Value value) {
  auto constant = value.getDefiningOp<arith::ConstantOp>();
  if (!constant)
    return nullptr;
  if (auto splat = dyn_cast<SplatElementsAttr>(constant.getValue()))
    return cast<TypedAttr>(splat.getSplatValue<Attribute>());
  return isa<ShapedType>(constant.getType()) ? nullptr : constant.getValue();
}

Value cloneOnVectors(TileBuilder &t, linalg::GenericOp generic,
                     ValueRange inputs, function_ref<Value(Value)> outer,
                     int64_t lanes) {
  IRMapping map;
  map.map(generic.getBody()->getArguments().take_front(inputs.size()), inputs);
  auto mapOuter = [&](Operation &op) {
    for (Value operand : op.getOperands())
      if (!map.contains(operand)) {
        TypedAttr scalar = constantScalar(operand);
        map.map(operand, scalar ? t.splat(scalar, lanes)
                                : t.broadcast(outer(operand), lanes));
      }
  };
  for (Operation &op : generic.getBody()->without_terminator()) {
    if (isa<arith::ConstantOp, linalg::IndexOp>(op))
      continue;
    mapOuter(op);
    Operation *clone = t.b.clone(op, map);
    for (Value result : clone->getResults())
      result.setType(VectorType::get(lanes, result.getType()));
  }
  Operation &yield = *generic.getBody()->getTerminator();
  mapOuter(yield);
  return map.lookup(yield.getOperand(0));
}

Value cloneOnScalars(TileBuilder &t, linalg::GenericOp generic,
                     ValueRange inputs, function_ref<Value(Value)> outer) {
  IRMapping map;
  map.map(generic.getBody()->getArguments().drop_back(), inputs);
  auto mapOuter = [&](Operation &op) {
    for (Value operand : op.getOperands())
      if (!map.contains(operand)) {
        TypedAttr scalar = constantScalar(operand);
        map.map(operand,
                scalar ? Value(arith::ConstantOp::create(t.b, t.loc, scalar))
                       : outer(operand));
      }
  };
  for (Operation &op : generic.getBody()->without_terminator()) {
    mapOuter(op);
    t.b.clone(op, map);
  }
  Operation &yield = *generic.getBody()->getTerminator();
  mapOuter(yield);
  return map.lookup(yield.getOperand(0));
}

} // namespace tenon
