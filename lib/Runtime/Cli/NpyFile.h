// Arrays as numpy.save writes them.
#ifndef TENON_RUNTIME_CLI_NPYFILE_H
#define TENON_RUNTIME_CLI_NPYFILE_H

#include "Tensor.h"

namespace tenon::runtime {

/// Throws CommandError. A type that numpy lacks is stored as bytes ("|V2") and
/// read as `expected`.
Tensor readNpy(const std::string &path, int32_t expected);

} // namespace tenon::runtime

#endif // TENON_RUNTIME_CLI_NPYFILE_H
