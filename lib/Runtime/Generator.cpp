// The loop: feed what the slots lack, choose tokens, tell the caller.
#include "Generator.h"
#include "Failure.h"

#include <algorithm>
#include <chrono>

using namespace tenon::runtime;

using Clock = std::chrono::steady_clock;

/// Last tokens that must have come before, for a draft: first so many, then
/// fewer. What followed a single token says too little.
static constexpr int64_t longestMatch = 3, shortestMatch = 2;

/// Steps without drafts after wrong ones, at most: so rare is what they cost
/// in vain.
static constexpr int64_t longestPause = 64;

static constexpr int64_t longestDraft = 64;

static int64_t nanosecondsSince(Clock::time_point begin) {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(Clock::now() -
                                                              begin)
      .count();
}

Generator::Generator(StepModel &model, int64_t chunk)
    : model(model), chunk(chunk), sampler(model.vocabulary()),
      states(size_t(model.slots())), drafts(size_t(model.slots())) {
  if (chunk < 1)
    fail(TN_ERROR_ARGUMENT, "a step must feed 1 token or more of prompts, not ",
         chunk);
}

Generator::Sequence &Generator::at(int64_t sequence) {
  if (sequence < 0 || sequence >= sequences())
    fail(TN_ERROR_ARGUMENT, "there is no sequence ", sequence,
         ": the decoder has ", sequences());
  return states[size_t(sequence)];
}

const Generator::Sequence &Generator::at(int64_t sequence) const {
  return const_cast<Generator *>(this)->at(sequence);
}

const std::vector<int64_t> &Generator::tokens(int64_t sequence) const {
  return at(sequence).tokens;
}

End Generator::end(int64_t sequence) const { return at(sequence).end; }

void Generator::setOptions(int64_t sequence, GenerationOptions options) {
  Sequence &changed = at(sequence);
  checkOptions(options.sampling);
  auto check = [](int64_t is, int64_t least, int64_t most, const char *name) {
    if (is < least || is > most)
      fail(TN_ERROR_ARGUMENT, name, " must be from ", least, " to ", most,
           ", is ", is);
  };
  check(options.maxTokens, 0, INT64_MAX, "the number of new tokens");
  check(options.speculate, 0, longestDraft, "the length of drafts");
  if (options.slidingWindow)
    check(options.keptTokens, 0, model.capacity() - 2,
          "what a sliding window keeps");
  for (int64_t token : options.stopTokens)
    check(token, 0, model.vocabulary() - 1, "a stop token");
  changed.options = std::move(options);
  changed.random = Random(changed.options.seed);
  changed.draftLimit = changed.options.speculate;
  changed.pause = changed.misses = 0;
}

void Generator::setPrompt(int64_t sequence, const int64_t *ids, int64_t count) {
  Sequence &changed = at(sequence);
  if (count < 1)
    fail(TN_ERROR_INPUT, "the prompt of sequence ", sequence, " has no token");
  if (count > model.capacity())
    fail(TN_ERROR_INPUT, "the prompt of sequence ", sequence, " has ", count,
         " tokens, the capacity is ", model.capacity());
  for (int64_t i = 0; i < count; ++i)
    if (ids[i] < 0 || ids[i] >= model.vocabulary())
      fail(TN_ERROR_INPUT, "token ", i, " of the prompt of sequence ", sequence,
           " is ", ids[i], ", the vocabulary has ", model.vocabulary());
  int64_t shared = 0, most = std::min(changed.held, count - 1);
  while (shared < most && changed.tokens[size_t(shared)] == ids[shared])
    ++shared;
  changed.tokens.assign(ids, ids + count);
  changed.held = shared;
  changed.generated = 0;
  changed.end = End::None;
  changed.isLive = changed.isInRun = isRunning;
}

void Generator::setInput(int64_t sequence, const std::string &name,
                         const tn_tensor &tensor) {
  Sequence &changed = at(sequence);
  model.setInput(sequence, name, tensor);
  changed.held = 0;
}

void Generator::rewind(int64_t sequence, int64_t position) {
  Sequence &changed = at(sequence);
  int64_t length = int64_t(changed.tokens.size());
  if (position < 0 || position > length)
    fail(TN_ERROR_ARGUMENT, "cannot rewind sequence ", sequence, " to token ",
         position, ": it has ", length);
  changed.tokens.resize(size_t(position));
  // The last token is fed again: its logits are gone.
  changed.held = std::min(changed.held, std::max<int64_t>(position - 1, 0));
  changed.generated = 0;
  changed.end = End::None;
  changed.isLive = changed.isInRun = isRunning && position > 0;
}

void Generator::begin(int64_t wanted) {
  if (wanted >= 0)
    at(wanted);
  for (size_t i = 0; i < states.size(); ++i) {
    Sequence &sequence = states[i];
    sequence.isLive = (wanted < 0 || size_t(wanted) == i) &&
                      !sequence.tokens.empty() && sequence.end != End::Stop;
    sequence.isInRun = sequence.isLive;
    if (!sequence.isLive)
      continue;
    sequence.generated = 0;
    sequence.end = End::None;
  }
  isRunning = true;
}

void Generator::run(const OnToken &onToken) {
  begin();
  while (step(onToken))
    ;
}

bool Generator::step(const OnToken &onToken) {
  bool isAnyLive = false, hasPrompt = false;
  for (Sequence &sequence : states) {
    if (!sequence.isLive)
      continue;
    makeRoom(sequence);
    isAnyLive |= sequence.isLive;
    hasPrompt |= sequence.isLive && sequence.missing() > 1;
  }
  if (!isAnyLive) {
    bool wasRunning = isRunning;
    isRunning = false;
    if (wasRunning)
      failFull();
    return false;
  }
  if (hasPrompt)
    feedPrompts(onToken);
  else
    decode(onToken);
  return true;
}

void Generator::stop() {
  for (Sequence &sequence : states)
    if (sequence.isLive) {
      sequence.isLive = false;
      sequence.end = End::Asked;
    }
}

/// What is missing fits behind what is held, or the sequence ends.
void Generator::makeRoom(Sequence &sequence) {
  int64_t length = int64_t(sequence.tokens.size());
  if (length <= model.capacity())
    return;
  if (!sequence.options.slidingWindow) {
    sequence.isLive = false;
    sequence.end = End::Full;
    return;
  }
  // Keys and values hold their positions, so what moves is fed again. Half of
  // the window at once, or that would be so for each token.
  int64_t kept = sequence.options.keptTokens;
  int64_t last = (model.capacity() - kept) / 2;
  sequence.tokens.erase(sequence.tokens.begin() + kept,
                        sequence.tokens.end() - last);
  sequence.held = std::min(sequence.held, kept);
}

void Generator::failFull() const {
  for (size_t i = 0; i < states.size(); ++i)
    if (states[i].end == End::Full && states[i].isInRun)
      fail(TN_ERROR_INPUT, "the context of sequence ", i, " is full: it has ",
           states[i].tokens.size(), " tokens, the capacity is ",
           model.capacity());
}

/// Runs one step of `length` tokens of each sequence in the batch; ids and rows
/// are set.
const float *Generator::stepModel(int64_t length) {
  starts.clear();
  for (int64_t number : batch)
    starts.push_back(states[size_t(number)].held);
  return model.step({int64_t(batch.size()), length, ids.data(), batch.data(),
                     starts.data(), rows.data(), int64_t(rows.size())});
}

void Generator::feedPrompts(const OnToken &onToken) {
  Clock::time_point begin = Clock::now();
  batch.clear();
  int64_t length = chunk;
  for (size_t i = 0; i < states.size(); ++i)
    if (states[i].isLive && states[i].missing() > 1) {
      batch.push_back(int64_t(i));
      length = std::min(length, states[i].missing());
    }
  length =
      std::min(length, std::max<int64_t>(1, chunk / int64_t(batch.size())));
  ids.clear();
  for (int64_t number : batch) {
    const Sequence &sequence = states[size_t(number)];
    auto first = sequence.tokens.begin() + sequence.held;
    ids.insert(ids.end(), first, first + length);
  }
  rows.assign(1, length - 1);
  const float *logits = stepModel(length);
  counts.promptTokens += length * int64_t(batch.size());
  complete.clear();
  for (size_t row = 0; row < batch.size(); ++row) {
    Sequence &sequence = states[size_t(batch[row])];
    sequence.held += length;
    if (sequence.missing() > 0)
      continue;
    // As before a step of one token, also if a row before this one fails.
    --sequence.held;
    complete.push_back(row);
  }
  for (size_t row : complete) {
    drafts[row].clear();
    if (states[size_t(batch[row])].isLive)
      take(row, logits + int64_t(row) * model.vocabulary(), 1, onToken);
  }
  counts.promptNanoseconds += nanosecondsSince(begin);
}

void Generator::decode(const OnToken &onToken) {
  Clock::time_point begin = Clock::now();
  batch.clear();
  for (size_t i = 0; i < states.size(); ++i)
    if (states[i].isLive)
      batch.push_back(int64_t(i));
  int64_t length = 1 + draftAll();
  ids.clear();
  rows.clear();
  for (int64_t i = 0; i < length; ++i)
    rows.push_back(i);
  for (size_t row = 0; row < batch.size(); ++row) {
    int64_t last = states[size_t(batch[row])].tokens.back();
    ids.push_back(last);
    ids.insert(ids.end(), drafts[row].begin(), drafts[row].end());
    // Rows of a step have one length: behind a shorter draft lies anything.
    ids.resize((row + 1) * size_t(length), last);
  }
  const float *logits = stepModel(length);
  int64_t before = counts.generatedTokens;
  for (size_t row = 0; row < batch.size(); ++row)
    if (states[size_t(batch[row])].isLive)
      take(row, logits + int64_t(row) * length * model.vocabulary(), length,
           onToken);
  counts.decodedTokens += counts.generatedTokens - before;
  ++counts.decodeSteps;
  counts.decodeNanoseconds += nanosecondsSince(begin);
}

/// Finds drafts for the batch and returns the length of the longest. Where less
/// than half of the sequences have one, the others would pay too much.
int64_t Generator::draftAll() {
  int64_t longest = 0, room = INT64_MAX;
  size_t found = 0;
  for (size_t row = 0; row < batch.size(); ++row) {
    Sequence &sequence = states[size_t(batch[row])];
    drafts[row].clear();
    room = std::min(room, model.capacity() - int64_t(sequence.tokens.size()));
    if (sequence.options.speculate == 0 || sequence.pause-- > 0)
      continue;
    sequence.pause = 0;
    int64_t limit = sequence.draftLimit;
    if (sequence.options.maxTokens > 0)
      limit =
          std::min(limit, sequence.options.maxTokens - sequence.generated - 1);
    int64_t length = findDraft(sequence, limit, drafts[row]);
    found += length > 0;
    longest = std::max(longest, length);
  }
  longest = 2 * found < batch.size() ? 0 : std::min(longest, room);
  for (size_t row = 0; row < batch.size(); ++row)
    drafts[row].resize(std::min(drafts[row].size(), size_t(longest)));
  return longest;
}

/// What followed the last time behind the same last tokens; where that reaches
/// the end of the text, it goes on as if the text did.
int64_t Generator::findDraft(const Sequence &sequence, int64_t limit,
                             std::vector<int64_t> &draft) const {
  const std::vector<int64_t> &tokens = sequence.tokens;
  int64_t length = int64_t(tokens.size());
  for (int64_t match = longestMatch; match >= shortestMatch && limit > 0;
       --match)
    for (int64_t begin = length - match - 1; begin >= 0; --begin) {
      if (!std::equal(tokens.end() - match, tokens.end(),
                      tokens.begin() + begin))
        continue;
      for (int64_t i = 0, from = begin + match; i < limit; ++i, ++from)
        draft.push_back(from < length ? tokens[size_t(from)]
                                      : draft[size_t(from - length)]);
      return limit;
    }
  return 0;
}

/// Chooses tokens from the logits behind a row's tokens, up to the first that
/// its draft does not have.
void Generator::take(size_t row, const float *logits, int64_t length,
                     const OnToken &onToken) {
  int64_t number = batch[row];
  Sequence &sequence = states[size_t(number)];
  const std::vector<int64_t> &draft = drafts[row];
  int64_t held = sequence.held + 1, accepted = 0;
  for (int64_t i = 0; i < length; ++i) {
    // To accept a token of the draft with its probability, and else draw from
    // what is left, is the same as to draw and compare: nothing that comes
    // depends on drafts, and neither do the random numbers.
    int64_t token = sampler.sample(
        logits + i * model.vocabulary(), sequence.options.sampling,
        {sequence.tokens.data(), sequence.tokens.size()}, sequence.random);
    bool isDrafted = i < int64_t(draft.size()) && draft[size_t(i)] == token;
    accepted += isDrafted;
    sequence.held = held + i;
    if (!add(number, token, onToken) || !isDrafted)
      break;
  }
  adapt(sequence, int64_t(draft.size()), accepted);
}

void Generator::adapt(Sequence &sequence, int64_t drafted, int64_t accepted) {
  if (drafted == 0)
    return;
  counts.drafted += drafted;
  counts.accepted += accepted;
  if (accepted == 0) {
    ++sequence.misses;
    sequence.pause = std::min(
        longestPause, int64_t(1) << std::min<int64_t>(sequence.misses, 6));
    sequence.draftLimit = std::max<int64_t>(1, sequence.draftLimit / 2);
    return;
  }
  sequence.misses = 0;
  sequence.draftLimit =
      accepted < drafted
          ? accepted
          : std::min(sequence.options.speculate, 2 * sequence.draftLimit);
}

/// Returns whether the sequence goes on.
bool Generator::add(int64_t number, int64_t token, const OnToken &onToken) {
  Sequence &sequence = states[size_t(number)];
  const GenerationOptions &options = sequence.options;
  sequence.tokens.push_back(token);
  ++sequence.generated;
  ++counts.generatedTokens;
  Next next = onToken ? onToken(number, token) : Next::Continue;
  if (std::find(options.stopTokens.begin(), options.stopTokens.end(), token) !=
      options.stopTokens.end())
    sequence.end = End::Stop;
  else if (next != Next::Continue)
    sequence.end = End::Asked;
  else if (options.maxTokens > 0 && sequence.generated >= options.maxTokens)
    sequence.end = End::Limit;
  sequence.isLive = sequence.end == End::None;
  if (next == Next::StopAll)
    stop();
  return sequence.isLive;
}
