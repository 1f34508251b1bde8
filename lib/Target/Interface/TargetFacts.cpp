// Facts that come with Tenon, and facts in files.
#include "tenon/Target/Interface/TargetFacts.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/JSON.h"
#include "llvm/Support/MemoryBuffer.h"

using namespace llvm;

namespace tenon {

/// Of the file. Raised when a fact is added, removed or changes its meaning.
static constexpr int64_t fileVersion = 4;

ArrayRef<TargetFacts> knownTargets() {
  static const TargetFacts targets[] = {
      // AVX2 and FMA: what every x86 server since 2015 has.
      {"x86-64-v3", "x86-64-v3", 32, 16, 0, 32 << 10, 256 << 10, 50, 0, 0, 10,
       40, 40, 2},
      // AVX-VNNI: clients of Intel since 2021.
      {"alderlake", "alderlake", 32, 16, 0, 32 << 10, 1280 << 10, 60, 0, 240,
       14, 40, 50, 2},
      // AVX-512 F, BW, CD, DQ, VL.
      {"x86-64-v4", "x86-64-v4", 64, 32, 0, 32 << 10, 1 << 20, 100, 0, 0, 12,
       50, 60, 2},
      // AVX512-VNNI.
      {"cascadelake", "cascadelake", 64, 32, 0, 32 << 10, 1 << 20, 100, 0, 400,
       12, 50, 60, 2},
      // AVX512-BF16, at half the rate of f32. What LLVM calls by this name has
      // AMX as well, which many virtual machines hide.
      {"sapphirerapids", "cooperlake", 64, 32, 0, 48 << 10, 2 << 20, 150, 75,
       600, 12, 100, 80, 2},
      // AMX of bf16 and of bytes.
      {"sapphirerapids-amx", "sapphirerapids", 64, 32, 16, 48 << 10, 2 << 20,
       150, 2000, 4000, 12, 100, 80, 2},
      // AVX512-BF16 at twice the rate of f32, from here on.
      {"znver4", "znver4", 64, 32, 0, 32 << 10, 1 << 20, 110, 220, 440, 20, 100,
       80, 2},
      {"znver5", "znver5", 64, 32, 0, 48 << 10, 1 << 20, 220, 440, 880, 25, 100,
       100, 2},
  };
  return targets;
}

static const TargetFacts &known(StringRef name) {
  return *find_if(knownTargets(),
                  [&](const TargetFacts &facts) { return facts.name == name; });
}

const TargetFacts &avx2Facts() { return known("x86-64-v3"); }
const TargetFacts &avx512Facts() { return known("x86-64-v4"); }

namespace {

/// A fact's name in a file and where it goes.
struct Integer {
  StringLiteral key;
  int64_t TargetFacts::*member;
  bool maybeZero = false; ///< where there is no such register
};
struct Real {
  StringLiteral key;
  double TargetFacts::*member;
  bool maybeZero = false; ///< where there is no such instruction
};

const Integer integers[] = {{"vector_bytes", &TargetFacts::vectorBytes},
                            {"registers", &TargetFacts::registers},
                            {"tile_rows", &TargetFacts::tileRows, true},
                            {"l1_bytes", &TargetFacts::l1Bytes},
                            {"l2_bytes", &TargetFacts::l2Bytes}};
const Real reals[] = {{"f32_gflops", &TargetFacts::f32Gflops},
                      {"bf16_gflops", &TargetFacts::bf16Gflops, true},
                      {"int8_gops", &TargetFacts::int8Gops, true},
                      {"read_gbs", &TargetFacts::readGBs},
                      {"read_gbs_all", &TargetFacts::readGBsAll},
                      {"l2_gbs", &TargetFacts::l2GBs},
                      {"launch_us", &TargetFacts::launchUs}};

} // namespace

static Error wrong(StringRef file, const Twine &what) {
  return createStringError("facts file '" + file + "': " + what);
}

static Expected<TargetFacts> parse(StringRef file, StringRef text) {
  Expected<json::Value> parsed = json::parse(text);
  if (!parsed)
    return wrong(file, toString(parsed.takeError()));
  const json::Object *object = parsed->getAsObject();
  std::optional<int64_t> version =
      object ? object->getInteger("tenon_facts") : std::nullopt;
  if (version != fileVersion)
    return wrong(file, "needs \"tenon_facts\": " + Twine(fileVersion) +
                           (version ? ", found " + std::to_string(*version)
                                    : std::string()));
  TargetFacts facts;
  for (auto [key, member] : {std::pair("name", &TargetFacts::name),
                             std::pair("cpu", &TargetFacts::cpu)}) {
    std::optional<StringRef> value = object->getString(key);
    if (!value)
      return wrong(file, "needs a string \"" + Twine(key) + "\"");
    facts.*member = value->str();
  }
  for (const Integer &fact : integers) {
    std::optional<int64_t> value = object->getInteger(fact.key);
    if (!value || *value < 0 || (*value == 0 && !fact.maybeZero))
      return wrong(file, "needs a positive integer \"" + fact.key +
                             (fact.maybeZero ? "\", or 0" : "\""));
    facts.*fact.member = *value;
  }
  for (const Real &fact : reals) {
    std::optional<double> value = object->getNumber(fact.key);
    if (!value || *value < 0 || (*value == 0 && !fact.maybeZero))
      return wrong(file, "needs a positive number \"" + fact.key +
                             (fact.maybeZero ? "\", or 0" : "\""));
    facts.*fact.member = *value;
  }
  if (facts.vectorBytes != 32 && facts.vectorBytes != 64)
    return wrong(file, "\"vector_bytes\" is " + Twine(facts.vectorBytes) +
                           ", but only 32 and 64 have kernels");
  if (facts.tileRows != 0 && facts.tileRows != 16)
    return wrong(file, "\"tile_rows\" is " + Twine(facts.tileRows) +
                           ", but only 0 and 16 have kernels");
  return facts;
}

Expected<TargetFacts> readTargetFacts(StringRef nameOrFile) {
  for (const TargetFacts &facts : knownTargets())
    if (facts.name == nameOrFile)
      return facts;
  if (!nameOrFile.ends_with(".json"))
    return createStringError(
        "there is no target '" + nameOrFile + "'; there are " +
        join(map_range(knownTargets(),
                       [](const TargetFacts &facts) { return facts.name; }),
             ", ") +
        ", and facts files, which end in .json");
  auto buffer = MemoryBuffer::getFile(nameOrFile);
  if (!buffer)
    return wrong(nameOrFile, buffer.getError().message());
  return parse(nameOrFile, (*buffer)->getBuffer());
}

void writeTargetFacts(const TargetFacts &facts, raw_ostream &os) {
  json::OStream stream(os, 2);
  stream.object([&] {
    stream.attribute("tenon_facts", fileVersion);
    stream.attribute("name", facts.name);
    stream.attribute("cpu", facts.cpu);
    for (const Integer &fact : integers)
      stream.attribute(fact.key, facts.*fact.member);
    for (const Real &fact : reals)
      stream.attribute(fact.key, facts.*fact.member);
  });
  os << "\n";
}

} // namespace tenon
