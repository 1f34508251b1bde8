#include "Runtime/Cli/TensorProto.h"
#include "Runtime/Cli/NpyFile.h"
#include "gtest/gtest.h"
#include <cstring>

using namespace tenon::runtime;

static const std::string path = ARTIFACTS "/tensor.bin";

static void write(const std::string &bytes) {
  writeFile(path, std::vector<char>(bytes.begin(), bytes.end()));
}

TEST(TensorProto, ReadsWhatItWrites) {
  float data[6] = {1, 2, 3, 4, 5, 6};
  tn_tensor tensor = {data, 24, TN_F32, 2, {300, 0}};
  tensor.dims[0] = 2;
  tensor.dims[1] = 3;
  writeTensorProto(path, "name", tensor);
  Tensor read = readTensorProto(path);
  EXPECT_EQ(read.name, "name");
  EXPECT_EQ(read.dims, (std::vector<int64_t>{2, 3}));
  EXPECT_EQ(std::memcmp(read.data.data(), data, 24), 0);
}

TEST(TensorProto, ReadsTypedFields) {
  // dims 2, data_type INT8, int32_data [1, -1] packed.
  write(std::string("\x08\x02\x10\x03\x2a\x0b\x01"
                    "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
                    17));
  Tensor read = readTensorProto(path);
  ASSERT_EQ(read.data.size(), 2u);
  EXPECT_EQ(read.data[0], 1);
  EXPECT_EQ(read.data[1], -1);
}

TEST(TensorProto, PacksElementsOfFewerThanEightBits) {
  // dims 3, INT4, int32_data [0x87, 0x0f]: 7, -8, -1.
  write(std::string("\x08\x03\x10\x16\x2a\x03\x87\x01\x0f", 9));
  Tensor read = readTensorProto(path);
  EXPECT_EQ(read.data, (std::vector<char>{7, -8, -1}));
  const std::pair<int32_t, std::vector<char>> cases[] = {
      {TN_I4, {7, -8, -1, 0, 5}},
      {TN_U4, {15, 0, 9}},
      {TN_F4E2M1, {1, 15}},
      {TN_I2, {1, -2, -1, 0, 1}},
      {TN_U2, {3, 0, 2, 1, 3, 1, 2}}};
  for (auto [type, elements] : cases) {
    tn_tensor tensor = {elements.data(), int64_t(elements.size()), type, 1, {}};
    tensor.dims[0] = int64_t(elements.size());
    writeTensorProto(path, "x", tensor);
    EXPECT_EQ(readTensorProto(path).data, elements) << type;
  }
  // Three of them need two bytes.
  write(std::string("\x08\x03\x10\x16\x4a\x01\x87", 7));
  EXPECT_THROW(readTensorProto(path), CommandError);
}

TEST(TensorProto, RefusesDamage) {
  write(std::string("\x08\x02\x10\x01\x4a\x20zz", 8)); // 32 bytes promised
  EXPECT_THROW(readTensorProto(path), CommandError);
  write(std::string("\x08\x02\x10\x01\x4a\x02zz", 8)); // 8 bytes needed
  EXPECT_THROW(readTensorProto(path), CommandError);
  write(std::string("\x10\x08", 2)); // strings
  EXPECT_THROW(readTensorProto(path), CommandError);
}

TEST(NpyFile, ReadsWhatNumpyWrites) {
  std::string header = "{'descr': '<i8', 'fortran_order': False, "
                       "'shape': (2, 1), }";
  header.resize(117, ' ');
  header += '\n';
  std::string data(16, '\0');
  data[8] = 5;
  write(std::string("\x93NUMPY\x01\x00\x76\x00", 10) + header + data);
  Tensor read = readNpy(path, TN_I64);
  EXPECT_EQ(read.type, TN_I64);
  EXPECT_EQ(read.dims, (std::vector<int64_t>{2, 1}));
  EXPECT_EQ(read.data[8], 5);
  write("no array at all");
  EXPECT_THROW(readNpy(path, TN_I64), CommandError);
}
