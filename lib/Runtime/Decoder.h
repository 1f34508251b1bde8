// A session of a module that has the form of a decoder, and its caches.
#ifndef TENON_RUNTIME_DECODER_H
#define TENON_RUNTIME_DECODER_H

#include "Module.h"
#include "StepModel.h"
#include <memory>

namespace tenon::runtime {

struct DecoderOptions {
  tn_session_options session = {0, 0, 0};
  int64_t capacity = 0; ///< tokens of a sequence
  int64_t slots = 1;    ///< sequences at the same time
};

/// Allocates the caches: capacity x slots tokens. Throws Failure, also where
/// the module is no decoder.
std::unique_ptr<StepModel> makeDecoder(std::shared_ptr<const Module> module,
                                       const DecoderOptions &options);

} // namespace tenon::runtime

#endif // TENON_RUNTIME_DECODER_H
