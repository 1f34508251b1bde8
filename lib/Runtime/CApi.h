// What the files of the C API share.
#ifndef TENON_RUNTIME_CAPI_H
#define TENON_RUNTIME_CAPI_H

#include "Failure.h"
#include "Module.h"
#include "StepModel.h"
#include <memory>

struct tn_module {
  std::shared_ptr<const tenon::runtime::Module> module;
};

/// Generators keep the model alive, and use it one at a time.
struct tn_decoder {
  std::shared_ptr<tenon::runtime::StepModel> model;
};

namespace tenon::runtime {

/// For a handler of exceptions: keeps the message for tn_last_error.
tn_status reportFailure() noexcept;

template <typename Body> tn_status guarded(Body body) noexcept {
  try {
    body();
    return TN_OK;
  } catch (...) {
    return reportFailure();
  }
}

inline void require(const void *pointer, const char *what) {
  if (!pointer)
    fail(TN_ERROR_ARGUMENT, what, " is null");
}

} // namespace tenon::runtime

#endif // TENON_RUNTIME_CAPI_H
