// The one exception inside the runtime. CApi.cpp turns it into a status and a
// message; it never crosses the C API.
#ifndef TENON_RUNTIME_FAILURE_H
#define TENON_RUNTIME_FAILURE_H

#include "tenon-c/Runtime.h"
#include <sstream>
#include <stdexcept>

namespace tenon::runtime {

struct Failure : std::runtime_error {
  Failure(tn_status status, const std::string &message)
      : std::runtime_error(message), status(status) {}
  tn_status status;
};

/// Throws a Failure whose message is all of `parts`, one after the other.
template <typename... Parts>
[[noreturn]] void fail(tn_status status, const Parts &...parts) {
  std::ostringstream message;
  (message << ... << parts);
  throw Failure(status, message.str());
}

} // namespace tenon::runtime

#endif // TENON_RUNTIME_FAILURE_H
