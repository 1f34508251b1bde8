// Parses a description line by line.
#include "Description.h"
#include "ElementType.h"
#include "Failure.h"

#include <algorithm>
#include <cctype>
#include <cstdlib>

using namespace tenon::runtime;

static int hexDigit(char c) {
  if (c >= '0' && c <= '9')
    return c - '0';
  c = char(std::tolower(c));
  return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/// "a%20b" -> "a b". A percent sign without two digits stays as it is.
static std::string decode(const std::string &text) {
  std::string result;
  for (size_t i = 0; i < text.size(); ++i) {
    bool escape = text[i] == '%' && i + 2 < text.size() &&
                  hexDigit(text[i + 1]) >= 0 && hexDigit(text[i + 2]) >= 0;
    if (escape) {
      result += char(hexDigit(text[i + 1]) * 16 + hexDigit(text[i + 2]));
      i += 2;
    } else {
      result += text[i];
    }
  }
  return result;
}

static bool isInteger(const std::string &word) {
  size_t digits = word.size() > 1 && word[0] == '-' ? 1 : 0;
  if (word.size() == digits || word.size() > digits + 19)
    return false;
  for (size_t i = digits; i < word.size(); ++i)
    if (!std::isdigit((unsigned char)word[i]))
      return false;
  return true;
}

namespace {
class Parser {
public:
  Description parse(const std::string &text) {
    lines = std::count(text.begin(), text.end(), '\n') + 1;
    // Symbols first: an input may use one that is stated behind it.
    parseRecords(text, /*symbols=*/true);
    parseRecords(text, /*symbols=*/false);
    return std::move(result);
  }

private:
  void parseRecords(const std::string &text, bool symbols) {
    std::istringstream lines(text);
    for (number = 1; std::getline(lines, line); ++number) {
      std::istringstream stream(line);
      words.clear();
      for (std::string word; stream >> word;)
        words.push_back(word);
      if (!words.empty() && (words[0] == "symbol") == symbols)
        parseRecord();
    }
  }

  void parseRecord() {
    const std::string &kind = words[0];
    if (kind == "symbol") {
      result.symbols.push_back(
          {decode(word(1)), integer(2), integer(3), integer(4), -1, 0});
    } else if (kind == "input") {
      Value value{decode(word(1)), type(2), {}, false};
      for (size_t i = 3; i < words.size(); ++i)
        value.dims.push_back(dim(words[i]));
      result.inputs.push_back(checked(std::move(value)));
    } else if (kind == "output") {
      Value value{decode(word(1)), type(2), {}, false};
      // The sizes come from the module's code; what follows the rank is there
      // to be read by people.
      int64_t rank = words.size() > 3 ? integer(3) : 0;
      if (rank < 0)
        refuse("has rank " + words[3]);
      for (int64_t i = 0; i < rank && i <= TN_MAX_RANK; ++i)
        value.dims.push_back(4 + size_t(i) < words.size() ? dim(words[4 + i])
                                                          : Dim());
      result.outputs.push_back(checked(std::move(value)));
    } else if (kind == "state") {
      result.inputs[statedInput(1)].isState = true;
    } else if (kind == "kept") {
      parseKept();
    } else if (kind == "lengths") {
      lengths = statedInput(1);
    } else if (kind == "decoder") {
      parseDecoder();
    } else if (kind == "element") {
      parseElement();
    } else if (kind == "extent") {
      statedOutputDim().expression = expression(3);
    } else if (kind == "counted") {
      statedOutputDim().isCounted = true;
    } else if (kind == "launch") {
      int64_t at = counter(1);
      if (size_t(at) >= result.launches.size())
        result.launches.resize(at + 1);
      result.launches[at].kernel = decode(word(2));
      result.launches[at].nodes = words.size() > 3 ? decode(words[3]) : "";
    } else if (kind == "facts") {
      statedLaunch().costs = {expression(2), expression(3), expression(4),
                              expression(5)};
    } else if (kind == "work") {
      statedLaunch().work = {expression(2), expression(3), expression(4),
                             expression(5)};
    } else if (kind == "kind") {
      statedLaunch().kind = decode(word(2));
    } else if (kind == "layer") {
      statedLaunch().layer = decode(word(2));
    } else if (kind == "unfused") {
      result.unfused.push_back({words.size() > 4 ? decode(words[4]) : "",
                                integer(1), expression(2), expression(3)});
    } else if (kind == "step") {
      statedLaunch().step = integer(2);
    } else if (kind == "index") {
      int64_t at = counter(1);
      if (size_t(at) >= result.lookUps.size())
        result.lookUps.resize(at + 1);
      result.lookUps[at] = words.size() > 2 ? decode(words[2]) : "";
    } else if (kind == "slice") {
      parseSlice();
    } else if (kind == "buffer") {
      parseBuffer();
    } else if (kind == "position") {
      result.buffers[size_t(statedBuffer(1))].position = integer(2);
    } else if (kind == "reads") {
      statedLaunch().reads = statedBuffers(2);
    } else if (kind == "writes") {
      statedLaunch().writes = statedBuffers(2);
    } else if (kind == "copy") {
      result.transfers.push_back(
          {integer(1), statedBuffer(2), statedBuffer(3)});
    } else if (kind == "read") {
      result.transfers.push_back({integer(1), statedBuffer(2), -1});
    } else if (kind == "total") {
      result.total = {expression(1), expression(2), expression(3), {}};
    } else if (kind == "live") {
      result.live.push_back(expression(1));
    } else if (kind == "weights") {
      result.weightBytes = integer(1);
    } else if (kind == "target") {
      parseTarget();
    } else if (kind == "assume") {
      size_t start = line.find("assume") + 6;
      start = line.find_first_not_of(' ', start);
      result.assumes.push_back(
          start == std::string::npos ? "" : decode(line.substr(start)));
    }
  }

  int64_t statedInput(size_t i) {
    int64_t input = integer(i);
    if (input < 0 || size_t(input) >= result.inputs.size())
      refuse("names input " + words[i] + ", which no record states before");
    return input;
  }

  void parseKept() {
    Value &input = result.inputs[statedInput(1)];
    int64_t dim = integer(2);
    if (input.dims.empty() || dim == 0 || dim < -1 ||
        dim >= int64_t(input.dims.size()))
      refuse("is about a dimension that no record states before");
    input.isKept = true;
    input.lengthDim = int(dim);
  }

  void parseDecoder() {
    DecoderValues values{statedInput(1), statedInput(2), statedInput(3),
                         statedInput(4), statedInput(5), integer(6),
                         lengths};
    auto isList = [&](int64_t input, size_t rank) {
      const Value &value = result.inputs[input];
      return value.dims.size() == rank &&
             (value.type == TN_I64 || (rank == 2 && value.type == TN_I32));
    };
    if (!isList(values.ids, 2) || !isList(values.slots, 1) ||
        !isList(values.starts, 1) || !isList(values.rows, 1) ||
        !isList(values.context, 1) || (lengths >= 0 && !isList(lengths, 1)))
      refuse("names inputs that are not as a decoder's are");
    if (values.logits < 0 || size_t(values.logits) >= result.outputs.size() ||
        result.outputs[values.logits].dims.size() != 3)
      refuse("names output " + words[6] + ", which are no logits");
    result.decoder = values;
  }

  void parseElement() {
    int symbol = dim(word(1)).symbol;
    int64_t input = integer(2), position = integer(3);
    if (symbol < 0 || input < 0 || size_t(input) >= result.inputs.size())
      refuse("is about a symbol or an input that no record states before");
    int64_t count = 1;
    for (const Dim &dim : result.inputs[input].dims)
      count *= std::clamp<int64_t>(dim.size, 0, 1 << 20);
    tn_type type = result.inputs[input].type;
    if ((type != TN_I32 && type != TN_I64) || position < 0 || position >= count)
      refuse("reads an element that the input does not have as an integer");
    result.symbols[symbol].input = int(input);
    result.symbols[symbol].position = position;
  }

  /// The dimension of an output that a record is about.
  Dim &statedOutputDim() {
    int64_t output = integer(1), dim = integer(2);
    if (output < 0 || size_t(output) >= result.outputs.size() || dim < 0 ||
        size_t(dim) >= result.outputs[output].dims.size())
      refuse("is about a dimension that no record states before");
    return result.outputs[output].dims[dim];
  }

  /// The launch that a record is about.
  Launch &statedLaunch() {
    int64_t at = integer(1);
    if (at < 0 || size_t(at) >= result.launches.size())
      refuse("is about a launch that no record states before");
    return result.launches[at];
  }

  void parseSlice() {
    int64_t id = counter(1);
    Slice slice{integer(2), integer(3), expression(4), {}};
    for (size_t i = 5; i < words.size(); ++i) {
      slice.below.push_back(integer(i));
      if (slice.below.back() < 0 || slice.below.back() >= id)
        refuse("lies above slice " + words[i] + ", which is no smaller number");
    }
    if (size_t(id) >= result.slices.size())
      result.slices.resize(id + 1);
    result.slices[id] = std::move(slice);
  }

  void parseBuffer() {
    if (counter(1) != int64_t(result.buffers.size()))
      refuse("is not the next of the buffers, which is " +
             std::to_string(result.buffers.size()));
    static const char *const places[] = {"input", "output", "slice", "weight",
                                         "constant"};
    auto place = std::find(std::begin(places), std::end(places), word(2));
    if (place == std::end(places))
      refuse("place '" + words[2] + "' is none that this runtime knows");
    Buffer buffer{Buffer::Place(place - std::begin(places)),
                  decode(word(3)),
                  word(4),
                  sizeIfSaid(5),
                  {},
                  -1};
    for (size_t i = 6; i < words.size(); ++i)
      buffer.dims.push_back(sizeIfSaid(i));
    result.buffers.push_back(std::move(buffer));
  }

  std::optional<Expression> sizeIfSaid(size_t i) {
    return word(i) == "?" ? std::nullopt : std::optional(expression(i));
  }

  int64_t statedBuffer(size_t i) {
    int64_t buffer = integer(i);
    if (buffer < 0 || size_t(buffer) >= result.buffers.size())
      refuse("names buffer " + words[i] + ", which no record states before");
    return buffer;
  }

  std::vector<int64_t> statedBuffers(size_t first) {
    std::vector<int64_t> buffers;
    for (size_t i = first; i < words.size(); ++i)
      buffers.push_back(statedBuffer(i));
    return buffers;
  }

  void parseTarget() {
    Target target{decode(word(1)), {}};
    for (size_t i = 2; i < words.size(); ++i) {
      size_t equals = words[i].find('=');
      char *end = nullptr;
      double value = equals == std::string::npos
                         ? 0
                         : std::strtod(words[i].c_str() + equals + 1, &end);
      if (!end || *end)
        refuse("needs KEY=NUMBER, not '" + words[i] + "'");
      target.facts[words[i].substr(0, equals)] = value;
    }
    result.target = std::move(target);
  }

  Expression expression(size_t i) {
    std::vector<std::string> names;
    for (const Symbol &symbol : result.symbols)
      names.push_back(symbol.name);
    try {
      return Expression(decode(word(i)), names);
    } catch (const Failure &failure) {
      refuse(failure.what());
    }
  }

  const std::string &word(size_t i) {
    if (i >= words.size())
      refuse("has " + std::to_string(words.size()) + " fields, needs " +
             std::to_string(i + 1));
    return words[i];
  }

  int64_t integer(size_t i) {
    if (!isInteger(word(i)))
      refuse("needs a number, not '" + words[i] + "'");
    return parseInteger(words[i]);
  }

  int64_t parseInteger(const std::string &digits) {
    try {
      return std::stoll(digits);
    } catch (const std::out_of_range &) {
      refuse("number '" + digits + "' is too large");
    }
  }

  /// The number of one of several records of a kind: there are no more of them
  /// than lines, and so a wrong one takes no memory.
  int64_t counter(size_t i) {
    int64_t value = integer(i);
    if (value < 0 || value >= lines)
      refuse("has number " + words[i] + ", but there are only " +
             std::to_string(lines) + " lines");
    return value;
  }

  tn_type type(size_t i) {
    std::optional<tn_type> type = parseElementType(word(i));
    if (!type)
      refuse("element type '" + words[i] + "' is none that this runtime knows");
    return *type;
  }

  Dim dim(const std::string &text) {
    if (text == "?")
      return {};
    if (isInteger(text))
      return {-1, parseInteger(text), {}, false};
    std::string name = decode(text);
    for (size_t i = 0; i < result.symbols.size(); ++i)
      if (result.symbols[i].name == name)
        return {int(i), -1, {}, false};
    refuse("no record states the symbol '" + name + "'");
  }

  Value checked(Value value) {
    if (value.dims.size() > TN_MAX_RANK)
      refuse("has more than " + std::to_string(TN_MAX_RANK) + " dimensions");
    return value;
  }

  [[noreturn]] void refuse(const std::string &why) {
    fail(TN_ERROR_ARTIFACT, "line ", number, " of the description ('", line,
         "'): ", why);
  }

  Description result;
  int64_t lengths = -1; ///< the input of a decoder that has them
  std::string line;
  std::vector<std::string> words;
  int number = 0;
  int64_t lines = 0;
};
} // namespace

Description tenon::runtime::parseDescription(const std::string &text) {
  return Parser().parse(text);
}

bool Description::readsValues() const {
  return std::any_of(symbols.begin(), symbols.end(),
                     [](const Symbol &symbol) { return symbol.input >= 0; });
}

/// Slices start at multiples of 64 bytes; see plan.alloc.
static int64_t alignSlice(int64_t bytes) {
  if (__builtin_add_overflow(bytes, 63, &bytes))
    fail(TN_ERROR_INPUT, "the memory that a run needs is too large");
  return bytes / 64 * 64;
}

static int64_t sum(int64_t lhs, int64_t rhs) {
  if (__builtin_add_overflow(lhs, rhs, &lhs))
    fail(TN_ERROR_INPUT, "the memory that a run needs is too large");
  return lhs;
}

std::vector<int64_t>
Description::sliceOffsets(const std::vector<int64_t> &sizes) const {
  std::vector<int64_t> offsets, ends;
  for (const Slice &slice : slices) {
    int64_t start = 0;
    for (int64_t below : slice.below)
      start = std::max(start, ends[below]);
    offsets.push_back(start);
    ends.push_back(alignSlice(sum(start, slice.bytes.evaluate(sizes))));
  }
  return offsets;
}

int64_t Description::arenaBytes(const std::vector<int64_t> &sizes) const {
  std::vector<int64_t> offsets = sliceOffsets(sizes);
  int64_t arena = 0;
  for (size_t i = 0; i < slices.size(); ++i)
    arena = std::max(
        arena, alignSlice(sum(offsets[i], slices[i].bytes.evaluate(sizes))));
  return arena;
}

int64_t Description::stateBytes(const std::vector<int64_t> &sizes) const {
  int64_t all = 0;
  for (const Value &input : inputs) {
    if (!input.isState)
      continue;
    int64_t bytes = elementBytes(input.type);
    for (const Dim &dim : input.dims) {
      int64_t size = dim.symbol >= 0 ? sizes[dim.symbol] : dim.size;
      if (__builtin_mul_overflow(bytes, size, &bytes))
        fail(TN_ERROR_INPUT, "the memory that a run needs is too large");
    }
    all = sum(all, bytes);
  }
  return all;
}

std::vector<bool>
Description::weightsReadInFull(const std::vector<int64_t> &sizes) const {
  std::vector<bool> isRead(buffers.size());
  for (const Launch &launch : launches) {
    if (!launch.reads)
      continue;
    for (int64_t number : *launch.reads) {
      const Buffer &buffer = buffers[size_t(number)];
      if (buffer.place == Buffer::Weight && buffer.bytes)
        isRead[size_t(number)] = isRead[size_t(number)] || !launch.costs ||
                                 launch.costs->readBytes.evaluate(sizes) >=
                                     buffer.bytes->evaluate(sizes);
    }
  }
  return isRead;
}

int64_t Description::liveBytes(const std::vector<int64_t> &sizes) const {
  int64_t most = 0;
  // The sum only grows where a slice begins to live.
  for (const Slice &at : slices) {
    int64_t live = 0;
    for (const Slice &slice : slices)
      if (slice.first <= at.first && at.first <= slice.last)
        live = sum(live, alignSlice(slice.bytes.evaluate(sizes)));
    most = std::max(most, live);
  }
  return most;
}
