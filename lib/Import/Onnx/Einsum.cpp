// ONNX Einsum: the operands are multiplied from left to right by matrix
// products, and what only one of them has is summed before.
#include "ImportContext.h"
#include "llvm/ADT/StringExtras.h"
#include <map>

using namespace mlir;

namespace tenon {
namespace {

/// A dimension's name: a letter of the equation or, where an ellipsis stands
/// for dimensions, how many of these follow it, from 1 on.
using Index = int64_t;
using Indices = SmallVector<Index>;

/// An operand or a product of some, with a name for each dimension.
struct Term {
  Value value;
  Indices indices;
};

/// Replaces an ellipsis by `count` dimensions. Fails on anything that is no
/// letter.
FailureOr<Indices> parseIndices(StringRef text, int64_t count) {
  Indices indices;
  while (!text.empty()) {
    if (text.consume_front("...")) {
      for (int64_t place = count; place > 0; --place)
        indices.push_back(place);
      continue;
    }
    if (!llvm::isAlpha(text.front()))
      return failure();
    indices.push_back(text.front());
    text = text.drop_front();
  }
  return indices;
}

/// x[…, i, …, i, …]  ->  reduce sum (where (equal i, i'), x, 0), reshaped
void takeDiagonals(ImportContext &ctx, Term &term) {
  for (size_t first = 0; first < term.indices.size(); ++first)
    for (size_t second = term.indices.size() - 1; second > first; --second) {
      if (term.indices[first] != term.indices[second])
        continue;
      Sizes sizes = ctx.getSizes(term.value);
      auto along = [&](size_t dim) {
        Sizes line(sizes.size(), ctx.makeSize(1));
        line[dim] = sizes[dim];
        return ctx.reshape(ctx.iota(ctx.makeSize(0), sizes[dim]), line);
      };
      ctx.assumeEqual(sizes[first], sizes[second]);
      Value row = along(first), column = along(second);
      Value onDiagonal =
          ctx.binary<graph::EqualOp>(row, column, ctx.builder.getI1Type());
      Value zero = ctx.makeScalar(0, typeOf(term.value).getElementType());
      Value kept =
          graph::WhereOp::create(ctx.builder, ctx.loc, term.value.getType(),
                                 onDiagonal, term.value, zero);
      Value sum = ctx.reduce(graph::ReductionKind::Sum, kept,
                             {static_cast<int64_t>(second)});
      sizes.erase(sizes.begin() + second);
      term.value = ctx.reshape(sum, sizes);
      term.indices.erase(term.indices.begin() + second);
    }
}

/// A term of several steps: in f32 where it has 16 bits, which would be rounded
/// after each.
void keepUnrounded(ImportContext &ctx, Term &term) {
  if (isa<Float16Type, BFloat16Type>(typeOf(term.value).getElementType()))
    term.value = ctx.widen(term.value);
}

/// Sums over the dimensions that nothing else has.
void sumOthers(ImportContext &ctx, Term &term, ArrayRef<Index> needed) {
  SmallVector<int64_t> axes;
  Sizes sizes;
  Indices kept;
  for (auto [dim, index] : llvm::enumerate(term.indices)) {
    if (llvm::is_contained(needed, index)) {
      sizes.push_back(ctx.getSize(term.value, dim));
      kept.push_back(index);
    } else {
      axes.push_back(dim);
    }
  }
  if (axes.empty())
    return;
  keepUnrounded(ctx, term);
  term.value = ctx.reshape(
      ctx.reduce(graph::ReductionKind::Sum, term.value, axes), sizes);
  term.indices = kept;
}

/// The dimensions in this order; those that the term lacks have size 1.
Value arrange(ImportContext &ctx, const Term &term, ArrayRef<Index> order) {
  SmallVector<int64_t> permutation;
  Sizes sizes;
  for (Index index : order) {
    auto found = llvm::find(term.indices, index);
    if (found == term.indices.end()) {
      sizes.push_back(ctx.makeSize(1));
      continue;
    }
    permutation.push_back(found - term.indices.begin());
    sizes.push_back(ctx.getSize(term.value, permutation.back()));
  }
  return ctx.reshape(ctx.transpose(term.value, permutation), sizes);
}

/// The size of each dimension, of which one operand may have 1 where another
/// has more.
OpFoldResult sizeOf(ImportContext &ctx, Index index, const Term &lhs,
                    const Term &rhs) {
  OpFoldResult size = ctx.makeSize(1);
  for (const Term *term : {&lhs, &rhs}) {
    auto found = llvm::find(term->indices, index);
    if (found == term->indices.end())
      continue;
    OpFoldResult own = ctx.getSize(term->value, found - term->indices.begin());
    if (getConstantIntValue(size) == 1)
      size = own;
  }
  return size;
}

/// The product of two terms, summed over the dimensions that both have and
/// nothing `needed` has. Null value after an error.
Term multiply(ImportContext &ctx, Term lhs, Term rhs, ArrayRef<Index> needed) {
  if (typeOf(lhs.value).getElementType() !=
      typeOf(rhs.value).getElementType()) {
    keepUnrounded(ctx, lhs);
    keepUnrounded(ctx, rhs);
  }
  Indices batch, left, right, summed;
  for (Index index : lhs.indices) {
    bool isShared = llvm::is_contained(rhs.indices, index);
    if (!isShared)
      left.push_back(index);
    else
      (llvm::is_contained(needed, index) ? batch : summed).push_back(index);
  }
  for (Index index : rhs.indices)
    if (!llvm::is_contained(lhs.indices, index))
      right.push_back(index);
  Term result;
  result.indices = batch;
  llvm::append_range(result.indices, left);
  llvm::append_range(result.indices, right);
  if (summed.empty()) {
    Value first = arrange(ctx, lhs, result.indices);
    Value second = arrange(ctx, rhs, result.indices);
    result.value = ctx.binary<graph::MulOp>(first, second);
    return result;
  }
  // Stacked matrices: the names of a group become one dimension.
  auto stack = [&](const Term &term, ArrayRef<Index> rows,
                   ArrayRef<Index> columns) {
    Indices order(batch);
    llvm::append_range(order, rows);
    llvm::append_range(order, columns);
    Value arranged = arrange(ctx, term, order);
    Sizes sizes = ctx.getSizes(arranged);
    ArrayRef<OpFoldResult> all(sizes);
    Sizes merged(all.take_front(batch.size()));
    merged.push_back(ctx.product(all.slice(batch.size(), rows.size())));
    merged.push_back(ctx.product(all.take_back(columns.size())));
    return ctx.reshape(arranged, merged);
  };
  Value rows = stack(lhs, left, summed), columns = stack(rhs, summed, right);
  result.value = ctx.matmul(rows, columns);
  if (!result.value)
    return result;
  Sizes sizes;
  for (Index index : result.indices)
    sizes.push_back(sizeOf(ctx, index, lhs, rhs));
  result.value = ctx.reshape(result.value, sizes);
  return result;
}

LogicalResult importEinsum(ImportContext &ctx) {
  unsigned count = ctx.getNumOperands();
  if (failed(ctx.requireOperands(std::max(1u, count))) ||
      failed(ctx.requireAttribute("equation")))
    return failure();
  std::string equation = ctx.getString("equation", "").str();
  llvm::erase(equation, ' ');
  auto [inputs, output] = StringRef(equation).split("->");
  bool hasOutput = StringRef(equation).contains("->");
  SmallVector<StringRef> parts;
  inputs.split(parts, ',');
  auto malformed = [&]() {
    return ctx.invalid() << "equation '" << equation << "' does not fit "
                         << count << " operands of these ranks";
  };
  if (parts.size() != count)
    return malformed();

  Type element = typeOf(ctx.getOperand(0)).getElementType();
  SmallVector<Term> terms;
  std::map<Index, int64_t> uses, sizes;
  int64_t widest = 0;
  for (auto [i, part] : llvm::enumerate(parts)) {
    Value operand = ctx.getOperand(i);
    if (typeOf(operand).getElementType() != element)
      return ctx.invalid() << "operands must have one element type, but the "
                           << "first has " << element << " and operand " << i
                           << " has " << operand.getType();
    int64_t rank = typeOf(operand).getRank();
    int64_t spread = part.contains("...") ? rank + 3 - int64_t(part.size()) : 0;
    FailureOr<Indices> indices =
        parseIndices(part, std::max<int64_t>(spread, 0));
    if (spread < 0 || failed(indices) ||
        static_cast<int64_t>(indices->size()) != rank)
      return malformed();
    widest = std::max(widest, spread);
    for (auto [dim, index] : llvm::enumerate(*indices)) {
      ++uses[index];
      int64_t size = typeOf(operand).getDimSize(dim);
      if (ShapedType::isDynamic(size) || size == 1)
        continue;
      auto [known, isNew] = sizes.try_emplace(index, size);
      if (!isNew && known->second != size)
        return ctx.invalid() << "equation '" << equation
                             << "' gives one index to dimensions of sizes "
                             << known->second << " and " << size;
    }
    terms.push_back({operand, *indices});
  }
  Indices wanted;
  if (hasOutput) {
    FailureOr<Indices> indices = parseIndices(output, widest);
    if (failed(indices))
      return malformed();
    wanted = *indices;
    for (auto [place, index] : llvm::enumerate(wanted))
      if (!uses.count(index) ||
          llvm::is_contained(ArrayRef(wanted).take_front(place), index))
        return malformed();
  } else {
    // All of the ellipsis, then the letters that occur once, sorted.
    for (int64_t place = widest; place > 0; --place)
      wanted.push_back(place);
    for (auto [index, number] : uses)
      if (index > widest && number == 1)
        wanted.push_back(index);
  }

  for (Term &term : terms) {
    takeDiagonals(ctx, term);
    if (count > 2)
      keepUnrounded(ctx, term);
  }
  auto neededBehind = [&](size_t i) {
    Indices needed(wanted);
    for (const Term &term : ArrayRef(terms).drop_front(i))
      llvm::append_range(needed, term.indices);
    return needed;
  };
  Term result = terms.front();
  sumOthers(ctx, result, neededBehind(1));
  for (size_t i = 1; i < terms.size(); ++i) {
    Indices needed = neededBehind(i + 1);
    Term next = terms[i];
    Indices withResult(needed);
    llvm::append_range(withResult, result.indices);
    sumOthers(ctx, next, withResult);
    result = multiply(ctx, result, next, needed);
    if (!result.value)
      return failure();
    sumOthers(ctx, result, needed);
  }
  return ctx.setResult(ctx.cast(arrange(ctx, result, wanted), element));
}

const OpHandler handlers[] = {
    {"Einsum", importEinsum},
};

} // namespace

ArrayRef<OpHandler> einsumHandlers() { return handlers; }

} // namespace tenon
