// Merges regions so that fewer values go through memory. See Passes.td.
#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Linalg/Transforms/Transforms.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Dialect/Utils/StaticValueUtils.h"
#include "mlir/IR/IRMapping.h"
#include "mlir/IR/PatternMatch.h"
#include "mlir/IR/Remarks.h"
#include "mlir/IR/TypeUtilities.h"
#include "tenon/Dialect/Kernel/IR/KernelOps.h"
#include "tenon/Dialect/Kernel/Transforms/Passes.h"
#include "llvm/ADT/BitVector.h"
#include "llvm/ADT/SetVector.h"

using namespace mlir;

namespace tenon::kernel {
#define GEN_PASS_DEF_FUSEREGIONSPASS
#include "tenon/Dialect/Kernel/Transforms/Passes.h.inc"

/// The last linalg.generic of a body that, beside it, holds only `AnchorTy`s,
/// constants and empty tensors; null if the body is no such.
template <typename... AnchorTy>
static linalg::GenericOp getOnlyGeneric(RegionOp region) {
  linalg::GenericOp result;
  for (Operation &op : region.getBody().front().without_terminator()) {
    if (auto generic = dyn_cast<linalg::GenericOp>(op)) {
      if (result)
        return nullptr;
      result = generic;
    } else if (!isa<tensor::EmptyOp, arith::ConstantOp, AnchorTy...>(op)) {
      return nullptr;
    }
  }
  return result;
}

/// The body of a region that is one generic in which every element of the
/// result is computed by itself; else null.
static linalg::GenericOp getElementwise(RegionOp region) {
  if (region.getSchedule() || region.getNumResults() != 1)
    return nullptr;
  linalg::GenericOp generic = getOnlyGeneric<>(region);
  if (!generic || generic.getNumDpsInits() != 1 ||
      generic.getNumParallelLoops() != generic.getNumLoops() ||
      !generic.getIndexingMapsArray().back().isIdentity() ||
      !generic.getBody()->getArguments().back().use_empty() ||
      region.getBody().front().getTerminator()->getOperand(0) !=
          generic.getResult(0))
    return nullptr;
  return generic;
}

template <typename AnchorTy> static AnchorTy getAnchor(RegionOp region) {
  if (region.getSchedule())
    return nullptr;
  auto anchors = region.getBody().front().getOps<AnchorTy>();
  return anchors.empty() ? nullptr : *anchors.begin();
}

/// The permutation of a region that only transposes: dimension i of the result
/// is dimension p[i] of its input.
static std::optional<SmallVector<int64_t>> getTranspose(RegionOp region) {
  linalg::GenericOp generic = getElementwise(region);
  if (!generic || generic.getNumDpsInputs() != 1 ||
      region.getInputs().size() != 1)
    return std::nullopt;
  Block *body = generic.getBody();
  if (body->getTerminator()->getOperand(0) != body->getArgument(0))
    return std::nullopt;
  AffineMap map = generic.getIndexingMapsArray()[0];
  if (!map.isPermutation() || generic.getDpsInputOperand(0)->get() !=
                                  region.getBody().front().getArgument(0))
    return std::nullopt;
  SmallVector<int64_t> result(map.getNumResults());
  for (unsigned dim = 0; dim < map.getNumResults(); ++dim)
    result[map.getDimPosition(dim)] = dim;
  return result;
}

/// Whether computing it again for every reader costs next to nothing.
static bool isCheap(linalg::GenericOp generic) {
  int64_t count = 0;
  for (Operation &op : generic.getBody()->without_terminator()) {
    if (isa<arith::ConstantOp, linalg::IndexOp, arith::ExtFOp, arith::ExtSIOp,
            arith::ExtUIOp, arith::TruncFOp>(op))
      continue;
    if (!isa<arith::ArithDialect>(op.getDialect()) || ++count > 2)
      return false;
  }
  return true;
}

/// The only operand of `generic` that reads `value`, if nothing else does.
static OpOperand *getOnlyRead(Value value, linalg::GenericOp generic) {
  if (!value.hasOneUse())
    return nullptr;
  OpOperand &use = *value.use_begin();
  return use.getOwner() == generic && generic.isDpsInput(&use) ? &use : nullptr;
}

/// The block argument that holds `value`, which is an input exactly once.
static BlockArgument getArgument(RegionOp region, Value value) {
  for (auto [i, input] : llvm::enumerate(region.getInputs()))
    if (input == value)
      return region.getBody().getArgument(i);
  return nullptr;
}

/// The remark on what became of a value between two regions.
static remark::RemarkOpts describe(StringRef name, RegionOp consumer) {
  auto id = consumer->getAttrOfType<StringAttr>("tenon.id");
  return remark::RemarkOpts::name(name).category("fuse").function(
      id ? id.getValue() : "");
}

static void reportFused(RegionOp producer, RegionOp consumer, StringRef how) {
  remark::passed(consumer.getLoc(), describe("Fused", consumer))
      << remark::metric("Producer", producer.getName())
      << remark::metric("Consumer", consumer.getName()) << how;
}

/// One region that computes the producer, then the consumer, in its place.
static RegionOp merge(RewriterBase &rewriter, RegionOp producer,
                      RegionOp consumer) {
  Value between = producer.getResult(0);
  llvm::SetVector<Value> inputs, indices;
  inputs.insert_range(producer.getInputs());
  for (Value input : consumer.getInputs())
    if (input != between)
      inputs.insert(input);
  indices.insert_range(producer.getIndices());
  indices.insert_range(consumer.getIndices());
  rewriter.setInsertionPoint(consumer);
  Location loc = rewriter.getFusedLoc({producer.getLoc(), consumer.getLoc()});
  auto merged = RegionOp::create(
      rewriter, loc, consumer.getResultTypes(),
      (producer.getName() + "_" + consumer.getName()).str(),
      inputs.getArrayRef(), indices.getArrayRef(), consumer.getSizes(), Value(),
      ScheduleAttr(), DenseI64ArrayAttr());
  merged->setDiscardableAttrs(consumer->getDiscardableAttrDictionary());
  Block *block = rewriter.createBlock(&merged.getBody());
  IRMapping outer;
  for (ArrayRef<Value> list : {inputs.getArrayRef(), indices.getArrayRef()})
    for (Value value : list)
      outer.map(value, block->addArgument(value.getType(), value.getLoc()));
  auto clone = [&](RegionOp region) {
    IRMapping map;
    Block &body = region.getBody().front();
    SmallVector<Value> operands(region.getInputs());
    llvm::append_range(operands, region.getIndices());
    for (auto [argument, operand] : llvm::zip(body.getArguments(), operands))
      map.map(argument, outer.lookup(operand));
    for (Operation &op : body.without_terminator())
      rewriter.clone(op, map);
    return map.lookupOrDefault(body.getTerminator()->getOperand(0));
  };
  outer.map(between, clone(producer));
  YieldOp::create(rewriter, loc, clone(consumer));
  rewriter.replaceOp(consumer, merged);
  if (producer->use_empty())
    rewriter.eraseOp(producer);
  return merged;
}

/// Drops dead ops of the body, and the inputs and indices it does not read.
static void dropUnused(RegionOp region) {
  Block &block = region.getBody().front();
  SmallVector<Operation *> body;
  for (Operation &op : block.without_terminator())
    body.push_back(&op);
  for (Operation *op : llvm::reverse(body))
    if (isOpTriviallyDead(op))
      op->erase();
  int64_t inputs = region.getInputs().size();
  for (int64_t i = int64_t(block.getNumArguments()) - 1; i >= 0; --i) {
    if (!block.getArgument(i).use_empty())
      continue;
    block.eraseArgument(i);
    if (i < inputs)
      region.getInputsMutable().erase(i);
    else
      region.getIndicesMutable().erase(i - inputs);
  }
}

/// What a generic reads twice, through one map, it reads once.
static void shareOperands(linalg::GenericOp generic, RewriterBase &rewriter) {
  SmallVector<AffineMap> maps = generic.getIndexingMapsArray(), keptMaps;
  Block *body = generic.getBody();
  SmallVector<Value> kept;
  llvm::BitVector dropped(body->getNumArguments());
  for (auto [i, input] : llvm::enumerate(generic.getDpsInputs())) {
    for (size_t before = 0; before < i && !dropped[i]; ++before)
      if (!dropped[before] && maps[before] == maps[i] &&
          generic.getDpsInputs()[before] == input) {
        body->getArgument(i).replaceAllUsesWith(body->getArgument(before));
        dropped.set(i);
      }
    if (dropped[i])
      continue;
    kept.push_back(input);
    keptMaps.push_back(maps[i]);
  }
  if (dropped.none())
    return;
  keptMaps.push_back(maps.back());
  rewriter.setInsertionPoint(generic);
  auto shared = linalg::GenericOp::create(
      rewriter, generic.getLoc(), generic.getResultTypes(), kept,
      generic.getDpsInits(), keptMaps, generic.getIteratorTypesArray());
  body->eraseArguments(dropped);
  shared.getRegion().takeBody(generic.getRegion());
  rewriter.replaceOp(generic, shared);
}

/// The first two generics of a merged body become one. The first has identity
/// as the map of its result and parallel loops only, so upstream always can.
static void fuseGenerics(RewriterBase &rewriter, RegionOp region) {
  SmallVector<linalg::GenericOp> generics(
      region.getBody().front().getOps<linalg::GenericOp>());
  for (OpOperand *operand : generics[1].getDpsInputOperands()) {
    if (operand->get() != generics.front().getResult(0))
      continue;
    rewriter.setInsertionPoint(generics[1]);
    FailureOr<linalg::ElementwiseOpFusionResult> fused =
        linalg::fuseElementwiseOps(rewriter, operand);
    assert(succeeded(fused) && "elementwise generics fuse");
    for (auto [from, to] : fused->replacements)
      rewriter.replaceUsesWithIf(from, to, [&](OpOperand &use) {
        return use.getOwner() != fused->fusedOp &&
               use.getOwner() != generics.front();
      });
    rewriter.eraseOp(generics[1]);
    shareOperands(cast<linalg::GenericOp>(fused->fusedOp), rewriter);
    dropUnused(region);
    return;
  }
}

/// Whether every op of the generic runs on vectors and every other operand is
/// read in a way an epilogue can.
static bool isEpilogue(linalg::GenericOp generic, Value product) {
  if (cast<RankedTensorType>(generic.getResult(0).getType())
          .getElementType()
          .isInteger(1))
    return false;
  for (OpOperand *operand : generic.getDpsInputOperands()) {
    AffineMap map = generic.getMatchingIndexingMap(operand);
    if (operand->get() == product ? !map.isIdentity()
                                  : !isa<BlockArgument>(operand->get()))
      return false;
    for (AffineExpr expr : map.getResults())
      if (!isa<AffineDimExpr, AffineConstantExpr>(expr))
        return false;
  }
  for (Operation &op : generic.getBody()->without_terminator())
    if (!isa<arith::ConstantOp>(op) &&
        (!OpTrait::hasElementwiseMappableTraits(&op) ||
         llvm::any_of(op.getOperandTypes(), llvm::IsaPred<IndexType>)))
      return false;
  // Scalars from around the generic are sizes, which vectors cannot hold.
  for (BlockArgument argument : generic->getBlock()->getArguments())
    if (argument.getType().isIndex())
      for (Operation *user : argument.getUsers())
        if (!isa<tensor::EmptyOp>(user))
          return false;
  return true;
}

/// Whether all that the generic reads but `value` are scalars, and the anchor
/// gives `value` in f32: then it may follow a softmax or a norm.
static bool isRowEpilogue(Operation *anchor, linalg::GenericOp generic,
                          Value value) {
  for (OpOperand *operand : generic.getDpsInputOperands())
    if (operand->get() != value &&
        !generic.getMatchingIndexingMap(operand).isConstant())
      return false;
  return getElementTypeOrSelf(anchor->getResult(0).getType()).isF32();
}

/// contract, elementwise of its result  ->  contract with an epilogue
/// The same for softmax and norm.
static bool fuseEpilogue(RewriterBase &rewriter, RegionOp producer,
                         RegionOp consumer) {
  ContractOp contract = getAnchor<ContractOp>(producer);
  Operation *row = getAnchor<SoftmaxOp>(producer);
  if (!row)
    row = getAnchor<NormOp>(producer);
  linalg::GenericOp generic = getElementwise(consumer);
  if ((!contract && !row) || !generic)
    return false;
  BlockArgument value = getArgument(consumer, producer.getResult(0));
  OpOperand *read = getOnlyRead(value, generic);
  if (!read || !isEpilogue(generic, value) ||
      (row && !isRowEpilogue(row, generic, value)))
    return false;
  linalg::GenericOp before =
      getOnlyGeneric<ContractOp, SoftmaxOp, NormOp>(producer);
  reportFused(producer, consumer,
              contract ? "as the epilogue of a product"
                       : "as the epilogue of rows");
  RegionOp merged = merge(rewriter, producer, consumer);
  if (before)
    fuseGenerics(rewriter, merged);
  else
    dropUnused(merged);
  return true;
}

/// elementwise, contract whose epilogue reads it  ->  contract with an epilogue
/// that computes it, unless it would do so again and again: scales and biases
/// of columns cost next to nothing there.
static bool fuseIntoEpilogue(RewriterBase &rewriter, RegionOp producer,
                             RegionOp consumer) {
  linalg::GenericOp first = getElementwise(producer);
  linalg::GenericOp second = getAnchor<ContractOp>(consumer)
                                 ? getOnlyGeneric<ContractOp>(consumer)
                                 : nullptr;
  if (!first || !second || !isEpilogue(first, Value()))
    return false;
  OpOperand *read =
      getOnlyRead(getArgument(consumer, producer.getResult(0)), second);
  if (!read)
    return false;
  AffineMap map = second.getMatchingIndexingMap(read);
  if (!map.isIdentity() &&
      (!isCheap(first) ||
       !llvm::all_of(map.getResults(),
                     llvm::IsaPred<AffineDimExpr, AffineConstantExpr>)))
    return false;
  reportFused(producer, consumer, "into the epilogue of a product");
  RegionOp merged = merge(rewriter, producer, consumer);
  fuseGenerics(rewriter, merged);
  return true;
}

/// elementwise, elementwise of its result  ->  one elementwise
static bool fuseElementwise(RewriterBase &rewriter, RegionOp producer,
                            RegionOp consumer) {
  linalg::GenericOp first = getElementwise(producer);
  linalg::GenericOp second = getElementwise(consumer);
  if (!first || !second)
    return false;
  OpOperand *read =
      getOnlyRead(getArgument(consumer, producer.getResult(0)), second);
  if (!read)
    return false;
  // Through any other map an element is computed once for each repetition, and
  // where it is one of a window has no coordinates of its own.
  AffineMap map = second.getMatchingIndexingMap(read);
  if (!map.isPermutation() &&
      (!isCheap(first) ||
       (first.hasIndexSemantics() && !map.isProjectedPermutation(
                                         /*allowZeroInResults=*/true))))
    return false;
  reportFused(producer, consumer, "into one loop over elements");
  fuseGenerics(rewriter, merge(rewriter, producer, consumer));
  return true;
}

/// The generic of a region that reduces, which elementwise ones may follow;
/// else null.
static linalg::GenericOp getReduction(RegionOp region) {
  if (region.getSchedule() || region.getNumResults() != 1)
    return nullptr;
  linalg::GenericOp first;
  for (Operation &op : region.getBody().front().without_terminator()) {
    if (!isa<linalg::GenericOp, linalg::FillOp, tensor::EmptyOp,
             arith::ConstantOp>(op))
      return nullptr;
    if (!first)
      first = dyn_cast<linalg::GenericOp>(op);
  }
  return first && first.getNumReductionLoops() != 0 ? first : nullptr;
}

/// The loops of `consumer` whose sizes no operand would say any more if it read
/// what `producer` reads.
static SmallVector<unsigned> getUnsizedLoops(linalg::GenericOp producer,
                                             linalg::GenericOp consumer,
                                             OpOperand *read) {
  llvm::SmallBitVector sized(consumer.getNumLoops());
  auto add = [&](AffineMap map) {
    for (AffineExpr expr : map.getResults())
      if (auto dim = dyn_cast<AffineDimExpr>(expr))
        sized.set(dim.getPosition());
  };
  for (OpOperand &operand : consumer->getOpOperands())
    if (&operand != read)
      add(consumer.getMatchingIndexingMap(&operand));
  for (OpOperand *operand : producer.getDpsInputOperands())
    add(producer.getMatchingIndexingMap(operand).compose(
        consumer.getMatchingIndexingMap(read)));
  SmallVector<unsigned> unsized;
  for (unsigned loop = 0; loop < sized.size(); ++loop)
    if (!sized.test(loop))
      unsized.push_back(loop);
  return unsized;
}

/// An operand that nothing reads says the sizes of these loops.
static void addSizes(RewriterBase &rewriter, linalg::GenericOp generic,
                     ArrayRef<unsigned> loops, ArrayRef<int64_t> sizes) {
  rewriter.setInsertionPoint(generic);
  Location loc = generic.getLoc();
  Value empty =
      tensor::EmptyOp::create(rewriter, loc, sizes, rewriter.getF32Type());
  SmallVector<AffineExpr> exprs;
  for (unsigned loop : loops)
    exprs.push_back(rewriter.getAffineDimExpr(loop));
  SmallVector<Value> inputs(generic.getDpsInputs());
  inputs.push_back(empty);
  SmallVector<AffineMap> maps = generic.getIndexingMapsArray();
  maps.insert(maps.end() - 1, AffineMap::get(generic.getNumLoops(), 0, exprs,
                                             rewriter.getContext()));
  auto sized = linalg::GenericOp::create(
      rewriter, loc, generic.getResultTypes(), inputs, generic.getDpsInits(),
      maps, generic.getIteratorTypesArray());
  sized.getRegion().takeBody(generic.getRegion());
  sized.getBody()->insertArgument(inputs.size() - 1, rewriter.getF32Type(),
                                  loc);
  rewriter.replaceOp(generic, sized);
}

/// elementwise, reduction of its result  ->  one reduction
/// Windows are reduced where they lie, and never stored.
static bool fuseIntoReduction(RewriterBase &rewriter, RegionOp producer,
                              RegionOp consumer) {
  linalg::GenericOp first = getElementwise(producer);
  linalg::GenericOp second = getReduction(consumer);
  // What takes long runs on vectors, which a reduction may not.
  if (!first || !second || !isCheap(first))
    return false;
  OpOperand *read =
      getOnlyRead(getArgument(consumer, producer.getResult(0)), second);
  if (!read || !second.getMatchingIndexingMap(read).isPermutation())
    return false;
  SmallVector<unsigned> unsized = getUnsizedLoops(first, second, read);
  SmallVector<int64_t> ranges = second.getStaticLoopRanges(), sizes;
  for (unsigned loop : unsized)
    sizes.push_back(ranges[loop]);
  if (ShapedType::isDynamicShape(sizes))
    return false;
  RegionOp merged = merge(rewriter, producer, consumer);
  if (!unsized.empty())
    addSizes(rewriter,
             *std::next(merged.getBody().getOps<linalg::GenericOp>().begin()),
             unsized, sizes);
  fuseGenerics(rewriter, merged);
  return true;
}

/// The input becomes what the transpose before it reads.
static void skipTranspose(RegionOp region, unsigned input, RegionOp transpose) {
  Value source = transpose.getInputs()[0];
  region->setOperand(input, source);
  region.getBody().getArgument(input).setType(source.getType());
}

/// attention(transpose(q), …)  ->  attention(q, …) with query_layout permuted
/// append(transpose(x), …)     ->  append(x, …) with layout permuted
/// contract(transpose(a), b)   ->  contract transpose_lhs(a, b)
static bool foldOperandTranspose(RegionOp producer, RegionOp consumer,
                                 unsigned input) {
  auto permutation = getTranspose(producer);
  if (!permutation)
    return false;
  BlockArgument argument = consumer.getBody().getArgument(input);
  if (!argument.hasOneUse())
    return false;
  OpOperand &use = *argument.use_begin();
  if (auto attention = dyn_cast<AttentionOp>(use.getOwner())) {
    auto permute = [&](ArrayRef<int64_t> layout) {
      SmallVector<int64_t> result;
      for (int64_t dim : layout)
        result.push_back((*permutation)[dim]);
      return result;
    };
    if (use.getOperandNumber() == 0)
      attention.setQueryLayout(permute(attention.getQueryLayout()));
    else if (use.getOperandNumber() == 1)
      attention.setKeyLayout(permute(attention.getKeyLayout()));
    else if (use.getOperandNumber() == 2)
      attention.setValueLayout(permute(attention.getValueLayout()));
    else
      return false;
  } else if (auto append = dyn_cast<AppendOp>(use.getOwner())) {
    if (use.getOperandNumber() != 0)
      return false;
    SmallVector<int64_t> layout;
    for (int64_t dim : append.getLayout())
      layout.push_back((*permutation)[dim]);
    append.setLayout(layout);
  } else if (auto contract = dyn_cast<ContractOp>(use.getOwner())) {
    SmallVector<int64_t> swap;
    for (size_t dim = 0; dim < permutation->size(); ++dim)
      swap.push_back(dim);
    if (swap.size() < 2)
      return false;
    std::swap(swap[swap.size() - 1], swap[swap.size() - 2]);
    if (*permutation != swap)
      return false;
    if (use.getOperandNumber() == 0)
      contract.setTransposeLhs(!contract.getTransposeLhs());
    else if (!contract.getPacked())
      contract.setTransposeRhs(!contract.getTransposeRhs());
    else
      return false;
  } else {
    return false;
  }
  reportFused(producer, consumer, "as the layout of an operand");
  skipTranspose(consumer, input, producer);
  return true;
}

/// Where the result of a region that only slices, with steps of one, begins in
/// its input. None if a start is not fixed, or a part of a dimension not.
static std::optional<SmallVector<int64_t>> getSlice(RegionOp region) {
  linalg::GenericOp generic = getElementwise(region);
  if (!generic || generic.getNumDpsInputs() != 0 ||
      region.getInputs().size() != 1)
    return std::nullopt;
  auto extract = generic.getBody()
                     ->getTerminator()
                     ->getOperand(0)
                     .getDefiningOp<tensor::ExtractOp>();
  BlockArgument source = region.getBody().getArgument(0);
  if (!extract || extract.getTensor() != source)
    return std::nullopt;
  auto getKnown = [&](Value value) {
    if (auto argument = dyn_cast<BlockArgument>(value))
      value = region.getIndices()[argument.getArgNumber() - 1];
    return getConstantIntValue(value);
  };
  SmallVector<int64_t> starts;
  for (auto [dim, place] : llvm::enumerate(extract.getIndices())) {
    int64_t start = 0;
    if (auto sum = place.getDefiningOp<arith::AddIOp>()) {
      std::optional<int64_t> known = getKnown(sum.getRhs());
      if (!known)
        return std::nullopt;
      start = *known;
      place = sum.getLhs();
    }
    auto index = place.getDefiningOp<linalg::IndexOp>();
    if (!index || index.getDim() != dim)
      return std::nullopt;
    starts.push_back(start);
  }
  // Sizes that are not known must be the input's.
  ValueRange sizes;
  Value input = region.getInputs()[0];
  if (auto view = input.getDefiningOp<ViewOp>())
    sizes = view.getSizes();
  else if (auto made = input.getDefiningOp<RegionOp>();
           made && made.getNumResults() == 1)
    sizes = made.getSizes();
  auto type = cast<RankedTensorType>(input.getType());
  auto result = cast<RankedTensorType>(region.getResult(0).getType());
  if (sizes != region.getSizes())
    return std::nullopt;
  for (int64_t dim = 0; dim < type.getRank(); ++dim)
    if (type.isDynamicDim(dim) != result.isDynamicDim(dim) ||
        (type.isDynamicDim(dim) && starts[dim] != 0))
      return std::nullopt;
  return starts;
}

/// Whether an anchor reads an operand in place where it is a part of an input.
static bool isPartOfAnchor(OpOperand &operand) {
  Operation *op = operand.getOwner();
  return isa<AttentionOp>(op)
             ? operand.getOperandNumber() < 3
             : isa<AppendOp>(op) && operand.getOperandNumber() == 0;
}

/// The same of a loop over elements.
static bool isPartOfLoop(OpOperand &operand) {
  auto generic = dyn_cast<linalg::GenericOp>(operand.getOwner());
  auto region = dyn_cast<RegionOp>(operand.getOwner()->getParentOp());
  return generic && region && generic.isDpsInput(&operand) &&
         generic.getNumReductionLoops() == 0 &&
         getOnlyGeneric<tensor::DimOp, tensor::ExtractSliceOp>(region) ==
             generic;
}

/// attention(slice(q), …)  ->  attention(part of q, …)
/// The same for what is appended to a cache, and for loops over elements.
static bool foldOperandSlice(RewriterBase &rewriter, RegionOp producer,
                             RegionOp consumer, unsigned input,
                             function_ref<bool(OpOperand &)> isPart) {
  BlockArgument argument = consumer.getBody().getArgument(input);
  if (argument.use_empty() || !llvm::all_of(argument.getUses(), isPart))
    return false;
  std::optional<SmallVector<int64_t>> starts = getSlice(producer);
  auto type = cast<RankedTensorType>(argument.getType());
  // An empty part may begin at the end, where extract_slice has no offset.
  if (!starts || llvm::is_contained(type.getShape(), 0))
    return false;
  reportFused(producer, consumer, "as a part of an operand");
  auto uses = llvm::map_to_vector(argument.getUses(),
                                  [](OpOperand &use) { return &use; });
  // What reads several parts of a tensor has it as one input.
  Value source = producer.getInputs()[0];
  BlockArgument whole =
      consumer.getUpdates() ? nullptr : getArgument(consumer, source);
  if (!whole) {
    whole = argument;
    whole.setType(source.getType());
    consumer->setOperand(input, source);
  }
  Location loc = producer.getLoc();
  rewriter.setInsertionPointToStart(&consumer.getBody().front());
  SmallVector<OpFoldResult> offsets, sizes;
  for (auto [dim, size] : llvm::enumerate(type.getShape())) {
    offsets.push_back(rewriter.getIndexAttr((*starts)[dim]));
    sizes.push_back(
        ShapedType::isDynamic(size)
            ? OpFoldResult(
                  tensor::DimOp::create(rewriter, loc, whole, dim).getResult())
            : rewriter.getIndexAttr(size));
  }
  SmallVector<OpFoldResult> steps(type.getRank(), rewriter.getIndexAttr(1));
  Value part = tensor::ExtractSliceOp::create(rewriter, loc, type, whole,
                                              offsets, sizes, steps);
  for (OpOperand *use : uses)
    use->set(part);
  dropUnused(consumer);
  return true;
}

/// transpose(attention(…))  ->  attention(…) with output_layout permuted
static bool foldResultTranspose(RewriterBase &rewriter, RegionOp producer,
                                RegionOp consumer) {
  AttentionOp attention = getAnchor<AttentionOp>(producer);
  auto permutation = getTranspose(consumer);
  if (!attention || !permutation)
    return false;
  reportFused(producer, consumer, "as the layout of the result");
  SmallVector<int64_t> layout;
  for (int64_t dim : attention.getOutputLayout())
    layout.push_back(llvm::find(*permutation, dim) - permutation->begin());
  rewriter.setInsertionPoint(consumer);
  Type type = consumer.getResult(0).getType();
  auto moved = RegionOp::create(
      rewriter, rewriter.getFusedLoc({producer.getLoc(), consumer.getLoc()}),
      TypeRange{type}, producer.getName(), producer.getInputs(),
      producer.getIndices(), consumer.getSizes(), Value(), ScheduleAttr(),
      DenseI64ArrayAttr());
  moved->setDiscardableAttrs(consumer->getDiscardableAttrDictionary());
  attention.setOutputLayout(layout);
  attention.getOutput().setType(cast<RankedTensorType>(type));
  moved.getBody().takeBody(producer.getBody());
  rewriter.replaceOp(consumer, moved);
  rewriter.eraseOp(producer);
  return true;
}

/// Why the producer, whose result is `value` or a view of it, still runs by
/// itself.
static StringRef findObstacle(RegionOp producer, RegionOp consumer,
                              Value value) {
  if (value.getDefiningOp() != producer)
    return "it is read with other sizes";
  if (producer->getBlock() != consumer->getBlock())
    return "a loop or a branch stands between";
  if (producer.getNumResults() != 1 || !value.hasOneUse())
    return "it is read more than once";
  linalg::GenericOp generic = getElementwise(consumer);
  if (!generic)
    return "the consumer is not elementwise";
  BlockArgument argument = getArgument(consumer, value);
  if (!getOnlyRead(argument, generic))
    return "the consumer reads it in more than one way";
  if (getAnchor<ContractOp>(producer))
    return "the consumer does not run on vectors of a product";
  if (!getElementwise(producer))
    return "the producer takes no epilogue";
  return "its elements would be computed more than once";
}

static void reportObstacles(RegionOp consumer) {
  for (Value input : consumer.getInputs()) {
    Value source = input;
    while (auto view = source.getDefiningOp<ViewOp>())
      source = view.getInput();
    auto producer = source.getDefiningOp<RegionOp>();
    if (producer)
      remark::missed(consumer.getLoc(), describe("NotFused", consumer))
          << remark::metric("Producer", producer.getName())
          << remark::metric("Consumer", consumer.getName())
          << findObstacle(producer, consumer, input);
  }
}

namespace {

struct FuseRegionsPass : impl::FuseRegionsPassBase<FuseRegionsPass> {
  using Fusion = llvm::function_ref<bool(RegionOp, RegionOp, unsigned)>;

  /// Tries `fuse` at every edge between regions until it changes nothing.
  void repeat(Fusion fuse) {
    for (bool changed = true; changed;) {
      changed = false;
      getOperation()->walk([&](RegionOp consumer) {
        for (unsigned i = 0; i < consumer.getInputs().size(); ++i) {
          auto producer = consumer.getInputs()[i].getDefiningOp<RegionOp>();
          // A loop must not compute anew what stands before it.
          if (producer && producer->getBlock() == consumer->getBlock() &&
              fuse(producer, consumer, i)) {
            changed = true;
            return WalkResult::interrupt();
          }
        }
        return WalkResult::advance();
      });
    }
  }

  void runOnOperation() override {
    IRRewriter rewriter(&getContext());
    auto isOnlyReader = [](RegionOp producer) {
      return producer.getNumResults() == 1 && producer.getResult(0).hasOneUse();
    };
    // Anchors first: what they take in never runs by itself.
    repeat([&](RegionOp producer, RegionOp consumer, unsigned input) {
      if (foldOperandTranspose(producer, consumer, input) ||
          foldOperandSlice(rewriter, producer, consumer, input,
                           isPartOfAnchor)) {
        if (producer->use_empty())
          producer->erase();
        return true;
      }
      return isOnlyReader(producer) &&
             foldResultTranspose(rewriter, producer, consumer);
    });
    // Scalars that scalars are made of cost less than a launch.
    auto isScalar = [](RegionOp region) {
      auto type = cast<RankedTensorType>(region.getResult(0).getType());
      return type.hasStaticShape() && type.getNumElements() == 1;
    };
    auto takeEpilogues = [&] {
      repeat([&](RegionOp producer, RegionOp consumer, unsigned) {
        return isOnlyReader(producer) &&
               fuseEpilogue(rewriter, producer, consumer);
      });
    };
    takeEpilogues();
    repeat([&](RegionOp producer, RegionOp consumer, unsigned) {
      if (!isOnlyReader(producer))
        return producer.getNumResults() == 1 && isScalar(producer) &&
               consumer.getNumResults() == 1 && isScalar(consumer) &&
               fuseElementwise(rewriter, producer, consumer);
      return fuseElementwise(rewriter, producer, consumer) ||
             fuseIntoEpilogue(rewriter, producer, consumer);
    });
    // What read a product in two ways may be one loop now, which reads it once.
    takeEpilogues();
    repeat([&](RegionOp producer, RegionOp consumer, unsigned) {
      return isOnlyReader(producer) &&
             fuseIntoReduction(rewriter, producer, consumer);
    });
    // Slices that still run by themselves, and only copy.
    repeat([&](RegionOp producer, RegionOp consumer, unsigned input) {
      if (!foldOperandSlice(rewriter, producer, consumer, input, isPartOfLoop))
        return false;
      if (producer->use_empty())
        producer->erase();
      return true;
    });
    getOperation()->walk(reportObstacles);
  }
};

} // namespace
} // namespace tenon::kernel
