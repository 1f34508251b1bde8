// Threads, warps and shared memory in terms of the gpu dialect.
#include "ThreadBlock.h"
#include "mlir/Dialect/GPU/IR/GPUDialect.h"

using namespace mlir;
using namespace tenon;

Value ThreadBlock::thread() {
  return gpu::ThreadIdOp::create(t.b, t.loc, gpu::Dimension::x);
}
Value ThreadBlock::warp() { return t.div(thread(), t.index(warpThreads)); }
Value ThreadBlock::lane() { return t.rem(thread(), t.index(warpThreads)); }

void ThreadBlock::wait() { gpu::BarrierOp::create(t.b, t.loc); }

Value ThreadBlock::shared(Type element, int64_t count) {
  auto space = gpu::AddressSpaceAttr::get(t.b.getContext(),
                                          gpu::AddressSpace::Workgroup);
  auto type =
      MemRefType::get({count}, element, MemRefLayoutAttrInterface(), space);
  return memref::AllocaOp::create(t.b, t.loc, type);
}

Value ThreadBlock::fromLane(Value value, Value lane) {
  Value number = arith::IndexCastOp::create(t.b, t.loc, t.b.getI32Type(), lane);
  Value width = arith::ConstantIntOp::create(t.b, t.loc, warpThreads, 32);
  return gpu::ShuffleOp::create(t.b, t.loc, value, number, width,
                                gpu::ShuffleMode::IDX)
      .getShuffleResult();
}

Value ThreadBlock::combine(Value value,
                           function_ref<Value(Value, Value)> join) {
  for (int32_t distance = warpThreads / 2; distance > 0; distance /= 2) {
    auto other = gpu::ShuffleOp::create(t.b, t.loc, value, distance,
                                        warpThreads, gpu::ShuffleMode::XOR);
    value = join(value, other.getShuffleResult());
  }
  return value;
}

Value ThreadBlock::sum(Value value) {
  return combine(value, [&](Value lhs, Value rhs) {
    return arith::AddFOp::create(t.b, t.loc, lhs, rhs).getResult();
  });
}

Value ThreadBlock::largest(Value value) {
  return combine(value,
                 [&](Value lhs, Value rhs) { return t.larger(lhs, rhs); });
}

Value ThreadBlock::loadIf(Value exists, Value flat, Value offset) {
  Value place = arith::SelectOp::create(t.b, t.loc, exists, offset, t.index(0));
  Value value = t.load(flat, place);
  Value zero =
      arith::ConstantOp::create(t.b, t.loc, t.b.getZeroAttr(value.getType()));
  return arith::SelectOp::create(t.b, t.loc, exists, value, zero);
}
