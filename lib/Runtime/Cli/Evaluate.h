// How well a language model predicts a text, and how much like another one.
#ifndef TENON_RUNTIME_CLI_EVALUATE_H
#define TENON_RUNTIME_CLI_EVALUATE_H

#include "../StepModel.h"
#include <functional>

namespace tenon::runtime {

struct Windows {
  const int64_t *ids; ///< of all windows, one behind the other
  int64_t size, count;
};

/// Sums over all tokens but the first of each window, in nats.
struct Evaluation {
  int64_t tokens = 0;
  double loss = 0;        ///< -log of the probability of what comes
  double againstLoss = 0; ///< the same of the other model
  double divergence = 0;  ///< KL(other || model)
  int64_t agreed = 0;     ///< tokens where both find the same most probable

  /// e^(loss / tokens)
  double perplexity() const;
  double againstPerplexity() const;
};

/// Each window starts with an empty context. `against` may be null; it must
/// have the vocabulary of `model`, and both room for a window. `onProgress` is
/// told how many windows are done. Throws Failure, also for logits that are
/// NaN or infinite.
Evaluation evaluateWindows(StepModel &model, StepModel *against,
                           const Windows &windows,
                           const std::function<void(int64_t)> &onProgress);

} // namespace tenon::runtime

#endif // TENON_RUNTIME_CLI_EVALUATE_H
