// Operators on weights that are quantized in blocks.
#include "Quantized.h"

using namespace mlir;

namespace tenon {

bool isOfConstants(Value value) {
  Operation *op = value.getDefiningOp();
  return isa_and_present<graph::BitcastOp, graph::CastOp, graph::ConcatOp,
                         graph::ConstantOp, graph::ReshapeOp,
                         graph::ShiftRightOp, graph::SliceOp,
                         graph::TransposeOp, graph::WeightOp>(op) &&
         llvm::all_of(op->getOperands(), isOfConstants);
}

namespace {

/// The elements of rows of bytes of ui8 that hold two each, the first in the
/// low half, without what is beyond `count`.
Value unpackRows(ImportContext &ctx, Value bytes, int64_t count) {
  RankedTensorType type = typeOf(bytes);
  int64_t rows = type.getDimSize(0), width = type.getDimSize(1);
  Type byte = type.getElementType();
  Value column = ctx.reshape(
      bytes, {ctx.makeSize(rows), ctx.makeSize(width), ctx.makeSize(1)});
  Value high = ctx.binary<graph::ShiftRightOp>(column, ctx.makeScalar(4, byte));
  Value both = ctx.reshape(ctx.concat({column, high}, 2),
                           {ctx.makeSize(rows), ctx.makeSize(2 * width)});
  // The cast takes the lowest bits.
  auto half =
      IntegerType::get(ctx.builder.getContext(), 4, IntegerType::Unsigned);
  both = ctx.cast(ctx.cast(both, half), byte);
  return ctx.slice(both, 1, ctx.makeSize(0), ctx.makeSize(count));
}

/// Of what is quantized: rows, and how their elements lie.
struct Form {
  int64_t rows, columns, block, bits;
  int64_t blocks() const { return llvm::divideCeil(columns, block); }
};

LogicalResult checkForm(ImportContext &ctx, const Form &form) {
  if (form.bits != 4 && form.bits != 8)
    return ctx.unsupported()
           << "bits is " << form.bits << ", but only 4 and 8 are supported";
  if (form.block < 16 || form.block > 256 || !llvm::isPowerOf2_64(form.block))
    return ctx.unsupported() << "block_size is " << form.block
                             << ", but only powers of two from 16 to 256 are "
                             << "supported";
  return success();
}

/// Operand `i` as `rows` rows of `width` elements. Null after an error.
Value readRows(ImportContext &ctx, unsigned i, int64_t rows, int64_t width) {
  Value operand = ctx.getOperand(i);
  RankedTensorType type = typeOf(operand);
  if (!type.hasStaticShape() || type.getNumElements() != rows * width) {
    ctx.invalid() << "needs " << rows << " times " << width
                  << " elements of operand " << i << ", but has " << type;
    return {};
  }
  return ctx.reshape(operand, {ctx.makeSize(rows), ctx.makeSize(width)});
}

/// The matrix of operand `first`, whose scales are operand `scales` and whose
/// zero points, if there are any, the next one. Without these `uniform` is all
/// of them. Null after an error.
Value dequantizeRows(ImportContext &ctx, const Form &form, unsigned first,
                     unsigned scales, int64_t uniform) {
  Value input = ctx.getOperand(first);
  if (!typeOf(input).getElementType().isUnsignedInteger(8)) {
    ctx.invalid() << "needs weights of ui8, but has " << input.getType();
    return {};
  }
  int64_t elements = form.blocks() * form.block;
  input = readRows(ctx, first, form.rows, elements * form.bits / 8);
  Value scale = readRows(ctx, scales, form.rows, form.blocks());
  if (!input || !scale)
    return {};
  Type byte = typeOf(input).getElementType();
  Value zero = ctx.getOperand(scales + 1);
  if (!zero) {
    zero = ctx.makeScalar(uniform, byte);
  } else if (Type element = typeOf(zero).getElementType(); element == byte) {
    int64_t width = llvm::divideCeil(form.blocks() * form.bits, 8);
    zero = readRows(ctx, scales + 1, form.rows, width);
    if (zero && form.bits == 4)
      zero = unpackRows(ctx, zero, form.blocks());
  } else if (element == typeOf(scale).getElementType()) {
    zero = readRows(ctx, scales + 1, form.rows, form.blocks());
  } else {
    ctx.invalid() << "needs zero points of ui8 or "
                  << typeOf(scale).getElementType() << ", but has "
                  << zero.getType();
    return {};
  }
  return zero ? dequantizeBlocks(ctx, input, scale, zero, form.columns,
                                 form.block, form.bits)
              : Value();
}

/// MatMulNBits(x, q, s, z, , b)  ->
///   add (matmul x, (transpose (dequantize_blocks q, s, z))), b
LogicalResult importMatMulNBits(ImportContext &ctx) {
  if (failed(ctx.requireOperands(3)) || failed(ctx.requireAttribute("K")) ||
      failed(ctx.requireAttribute("N")) ||
      failed(ctx.requireAttribute("block_size")))
    return failure();
  Form form{ctx.getInt("N", 0), ctx.getInt("K", 0), ctx.getInt("block_size", 0),
            ctx.getInt("bits", 4)};
  // What it allows a runtime to round activations to; nobody has to.
  (void)ctx.getInt("accuracy_level", 0);
  if (failed(checkForm(ctx, form)))
    return failure();
  if (ctx.getOperand(4))
    return ctx.unsupported() << "has g_idx, an order of its own for the rows "
                             << "of its weights, which is unsupported";
  if (ctx.getInt("weight_prepacked", 0) != 0)
    return ctx.unsupported() << "has weights in the order of another runtime "
                             << "(weight_prepacked), which is unsupported";
  Value lhs = ctx.getOperand(0);
  RankedTensorType type = typeOf(lhs);
  if (form.rows < 1 || form.columns < 1 || type.getRank() < 2 ||
      (type.getShape().back() != form.columns &&
       !ShapedType::isDynamic(type.getShape().back())))
    return ctx.invalid() << "needs an input of rank 2 or more whose last "
                         << "dimension is K, " << form.columns
                         << ", and N of at least 1, but has " << type
                         << " and N " << form.rows;
  Value weight = dequantizeRows(ctx, form, 1, 2, int64_t(1) << (form.bits - 1));
  if (!weight)
    return failure();
  Value result = ctx.matmul(lhs, weight, /*transposeLhs=*/false,
                            /*transposeRhs=*/true);
  if (Value bias = ctx.getOperand(5); result && bias)
    result = ctx.binary<graph::AddOp>(result, bias);
  return result ? ctx.setResult(result) : failure();
}

/// GatherBlockQuantized(q, i, s, z)  ->  gather (dequantize_blocks q, s, z), i
LogicalResult importGatherBlocks(ImportContext &ctx) {
  if (failed(ctx.requireOperands(3)) || failed(ctx.requireRank(0, 2)))
    return failure();
  Value input = ctx.getOperand(0), scale = ctx.getOperand(2);
  RankedTensorType type = typeOf(input);
  FailureOr<int64_t> gathered =
      ctx.normalizeAxis(ctx.getInt("gather_axis", 0), 2);
  FailureOr<int64_t> quantized =
      ctx.normalizeAxis(ctx.getInt("quantize_axis", 1), 2);
  if (failed(gathered) || failed(quantized))
    return failure();
  if (*gathered != 0 || *quantized != 1)
    return ctx.unsupported() << "gathers along dimension " << *gathered
                             << " of what is quantized along " << *quantized
                             << ", but only 0 and 1 are supported";
  int64_t block = ctx.getInt("block_size", 128), bits = ctx.getInt("bits", 4);
  if (!type.hasStaticShape())
    return ctx.invalid() << "needs a table of known sizes, but has " << type;
  Value table;
  if (type.getElementType().isUnsignedInteger(8)) {
    Form form{type.getDimSize(0), 0, block, bits};
    if (failed(checkForm(ctx, form)))
      return failure();
    form.columns = type.getDimSize(1) * 8 / bits;
    table = dequantizeRows(ctx, form, 0, 2, int64_t(1) << (bits - 1));
  } else {
    FailureOr<Value> found =
        dequantizeAlong(ctx, input, scale, ctx.getOperand(3), 1, block);
    if (failed(found))
      return failure();
    table = *found;
  }
  if (!table)
    return failure();
  Value result = ctx.gather(table, ctx.getOperand(1), 0);
  return ctx.setResult(ctx.cast(result, typeOf(scale).getElementType()));
}

const OpHandler handlers[] = {
    {"GatherBlockQuantized", importGatherBlocks, 1, microsoftDomain},
    {"MatMulNBits", importMatMulNBits, 1, microsoftDomain},
};

} // namespace

Value dequantizeBlocks(ImportContext &ctx, Value input, Value scale,
                       Value zeroPoint, int64_t columns, int64_t block,
                       int64_t bits) {
  auto type = RankedTensorType::get({typeOf(input).getDimSize(0), columns},
                                    ctx.builder.getF32Type());
  return graph::DequantizeBlocksOp::create(ctx.builder, ctx.loc, type, input,
                                           scale, zeroPoint, block, bits);
}

FailureOr<Value> dequantizeAlong(ImportContext &ctx, Value input, Value scale,
                                 Value zeroPoint, int64_t axis, int64_t block) {
  RankedTensorType type = typeOf(input);
  auto element = dyn_cast<IntegerType>(type.getElementType());
  if (!element || element.getWidth() > 8 || element.getWidth() == 1 ||
      !type.hasStaticShape() || type.getRank() != 2) {
    ctx.invalid() << "needs a matrix of integers of up to 8 bits and known "
                  << "sizes, but has " << type;
    return failure();
  }
  if (failed(checkForm(ctx, {0, 0, block, 8})))
    return failure();
  SmallVector<int64_t> wanted(type.getShape());
  wanted[axis] = llvm::divideCeil(wanted[axis], block);
  for (Value parameter : {scale, zeroPoint})
    if (parameter && typeOf(parameter).getShape() != ArrayRef(wanted)) {
      ctx.invalid() << "has blocks of " << block << " and a parameter of type "
                    << parameter.getType() << " for " << type;
      return failure();
    }
  // Integers of fewer bits are bytes as any.
  auto byte =
      IntegerType::get(ctx.builder.getContext(), 8, element.getSignedness());
  auto read = [&](Value value) -> Value {
    if (!value)
      return value;
    if (isa<IntegerType>(typeOf(value).getElementType()))
      value = ctx.cast(value, byte);
    return axis == 0 ? ctx.transpose(value, {1, 0}) : value;
  };
  Value result =
      dequantizeBlocks(ctx, read(input), read(scale), read(zeroPoint),
                       type.getDimSize(axis), block, 8);
  return axis == 0 ? ctx.transpose(result, {1, 0}) : result;
}

ArrayRef<OpHandler> blockQuantizationHandlers() { return handlers; }

} // namespace tenon
