// Logits to a token: greedy, or drawn from what temperature, top-k and top-p
// leave.
#ifndef TENON_RUNTIME_SAMPLER_H
#define TENON_RUNTIME_SAMPLER_H

#include "Random.h"
#include <cstddef>
#include <vector>

namespace tenon::runtime {

/// Applied in the order of Hugging Face's generate: penalty, temperature,
/// top-k, top-p.
struct SamplingOptions {
  /// 0: the token with the largest logit, of equal ones that with the lowest
  /// id. What follows then does not matter, but for the penalty.
  float temperature = 0;
  /// Only so many of the most probable tokens; of equal ones those with the
  /// lowest ids. 0: all.
  int64_t topK = 0;
  /// Then only the most probable that it takes to reach this probability
  /// together: a token stays if those before it have less. 1: all.
  float topP = 1;
  /// Logits of tokens that came already are divided by it if they are positive,
  /// else multiplied, once for each token.
  float repetitionPenalty = 1;
  /// Tokens that count as having come: the last so many. 0: all.
  int64_t repetitionWindow = 0;
};

/// Throws Failure naming the option.
void checkOptions(const SamplingOptions &options);

/// What came before the token that is to be chosen: prompt and output, ids
/// below the vocabulary.
struct History {
  const int64_t *tokens = nullptr;
  size_t count = 0;
};

/// Memory for choosing one token after the other; allocates for the first
/// token alone. All throw Failure for logits that are NaN or positive infinity,
/// naming the token, and where all are negative infinity; a token whose logit
/// is negative infinity never comes.
class Sampler {
public:
  explicit Sampler(int64_t vocabulary) : vocabulary(vocabulary) {}

  /// The next token. Takes one number of `random`, or none at temperature 0.
  int64_t sample(const float *logits, const SamplingOptions &options,
                 const History &history, Random &random);

  /// The probability of every token, which lives until the next call: sample
  /// draws from it. At temperature 0 the one that comes has 1.
  const float *probabilities(const float *logits,
                             const SamplingOptions &options,
                             const History &history);

private:
  struct Candidate {
    float value; ///< the logit, then the weight
    int64_t id;
  };
  static bool isBetter(const Candidate &lhs, const Candidate &rhs) {
    return lhs.value > rhs.value || (lhs.value == rhs.value && lhs.id < rhs.id);
  }

  const float *penalize(const float *logits, const SamplingOptions &options,
                        const History &history);
  bool weigh(const float *logits, const SamplingOptions &options, float most);
  void gatherTop(const float *logits, size_t count);
  void keepNucleus(double share);
  void keepUpTo(const Candidate &last);

  const int64_t vocabulary;
  std::vector<float> penalized, weights, result;
  std::vector<double> blockWeights; ///< sums of weights
  std::vector<float> blockMaxima, sortedMaxima;
  std::vector<Candidate> candidates, scratch; ///< candidates: ids increase
  std::vector<bool> hasCome;
  double total = 0; ///< of the weights
};

} // namespace tenon::runtime

#endif // TENON_RUNTIME_SAMPLER_H
