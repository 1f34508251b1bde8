// Texts that a model goes on with: prompts, the loop over tokens, drafts.
#ifndef TENON_RUNTIME_GENERATOR_H
#define TENON_RUNTIME_GENERATOR_H

#include "Sampler.h"
#include "StepModel.h"
#include <functional>
#include <vector>

namespace tenon::runtime {

struct GenerationOptions {
  SamplingOptions sampling;
  uint64_t seed = 0;
  /// New tokens of a run at most; 0: until a stop token comes or the context is
  /// full.
  int64_t maxTokens = 0;
  /// Each ends the sequence, and belongs to its output.
  std::vector<int64_t> stopTokens;
  /// Tokens of a draft at most; 0: none. What comes does not depend on it: a
  /// draft is what followed the last time when the last tokens were the same,
  /// one step computes the logits behind each of its tokens, and those that are
  /// not what would have come anyway are taken back.
  int64_t speculate = 0;
  /// When the context is full: drop the oldest tokens but the first
  /// `keptTokens`, so that half of the rest is left, and feed that again. Else
  /// a full context is an error.
  bool slidingWindow = false;
  int64_t keptTokens = 4;
};

/// Why a sequence does not go on.
enum class End {
  None,  ///< it goes on, or nothing was generated since its prompt was set
  Stop,  ///< a stop token
  Limit, ///< as many tokens as were wanted
  Asked, ///< the callback or stop said so
  Full,  ///< the context is full
};

/// What a callback wants.
enum class Next { Continue, StopSequence, StopAll };

struct GenerationStatistics {
  int64_t promptTokens = 0; ///< that were fed, without prefixes that were held
  int64_t promptNanoseconds = 0; ///< with the choice of the first tokens
  int64_t generatedTokens = 0;
  /// Of these, those that did not come with the end of a prompt, and the time
  /// and number of the steps that they took.
  int64_t decodedTokens = 0, decodeNanoseconds = 0, decodeSteps = 0;
  int64_t drafted = 0, accepted = 0; ///< tokens of drafts
};

/// One sequence for each slot of a model. A sequence is a text, of which a
/// prefix lies in the slot; what is fed is only what is missing there. All
/// members throw Failure, and leave every text as it was or longer; a run may
/// be begun again after any failure. One caller at a time.
class Generator {
public:
  /// Called for each new token, in the order in which they come; must not call
  /// the generator. What it throws ends the run.
  using OnToken = std::function<Next(int64_t sequence, int64_t token)>;

  /// `model` must outlive the generator. Prompts are fed in steps of at most
  /// `chunk` tokens of all sequences together.
  explicit Generator(StepModel &model, int64_t chunk = 512);

  int64_t sequences() const { return int64_t(states.size()); }
  /// Takes effect with the next token, and starts the random numbers anew.
  void setOptions(int64_t sequence, GenerationOptions options);

  /// The text to go on from: at least one token, at most the capacity. The
  /// longest prefix that it shares with what the slot holds is not fed again.
  void setPrompt(int64_t sequence, const int64_t *ids, int64_t count);
  /// What an encoder gave for a sequence, copied; see StepModel. What the slot
  /// holds was made with another, and is fed again.
  void setInput(int64_t sequence, const std::string &name,
                const tn_tensor &tensor);
  /// Forgets all behind the first `position` tokens of the text, which may go
  /// on from there. 0 forgets the sequence and what its slot holds.
  void rewind(int64_t sequence, int64_t position);

  /// Generates for all sequences that have a text and did not end with a stop
  /// token, in one batch, until each has ended. Throws for a context that is
  /// full only when the others have ended.
  void run(const OnToken &onToken);
  /// The same in pieces, with one sequence alone unless `sequence` is negative:
  /// `begin`, then `step` until it returns false. A step
  /// feeds a part of a prompt or generates for each sequence, which gives one
  /// token or, with drafts, several.
  void begin(int64_t sequence = -1);
  bool step(const OnToken &onToken);
  /// Between steps: ends all sequences that go on.
  void stop();

  /// Prompt and output; with a sliding window without what was dropped.
  const std::vector<int64_t> &tokens(int64_t sequence) const;
  End end(int64_t sequence) const;
  const GenerationStatistics &statistics() const { return counts; }
  void resetStatistics() { counts = {}; }

private:
  struct Sequence {
    GenerationOptions options;
    Random random;
    std::vector<int64_t> tokens;
    int64_t held = 0; ///< tokens that lie in the slot: a prefix of them
    int64_t generated = 0;
    bool isInRun = false, isLive = false; ///< it began with a run; goes on
    End end = End::None;
    // Drafts are shorter after one that was wrong, and after one that was
    // wrong from its first token there are none for a while, each time longer.
    int64_t draftLimit = 0, pause = 0, misses = 0;

    int64_t missing() const { return int64_t(tokens.size()) - held; }
  };

  Sequence &at(int64_t sequence);
  const Sequence &at(int64_t sequence) const;
  void makeRoom(Sequence &sequence);
  int64_t findDraft(const Sequence &sequence, int64_t limit,
                    std::vector<int64_t> &draft) const;
  int64_t draftAll();
  void feedPrompts(const OnToken &onToken);
  void decode(const OnToken &onToken);
  const float *stepModel(int64_t length);
  void take(size_t row, const float *logits, int64_t length,
            const OnToken &onToken);
  void adapt(Sequence &sequence, int64_t drafted, int64_t accepted);
  bool add(int64_t number, int64_t token, const OnToken &onToken);
  void failFull() const;

  StepModel &model;
  const int64_t chunk;
  Sampler sampler;
  std::vector<Sequence> states;
  GenerationStatistics counts;
  bool isRunning = false;

  // Of the step that is made: the sequences of its rows, and what they feed.
  std::vector<int64_t> batch, ids, starts, rows;
  std::vector<std::vector<int64_t>> drafts; ///< of each row
  std::vector<size_t> complete;             ///< rows that end their prompt
};

} // namespace tenon::runtime

#endif // TENON_RUNTIME_GENERATOR_H
