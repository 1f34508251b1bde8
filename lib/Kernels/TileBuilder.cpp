// Index arithmetic, loops, and the register tile of a matrix product.
#include "TileBuilder.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/IR/Matchers.h"
#include "mlir/IR/TypeUtilities.h"

#include <numeric>

using namespace mlir;
using namespace tenon;

Value TileBuilder::index(int64_t value) {
  return arith::ConstantIndexOp::create(b, loc, value);
}
Value TileBuilder::add(Value lhs, Value rhs) {
  return b.createOrFold<arith::AddIOp>(loc, lhs, rhs);
}
Value TileBuilder::sub(Value lhs, Value rhs) {
  return b.createOrFold<arith::SubIOp>(loc, lhs, rhs);
}
Value TileBuilder::mul(Value lhs, Value rhs) {
  return b.createOrFold<arith::MulIOp>(loc, lhs, rhs);
}
Value TileBuilder::div(Value lhs, Value rhs) {
  return b.createOrFold<arith::DivUIOp>(loc, lhs, rhs);
}
Value TileBuilder::rem(Value lhs, Value rhs) {
  return b.createOrFold<arith::RemUIOp>(loc, lhs, rhs);
}
Value TileBuilder::ceilDiv(Value lhs, int64_t rhs) {
  return div(add(lhs, index(rhs - 1)), index(rhs));
}
Value TileBuilder::min(Value lhs, Value rhs) {
  return b.createOrFold<arith::MinSIOp>(loc, lhs, rhs);
}
Value TileBuilder::max(Value lhs, Value rhs) {
  return b.createOrFold<arith::MaxSIOp>(loc, lhs, rhs);
}
Value TileBuilder::larger(Value lhs, Value rhs) {
  Value greater =
      arith::CmpFOp::create(b, loc, arith::CmpFPredicate::OGT, lhs, rhs);
  return arith::SelectOp::create(b, loc, greater, lhs, rhs);
}

Value TileBuilder::smaller(Value lhs, Value rhs) {
  Value less =
      arith::CmpFOp::create(b, loc, arith::CmpFPredicate::OLT, lhs, rhs);
  return arith::SelectOp::create(b, loc, less, lhs, rhs);
}

Value TileBuilder::combineLanes(Value vector,
                                function_ref<Value(Value, Value)> combine) {
  int64_t lanes = cast<VectorType>(vector.getType()).getNumElements();
  for (int64_t half = lanes / 2; half > 0; half /= 2) {
    SmallVector<int64_t> low(half), high(half);
    std::iota(low.begin(), low.end(), 0);
    std::iota(high.begin(), high.end(), half);
    vector = combine(vector::ShuffleOp::create(b, loc, vector, vector, low),
                     vector::ShuffleOp::create(b, loc, vector, vector, high));
  }
  return vector::ExtractOp::create(b, loc, vector, ArrayRef<int64_t>{0});
}

Value TileBuilder::largestLane(Value vector) {
  return combineLanes(vector,
                      [&](Value lhs, Value rhs) { return larger(lhs, rhs); });
}

Value TileBuilder::sumLanes(Value vector) {
  return combineLanes(vector, [&](Value lhs, Value rhs) -> Value {
    return arith::AddFOp::create(b, loc, lhs, rhs);
  });
}

Value TileBuilder::equal(Value lhs, Value rhs) {
  return b.createOrFold<arith::CmpIOp>(loc, arith::CmpIPredicate::eq, lhs, rhs);
}

Value TileBuilder::size(Value memref, int64_t dim) {
  auto type = cast<MemRefType>(memref.getType());
  if (!type.isDynamicDim(dim))
    return index(type.getDimSize(dim));
  return memref::DimOp::create(b, loc, memref, dim);
}

SmallVector<Value> TileBuilder::sizes(Value memref) {
  SmallVector<Value> result;
  for (int64_t dim = 0; dim < cast<MemRefType>(memref.getType()).getRank();
       ++dim)
    result.push_back(size(memref, dim));
  return result;
}

SmallVector<Value> TileBuilder::strides(ArrayRef<Value> sizes) {
  SmallVector<Value> result(sizes.size());
  Value stride = index(1);
  for (size_t dim = sizes.size(); dim-- > 0;) {
    result[dim] = stride;
    stride = mul(stride, sizes[dim]);
  }
  return result;
}

Value TileBuilder::product(ArrayRef<Value> values) {
  Value result = index(1);
  for (Value value : values)
    result = mul(result, value);
  return result;
}

SmallVector<Value> TileBuilder::delinearize(Value linear,
                                            ArrayRef<Value> sizes) {
  SmallVector<Value> result(sizes.size());
  for (size_t dim = sizes.size(); dim-- > 1;) {
    result[dim] = rem(linear, sizes[dim]);
    linear = div(linear, sizes[dim]);
  }
  if (!sizes.empty())
    result[0] = linear;
  return result;
}

Value TileBuilder::flatten(Value memref) {
  auto type = cast<MemRefType>(memref.getType());
  int64_t rank = type.getRank();
  if (rank <= 1)
    return memref;
  // Of no elements, whatever a size is that is not known: a collapse_shape of
  // that does not verify.
  if (llvm::is_contained(type.getShape(), 0))
    return memref::ReinterpretCastOp::create(
        b, loc, MemRefType::get({0}, type.getElementType()), memref,
        /*offset=*/0, /*sizes=*/ArrayRef<int64_t>{0},
        /*strides=*/ArrayRef<int64_t>{1});
  ReassociationIndices all(llvm::to_vector<2>(llvm::seq<int64_t>(0, rank)));
  return memref::CollapseShapeOp::create(
      b, loc, memref, SmallVector<ReassociationIndices>{all});
}

Value TileBuilder::convert(Value value, Type element) {
  Type from = getElementTypeOrSelf(value.getType());
  if (from == element)
    return value;
  auto vector = dyn_cast<VectorType>(value.getType());
  Type to = vector ? Type(vector.clone(element)) : element;
  if (!isa<FloatType>(from))
    return b.createOrFold<arith::SIToFPOp>(loc, to, value);
  if (from.getIntOrFloatBitWidth() < element.getIntOrFloatBitWidth())
    return b.createOrFold<arith::ExtFOp>(loc, to, value);
  return b.createOrFold<arith::TruncFOp>(loc, to, value);
}

/// Veltkamp's split. Not by truncf: what is rounded would have to be widened
/// again where it is used as f32, too.
Value TileBuilder::roundToBf16(Value x) {
  int64_t lanes = cast<VectorType>(x.getType()).getNumElements();
  Value large = arith::MulFOp::create(
      b, loc, x, splat(b.getF32FloatAttr(0x1.0001p16f), lanes));
  Value rest = arith::SubFOp::create(b, loc, large, x);
  return arith::SubFOp::create(b, loc, large, rest);
}

Value TileBuilder::pairUpperHalves(Value low, Value high) {
  int64_t lanes = cast<VectorType>(low.getType()).getNumElements();
  auto words = VectorType::get(lanes, b.getI32Type());
  auto constant = [&](int64_t value) {
    return splat(b.getI32IntegerAttr(value), lanes);
  };
  low = vector::BitCastOp::create(b, loc, words, low);
  high = vector::BitCastOp::create(b, loc, words, high);
  Value pairs = arith::OrIOp::create(
      b, loc, arith::ShRUIOp::create(b, loc, low, constant(16)),
      arith::AndIOp::create(b, loc, high, constant(0xffff0000)));
  return vector::BitCastOp::create(
      b, loc, VectorType::get(2 * lanes, b.getBF16Type()), pairs);
}

Value TileBuilder::load(Value flat, Value offset) {
  if (cast<MemRefType>(flat.getType()).getRank() == 0)
    return memref::LoadOp::create(b, loc, flat, ValueRange());
  return memref::LoadOp::create(b, loc, flat, offset);
}

Value TileBuilder::loadVector(Value flat, Value offset, int64_t lanes) {
  auto type =
      VectorType::get(lanes, cast<MemRefType>(flat.getType()).getElementType());
  return vector::LoadOp::create(b, loc, type, flat, ValueRange(offset));
}

void TileBuilder::store(Value value, Value flat, Value offset) {
  if (isa<VectorType>(value.getType()))
    vector::StoreOp::create(b, loc, value, flat, ValueRange(offset));
  else
    memref::StoreOp::create(b, loc, value, flat, ValueRange(offset));
}

Value TileBuilder::broadcast(Value scalar, int64_t lanes) {
  return vector::BroadcastOp::create(
      b, loc, VectorType::get(lanes, scalar.getType()), scalar);
}

Value TileBuilder::splat(TypedAttr scalar, int64_t lanes) {
  auto type = VectorType::get(lanes, scalar.getType());
  return arith::ConstantOp::create(
      b, loc, DenseElementsAttr::get(type, Attribute(scalar)));
}

Value TileBuilder::zeros(Type element, int64_t lanes) {
  return splat(b.getZeroAttr(element), lanes);
}

Value TileBuilder::loadLanes(Value flat, Value offset, Value first, Value end,
                             Value stride, bool contiguous, int64_t lanes) {
  Type element = cast<MemRefType>(flat.getType()).getElementType();
  auto type = VectorType::get(lanes, element);
  if (contiguous) {
    Value mask = vector::CreateMaskOp::create(
        b, loc, VectorType::get(lanes, b.getI1Type()),
        ValueRange(max(sub(end, first), index(0))));
    Value position = add(offset, first);
    if (element.isInteger(1))
      return loadBytesAsBits(flat, position, mask, lanes);
    return vector::MaskedLoadOp::create(
        b, loc, type, flat, ValueRange(position), mask, zeros(element, lanes));
  }
  SmallVector<Value> values;
  Value last = sub(end, index(1));
  for (int64_t lane = 0; lane < lanes; ++lane) {
    Value position = min(add(first, index(lane)), last);
    values.push_back(load(flat, add(offset, mul(position, stride))));
  }
  return vector::FromElementsOp::create(b, loc, type, values);
}

Value TileBuilder::loadBytesAsBits(Value flat, Value position, Value mask,
                                   int64_t lanes) {
  Value base =
      memref::ExtractAlignedPointerAsIndexOp::create(b, loc, flat).getResult();
  Value address =
      arith::IndexCastOp::create(b, loc, b.getI64Type(), add(base, position));
  Value pointer = LLVM::IntToPtrOp::create(
      b, loc, LLVM::LLVMPointerType::get(b.getContext()), address);
  Value none = zeros(b.getI8Type(), lanes);
  Value bytes = LLVM::MaskedLoadOp::create(b, loc, none.getType(), pointer,
                                           mask, none, /*alignment=*/1);
  return arith::CmpIOp::create(b, loc, arith::CmpIPredicate::ne, bytes, none);
}

void TileBuilder::forEach(Value begin, Value end, int64_t step,
                          function_ref<void(Value)> body) {
  auto loop = scf::ForOp::create(b, loc, begin, end, index(step));
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(loop.getBody());
  body(loop.getInductionVar());
}

void TileBuilder::when(Value condition, function_ref<void()> body) {
  auto op = scf::IfOp::create(b, loc, condition, /*withElseRegion=*/false);
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(op.thenBlock());
  body();
}

void TileBuilder::choose(Value condition, function_ref<void()> ifTrue,
                         function_ref<void()> ifFalse) {
  auto op = scf::IfOp::create(b, loc, condition, /*withElseRegion=*/true);
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(op.thenBlock());
  ifTrue();
  b.setInsertionPointToStart(op.elseBlock());
  ifFalse();
}

Value TileBuilder::checkIndex(Value position, Value size, Value error) {
  using Predicate = arith::CmpIPredicate;
  Value zero = index(0);
  Value isNegative =
      arith::CmpIOp::create(b, loc, Predicate::slt, position, zero);
  Value wrapped = arith::SelectOp::create(b, loc, isNegative,
                                          add(position, size), position);
  Value isOutside =
      arith::CmpIOp::create(b, loc, Predicate::uge, wrapped, size);
  when(isOutside, [&] {
    auto write = [&](Value value, int64_t place) {
      value = arith::IndexCastOp::create(b, loc, b.getI64Type(), value);
      memref::StoreOp::create(b, loc, value, error, index(place));
    };
    write(position, 0);
    write(add(size, index(1)), 1);
  });
  return arith::SelectOp::create(b, loc, isOutside, zero, wrapped);
}

void TileBuilder::fillZero(Value flat, Value offset, Value count,
                           int64_t lanes) {
  Value zero = zeros(cast<MemRefType>(flat.getType()).getElementType(), lanes);
  forEach(index(0), count, lanes,
          [&](Value i) { store(zero, flat, add(offset, i)); });
}

void TileBuilder::transposeSquare(MutableArrayRef<Value> rows) {
  int64_t lanes = rows.size();
  for (int64_t width = lanes / 2; width > 0; width /= 2) {
    SmallVector<int64_t> upper, lower;
    for (int64_t j = 0; j < lanes; ++j) {
      upper.push_back(j & width ? lanes + j - width : j);
      lower.push_back(j & width ? lanes + j : j + width);
    }
    for (int64_t i = 0; i < lanes; ++i) {
      if (i & width)
        continue;
      Value first = rows[i], second = rows[i + width];
      rows[i] = vector::ShuffleOp::create(b, loc, first, second, upper);
      rows[i + width] = vector::ShuffleOp::create(b, loc, first, second, lower);
    }
  }
}

void TileBuilder::pack(FlatMatrix from, FlatMatrix to, Value rows,
                       Value columns, Value width, bool contiguous,
                       int64_t lanes) {
  Type element = cast<MemRefType>(to.buffer.getType()).getElementType();
  // Narrow elements have no masked loads on all machines.
  Type source = cast<MemRefType>(from.buffer.getType()).getElementType();
  bool isCopied = source == element && source.getIntOrFloatBitWidth() >= 32;
  APInt known;
  if (contiguous && isCopied && matchPattern(width, m_ConstantInt(&known))) {
    forEach(index(0), rows, 1, [&](Value i) {
      Value source = add(from.offset, mul(i, from.row));
      Value target = add(to.offset, mul(i, to.row));
      for (int64_t j = 0; j < known.getSExtValue(); j += lanes)
        store(loadLanes(from.buffer, source, index(j), columns, index(1), true,
                        lanes),
              to.buffer, add(target, index(j)));
    });
    return;
  }
  Value zero = arith::ConstantOp::create(b, loc, b.getZeroAttr(element));
  auto offset = [&](FlatMatrix matrix, Value i, Value j) {
    return add(matrix.offset, add(mul(i, matrix.row), mul(j, matrix.column)));
  };
  auto copy = [&](Value firstRow, Value firstColumn, Value endColumn) {
    forEach(firstColumn, endColumn, 1, [&](Value j) {
      forEach(firstRow, rows, 1, [&](Value i) {
        store(convert(load(from.buffer, offset(from, i, j)), element),
              to.buffer, offset(to, i, j));
      });
    });
  };
  // A source whose rows are contiguous is its transpose: squares of vectors.
  if (matchPattern(from.row, m_One())) {
    Value fullRows = sub(rows, rem(rows, index(lanes)));
    Value fullColumns = sub(columns, rem(columns, index(lanes)));
    forEach(index(0), fullColumns, lanes, [&](Value j) {
      forEach(index(0), fullRows, lanes, [&](Value i) {
        SmallVector<Value> square;
        for (int64_t lane = 0; lane < lanes; ++lane)
          square.push_back(
              convert(loadVector(from.buffer,
                                 offset(from, i, add(j, index(lane))), lanes),
                      element));
        transposeSquare(square);
        for (int64_t lane = 0; lane < lanes; ++lane)
          store(square[lane], to.buffer, offset(to, add(i, index(lane)), j));
      });
    });
    copy(index(0), fullColumns, columns);
    copy(fullRows, index(0), fullColumns);
  } else if (contiguous && !element.isInteger(1)) {
    Value fullColumns = sub(columns, rem(columns, index(lanes)));
    forEach(index(0), rows, 1, [&](Value i) {
      forEach(index(0), fullColumns, lanes, [&](Value j) {
        store(convert(loadVector(from.buffer, offset(from, i, j), lanes),
                      element),
              to.buffer, offset(to, i, j));
      });
    });
    copy(index(0), fullColumns, columns);
  } else {
    copy(index(0), index(0), columns);
  }
  forEach(columns, width, 1, [&](Value j) {
    forEach(index(0), rows, 1,
            [&](Value i) { store(zero, to.buffer, offset(to, i, j)); });
  });
}

void TileBuilder::packGroups(FlatMatrix from, FlatMatrix to, Value rows,
                             Value columns, int64_t group, int64_t lanes) {
  auto element = cast<MemRefType>(to.buffer.getType()).getElementType();
  Value zero = index(0), depth = index(group), line = index(panelColumns);
  Value fullGroups = div(rows, depth);
  bool isStrided =
      !matchPattern(from.row, m_One()) && !matchPattern(from.column, m_One());
  Value fullColumns =
      isStrided ? zero : sub(columns, rem(columns, index(lanes)));
  auto source = [&](Value i, Value j) {
    return add(from.offset, add(mul(i, from.row), mul(j, from.column)));
  };
  auto target = [&](Value groupRow, Value j) {
    return add(to.offset, mul(add(mul(groupRow, line), j), depth));
  };
  auto storeGroups = [&](Value groups, Value groupRow, Value j) {
    auto type = VectorType::get(
        cast<VectorType>(groups.getType()).getNumElements() * group, element);
    store(vector::BitCastOp::create(b, loc, type, groups), to.buffer,
          target(groupRow, j));
  };
  auto copy = [&](Value firstRow, Value firstColumn, Value endColumn) {
    forEach(firstColumn, endColumn, 1, [&](Value j) {
      forEach(firstRow, rows, 1, [&](Value i) {
        store(load(from.buffer, source(i, j)), to.buffer,
              add(target(div(i, depth), j), rem(i, depth)));
      });
    });
  };
  Value allGroups = ceilDiv(rows, group);
  Value isFilled = arith::OrIOp::create(
      b, loc,
      arith::CmpIOp::create(b, loc, arith::CmpIPredicate::ne, columns, line),
      arith::CmpIOp::create(b, loc, arith::CmpIPredicate::ne, allGroups,
                            fullGroups));
  when(isFilled, [&] {
    fillZero(to.buffer, to.offset, mul(allGroups, mul(line, depth)),
             lanes * group);
  });
  if (matchPattern(from.row, m_One())) {
    // Groups lie in the source as they do in the panel: squares of them, of
    // half as many where fewer are left.
    Value done = zero;
    for (int64_t side : {lanes, lanes / 2}) {
      Value end = sub(fullGroups, rem(fullGroups, index(side)));
      forEach(zero, fullColumns, side, [&](Value j) {
        forEach(done, end, side, [&](Value k) {
          SmallVector<Value> square;
          for (int64_t lane = 0; lane < side; ++lane)
            square.push_back(loadGroups(
                from.buffer, source(mul(k, depth), add(j, index(lane))), side,
                group));
          transposeSquare(square);
          for (int64_t lane = 0; lane < side; ++lane)
            storeGroups(square[lane], add(k, index(lane)), j);
        });
      });
      done = end;
    }
    forEach(zero, fullColumns, 1, [&](Value j) {
      forEach(done, fullGroups, 1, [&](Value k) {
        store(loadVector(from.buffer, source(mul(k, depth), j), group),
              to.buffer, target(k, j));
      });
    });
  } else {
    auto bits = b.getIntegerType(element.getIntOrFloatBitWidth());
    auto words = VectorType::get(lanes, b.getI32Type());
    forEach(zero, fullGroups, 1, [&](Value k) {
      forEach(zero, fullColumns, lanes, [&](Value j) {
        Value groups;
        for (int64_t i = 0; i < group; ++i) {
          Value row = loadVector(
              from.buffer, source(add(mul(k, depth), index(i)), j), lanes);
          row = vector::BitCastOp::create(b, loc, VectorType::get(lanes, bits),
                                          row);
          row = arith::ExtUIOp::create(b, loc, words, row);
          Value shift = splat(b.getI32IntegerAttr(32 / group * i), lanes);
          row = b.createOrFold<arith::ShLIOp>(loc, row, shift);
          groups = groups ? arith::OrIOp::create(b, loc, groups, row) : row;
        }
        storeGroups(groups, k, j);
      });
    });
  }
  copy(zero, fullColumns, columns);
  copy(mul(fullGroups, depth), zero, fullColumns);
}

Value TileBuilder::loadGroups(Value flat, Value offset, int64_t lanes,
                              int64_t group) {
  return vector::BitCastOp::create(b, loc,
                                   VectorType::get(lanes, b.getI32Type()),
                                   loadVector(flat, offset, lanes * group));
}

Value TileBuilder::loadGroup(Value flat, Value offset, int64_t group) {
  return vector::ExtractOp::create(b, loc, loadGroups(flat, offset, 1, group),
                                   ArrayRef<int64_t>{0});
}

Value TileBuilder::widenGroup(Value groups, int64_t number) {
  // The upper half of an f32 is a bf16.
  int64_t lanes = cast<VectorType>(groups.getType()).getNumElements();
  auto constant = [&](int64_t value) {
    return splat(b.getI32IntegerAttr(value), lanes);
  };
  Value bits =
      number == 0 ? Value(arith::ShLIOp::create(b, loc, groups, constant(16)))
                  : arith::AndIOp::create(b, loc, groups, constant(0xffff0000));
  return vector::BitCastOp::create(
      b, loc, VectorType::get(lanes, b.getF32Type()), bits);
}

/// sum + lhs · rhs, lane by lane.
static Value multiplyAdd(TileBuilder &t, Value lhs, Value rhs, Value sum) {
  if (isa<FloatType>(getElementTypeOrSelf(sum.getType())))
    return vector::FMAOp::create(t.b, t.loc, lhs, rhs, sum);
  return arith::AddIOp::create(t.b, t.loc, sum,
                               arith::MulIOp::create(t.b, t.loc, lhs, rhs));
}

void TileBuilder::multiplyTile(FlatMatrix lhs, FlatMatrix rhs, FlatMatrix acc,
                               Value first, int64_t rows, Value depth,
                               int64_t lanes, int64_t vectors, Sum sum,
                               Multiplication how, std::optional<Ahead> ahead) {
  SmallVector<Value> lhsRows, accRows, sums;
  for (int64_t m = 0; m < rows; ++m) {
    Value row = add(first, index(m));
    lhsRows.push_back(add(lhs.offset, mul(row, lhs.row)));
    accRows.push_back(add(acc.offset, mul(row, acc.row)));
  }
  // From zero, and added to what is there at the end: the rounding errors of a
  // sum in blocks grow with the length of a block, not with that of all.
  Type element = cast<MemRefType>(acc.buffer.getType()).getElementType();
  sums.assign(vectors * rows, zeros(element, lanes));
  auto loop =
      scf::ForOp::create(b, loc, index(0), depth, index(1), ValueRange(sums));
  {
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(loop.getBody());
    Value k = loop.getInductionVar();
    Value position = add(rhs.offset, mul(k, rhs.row));
    Value step = mul(k, mul(lhs.column, index(how.group)));
    SmallVector<Value> loaded(vectors);
    for (int64_t v = 0; v < vectors; ++v) {
      Value at = add(position, index(v * lanes * how.group));
      loaded[v] = how.group > 1 ? loadGroups(rhs.buffer, at, lanes, how.group)
                                : loadVector(rhs.buffer, at, lanes);
    }
    for (int64_t line = 0; ahead && line < ahead->lines; ++line)
      memref::PrefetchOp::create(
          b, loc, rhs.buffer,
          ValueRange(add(ahead->offset, add(mul(k, ahead->step),
                                            index(line * 16 * how.group)))),
          /*isWrite=*/false, /*localityHint=*/3, /*isDataCache=*/true);
    SmallVector<Value> next(loop.getRegionIterArgs());
    for (int64_t i = 0; i < (how.dot ? 1 : how.group); ++i) {
      SmallVector<Value> rhsVectors(vectors);
      for (int64_t v = 0; v < vectors; ++v)
        rhsVectors[v] = how.dot         ? loaded[v]
                        : how.group > 1 ? widenGroup(loaded[v], i)
                                        : convert(loaded[v], element);
      Value column = add(step, mul(lhs.column, index(i)));
      for (int64_t m = 0; m < rows; ++m) {
        Value at = add(lhsRows[m], column);
        Value a = how.dot ? loadGroup(lhs.buffer, at, how.group)
                          : load(lhs.buffer, at);
        a = broadcast(a, lanes);
        for (int64_t v = 0; v < vectors; ++v) {
          Value &total = next[vectors * m + v];
          total = how.dot ? Value(kernel::DotOp::create(b, loc, total.getType(),
                                                        *how.dot, total, a,
                                                        rhsVectors[v]))
                          : multiplyAdd(*this, a, rhsVectors[v], total);
        }
      }
    }
    scf::YieldOp::create(b, loc, next);
  }
  for (int64_t m = 0; m < rows; ++m)
    for (int64_t v = 0; v < vectors; ++v) {
      Value at = add(accRows[m], index(v * lanes));
      Value result = loop.getResult(vectors * m + v);
      if (sum == Sum::Add) {
        Value before = loadVector(acc.buffer, at, lanes);
        bool isFloat = isa<FloatType>(element);
        result = isFloat ? Value(arith::AddFOp::create(b, loc, before, result))
                         : Value(arith::AddIOp::create(b, loc, before, result));
      }
      store(result, acc.buffer, at);
    }
}

void TileBuilder::multiply(FlatMatrix lhs, FlatMatrix rhs, FlatMatrix acc,
                           Value rows, Value depth, int64_t lanes, Sum sum,
                           Multiplication how, Value ahead) {
  int64_t full = tileRows(lanes);
  Value rest = rem(rows, index(full));
  Value end = sub(rows, rest);
  // Two cache lines of 32 bits are what one step of a lone tile reads itself;
  // of several each needs no more than one.
  Value whole = index(2 * lanes * how.group), tiles = div(rows, index(full));
  auto multiplyFull = [&](std::optional<Ahead> ahead) {
    forEach(index(0), end, full, [&](Value first) {
      std::optional<Ahead> part = ahead;
      if (part)
        part->offset = add(ahead->offset, mul(div(first, index(full)),
                                              mul(ahead->step, depth)));
      multiplyTile(lhs, rhs, acc, first, full, depth, lanes, /*vectors=*/2, sum,
                   how, part);
    });
  };
  if (ahead)
    choose(
        arith::CmpIOp::create(b, loc, arith::CmpIPredicate::ult, tiles,
                              index(2)),
        [&] { multiplyFull(Ahead{ahead, whole, 2}); },
        [&] { multiplyFull(Ahead{ahead, div(whole, tiles), 1}); });
  else
    multiplyFull(std::nullopt);
  for (int64_t part : {4, 2, 1}) {
    Value present = arith::CmpIOp::create(b, loc, arith::CmpIPredicate::uge,
                                          rest, index(part));
    auto multiplyPart = [&](std::optional<Ahead> from) {
      multiplyTile(lhs, rhs, acc, end, part, depth, lanes, /*vectors=*/2, sum,
                   how, from);
    };
    when(present, [&] {
      // With no full tile.
      if (ahead)
        return choose(
            equal(end, index(0)), [&] { multiplyPart(Ahead{ahead, whole, 2}); },
            [&] { multiplyPart(std::nullopt); });
      multiplyPart(std::nullopt);
    });
    Value taken =
        arith::SelectOp::create(b, loc, present, index(part), index(0));
    end = add(end, taken);
    rest = sub(rest, taken);
  }
}

void TileBuilder::multiplyFew(FlatMatrix lhs, FlatMatrix rhs, FlatMatrix acc,
                              int64_t rows, Value depth, int64_t columns,
                              int64_t lanes, Sum sum, Multiplication how) {
  multiplyTile(lhs, rhs, acc, index(0), rows, depth, lanes, columns / lanes,
               sum, how);
}

FlatMatrix TileBuilder::fromRow(FlatMatrix matrix, Value row) {
  matrix.offset = add(matrix.offset, mul(row, matrix.row));
  return matrix;
}

void TileBuilder::multiplyTiles(FlatMatrix lhs, std::optional<FlatMatrix> last,
                                FlatMatrix rhs, FlatMatrix acc, Value rows,
                                Value depth, int64_t lanes, Sum sum,
                                Multiplication how, Value ahead) {
  assert(panelColumns == 2 * lanes && "matrix registers come with 16 lanes");
  Value steps = div(depth, index(matrixGroups));
  Value inTiles = mul(steps, index(matrixGroups));
  constexpr int64_t most = 2 * matrixRows;
  // Groups are of four bytes; each tile of rows brings a part of them.
  constexpr int64_t aheadBytes = kernel::MultiplyTilesOp::aheadBytes;
  constexpr int64_t aheadParts = matrixGroups * panelColumns * 4 / aheadBytes;
  auto multiplyRows = [&](FlatMatrix from, Value first, int64_t count) {
    FlatMatrix to = fromRow(acc, first);
    Value source, at;
    if (ahead) {
      Value part = rem(div(first, index(most)), index(aheadParts));
      source = rhs.buffer;
      at = add(ahead, mul(mul(part, steps), index(aheadBytes / 4 * how.group)));
    }
    kernel::MultiplyTilesOp::create(
        b, loc, *how.dot, /*split=*/IntegerAttr(), sum == Sum::Add, from.buffer,
        from.offset, from.row, rhs.buffer, rhs.offset, rhs.row, to.buffer,
        to.offset, to.row, source, at, steps, count);
  };
  Value inLarge = sub(rows, rem(rows, index(most)));
  forEach(index(0), inLarge, most,
          [&](Value first) { multiplyRows(fromRow(lhs, first), first, most); });
  Value few = rem(rows, index(matrixRows)), end = sub(rows, few);
  auto isLess = [&](Value lhs, Value rhs) -> Value {
    return arith::CmpIOp::create(b, loc, arith::CmpIPredicate::slt, lhs, rhs);
  };
  when(isLess(inLarge, end),
       [&] { multiplyRows(fromRow(lhs, inLarge), inLarge, matrixRows); });
  how.tiles = false;
  when(isLess(index(0), few), [&] {
    if (last)
      multiplyRows(*last, end, matrixRows);
    else
      multiply(fromRow(lhs, end), rhs, fromRow(acc, end), few, inTiles, lanes,
               sum, how);
  });
  when(isLess(inTiles, depth), [&] {
    FlatMatrix from = lhs;
    Value elements = mul(inTiles, index(how.group));
    from.offset = add(lhs.offset, mul(elements, lhs.column));
    multiply(from, fromRow(rhs, inTiles), acc, rows, sub(depth, inTiles), lanes,
             Sum::Add, how);
  });
}

/// Within each 128 bits, twice: what two vectors have in even places and what
/// they have in odd ones are added.
Value TileBuilder::addLanesOfFour(ArrayRef<Value> vectors) {
  int64_t lanes = cast<VectorType>(vectors[0].getType()).getNumElements();
  auto addPairs = [&](Value lhs, Value rhs) -> Value {
    SmallVector<int64_t> even, odd;
    for (int64_t part = 0; part < lanes; part += 4)
      for (int64_t from : {part, part + lanes})
        for (int64_t i = 0; i < 4; i += 2) {
          even.push_back(from + i);
          odd.push_back(from + i + 1);
        }
    return arith::AddFOp::create(
        b, loc, vector::ShuffleOp::create(b, loc, lhs, rhs, even),
        vector::ShuffleOp::create(b, loc, lhs, rhs, odd));
  };
  Value sums = addPairs(addPairs(vectors[0], vectors[1]),
                        addPairs(vectors[2], vectors[3]));
  Value total;
  for (int64_t part = 0; part < lanes; part += 4) {
    Value four = vector::ExtractStridedSliceOp::create(
        b, loc, sums, ArrayRef<int64_t>{part}, ArrayRef<int64_t>{4},
        ArrayRef<int64_t>{1});
    total =
        total ? arith::AddFOp::create(b, loc, total, four).getResult() : four;
  }
  return total;
}

void TileBuilder::forEachTile(Value rows, int64_t most,
                              function_ref<void(Value, int64_t)> body) {
  Value rest = rem(rows, index(most)), end = sub(rows, rest);
  forEach(index(0), end, most, [&](Value first) { body(first, most); });
  for (int64_t part = most / 2; part > 0; part /= 2) {
    Value present = arith::CmpIOp::create(b, loc, arith::CmpIPredicate::uge,
                                          rest, index(part));
    when(present, [&] { body(end, part); });
    Value taken =
        arith::SelectOp::create(b, loc, present, index(part), index(0));
    end = add(end, taken);
    rest = sub(rest, taken);
  }
}
