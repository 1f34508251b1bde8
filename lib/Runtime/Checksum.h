// CRC-32, the checksum of an artifact.
#ifndef TENON_RUNTIME_CHECKSUM_H
#define TENON_RUNTIME_CHECKSUM_H

#include <cstddef>
#include <cstdint>

namespace tenon::runtime {

/// The CRC-32 of zlib and Ethernet (ISO 3309) of what `before` is the CRC-32
/// of, 0 for nothing, followed by `bytes` at `data`.
uint32_t crc32(uint32_t before, const void *data, size_t bytes);

} // namespace tenon::runtime

#endif // TENON_RUNTIME_CHECKSUM_H
