// generate: token ids behind token ids, for people or for a benchmark that
// asks.
#include "../Decoder.h"
#include "../Failure.h"
#include "Commands.h"
#include "Costs.h"
#include "Ids.h"
#include "Interrupt.h"
#include "Machine.h"
#include "NpyFile.h"

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <sstream>

using namespace tenon::runtime;

using Clock = std::chrono::steady_clock;

/// Bytes of the weights that every step reads in full: not those that it only
/// looks rows up in.
static int64_t readWeightBytes(const Description &description) {
  if (description.buffers.empty())
    return description.weightBytes;
  std::map<std::string, int64_t> shape;
  for (const Symbol &symbol : description.symbols)
    for (const char *one : {"batch", "sequence", "rows", "slots", "context"})
      if (symbol.name == one)
        shape[one] = 1;
  std::vector<int64_t> sizes = chooseSizes(description, shape);
  std::vector<bool> isRead = description.weightsReadInFull(sizes);
  int64_t bytes = 0;
  for (size_t i = 0; i < isRead.size(); ++i)
    if (isRead[i])
      bytes += description.buffers[i].bytes->evaluate(sizes);
  return bytes;
}

/// Bytes of the caches that a decoder has.
static int64_t kvCacheBytes(const Description &description,
                            const StepModel &model) {
  std::map<std::string, int64_t> shape;
  for (const Symbol &symbol : description.symbols) {
    if (symbol.name == "slots")
      shape["slots"] = model.slots();
    if (symbol.name == "capacity")
      shape["capacity"] = model.capacity();
  }
  return description.stateBytes(chooseSizes(description, shape));
}

/// The most memory that the process had, in bytes; 0 where nobody says.
static double peakBytes() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);)
    if (line.compare(0, 6, "VmHWM:") == 0)
      return std::strtod(line.c_str() + 6, nullptr) * 1024;
  return 0;
}

static double perSecond(double count, int64_t nanoseconds) {
  return nanoseconds > 0 ? count * 1e9 / double(nanoseconds) : 0;
}

static const char *endName(End end) {
  switch (end) {
  case End::None:
    return "none";
  case End::Stop:
    return "stop";
  case End::Limit:
    return "limit";
  case End::Asked:
    return "interrupt";
  case End::Full:
    return "full";
  }
  return "none";
}

namespace {
/// What a run has to say of itself.
struct Rates {
  Rates(const GenerationStatistics &counts, const Arguments &arguments,
        const Description &description)
      : counts(counts), prompt(perSecond(double(counts.promptTokens),
                                         counts.promptNanoseconds)),
        decode(
            perSecond(double(counts.decodedTokens), counts.decodeNanoseconds)),
        peak(peakBytes()) {
    if (!arguments.rates)
      return;
    threads = threadCount(arguments);
    weights = perSecond(double(readWeightBytes(description)) *
                            double(counts.decodeSteps),
                        counts.decodeNanoseconds);
    memory = measureReadRate(threads) * 1e9;
  }

  void print() const {
    std::printf("prompt %lld tokens, %.1f tokens/s; generated %lld tokens, "
                "%.1f tokens/s",
                (long long)counts.promptTokens, prompt,
                (long long)counts.generatedTokens, decode);
    if (counts.drafted)
      std::printf("; %lld of %lld drafted tokens accepted",
                  (long long)counts.accepted, (long long)counts.drafted);
    if (memory > 0)
      std::printf("; weights %.1f GB/s, %.0f %% of the %.1f GB/s that %d "
                  "thread%s read",
                  weights * 1e-9, 100 * weights / memory, memory * 1e-9,
                  threads, threads == 1 ? "" : "s");
    std::printf("; peak memory %.1f MB\n", peak * 1e-6);
  }

  void printJson(const std::vector<int64_t> &output, End end) const {
    std::printf("{\"tokens\": [");
    for (size_t i = 0; i < output.size(); ++i)
      std::printf("%s%lld", i ? ", " : "", (long long)output[i]);
    std::printf("],\n \"end\": \"%s\", \"prompt_tokens\": %lld, "
                "\"prompt_tokens_per_second\": %.3f,\n \"generated_tokens\": "
                "%lld, \"generated_tokens_per_second\": %.3f,\n \"drafted\": "
                "%lld, \"accepted\": %lld,\n ",
                endName(end), (long long)counts.promptTokens, prompt,
                (long long)counts.generatedTokens, decode,
                (long long)counts.drafted, (long long)counts.accepted);
    if (memory > 0)
      std::printf("\"weight_bytes_per_second\": %.0f, "
                  "\"memory_bytes_per_second\": %.0f,\n ",
                  weights, memory);
    std::printf("\"peak_bytes\": %.0f}\n", peak);
  }

  const GenerationStatistics &counts;
  double prompt, decode, peak, weights = 0, memory = 0;
  int threads = 0;
};
} // namespace

static std::unique_ptr<StepModel>
makeModel(std::shared_ptr<const Module> module, const Arguments &arguments,
          int64_t capacity) {
  DecoderOptions options;
  options.session = arguments.session;
  options.capacity = arguments.capacity ? arguments.capacity : capacity;
  return makeDecoder(std::move(module), options);
}

/// What an encoder gave, from files.
static void setInputs(Generator &generator, const Description &description,
                      const Arguments &arguments) {
  for (const auto &[name, file] : arguments.inputs) {
    int32_t type = 0;
    for (const Value &input : description.inputs)
      if (input.name == name)
        type = input.type;
    Tensor read = readNpy(file, type);
    tn_tensor tensor = {};
    tensor.data = read.data.data();
    tensor.bytes = int64_t(read.data.size());
    tensor.type = read.type;
    tensor.rank = int32_t(read.dims.size());
    std::copy(read.dims.begin(), read.dims.end(), tensor.dims);
    generator.setInput(0, name, tensor);
  }
}

int tenon::runtime::generateCommand(const Arguments &arguments) {
  if (arguments.worker)
    return generateWorker(arguments);
  // Before there are threads, which inherit what is held back.
  Interrupt interrupt;
  std::vector<int64_t> prompt = readIds(arguments.ids);
  if (!arguments.generation.maxTokens && !arguments.capacity)
    throw CommandError("without a number of --max-tokens, --capacity must be "
                       "given");
  auto module = std::make_shared<const Module>(arguments.artifact);
  std::unique_ptr<StepModel> model =
      makeModel(module, arguments,
                int64_t(prompt.size()) + arguments.generation.maxTokens);
  Generator generator(*model);
  setInputs(generator, module->description(), arguments);
  generator.setOptions(0, arguments.generation);
  generator.setPrompt(0, prompt.data(), int64_t(prompt.size()));

  std::vector<int64_t> output;
  auto onToken = [&](int64_t, int64_t token) {
    output.push_back(token);
    if (!arguments.json) {
      std::printf("%s%lld", output.size() > 1 ? " " : "", (long long)token);
      std::fflush(stdout);
    }
    return interrupt.isAsked() ? Next::StopAll : Next::Continue;
  };
  std::string failure;
  try {
    generator.begin();
    while (generator.step(onToken))
      if (interrupt.isAsked())
        generator.stop();
  } catch (const Failure &error) {
    failure = error.what(); // what was generated before it is worth as much
  }
  if (!arguments.json)
    std::printf("\n");
  Rates rates(generator.statistics(), arguments, module->description());
  if (arguments.json)
    rates.printJson(output, generator.end(0));
  else
    rates.print();
  if (!failure.empty())
    throw CommandError(failure);
  return interrupt.isAsked() ? 130 : 0;
}

int tenon::runtime::generateWorker(const Arguments &arguments) {
  Clock::time_point begin = Clock::now();
  std::vector<int64_t> ids = readIds(arguments.ids);
  auto module = std::make_shared<const Module>(arguments.artifact);
  std::unique_ptr<StepModel> model =
      makeModel(module, arguments, int64_t(ids.size()));
  Generator generator(*model);
  setInputs(generator, module->description(), arguments);
  double seconds = std::chrono::duration<double>(Clock::now() - begin).count();
  const Description &description = module->description();
  std::printf("info load_s %.4f\ninfo version abi-%u\ninfo weight_bytes "
              "%lld\ninfo cache_bytes %lld\nready\n",
              seconds, tn_abi_version(),
              (long long)readWeightBytes(description),
              (long long)kvCacheBytes(description, *model));
  std::fflush(stdout);
  std::vector<int64_t> output;
  auto run = [&](int64_t tokens) {
    GenerationOptions options = arguments.generation;
    options.maxTokens = tokens;
    generator.setOptions(0, options);
    generator.run([&](int64_t, int64_t token) {
      output.push_back(token);
      return Next::Continue;
    });
  };
  for (std::string line; std::getline(std::cin, line);) {
    std::istringstream words(line);
    std::string request;
    int64_t count = 0;
    words >> request >> count;
    Clock::time_point start = Clock::now();
    if (request == "quit")
      break;
    if (request == "prefill" && count > 0) {
      if (count > int64_t(ids.size()))
        throw CommandError("prefill of " + std::to_string(count) +
                           " tokens, the prompt has " +
                           std::to_string(ids.size()));
      generator.rewind(0, 0);
      output.clear();
      generator.setPrompt(0, ids.data(), count);
      run(1);
    } else if (request == "decode" && count > 0) {
      run(count);
    } else if (request == "tokens") {
      for (size_t i = 0; i < output.size(); ++i)
        std::printf("%s%lld", i ? " " : "", (long long)output[i]);
      std::printf("\n");
      std::fflush(stdout);
      continue;
    } else {
      throw CommandError("unknown request '" + line + "'");
    }
    std::printf("%lld\n",
                (long long)std::chrono::duration_cast<std::chrono::nanoseconds>(
                    Clock::now() - start)
                    .count());
    std::fflush(stdout);
  }
  return 0;
}
