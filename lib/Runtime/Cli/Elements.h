// Elements of tensors as numbers.
#ifndef TENON_RUNTIME_CLI_ELEMENTS_H
#define TENON_RUNTIME_CLI_ELEMENTS_H

#include <cstdint>

namespace tenon::runtime {

/// The element of this type at `at`; one of less than a byte in its low bits.
double elementValue(int32_t type, const char *at);

} // namespace tenon::runtime

#endif // TENON_RUNTIME_CLI_ELEMENTS_H
