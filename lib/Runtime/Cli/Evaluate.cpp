// evaluate: perplexity of a text, and how far a model is from another.
#include "Evaluate.h"
#include "../Decoder.h"
#include "../Failure.h"
#include "Commands.h"
#include "Ids.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <unistd.h>

using namespace tenon::runtime;

double Evaluation::perplexity() const {
  return std::exp(loss / double(tokens));
}

double Evaluation::againstPerplexity() const {
  return std::exp(againstLoss / double(tokens));
}

/// Logits of a step at most, so that they need little memory beside the model.
static constexpr int64_t mostLogits = 16 << 20;

namespace {
/// log of the sum of e^logit, and which is the largest.
struct Normalization {
  Normalization(const float *logits, int64_t count) {
    float most = logits[0];
    for (int64_t id = 1; id < count; ++id)
      if (logits[id] > most) {
        most = logits[id];
        largest = id;
      }
    double sum = 0;
    for (int64_t id = 0; id < count; ++id)
      sum += std::exp(double(logits[id]) - double(most));
    log = double(most) + std::log(sum);
    if (!std::isfinite(log))
      fail(TN_ERROR_INPUT, "the model gives logits that are no number or "
                           "infinite");
  }

  double log;
  int64_t largest = 0;
};
} // namespace

/// KL(p || q) of what two rows of logits stand for.
static double divergence(const float *p, const Normalization &ofP,
                         const float *q, const Normalization &ofQ,
                         int64_t count) {
  double sum = 0;
  for (int64_t id = 0; id < count; ++id) {
    double logP = double(p[id]) - ofP.log, logQ = double(q[id]) - ofQ.log;
    // What never comes adds nothing, whatever the other says of it.
    if (double probability = std::exp(logP); probability > 0)
      sum += probability * (logP - logQ);
  }
  return sum;
}

static void score(Evaluation &result, const float *logits,
                  const float *reference, int64_t count, int64_t next) {
  Normalization found(logits, count);
  ++result.tokens;
  result.loss += found.log - double(logits[next]);
  if (!reference)
    return;
  Normalization expected(reference, count);
  result.againstLoss += expected.log - double(reference[next]);
  result.divergence += divergence(reference, expected, logits, found, count);
  result.agreed += expected.largest == found.largest;
}

Evaluation tenon::runtime::evaluateWindows(
    StepModel &model, StepModel *against, const Windows &windows,
    const std::function<void(int64_t)> &onProgress) {
  int64_t vocabulary = model.vocabulary(), slotCount = model.slots();
  if (against) {
    if (against->vocabulary() != vocabulary)
      fail(TN_ERROR_INPUT, "the models have vocabularies of ", vocabulary,
           " and ", against->vocabulary(), " tokens");
    slotCount = std::min(slotCount, against->slots());
  }
  for (int64_t i = 0; i < windows.size * windows.count; ++i)
    if (windows.ids[i] < 0 || windows.ids[i] >= vocabulary)
      fail(TN_ERROR_INPUT, "token ", i, " is ", windows.ids[i],
           ", the vocabulary has ", vocabulary);
  Evaluation result;
  std::vector<int64_t> ids, slots, starts, rows;
  for (int64_t first = 0; first < windows.count; first += slotCount) {
    int64_t batch = std::min(slotCount, windows.count - first);
    int64_t chunk = std::max<int64_t>(1, mostLogits / (vocabulary * batch));
    slots.clear();
    for (int64_t slot = 0; slot < batch; ++slot)
      slots.push_back(slot);
    // Nothing comes behind the last token.
    for (int64_t start = 0; start < windows.size - 1; start += chunk) {
      int64_t length = std::min(chunk, windows.size - 1 - start);
      ids.clear();
      for (int64_t row = 0; row < batch; ++row) {
        const int64_t *from =
            windows.ids + (first + row) * windows.size + start;
        ids.insert(ids.end(), from, from + length);
      }
      starts.assign(size_t(batch), start);
      rows.clear();
      for (int64_t row = 0; row < length; ++row)
        rows.push_back(row);
      Step step = {batch,         length,      ids.data(), slots.data(),
                   starts.data(), rows.data(), length};
      const float *logits = model.step(step);
      const float *reference = against ? against->step(step) : nullptr;
      for (int64_t row = 0; row < batch; ++row)
        for (int64_t i = 0; i < length; ++i) {
          int64_t offset = (row * length + i) * vocabulary;
          score(result, logits + offset,
                reference ? reference + offset : nullptr, vocabulary,
                windows.ids[(first + row) * windows.size + start + i + 1]);
        }
    }
    if (onProgress)
      onProgress(first + batch);
  }
  return result;
}

/// Sequences at the same time: as many as make products of a good size.
static constexpr int64_t mostSlots = 4;

static std::unique_ptr<StepModel> loadModel(const std::string &artifact,
                                            const Arguments &arguments) {
  DecoderOptions options;
  options.session = arguments.session;
  options.capacity = arguments.window;
  options.slots = std::min(mostSlots, arguments.windows);
  return makeDecoder(std::make_shared<const Module>(artifact), options);
}

int tenon::runtime::evaluateCommand(const Arguments &arguments) {
  if (arguments.window < 2)
    throw CommandError("a window must have 2 tokens or more, not " +
                       std::to_string(arguments.window));
  if (arguments.windows < 1)
    throw CommandError("there must be a window");
  std::vector<int64_t> ids = readIds(arguments.ids);
  // Without overflow, whatever is asked for.
  if (arguments.windows > int64_t(ids.size()) / arguments.window)
    throw CommandError("'" + arguments.ids + "' has " +
                       std::to_string(ids.size()) + " tokens, too few for " +
                       std::to_string(arguments.windows) + " windows of " +
                       std::to_string(arguments.window));
  std::unique_ptr<StepModel> model = loadModel(arguments.artifact, arguments);
  std::unique_ptr<StepModel> against;
  if (!arguments.against.empty())
    against = loadModel(arguments.against, arguments);
  bool isTerminal = isatty(STDERR_FILENO);
  Evaluation result = evaluateWindows(
      *model, against.get(), {ids.data(), arguments.window, arguments.windows},
      [&](int64_t done) {
        bool isLast = done == arguments.windows;
        std::fprintf(stderr, "%s%lld of %lld windows%s", isTerminal ? "\r" : "",
                     (long long)done, (long long)arguments.windows,
                     isTerminal && !isLast ? "" : "\n");
      });
  double tokens = double(result.tokens);
  if (arguments.json) {
    std::printf("{\"perplexity\": %.6f, \"tokens\": %lld, \"window\": %lld, "
                "\"windows\": %lld",
                result.perplexity(), (long long)result.tokens,
                (long long)arguments.window, (long long)arguments.windows);
    if (against)
      std::printf(", \"against_perplexity\": %.6f, \"kl_divergence\": %.9g, "
                  "\"top1_agreement\": %.6f",
                  result.againstPerplexity(), result.divergence / tokens,
                  double(result.agreed) / tokens);
    std::printf("}\n");
    return 0;
  }
  std::printf("perplexity %.4f over %lld tokens in %lld windows of %lld\n",
              result.perplexity(), (long long)result.tokens,
              (long long)arguments.windows, (long long)arguments.window);
  if (against)
    std::printf("against %s: perplexity %.4f, mean KL divergence %.3g nats, "
                "same most probable token %.2f %%\n",
                arguments.against.c_str(), result.againstPerplexity(),
                result.divergence / tokens,
                100 * double(result.agreed) / tokens);
  return 0;
}
