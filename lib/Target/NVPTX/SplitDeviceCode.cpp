// What a plan needs before its kernels can run on a device: constants among the
// weights, copies as kernels, kernels in a module of their own.
#include "DeviceCode.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "tenon/Conversion/Buffers.h"
#include "tenon/Dialect/Plan/IR/PlanOps.h"
#include "tenon/Kernels/Family.h"

using namespace mlir;

namespace tenon {
namespace {

/// Bytes of a static buffer, rounded up to where the next may begin.
int64_t placedBytes(MemRefType type) {
  int64_t bytes =
      type.getNumElements() * ((type.getElementTypeBitWidth() + 7) / 8);
  return llvm::alignTo(bytes, 64);
}

struct PlaceConstants : PassWrapper<PlaceConstants, OperationPass<ModuleOp>> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(PlaceConstants)

  void runOnOperation() override {
    int64_t end = 0;
    auto add = [&](Value buffer, int64_t position) {
      end = std::max(end, position +
                              placedBytes(cast<MemRefType>(buffer.getType())));
    };
    getOperation().walk([&](Operation *op) {
      if (auto weight = dyn_cast<plan::WeightOp>(op))
        add(weight.getBuffer(), weight.getPosition());
      else if (auto constant = dyn_cast<plan::ConstantOp>(op);
               constant && constant.getPosition())
        add(constant.getBuffer(), *constant.getPosition());
    });
    getOperation().walk([&](plan::ConstantOp constant) {
      if (constant.getPosition())
        return;
      constant.setPosition(end);
      add(constant.getBuffer(), end);
    });
  }
};

struct CopyByKernel : PassWrapper<CopyByKernel, OperationPass<ModuleOp>> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(CopyByKernel)
  void getDependentDialects(DialectRegistry &registry) const override {
    registry.insert<arith::ArithDialect, func::FuncDialect, gpu::GPUDialect,
                    memref::MemRefDialect, scf::SCFDialect>();
  }

  void runOnOperation() override {
    DenseMap<Type, func::FuncOp> kernels;
    SymbolTable symbols(getOperation());
    SmallVector<plan::CopyOp> copies;
    getOperation().walk([&](plan::CopyOp copy) { copies.push_back(copy); });
    for (plan::CopyOp copy : copies) {
      auto type = cast<MemRefType>(copy.getSource().getType());
      func::FuncOp &kernel = kernels[type];
      if (!kernel) {
        kernel = createCopy(type, copy.getLoc());
        symbols.insert(kernel);
      }
      OpBuilder b(copy);
      FailureOr<Value> grid = buildGrid(b, copy);
      if (failed(grid))
        return signalPassFailure();
      auto launch = plan::LaunchOp::create(
          b, copy.getLoc(), kernel.getName(), *grid,
          ValueRange{copy.getSource(), copy.getTarget()}, ValueRange());
      launch->setDiscardableAttrs(copy->getDiscardableAttrDictionary());
      launch->setAttr("tenon.results", b.getI64IntegerAttr(1));
      copy.erase();
    }
  }

private:
  /// Blocks that have a thread for each element.
  FailureOr<Value> buildGrid(OpBuilder &b, plan::CopyOp copy) {
    Location loc = copy.getLoc();
    auto type = cast<MemRefType>(copy.getSource().getType());
    ValueRange sizes;
    auto find = [&](Value buffer) {
      if (auto alloc = buffer.getDefiningOp<plan::AllocOp>())
        sizes = alloc.getSizes();
      else if (auto view = buffer.getDefiningOp<plan::ViewOp>())
        sizes = view.getSizes();
      for (Operation *user : buffer.getUsers())
        if (auto output = dyn_cast<plan::OutputOp>(user))
          sizes = output.getSizes();
    };
    find(copy.getSource());
    if (sizes.empty())
      find(copy.getTarget());
    if (sizes.size() != size_t(type.getNumDynamicDims()))
      return copy.emitOpError("copies a buffer whose sizes are not known here");
    int64_t fixed = 1;
    for (int64_t size : type.getShape())
      fixed *= ShapedType::isDynamic(size) ? 1 : size;
    Value count = arith::ConstantIndexOp::create(b, loc, fixed);
    for (Value size : sizes) {
      // The sizes of an output may stand behind the copy.
      Operation *op = size.getDefiningOp();
      Operation *here = op ? op->getBlock()->findAncestorOpInBlock(*copy) : op;
      if (here && !op->isBeforeInBlock(here))
        return copy.emitOpError("stands before the sizes of its buffer");
      count = arith::MulIOp::create(b, loc, count, size);
    }
    Value step = arith::ConstantIndexOp::create(b, loc, blockThreads);
    return arith::CeilDivUIOp::create(b, loc, count, step).getResult();
  }

  func::FuncOp createCopy(MemRefType type, Location loc) {
    OpBuilder b(&getContext());
    Type index = b.getIndexType();
    auto kernel = func::FuncOp::create(
        loc, "copy", b.getFunctionType({type, type, index, index}, {}));
    kernel.setPrivate();
    kernel->setAttr("tenon.kernel", b.getUnitAttr());
    Block *body = kernel.addEntryBlock();
    b.setInsertionPointToStart(body);
    auto flat = [&](Value buffer) -> Value {
      if (type.getRank() <= 1)
        return buffer;
      ReassociationIndices all(
          llvm::to_vector<2>(llvm::seq<int64_t>(0, type.getRank())));
      return memref::CollapseShapeOp::create(
          b, loc, buffer, SmallVector<ReassociationIndices>{all});
    };
    Value source = flat(body->getArgument(0)),
          target = flat(body->getArgument(1));
    Value first = arith::MulIOp::create(
        b, loc, body->getArgument(2),
        arith::ConstantIndexOp::create(b, loc, blockThreads));
    Value at = arith::AddIOp::create(
        b, loc, first, gpu::ThreadIdOp::create(b, loc, gpu::Dimension::x));
    Value count = arith::ConstantIndexOp::create(b, loc, 1);
    for (int64_t dim = 0; dim < type.getRank(); ++dim)
      count = arith::MulIOp::create(
          b, loc, count,
          memref::DimOp::create(b, loc, body->getArgument(0), dim));
    Value exists =
        arith::CmpIOp::create(b, loc, arith::CmpIPredicate::slt, at, count);
    scf::IfOp::create(b, loc, exists, [&](OpBuilder &b, Location loc) {
      ValueRange position = type.getRank() == 0 ? ValueRange() : ValueRange(at);
      Value value = memref::LoadOp::create(b, loc, source, position);
      memref::StoreOp::create(b, loc, value, target, position);
      scf::YieldOp::create(b, loc);
    });
    func::ReturnOp::create(b, loc);
    return kernel;
  }
};

struct SplitDeviceCode : PassWrapper<SplitDeviceCode, OperationPass<ModuleOp>> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(SplitDeviceCode)
  void getDependentDialects(DialectRegistry &registry) const override {
    registry.insert<arith::ArithDialect, func::FuncDialect, gpu::GPUDialect,
                    LLVM::LLVMDialect, memref::MemRefDialect>();
  }

  void runOnOperation() override {
    WalkResult reads = getOperation().walk([](plan::ReadOp read) {
      read.emitOpError(
          "brings a value of the device to the host, which decides "
          "by it or finds a size in it; target nvidia cannot yet");
      return WalkResult::interrupt();
    });
    if (reads.wasInterrupted())
      return signalPassFailure();
    OpBuilder b(&getContext());
    b.setInsertionPointToEnd(getOperation().getBody());
    auto device =
        gpu::GPUModuleOp::create(b, getOperation().getLoc(), "device_code");
    for (auto kernel : getOperation().getOps<func::FuncOp>())
      if (kernel->hasAttr("tenon.kernel") && !kernel.isDeclaration())
        move(kernel, device);
  }

private:
  /// @k(memrefs, indices, begin, end) { … }  ->  @k(memrefs, indices, begin,
  /// end) and gpu.func @k(pointers, sizes, indices) { … } kernel
  void move(func::FuncOp kernel, gpu::GPUModuleOp device) {
    OpBuilder b(&getContext());
    b.setInsertionPointToEnd(device.getBody());
    Location loc = kernel.getLoc();
    Type i64 = b.getI64Type();
    Block &body = kernel.getBody().front();
    SmallVector<Type> types;
    int64_t buffers = 0, sizes = -2; // without begin and end
    for (Type type : kernel.getArgumentTypes())
      if (auto memref = dyn_cast<MemRefType>(type)) {
        ++buffers;
        sizes += memref.getNumDynamicDims();
      } else {
        ++sizes;
      }
    types.append(buffers, LLVM::LLVMPointerType::get(&getContext()));
    types.append(sizes, i64);
    auto entry = gpu::GPUFuncOp::create(b, loc, kernel.getName(),
                                        b.getFunctionType(types, {}));
    entry->setAttr(gpu::GPUDialect::getKernelFuncAttrName(), b.getUnitAttr());
    entry.setKnownBlockSizeAttr(
        b.getDenseI32ArrayAttr({int32_t(blockThreads), 1, 1}));
    for (int64_t i = 0; i < buffers; ++i)
      entry.setArgAttr(i, LLVM::LLVMDialect::getNoAliasAttrName(),
                       b.getUnitAttr());

    Block &target = entry.getBody().front();
    b.setInsertionPointToStart(&target);
    int64_t buffer = 0, size = buffers;
    size_t indices = 0;
    for (BlockArgument argument : body.getArguments()) {
      if (auto type = dyn_cast<MemRefType>(argument.getType())) {
        SmallVector<Value> dynamic;
        for (int64_t i = 0, e = type.getNumDynamicDims(); i < e; ++i)
          dynamic.push_back(target.getArgument(size++));
        argument.replaceAllUsesWith(
            buildBuffer(b, loc, type, target.getArgument(buffer++), dynamic));
        continue;
      }
      size_t left = body.getNumArguments() - argument.getArgNumber();
      Value value;
      if (left > 2) {
        value = arith::IndexCastOp::create(b, loc, b.getIndexType(),
                                           target.getArgument(size++));
        ++indices;
      } else {
        value = gpu::BlockIdOp::create(b, loc, gpu::Dimension::x);
        if (left == 1)
          value = arith::AddIOp::create(
              b, loc, value, arith::ConstantIndexOp::create(b, loc, 1));
      }
      argument.replaceAllUsesWith(value);
    }
    target.getOperations().splice(target.end(), body.getOperations());
    b.setInsertionPointToEnd(&target);
    target.back().erase();
    gpu::ReturnOp::create(b, loc);
    entry.walk([&](memref::AllocaOp alloca) {
      auto space = dyn_cast_or_null<gpu::AddressSpaceAttr>(
          alloca.getType().getMemorySpace());
      if (!space || space.getValue() != gpu::AddressSpace::Workgroup)
        return;
      alloca.replaceAllUsesWith(
          Value(entry.addWorkgroupAttribution(alloca.getType(), loc)));
      alloca.erase();
    });

    kernel.eraseBody();
    kernel->setAttr("tenon.threads", b.getI64IntegerAttr(blockThreads));
  }
};

} // namespace

std::unique_ptr<Pass> createPlaceConstantsPass() {
  return std::make_unique<PlaceConstants>();
}
std::unique_ptr<Pass> createCopyByKernelPass() {
  return std::make_unique<CopyByKernel>();
}
std::unique_ptr<Pass> createSplitDeviceCodePass() {
  return std::make_unique<SplitDeviceCode>();
}

} // namespace tenon
