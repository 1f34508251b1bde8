// The C API of decoders and generators.
#include "CApi.h"
#include "Decoder.h"
#include "Generator.h"

#include <algorithm>
#include <atomic>

using namespace tenon::runtime;

struct tn_generator {
  explicit tn_generator(std::shared_ptr<StepModel> model)
      : model(std::move(model)), generator(*this->model) {}

  const std::shared_ptr<StepModel> model;
  Generator generator;
  std::atomic<bool> isBusy{false}, isStopped{false};
};

/// Runs `body` on the generator unless another call does.
template <typename Body>
static tn_status exclusively(tn_generator *generator, Body body) noexcept {
  return guarded([&] {
    require(generator, "the generator");
    if (generator->isBusy.exchange(true))
      fail(TN_ERROR_ARGUMENT, "the generator is in use by another call");
    struct Release {
      std::atomic<bool> &isBusy;
      ~Release() { isBusy = false; }
    } release{generator->isBusy};
    body(generator->generator);
  });
}

tn_status tn_decoder_create(tn_module *module,
                            const tn_decoder_options *options,
                            tn_decoder **decoder) {
  return guarded([&] {
    require(module, "the module");
    require(options, "the struct of options");
    require(decoder, "the result");
    *decoder = nullptr;
    int32_t threads = options->session.threads;
    if (threads < 0 || threads > 4096)
      fail(TN_ERROR_ARGUMENT, "threads must be from 0 to 4096, is ", threads);
    if (options->capacity < 1)
      fail(TN_ERROR_ARGUMENT, "the capacity must be 1 or larger, is ",
           options->capacity);
    if (options->sequences < 0)
      fail(TN_ERROR_ARGUMENT, "sequences must be 0 or more, is ",
           options->sequences);
    DecoderOptions chosen;
    chosen.session = options->session;
    chosen.capacity = options->capacity;
    chosen.slots = options->sequences ? options->sequences : 1;
    *decoder = new tn_decoder{makeDecoder(module->module, chosen)};
  });
}

void tn_decoder_release(tn_decoder *decoder) { delete decoder; }

int64_t tn_decoder_vocabulary(const tn_decoder *decoder) {
  return decoder ? decoder->model->vocabulary() : 0;
}

int64_t tn_decoder_capacity(const tn_decoder *decoder) {
  return decoder ? decoder->model->capacity() : 0;
}

int32_t tn_decoder_sequences(const tn_decoder *decoder) {
  return decoder ? int32_t(decoder->model->slots()) : 0;
}

tn_status tn_generator_create(tn_decoder *decoder, tn_generator **generator) {
  return guarded([&] {
    require(decoder, "the decoder");
    require(generator, "the result");
    *generator = nullptr;
    // Two would not know what the other has written over.
    if (decoder->model.use_count() > 1)
      fail(TN_ERROR_ARGUMENT, "the decoder has a generator already");
    *generator = new tn_generator(decoder->model);
  });
}

void tn_generator_release(tn_generator *generator) { delete generator; }

tn_status tn_generator_set_options(tn_generator *generator, int32_t sequence,
                                   const tn_generator_options *options) {
  return exclusively(generator, [&](Generator &texts) {
    require(options, "the struct of options");
    if (options->stop_count < 0)
      fail(TN_ERROR_ARGUMENT,
           "the number of stop tokens must be 0 or more, is ",
           options->stop_count);
    if (options->stop_count)
      require(options->stop_tokens, "the list of stop tokens");
    auto given = [](float value) { return value == 0 ? 1 : value; };
    GenerationOptions chosen;
    chosen.sampling = {
        options->temperature, options->top_k, given(options->top_p),
        given(options->repetition_penalty), options->repetition_window};
    chosen.seed = options->seed;
    chosen.maxTokens = options->max_tokens;
    chosen.stopTokens.assign(options->stop_tokens,
                             options->stop_tokens + options->stop_count);
    chosen.speculate = options->speculate;
    chosen.slidingWindow = options->sliding_window;
    if (options->kept_tokens)
      chosen.keptTokens = options->kept_tokens;
    texts.setOptions(sequence, std::move(chosen));
  });
}

tn_status tn_generator_set_prompt(tn_generator *generator, int32_t sequence,
                                  const int64_t *ids, int64_t count) {
  return exclusively(generator, [&](Generator &texts) {
    if (count > 0)
      require(ids, "the list of ids");
    texts.setPrompt(sequence, ids, count);
  });
}

tn_status tn_generator_set_input(tn_generator *generator, int32_t sequence,
                                 const char *name, const tn_tensor *tensor) {
  return exclusively(generator, [&](Generator &texts) {
    require(name, "the name");
    require(tensor, "the tensor");
    texts.setInput(sequence, name, *tensor);
  });
}

tn_status tn_generator_rewind(tn_generator *generator, int32_t sequence,
                              int64_t position) {
  return exclusively(
      generator, [&](Generator &texts) { texts.rewind(sequence, position); });
}

/// What a callback of C wants, and whoever has called tn_generator_stop.
static Generator::OnToken told(tn_generator *generator,
                               tn_token_callback callback, void *context) {
  return [=](int64_t sequence, int64_t token) {
    int32_t wanted = callback ? callback(context, int32_t(sequence), token) : 0;
    if (generator->isStopped || (wanted != 0 && wanted != 1))
      return Next::StopAll;
    return wanted ? Next::StopSequence : Next::Continue;
  };
}

static bool runStep(tn_generator *generator,
                    const Generator::OnToken &onToken) {
  if (generator->isStopped)
    generator->generator.stop();
  return generator->generator.step(onToken);
}

tn_status tn_generator_begin(tn_generator *generator, int32_t sequence) {
  return exclusively(generator, [&](Generator &texts) {
    generator->isStopped = false;
    texts.begin(sequence);
  });
}

tn_status tn_generator_step(tn_generator *generator, tn_token_callback callback,
                            void *context, int32_t *more) {
  return exclusively(generator, [&](Generator &) {
    require(more, "the result");
    *more = 0;
    *more = runStep(generator, told(generator, callback, context));
  });
}

tn_status tn_generator_run(tn_generator *generator, tn_token_callback callback,
                           void *context) {
  return exclusively(generator, [&](Generator &texts) {
    generator->isStopped = false;
    texts.begin();
    Generator::OnToken onToken = told(generator, callback, context);
    while (runStep(generator, onToken))
      ;
  });
}

void tn_generator_stop(tn_generator *generator) {
  if (generator)
    generator->isStopped = true;
}

tn_status tn_generator_tokens(tn_generator *generator, int32_t sequence,
                              int64_t *ids, int64_t room, int64_t *count) {
  return exclusively(generator, [&](Generator &texts) {
    require(count, "the result");
    const std::vector<int64_t> &tokens = texts.tokens(sequence);
    *count = int64_t(tokens.size());
    int64_t copied = std::min(room, *count);
    if (copied > 0)
      require(ids, "the memory for ids");
    std::copy_n(tokens.begin(), std::max<int64_t>(copied, 0), ids);
  });
}

tn_status tn_generator_end(tn_generator *generator, int32_t sequence,
                           int32_t *end) {
  return exclusively(generator, [&](Generator &texts) {
    require(end, "the result");
    *end = int32_t(texts.end(sequence));
  });
}

tn_status tn_generator_statistics(tn_generator *generator,
                                  tn_generation_statistics *result) {
  return exclusively(generator, [&](Generator &texts) {
    require(result, "the result");
    const GenerationStatistics &counts = texts.statistics();
    *result = {counts.promptTokens,      counts.promptNanoseconds,
               counts.generatedTokens,   counts.decodedTokens,
               counts.decodeNanoseconds, counts.decodeSteps,
               counts.drafted,           counts.accepted};
  });
}

tn_status tn_generator_statistics_reset(tn_generator *generator) {
  return exclusively(generator,
                     [](Generator &texts) { texts.resetStatistics(); });
}
