// The C API: every entry catches what the runtime throws.
#include "CApi.h"
#include "ElementType.h"
#include "Session.h"

#include <new>

using namespace tenon::runtime;

// State of a thread, not of the program: two callers never see each other's.
static thread_local std::string lastError;

struct tn_session {
  Session session;
};

tn_status tenon::runtime::reportFailure() noexcept {
  try {
    throw;
  } catch (const Failure &failure) {
    lastError = failure.what();
    return failure.status;
  } catch (const std::bad_alloc &) {
    lastError = "out of memory";
    return TN_ERROR_MEMORY;
  } catch (const std::exception &error) {
    lastError = error.what();
    return TN_ERROR_MEMORY;
  }
}

const char *tn_last_error(void) { return lastError.c_str(); }

uint32_t tn_abi_version(void) { return TN_ABI_VERSION; }

int64_t tn_type_bytes(int32_t type, int64_t count) {
  int64_t bytes = elementBytes(type);
  if (bytes == 0 || count < 0 || __builtin_mul_overflow(bytes, count, &bytes))
    return -1;
  return bytes;
}

const char *tn_type_name(int32_t type) { return elementName(type); }

tn_status tn_module_load(const char *path, tn_module **module) {
  return guarded([&] {
    require(path, "the path");
    require(module, "the result");
    *module = nullptr;
    *module = new tn_module{std::make_shared<const Module>(path)};
  });
}

void tn_module_release(tn_module *module) { delete module; }

static const Value *at(const std::vector<Value> &values, int32_t number) {
  return number >= 0 && size_t(number) < values.size() ? &values[number]
                                                       : nullptr;
}

static tn_dim dimOf(const Description &text, const Value *value, int32_t dim) {
  if (!value || dim < 0 || size_t(dim) >= value->dims.size())
    return {nullptr, -1};
  const Dim &found = value->dims[dim];
  return {found.symbol < 0 ? nullptr : text.symbols[found.symbol].name.c_str(),
          found.size};
}

static const Description &textOf(const tn_module *module) {
  static const Description none;
  return module ? module->module->description() : none;
}

static const char *nameOf(const Value *value) {
  return value ? value->name.c_str() : nullptr;
}

int32_t tn_module_input_count(const tn_module *module) {
  return int32_t(textOf(module).inputs.size());
}
const char *tn_module_input_name(const tn_module *module, int32_t input) {
  return nameOf(at(textOf(module).inputs, input));
}
int32_t tn_module_input_type(const tn_module *module, int32_t input) {
  const Value *value = at(textOf(module).inputs, input);
  return value ? value->type : 0;
}
int32_t tn_module_input_rank(const tn_module *module, int32_t input) {
  const Value *value = at(textOf(module).inputs, input);
  return value ? int32_t(value->dims.size()) : -1;
}
tn_dim tn_module_input_dim(const tn_module *module, int32_t input,
                           int32_t dim) {
  return dimOf(textOf(module), at(textOf(module).inputs, input), dim);
}

int32_t tn_module_output_count(const tn_module *module) {
  return int32_t(textOf(module).outputs.size());
}
const char *tn_module_output_name(const tn_module *module, int32_t output) {
  return nameOf(at(textOf(module).outputs, output));
}
int32_t tn_module_output_type(const tn_module *module, int32_t output) {
  const Value *value = at(textOf(module).outputs, output);
  return value ? value->type : 0;
}
int32_t tn_module_output_rank(const tn_module *module, int32_t output) {
  const Value *value = at(textOf(module).outputs, output);
  return value ? int32_t(value->dims.size()) : -1;
}
tn_dim tn_module_output_dim(const tn_module *module, int32_t output,
                            int32_t dim) {
  return dimOf(textOf(module), at(textOf(module).outputs, output), dim);
}

tn_status tn_module_decoder_values(const tn_module *module,
                                   tn_decoder_values *values) {
  return guarded([&] {
    require(module, "the module");
    require(values, "the result");
    const std::optional<DecoderValues> &found = textOf(module).decoder;
    if (!found)
      fail(TN_ERROR_ARGUMENT, "the module is no decoder");
    *values = {int32_t(found->ids),     int32_t(found->slots),
               int32_t(found->starts),  int32_t(found->rows),
               int32_t(found->context), int32_t(found->logits)};
  });
}

int32_t tn_module_symbol_count(const tn_module *module) {
  return int32_t(textOf(module).symbols.size());
}
tn_status tn_module_symbol(const tn_module *module, int32_t number,
                           tn_symbol *result) {
  return guarded([&] {
    require(result, "the result");
    const std::vector<Symbol> &symbols = textOf(module).symbols;
    if (number < 0 || size_t(number) >= symbols.size())
      fail(TN_ERROR_ARGUMENT, "there is no symbol ", number, ": the model has ",
           symbols.size());
    const Symbol &symbol = symbols[number];
    *result = {symbol.name.c_str(), symbol.min, symbol.max, symbol.hint};
  });
}

tn_status tn_session_create(tn_module *module,
                            const tn_session_options *options,
                            tn_session **session) {
  return guarded([&] {
    require(module, "the module");
    require(session, "the result");
    *session = nullptr;
    tn_session_options chosen =
        options ? *options : tn_session_options{1, 0, 0};
    if (chosen.threads < 0 || chosen.threads > 4096)
      fail(TN_ERROR_ARGUMENT, "threads must be from 0 to 4096, is ",
           chosen.threads);
    *session = new tn_session{Session(module->module, chosen)};
  });
}

void tn_session_release(tn_session *session) { delete session; }

tn_status tn_session_set_input(tn_session *session, int32_t input,
                               const tn_tensor *tensor) {
  return guarded([&] {
    require(session, "the session");
    require(tensor, "the tensor");
    session->session.setInput(input, *tensor);
  });
}

tn_status tn_session_bind_output(tn_session *session, int32_t output,
                                 void *data, int64_t bytes) {
  return guarded([&] {
    require(session, "the session");
    session->session.bindOutput(output, data, bytes);
  });
}

tn_status tn_session_resolve(tn_session *session) {
  return guarded([&] {
    require(session, "the session");
    session->session.resolve();
  });
}

tn_status tn_session_run(tn_session *session) {
  return guarded([&] {
    require(session, "the session");
    session->session.run();
  });
}

tn_status tn_session_output(const tn_session *session, int32_t output,
                            tn_tensor *tensor) {
  return guarded([&] {
    require(session, "the session");
    require(tensor, "the result");
    *tensor = session->session.output(output);
  });
}

int64_t tn_session_arena_bytes(const tn_session *session) {
  return session ? session->session.arenaBytes() : 0;
}

int32_t tn_session_profile_count(const tn_session *session) {
  return session ? int32_t(session->session.launchTimes().size()) : 0;
}

tn_status tn_session_profile(const tn_session *session, int32_t launch,
                             tn_launch *result) {
  return guarded([&] {
    require(session, "the session");
    require(result, "the result");
    const auto &times = session->session.launchTimes();
    if (launch < 0 || size_t(launch) >= times.size())
      fail(TN_ERROR_ARGUMENT, "there is no launch ", launch, ": the model has ",
           times.size());
    const Launch &named =
        session->session.getModule().description().launches[launch];
    const Session::LaunchTime &time = times[launch];
    *result = {named.kernel.c_str(), named.nodes.c_str(), time.calls,
               time.nanoseconds,     time.lastBegin,      time.last};
  });
}

int64_t tn_session_run_nanoseconds(const tn_session *session) {
  return session ? session->session.runNanoseconds() : 0;
}

void tn_session_profile_reset(tn_session *session) {
  if (session)
    session->session.resetProfile();
}
