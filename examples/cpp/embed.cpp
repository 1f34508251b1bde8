// Runs one model from several threads, each with a session of its own; all
// share the weights:  embed MODEL.so
#include "tenon-c/Runtime.h"
#include <cstdio>
#include <memory>
#include <stdexcept>
#include <thread>
#include <vector>

namespace {

void check(tn_status status) {
  if (status != TN_OK)
    throw std::runtime_error(tn_last_error());
}

struct Release {
  void operator()(tn_module *module) const { tn_module_release(module); }
  void operator()(tn_session *session) const { tn_session_release(session); }
};
using Module = std::unique_ptr<tn_module, Release>;
using Session = std::unique_ptr<tn_session, Release>;

Module load(const char *path) {
  tn_module *module = nullptr;
  check(tn_module_load(path, &module));
  return Module(module);
}

Session makeSession(const Module &module) {
  tn_session *session = nullptr;
  check(tn_session_create(module.get(), nullptr, &session));
  return Session(session);
}

/// Runs the model on zeros, with `size` for every symbol, and returns the bytes
/// of all its outputs.
int64_t runOnce(const Module &module, int64_t size) {
  Session session = makeSession(module);
  std::vector<std::vector<char>> memory;
  for (int32_t i = 0; i < tn_module_input_count(module.get()); ++i) {
    tn_tensor tensor = {};
    tensor.type = tn_module_input_type(module.get(), i);
    tensor.rank = tn_module_input_rank(module.get(), i);
    int64_t count = 1;
    for (int32_t d = 0; d < tensor.rank; ++d) {
      tn_dim dim = tn_module_input_dim(module.get(), i, d);
      tensor.dims[d] = dim.symbol ? size : dim.size;
      count *= tensor.dims[d];
    }
    tensor.bytes = tn_type_bytes(tensor.type, count);
    memory.emplace_back(tensor.bytes);
    tensor.data = memory.back().data();
    check(tn_session_set_input(session.get(), i, &tensor));
  }
  check(tn_session_run(session.get()));
  int64_t bytes = 0;
  for (int32_t i = 0; i < tn_module_output_count(module.get()); ++i) {
    tn_tensor output;
    check(tn_session_output(session.get(), i, &output));
    bytes += output.bytes;
  }
  return bytes;
}

} // namespace

int main(int argc, char **argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: embed MODEL.so\n");
    return 2;
  }
  try {
    Module module = load(argv[1]);
    std::vector<std::thread> threads;
    std::vector<int64_t> bytes(4, -1);
    for (size_t i = 0; i < bytes.size(); ++i)
      threads.emplace_back([&, i] {
        try {
          bytes[i] = runOnce(module, int64_t(i) + 1);
        } catch (const std::exception &error) {
          std::fprintf(stderr, "error: %s\n", error.what());
        }
      });
    for (std::thread &thread : threads)
      thread.join();
    for (size_t i = 0; i < bytes.size(); ++i) {
      if (bytes[i] < 0)
        return 1;
      std::printf("size %zu: %lld bytes of outputs\n", i + 1,
                  (long long)bytes[i]);
    }
  } catch (const std::exception &error) {
    std::fprintf(stderr, "error: %s\n", error.what());
    return 1;
  }
}
