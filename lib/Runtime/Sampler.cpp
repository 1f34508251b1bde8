// Passes over the whole vocabulary are loops over vectors; what selects looks
// at the maxima of blocks first, so that nothing sorts more than it keeps.
#include "Sampler.h"
#include "Failure.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <functional>
#include <limits>

using namespace tenon::runtime;

void tenon::runtime::checkOptions(const SamplingOptions &options) {
  auto check = [](bool isGood, const char *name, const char *wanted,
                  double is) {
    if (!isGood)
      fail(TN_ERROR_ARGUMENT, name, " must be ", wanted, ", is ", is);
  };
  check(options.temperature >= 0 && std::isfinite(options.temperature),
        "the temperature", "0 or larger", options.temperature);
  check(options.topK >= 0, "top-k", "0 or larger", double(options.topK));
  check(options.topP > 0 && options.topP <= 1, "top-p",
        "larger than 0 and at most 1", options.topP);
  check(options.repetitionPenalty > 0 &&
            std::isfinite(options.repetitionPenalty),
        "the repetition penalty", "larger than 0", options.repetitionPenalty);
  check(options.repetitionWindow >= 0, "the repetition window", "0 or larger",
        double(options.repetitionWindow));
}

// Every machine that code is made for has these; wider ones gain little, since
// the logits come from the cache.
static constexpr int64_t lanes = 4;
typedef float Floats __attribute__((vector_size(16)));
typedef int32_t Integers __attribute__((vector_size(16)));

static Floats load(const float *from) {
  Floats result;
  std::memcpy(&result, from, sizeof(result));
  return result;
}

static constexpr float infinity = std::numeric_limits<float>::infinity();

namespace {
struct Largest {
  float value;
  int64_t id;
};
} // namespace

[[noreturn]] static void failLogits(const float *logits, int64_t count) {
  for (int64_t id = 0; id < count; ++id)
    if (!(logits[id] < infinity))
      fail(TN_ERROR_INPUT, "the logit of token ", id, " is ",
           std::isnan(logits[id]) ? "no number" : "infinite");
  fail(TN_ERROR_INPUT, "the logits of all ", count,
       " tokens are negative infinity");
}

/// The largest logit, of equal ones that with the lowest id.
static Largest findLargest(const float *logits, int64_t count) {
  // Two chains: one comparison waits for the one before it in its chain.
  constexpr int64_t chains = 2, step = chains * lanes;
  Floats best[chains];
  Integers place[chains] = {}, wrong = {};
  for (Floats &chain : best)
    chain = Floats{} - infinity;
  Integers at = {0, 1, 2, 3};
  int64_t id = 0;
  for (; id + step <= count; id += step)
    for (int64_t chain = 0; chain < chains; ++chain, at += int32_t(lanes)) {
      Floats value = load(logits + id + chain * lanes);
      Integers isLarger = value > best[chain];
      wrong |= value != value;
      best[chain] = isLarger ? value : best[chain];
      place[chain] = isLarger ? at : place[chain];
    }
  Largest result = {-infinity, 0};
  auto offer = [&](float value, int64_t id) {
    if (value > result.value || (value == result.value && id < result.id))
      result = {value, id};
  };
  for (int64_t chain = 0; chain < chains; ++chain)
    for (int64_t lane = 0; lane < lanes; ++lane)
      offer(best[chain][lane], place[chain][lane]);
  bool hasNan = wrong[0] | wrong[1] | wrong[2] | wrong[3];
  for (; id < count; ++id) {
    hasNan |= logits[id] != logits[id];
    offer(logits[id], id);
  }
  if (hasNan || result.value == infinity || result.value == -infinity)
    failLogits(logits, count);
  return result;
}

/// e^x for x <= 0, to a part in 10^6, and 0 below -87: the same arithmetic
/// wherever this is compiled, which the library's is not.
static Floats exponential(Floats x) {
  Integers isSmall = x < -87.0f;
  x = isSmall ? Floats{} - 87.0f : x;
  // x = n ln 2 + rest; adding and taking away 1.5 * 2^23 rounds.
  Floats shifted = x * 1.44269504f + 12582912.0f;
  Floats n = shifted - 12582912.0f;
  Floats rest = x - n * 0.693359375f + n * 2.12194440e-4f;
  Floats sum = Floats{} + 1.0f / 720;
  for (float term : {1.0f / 120, 1.0f / 24, 1.0f / 6, 0.5f, 1.0f, 1.0f})
    sum = sum * rest + term;
  Integers exponent = __builtin_convertvector(n, Integers) + 127;
  exponent = exponent << 23;
  Floats scale;
  std::memcpy(&scale, &exponent, sizeof(scale));
  return isSmall ? Floats{} : sum * scale;
}

static float exponential(float x) { return exponential(Floats{x, 0, 0, 0})[0]; }

/// Tokens whose weights, or whose largest logit, are looked at together.
static constexpr int64_t blockSize = 64;

/// weights = e^((logits - most) / temperature), and their sums by blocks.
static double weighAll(const float *logits, int64_t count, float most,
                       float temperature, float *weights,
                       std::vector<double> &blockWeights) {
  double total = 0;
  for (int64_t begin = 0, block = 0; begin < count;
       begin += blockSize, ++block) {
    int64_t end = std::min(count, begin + blockSize), id = begin;
    Floats sums = {};
    for (; id + lanes <= end; id += lanes) {
      Floats weight = exponential((load(logits + id) - most) / temperature);
      std::memcpy(weights + id, &weight, sizeof(weight));
      sums += weight;
    }
    double sum = double(sums[0]) + sums[1] + sums[2] + sums[3];
    for (; id < end; ++id)
      sum += weights[id] = exponential((logits[id] - most) / temperature);
    blockWeights[size_t(block)] = sum;
    total += sum;
  }
  return total;
}

const float *Sampler::penalize(const float *logits,
                               const SamplingOptions &options,
                               const History &history) {
  if (options.repetitionPenalty == 1 || history.count == 0)
    return logits;
  penalized.assign(logits, logits + vocabulary);
  hasCome.resize(size_t(vocabulary));
  size_t window = size_t(options.repetitionWindow);
  size_t begin = window && window < history.count ? history.count - window : 0;
  for (size_t i = begin; i < history.count; ++i) {
    size_t token = size_t(history.tokens[i]);
    if (hasCome[token])
      continue;
    hasCome[token] = true;
    float &logit = penalized[token];
    logit = logit > 0 ? logit / options.repetitionPenalty
                      : logit * options.repetitionPenalty;
  }
  for (size_t i = begin; i < history.count; ++i)
    hasCome[size_t(history.tokens[i])] = false;
  return penalized.data();
}

/// Candidates become the `count` tokens with the largest logits: less than the
/// vocabulary.
void Sampler::gatherTop(const float *logits, size_t count) {
  size_t blocks = size_t((vocabulary + blockSize - 1) / blockSize);
  blockMaxima.resize(blocks);
  for (size_t block = 0; block < blocks; ++block) {
    int64_t begin = int64_t(block) * blockSize;
    int64_t end = std::min(vocabulary, begin + blockSize), id = begin;
    Floats best = Floats{} - infinity;
    for (; id + lanes <= end; id += lanes) {
      Floats value = load(logits + id);
      best = value > best ? value : best;
    }
    float most =
        std::max(std::max(best[0], best[1]), std::max(best[2], best[3]));
    for (; id < end; ++id)
      most = std::max(most, logits[id]);
    blockMaxima[block] = most;
  }
  // The count-th largest of the maxima: as many logits at least are no smaller.
  float least = -infinity;
  if (count <= blocks) {
    sortedMaxima = blockMaxima;
    std::nth_element(sortedMaxima.begin(),
                     sortedMaxima.begin() + ptrdiff_t(count - 1),
                     sortedMaxima.end(), std::greater<float>());
    least = sortedMaxima[count - 1];
  }
  candidates.clear();
  for (size_t block = 0; block < blocks; ++block) {
    if (blockMaxima[block] < least)
      continue;
    int64_t begin = int64_t(block) * blockSize;
    int64_t end = std::min(vocabulary, begin + blockSize);
    for (int64_t id = begin; id < end; ++id)
      if (logits[id] >= least)
        candidates.push_back({logits[id], id});
  }
  scratch = candidates;
  std::nth_element(scratch.begin(), scratch.begin() + ptrdiff_t(count - 1),
                   scratch.end(), isBetter);
  keepUpTo(scratch[count - 1]);
}

/// Drops the candidates that are worse than `last`, and keeps the order.
void Sampler::keepUpTo(const Candidate &last) {
  candidates.erase(
      std::remove_if(candidates.begin(), candidates.end(),
                     [&](const Candidate &one) { return isBetter(last, one); }),
      candidates.end());
}

/// Keeps the best candidates that have this weight together.
void Sampler::keepNucleus(double share) {
  scratch = candidates;
  // Before `low` all stay, and weigh `before`; from `high` on none does.
  size_t low = 0, high = scratch.size();
  double before = 0;
  auto at = [&](size_t number) { return scratch.begin() + ptrdiff_t(number); };
  while (high - low > 16) {
    size_t middle = low + (high - low) / 2;
    std::nth_element(at(low), at(middle), at(high), isBetter);
    double weight = before;
    for (size_t i = low; i < middle; ++i)
      weight += scratch[i].value;
    if (weight >= share) {
      high = middle;
    } else {
      low = middle;
      before = weight;
    }
  }
  std::sort(at(low), at(high), isBetter);
  // The best stays whatever share is wanted.
  size_t end = low;
  for (; end < high && (end == 0 || before < share); ++end)
    before += scratch[end].value;
  if (end > 0 && end < scratch.size())
    keepUpTo(scratch[end - 1]);
}

/// Finds the weights that tokens are drawn by, of all (and returns true) or of
/// the candidates alone.
bool Sampler::weigh(const float *logits, const SamplingOptions &options,
                    float most) {
  bool hasTopK = options.topK > 0 && options.topK < vocabulary;
  bool hasTopP = options.topP < 1;
  total = 0;
  if (hasTopK) {
    gatherTop(logits, size_t(options.topK));
    for (Candidate &one : candidates) {
      one.value = exponential((one.value - most) / options.temperature);
      total += one.value;
    }
  } else {
    weights.resize(size_t(vocabulary));
    blockWeights.resize(size_t((vocabulary + blockSize - 1) / blockSize));
    total = weighAll(logits, vocabulary, most, options.temperature,
                     weights.data(), blockWeights);
    if (!hasTopP)
      return true;
    // All that weigh less weigh too little together to be wanted.
    float least = float((1 - double(options.topP)) * total /
                        double(vocabulary) * (1 - 1e-6));
    candidates.clear();
    for (size_t block = 0; block < blockWeights.size(); ++block) {
      if (blockWeights[block] < double(least))
        continue;
      int64_t begin = int64_t(block) * blockSize;
      int64_t end = std::min(vocabulary, begin + blockSize);
      for (int64_t id = begin; id < end; ++id)
        if (weights[size_t(id)] >= least)
          candidates.push_back({weights[size_t(id)], id});
    }
  }
  if (hasTopP) {
    keepNucleus(double(options.topP) * total);
    total = 0;
    for (const Candidate &one : candidates)
      total += one.value;
  }
  return false;
}

int64_t Sampler::sample(const float *logits, const SamplingOptions &options,
                        const History &history, Random &random) {
  logits = penalize(logits, options, history);
  Largest largest = findLargest(logits, vocabulary);
  if (options.temperature == 0)
    return largest.id;
  bool hasAll = weigh(logits, options, largest.value);
  double left = random.uniform() * total;
  // Rounding may leave a rest behind the last: then the last that weighs
  // anything comes.
  int64_t chosen = largest.id;
  auto take = [&](float weight, int64_t id) {
    if (weight > 0)
      chosen = id;
    left -= double(weight);
    return left < 0;
  };
  if (!hasAll) {
    for (const Candidate &one : candidates)
      if (take(one.value, one.id))
        break;
    return chosen;
  }
  size_t block = 0;
  for (; block + 1 < blockWeights.size() && left >= blockWeights[block];
       ++block)
    left -= blockWeights[block];
  int64_t begin = int64_t(block) * blockSize;
  for (int64_t id = begin; id < std::min(vocabulary, begin + blockSize); ++id)
    if (take(weights[size_t(id)], id))
      break;
  return chosen;
}

const float *Sampler::probabilities(const float *logits,
                                    const SamplingOptions &options,
                                    const History &history) {
  logits = penalize(logits, options, history);
  Largest largest = findLargest(logits, vocabulary);
  result.assign(size_t(vocabulary), 0);
  if (options.temperature == 0) {
    result[size_t(largest.id)] = 1;
  } else if (weigh(logits, options, largest.value)) {
    for (size_t id = 0; id < result.size(); ++id)
      result[id] = float(double(weights[id]) / total);
  } else {
    for (const Candidate &one : candidates)
      result[size_t(one.id)] = float(double(one.value) / total);
  }
  return result.data();
}
