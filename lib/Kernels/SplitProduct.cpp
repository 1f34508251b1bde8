// f32 as three parts of bf16, f16 as two: 24 bits of significand are three
// times eight, and eleven fit in sixteen.
#include "SplitProduct.h"
#include "mlir/IR/TypeUtilities.h"

using namespace mlir;
using namespace tenon;
using kernel::MultiplyTilesOp;

/// Elements of the contracted dimension in a matrix register of bf16.
constexpr int64_t stepElements = 2 * matrixGroups;

/// Elements from row to row: an odd number of cache lines, so that the rows of
/// a matrix register lie in different sets of the L1.
static int64_t rowElementsOf(int64_t depth, int64_t parts) {
  constexpr int64_t line = 32;
  int64_t lines = depth * parts / line;
  return (lines % 2 == 0 ? lines + 1 : lines) * line;
}

int64_t SplitProduct::partsOf(Type element) {
  return element.isF32() ? 3 : element.isF16() ? 2 : 0;
}

int64_t SplitProduct::bytesOfRow(int64_t depth, int64_t parts) {
  return 2 * rowElementsOf(depth, parts);
}

SplitProduct SplitProduct::create(TileBuilder &t, Type element, int64_t depth,
                                  int64_t mostRows, int64_t lanes) {
  auto scratch = [&](Type element, int64_t count) -> Value {
    return memref::AllocaOp::create(t.b, t.loc,
                                    MemRefType::get({count}, element),
                                    t.b.getI64IntegerAttr(64));
  };
  int64_t parts = partsOf(element);
  int64_t rowElements = rowElementsOf(depth, parts);
  Type part = t.b.getBF16Type();
  return {parts,
          lanes,
          scratch(part, mostRows * rowElements),
          scratch(part, parts * depth * panelColumns),
          scratch(element, stepElements * panelColumns),
          rowElements};
}

/// Each part of an f32 has the next eight bits. The first is what is left if
/// the others are cut off, so that it does not become infinite; with two parts
/// that is all. The second of three is rounded, so that the third, whose
/// products with it and itself are left out, has either sign.
SmallVector<Value> SplitProduct::splitVector(TileBuilder &t, Value from,
                                             Value offset) const {
  Value x = t.convert(t.loadVector(from, offset, lanes), t.b.getF32Type());
  auto type = cast<VectorType>(x.getType());
  auto words = type.clone(t.b.getI32Type());
  auto constant = [&](int32_t value) {
    return t.splat(t.b.getI32IntegerAttr(value), lanes);
  };
  auto upperHalf = [&](Value bits) -> Value {
    bits = arith::AndIOp::create(t.b, t.loc, bits, constant(0xffff0000));
    return vector::BitCastOp::create(t.b, t.loc, type, bits);
  };
  Value high = upperHalf(vector::BitCastOp::create(t.b, t.loc, words, x));
  Value rest = arith::SubFOp::create(t.b, t.loc, x, high);
  if (parts == 2)
    return {high, rest};
  Value bits = vector::BitCastOp::create(t.b, t.loc, words, rest);
  Value middle =
      upperHalf(arith::AddIOp::create(t.b, t.loc, bits, constant(0x8000)));
  return {high, middle, arith::SubFOp::create(t.b, t.loc, rest, middle)};
}

void SplitProduct::splitStretch(TileBuilder &t, Value from, Value offset,
                                Value target) const {
  SmallVector<Value> first = splitVector(t, from, offset);
  SmallVector<Value> second =
      splitVector(t, from, t.add(offset, t.index(lanes)));
  SmallVector<int64_t> upperHalves;
  for (int64_t i = 0; i < stepElements; ++i)
    upperHalves.push_back(2 * i + 1);
  auto halves = VectorType::get(stepElements, t.b.getBF16Type());
  for (int64_t part = 0; part < parts; ++part) {
    Value low = vector::BitCastOp::create(t.b, t.loc, halves, first[part]);
    Value high = vector::BitCastOp::create(t.b, t.loc, halves, second[part]);
    t.store(vector::ShuffleOp::create(t.b, t.loc, low, high, upperHalves), rows,
            t.add(target, t.index(part * stepElements)));
  }
}

void SplitProduct::splitRows(TileBuilder &t, FlatMatrix from, Value count,
                             Value elements) const {
  Value left = t.rem(elements, t.index(stepElements));
  Value whole = t.sub(elements, left);
  t.forEach(t.index(0), count, 1, [&](Value row) {
    Value source = t.add(from.offset, t.mul(row, from.row));
    Value target = t.mul(row, t.index(rowElements));
    t.forEach(t.index(0), whole, stepElements, [&](Value k) {
      splitStretch(t, from.buffer, t.add(source, k),
                   t.add(target, t.mul(k, t.index(parts))));
    });
    t.when(arith::CmpIOp::create(t.b, t.loc, arith::CmpIPredicate::ne, left,
                                 t.index(0)),
           [&] {
             t.fillZero(rest, t.index(0), t.index(stepElements), lanes);
             t.forEach(t.index(0), left, 1, [&](Value i) {
               t.store(t.load(from.buffer, t.add(source, t.add(whole, i))),
                       rest, i);
             });
             splitStretch(t, rest, t.index(0),
                          t.add(target, t.mul(whole, t.index(parts))));
           });
  });
}

void SplitProduct::splitStep(TileBuilder &t, Value from, Value offset,
                             Value target) const {
  t.forEach(t.index(0), t.index(matrixGroups), 1, [&](Value pair) {
    Value behind = t.mul(pair, t.index(2 * panelColumns));
    for (int64_t column = 0; column < panelColumns; column += lanes) {
      Value at = t.add(offset, t.add(behind, t.index(column)));
      SmallVector<Value> first = splitVector(t, from, at);
      SmallVector<Value> second =
          splitVector(t, from, t.add(at, t.index(panelColumns)));
      Value to = t.add(target, t.add(behind, t.index(2 * column)));
      for (int64_t part = 0; part < parts; ++part)
        t.store(t.pairUpperHalves(first[part], second[part]), panel,
                t.add(to, t.index(part * stepElements * panelColumns)));
    }
  });
}

void SplitProduct::splitPanel(TileBuilder &t, Value from, Value offset,
                              Value elements) const {
  Value left = t.rem(elements, t.index(stepElements));
  Value whole = t.sub(elements, left), line = t.index(panelColumns);
  auto targetOf = [&](Value k) {
    return t.mul(k, t.index(parts * panelColumns));
  };
  t.forEach(t.index(0), whole, stepElements, [&](Value k) {
    splitStep(t, from, t.add(offset, t.mul(k, line)), targetOf(k));
  });
  t.when(arith::CmpIOp::create(t.b, t.loc, arith::CmpIPredicate::ne, left,
                               t.index(0)),
         [&] {
           t.fillZero(rest, t.index(0), t.index(stepElements * panelColumns),
                      lanes);
           t.forEach(t.index(0), t.mul(left, line), lanes, [&](Value i) {
             Value at = t.add(offset, t.add(t.mul(whole, line), i));
             t.store(t.loadVector(from, at, lanes), rest, i);
           });
           splitStep(t, rest, t.index(0), targetOf(whole));
         });
}

void SplitProduct::multiply(TileBuilder &t, FlatMatrix acc, Value count,
                            Value elements, Value from, Value ahead) const {
  constexpr int64_t most = 2 * matrixRows;
  Value steps = t.ceilDiv(elements, stepElements);
  // Each tile of rows brings a part of it.
  int64_t bytes =
      getElementTypeOrSelf(from.getType()).getIntOrFloatBitWidth() / 8;
  int64_t aheadElements = MultiplyTilesOp::aheadBytes / bytes;
  int64_t aheadParts = stepElements * panelColumns / aheadElements;
  auto multiplyRows = [&](Value first, int64_t tileRows) {
    FlatMatrix to = t.fromRow(acc, first);
    Value part = t.rem(t.div(first, t.index(most)), t.index(aheadParts));
    Value at = t.add(ahead, t.mul(part, t.mul(steps, t.index(aheadElements))));
    MultiplyTilesOp::create(
        t.b, t.loc, kernel::DotKind::BF16,
        /*split=*/t.b.getI64IntegerAttr(parts),
        /*accumulate=*/false, rows, t.mul(first, t.index(rowElements)),
        t.index(rowElements), panel, t.index(0), t.index(2 * panelColumns),
        to.buffer, to.offset, to.row, from, at, steps, tileRows);
  };
  t.forEach(t.index(0), count, most, [&](Value first) {
    Value left = t.sub(count, first);
    t.choose(
        arith::CmpIOp::create(t.b, t.loc, arith::CmpIPredicate::sgt, left,
                              t.index(matrixRows)),
        [&] { multiplyRows(first, most); },
        [&] { multiplyRows(first, matrixRows); });
  });
}

Value SplitProduct::areFinite(TileBuilder &t, FlatMatrix acc, Value count,
                              int64_t lanes) {
  // Zero times what is finite is zero.
  Value zero = t.zeros(t.b.getF32Type(), lanes);
  SmallVector<Value> starts(panelColumns / lanes, zero);
  auto loop =
      scf::ForOp::create(t.b, t.loc, t.index(0), count, t.index(1), starts);
  {
    OpBuilder::InsertionGuard guard(t.b);
    t.b.setInsertionPointToStart(loop.getBody());
    FlatMatrix row = t.fromRow(acc, loop.getInductionVar());
    SmallVector<Value> next;
    for (auto [i, sum] : llvm::enumerate(loop.getRegionIterArgs())) {
      Value x = t.loadVector(
          row.buffer, t.add(row.offset, t.index(int64_t(i) * lanes)), lanes);
      next.push_back(vector::FMAOp::create(t.b, t.loc, x, zero, sum));
    }
    scf::YieldOp::create(t.b, t.loc, next);
  }
  Value all = loop.getResult(0);
  for (Value other : loop.getResults().drop_front())
    all = arith::AddFOp::create(t.b, t.loc, all, other);
  Value total = t.sumLanes(all);
  return arith::CmpFOp::create(t.b, t.loc, arith::CmpFPredicate::ORD, total,
                               total);
}
