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

private:
  void allocateCaches();
  void check(const Step &step) const;
  void setInput(int64_t number, const void *data,
                std::initializer_list<int64_t> dims);

  std::shared_ptr<const Module> module;
  DecoderValues values;
  int64_t vocabularySize, slotCount, tokenCount;
  Session session;
  Arena caches; ///< one block for all, so that it lies in huge pages
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

void Decoder::setInput(int64_t number, const void *data,
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
  setInput(values.ids, ids, {step.batch, step.sequence});
  setInput(values.slots, step.slots, {step.batch});
  setInput(values.starts, step.starts, {step.batch});
  setInput(values.rows, step.rows, {step.rowCount});
  setInput(values.context, &context, {1});
  session.run();
  return static_cast<const float *>(session.output(int(values.logits)).data);
}

std::unique_ptr<StepModel>
tenon::runtime::makeDecoder(std::shared_ptr<const Module> module,
                            const DecoderOptions &options) {
  return std::make_unique<Decoder>(std::move(module), options);
}
