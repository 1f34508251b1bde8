// In place of the decoder, for tests of what is above it: any artifact is one,
// of 266 tokens, whose logits depend on the last token alone.
#include "FakeStepModel.h"
#include "Runtime/Decoder.h"

#include <chrono>
#include <thread>

using namespace tenon::runtime;

std::unique_ptr<StepModel>
tenon::runtime::makeDecoder(std::shared_ptr<const Module>,
                            const DecoderOptions &options) {
  auto model =
      std::make_unique<FakeStepModel>(266, options.slots, options.capacity, 1);
  // Large ones are slow, so that a test can interrupt them.
  if (options.capacity >= 100000)
    model->beforeStep = [] {
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    };
  return model;
}
