// Fills the inputs of a model from files or from a fixed random sequence.
#include "Model.h"
#include "TensorProto.h"

#include <algorithm>
#include <cctype>
#include <cmath>
#include <cstring>
#include <functional>
#include <random>
#include <sys/stat.h>

using namespace tenon::runtime;

static void check(tn_status status) {
  if (status != TN_OK)
    throw CommandError(tn_last_error());
}

Model::Model(const std::string &artifact, const tn_session_options &options) {
  check(tn_module_load(artifact.c_str(), &module));
  if (tn_session_create(module, &options, &session) != TN_OK) {
    std::string message = tn_last_error();
    tn_module_release(module);
    throw CommandError(message);
  }
  inputs.resize(size_t(tn_module_input_count(module)));
}

Model::~Model() {
  tn_session_release(session);
  tn_module_release(module);
}

int Model::inputNumber(const std::string &name) const {
  std::string names;
  for (int i = 0; i < tn_module_input_count(module); ++i) {
    if (name == tn_module_input_name(module, i))
      return i;
    names +=
        (i ? ", '" : "'") + std::string(tn_module_input_name(module, i)) + "'";
  }
  throw CommandError("the model has no input '" + name + "', it has " +
                     (names.empty() ? "none" : names));
}

void Model::setInput(int number, Tensor tensor) {
  tn_tensor view = {};
  if (tensor.dims.size() > TN_MAX_RANK)
    throw CommandError("input " + std::to_string(number) + " has " +
                       std::to_string(tensor.dims.size()) +
                       " dimensions, at most " + std::to_string(TN_MAX_RANK) +
                       " are possible");
  inputs[size_t(number)] = std::move(tensor);
  Tensor &kept = inputs[size_t(number)];
  view.data = kept.data.data();
  view.bytes = int64_t(kept.data.size());
  view.type = kept.type;
  view.rank = int32_t(kept.dims.size());
  std::copy(kept.dims.begin(), kept.dims.end(), view.dims);
  check(tn_session_set_input(session, number, &view));
}

void Model::readDataSet(const std::string &folder) {
  for (int i = 0;; ++i) {
    std::string path = folder + "/input_" + std::to_string(i) + ".pb";
    struct stat state;
    if (stat(path.c_str(), &state) != 0)
      return;
    Tensor tensor = readTensorProto(path);
    int number = i;
    for (int j = 0; j < tn_module_input_count(module); ++j)
      if (tensor.name == tn_module_input_name(module, j))
        number = j;
    if (number >= tn_module_input_count(module))
      throw CommandError("'" + path + "' is for input " + std::to_string(i) +
                         ", the model has " +
                         std::to_string(tn_module_input_count(module)));
    setInput(number, std::move(tensor));
  }
}

static bool contains(std::string text, const char *word) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](unsigned char c) { return char(std::tolower(c)); });
  return text.find(word) != std::string::npos;
}

template <typename T>
static void fill(Tensor &tensor, int64_t count,
                 const std::function<double(int64_t)> &value) {
  for (int64_t i = 0; i < count; ++i) {
    T element = T(value(i));
    std::memcpy(tensor.data.data() + i * int64_t(sizeof(T)), &element,
                sizeof(T));
  }
}

/// Fills elements of a float narrower than f32 with the top bits of one, or
/// for f16 with a number from 0.5 to 1.
static void fillNarrow(Tensor &tensor, int64_t count, std::mt19937 &random) {
  int64_t size = int64_t(tensor.data.size()) / std::max<int64_t>(count, 1);
  for (int64_t i = 0; i < count; ++i) {
    uint16_t bits = 0;
    if (tensor.type == TN_F16)
      bits = uint16_t(0x3800 | (random() & 0x83ff));
    else if (tensor.type == TN_BF16)
      bits = uint16_t(0x3f00 | (random() & 0x807f));
    else
      bits = uint16_t(0x30 | (random() & 0x87));
    std::memcpy(tensor.data.data() + i * size, &bits, size_t(size));
  }
}

/// Elements that are symbols, which are named after the input.
static void fillSizes(Tensor &tensor,
                      const std::map<std::string, int64_t> &symbols) {
  if ((tensor.type != TN_I64 && tensor.type != TN_I32) ||
      tensor.dims.size() > 1)
    return;
  size_t width = tensor.type == TN_I64 ? 8 : 4;
  for (const auto &[name, value] : symbols)
    for (size_t i = 0; i < tensor.data.size() / width; ++i)
      // Both are little-endian: the narrow one is the first half.
      if (name == tensor.name + "[" + std::to_string(i) + "]")
        std::memcpy(tensor.data.data() + i * width, &value, width);
}

void Model::inventInputs(const std::map<std::string, int64_t> &sizes) {
  std::map<std::string, int64_t> chosen;
  for (int s = 0; s < tn_module_symbol_count(module); ++s) {
    tn_symbol symbol;
    check(tn_module_symbol(module, s, &symbol));
    chosen[symbol.name] =
        symbol.hint >= 0 ? symbol.hint : std::max<int64_t>(1, symbol.min);
  }
  for (const auto &[name, size] : sizes) {
    if (!chosen.count(name)) {
      std::string names;
      for (const auto &entry : chosen)
        names += (names.empty() ? "'" : ", '") + entry.first + "'";
      throw CommandError("the model has no symbol '" + name + "', it has " +
                         (names.empty() ? "none" : names));
    }
    chosen[name] = size;
  }
  tn_decoder_values decoder;
  bool isDecoder = tn_module_decoder_values(module, &decoder) == TN_OK;
  std::string sequence =
      isDecoder ? tn_module_input_dim(module, decoder.ids, 1).symbol : "";
  if (isDecoder && !sizes.count("context"))
    chosen["context"] = std::max(chosen["context"], chosen[sequence]);
  if (isDecoder && !sizes.count("slots"))
    chosen["slots"] = std::max(chosen["slots"], chosen["batch"]);
  if (isDecoder && !sizes.count("capacity"))
    chosen["capacity"] = std::max(chosen["capacity"], chosen["context"]);
  std::mt19937 random(1);
  for (int i = 0; i < tn_module_input_count(module); ++i) {
    Tensor tensor;
    tensor.name = tn_module_input_name(module, i);
    tensor.type = tn_module_input_type(module, i);
    int64_t count = 1;
    for (int d = 0; d < tn_module_input_rank(module, i); ++d) {
      tn_dim dim = tn_module_input_dim(module, i, d);
      int64_t size =
          dim.symbol ? chosen[dim.symbol] : std::max<int64_t>(dim.size, 0);
      tensor.dims.push_back(size);
      if (__builtin_mul_overflow(count, size, &count))
        throw CommandError("input '" + tensor.name + "' is too large");
    }
    int64_t bytes = tn_type_bytes(tensor.type, count);
    if (bytes < 0)
      throw CommandError("input '" + tensor.name + "' is too large");
    tensor.data.resize(size_t(bytes));
    int64_t last =
        tensor.dims.empty() ? 1 : std::max<int64_t>(1, tensor.dims.back());
    auto number = [&](int64_t at) -> double {
      // The last `sequence` of `context` tokens, and logits of the last rows.
      if (isDecoder && i == decoder.slots)
        return double(at);
      if (isDecoder && i == decoder.context)
        return double(chosen["context"]);
      if (isDecoder && i == decoder.starts)
        return double(chosen["context"] - chosen[sequence]);
      if (isDecoder && i == decoder.rows)
        return double(chosen[sequence] - last + at);
      if (contains(tensor.name, "mask"))
        return 1;
      if (contains(tensor.name, "token_type") ||
          contains(tensor.name, "segment"))
        return 0;
      if (contains(tensor.name, "position"))
        return double(at % last);
      // Small enough for the look-ups of small models too.
      return double(random() % 50);
    };
    auto small = [&](int64_t at) { return std::fmod(number(at), 100); };
    auto real = [&](int64_t) { return double(random()) / 2147483648.0 - 1; };
    switch (tensor.type) {
    case TN_F32:
      fill<float>(tensor, count, real);
      break;
    case TN_F64:
      fill<double>(tensor, count, real);
      break;
    case TN_I64:
    case TN_U64:
      fill<int64_t>(tensor, count, number);
      break;
    case TN_I32:
    case TN_U32:
      fill<int32_t>(tensor, count, number);
      break;
    case TN_I16:
    case TN_U16:
      fill<int16_t>(tensor, count, small);
      break;
    case TN_I8:
    case TN_U8:
      fill<int8_t>(tensor, count, small);
      break;
    case TN_BOOL:
      fill<int8_t>(tensor, count, [](int64_t) { return 1.0; });
      break;
    default:
      fillNarrow(tensor, count, random);
    }
    fillSizes(tensor, chosen);
    setInput(i, std::move(tensor));
  }
}

void Model::run() { check(tn_session_run(session)); }

tn_tensor Model::output(int number) const {
  tn_tensor tensor;
  check(tn_session_output(session, number, &tensor));
  return tensor;
}

void Model::writeOutputs(const std::string &folder) const {
  mkdir(folder.c_str(), 0777); // what it could not do, writing will say
  for (int i = 0; i < outputCount(); ++i)
    writeTensorProto(folder + "/output_" + std::to_string(i) + ".pb",
                     tn_module_output_name(module, i), output(i));
}
