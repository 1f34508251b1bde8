// How far the outputs of one artifact are from those of another.
#include "Elements.h"
#include "Model.h"
#include "tenon-c/CommandLine.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstring>

using namespace tenon::runtime;

namespace {

/// Sums over the elements of one output.
struct Differences {
  int64_t count = 0, notFinite = 0;
  double largest = 0, sum = 0;                   // of |found - expected|
  double largestExpected = 0, sumOfExpected = 0; // of |expected|

  void add(double found, double expected) {
    ++count;
    if (found == expected || (std::isnan(found) && std::isnan(expected)))
      found = expected = std::isfinite(expected) ? expected : 0;
    if (!std::isfinite(found) || !std::isfinite(expected)) {
      ++notFinite;
      return;
    }
    double error = std::fabs(found - expected);
    largest = std::max(largest, error);
    sum += error;
    largestExpected = std::max(largestExpected, std::fabs(expected));
    sumOfExpected += std::fabs(expected);
  }
};

} // namespace

static void printDifferences(const char *name, const Differences &of) {
  auto share = [](double error, double expected) {
    return expected > 0 ? error / expected : 0;
  };
  double count = double(std::max<int64_t>(of.count, 1));
  std::printf("  %-32s %10.3g %10.3g %10.3g %10.3g", name, of.largest,
              of.sum / count, share(of.largest, of.largestExpected),
              share(of.sum, of.sumOfExpected));
  if (of.notFinite)
    std::printf("  and %lld of %lld elements are infinite or no number in one",
                (long long)of.notFinite, (long long)of.count);
  std::printf("\n");
}

static void compareOutputs(const Model &model, const Model &reference) {
  std::printf("  %-32s %10s %10s %10s %10s\n", "output", "max abs", "mean abs",
              "max rel", "mean rel");
  for (int i = 0; i < model.outputCount(); ++i) {
    const char *name = tn_module_output_name(model.module, i);
    tn_tensor found = model.output(i), expected = reference.output(i);
    if (found.type != expected.type || found.bytes != expected.bytes) {
      std::printf("  %-32s has another type or another size\n", name);
      continue;
    }
    int64_t size = tn_type_bytes(found.type, 1);
    Differences differences;
    for (int64_t at = 0; at + size <= found.bytes; at += size)
      differences.add(
          elementValue(found.type, static_cast<char *>(found.data) + at),
          elementValue(expected.type, static_cast<char *>(expected.data) + at));
    printDifferences(name, differences);
  }
}

int tn_cli_compare(const char *artifact, const char *reference,
                   const char *data_set) {
  try {
    tn_session_options options = {};
    Model found(artifact, options), expected(reference, options);
    for (Model *model : {&found, &expected}) {
      model->readDataSet(data_set);
      model->run();
    }
    std::printf("against f32, on '%s'\n", data_set);
    compareOutputs(found, expected);
    std::fflush(stdout);
    return 0;
  } catch (const std::exception &error) {
    std::fflush(stdout);
    std::fprintf(stderr, "error: %s\n", error.what());
    return 1;
  }
}
