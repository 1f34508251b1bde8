// Text as JSON wants it.
#ifndef TENON_RUNTIME_CLI_JSON_H
#define TENON_RUNTIME_CLI_JSON_H

#include <string>

namespace tenon::runtime {

/// In quotes, with what JSON does not allow escaped.
std::string jsonString(const std::string &text);

} // namespace tenon::runtime

#endif // TENON_RUNTIME_CLI_JSON_H
