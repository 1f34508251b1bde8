// Checks inputs, finds sizes, allocates, runs.
#include "Session.h"
#include "ElementType.h"
#include "Failure.h"

#include <algorithm>
#include <cstring>
#include <new>

using namespace tenon::runtime;

using Clock = std::chrono::steady_clock;

// A memory check looks for writes into these bytes behind every block.
static constexpr int64_t guardBytes = 64;
static constexpr uint8_t guardByte = 0xA5;

static int64_t nanoseconds(Clock::duration time) {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(time).count();
}

static int threadCount(int wanted) {
  if (wanted > 0)
    return wanted;
  int cores = int(std::thread::hardware_concurrency());
  return cores > 0 ? cores : 1;
}

static const char *typeName(int32_t type) {
  const char *name = elementName(type);
  return name ? name : "of an unknown type";
}

/// Kernels read and write whole elements where the machine expects them.
static bool isAligned(const void *data, int32_t type) {
  return reinterpret_cast<uintptr_t>(data) % uintptr_t(elementBytes(type)) == 0;
}

/// Memory of the session. A session whose reserve failed goes on with less.
static uint8_t *reserve(Arena &arena, int64_t bytes, int64_t guard,
                        const std::string &what) {
  try {
    return arena.reserve(size_t(bytes) + size_t(guard));
  } catch (const std::bad_alloc &) {
    fail(TN_ERROR_MEMORY, "out of memory: ", what, " needs ", bytes, " bytes");
  }
}

Session::Session(std::shared_ptr<const Module> module,
                 tn_session_options options)
    : module(std::move(module)), options(options),
      work(this->module->description()),
      pool(this->module->device() ? 1 : threadCount(options.threads)) {
  const Description &text = this->module->description();
  inputs.resize(text.inputs.size());
  outputs = std::vector<Output>(text.outputs.size());
  symbols.resize(text.symbols.size());
  inputPointers.resize(inputs.size());
  outputPointers.resize(outputs.size());
  size_t ranks = 0;
  for (size_t i = 0; i < outputs.size(); ++i) {
    ranks += text.outputs[i].dims.size();
    outputs[i].tensor = {};
    outputs[i].tensor.type = text.outputs[i].type;
    outputs[i].tensor.rank = int32_t(text.outputs[i].dims.size());
  }
  outputSizes.resize(ranks);
  times.resize(text.launches.size());
  indexErrors.resize(2 * text.lookUps.size());
  if (!this->module->device())
    return;
  if (options.check_memory)
    fail(TN_ERROR_ARGUMENT, "memory is checked on the CPU only, but this "
                            "artifact runs on a GPU");
  device = std::make_unique<DeviceRun>(*this->module->device());
}

void Session::setInput(int number, const tn_tensor &tensor) {
  const std::vector<Value> &values = module->description().inputs;
  if (number < 0 || size_t(number) >= values.size())
    fail(TN_ERROR_INPUT, "there is no input ", number, ": the model has ",
         values.size());
  const Value &value = values[number];
  if (tensor.type != value.type)
    fail(TN_ERROR_INPUT, "input '", value.name, "' must be ",
         typeName(value.type), ", is ", typeName(tensor.type));
  if (tensor.rank != int32_t(value.dims.size()))
    fail(TN_ERROR_INPUT, "input '", value.name, "' must have ",
         value.dims.size(), " dimensions, has ", tensor.rank);
  for (int i = 0; i < tensor.rank; ++i) {
    if (tensor.dims[i] < 0)
      fail(TN_ERROR_INPUT, "input '", value.name, "' has size ", tensor.dims[i],
           " in dimension ", i);
    if (value.dims[i].size >= 0 && tensor.dims[i] != value.dims[i].size)
      fail(TN_ERROR_INPUT, "input '", value.name, "' must have size ",
           value.dims[i].size, " in dimension ", i, ", has ", tensor.dims[i]);
  }
  int64_t bytes = tensorBytes(tensor.type, tensor.dims, tensor.rank);
  if (bytes < 0)
    fail(TN_ERROR_INPUT, "input '", value.name, "' is too large");
  if (tensor.bytes < bytes)
    fail(TN_ERROR_INPUT, "input '", value.name, "' needs ", bytes,
         " bytes, has ", tensor.bytes);
  if (bytes > 0 && !tensor.data)
    fail(TN_ERROR_INPUT, "input '", value.name, "' needs ", bytes,
         " bytes, its data is null");
  if (!isAligned(tensor.data, tensor.type))
    fail(TN_ERROR_INPUT, "input '", value.name,
         "' lies at an address that is no multiple of the ",
         elementBytes(tensor.type), " bytes of an element");
  inputs[number] = {true, tensor};
  isResolved = false;
}

void Session::bindOutput(int number, void *data, int64_t bytes) {
  if (number < 0 || size_t(number) >= outputs.size())
    fail(TN_ERROR_ARGUMENT, "there is no output ", number, ": the model has ",
         outputs.size());
  if (data && bytes < 0)
    fail(TN_ERROR_ARGUMENT, "output ", number, " is bound to ", bytes,
         " bytes");
  if (!isAligned(data, outputs[number].tensor.type))
    fail(TN_ERROR_ARGUMENT, "output '",
         module->description().outputs[number].name,
         "' is bound to an address that is no multiple of the ",
         elementBytes(outputs[number].tensor.type), " bytes of an element");
  outputs[number].bound = data;
  outputs[number].boundBytes = data ? bytes : 0;
  outputs[number].isBound = data != nullptr;
  outputs[number].tensor.data = nullptr;
}

/// Beyond it lie only numbers that stand for 'as far as there is', as in ends
/// of slices.
static constexpr int64_t endOfAll = int64_t(1) << 62;

void Session::bindValue(int64_t &result, const Symbol &symbol) const {
  const tn_tensor &tensor = inputs[symbol.input].tensor;
  auto *data = static_cast<const uint8_t *>(tensor.data);
  if (tensor.type == TN_I32) {
    int32_t element;
    std::memcpy(&element, data + 4 * symbol.position, 4);
    result = element;
  } else {
    std::memcpy(&result, data + 8 * symbol.position, 8);
    if (result >= endOfAll || result <= -endOfAll)
      result = result > 0 ? symbol.max : symbol.min;
  }
  if (result < symbol.min || result > symbol.max)
    fail(TN_ERROR_INPUT, "element ", symbol.position, " of input '",
         module->description().inputs[symbol.input].name, "' must be from ",
         symbol.min, " to ", symbol.max, ", is ", result);
}

void Session::bindSymbols() {
  const Description &text = module->description();
  origin.assign(symbols.size(), {-1, -1});
  for (size_t i = 0; i < inputs.size(); ++i) {
    const Value &value = text.inputs[i];
    if (!inputs[i].isSet)
      fail(TN_ERROR_INPUT, "input '", value.name, "' is not set");
    for (size_t d = 0; d < value.dims.size(); ++d) {
      int symbol = value.dims[d].symbol;
      if (symbol < 0)
        continue;
      int64_t size = inputs[i].tensor.dims[d];
      if (origin[symbol].first < 0) {
        symbols[symbol] = size;
        origin[symbol] = {int(i), int(d)};
      } else if (symbols[symbol] != size) {
        fail(TN_ERROR_INPUT, "'", text.symbols[symbol].name, "' is ", size,
             " in dimension ", d, " of input '", value.name, "', and ",
             symbols[symbol], " in dimension ", origin[symbol].second,
             " of input '", text.inputs[origin[symbol].first].name, "'");
      }
    }
  }
  for (size_t s = 0; s < symbols.size(); ++s) {
    const Symbol &symbol = text.symbols[s];
    if (symbol.input >= 0) {
      bindValue(symbols[s], symbol);
      continue;
    }
    if (origin[s].first < 0) {
      // A size that was fixed when the model was compiled needs no input.
      if (symbol.min != symbol.max)
        fail(TN_ERROR_INPUT, "'", symbol.name, "' is the size of no input");
      symbols[s] = symbol.min;
    }
    if (symbols[s] < symbol.min || symbols[s] > symbol.max)
      fail(TN_ERROR_INPUT, "'", symbol.name, "' must be from ", symbol.min,
           " to ", symbol.max, ", is ", symbols[s], " (dimension ",
           origin[s].second, " of input '", text.inputs[origin[s].first].name,
           "')");
  }
}

/// Sizes that inputs hold may be any numbers, and so may those of a tensor
/// without elements: what is computed from them in the artifact must not have
/// wrapped around. Products of smaller sizes than `large` do not.
void Session::checkSizes() const {
  constexpr int64_t large = 1 << 15;
  const Description &text = module->description();
  if (std::all_of(symbols.begin(), symbols.end(),
                  [](int64_t size) { return size >= 0 && size < large; }))
    return;
  bool isSame = text.arenaBytes(symbols) == neededArena;
  const int64_t *size = outputSizes.data();
  for (const Value &output : text.outputs)
    for (const Dim &dim : output.dims) {
      isSame &= !dim.expression || dim.expression->evaluate(symbols) == *size;
      ++size;
    }
  if (!isSame)
    fail(TN_ERROR_INPUT, "the sizes that the inputs give are too large");
}

void Session::failAssumption(int64_t number, const std::string &given) const {
  const std::vector<std::string> &texts = module->description().assumes;
  bool isKnown = number > 0 && size_t(number) <= texts.size();
  fail(TN_ERROR_INPUT, "the model assumes ",
       isKnown ? texts[number - 1] : "something it does not name",
       ", which is false for ", given);
}

void Session::resolve() {
  const Description &text = module->description();
  isResolved = hasSizes = false;
  bindSymbols();
  neededArena = 0;
  int64_t failed =
      module->sizes(symbols.data(), outputSizes.data(), &neededArena);
  if (failed != 0) {
    std::ostringstream given;
    for (size_t s = 0; s < symbols.size(); ++s)
      given << (s ? ", " : "") << text.symbols[s].name << " = " << symbols[s];
    failAssumption(failed, given.str());
  }
  checkSizes();
  if (neededArena < 0)
    fail(TN_ERROR_MEMORY, "the model asks for ", neededArena,
         " bytes of memory");
  setOutputSizes(outputSizes);
  for (Output &output : outputs) {
    output.mostBytes = output.tensor.bytes;
    output.tensor.data = nullptr;
  }
  work.update(symbols);
  isResolved = hasSizes = true;
}

/// `sizes` are those of all outputs, one after the other.
void Session::setOutputSizes(const std::vector<int64_t> &sizes) {
  const Description &text = module->description();
  const int64_t *size = sizes.data();
  for (size_t i = 0; i < outputs.size(); ++i) {
    tn_tensor &tensor = outputs[i].tensor;
    for (int d = 0; d < tensor.rank; ++d) {
      tensor.dims[d] = *size++;
      if (tensor.dims[d] < 0)
        fail(TN_ERROR_INPUT, "output '", text.outputs[i].name,
             "' would have size ", tensor.dims[d], " in dimension ", d);
    }
    tensor.bytes = tensorBytes(tensor.type, tensor.dims, tensor.rank);
    if (tensor.bytes < 0)
      fail(TN_ERROR_MEMORY, "output '", text.outputs[i].name, "' is too large");
  }
}

void Session::allocate() {
  const Description &text = module->description();
  int64_t guard = options.check_memory ? guardBytes : 0;
  uint8_t *scratch =
      device ? nullptr : reserve(arena, neededArena, guard, "scratch memory");
  if (options.check_memory) {
    memoryCheck.emplace(text, symbols, neededArena);
    std::memset(scratch, unsetByte, size_t(neededArena));
    std::memset(scratch + neededArena, guardByte, size_t(guard));
  }
  for (size_t i = 0; i < outputs.size(); ++i) {
    Output &output = outputs[i];
    int64_t bytes = output.mostBytes;
    if (output.isBound) {
      if (output.boundBytes < bytes)
        fail(TN_ERROR_MEMORY, "output '", text.outputs[i].name, "' needs ",
             bytes, " bytes, is bound to ", output.boundBytes);
      output.tensor.data = output.bound;
      if (options.check_memory)
        std::memset(output.bound, unsetByte, size_t(bytes));
    } else {
      uint8_t *owned = reserve(output.owned, bytes, guard,
                               "output '" + text.outputs[i].name + "'");
      output.tensor.data = owned;
      if (options.check_memory) {
        std::memset(owned, unsetByte, size_t(bytes));
        std::memset(owned + bytes, guardByte, size_t(guard));
      }
    }
    outputPointers[i] = output.tensor.data;
  }
  // No kernel reads a tensor without elements, but none should see null.
  static uint8_t nothing[64];
  for (size_t i = 0; i < inputs.size(); ++i)
    inputPointers[i] = inputs[i].tensor.data ? inputs[i].tensor.data : nothing;
}

void Session::checkGuards() const {
  auto isIntact = [](const uint8_t *block, int64_t bytes) {
    for (int64_t i = 0; i < guardBytes; ++i)
      if (block[bytes + i] != guardByte)
        return false;
    return true;
  };
  if (!isIntact(arena.data(), neededArena))
    fail(TN_ERROR_MEMORY, "the run wrote behind the ", neededArena,
         " bytes of scratch memory");
  for (size_t i = 0; i < outputs.size(); ++i)
    if (!outputs[i].isBound &&
        !isIntact(outputs[i].owned.data(), outputs[i].mostBytes))
      fail(TN_ERROR_MEMORY, "the run wrote behind the ", outputs[i].mostBytes,
           " bytes of output '", module->description().outputs[i].name, "'");
}

void Session::checkIndices() const {
  for (size_t i = 0; i < indexErrors.size(); i += 2) {
    int64_t index = indexErrors[i], size = indexErrors[i + 1] - 1;
    if (size >= 0)
      fail(TN_ERROR_INPUT, "node '", module->description().lookUps[i / 2],
           "' uses index ", index, " of a dimension of size ", size,
           ", whose indices are from ", -size, " to ", size - 1);
  }
}

/// With a profile launches of a section run one after the other, so that each
/// has a time of its own.
void Session::runSection(tn_frame *frame, int64_t first, int64_t count,
                         const tn_grid *grids) {
  Session &session = *static_cast<Session *>(frame->session);
  if (session.memoryCheck)
    session.memoryCheck->fillFree(frame->arena, first);
  if (!session.options.profile)
    return session.pool.run(grids, session.work.of(first, count), count);
  for (int64_t i = 0; i < count; ++i) {
    Clock::time_point begin = Clock::now();
    session.pool.run(grids + i, session.work.of(first + i, 1), 1);
    session.addTime(first + i, begin);
  }
}

void Session::runSectionOnDevice(tn_frame *frame, int64_t first, int64_t count,
                                 const tn_grid *grids) {
  Session &session = *static_cast<Session *>(frame->session);
  for (int64_t i = 0; i < count; ++i) {
    Clock::time_point begin = Clock::now();
    session.device->launch(grids[i]);
    if (!session.options.profile)
      continue;
    session.device->wait();
    session.addTime(first + i, begin);
  }
}

void Session::addTime(int64_t launch, Clock::time_point begin) {
  int64_t taken = nanoseconds(Clock::now() - begin);
  if (launch < 0 || size_t(launch) >= times.size())
    return;
  LaunchTime &time = times[launch];
  ++time.calls;
  time.nanoseconds += taken;
  time.lastBegin = nanoseconds(begin - runBegin);
  time.last = taken;
}

void Session::runOnDevice(tn_frame &frame) {
  std::vector<tn_tensor> given, wanted;
  for (const Input &input : inputs) {
    given.push_back(input.tensor);
    given.back().bytes =
        tensorBytes(input.tensor.type, input.tensor.dims, input.tensor.rank);
  }
  for (const Output &output : outputs)
    wanted.push_back(output.tensor);
  frame.run_section = runSectionOnDevice;
  device->begin(frame, given, wanted, neededArena, indexErrors);
  module->run(&frame);
  device->end(wanted, indexErrors);
}

void Session::run() {
  // The caller may have written other values where the same input lies.
  if (!isResolved || module->description().readsValues())
    resolve();
  allocate();
  tn_frame frame;
  frame.inputs = inputPointers.data();
  frame.outputs = outputPointers.data();
  frame.arena = arena.data();
  frame.weights = module->weights();
  frame.symbols = symbols.data();
  frame.run_section = runSection;
  frame.session = this;
  std::fill(indexErrors.begin(), indexErrors.end(), 0);
  frame.index_errors = indexErrors.data();
  countedSizes = outputSizes;
  int64_t unequal[2] = {};
  frame.output_sizes = countedSizes.data();
  frame.unequal = unequal;
  runBegin = Clock::now();
  int64_t failed = 0;
  if (device)
    runOnDevice(frame);
  else
    failed = module->run(&frame);
  runTime += nanoseconds(Clock::now() - runBegin);
  checkIndices();
  if (failed != 0)
    failAssumption(failed, std::to_string(unequal[0]) + " and " +
                               std::to_string(unequal[1]));
  setOutputSizes(countedSizes);
  if (options.check_memory)
    checkGuards();
}

tn_tensor Session::output(int number) const {
  if (number < 0 || size_t(number) >= outputs.size())
    fail(TN_ERROR_ARGUMENT, "there is no output ", number, ": the model has ",
         outputs.size());
  if (!hasSizes)
    fail(TN_ERROR_ARGUMENT, "output '",
         module->description().outputs[number].name,
         "' is asked for before a run");
  return outputs[number].tensor;
}

void Session::resetProfile() {
  times.assign(times.size(), LaunchTime());
  runTime = 0;
}
