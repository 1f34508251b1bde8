// Gives a decoder the inputs of its form. See Passes.td.
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "tenon/Dialect/Graph/IR/GraphOps.h"
#include "tenon/Dialect/Graph/Transforms/Passes.h"

using namespace mlir;

namespace tenon::graph {
#define GEN_PASS_DEF_ASSUMEDECODERPASS
#include "tenon/Dialect/Graph/Transforms/Passes.h.inc"

namespace {

struct AssumeDecoderPass : impl::AssumeDecoderPassBase<AssumeDecoderPass> {
  void runOnOperation() override {
    function = getOperation();
    auto module = function->getParentOfType<ModuleOp>();
    if (!module->hasAttr("tenon.decoder") || function.getName() != "main")
      return;
    // Once is enough: from any phase a module can be compiled on.
    for (BlockArgument argument : function.getArguments())
      if (function.getArgAttr(argument.getArgNumber(), "tenon.role"))
        return;
    if (failed(findInputs()) || failed(addInputs()))
      return signalPassFailure();
    replaceMask();
    replacePositions();
    eraseReplaced();
  }

private:
  StringAttr nameOf(BlockArgument argument) {
    return function.getArgAttrOfType<StringAttr>(argument.getArgNumber(),
                                                 "tenon.name");
  }
  StringAttr symbolOf(BlockArgument argument, unsigned dim) {
    auto dims = function.getArgAttrOfType<ArrayAttr>(argument.getArgNumber(),
                                                     "tenon.dims");
    return dims && dim < dims.size() ? dyn_cast<StringAttr>(dims[dim])
                                     : StringAttr();
  }
  static bool isIntegerMatrix(RankedTensorType type) {
    return type.getRank() == 2 && type.getElementType().isInteger();
  }

  /// By their shapes, and where several have the same by the names that
  /// exporters give them.
  LogicalResult findInputs() {
    for (BlockArgument argument : function.getArguments()) {
      auto type = dyn_cast<RankedTensorType>(argument.getType());
      StringAttr name = nameOf(argument);
      if (!type || !name)
        continue;
      if (type.getRank() == 4 && isa<FloatType>(type.getElementType()) &&
          symbolOf(argument, 2) && !type.isDynamicDim(1) &&
          !type.isDynamicDim(3)) {
        past = past ? past : symbolOf(argument, 2);
      } else if (isIntegerMatrix(type)) {
        if (name.getValue() == "attention_mask")
          mask = argument;
        else if (name.getValue() == "position_ids")
          positions = argument;
        else if (!ids)
          ids = argument;
      }
    }
    if (!past)
      return function.emitError(
          "is no decoder with a cache: no input has the shape batch×heads×past"
          "×size with a symbolic past, as past_key_values.0.key has");
    if (!ids || !symbolOf(ids, 0) || !symbolOf(ids, 1))
      return function.emitError(
          "is no decoder: it has no input of integers with a symbolic batch "
          "and sequence, as input_ids");
    return success();
  }

  SymbolOp findSymbol(StringAttr name) {
    for (auto symbol : function.getOps<SymbolOp>())
      if (symbol.getNameAttr() == name)
        return symbol;
    return nullptr;
  }

  LogicalResult addInputs() {
    OpBuilder builder(&function.front(), function.front().begin());
    Location loc = function.getLoc();
    for (StringRef name : {"slots", "capacity", "rows", "context"}) {
      auto attr = builder.getStringAttr(name);
      if (findSymbol(attr))
        return function.emitError("has a size named '")
               << name << "', which a decoder has for itself";
      SymbolOp::create(builder, NameLoc::get(attr), builder.getIndexType(),
                       attr, /*min=*/name == "context" ? 1 : 0,
                       /*max=*/INT64_MAX, /*hint=*/IntegerAttr());
    }
    StringAttr batch = symbolOf(ids, 0);
    function.setArgAttr(ids.getArgNumber(), "tenon.role",
                        builder.getStringAttr("ids"));
    auto add = [&](StringRef role, Attribute dim) {
      bool isFixed = isa<IntegerAttr>(dim);
      auto type = RankedTensorType::get(isFixed ? 1 : ShapedType::kDynamic,
                                        builder.getI64Type());
      unsigned number = function.getNumArguments();
      NamedAttrList attrs;
      attrs.set("tenon.name", builder.getStringAttr(role));
      attrs.set("tenon.role", builder.getStringAttr(role));
      attrs.set("tenon.dims", builder.getArrayAttr(dim));
      if (isFixed)
        attrs.set("tenon.elements",
                  builder.getArrayAttr(builder.getStringAttr(role)));
      return function.insertArgument(
          number, type, attrs.getDictionary(builder.getContext()), loc);
    };
    if (failed(add("slots", batch)) || failed(add("starts", batch)))
      return failure();
    starts = function.getArguments().back();
    return success(succeeded(add("rows", builder.getStringAttr("rows"))) &&
                   succeeded(add("context", builder.getI64IntegerAttr(1))));
  }

  /// The builder behind all symbols.
  OpBuilder builderBehindSymbols() {
    Operation *last = nullptr;
    for (auto symbol : function.getOps<SymbolOp>())
      last = symbol;
    OpBuilder builder(function.getContext());
    builder.setInsertionPointAfter(last);
    return builder;
  }

  /// A slot holds no padding, and no more than what came before.
  void replaceMask() {
    if (!mask)
      return;
    OpBuilder builder = builderBehindSymbols();
    Location loc = mask.getLoc();
    Value total =
        arith::AddIOp::create(builder, loc, findSymbol(past).getValue(),
                              findSymbol(symbolOf(ids, 1)).getValue());
    StringAttr own = symbolOf(mask, 1);
    auto type = cast<RankedTensorType>(mask.getType());
    auto one = DenseElementsAttr::get(
        RankedTensorType::get({}, type.getElementType()),
        builder.getIntegerAttr(type.getElementType(), 1));
    Value ones = BroadcastOp::create(
        builder, loc,
        RankedTensorType::get({ShapedType::kDynamic, ShapedType::kDynamic},
                              type.getElementType()),
        ConstantOp::create(builder, loc, one.getType(), one),
        ValueRange{findSymbol(symbolOf(ids, 0)).getValue(), total},
        ArrayRef<int64_t>{ShapedType::kDynamic, ShapedType::kDynamic});
    mask.replaceAllUsesWith(ones);
    // The length of the mask alone is what was and what is new.
    bool isOwn = own && own != past && own != symbolOf(ids, 1);
    for (BlockArgument argument : function.getArguments())
      for (int64_t dim = 0;
           argument != mask && isOwn &&
           dim < cast<RankedTensorType>(argument.getType()).getRank();
           ++dim)
        isOwn = symbolOf(argument, dim) != own;
    if (!isOwn)
      return;
    SymbolOp symbol = findSymbol(own);
    symbol.getValue().replaceAllUsesWith(total);
    symbol.erase();
  }

  /// positions[b, i] = starts[b] + i
  void replacePositions() {
    if (!positions)
      return;
    OpBuilder builder = builderBehindSymbols();
    Location loc = positions.getLoc();
    Value batch = findSymbol(symbolOf(ids, 0)).getValue();
    Value sequence = findSymbol(symbolOf(ids, 1)).getValue();
    constexpr int64_t dynamic = ShapedType::kDynamic;
    Type i64 = builder.getI64Type();
    Value zero = arith::ConstantIndexOp::create(builder, loc, 0);
    Value steps =
        IotaOp::create(builder, loc, RankedTensorType::get(dynamic, i64), zero,
                       /*step=*/1, sequence);
    Value column = ReshapeOp::create(
        builder, loc, RankedTensorType::get({dynamic, 1}, i64), starts, batch,
        ArrayRef<int64_t>{dynamic, 1}, /*allow_zero=*/true);
    Value result = AddOp::create(builder, loc,
                                 RankedTensorType::get({dynamic, dynamic}, i64),
                                 column, steps);
    auto type = cast<RankedTensorType>(positions.getType());
    if (type.getElementType() != i64)
      result = CastOp::create(
          builder, loc,
          RankedTensorType::get({dynamic, dynamic}, type.getElementType()),
          result);
    positions.replaceAllUsesWith(result);
  }

  void eraseReplaced() {
    llvm::BitVector erased(function.getNumArguments());
    for (BlockArgument argument : {mask, positions})
      if (argument)
        erased.set(argument.getArgNumber());
    (void)function.eraseArguments(erased);
  }

  func::FuncOp function;
  BlockArgument ids, mask, positions, starts; ///< or null
  StringAttr past; ///< the symbol of what caches hold
};

} // namespace
} // namespace tenon::graph
