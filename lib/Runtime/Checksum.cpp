// Eight bytes at a time by eight tables, so that loading does not notice it
// (Kounavis and Berry, A Systematic Approach to Building High Performance,
// Software-Based, CRC Generators, 2005).
#include "Checksum.h"

#include <array>

using Tables = std::array<std::array<uint32_t, 256>, 8>;

static constexpr Tables makeTables() {
  Tables tables{};
  for (uint32_t byte = 0; byte < 256; ++byte) {
    uint32_t value = byte;
    for (int bit = 0; bit < 8; ++bit)
      value = value >> 1 ^ (value & 1 ? 0xedb88320 : 0);
    tables[0][byte] = value;
  }
  for (size_t i = 1; i < 8; ++i)
    for (uint32_t byte = 0; byte < 256; ++byte) {
      uint32_t value = tables[i - 1][byte];
      tables[i][byte] = value >> 8 ^ tables[0][value & 255];
    }
  return tables;
}

static constexpr Tables tables = makeTables();

uint32_t tenon::runtime::crc32(uint32_t before, const void *data,
                               size_t bytes) {
  auto *at = static_cast<const uint8_t *>(data);
  uint32_t value = ~before;
  for (; bytes >= 8; bytes -= 8, at += 8) {
    uint32_t next = 0;
    for (int i = 0; i < 8; ++i) {
      uint32_t byte = at[i] ^ (i < 4 ? value >> 8 * i & 255 : 0);
      next ^= tables[7 - i][byte];
    }
    value = next;
  }
  for (; bytes > 0; --bytes)
    value = value >> 8 ^ tables[0][(value ^ *at++) & 255];
  return ~value;
}
