// What a model must keep to around its nodes: opsets that exist, one definition
// for each value, types that are what the model says.
#include "Importer.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;

namespace tenon {

StringRef canonicalDomain(StringRef domain) {
  return domain == "ai.onnx" ? "" : domain;
}

StringRef domainName(StringRef domain) {
  return domain.empty() ? "ai.onnx" : domain;
}

bool isTooLarge(Type type) {
  auto tensor = dyn_cast<RankedTensorType>(type);
  if (!tensor || llvm::is_contained(tensor.getShape(), 0))
    return false;
  constexpr uint64_t mostBytes = uint64_t(1) << 47; // of x86-64
  uint64_t bytes = llvm::divideCeil(tensor.getElementTypeBitWidth(), 8);
  for (int64_t size : tensor.getShape())
    if (!ShapedType::isDynamic(size))
      bytes = llvm::SaturatingMultiply<uint64_t>(bytes, size);
  return bytes > mostBytes;
}

InFlightDiagnostic Importer::invalid(const onnx::NodeProto &node,
                                     StringRef name) {
  problems.invalid = true;
  return emitError(NameLoc::get(builder.getStringAttr(name)))
         << "node '" << name << "' (" << node.op_type() << "): ";
}

void Importer::checkOpsets(const OpsetImports &imports, const Twine &importer) {
  llvm::StringMap<int64_t> versions;
  for (const onnx::OperatorSetIdProto &import : imports) {
    StringRef domain = canonicalDomain(import.domain());
    int64_t version = import.version();
    auto [known, isNew] = versions.try_emplace(domain, version);
    if (known->second != version)
      invalid() << importer << "imports opsets " << known->second << " and "
                << version << " of " << domainName(domain);
    if (version < 1)
      invalid() << importer << "imports opset " << version << " of "
                << domainName(domain) << ", which must be at least 1";
    int64_t newest = domain.empty()              ? newestOpset
                     : domain == "com.microsoft" ? microsoftOpset
                                                 : INT64_MAX;
    if (version > newest) {
      problems.unsupported = true;
      emitError(loc) << importer << "imports opset " << version << " of "
                     << domainName(domain) << ", but the newest that Tenon "
                     << "knows is " << newest;
    }
  }
}

void Importer::checkNames(Scope &scope) {
  llvm::StringSet<> seen;
  for (const onnx::FunctionProto &function : model.functions())
    if (!seen.insert(function.domain() + ":" + function.name() + ":" +
                     function.overload())
             .second)
      invalid() << "function '" << function.name() << "' of "
                << domainName(function.domain()) << " comes twice";
  seen.clear();
  for (const onnx::TensorProto &tensor : model.graph().initializer()) {
    scope.definitions[tensor.name()] = "an initializer";
    if (!seen.insert(tensor.name()).second)
      invalid() << "tensor '" << tensor.name()
                << "': comes twice among the initializers";
  }
  seen.clear();
  for (const onnx::ValueInfoProto &input : model.graph().input()) {
    scope.definitions[input.name()] = "an input";
    if (!seen.insert(input.name()).second)
      invalid() << "input '" << input.name() << "': comes twice";
  }
}

bool Importer::checkNode(const onnx::NodeProto &node, StringRef name,
                         Scope &scope) {
  bool isGood = true;
  for (const std::string &output : node.output()) {
    if (output.empty())
      continue;
    auto [known, isNew] = scope.definitions.try_emplace(
        output, ("the result of node '" + name + "'").str());
    if (!isNew)
      invalid(node, name) << "gives value '" << output << "', which is already "
                          << known->second;
    else if (llvm::is_contained(node.input(), output))
      invalid(node, name) << "reads its own result '" << output << "'";
    else
      continue;
    isGood = false;
  }
  StringRef domain = canonicalDomain(node.domain());
  if (scope.opsets.try_emplace(domain, newestOpset).second) {
    // Once for each domain.
    invalid(node, name) << "is of domain " << domainName(domain)
                        << ", of which no opset is imported";
    isGood = false;
  }
  if (!isGood)
    for (const std::string &output : node.output())
      scope.values.try_emplace(output, Value());
  return isGood;
}

void Importer::declare(const ValueInfos &values, const ValueInfos &outputs,
                       Scope &scope) {
  for (const onnx::ValueInfoProto &value : values)
    scope.declared[value.name()] = &value.type();
  for (const onnx::ValueInfoProto &output : outputs) {
    scope.declared[output.name()] = &output.type();
    scope.outputs.insert(output.name());
  }
}

/// What the model says of a tensor, sizes that it leaves open dynamic. Null if
/// it says nothing that could be wrong.
static RankedTensorType declaredType(const onnx::TypeProto &type,
                                     RankedTensorType found) {
  if (!type.has_tensor_type())
    return {};
  const onnx::TypeProto::Tensor &tensor = type.tensor_type();
  Type element =
      Initializers::elementType(found.getContext(), tensor.elem_type());
  if (!element)
    element = found.getElementType();
  if (!tensor.has_shape())
    return RankedTensorType::get(found.getShape(), element);
  SmallVector<int64_t> sizes;
  for (const auto &dim : tensor.shape().dim())
    sizes.push_back(dim.has_dim_value() && dim.dim_value() >= 0
                        ? dim.dim_value()
                        : ShapedType::kDynamic);
  return RankedTensorType::get(sizes, element);
}

void Importer::setResults(const onnx::NodeProto &node, StringRef name,
                          ValueRange results, Scope &scope) {
  dropResults(node, scope);
  for (auto [i, output] : llvm::enumerate(node.output())) {
    if (output.empty())
      continue;
    if (i >= results.size()) {
      invalid(node, name) << "has " << node.output_size()
                          << " results, but gives " << results.size();
      return;
    }
    scope.values[output] = results[i];
    const onnx::TypeProto *declared = scope.declared.lookup(output);
    if (!results[i] || !declared)
      continue;
    auto found = cast<RankedTensorType>(results[i].getType());
    RankedTensorType wanted = declaredType(*declared, found);
    if (!wanted || (wanted.getElementType() == found.getElementType() &&
                    succeeded(verifyCompatibleShape(wanted, found))))
      continue;
    bool matters = wanted.getElementType() != found.getElementType() ||
                   scope.outputs.contains(output);
    problems.invalid |= matters;
    auto at = NameLoc::get(builder.getStringAttr(name));
    (matters ? emitError(at) : emitWarning(at))
        << "node '" << name << "' (" << node.op_type() << "): result '"
        << output << "' is declared as " << wanted << ", but is " << found;
  }
}

void Importer::dropResults(const onnx::NodeProto &node, Scope &scope) {
  for (const std::string &output : node.output())
    if (!output.empty())
      scope.values[output] = Value();
}

} // namespace tenon
