// Parses the arguments of all commands on an artifact.
#include "tenon-c/CommandLine.h"
#include "Commands.h"
#include "Ids.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <thread>

using namespace tenon::runtime;

static const char usage[] =
    R"(usage: COMMAND %s[OPTION...]

run       run the model once
  --data-set DIR         read input_0.pb, input_1.pb, ... (TensorProto)
  --input NAME=FILE.npy  read one input
  --shape NAME=SIZE,...  without any of these: random inputs of these sizes
  --output DIR           write output_0.pb, output_1.pb, ...
  --check                compare with output_0.pb, ... of the data set:
  --atol A, --rtol R     |found - expected| <= A + R * |expected| (1e-4, 1e-4)
  --check-memory         run again with NaN in all memory that holds nothing:
                         outputs must not change, nothing lie behind the end
bench     measure the time of a run on random inputs
  --shape NAME=SIZE,...  sizes of the symbols
  --seconds S            how long to measure (2)
  --predict              first say how long it should take
  --roofline FILE.svg    then time each launch for as long, and draw kernels
                         under what the machine can do
  --worker DIR           speak the protocol of a benchmark on stdin and stdout,
                         on the inputs in DIR
profile   the time of every launch, and of each kind: products, attention,
          norms, elementwise, moves. Says of each how much of its limit it
          reached and what that is: products of f32, bf16 or int8, elements
          (instructions beside products), memory or cache (bytes that have to
          be moved from there), or launch (where the work is
          less than what launching costs). The first line has the limits: those
          of the facts file that the artifact was compiled for, else measured
  --shape NAME=SIZE,...  sizes of the symbols
  --seconds S            how long to measure (2)
  --trace FILE.json      write one run as a Chrome trace
generate  go on from a prompt with an artifact that --decoder has made: prints
          ids of tokens as they come, then rates and memory. Ctrl-C ends it
          behind the token that is being computed, with exit code 130
  --ids FILE|N,N,...     the prompt: ids, or a file with them (.npy or text)
  --input NAME=FILE.npy  what an encoder gave: one of the inputs that a decoder
                         of an encoder-decoder keeps, for a batch of 1
  --max-tokens N         how many tokens (128); 0: until the context is full
  --stop N,...           end behind one of these tokens
  --temperature T        0: the most probable token each time (0)
  --top-k K              draw only from the K most probable tokens; 0: all (0)
  --top-p P              then only from the most probable that have
                         probability P together (1)
  --repetition-penalty R divide the logits of tokens that came already, as
                         Hugging Face does (1)
  --seed S               of the random numbers (0)
  --speculate K          draft up to K tokens from the text; changes nothing
                         but the time (0)
  --capacity N           tokens that the context has room for (what is needed)
  --slide                when it is full, drop the oldest tokens but the first 4
  --rates                how fast weights are read, and memory could be
  --json
  --worker               speak the protocol of a benchmark on stdin and stdout;
                         --ids has the prompt
evaluate  say how well an artifact that --decoder has made predicts a text
  --perplexity           e^(mean loss) over windows without overlap; the first
                         token of each is not scored
  --ids FILE             ids of the text (.npy or text)
  --against ARTIFACT     also how far it is from another: mean KL divergence and
                         how often both find the same token most probable
  --window N             tokens of a window (512)
  --windows N            how many, from the beginning of the text (16)
  --json
info      inputs, outputs, sizes, work and memory, and what each layer takes
          before and after fusion; runs nothing
  --shape NAME=SIZE,...  sizes to evaluate them at
  --json
  --graph FILE.svg       draw the launches and the tensors between them
plan      work, memory and predicted time of every launch; runs nothing
  --shape NAME=SIZE,...  sizes of the symbols
  --json
  --memory FILE.svg      draw what lies where in the arena while what runs
all
  --threads N            threads to use; 0: one per core (0)

example: COMMAND %s--shape batch=1,sequence=128 --threads 2
)";

/// Wrong arguments, as opposed to a command that failed: exit code 2.
namespace {
struct UsageError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

class ArgumentParser {
public:
  ArgumentParser(int argc, char **argv) : argc(argc), argv(argv) {}

  Arguments parse() {
    while (at < argc)
      parseOne(argv[at++]);
    return std::move(result);
  }

private:
  void parseOne(std::string word) {
    if (word.compare(0, 2, "--") != 0) {
      result.words.push_back(word);
      return;
    }
    // Both --option=value and --option value.
    size_t equals = word.find('=');
    hasValue = equals != std::string::npos;
    value = hasValue ? word.substr(equals + 1) : "";
    option = word.substr(0, equals);
    if (option == "--data-set")
      result.dataSet = take();
    else if (option == "--output")
      result.output = take();
    else if (option == "--trace")
      result.trace = take();
    else if (option == "--graph")
      result.graph = take();
    else if (option == "--memory")
      result.memory = take();
    else if (option == "--roofline")
      result.roofline = take();
    else if (option == "--threads")
      result.session.threads =
          int32_t(std::min<int64_t>(integer(take()), INT32_MAX));
    else if (option == "--seconds")
      result.seconds = number(take());
    else if (option == "--atol")
      result.atol = number(take());
    else if (option == "--rtol")
      result.rtol = number(take());
    else if (option == "--check")
      result.check = true;
    else if (option == "--check-memory")
      result.session.check_memory = 1;
    else if (option == "--worker")
      result.worker = true;
    else if (option == "--json")
      result.json = true;
    else if (option == "--predict")
      result.predict = true;
    else if (option == "--input")
      result.inputs.push_back(pair(take()));
    else if (option == "--shape")
      shape(take());
    else if (!parseOfDecoder())
      throw UsageError("unknown option '" + option + "'");
    result.options.push_back(option);
  }

  /// An option of generate or evaluate.
  bool parseOfDecoder() {
    GenerationOptions &generation = result.generation;
    if (option == "--ids")
      result.ids = take();
    else if (option == "--max-tokens")
      generation.maxTokens = integer(take());
    else if (option == "--stop")
      addStopTokens(take());
    else if (option == "--temperature")
      generation.sampling.temperature = float(number(take()));
    else if (option == "--top-k")
      generation.sampling.topK = integer(take());
    else if (option == "--top-p")
      generation.sampling.topP = float(number(take()));
    else if (option == "--repetition-penalty")
      generation.sampling.repetitionPenalty = float(number(take()));
    else if (option == "--seed")
      generation.seed = uint64_t(integer(take()));
    else if (option == "--speculate")
      generation.speculate = integer(take());
    else if (option == "--capacity")
      result.capacity = integer(take());
    else if (option == "--slide")
      generation.slidingWindow = true;
    else if (option == "--rates")
      result.rates = true;
    else if (option == "--perplexity")
      result.perplexity = true;
    else if (option == "--against")
      result.against = take();
    else if (option == "--window")
      result.window = integer(take());
    else if (option == "--windows")
      result.windows = integer(take());
    else
      return false;
    return true;
  }

  void addStopTokens(const std::string &list) {
    std::vector<int64_t> ids = parseIds(list);
    if (ids.empty())
      throw UsageError("option '--stop' needs N,N,..., not '" + list + "'");
    std::vector<int64_t> &all = result.generation.stopTokens;
    all.insert(all.end(), ids.begin(), ids.end());
  }

  std::string take() {
    if (hasValue)
      return value;
    if (at == argc)
      throw UsageError("option '" + option + "' needs a value");
    return argv[at++];
  }

  int64_t integer(const std::string &text) {
    char *end = nullptr;
    long long parsed = std::strtoll(text.c_str(), &end, 10);
    if (text.empty() || *end || parsed < 0)
      throw UsageError("option '" + option + "' needs a number, not '" + text +
                       "'");
    return parsed;
  }

  double number(const std::string &text) {
    char *end = nullptr;
    double parsed = std::strtod(text.c_str(), &end);
    if (text.empty() || *end || !(parsed >= 0))
      throw UsageError("option '" + option + "' needs a number, not '" + text +
                       "'");
    return parsed;
  }

  std::pair<std::string, std::string> pair(const std::string &text) {
    size_t equals = text.rfind('=');
    if (equals == std::string::npos)
      throw UsageError("option '" + option + "' needs NAME=VALUE, not '" +
                       text + "'");
    return {text.substr(0, equals), text.substr(equals + 1)};
  }

  void shape(const std::string &text) {
    for (size_t start = 0; start <= text.size();) {
      size_t comma = std::min<size_t>(text.find(',', start), text.size());
      auto [name, size] = pair(text.substr(start, comma - start));
      result.shape[name] = integer(size);
      start = comma + 1;
    }
  }

  int argc;
  char **argv;
  int at = 1;
  bool hasValue = false;
  std::string option, value;
  Arguments result;
};
} // namespace

int tenon::runtime::threadCount(const Arguments &arguments) {
  int cores = int(std::thread::hardware_concurrency());
  return arguments.session.threads ? arguments.session.threads
                                   : std::max(cores, 1);
}

namespace {
/// What only some commands take.
struct OwnedOption {
  const char *option;
  std::vector<std::string> commands;
};
} // namespace

static void checkOwners(const Arguments &arguments,
                        const std::string &command) {
  const OwnedOption owned[] = {
      {"--graph", {"info"}},           {"--memory", {"plan"}},
      {"--roofline", {"bench"}},       {"--ids", {"generate", "evaluate"}},
      {"--max-tokens", {"generate"}},  {"--stop", {"generate"}},
      {"--temperature", {"generate"}}, {"--top-k", {"generate"}},
      {"--top-p", {"generate"}},       {"--repetition-penalty", {"generate"}},
      {"--seed", {"generate"}},        {"--speculate", {"generate"}},
      {"--capacity", {"generate"}},    {"--slide", {"generate"}},
      {"--rates", {"generate"}},       {"--perplexity", {"evaluate"}},
      {"--against", {"evaluate"}},     {"--window", {"evaluate"}},
      {"--windows", {"evaluate"}},
  };
  for (const OwnedOption &one : owned) {
    auto has = [](const std::vector<std::string> &words,
                  const std::string &word) {
      return std::find(words.begin(), words.end(), word) != words.end();
    };
    if (!has(arguments.options, one.option) || has(one.commands, command))
      continue;
    std::string names = one.commands.front();
    for (size_t i = 1; i < one.commands.size(); ++i)
      names += " and " + one.commands[i];
    throw UsageError("option '" + std::string(one.option) + "' belongs to " +
                     names + ", not to " + command);
  }
}

static int dispatch(int argc, char **argv, const char *artifact) {
  std::string command = argv[0];
  Arguments arguments = ArgumentParser(argc, argv).parse();
  if (artifact) {
    arguments.artifact = artifact;
  } else {
    if (arguments.words.empty())
      throw UsageError("no artifact is given");
    arguments.artifact = arguments.words.front();
    arguments.words.erase(arguments.words.begin());
  }
  size_t allowed = arguments.worker && command == "bench" ? 1 : 0;
  if (arguments.words.size() > allowed)
    throw UsageError("unexpected argument '" + arguments.words[allowed] + "'");
  checkOwners(arguments, command);
  if (command == "run")
    return runCommand(arguments);
  if (command == "bench")
    return benchCommand(arguments);
  if (command == "profile")
    return profileCommand(arguments);
  if (command == "info")
    return infoCommand(arguments);
  if (command == "plan")
    return planCommand(arguments);
  if ((command == "generate" || command == "evaluate") && arguments.ids.empty())
    throw UsageError(command + " needs --ids");
  if (command == "generate")
    return generateCommand(arguments);
  if (command == "evaluate" && !arguments.perplexity)
    throw UsageError("evaluate needs what to find: --perplexity");
  if (command == "evaluate")
    return evaluateCommand(arguments);
  throw UsageError("unknown command '" + command + "'");
}

static int report(const std::exception &error, int code) {
  std::fflush(stdout);
  std::fprintf(stderr, "error: %s\n", error.what());
  return code;
}

int tn_cli_main(int argc, char **argv, const char *artifact) {
  return tn_command_line(argc - 1, argv + 1, artifact);
}

int tn_command_line(int argc, char **argv, const char *artifact) {
  bool asksForHelp = false;
  for (int i = 0; i < argc; ++i)
    asksForHelp |=
        !std::strcmp(argv[i], "--help") || !std::strcmp(argv[i], "-h");
  if (argc < 1 || asksForHelp) {
    std::fprintf(asksForHelp ? stdout : stderr, usage,
                 artifact ? "" : "ARTIFACT ", artifact ? "" : "ARTIFACT ");
    return asksForHelp ? 0 : 2;
  }
  try {
    return dispatch(argc, argv, artifact);
  } catch (const UsageError &error) {
    return report(error, 2);
  } catch (const std::exception &error) {
    return report(error, 1);
  }
}
