#include "Runtime/Checksum.h"
#include "gtest/gtest.h"
#include <string>

using tenon::runtime::crc32;

TEST(Checksum, IsThatOfZlib) {
  // The check value of the algorithm, and 0 to 255 as Python's zlib has it.
  EXPECT_EQ(crc32(0, "123456789", 9), 0xcbf43926u);
  std::string bytes(256, '\0');
  for (int i = 0; i < 256; ++i)
    bytes[i] = char(i);
  EXPECT_EQ(crc32(0, bytes.data(), 256), 0x29058c73u);
  EXPECT_EQ(crc32(0, nullptr, 0), 0u);
}

TEST(Checksum, GoesOnAnywhere) {
  std::string bytes = "a text that is longer than two steps of eight bytes";
  uint32_t whole = crc32(0, bytes.data(), bytes.size());
  for (size_t i = 0; i <= bytes.size(); ++i) {
    uint32_t first = crc32(0, bytes.data(), i);
    EXPECT_EQ(crc32(first, bytes.data() + i, bytes.size() - i), whole) << i;
  }
}
