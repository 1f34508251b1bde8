// tenon check: every problem of a model at once, before anything is compiled.
#include "Compilation.h"
#include "Subcommands.h"
#include "llvm/Support/CommandLine.h"
#include "llvm/Support/JSON.h"

namespace cl = llvm::cl;

static cl::SubCommand command("check",
                              "Lists every problem that a model has: damage, "
                              "and what Tenon does not support.");
static cl::opt<std::string> input(cl::Positional, cl::Required,
                                  cl::desc("MODEL.onnx | N-PHASE.mlir"),
                                  cl::sub(command));
static cl::opt<bool> json("json", cl::desc("Write the list as JSON"),
                          cl::sub(command));

static void writeJson(llvm::ArrayRef<Problem> problems, int status) {
  llvm::json::OStream stream(llvm::outs(), 2);
  stream.object([&] {
    stream.attribute("model", input);
    stream.attribute("status", status == 0   ? "supported"
                               : status == 3 ? "unsupported"
                                             : "invalid");
    stream.attributeArray("problems", [&] {
      for (const Problem &problem : problems)
        stream.object([&] {
          stream.attribute("severity", problem.isError ? "error" : "note");
          stream.attribute("place", problem.place);
          stream.attribute("message", problem.message);
        });
    });
  });
  llvm::outs() << "\n";
}

static void writeText(llvm::ArrayRef<Problem> problems, int status) {
  for (const Problem &problem : problems)
    llvm::outs() << (problem.isError ? "error: " : "note: ") << problem.place
                 << (problem.place.empty() ? "" : ": ") << problem.message
                 << "\n";
  size_t errors = llvm::count_if(
      problems, [](const Problem &problem) { return problem.isError; });
  if (status == 0)
    llvm::outs() << input << ": everything is supported\n";
  else
    llvm::outs() << input << ": " << errors
                 << (errors == 1 ? " problem" : " problems")
                 << (status == 3 ? ", all of them things that Tenon does not "
                                   "support\n"
                                 : "\n");
}

int runCheck(int argc, char **argv) {
  llvm::SmallVector<const char *> arguments{"tenon"};
  arguments.append(argv, argv + argc);
  cl::ParseCommandLineOptions(
      arguments.size(), arguments.data(),
      "Exits with 0 if there is nothing wrong, 3 if there are only things that "
      "Tenon does not support, else 1. Reads no weights.\n\n"
      "example: tenon check model.onnx --json\n");
  tenon::CompilerOptions options;
  parseTarget("native", options.target);
  // The plan is the last phase before weights are read.
  options.stopAfter = "plan";
  std::vector<Problem> problems;
  tenon::CompileObserver observer;
  int status = compileAndCollect(
      input, /*outputPath=*/"", options, observer,
      [&](const Problem &problem) { problems.push_back(problem); });
  json ? writeJson(problems, status) : writeText(problems, status);
  return status;
}
