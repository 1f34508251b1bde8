// tenon check: every problem of a model at once, before anything is compiled;
// with --bisect, the first node whose value is wrong.
#include "Compilation.h"
#include "Subcommands.h"
#include "tenon/Pipelines/Pipelines.h"
#include "llvm/ADT/SmallString.h"
#include "llvm/Support/CommandLine.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/JSON.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/Program.h"
#include <cstdlib>

namespace cl = llvm::cl;

static cl::SubCommand command("check",
                              "Lists every problem that a model has: damage, "
                              "and what Tenon does not support.");
static cl::opt<std::string> input(cl::Positional, cl::Required,
                                  cl::desc("MODEL.onnx | N-PHASE.mlir"),
                                  cl::sub(command));
static cl::list<std::string> weightFiles(
    "weights-from", cl::value_desc("FILE"),
    cl::desc("As of tenon compile: a safetensors or GGUF file with weights"),
    cl::sub(command));
static cl::opt<std::string> weightNames(
    "weight-names", cl::value_desc("FILE.json"),
    cl::desc("As of tenon compile: what weights are called in these files"),
    cl::sub(command));
static cl::opt<bool> json("json", cl::desc("Write the list as JSON"),
                          cl::sub(command));

static cl::opt<bool>
    bisect("bisect",
           cl::desc("Compile, run on --data-set, and name the first node whose "
                    "value differs from the ONNX reference evaluator's, and "
                    "the phase that makes it differ; options of tenon compile "
                    "follow behind --"),
           cl::sub(command));
static cl::opt<std::string>
    dataSet("data-set", cl::value_desc("DIR"),
            cl::desc("For --bisect: folder with input_0.pb, input_1.pb, ..."),
            cl::sub(command));
static cl::opt<double> absolute("atol", cl::init(1e-4),
                                cl::desc("For --bisect: differences up to "
                                         "atol + rtol * |reference| are fine"),
                                cl::sub(command));
static cl::opt<double> relative("rtol", cl::init(1e-4), cl::desc("See --atol"),
                                cl::sub(command));
static cl::opt<std::string>
    python("python", cl::init("python3"), cl::value_desc("PROGRAM"),
           cl::desc("For --bisect: a Python that has numpy and onnx"),
           cl::sub(command));

static int fail(const llvm::Twine &message) {
  llvm::errs() << "error: " << message << "\n";
  return 1;
}

/// Sets a variable of the environment that programs started from here get.
static void setVariable(const char *name, const llvm::Twine &value) {
  setenv(name, value.str().c_str(), /*overwrite=*/1);
}

/// Says what is missing before the package, which needs it, says so its way.
static constexpr llvm::StringLiteral bisectProgram = R"(
import sys
try:
    import numpy
except ImportError as error:
    print("error: check --bisect needs the Python package numpy "
          f"({error}); --python names a Python that has it", file=sys.stderr)
    sys.exit(2)
from tenon.bisect import main
sys.exit(main(sys.argv[1:]))
)";

/// The comparison is a program in Python, as the reference evaluator is.
static int runBisect(llvm::ArrayRef<llvm::StringRef> compileOptions) {
  llvm::ErrorOr<std::string> program = llvm::sys::findProgramByName(python);
  if (!program)
    return fail("check --bisect needs Python with numpy and onnx: cannot find "
                "'" +
                python + "' (" + program.getError().message() +
                "), --python names another");
  std::string self = llvm::sys::fs::getMainExecutable(
      nullptr, reinterpret_cast<void *>(&runCheck));
  llvm::SmallString<128> libraries(llvm::sys::path::parent_path(self));
  llvm::sys::path::append(libraries, "..", "lib");
  llvm::sys::path::remove_dots(libraries, /*remove_dot_dot=*/true);
  const char *path = std::getenv("PYTHONPATH");
  setVariable("PYTHONPATH",
              libraries + "/python" + (path ? ":" + std::string(path) : ""));
  setVariable("TENON_COMPILER", self);
  setVariable("TENON_RUNTIME", libraries);

  std::string atol, rtol;
  llvm::raw_string_ostream(atol) << absolute.getValue();
  llvm::raw_string_ostream(rtol) << relative.getValue();
  std::vector<llvm::StringRef> arguments{python,   "-c", bisectProgram, input,
                                         "--atol", atol, "--rtol",      rtol};
  if (!dataSet.empty())
    arguments.insert(arguments.end(), {"--data-set", dataSet});
  arguments.push_back("--");
  arguments.insert(arguments.end(), compileOptions.begin(),
                   compileOptions.end());
  std::string message;
  int status = llvm::sys::ExecuteAndWait(*program, arguments, std::nullopt, {},
                                         0, 0, &message);
  return status < 0 ? fail("check --bisect: " + message) : status;
}

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
          stream.attribute("severity", problem.severity);
          stream.attribute("place", problem.place);
          stream.attribute("message", problem.message);
        });
    });
  });
  llvm::outs() << "\n";
}

static void writeText(llvm::ArrayRef<Problem> problems, int status) {
  for (const Problem &problem : problems)
    llvm::outs() << problem.severity << ": " << problem.place
                 << (problem.place.empty() ? "" : ": ") << problem.message
                 << "\n";
  size_t errors = llvm::count_if(
      problems, [](const Problem &problem) { return problem.isError(); });
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
  // What follows -- is for tenon compile.
  llvm::ArrayRef<char *> given(argv, argc),
      own = given.take_until(
          [](llvm::StringRef argument) { return argument == "--"; });
  llvm::SmallVector<const char *> arguments{"tenon"};
  arguments.append(own.begin(), own.end());
  cl::ParseCommandLineOptions(
      arguments.size(), arguments.data(),
      "Exits with 0 if there is nothing wrong, 3 if there are only things that "
      "Tenon does not support, else 1. Reads no weights.\n"
      "With --bisect exits with 0 if the outputs agree, 1 if they differ, 2 "
      "if that could not be found out.\n\n"
      "example: tenon check model.onnx --json\n"
      "example: tenon check --bisect model.onnx --data-set test_data_set_0 -- "
      "--dim batch=1\n");
  llvm::ArrayRef<char *> rest = given.drop_front(own.size());
  if (bisect && !weightFiles.empty())
    return fail("--weights-from " + weightFiles.front() +
                ": not with --bisect, whose reference evaluator reads the "
                "model's own weights");
  if (bisect)
    return runBisect(
        llvm::SmallVector<llvm::StringRef>(rest.drop_front(!rest.empty())));
  if (!rest.empty())
    return fail("check takes options of tenon compile, behind --, only with "
                "--bisect");
  tenon::CompilerOptions options;
  options.weightFiles = weightFiles;
  options.weightNames = weightNames;
  parseTarget("native", options.target);
  // The plan is the last phase before weights are read.
  options.stopAfter = "plan";
  std::vector<Problem> problems;
  tenon::CompileObserver observer;
  mlir::DialectRegistry registry;
  tenon::registerAllDialects(registry);
  int status = compileAndCollect(
      input, /*outputPath=*/"", options, registry, observer,
      [&](const Problem &problem) { problems.push_back(problem); });
  json ? writeJson(problems, status) : writeText(problems, status);
  return status;
}
