// tenon target: the facts that decisions read, of known machines and of this.
#include "Compilation.h"
#include "Subcommands.h"
#include "tenon-c/CommandLine.h"
#include "tenon/Target/CPU/Emit.h"
#include "llvm/Support/CommandLine.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/ToolOutputFile.h"
#include <unistd.h>

namespace cl = llvm::cl;
using llvm::StringRef;

static cl::SubCommand command("target", "Lists, prints and measures the facts "
                                        "of machines that code is made for.");
static cl::opt<std::string>
    input(cl::Positional, cl::desc("[NAME | FACTS.json]"), cl::sub(command));
static cl::opt<bool> measure("measure",
                             cl::desc("Measure this machine (some seconds; let "
                                      "it do nothing else)"),
                             cl::sub(command));
static cl::opt<std::string> output("o", cl::init("-"), cl::value_desc("FILE"),
                                   cl::desc("Where facts go; must end in .json "
                                            "for --cpu to read it"),
                                   cl::sub(command));

static int fail(const llvm::Twine &message) {
  llvm::errs() << "error: " << message << "\n";
  return 1;
}

static void listTargets() {
  constexpr const char *row =
      "{0,-14} {1,8} {2,10} {3,10} {4,10} {5,10} {6,10} {7,10}{8}\n";
  llvm::outs() << llvm::formatv(row, "name", "vector", "L1", "L2", "GFLOP/s",
                                "bf16", "int8", "GB/s", "");
  for (const tenon::TargetFacts &facts : tenon::knownTargets())
    llvm::outs() << llvm::formatv(
        row, facts.name, facts.vectorBytes, facts.l1Bytes, facts.l2Bytes,
        facts.f32Gflops, facts.bf16Gflops, facts.int8Gops, facts.readGBs,
        facts.name == tenon::nativeFacts().name ? "  native" : "");
}

/// The facts that fit this machine best, with what was measured in their place.
static tenon::TargetFacts measureTarget() {
  tenon::TargetFacts facts = tenon::nativeFacts();
  tn_machine machine;
  tn_cli_measure(&machine, [](const char *what) {
    llvm::errs() << "measuring: " << what << "\n";
  });
  facts.name = output == "-" ? std::string("measured")
                             : llvm::sys::path::stem(output).str();
  facts.f32Gflops = machine.f32_gflops;
  facts.bf16Gflops = machine.bf16_gflops;
  facts.int8Gops = machine.int8_gops;
  facts.readGBs = machine.read_gbs;
  facts.readGBsAll = machine.read_gbs_all;
  facts.l2GBs = machine.l2_gbs;
  facts.launchUs = machine.launch_us;
  // Zero or less where the system does not say.
  if (long l1 = sysconf(_SC_LEVEL1_DCACHE_SIZE); l1 > 0)
    facts.l1Bytes = l1;
  if (long l2 = sysconf(_SC_LEVEL2_CACHE_SIZE); l2 > 0)
    facts.l2Bytes = l2;
  return facts;
}

int runTarget(int argc, char **argv) {
  llvm::SmallVector<const char *> arguments{"tenon"};
  arguments.append(argv, argv + argc);
  cl::ParseCommandLineOptions(arguments.size(), arguments.data(),
                              "example: tenon target --measure -o here.json && "
                              "tenon compile model.onnx "
                              "-o model.so --cpu here.json\n");
  if (!measure && input.empty()) {
    listTargets();
    return 0;
  }
  if (measure && !input.empty())
    return fail("--measure takes no name: it measures this machine");
  tenon::TargetFacts facts;
  if (measure) {
    facts = measureTarget();
  } else {
    auto read = tenon::readTargetFacts(input);
    if (!read)
      return fail(llvm::toString(read.takeError()));
    facts = *read;
  }
  std::error_code error;
  llvm::ToolOutputFile file(output, error, llvm::sys::fs::OF_Text);
  if (error)
    return fail("cannot write '" + output + "': " + error.message());
  tenon::writeTargetFacts(facts, file.os());
  file.keep();
  return 0;
}
