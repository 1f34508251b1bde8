// A tensor that the command line owns.
#ifndef TENON_RUNTIME_CLI_TENSOR_H
#define TENON_RUNTIME_CLI_TENSOR_H

#include "tenon-c/Runtime.h"
#include <stdexcept>
#include <string>
#include <vector>

namespace tenon::runtime {

struct Tensor {
  std::string name; // may be empty
  int32_t type = 0;
  std::vector<int64_t> dims;
  std::vector<char> data;
};

/// What a command could not do, as one line for stderr.
struct CommandError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

} // namespace tenon::runtime

#endif // TENON_RUNTIME_CLI_TENSOR_H
