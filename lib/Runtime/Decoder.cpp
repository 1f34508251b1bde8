// Runs steps of a module in the form of docs/decoders.md.
#include "Decoder.h"
#include "Arena.h"
#include "ElementType.h"
#include "Failure.h"
#include "Session.h"

#include <algorithm>
#include <cstring>
#include <new>

using namespace tenon::runtime;

/// What a sequence may hold where neither the caller nor the model says more.
static constexpr int64_t usualCapacity = 2048;

namespace {

class Decoder : public StepModel {
public:
  Decoder(std::shared_ptr<const Module> module, const DecoderOptions &options);

  int64_t vocabulary() const override { return vocabularySize; }
  int64_t slots() const override { return slotCount; }
  int64_t capacity() const override { return tokenCount; }
  const float *step(const Step &step) override;
  void setInput(int64_t slot, const std::string &name,
                const tn_tensor &tensor) override;

private:
  /// An input that each slot has its own of: row s of the tensor is slot s's,
  /// whose first `lengths[s]` places were given.
  struct Kept {
    int number; ///< of the input
    tn_tensor tensor;
    std::unique_ptr<Arena> memory;
    std::vector<int64_t> lengths; ///< -1: none given
  };

  void allocateCaches();
  void makeRoom(Kept &kept, int64_t length);
  void findLengths(const Step &step);
  void check(const Step &step) const;
  void bind(int64_t number, const void *data,
            std::initializer_list<int64_t> dims);

  std::shared_ptr<const Module> module;
  DecoderValues values;
  int64_t vocabularySize, slotCount, tokenCount;
  Session session;
  Arena caches; ///< one block for all, so that it lies in huge pages
  std::vector<Kept> kept;
  std::vector<int64_t> lengths;   ///< of the rows of a step
  std::vector<int32_t> narrowIds; ///< for models that take tokens as i32
  int64_t context = 0;
};

} // namespace

static const DecoderValues &valuesOf(const Module &module) {
  const Description &text = module.description();
  if (!text.decoder)
    fail(TN_ERROR_ARGUMENT,
         "the artifact is no decoder: compile the model with "
         "--decoder");
  return *text.decoder;
}

/// The limits that the module states for a symbol of a decoder.
static const Symbol *findSymbol(const Description &text, const char *name) {
  for (const Symbol &symbol : text.symbols)
    if (symbol.name == name)
      return &symbol;
  return nullptr;
}

static int64_t chooseCapacity(const Description &text, int64_t wanted) {
  const Symbol *symbol = findSymbol(text, "capacity");
  if (wanted < 0)
    fail(TN_ERROR_ARGUMENT, "a decoder cannot hold ", wanted, " tokens");
  if (!symbol)
    return wanted > 0 ? wanted : usualCapacity;
  if (wanted == 0)
    return symbol->hint > 0 ? symbol->hint
                            : std::min(usualCapacity, symbol->max);
  if (wanted < symbol->min || wanted > symbol->max)
    fail(TN_ERROR_ARGUMENT, "the model was compiled for a capacity from ",
         symbol->min, " to ", symbol->max, " tokens, not ", wanted);
  return wanted;
}

Decoder::Decoder(std::shared_ptr<const Module> given,
                 const DecoderOptions &options)
    : module(std::move(given)), values(valuesOf(*module)),
      vocabularySize(module->description().outputs[values.logits].dims[2].size),
      slotCount(options.slots),
      tokenCount(chooseCapacity(module->description(), options.capacity)),
      session(module, options.session) {
  if (slotCount < 1)
    fail(TN_ERROR_ARGUMENT, "a decoder needs at least one slot, not ",
         slotCount);
  if (vocabularySize < 1)
    fail(TN_ERROR_ARTIFACT, "the size of the vocabulary is not known");
  tn_type type = module->description().outputs[values.logits].type;
  if (type != TN_F32)
    fail(TN_ERROR_ARTIFACT, "logits are of ", elementName(type),
         ", not of f32");
  allocateCaches();
  lengths.reserve(size_t(slotCount)); // no step allocates
  for (size_t i = 0; i < module->description().inputs.size(); ++i)
    if (module->description().inputs[i].isKept)
      kept.push_back(
          {int(i), {}, {}, std::vector<int64_t>(size_t(slotCount), -1)});
}

/// Rounded up to a line, as a cache begins at one.
static int64_t alignCache(int64_t bytes) { return (bytes + 63) & ~int64_t(63); }

void Decoder::allocateCaches() {
  const Description &text = module->description();
  std::vector<std::pair<int, tn_tensor>> tensors;
  int64_t total = 0;
  for (size_t i = 0; i < text.inputs.size(); ++i) {
    const Value &input = text.inputs[i];
    if (!input.isState)
      continue;
    tn_tensor tensor = {};
    tensor.type = input.type;
    tensor.rank = int32_t(input.dims.size());
    int64_t bytes = elementBytes(input.type);
    bool isTooLarge = false;
    for (int d = 0; d < tensor.rank; ++d) {
      const Dim &dim = input.dims[d];
      const std::string &name =
          dim.symbol < 0 ? "" : text.symbols[dim.symbol].name;
      tensor.dims[d] = name == "slots"      ? slotCount
                       : name == "capacity" ? tokenCount
                                            : dim.size;
      isTooLarge |= tensor.dims[d] < 0 ||
                    __builtin_mul_overflow(bytes, tensor.dims[d], &bytes);
    }
    tensor.bytes = bytes;
    if (isTooLarge || bytes > INT64_MAX - 63 ||
        __builtin_add_overflow(total, alignCache(bytes), &total))
      fail(TN_ERROR_MEMORY, "cache '", input.name, "' is too large");
    tensors.push_back({int(i), tensor});
  }
  uint8_t *data;
  try {
    data = caches.reserve(size_t(total));
  } catch (const std::bad_alloc &) {
    fail(TN_ERROR_MEMORY, "out of memory: ", tensors.size(), " caches of ",
         slotCount, " slots for ", tokenCount, " tokens need ", total,
         " bytes");
  }
  for (auto &[input, tensor] : tensors) {
    tensor.data = data;
    data += alignCache(tensor.bytes);
    session.setInput(input, tensor);
  }
}

void Decoder::check(const Step &step) const {
  if (step.batch < 1 || step.batch > slotCount || step.sequence < 1 ||
      step.rowCount < 1 || step.rowCount > step.sequence)
    fail(TN_ERROR_ARGUMENT, "a step has ", step.batch, " rows of ",
         step.sequence, " tokens and logits of ", step.rowCount,
         ", but needs 1 to ", slotCount,
         " rows, a token in each and logits of 1 to all of them");
  for (int64_t b = 0; b < step.batch; ++b) {
    if (step.slots[b] < 0 || step.slots[b] >= slotCount ||
        std::count(step.slots, step.slots + b, step.slots[b]))
      fail(TN_ERROR_ARGUMENT, "row ", b, " of a step is in slot ",
           step.slots[b], ", but slots are from 0 to ", slotCount - 1,
           " and differ");
    if (step.starts[b] < 0 || step.starts[b] > tokenCount - step.sequence)
      fail(TN_ERROR_ARGUMENT, "row ", b, " of a step has ", step.sequence,
           " tokens at position ", step.starts[b], ", but a slot holds ",
           tokenCount);
  }
  for (int64_t i = 0; i < step.batch * step.sequence; ++i)
    if (step.ids[i] < 0 || step.ids[i] >= vocabularySize)
      fail(TN_ERROR_INPUT, "token ", step.ids[i], " (number ", i,
           " of the step) is not in the vocabulary of ", vocabularySize);
  for (int64_t r = 0; r < step.rowCount; ++r)
    if (step.rows[r] < (r ? step.rows[r - 1] + 1 : 0) ||
        step.rows[r] >= step.sequence)
      fail(TN_ERROR_ARGUMENT, "logits are wanted of token ", step.rows[r],
           ", but rows are increasing numbers below ", step.sequence);
}

/// Copies `count` places of each line of a slot between tensors that have room
/// for other numbers of them. Lines and places are those of dimension `dim`.
static void copyPlaces(const tn_tensor &from, int64_t fromSlot, tn_tensor &to,
                       int64_t toSlot, int dim, int64_t count) {
  int64_t lines = 1, bytes = elementBytes(from.type);
  for (int d = 1; d < from.rank; ++d)
    (d < dim ? lines : bytes) *= d == dim ? 1 : from.dims[d];
  int64_t fromLine = dim > 0 ? from.dims[dim] * bytes : bytes;
  int64_t toLine = dim > 0 ? to.dims[dim] * bytes : bytes;
  for (int64_t line = 0; line < lines; ++line)
    std::memcpy(static_cast<char *>(to.data) + (toSlot * lines + line) * toLine,
                static_cast<const char *>(from.data) +
                    (fromSlot * lines + line) * fromLine,
                size_t(count * bytes));
}

/// Memory for places up to `length` in each slot, which keep what they hold.
void Decoder::makeRoom(Kept &own, int64_t length) {
  const Value &value = module->description().inputs[own.number];
  int dim = value.lengthDim;
  tn_tensor larger = {};
  larger.type = value.type;
  larger.rank = int32_t(value.dims.size());
  for (int d = 0; d < larger.rank; ++d)
    larger.dims[d] = d == 0     ? slotCount
                     : d == dim ? length
                                : value.dims[d].size;
  larger.bytes = tensorBytes(larger.type, larger.dims, larger.rank);
  auto memory = std::make_unique<Arena>();
  try {
    if (larger.bytes < 0)
      throw std::bad_alloc();
    larger.data = memory->reserve(size_t(larger.bytes));
  } catch (const std::bad_alloc &) {
    fail(TN_ERROR_MEMORY, "out of memory: input '", value.name, "' needs ",
         larger.bytes, " bytes");
  }
  // What nobody gave is computed with as well, and seen by nothing.
  std::memset(larger.data, 0, size_t(larger.bytes));
  for (int64_t slot = 0; slot < slotCount; ++slot)
    if (own.lengths[size_t(slot)] > 0)
      copyPlaces(own.tensor, slot, larger, slot, dim,
                 own.lengths[size_t(slot)]);
  own.tensor = larger;
  own.memory = std::move(memory);
}

void Decoder::setInput(int64_t slot, const std::string &name,
                       const tn_tensor &tensor) {
  const Description &text = module->description();
  if (slot < 0 || slot >= slotCount)
    fail(TN_ERROR_ARGUMENT, "there is no slot ", slot, ": the decoder has ",
         slotCount);
  auto own = std::find_if(kept.begin(), kept.end(), [&](const Kept &one) {
    return text.inputs[one.number].name == name;
  });
  if (own == kept.end())
    return StepModel::setInput(slot, name, tensor);
  if (tensor.rank > 0 && tensor.dims[0] != 1)
    fail(TN_ERROR_INPUT, "input '", name,
         "' of a sequence must have size 1 in dimension 0, has ",
         tensor.dims[0]);
  session.setInput(own->number, tensor); // which says what is wrong about it
  int dim = text.inputs[own->number].lengthDim;
  int64_t length = dim < 0 ? 1 : tensor.dims[dim];
  if (length < 1)
    fail(TN_ERROR_INPUT, "input '", name, "' has length ", length,
         ", but a sequence needs 1 or more");
  // Inputs whose length is not fixed share its symbol.
  for (Kept &one : kept) {
    const Value &value = text.inputs[one.number];
    int otherDim = value.lengthDim;
    bool isFixed = otherDim < 0 || value.dims[otherDim].size >= 0;
    if (!one.tensor.data || (!isFixed && one.tensor.dims[otherDim] < length))
      makeRoom(one,
               isFixed && otherDim >= 0 ? value.dims[otherDim].size : length);
  }
  copyPlaces(tensor, 0, own->tensor, slot, dim, length);
  own->lengths[size_t(slot)] = length;
}

/// Of the rows of a step, for which all that they keep must be there.
void Decoder::findLengths(const Step &step) {
  const Description &text = module->description();
  lengths.clear();
  for (int64_t b = 0; b < step.batch; ++b) {
    size_t slot = size_t(step.slots[b]);
    const Kept *first = nullptr;
    for (const Kept &one : kept) {
      const Value &value = text.inputs[one.number];
      if (one.lengths[slot] < 0)
        fail(TN_ERROR_INPUT, "sequence ", slot, " has no input '", value.name,
             "', which an encoder gives");
      if (value.lengthDim < 0)
        continue;
      if (first && one.lengths[slot] != first->lengths[slot])
        fail(TN_ERROR_INPUT, "sequence ", slot, " has input '", value.name,
             "' of length ", one.lengths[slot], ", but '",
             text.inputs[first->number].name, "' of length ",
             first->lengths[slot]);
      first = &one;
    }
    lengths.push_back(first ? first->lengths[slot] : 0);
  }
  for (const Kept &one : kept)
    session.setInput(one.number, one.tensor);
}

void Decoder::bind(int64_t number, const void *data,
                   std::initializer_list<int64_t> dims) {
  tn_tensor tensor = {};
  tensor.data = const_cast<void *>(data);
  tensor.type = module->description().inputs[number].type;
  tensor.bytes = elementBytes(tensor.type);
  for (int64_t size : dims) {
    tensor.dims[tensor.rank++] = size;
    tensor.bytes *= size;
  }
  session.setInput(int(number), tensor);
}

const float *Decoder::step(const Step &step) {
  check(step);
  int64_t count = step.batch * step.sequence;
  const void *ids = step.ids;
  if (module->description().inputs[values.ids].type == TN_I32) {
    narrowIds.assign(step.ids, step.ids + count);
    ids = narrowIds.data();
  }
  context =
      *std::max_element(step.starts, step.starts + step.batch) + step.sequence;
  findLengths(step);
  if (values.lengths >= 0)
    bind(values.lengths, lengths.data(), {step.batch});
  bind(values.ids, ids, {step.batch, step.sequence});
  bind(values.slots, step.slots, {step.batch});
  bind(values.starts, step.starts, {step.batch});
  bind(values.rows, step.rows, {step.rowCount});
  bind(values.context, &context, {1});
  session.run();
  return static_cast<const float *>(session.output(int(values.logits)).data);
}

std::unique_ptr<StepModel>
tenon::runtime::makeDecoder(std::shared_ptr<const Module> module,
                            const DecoderOptions &options) {
  return std::make_unique<Decoder>(std::move(module), options);
}
