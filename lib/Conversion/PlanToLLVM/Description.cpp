// Writes the records of ModuleAbi.h.
#include "Description.h"
#include "tenon/Analysis/KernelFacts.h"
#include "tenon/Analysis/SymbolicIndex.h"
#include "tenon/Dialect/Plan/IR/PlanOps.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/raw_ostream.h"

using namespace mlir;

namespace tenon {
namespace {

std::string encode(StringRef text) {
  std::string result;
  for (unsigned char c : text) {
    if (c > 32 && c != 127 && c != '%' && c != ',') {
      result += c;
      continue;
    }
    result += '%';
    result += llvm::hexdigit(c >> 4);
    result += llvm::hexdigit(c & 15);
  }
  return result;
}

void collectNames(Location loc, SmallVectorImpl<std::string> &names) {
  if (auto name = dyn_cast<NameLoc>(loc))
    names.push_back(encode(name.getName()));
  else if (auto fused = dyn_cast<FusedLoc>(loc))
    for (Location part : fused.getLocations())
      collectNames(part, names);
}

class Describer {
  template <typename Op> auto ops() {
    return main.getBody().front().getOps<Op>();
  }

public:
  explicit Describer(func::FuncOp main) : main(main), os(text) {}

  std::string describe() {
    for (auto symbol : ops<plan::SymbolOp>())
      os << "symbol " << encode(symbol.getName()) << " " << symbol.getMin()
         << " " << symbol.getMax() << " "
         << (symbol.getHint() ? int64_t(*symbol.getHint()) : -1) << "\n";
    for (BlockArgument argument : main.getArguments())
      describeArgument(argument);
    describeDecoder();
    main.walk([&](plan::AssumeEqualOp assume) { describeAssumption(assume); });
    main.walk([&](plan::IndexErrorOp error) { describeIndexError(error); });
    int64_t number = 0;
    main.walk([&](plan::LaunchOp launch) { describeLaunch(launch, number++); });
    describeTotal();
    describeUnfused();
    describeTarget();
    os << "weights " << weightBytes() << "\n";
    for (auto alloc : ops<plan::AllocOp>())
      describeSlice(alloc);
    describeLive();
    describeUses();
    return text;
  }

private:
  void describeArgument(BlockArgument argument) {
    unsigned number = argument.getArgNumber();
    auto type = cast<MemRefType>(argument.getType());
    auto name = main.getArgAttrOfType<StringAttr>(number, "tenon.name");
    bool isOutput = bool(main.getArgAttr(number, "tenon.output"));
    auto element = main.getArgAttrOfType<TypeAttr>(number, "tenon.element");
    os << (isOutput ? "output " : "input ")
       << (name ? encode(name.getValue()) : std::to_string(number)) << " "
       << (main.getArgAttr(number, "tenon.unsigned") ? "u" : "")
       << (element ? element.getValue() : type.getElementType());
    if (isOutput)
      os << " " << type.getRank();
    if (isOutput) {
      for (int64_t i = 0; i < type.getRank(); ++i)
        os << " " << outputDim(argument, i);
      os << "\n";
      describeExtents(argument);
      ++outputs;
      return;
    }
    auto dims = main.getArgAttrOfType<ArrayAttr>(number, "tenon.dims");
    for (int64_t i = 0; i < type.getRank(); ++i) {
      auto symbol = dims ? dyn_cast<StringAttr>(dims[i]) : StringAttr();
      os << " ";
      if (!type.isDynamicDim(i))
        os << type.getDimSize(i);
      else
        os << (symbol ? encode(symbol.getValue()) : "?");
    }
    os << "\n";
    if (main.getArgAttr(number, "tenon.state"))
      os << "state " << number << "\n";
    if (auto kept = main.getArgAttrOfType<IntegerAttr>(number, "tenon.kept"))
      os << "kept " << number << " " << kept.getInt() << "\n";
    if (auto role = main.getArgAttrOfType<StringAttr>(number, "tenon.role"))
      roles[role.getValue()] = number;
    auto elements = main.getArgAttrOfType<ArrayAttr>(number, "tenon.elements");
    if (!elements)
      return;
    for (auto [i, name] : llvm::enumerate(elements.getAsRange<StringAttr>()))
      for (auto symbol : ops<plan::SymbolOp>())
        if (symbol.getNameAttr() == name)
          os << "element " << encode(name.getValue()) << " " << number << " "
             << i << "\n";
  }

  Value outputSize(BlockArgument output, int64_t dim) {
    auto type = cast<MemRefType>(output.getType());
    for (auto sizes : ops<plan::OutputOp>())
      if (sizes.getBuffer() == output)
        return sizes.getSizes()[type.getDynamicDimIndex(dim)];
    return {};
  }

  /// The sizes that are computed from several symbols.
  void describeExtents(BlockArgument output) {
    auto type = cast<MemRefType>(output.getType());
    for (int64_t dim = 0; dim < type.getRank(); ++dim) {
      if (outputDim(output, dim) != "?")
        continue;
      Value size = outputSize(output, dim);
      std::optional<SymbolicExpr> expr =
          size ? indices.get(size) : std::nullopt;
      if (expr)
        os << "extent " << outputs << " " << dim << " " << encode(expr->str())
           << "\n";
      if (isCounted(output, dim))
        os << "counted " << outputs << " " << dim << "\n";
    }
  }

  /// Whether a size of an output is known only when the model has run.
  bool isCounted(BlockArgument output, int64_t dim) {
    auto type = cast<MemRefType>(output.getType());
    for (auto sizes : ops<plan::OutputOp>())
      if (sizes.getBuffer() == output && !sizes.getCounted().empty()) {
        unsigned i = type.getDynamicDimIndex(dim);
        return sizes.getSizes()[i] != sizes.getCounted()[i];
      }
    return false;
  }

  /// A symbol or an integer; "?" where it is neither.
  std::string outputDim(BlockArgument output, int64_t dim) {
    auto type = cast<MemRefType>(output.getType());
    if (!type.isDynamicDim(dim))
      return std::to_string(type.getDimSize(dim));
    Value size = outputSize(output, dim);
    auto symbol = size ? size.getDefiningOp<plan::SymbolOp>() : nullptr;
    return symbol && !isCounted(output, dim) ? encode(symbol.getName()) : "?";
  }

  /// As people read it.
  void describeAssumption(plan::AssumeEqualOp assume) {
    auto sizeText = [&](Value size) {
      std::optional<SymbolicExpr> expr = indices.get(size);
      return expr ? expr->str() : "a counted size";
    };
    os << "assume " << sizeText(assume.getLhs())
       << " == " << sizeText(assume.getRhs());
    SmallVector<std::string> nodes;
    collectNames(assume.getLoc(), nodes);
    if (!nodes.empty())
      os << " (node '" << llvm::join(nodes, "', '") << "')";
    os << "\n";
  }

  /// Where a decoder's inputs are; its logits are its only output.
  void describeDecoder() {
    if (roles.empty())
      return;
    if (auto lengths = roles.find("lengths"); lengths != roles.end())
      os << "lengths " << lengths->second << "\n";
    os << "decoder";
    for (StringRef role : {"ids", "slots", "starts", "rows", "context"})
      os << " " << roles.lookup(role);
    os << " 0\n";
  }

  void describeIndexError(plan::IndexErrorOp error) {
    SmallVector<std::string> nodes;
    collectNames(error.getLoc(), nodes);
    os << "index " << error.getNumber();
    if (!nodes.empty())
      os << " " << llvm::join(nodes, ",");
    os << "\n";
  }

  void describeLaunch(plan::LaunchOp launch, int64_t number) {
    SmallVector<std::string> nodes;
    collectNames(launch.getLoc(), nodes);
    os << "launch " << number << " " << encode(plainName(launch.getKernel()));
    if (!nodes.empty())
      os << " " << llvm::join(nodes, ",");
    os << "\n";
    if (auto step = launch->getAttrOfType<IntegerAttr>("tenon.step"))
      os << "step " << number << " " << step.getInt() << "\n";
    describeOrigin(launch, number);
    std::optional<std::string> facts = factsOf(launch);
    std::optional<SymbolicExpr> grid = indices.get(launch.getGrid());
    if (facts && grid)
      os << "facts " << number << " " << *facts << " " << encode(grid->str())
         << "\n";
    describeWork(launch, number);
  }

  /// How the operations of a launch are divided.
  void describeWork(plan::LaunchOp launch, int64_t number) {
    SmallVector<StringRef> names = {productFlopsAttr, bf16FlopsAttr,
                                    int8OpsAttr, stepsAttr};
    if (llvm::none_of(names,
                      [&](StringRef name) { return launch->hasAttr(name); }))
      return;
    os << "work " << number;
    for (StringRef name : names) {
      auto text = launch->getAttrOfType<StringAttr>(name);
      os << " " << (text ? encode(text) : "0");
    }
    os << "\n";
  }

  /// What it is, and where in the model it comes from.
  void describeOrigin(plan::LaunchOp launch, int64_t number) {
    if (auto kind = launch->getAttrOfType<StringAttr>("tenon.kind"))
      os << "kind " << number << " " << encode(kind) << "\n";
    if (auto layer = launch->getAttrOfType<StringAttr>("tenon.layer"))
      os << "layer " << number << " " << encode(layer) << "\n";
  }

  /// What kernel-count-unfused wrote.
  void describeUnfused() {
    auto layers = main->getAttrOfType<ArrayAttr>("tenon.unfused");
    if (!layers)
      return;
    for (auto layer : layers.getAsRange<DictionaryAttr>()) {
      auto text = [&](StringRef name) {
        auto value = layer.getAs<StringAttr>(name);
        return value ? encode(value) : std::string();
      };
      auto launches = layer.getAs<IntegerAttr>("launches");
      os << "unfused " << (launches ? launches.getInt() : 0) << " "
         << text("read_bytes") << " " << text("written_bytes");
      if (std::string name = text("layer"); !name.empty())
        os << " " << name;
      os << "\n";
    }
  }

  /// The kernel's name without those of nodes: they have a field of their own.
  StringRef plainName(StringRef kernel) {
    auto module = main->getParentOfType<ModuleOp>();
    auto function = module.lookupSymbol(kernel);
    auto plain = function->getAttrOfType<StringAttr>("tenon.kernel");
    return plain ? plain.getValue() : kernel;
  }

  void describeTotal() {
    if (std::optional<std::string> facts = factsOf(main))
      os << "total " << *facts << "\n";
  }

  /// What kernel-count-facts wrote.
  static std::optional<std::string> factsOf(Operation *op) {
    SmallVector<std::string> facts;
    for (StringRef name :
         {"tenon.flops", "tenon.read_bytes", "tenon.written_bytes"})
      if (auto fact = op->getAttrOfType<StringAttr>(name))
        facts.push_back(encode(fact.getValue()));
    if (facts.size() != 3)
      return std::nullopt;
    return llvm::join(facts, " ");
  }

  void describeTarget() {
    auto target = main->getParentOfType<ModuleOp>()->getAttrOfType<StringAttr>(
        "tenon.target");
    if (target)
      os << "target " << target.getValue() << "\n";
  }

  /// Bytes of the weights section: the end of the last one.
  int64_t weightBytes() {
    int64_t end = 0;
    auto add = [&](Value buffer, int64_t position) {
      auto type = cast<MemRefType>(buffer.getType());
      int64_t bytes =
          type.getNumElements() * ((type.getElementTypeBitWidth() + 7) / 8);
      end = std::max(end, position + bytes);
    };
    main.walk([&](plan::WeightOp weight) {
      add(weight.getBuffer(), weight.getPosition());
    });
    main.walk([&](plan::ConstantOp constant) {
      if (constant.getPosition())
        add(constant.getBuffer(), *constant.getPosition());
    });
    return end;
  }

  void describeSlice(plan::AllocOp alloc) {
    auto alive = alloc->getAttrOfType<DenseI64ArrayAttr>("tenon.alive");
    auto type = cast<MemRefType>(alloc.getBuffer().getType());
    SymbolicExpr bytes = (type.getElementTypeBitWidth() + 7) / 8;
    for (int64_t size : type.getShape())
      if (!ShapedType::isDynamic(size))
        bytes = bytes * SymbolicExpr(size);
    for (Value size : alloc.getSizes()) {
      std::optional<SymbolicExpr> expr = indices.get(size);
      if (!expr)
        return;
      bytes = bytes * *expr;
    }
    if (!alive || !alloc.getId())
      return;
    slices.push_back({alive[0], alive[1], bytes});
    os << "slice " << *alloc.getId() << " " << alive[0] << " " << alive[1]
       << " " << encode(bytes.str());
    // Not in the loop's head: the optional would be gone after the first step.
    ArrayRef<int64_t> lower = *alloc.getBelow();
    for (int64_t below : lower)
      os << " " << below;
    os << "\n";
  }

  /// The bytes alive wherever a slice begins to live, without those that are
  /// never more than others.
  void describeLive() {
    SmallVector<SymbolicExpr> largest;
    auto isCovered = [](const SymbolicExpr &lhs, const SymbolicExpr &rhs) {
      auto bound = (rhs - lhs).getLowerBound([](StringRef) { return 0; });
      return bound && *bound >= 0;
    };
    for (const AliveSlice &at : slices) {
      SymbolicExpr live = 0;
      for (const AliveSlice &slice : slices)
        if (slice.first <= at.first && at.first <= slice.last)
          live = live + slice.bytes;
      if (llvm::any_of(largest, [&](const SymbolicExpr &other) {
            return isCovered(live, other);
          }))
        continue;
      llvm::erase_if(largest, [&](const SymbolicExpr &other) {
        return isCovered(other, live);
      });
      largest.push_back(live);
    }
    for (const SymbolicExpr &live : largest)
      os << "live " << encode(live.str()) << "\n";
  }

  /// Who reads and writes which buffers. Each is described before it is named.
  void describeUses() {
    int64_t launches = 0;
    main.walk([&](Operation *op) {
      auto step = op->getAttrOfType<IntegerAttr>("tenon.step");
      if (auto launch = dyn_cast<plan::LaunchOp>(op)) {
        int64_t number = launches++;
        auto results = launch->getAttrOfType<IntegerAttr>("tenon.results");
        if (!results)
          return;
        OperandRange buffers = launch.getBuffers();
        describeUse("reads", number, buffers.drop_back(results.getInt()));
        describeUse("writes", number, buffers.take_back(results.getInt()));
      } else if (auto copy = dyn_cast<plan::CopyOp>(op); copy && step) {
        describeUse("copy", step.getInt(),
                    {copy.getSource(), copy.getTarget()});
      } else if (auto read = dyn_cast<plan::ReadOp>(op); read && step) {
        describeUse("read", step.getInt(), read.getBuffer());
      }
    });
  }

  void describeUse(StringRef kind, int64_t number, ValueRange used) {
    SmallVector<int64_t> numbers;
    for (Value buffer : used) {
      while (auto view = buffer.getDefiningOp<plan::ViewOp>())
        buffer = view.getInput();
      // Indices out of range are the runtime's, no tensors of the model.
      if (!buffer.getDefiningOp<plan::IndexErrorOp>())
        numbers.push_back(numberOf(buffer));
    }
    os << kind << " " << number;
    for (int64_t buffer : numbers)
      os << " " << buffer;
    os << "\n";
  }

  /// Describes the buffer where it is the first time.
  int64_t numberOf(Value buffer) {
    auto [entry, isNew] = buffers.try_emplace(buffer, buffers.size());
    int64_t number = entry->second;
    if (!isNew)
      return number;
    os << "buffer " << number << " ";
    auto type = cast<MemRefType>(buffer.getType());
    if (auto alloc = buffer.getDefiningOp<plan::AllocOp>()) {
      os << "slice " << alloc.getId().value_or(0);
    } else if (auto weight = buffer.getDefiningOp<plan::WeightOp>()) {
      os << "weight " << encode(weight.getName());
    } else if (auto argument = dyn_cast<BlockArgument>(buffer)) {
      bool isOutput = isOutputArgument(argument);
      int64_t before = llvm::count_if(
          main.getArguments().take_front(argument.getArgNumber()),
          [&](BlockArgument other) {
            return isOutputArgument(other) == isOutput;
          });
      os << (isOutput ? "output " : "input ") << before;
    } else {
      os << "constant " << number;
    }
    std::optional<SymbolicExpr> bytes =
        SymbolicExpr((type.getElementTypeBitWidth() + 7) / 8);
    std::string dims;
    for (int64_t dim = 0; dim < type.getRank(); ++dim) {
      std::optional<SymbolicExpr> size = sizeOf(buffer, dim);
      dims += " " + (size ? encode(size->str()) : "?");
      bytes = bytes && size ? std::optional(*bytes * *size) : std::nullopt;
    }
    os << " " << type.getElementType() << " "
       << (bytes ? encode(bytes->str()) : "?") << dims << "\n";
    if (auto weight = buffer.getDefiningOp<plan::WeightOp>())
      os << "position " << number << " " << weight.getPosition() << "\n";
    return number;
  }

  bool isOutputArgument(BlockArgument argument) {
    return bool(main.getArgAttr(argument.getArgNumber(), "tenon.output"));
  }

  std::optional<SymbolicExpr> sizeOf(Value buffer, int64_t dim) {
    auto type = cast<MemRefType>(buffer.getType());
    if (!type.isDynamicDim(dim))
      return SymbolicExpr(type.getDimSize(dim));
    if (auto alloc = buffer.getDefiningOp<plan::AllocOp>())
      return indices.get(alloc.getSizes()[type.getDynamicDimIndex(dim)]);
    auto argument = cast<BlockArgument>(buffer);
    if (isOutputArgument(argument)) {
      Value size = outputSize(argument, dim);
      return size ? indices.get(size) : std::nullopt;
    }
    auto dims =
        main.getArgAttrOfType<ArrayAttr>(argument.getArgNumber(), "tenon.dims");
    for (auto symbol : ops<plan::SymbolOp>())
      if (dims && dims[dim] == symbol.getNameAttr())
        return indices.get(symbol);
    return std::nullopt;
  }

  struct AliveSlice {
    int64_t first, last;
    SymbolicExpr bytes;
  };

  func::FuncOp main;
  SymbolicIndices indices;
  std::vector<AliveSlice> slices;
  unsigned outputs = 0; ///< described so far
  DenseMap<Value, int64_t> buffers;
  llvm::StringMap<unsigned> roles; ///< of a decoder's inputs
  std::string text;
  llvm::raw_string_ostream os;
};

} // namespace

std::string describePlan(func::FuncOp main) {
  return Describer(main).describe();
}

} // namespace tenon
