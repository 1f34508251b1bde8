// Feeds the runtime damaged artifacts and data sets.
//
//   fuzz-runtime artifacts|data-sets [COUNT [FIRST-SEED [ARTIFACT...]]]
//
// A seed damages bytes of a whole file: it changes, cuts, doubles, moves and
// overwrites some. Three of four artifacts keep their checksum, and must be
// refused or run, by every command; one of four gets the right one after damage
// to its description or note alone, and is only loaded, since code that is told
// wrong numbers may do anything. A data set is read by a run and compared with
// its outputs. Each runs in a process of its own, which must end by itself with
// 0 or 1, in less than 2 s more than on the whole file, in less than 1 GB.
// Prints one line for each seed that does not, keeps its file, and exits
// with 1.
#include "Mutants.h"
#include "Runtime/Checksum.h"
#include "Runtime/Cli/TensorProto.h"
#include "tenon-c/CommandLine.h"
#include "tenon-c/ModuleAbi.h"
#include "tenon-c/Runtime.h"
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>

using namespace tenon::fuzz;
using namespace tenon::runtime;
namespace fs = std::filesystem;

static std::string folder; // of this run, in memory where there is one

/// Where the artifact has its tn_note.
static size_t findNote(const Bytes &artifact) {
  static const char mark[] = "\x30\0\0\0\1\0\0\0Tenon\0\0\0";
  return size_t(std::search(artifact.begin(), artifact.end(), mark, mark + 16) -
                artifact.begin()) +
         16;
}

/// Damages description or note, and makes the checksum right.
static void damageChecked(Bytes &artifact, Random &random) {
  static const std::string start = "symbol batch ", stop = "skipped\n";
  size_t note = findNote(artifact);
  auto text =
      std::search(artifact.begin(), artifact.end(), start.begin(), start.end());
  auto end = std::search(text, artifact.end(), stop.begin(), stop.end());
  if (random() % 8)
    damage(artifact, size_t(text - artifact.begin()),
           size_t(end - artifact.begin()), /*isFixed=*/true, random);
  else
    damage(artifact, note, note + sizeof(tn_note), /*isFixed=*/true, random);
  tn_note content;
  std::memcpy(&content, &artifact[note], sizeof(content));
  content.checksum = 0;
  std::memcpy(&artifact[note], &content, sizeof(content));
  size_t checked = std::min<size_t>(artifact.size(), content.weight_offset);
  content.checksum = crc32(0, artifact.data(), checked);
  std::memcpy(&artifact[note], &content, sizeof(content));
}

/// One command of the tool; the largest code counts.
static int command(std::vector<std::string> words) {
  std::vector<char *> arguments;
  for (std::string &word : words)
    arguments.push_back(word.data());
  return tn_command_line(int(words.size()), arguments.data(), nullptr);
}

/// Loads the artifact, asks it everything and gives it a session.
static int load(const std::string &path) {
  tn_module *module = nullptr;
  tn_session *session = nullptr;
  if (tn_module_load(path.c_str(), &module) != TN_OK)
    return 1;
  for (int i = -1; i <= tn_module_input_count(module); ++i)
    for (int d = -1; d <= tn_module_input_rank(module, i); ++d)
      tn_module_input_dim(module, i, d);
  for (int i = -1; i <= tn_module_output_count(module); ++i)
    for (int d = -1; d <= tn_module_output_rank(module, i); ++d)
      tn_module_output_dim(module, i, d);
  tn_status status = tn_session_create(module, nullptr, &session);
  tn_session_release(session);
  tn_module_release(module);
  return status != TN_OK;
}

static int readArtifact(const std::string &path, bool runs) {
  int code = std::max(command({"info", path, "--json"}),
                      command({"info", path, "--shape", "batch=5"}));
  code = std::max(code, command({"plan", path, "--shape", "batch=5"}));
  code = std::max(code, runs ? command({"run", path, "--threads", "2",
                                        "--shape", "batch=5"})
                             : load(path));
  return code;
}

/// Writes a data set for the fake artifact, one file of each kind, and returns
/// its files. What the artifact computes is what is expected.
static std::vector<std::string> writeDataSet(const std::string &fake) {
  float x[8] = {1, 2, 3, 4, 5, 6, 7, 8};
  writeTensorProto(folder + "/input_0.pb", "x", {x, 32, TN_F32, 2, {2, 4}});
  // dims [2], INT64, int64_data [1, 2], the name of the second input.
  static const char typed[] =
      "\x08\x02\x10\x07\x3a\x02\x01\x02\x42\x08the mask";
  writeFile(folder + "/input_1.pb", Bytes(typed, typed + sizeof(typed) - 1));
  static const char header[] =
      "{'descr': '<i8', 'fortran_order': False, 'shape': (2,), }";
  Bytes npy = {'\x93', 'N', 'U', 'M', 'P', 'Y', 1, 0, 118, 0};
  npy.insert(npy.end(), header, header + sizeof(header) - 1);
  npy.resize(127, ' ');
  npy.push_back('\n');
  npy.resize(128 + 16);
  writeFile(folder + "/mask.npy", npy);
  command({"run", fake, "--data-set", folder, "--output", folder});
  return {"/input_0.pb", "/input_1.pb", "/mask.npy", "/output_0.pb",
          "/output_1.pb"};
}

int main(int argc, char **argv) {
  std::string what = argc > 1 ? argv[1] : "";
  if (what != "artifacts" && what != "data-sets") {
    std::fprintf(stderr, "usage: fuzz-runtime artifacts|data-sets [COUNT "
                         "[FIRST-SEED [ARTIFACT...]]]\n");
    return 2;
  }
  uint64_t count = argc > 2 ? std::strtoull(argv[2], nullptr, 10) : 1000;
  uint64_t first = argc > 3 ? std::strtoull(argv[3], nullptr, 10) : 0;
  folder = makeFolder();
  std::vector<std::pair<std::string, Bytes>> files;
  std::string fake = ARTIFACTS "/fake.so";
  bool isArtifact = what == "artifacts";
  if (isArtifact)
    files.push_back({"/fake.so", readFile(fake)});
  else
    for (const std::string &file : writeDataSet(fake))
      files.push_back({file, readFile(folder + file)});
  for (int i = 4; i < argc; ++i)
    files.push_back({"/" + std::to_string(i) + ".so", readFile(argv[i])});
  for (auto &[file, bytes] : files)
    writeFile(folder + file, bytes);
  auto read = [&](const std::string &file, bool runs) {
    if (isArtifact)
      return readArtifact(folder + file, runs);
    std::vector<std::string> words = {"run", fake, "--data-set", folder};
    if (file == "/mask.npy")
      words.insert(words.end(), {"--input", "the mask=" + folder + file});
    else
      words.push_back("--check");
    return command(words);
  };
  double slowest = 0;
  for (auto &[file, bytes] : files) {
    Outcome whole = isolated([&, &file = file] { return read(file, true); });
    slowest = std::max(slowest, whole.seconds);
    if (whole.code != 0) {
      std::printf("the whole file %s gives %d\n", file.c_str(), whole.code);
      return 1;
    }
  }
  Tally tally(what, slowest);
  for (uint64_t seed = first; seed < first + count; ++seed) {
    Random random(seed);
    auto &[file, whole] = files[seed % files.size()];
    Bytes bytes = whole;
    bool isChecked = isArtifact && file == "/fake.so" && random() % 4 == 0;
    if (isChecked)
      damageChecked(bytes, random);
    else
      damage(bytes, 0, bytes.size(), /*isFixed=*/false, random);
    writeFile(folder + file, bytes);
    tally.add(seed, isolated([&, &file = file] {
                return read(file, /*runs=*/!isChecked);
              }),
              bytes, fs::path(file).extension());
    writeFile(folder + file, whole);
  }
  fs::remove_all(folder);
  return tally.report();
}
