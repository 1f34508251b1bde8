// Reads the description of an artifact and writes it as C.
#include "Header.h"
#include "llvm/ADT/SmallVector.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringSwitch.h"
#include "llvm/Support/FormatVariadic.h"
#include <vector>

using llvm::StringRef;

namespace {

struct Tensor {
  std::string name;
  std::string identifier; ///< the name as C can say it
  StringRef type;
  llvm::SmallVector<StringRef> dims; ///< those of an output may be missing
  size_t rank;
};

} // namespace

/// Letters, digits and underscores; starts with no digit.
static std::string identifier(StringRef name) {
  std::string result;
  for (char c : name)
    result += llvm::isAlnum(c) ? c : '_';
  if (result.empty() || llvm::isDigit(result[0]))
    result = "_" + result;
  return result;
}

static StringRef cType(StringRef type) {
  return llvm::StringSwitch<StringRef>(type)
      .Case("f32", "float")
      .Case("f64", "double")
      .Case("i8", "int8_t")
      .Case("i16", "int16_t")
      .Case("i32", "int32_t")
      .Case("i64", "int64_t")
      .Case("u8", "uint8_t")
      .Case("u16", "uint16_t")
      .Case("u32", "uint32_t")
      .Case("u64", "uint64_t")
      .Case("bool", "uint8_t")
      .Default("void"); // 16 and 8 bit floats: C has no word for them
}

/// Records of `kind`; names of theirs that become equal get a number.
static std::vector<Tensor> readTensors(StringRef description, StringRef kind) {
  std::vector<Tensor> tensors;
  llvm::SmallVector<StringRef> lines;
  description.split(lines, '\n');
  for (StringRef line : lines) {
    llvm::SmallVector<StringRef> words;
    line.split(words, ' ', -1, /*KeepEmpty=*/false);
    if (words.size() < 3 || words[0] != kind)
      continue;
    bool hasRank = kind == "output";
    Tensor tensor{words[1].str(), identifier(words[1]), words[2], {}, 0};
    tensor.dims.append(words.begin() +
                           std::min<size_t>(words.size(), hasRank ? 4 : 3),
                       words.end());
    tensor.rank = tensor.dims.size();
    if (hasRank && words.size() > 3)
      words[3].getAsInteger(10, tensor.rank);
    for (const Tensor &other : tensors)
      if (other.identifier == tensor.identifier)
        tensor.identifier += "_" + std::to_string(tensors.size());
    tensors.push_back(tensor);
  }
  return tensors;
}

static std::string typeEnumerator(StringRef type) {
  return "TN_" + type.upper();
}

static void writeNumbers(llvm::ArrayRef<Tensor> tensors, StringRef prefix,
                         StringRef kind, llvm::raw_ostream &os) {
  os << "enum {\n";
  for (auto [number, tensor] : llvm::enumerate(tensors))
    os << llvm::formatv("  {0}_{1}_{2} = {3}, /* {4}: {5} [{6}] */\n", prefix,
                        kind, StringRef(tensor.identifier).upper(), number,
                        tensor.name, tensor.type,
                        tensor.dims.empty() && tensor.rank
                            ? "rank " + std::to_string(tensor.rank)
                            : llvm::join(tensor.dims, ", "));
  os << llvm::formatv("  {0}_{1}_COUNT = {2}\n};\n\n", prefix, kind,
                      tensors.size());
}

/// Names of the setter's sizes: those of the symbols, where they differ.
static std::vector<std::string> sizeNames(const Tensor &tensor) {
  std::vector<std::string> names;
  for (auto [number, dim] : llvm::enumerate(tensor.dims)) {
    std::string name = identifier(dim);
    bool usable = llvm::isAlpha(dim[0]) && name != "session" &&
                  name != "data" && name != "tensor" && name != "count" &&
                  llvm::count(tensor.dims, dim) == 1;
    names.push_back(usable ? name : "dim" + std::to_string(number));
  }
  return names;
}

static void writeSetter(const Tensor &tensor, StringRef prefix,
                        llvm::raw_ostream &os) {
  os << llvm::formatv("/* The data must live until the last run that reads it. "
                      "*/\nstatic inline tn_status {0}_set_{1}(tn_session "
                      "*session, const {2} *data",
                      prefix, tensor.identifier, cType(tensor.type));
  std::vector<std::string> sizes = sizeNames(tensor);
  for (StringRef size : sizes)
    os << ", int64_t " << size;
  os << llvm::formatv(") {{\n  tn_tensor tensor = {{0};\n  int64_t count = 1;\n"
                      "  tensor.data = (void *)data;\n  tensor.type = {0};\n"
                      "  tensor.rank = {1};\n",
                      typeEnumerator(tensor.type), tensor.rank);
  for (auto [number, size] : llvm::enumerate(sizes))
    os << llvm::formatv("  count *= tensor.dims[{0}] = {1};\n", number, size);
  os << llvm::formatv(
      "  tensor.bytes = tn_type_bytes({0}, count);\n"
      "  return tn_session_set_input(session, {1}_INPUT_{2}, &tensor);\n}\n\n",
      typeEnumerator(tensor.type), prefix.upper(),
      StringRef(tensor.identifier).upper());
}

static void writeGetter(const Tensor &tensor, StringRef prefix,
                        llvm::raw_ostream &os) {
  os << llvm::formatv(
      "/* Of the last run; lives until the next. `dims` gets {0} sizes, unless "
      "it is NULL. */\nstatic inline tn_status {1}_get_{2}(const tn_session "
      "*session, const {3} **data, int64_t *dims) {{\n"
      "  tn_tensor tensor;\n"
      "  tn_status status = tn_session_output(session, {4}_OUTPUT_{5}, "
      "&tensor);\n"
      "  if (status != TN_OK)\n    return status;\n"
      "  *data = (const {3} *)tensor.data;\n"
      "  for (int32_t i = 0; dims && i < tensor.rank; ++i)\n"
      "    dims[i] = tensor.dims[i];\n"
      "  return TN_OK;\n}\n\n",
      tensor.rank, prefix, tensor.identifier, cType(tensor.type),
      prefix.upper(), StringRef(tensor.identifier).upper());
}

void tenon::writeHeader(StringRef description, StringRef model,
                        llvm::raw_ostream &os) {
  std::string prefix = identifier(model), guard = prefix;
  guard = StringRef(guard).upper() + "_TENON_H";
  std::vector<Tensor> inputs = readTensors(description, "input");
  std::vector<Tensor> outputs = readTensors(description, "output");
  os << "/* The inputs and outputs of the model " << model
     << ", for programs that load its artifact with\n"
        " * tn_module_load. Made by tenon compile --emit=header. */\n"
     << "#ifndef " << guard << "\n#define " << guard
     << "\n\n#include \"tenon-c/Runtime.h\"\n\n";
  writeNumbers(inputs, StringRef(prefix).upper(), "INPUT", os);
  writeNumbers(outputs, StringRef(prefix).upper(), "OUTPUT", os);
  for (const Tensor &tensor : inputs)
    writeSetter(tensor, prefix, os);
  for (const Tensor &tensor : outputs)
    writeGetter(tensor, prefix, os);
  os << "#endif\n";
}
