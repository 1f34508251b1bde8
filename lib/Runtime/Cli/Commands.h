// The commands on an artifact and the arguments that they share.
#ifndef TENON_RUNTIME_CLI_COMMANDS_H
#define TENON_RUNTIME_CLI_COMMANDS_H

#include "../Generator.h"
#include "Model.h"

namespace tenon::runtime {

struct Arguments {
  std::string artifact;
  std::vector<std::string> words; // beside the artifact
  tn_session_options session = {0, 0, 0};
  std::map<std::string, int64_t> shape;
  double seconds = 2;
  std::string dataSet, output, trace, graph, memory, roofline;
  std::vector<std::pair<std::string, std::string>> inputs; // name, file
  bool check = false, worker = false, json = false, predict = false;
  double atol = 1e-4, rtol = 1e-4;
  std::vector<std::string> options; ///< that were given

  // Of generate and evaluate.
  std::string ids, against;
  GenerationOptions generation = defaultGeneration();
  int64_t capacity = 0, window = 512, windows = 16;
  bool rates = false, perplexity = false;

private:
  static GenerationOptions defaultGeneration() {
    GenerationOptions options;
    options.maxTokens = 128;
    return options;
  }
};

/// Threads that a session with these arguments has.
int threadCount(const Arguments &arguments);

/// Each returns the exit code and throws CommandError.
int runCommand(const Arguments &arguments);
int benchCommand(const Arguments &arguments);
int profileCommand(const Arguments &arguments);
int infoCommand(const Arguments &arguments);
int planCommand(const Arguments &arguments);
int generateCommand(const Arguments &arguments);
int generateWorker(const Arguments &arguments);
int evaluateCommand(const Arguments &arguments);
int benchWorker(const std::string &artifact, const std::string &inputs,
                int threads);

} // namespace tenon::runtime

#endif // TENON_RUNTIME_CLI_COMMANDS_H
