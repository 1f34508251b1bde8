// Turns @main into tenon_sizes and tenon_run, and gives kernels their C
// signature. See Passes.td and include/tenon-c/ModuleAbi.h.
#include "Description.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/IRMapping.h"
#include "mlir/IR/Matchers.h"

#include "tenon-c/ModuleAbi.h"
#include "tenon/Conversion/Buffers.h"
#include "tenon/Conversion/Passes.h"
#include "tenon/Dialect/Plan/IR/PlanOps.h"
#include "tenon/Weights/Weights.h"
#include "llvm/ADT/StringExtras.h"

using namespace mlir;

namespace tenon {
#define GEN_PASS_DEF_CONVERTPLANTOLLVMPASS
#include "tenon/Conversion/Passes.h.inc"

namespace {

int64_t elementBytes(Type type) {
  return type.isIndex() ? 8 : (type.getIntOrFloatBitWidth() + 7) / 8;
}

/// Writes one function of the artifact: values of @main to llvm values.
class HostBuilder {
public:
  HostBuilder(LLVM::LLVMFuncOp function, func::FuncOp main)
      : main(main), function(function), b(main.getContext()),
        loc(main.getLoc()), i64(b.getI64Type()),
        pointer(LLVM::LLVMPointerType::get(b.getContext())) {
    b.setInsertionPointToEnd(this->function.addEntryBlock(b));
    main.walk([&](plan::AssumeEqualOp assume) {
      assumptions.insert({assume, int64_t(assumptions.size()) + 1});
    });
  }

  Value constant(int64_t value) {
    return LLVM::ConstantOp::create(b, loc, i64, b.getI64IntegerAttr(value));
  }
  Value offset(Value base, Value bytes) {
    return LLVM::GEPOp::create(b, loc, pointer, b.getI8Type(), base,
                               ArrayRef<LLVM::GEPArg>{bytes});
  }
  Value slot(Value base, int64_t number) {
    return LLVM::GEPOp::create(b, loc, pointer, i64, base,
                               ArrayRef<LLVM::GEPArg>{int32_t(number)});
  }
  Value load(Type type, Value base, int64_t number) {
    return LLVM::LoadOp::create(b, loc, type, slot(base, number));
  }
  void store(Value value, Value base, int64_t number) {
    LLVM::StoreOp::create(b, loc, value, slot(base, number));
  }

  /// Goes on where the two sizes are equal; else returns the number of the
  /// assumption, after `before` has built what comes before that.
  void check(plan::AssumeEqualOp assume, function_ref<void()> before) {
    Value same = LLVM::ICmpOp::create(b, loc, LLVM::ICmpPredicate::eq,
                                      map.lookup(assume.getLhs()),
                                      map.lookup(assume.getRhs()));
    Block *fails = new Block, *holds = new Block;
    function.getBody().push_back(fails);
    function.getBody().push_back(holds);
    LLVM::CondBrOp::create(b, loc, same, holds, fails);
    b.setInsertionPointToEnd(fails);
    before();
    LLVM::ReturnOp::create(b, loc, constant(assumptions.lookup(assume)));
    b.setInsertionPointToEnd(holds);
  }

  /// Evaluates every size that is known before a run. A failing assumption
  /// returns where `checks` is set.
  LogicalResult evaluateSizes(Value symbols, bool checks) {
    int64_t symbolNumber = 0;
    for (Operation &op : main.getBody().front()) {
      if (auto symbol = dyn_cast<plan::SymbolOp>(op)) {
        Value value = load(i64, symbols, symbolNumber++);
        named[symbol.getName()] = value;
        map.map(symbol.getValue(), value);
      } else if (auto assume = dyn_cast<plan::AssumeEqualOp>(op)) {
        if (!map.contains(assume.getLhs()) || !map.contains(assume.getRhs()))
          continue;
        checkedBefore.insert(assume);
        if (checks)
          check(assume, [] {});
      } else if (isa_and_nonnull<arith::ArithDialect>(op.getDialect())) {
        // What is computed from plan.read is no size, and has to wait for it.
        if (llvm::all_of(
                op.getOperands(),
                [&](Value operand) { return map.contains(operand); }) &&
            failed(cloneArith(op)))
          return failure();
      } else if (!isa<func::ReturnOp, scf::IfOp, scf::WhileOp>(op) &&
                 !isa_and_nonnull<plan::PlanDialect>(op.getDialect())) {
        return op.emitOpError("cannot become part of the host's code");
      }
    }
    return success();
  }

  /// The dynamic sizes of a buffer, in order.
  FailureOr<SmallVector<Value>> dynamicSizes(Value buffer) {
    SmallVector<Value> result;
    auto type = cast<MemRefType>(buffer.getType());
    auto mapped = [&](ValueRange sizes) {
      for (Value size : sizes)
        result.push_back(map.lookup(size));
      return result;
    };
    if (auto alloc = buffer.getDefiningOp<plan::AllocOp>())
      return mapped(alloc.getSizes());
    if (auto view = buffer.getDefiningOp<plan::ViewOp>())
      return mapped(view.getSizes());
    if (type.hasStaticShape())
      return result;
    for (Operation *user : buffer.getUsers())
      if (auto output = dyn_cast<plan::OutputOp>(user))
        return mapped(output.getSizes());
    auto argument = dyn_cast<BlockArgument>(buffer);
    auto dims = argument ? main.getArgAttrOfType<ArrayAttr>(
                               argument.getArgNumber(), "tenon.dims")
                         : ArrayAttr();
    for (int64_t i = 0; i < type.getRank(); ++i) {
      if (!type.isDynamicDim(i))
        continue;
      auto name = dims && i < int64_t(dims.size())
                      ? dyn_cast<StringAttr>(dims[i])
                      : StringAttr();
      if (!name || !named.count(name.getValue()))
        return main.emitOpError("has a buffer of type ")
               << type << ", whose dimension " << i
               << " is named after no symbol";
      result.push_back(named[name.getValue()]);
    }
    return result;
  }

  FailureOr<Value> bytes(Value buffer) {
    FailureOr<SmallVector<Value>> sizes = dynamicSizes(buffer);
    if (failed(sizes))
      return failure();
    auto type = cast<MemRefType>(buffer.getType());
    int64_t fixed = elementBytes(type.getElementType());
    for (int64_t size : type.getShape())
      if (!ShapedType::isDynamic(size))
        fixed *= size;
    Value result = constant(fixed);
    for (Value size : *sizes)
      result = LLVM::MulOp::create(b, loc, result, size);
    return result;
  }

  /// Offsets of all slices, in the order of ids. Returns the arena's bytes.
  FailureOr<Value> assignOffsets() {
    SmallVector<plan::AllocOp> allocs(
        main.getBody().front().getOps<plan::AllocOp>());
    for (plan::AllocOp alloc : allocs)
      if (!alloc.getId())
        return alloc.emitOpError("has no offset; run plan-assign-offsets");
    llvm::stable_sort(allocs, [](plan::AllocOp lhs, plan::AllocOp rhs) {
      return *lhs.getId() < *rhs.getId();
    });
    DenseMap<int64_t, Value> ends;
    Value total = constant(0);
    for (plan::AllocOp alloc : allocs) {
      Value start = constant(0);
      // Not in the loop's head: the optional would be gone after the first
      // step.
      ArrayRef<int64_t> lower = *alloc.getBelow();
      for (int64_t below : lower)
        start = LLVM::SMaxOp::create(b, loc, start, ends.at(below));
      FailureOr<Value> length = bytes(alloc.getBuffer());
      if (failed(length))
        return failure();
      Value end = LLVM::AddOp::create(b, loc, start, *length);
      end = LLVM::AddOp::create(b, loc, end, constant(63));
      end = LLVM::AndOp::create(b, loc, end, constant(-64));
      ends[*alloc.getId()] = end;
      offsets[alloc] = start;
      total = LLVM::SMaxOp::create(b, loc, total, end);
    }
    return total;
  }

  func::FuncOp main;
  LLVM::LLVMFuncOp function;
  OpBuilder b;
  Location loc;
  Type i64, pointer;
  IRMapping map;
  llvm::StringMap<Value> named;
  DenseMap<Operation *, Value> offsets;
  /// From 1 on, in the order of the description.
  DenseMap<Operation *, int64_t> assumptions;
  DenseSet<Operation *> checkedBefore; ///< by tenon_sizes

  LogicalResult cloneArith(Operation &op) {
    if (auto constantOp = dyn_cast<arith::ConstantOp>(op)) {
      auto value = dyn_cast<IntegerAttr>(constantOp.getValue());
      if (!value)
        return op.emitOpError("has type ")
               << op.getResult(0).getType()
               << ", but the host computes with integers alone";
      Type type = converted(op.getResult(0).getType());
      map.map(op.getResult(0),
              LLVM::ConstantOp::create(
                  b, loc, type,
                  b.getIntegerAttr(type, value.getValue().getSExtValue()))
                  .getResult());
      return success();
    }
    if (isa<arith::IndexCastOp, arith::IndexCastUIOp>(op) &&
        converted(op.getOperand(0).getType()) ==
            converted(op.getResult(0).getType())) {
      map.map(op.getResult(0), map.lookup(op.getOperand(0)));
      return success();
    }
    OperationState state(op.getLoc(), op.getName());
    for (Value operand : op.getOperands())
      state.operands.push_back(map.lookup(operand));
    for (Type type : op.getResultTypes())
      state.types.push_back(converted(type));
    state.addAttributes(op.getAttrs());
    map.map(op.getResults(), b.create(state)->getResults());
    return success();
  }

private:
  Type converted(Type type) { return type.isIndex() ? i64 : type; }
};

struct ConvertPlanToLLVM : impl::ConvertPlanToLLVMPassBase<ConvertPlanToLLVM> {
  void runOnOperation() override {
    ModuleOp module = getOperation();
    auto main = module.lookupSymbol<func::FuncOp>("main");
    if (!main) {
      module.emitError("has no function 'main'");
      return signalPassFailure();
    }
    if (failed(writeSizes(main)) || failed(writeRun(main)))
      return signalPassFailure();
    writeDescription(main);
    for (func::FuncOp kernel :
         llvm::make_early_inc_range(module.getOps<func::FuncOp>()))
      if (kernel->hasAttr("tenon.kernel"))
        convertKernel(kernel);
    main.erase();
  }

  LLVM::LLVMFuncOp createFunction(func::FuncOp main, StringRef name,
                                  Type result, ArrayRef<Type> arguments) {
    OpBuilder b(main);
    return LLVM::LLVMFuncOp::create(
        b, main.getLoc(), name, LLVM::LLVMFunctionType::get(result, arguments));
  }

  LogicalResult writeSizes(func::FuncOp main) {
    Type pointer = LLVM::LLVMPointerType::get(&getContext());
    Type i64 = IntegerType::get(&getContext(), 64);
    HostBuilder host(
        createFunction(main, "tenon_sizes", i64, {pointer, pointer, pointer}),
        main);
    if (failed(host.evaluateSizes(host.function.getArgument(0), true)))
      return failure();
    int64_t number = 0;
    for (BlockArgument argument : main.getArguments()) {
      if (!main.getArgAttr(argument.getArgNumber(), "tenon.output"))
        continue;
      FailureOr<SmallVector<Value>> dynamic = host.dynamicSizes(argument);
      if (failed(dynamic))
        return failure();
      auto next = dynamic->begin();
      for (int64_t size : cast<MemRefType>(argument.getType()).getShape())
        host.store(ShapedType::isDynamic(size) ? *next++ : host.constant(size),
                   host.function.getArgument(1), number++);
    }
    FailureOr<Value> arena = host.assignOffsets();
    if (failed(arena))
      return failure();
    host.store(*arena, host.function.getArgument(2), 0);
    LLVM::ReturnOp::create(host.b, host.loc, host.constant(0));
    return success();
  }

  LogicalResult writeRun(func::FuncOp main) {
    Type pointer = LLVM::LLVMPointerType::get(&getContext());
    HostBuilder host(createFunction(main, "tenon_run",
                                    IntegerType::get(&getContext(), 64),
                                    {pointer}),
                     main);
    OpBuilder &b = host.b;
    Location loc = host.loc;
    Value frame = host.function.getArgument(0);
    int64_t mostLaunches = 1, mostBuffers = 1, mostSizes = 1;
    main.walk([&](Operation *op) {
      SmallVector<plan::LaunchOp> launches = launchesOf(op);
      int64_t buffers = 0, sizes = 0;
      for (plan::LaunchOp launch : launches) {
        buffers += launch.getBuffers().size();
        sizes += launch.getIndices().size();
        for (Value buffer : launch.getBuffers())
          sizes += cast<MemRefType>(buffer.getType()).getNumDynamicDims();
      }
      mostLaunches = std::max<int64_t>(mostLaunches, launches.size());
      mostBuffers = std::max(mostBuffers, buffers);
      mostSizes = std::max(mostSizes, sizes);
    });
    // Launches have ended when run_section returns, so all sections share three
    // arrays.
    auto array = [&](int64_t count) -> Value {
      return LLVM::AllocaOp::create(b, loc, pointer, host.i64,
                                    host.constant(count));
    };
    Value grids = array(4 * mostLaunches), buffers = array(mostBuffers),
          sizes = array(mostSizes);
    if (failed(host.evaluateSizes(host.load(pointer, frame, 4), false)) ||
        failed(host.assignOffsets()))
      return failure();
    Value inputs = host.load(pointer, frame, 0);
    Value outputs = host.load(pointer, frame, 1);
    Value arena = host.load(pointer, frame, 2);
    Value weights = host.load(pointer, frame, 3);
    Value runSection = host.load(pointer, frame, 5);
    Value indexErrors = host.load(pointer, frame, 7);
    int64_t input = 0, output = 0;
    for (BlockArgument argument : main.getArguments()) {
      bool isOutput = main.getArgAttr(argument.getArgNumber(),
                                      "tenon.output") != Attribute();
      host.map.map(argument, isOutput ? host.load(pointer, outputs, output++)
                                      : host.load(pointer, inputs, input++));
    }
    auto type =
        LLVM::LLVMFunctionType::get(LLVM::LLVMVoidType::get(&getContext()),
                                    {pointer, host.i64, host.i64, pointer});
    RunWriter writer{*this,      host,        main,  frame,   arena, weights,
                     runSection, indexErrors, grids, buffers, sizes, type};
    if (failed(writer.write(main.getBody().front())))
      return failure();
    LLVM::ReturnOp::create(b, loc, host.constant(0));
    return success();
  }

  /// The launches that an op of a run is: itself, or those of a section.
  static SmallVector<plan::LaunchOp> launchesOf(Operation *op) {
    if (auto section = dyn_cast<plan::SectionOp>(op))
      return llvm::to_vector(section.getBody().getOps<plan::LaunchOp>());
    if (auto launch = dyn_cast<plan::LaunchOp>(op))
      return {launch};
    return {};
  }

  /// The ops of a run, block by block.
  struct RunWriter {
    ConvertPlanToLLVM &pass;
    HostBuilder &host;
    func::FuncOp main;
    Value frame, arena, weights, runSection, indexErrors, grids, buffers, sizes;
    LLVM::LLVMFunctionType runSectionType;
    int64_t launchNumber = 0, constantNumber = 0;

    LogicalResult write(Block &block) {
      for (Operation &op : block)
        if (failed(write(op)))
          return failure();
      return success();
    }

    LogicalResult write(Operation &op) {
      OpBuilder &b = host.b;
      Location loc = host.loc;
      if (auto alloc = dyn_cast<plan::AllocOp>(op)) {
        host.map.map(alloc.getBuffer(),
                     host.offset(arena, host.offsets.at(alloc)));
      } else if (auto weight = dyn_cast<plan::WeightOp>(op)) {
        host.map.map(weight.getBuffer(),
                     host.offset(weights, host.constant(weight.getPosition())));
      } else if (auto error = dyn_cast<plan::IndexErrorOp>(op)) {
        host.map.map(error.getError(),
                     host.slot(indexErrors, 2 * error.getNumber()));
      } else if (auto view = dyn_cast<plan::ViewOp>(op)) {
        host.map.map(view.getOutput(), host.map.lookup(view.getInput()));
      } else if (auto constant = dyn_cast<plan::ConstantOp>(op);
                 constant && constant.getPosition()) {
        host.map.map(
            constant.getBuffer(),
            host.offset(weights, host.constant(*constant.getPosition())));
      } else if (constant) {
        FailureOr<std::string> bytes = readConstant(constant);
        if (failed(bytes))
          return failure();
        std::string name = "constant_" + std::to_string(constantNumber++);
        pass.createBytes(main, name, *bytes, 64, LLVM::Linkage::Internal);
        host.map.map(
            constant.getBuffer(),
            LLVM::AddressOfOp::create(b, loc, host.pointer, name).getResult());
      } else if (auto copy = dyn_cast<plan::CopyOp>(op)) {
        FailureOr<Value> length = host.bytes(copy.getSource());
        if (failed(length))
          return failure();
        LLVM::MemcpyOp::create(b, loc, host.map.lookup(copy.getTarget()),
                               host.map.lookup(copy.getSource()), *length,
                               /*isVolatile=*/false);
      } else if (auto read = dyn_cast<plan::ReadOp>(op)) {
        host.map.map(read.getValue(), load(read));
      } else if (auto assume = dyn_cast<plan::AssumeEqualOp>(op)) {
        if (!host.checkedBefore.contains(assume))
          host.check(assume, [&] {
            Value unequal = host.load(host.pointer, frame, 9);
            host.store(host.map.lookup(assume.getLhs()), unequal, 0);
            host.store(host.map.lookup(assume.getRhs()), unequal, 1);
          });
      } else if (auto output = dyn_cast<plan::OutputOp>(op)) {
        writeCounted(output);
      } else if (isa<plan::LaunchOp, plan::SectionOp>(op)) {
        return writeSection(launchesOf(&op));
      } else if (auto branch = dyn_cast<scf::IfOp>(op)) {
        return writeIf(branch);
      } else if (auto loop = dyn_cast<scf::WhileOp>(op)) {
        return writeWhile(loop);
      } else if (isa<arith::ArithDialect>(op.getDialect()) &&
                 !host.map.contains(op.getResult(0))) {
        // Sizes were evaluated before; what is left decides.
        return host.cloneArith(op);
      }
      return success();
    }

    /// An i1 lies in memory as a byte.
    Value load(plan::ReadOp read) {
      OpBuilder &b = host.b;
      Type type = read.getType();
      Value address = host.map.lookup(read.getBuffer());
      if (!type.isInteger(1))
        return LLVM::LoadOp::create(b, host.loc, type, address);
      Value byte = LLVM::LoadOp::create(b, host.loc, b.getI8Type(), address);
      Value zero = LLVM::ConstantOp::create(b, host.loc, b.getI8Type(),
                                            b.getI8IntegerAttr(0));
      return LLVM::ICmpOp::create(b, host.loc, LLVM::ICmpPredicate::ne, byte,
                                  zero);
    }

    LogicalResult writeSection(ArrayRef<plan::LaunchOp> launches) {
      int64_t bufferNumber = 0, sizeNumber = 0;
      for (auto [i, op] : llvm::enumerate(launches)) {
        plan::LaunchOp launch = op;
        Value kernel = LLVM::AddressOfOp::create(host.b, host.loc, host.pointer,
                                                 launch.getKernel());
        host.store(kernel, grids, 4 * i);
        host.store(host.slot(buffers, bufferNumber), grids, 4 * i + 1);
        host.store(host.slot(sizes, sizeNumber), grids, 4 * i + 2);
        host.store(host.map.lookup(launch.getGrid()), grids, 4 * i + 3);
        for (Value buffer : launch.getBuffers()) {
          host.store(host.map.lookup(buffer), buffers, bufferNumber++);
          FailureOr<SmallVector<Value>> dynamic = host.dynamicSizes(buffer);
          if (failed(dynamic))
            return failure();
          for (Value size : *dynamic)
            host.store(size, sizes, sizeNumber++);
        }
        for (Value index : launch.getIndices())
          host.store(host.map.lookup(index), sizes, sizeNumber++);
      }
      int64_t count = launches.size();
      LLVM::CallOp::create(host.b, host.loc, runSectionType,
                           ValueRange{runSection, frame,
                                      host.constant(launchNumber),
                                      host.constant(count), grids});
      launchNumber += count;
      return success();
    }

    /// Tells the runtime the sizes of an output that it could not know before.
    void writeCounted(plan::OutputOp output) {
      auto buffer = cast<BlockArgument>(output.getBuffer());
      int64_t number = 0;
      for (BlockArgument argument : main.getArguments())
        if (argument.getArgNumber() < buffer.getArgNumber() &&
            main.getArgAttr(argument.getArgNumber(), "tenon.output"))
          number += cast<MemRefType>(argument.getType()).getRank();
      auto type = cast<MemRefType>(buffer.getType());
      for (auto [i, size] : llvm::enumerate(output.getCounted())) {
        int64_t dim = 0;
        while (!type.isDynamicDim(dim) ||
               type.getDynamicDimIndex(dim) != unsigned(i))
          ++dim;
        host.store(host.map.lookup(size), host.load(host.pointer, frame, 8),
                   number + dim);
      }
    }

    Block *addBlock() {
      auto *block = new Block;
      host.function.getBody().push_back(block);
      return block;
    }

    /// Ends the current block with a jump and goes on in `next`.
    void jump(Block *target, Block *next) {
      LLVM::BrOp::create(host.b, host.loc, ValueRange(), target);
      host.b.setInsertionPointToEnd(next);
    }

    LogicalResult writeIf(scf::IfOp branch) {
      Block *then = addBlock(), *otherwise = addBlock(), *end = addBlock();
      LLVM::CondBrOp::create(host.b, host.loc,
                             host.map.lookup(branch.getCondition()), then,
                             otherwise);
      host.b.setInsertionPointToEnd(then);
      if (failed(write(*branch.thenBlock())))
        return failure();
      jump(end, otherwise);
      if (branch.elseBlock() && failed(write(*branch.elseBlock())))
        return failure();
      jump(end, end);
      return success();
    }

    LogicalResult writeWhile(scf::WhileOp loop) {
      Block *before = addBlock(), *after = addBlock(), *end = addBlock();
      jump(before, before);
      if (failed(write(*loop.getBeforeBody())))
        return failure();
      LLVM::CondBrOp::create(
          host.b, host.loc,
          host.map.lookup(loop.getConditionOp().getCondition()), after, end);
      host.b.setInsertionPointToEnd(after);
      if (failed(write(*loop.getAfterBody())))
        return failure();
      jump(before, end);
      return success();
    }
  };

  LLVM::GlobalOp createBytes(func::FuncOp main, StringRef name, StringRef bytes,
                             int64_t alignment, LLVM::Linkage linkage) {
    OpBuilder b(main);
    auto type = LLVM::LLVMArrayType::get(b.getI8Type(), bytes.size());
    return LLVM::GlobalOp::create(b, main.getLoc(), type, /*isConstant=*/true,
                                  linkage, name, b.getStringAttr(bytes),
                                  alignment);
  }

  void writeDescription(func::FuncOp main) {
    std::string text = describePlan(main);
    text.push_back('\0');
    createBytes(main, "tenon_description", text, 1, LLVM::Linkage::External);

    OpBuilder b(main);
    LLVM::GlobalOp::create(b, main.getLoc(), b.getI32Type(),
                           /*isConstant=*/true, LLVM::Linkage::External,
                           "tenon_abi_version",
                           b.getI32IntegerAttr(TN_ABI_VERSION));
    // The linker's caller writes the rest of the tn_note.
    std::string note(
        {6,   0, 0, 0, sizeof(tn_note), 0, 0, 0, 1, 0, 0, 0, 'T', 'e', 'n', 'o',
         'n', 0, 0, 0, TN_ABI_VERSION});
    note.resize(20 + sizeof(tn_note));
    LLVM::GlobalOp global =
        createBytes(main, "tenon_note", note, 4, LLVM::Linkage::External);
    global.setSection(".note.tenon");
    global.setVisibility_(LLVM::Visibility::Hidden);
  }

  /// A kernel whose body is elsewhere becomes what run_section wants to know of
  /// it.
  void describeDeviceKernel(func::FuncOp kernel) {
    OpBuilder b(kernel);
    Location loc = kernel.getLoc();
    int64_t buffers = 0, sizes = 0;
    for (Type argument : kernel.getArgumentTypes())
      if (auto type = dyn_cast<MemRefType>(argument)) {
        ++buffers;
        sizes += type.getNumDynamicDims();
      } else {
        ++sizes;
      }
    sizes -= 2; // begin and end
    std::string name = kernel.getName().str();
    std::string text = name + '\0';
    createBytes(kernel, name + "_name", text, 1, LLVM::Linkage::Internal);
    Type i64 = b.getI64Type();
    Type pointer = LLVM::LLVMPointerType::get(&getContext());
    auto type = LLVM::LLVMStructType::getLiteral(&getContext(),
                                                 {pointer, i64, i64, i64});
    auto threads = kernel->getAttrOfType<IntegerAttr>("tenon.threads");
    auto record =
        LLVM::GlobalOp::create(b, loc, type, /*isConstant=*/true,
                               LLVM::Linkage::Internal, name, Attribute());
    kernel.erase();
    b.createBlock(&record.getInitializerRegion());
    Value value = LLVM::PoisonOp::create(b, loc, type);
    Value nameValue =
        LLVM::AddressOfOp::create(b, loc, pointer, name + "_name");
    SmallVector<Value> members{nameValue};
    for (int64_t number : {buffers, sizes, threads.getInt()})
      members.push_back(
          LLVM::ConstantOp::create(b, loc, i64, b.getI64IntegerAttr(number)));
    for (auto [i, member] : llvm::enumerate(members))
      value = LLVM::InsertValueOp::create(b, loc, value, member,
                                          ArrayRef<int64_t>{int64_t(i)});
    LLVM::ReturnOp::create(b, loc, value);
  }

  /// @k(memrefs, indices, begin, end)  ->
  ///   @k(buffers, sizes, begin, end) calls @k_body(noalias pointers, i64...)
  void convertKernel(func::FuncOp kernel) {
    if (kernel.isDeclaration())
      return describeDeviceKernel(kernel);
    OpBuilder b(kernel);
    Location loc = kernel.getLoc();
    Type i64 = b.getI64Type();
    Type pointer = LLVM::LLVMPointerType::get(&getContext());
    std::string name = kernel.getName().str(), bodyName = name + "_body";

    auto outer = LLVM::LLVMFuncOp::create(
        b, loc, name,
        LLVM::LLVMFunctionType::get(LLVM::LLVMVoidType::get(&getContext()),
                                    {pointer, pointer, i64, i64}));
    kernel.setName(bodyName);
    kernel->removeAttr("tenon.kernel");
    Block *entry = outer.addEntryBlock(b);
    b.setInsertionPointToEnd(entry);
    auto element = [&](Type type, Value base, int64_t number) -> Value {
      Value slot = LLVM::GEPOp::create(b, loc, pointer, i64, base,
                                       ArrayRef<LLVM::GEPArg>{int32_t(number)});
      return LLVM::LoadOp::create(b, loc, type, slot);
    };
    Block &body = kernel.getBody().front();
    SmallVector<BlockArgument> old(body.getArguments());
    SmallVector<Value> passed;
    SmallVector<Type> types;
    SmallVector<DictionaryAttr> attributes;
    auto noalias =
        b.getDictionaryAttr(b.getNamedAttr("llvm.noalias", b.getUnitAttr()));
    OpBuilder inner = OpBuilder::atBlockBegin(&body);
    auto pass = [&](Type type, Value value) {
      passed.push_back(value);
      types.push_back(type);
      attributes.push_back(
          isa<LLVM::LLVMPointerType>(type) ? noalias : b.getDictionaryAttr({}));
      return body.addArgument(type, loc);
    };
    int64_t bufferNumber = 0, sizeNumber = 0;
    for (auto [i, argument] : llvm::enumerate(old)) {
      auto type = dyn_cast<MemRefType>(argument.getType());
      if (!type) {
        Value value = i + 2 == old.size() ? outer.getArgument(2)
                      : i + 1 == old.size()
                          ? outer.getArgument(3)
                          : element(i64, outer.getArgument(1), sizeNumber++);
        Value cast = arith::IndexCastOp::create(inner, loc, b.getIndexType(),
                                                pass(i64, value));
        argument.replaceAllUsesWith(cast);
        continue;
      }
      Value base =
          pass(pointer, element(pointer, outer.getArgument(0), bufferNumber++));
      SmallVector<Value> dynamic;
      for (int64_t i = 0, e = type.getNumDynamicDims(); i < e; ++i)
        dynamic.push_back(
            pass(i64, element(i64, outer.getArgument(1), sizeNumber++)));
      Value buffer = buildBuffer(inner, loc, type, base, dynamic);
      argument.replaceAllUsesWith(buffer);
    }
    body.eraseArguments(0, old.size());
    kernel.setFunctionType(b.getFunctionType(types, {}));
    kernel.setAllArgAttrs(attributes);
    func::CallOp::create(b, loc, kernel, passed);
    LLVM::ReturnOp::create(b, loc, ValueRange());
  }
};

} // namespace
} // namespace tenon
