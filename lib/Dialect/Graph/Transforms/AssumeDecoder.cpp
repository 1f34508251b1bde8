// Gives a decoder the inputs of its form. See Passes.td.
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Utils/StaticValueUtils.h"
#include "tenon/Analysis/SymbolicShapes.h"
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
    fixHeads();
    splitPacked();
    if (failed(findInputs()))
      return signalPassFailure();
    findKept();
    if (failed(addInputs()))
      return signalPassFailure();
    replaceMask();
    replaceEncoderMask();
    replacePositions();
    eraseReplaced();
  }

private:
  StringAttr nameOf(BlockArgument argument) {
    return function.getArgAttrOfType<StringAttr>(argument.getArgNumber(),
                                                 "tenon.name");
  }
  StringAttr symbolOf(BlockArgument argument, unsigned dim) {
    ArrayRef<Attribute> dims = getDims(argument);
    return dim < dims.size() ? dyn_cast<StringAttr>(dims[dim]) : StringAttr();
  }
  static bool isIntegerMatrix(RankedTensorType type) {
    return type.getRank() == 2 && type.getElementType().isInteger();
  }

  void setDims(BlockArgument argument, ArrayRef<Attribute> dims) {
    function.setArgAttr(argument.getArgNumber(), "tenon.dims",
                        ArrayAttr::get(&getContext(), dims));
  }
  ArrayRef<Attribute> getDims(BlockArgument argument) {
    auto dims = function.getArgAttrOfType<ArrayAttr>(argument.getArgNumber(),
                                                     "tenon.dims");
    return dims ? dims.getValue() : ArrayRef<Attribute>();
  }

  /// Exporters give the number and the size of heads in a cache names of their
  /// own, where what reads it has one of each:
  /// reshape past to [batch, 3, past, 64]  ->  past of that type
  void fixHeads() {
    SymbolicShapes shapes(function);
    for (BlockArgument argument : function.getArguments()) {
      auto type = dyn_cast<RankedTensorType>(argument.getType());
      auto readers = getReaders(argument);
      if (!type || type.getRank() != 4 || getDims(argument).size() != 4 ||
          readers.size() != 1)
        continue;
      auto reshape = dyn_cast<ReshapeOp>(readers.front());
      const SymbolicSizes *given = shapes.getSizes(argument);
      const SymbolicSizes *read =
          reshape ? shapes.getSizes(reshape.getOutput()) : nullptr;
      if (!read || !given || read->size() != 4 || (*read)[0] != (*given)[0] ||
          (*read)[2] != (*given)[2])
        continue;
      SmallVector<Attribute> dims(getDims(argument));
      SmallVector<int64_t> sizes(type.getShape());
      for (int64_t dim : {1, 3})
        if (std::optional<int64_t> size = (*read)[dim].getConstant()) {
          sizes[dim] = *size;
          dims[dim] = Builder(&getContext()).getI64IntegerAttr(*size);
        }
      argument.setType(type.clone(sizes));
      setDims(argument, dims);
      reshape.getOutput().replaceAllUsesWith(argument);
      reshape.erase();
    }
    updateType();
  }

  /// All users but those that ask for a size.
  static SmallVector<Operation *> getReaders(Value value) {
    SmallVector<Operation *> readers;
    for (Operation *user : value.getUsers())
      if (!isa<DimOp>(user))
        readers.push_back(user);
    return readers;
  }

  void updateType() {
    function.setFunctionType(
        FunctionType::get(&getContext(), function.front().getArgumentTypes(),
                          function.getResultTypes()));
  }

  /// The half of a packed past that a reader takes; none where it reads it
  /// otherwise.
  static std::optional<int64_t> getHalf(Operation *reader) {
    auto slice = dyn_cast<SliceOp>(reader);
    if (!slice || slice.getType().getDimSize(0) != 1 ||
        !llvm::all_of(slice->getUsers(), [](Operation *user) {
          auto reshape = dyn_cast<ReshapeOp>(user);
          return reshape && reshape.getType().getRank() == 4;
        }))
      return std::nullopt;
    std::optional<int64_t> start =
        getConstantIntValue(slice.getMixedStarts()[0]);
    return start == 0 || start == 1 ? start : std::nullopt;
  }

  /// Keys and values that come as one tensor 2×batch×heads×past×size become an
  /// input of each.
  void splitPacked() {
    for (BlockArgument argument : llvm::to_vector(function.getArguments())) {
      auto type = dyn_cast<RankedTensorType>(argument.getType());
      StringAttr name = nameOf(argument);
      if (!type || !name || type.getRank() != 5 || type.getDimSize(0) != 2 ||
          !isa<FloatType>(type.getElementType()) ||
          getDims(argument).size() != 5 ||
          !llvm::all_of(getReaders(argument), [](Operation *reader) {
            return getHalf(reader).has_value();
          }))
        continue;
      Builder builder(&getContext());
      BlockArgument halves[2];
      for (auto [i, half] : llvm::enumerate(halves)) {
        unsigned number = argument.getArgNumber() + 1 + i;
        NamedAttrList attrs;
        attrs.set("tenon.name",
                  builder.getStringAttr(name.getValue() +
                                        (i == 0 ? ".key" : ".value")));
        attrs.set("tenon.dims",
                  builder.getArrayAttr(getDims(argument).drop_front()));
        (void)function.insertArgument(
            number,
            RankedTensorType::get(type.getShape().drop_front(),
                                  type.getElementType()),
            attrs.getDictionary(&getContext()), argument.getLoc());
        half = function.getArgument(number);
      }
      for (Operation *slice : getReaders(argument)) {
        Value half = halves[*getHalf(slice)];
        for (Operation *reshape : llvm::to_vector(slice->getUsers())) {
          reshape->getResult(0).replaceAllUsesWith(half);
          reshape->erase();
        }
        slice->erase();
      }
      for (Operation *user : llvm::to_vector(argument.getUsers())) {
        auto size = cast<DimOp>(user);
        OpBuilder before(size);
        int64_t dim = size.getDim();
        Value same =
            dim == 0 ? arith::ConstantIndexOp::create(before, size.getLoc(), 2)
                           .getResult()
                     : DimOp::create(before, size.getLoc(),
                                     before.getIndexType(), halves[0], dim - 1)
                           .getResult();
        size.getResult().replaceAllUsesWith(same);
        size.erase();
      }
      (void)function.eraseArgument(argument.getArgNumber());
    }
  }

  /// Whether something is put behind it.
  static bool isAppendedTo(BlockArgument argument) {
    return llvm::any_of(argument.getUsers(), [&](Operation *user) {
      auto concat = dyn_cast<ConcatOp>(user);
      return isa<AppendOp, PadOp>(user) ||
             (concat && concat.getInputs().size() > 1 &&
              concat.getInputs().front() == argument);
    });
  }

  /// By their shapes, and where several have the same by the names that
  /// exporters give them.
  LogicalResult findInputs() {
    StringAttr first;
    for (BlockArgument argument : function.getArguments()) {
      auto type = dyn_cast<RankedTensorType>(argument.getType());
      StringAttr name = nameOf(argument);
      if (!type || !name)
        continue;
      if (type.getRank() == 4 && isa<FloatType>(type.getElementType()) &&
          symbolOf(argument, 2) && !type.isDynamicDim(1) &&
          !type.isDynamicDim(3)) {
        first = first ? first : symbolOf(argument, 2);
        if (!past && isAppendedTo(argument))
          past = symbolOf(argument, 2);
      } else if (isIntegerMatrix(type)) {
        if (name.getValue() == "attention_mask")
          mask = argument;
        else if (name.getValue() == "encoder_attention_mask")
          encoderMask = argument;
        else if (name.getValue() == "position_ids")
          positions = argument;
        else if (!ids)
          ids = argument;
      }
    }
    past = past ? past : first;
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

  /// What an encoder gives is the same in each step of a sequence: inputs with
  /// a row for each sequence, in which at most one dimension, the length of
  /// what was encoded, has a size that is none of the decoder's.
  void findKept() {
    for (BlockArgument argument : function.getArguments()) {
      auto type = dyn_cast<RankedTensorType>(argument.getType());
      if (!type || !isa<FloatType>(type.getElementType()) ||
          type.getRank() < 2 || symbolOf(argument, 0) != symbolOf(ids, 0) ||
          isAppendedTo(argument))
        continue;
      // Keys and values of a fixed length have one, too.
      int64_t dim = type.getRank() == 4 && !symbolOf(argument, 2) ? 2 : -1;
      bool isKept = true;
      for (int64_t other = 1; other < type.getRank(); ++other) {
        StringAttr symbol = symbolOf(argument, other);
        if (!symbol)
          continue;
        isKept &= symbol != past && symbol != symbolOf(ids, 0) &&
                  symbol != symbolOf(ids, 1) && dim < 0 &&
                  (!encoded || encoded == symbol);
        dim = other;
        encoded = encoded ? encoded : symbol;
      }
      if (isKept)
        kept.push_back({argument, dim});
    }
    hasLengths = llvm::any_of(
        kept, [](const auto &argument) { return argument.second >= 0; });
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
    if (failed(add("rows", builder.getStringAttr("rows"))) ||
        failed(add("context", builder.getI64IntegerAttr(1))) ||
        (hasLengths && failed(add("lengths", batch))))
      return failure();
    for (auto [argument, dim] : kept)
      function.setArgAttr(argument.getArgNumber(), "tenon.kept",
                          builder.getI64IntegerAttr(dim));
    return success();
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
    replaceByOnes(mask, builder,
                  arith::AddIOp::create(
                      builder, mask.getLoc(), findSymbol(past).getValue(),
                      findSymbol(symbolOf(ids, 1)).getValue()));
  }

  /// Nor is what was encoded padded: each slot knows its length.
  void replaceEncoderMask() {
    if (!encoderMask || !encoded)
      return;
    OpBuilder builder = builderBehindSymbols();
    replaceByOnes(encoderMask, builder, findSymbol(encoded).getValue());
  }

  void replaceByOnes(BlockArgument mask, OpBuilder &builder, Value total) {
    Location loc = mask.getLoc();
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
    // The length of the mask alone is `total`.
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
    for (BlockArgument argument :
         {mask, positions, encoded ? encoderMask : BlockArgument()})
      if (argument)
        erased.set(argument.getArgNumber());
    (void)function.eraseArguments(erased);
  }

  func::FuncOp function;
  BlockArgument ids, mask, positions, starts; ///< or null
  BlockArgument encoderMask;                  ///< or null
  StringAttr past;    ///< the symbol of what caches hold
  StringAttr encoded; ///< that of what an encoder read, or null
  /// Inputs that a sequence keeps, and which dimension of each counts what was
  /// encoded, or -1.
  SmallVector<std::pair<BlockArgument, int64_t>> kept;
  bool hasLengths = false;
};

} // namespace
} // namespace tenon::graph
