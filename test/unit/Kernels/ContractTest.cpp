// Contracts of many shapes against a plain loop.
#include "JitRegion.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Parser/Parser.h"
#include "gtest/gtest.h"
#include <array>
#include <cmath>
#include <random>

using namespace tenon;

namespace {

using Sizes = std::vector<int64_t>;

int64_t count(const Sizes &sizes) {
  int64_t result = 1;
  for (int64_t size : sizes)
    result *= size;
  return result;
}

std::string tensor(const Sizes &sizes, bool dynamic = false) {
  std::string result = "tensor<";
  for (int64_t size : sizes)
    result += (dynamic ? "?" : std::to_string(size)) + "x";
  return result + "f32>";
}

std::vector<float> random(int64_t size) {
  static std::mt19937 engine(1);
  std::uniform_real_distribution<float> uniform(-1, 1);
  std::vector<float> result(size);
  for (float &value : result)
    value = uniform(engine);
  return result;
}

void expectClose(const std::vector<float> &actual,
                 const std::vector<float> &wanted, float tolerance) {
  ASSERT_EQ(actual.size(), wanted.size());
  for (size_t i = 0; i < actual.size(); ++i)
    if (!(std::fabs(actual[i] - wanted[i]) <= tolerance)) {
      FAIL() << "element " << i << " is " << actual[i] << ", wanted "
             << wanted[i];
    }
}

std::vector<TargetFacts> targets() {
  std::vector<TargetFacts> result;
  for (const TargetFacts &facts : {avx512Facts(), avx2Facts()})
    if (JitRegion::canRun(facts))
      result.push_back(facts);
  return result;
}

/// K×N to panels of 32 columns.
std::vector<float> panels(const std::vector<float> &matrix, int64_t k,
                          int64_t n) {
  std::vector<float> result((n + 31) / 32 * k * 32, 0);
  for (int64_t i = 0; i < k; ++i)
    for (int64_t j = 0; j < n; ++j)
      result[j / 32 * k * 32 + i * 32 + j % 32] = matrix[i * n + j];
  return result;
}

std::vector<float> product(const std::vector<float> &a,
                           const std::vector<float> &b, int64_t m, int64_t k,
                           int64_t n) {
  std::vector<float> result(m * n);
  for (int64_t i = 0; i < m; ++i)
    for (int64_t j = 0; j < n; ++j) {
      double sum = 0;
      for (int64_t x = 0; x < k; ++x)
        sum += double(a[i * k + x]) * b[x * n + j];
      result[i * n + j] = sum;
    }
  return result;
}

const char *epilogueText = R"(
    %t = linalg.generic {indexing_maps = [
        affine_map<(b, m, n) -> (b, m, n)>, affine_map<(b, m, n) -> (n)>,
        affine_map<(b, m, n) -> (b, m, n)>, affine_map<(b, m, n) -> (0, m, 0)>,
        affine_map<(b, m, n) -> (b, m, n)>],
        iterator_types = ["parallel", "parallel", "parallel"]}
        ins(%p, %bias, %residual, %rows : OUT, BIAS, OUT, ROWS) outs(%e : OUT) {
    ^bb0(%x: f32, %bi: f32, %res: f32, %q: f32, %o: f32):
      %half = arith.constant 0.5 : f32
      %root = arith.constant 0.70710678 : f32
      %y = arith.addf %x, %bi : f32
      %s = arith.mulf %y, %root : f32
      %f = math.erf %s : f32
      %g = arith.addf %f, %one : f32
      %h = arith.mulf %y, %half : f32
      %i = arith.mulf %h, %g : f32
      %j = arith.addf %i, %res : f32
      %n = arith.index_cast %count : index to i64
      %nf = arith.sitofp %n : i64 to f32
      %k = arith.addf %j, %q : f32
      %z = arith.addf %k, %nf : f32
      linalg.yield %z : f32
    } -> OUT
)";

void replaceAll(std::string &text, const std::string &from,
                const std::string &to) {
  for (size_t at; (at = text.find(from)) != std::string::npos;)
    text.replace(at, from.size(), to);
}

/// lhs B×M×K packed with K×N, with dynamic B and M.
void testPacked(int64_t b, int64_t m, int64_t k, int64_t n, bool epilogue) {
  std::string text = R"(
func.func @main(%a: LHS, %w: RHS, %bias: BIAS, %residual: OUT, %rows: ROWS, %b: index, %m: index) -> OUT {
  %0 = kernel.region "r" inputs(%a, %w, %bias, %residual, %rows : LHS, RHS, BIAS, OUT, ROWS) indices(%m) sizes(%b, %m) -> OUT {
  ^bb0(%l: LHS, %r: RHS, %bias2: BIAS, %residual2: OUT, %rows2: ROWS, %count: index):
    %p = kernel.contract packed %l, %r : LHS, RHS -> OUT
    EPILOGUE
  }
  return %0 : OUT
})";
  std::string body = "kernel.yield %p : OUT";
  if (epilogue) {
    body = R"(
    %c0 = arith.constant 0 : index
    %c1 = arith.constant 1 : index
    %d0 = tensor.dim %l, %c0 : LHS
    %d1 = tensor.dim %l, %c1 : LHS
    %one = arith.constant 1.0 : f32
    %e = tensor.empty(%d0, %d1) : OUT
)" + std::string(epilogueText) +
           "kernel.yield %t : OUT";
    replaceAll(body, "%bias,", "%bias2,");
    replaceAll(body, "%residual,", "%residual2,");
    replaceAll(body, "%rows :", "%rows2 :");
  }
  replaceAll(text, "EPILOGUE", body);
  std::string ks = std::to_string(k), ns = std::to_string(n);
  replaceAll(text, "LHS", "tensor<?x?x" + ks + "xf32>");
  replaceAll(text, "RHS", tensor({(n + 31) / 32, k, 32}));
  replaceAll(text, "OUT", "tensor<?x?x" + ns + "xf32>");
  replaceAll(text, "BIAS", tensor({n}));
  replaceAll(text, "ROWS", "tensor<1x?x1xf32>");

  auto lhs = random(b * m * k), rhs = random(k * n), bias = random(n),
       residual = random(b * m * n), rows = random(m);
  auto wanted = product(lhs, rhs, b * m, k, n);
  if (epilogue)
    for (int64_t i = 0; i < b * m * n; ++i) {
      double x = wanted[i] + bias[i % n];
      wanted[i] = x / 2 * (1 + std::erf(x * std::sqrt(0.5))) + residual[i] +
                  rows[i / n % m] + m;
    }
  auto packed = panels(rhs, k, n);
  for (const TargetFacts &facts : targets()) {
    SCOPED_TRACE(facts.name + ": " + std::to_string(b) + "x" +
                 std::to_string(m) + "x" + ks + "x" + ns);
    JitRegion jit(text, contractFamily(), facts);
    ASSERT_TRUE(jit.ok()) << jit.error();
    std::vector<float> output(b * m * n + 64, 7);
    jit.run({{lhs.data(), {b, m, k}},
             {packed.data(), {(n + 31) / 32, k, 32}},
             {bias.data(), {n}},
             {residual.data(), {b, m, n}},
             {rows.data(), {1, m, 1}},
             {output.data(), {b, m, n}}},
            {b, m}, 3, {m});
    for (int64_t i = b * m * n; i < b * m * n + 64; ++i)
      ASSERT_EQ(output[i], 7) << "wrote behind the result";
    output.resize(b * m * n);
    expectClose(output, wanted, k > 1000 ? 1e-3 : 1e-4);
  }
}

/// All sizes dynamic; leading sizes of lhs and rhs broadcast.
void testGeneral(Sizes lhsLead, Sizes rhsLead, int64_t m, int64_t k, int64_t n,
                 bool transposeLhs, bool transposeRhs, bool dynamic) {
  size_t rank = std::max(lhsLead.size(), rhsLead.size());
  auto padded = [&](Sizes lead) {
    lead.insert(lead.begin(), rank - lead.size(), 1);
    return lead;
  };
  Sizes left = padded(lhsLead), right = padded(rhsLead), lead(rank);
  for (size_t i = 0; i < rank; ++i)
    lead[i] = std::max(left[i], right[i]);
  auto join = [](Sizes sizes, int64_t rows, int64_t columns, bool transpose) {
    sizes.push_back(transpose ? columns : rows);
    sizes.push_back(transpose ? rows : columns);
    return sizes;
  };
  Sizes lhsSizes = join(lhsLead, m, k, transposeLhs);
  Sizes rhsSizes = join(rhsLead, k, n, transposeRhs);
  Sizes outSizes = join(lead, m, n, false);
  std::string arguments, names;
  std::vector<int64_t> indices;
  for (size_t i = 0; dynamic && i < outSizes.size(); ++i) {
    arguments += ", %s" + std::to_string(i) + ": index";
    names += (i ? ", %s" : "%s") + std::to_string(i);
    indices.push_back(outSizes[i]);
  }
  std::string text = "func.func @main(%a: LHS, %b: RHS" + arguments +
                     R"() -> OUT {
  %0 = kernel.region "r" inputs(%a, %b : LHS, RHS) indices() sizes()" +
                     names + R"() -> OUT {
  ^bb0(%l: LHS, %r: RHS):
    %p = kernel.contract FLAGS %l, %r : LHS, RHS -> OUT
    kernel.yield %p : OUT
  }
  return %0 : OUT
})";
  replaceAll(text, "FLAGS",
             std::string(transposeLhs ? "transpose_lhs " : "") +
                 (transposeRhs ? "transpose_rhs " : ""));
  replaceAll(text, "LHS", tensor(lhsSizes, dynamic));
  replaceAll(text, "RHS", tensor(rhsSizes, dynamic));
  replaceAll(text, "OUT", tensor(outSizes, dynamic));
  auto lhs = random(count(lhsSizes)), rhs = random(count(rhsSizes));
  std::vector<float> wanted(count(outSizes));
  for (int64_t batch = 0; batch < count(lead); ++batch) {
    int64_t rest = batch, lhsAt = 0, rhsAt = 0, lhsStep = 1, rhsStep = 1;
    for (size_t dim = rank; dim-- > 0;) {
      int64_t at = rest % lead[dim];
      rest /= lead[dim];
      lhsAt += (left[dim] == 1 ? 0 : at) * lhsStep;
      rhsAt += (right[dim] == 1 ? 0 : at) * rhsStep;
      lhsStep *= left[dim];
      rhsStep *= right[dim];
    }
    for (int64_t i = 0; i < m; ++i)
      for (int64_t j = 0; j < n; ++j) {
        double sum = 0;
        for (int64_t x = 0; x < k; ++x)
          sum +=
              double(
                  lhs[lhsAt * m * k + (transposeLhs ? x * m + i : i * k + x)]) *
              rhs[rhsAt * k * n + (transposeRhs ? j * k + x : x * n + j)];
        wanted[(batch * m + i) * n + j] = sum;
      }
  }
  for (const TargetFacts &facts : targets()) {
    SCOPED_TRACE(facts.name + "\n" + text);
    JitRegion jit(text, contractFamily(), facts);
    ASSERT_TRUE(jit.ok()) << jit.error();
    std::vector<float> output(wanted.size());
    jit.run({{lhs.data(), lhsSizes},
             {rhs.data(), rhsSizes},
             {output.data(), outSizes}},
            indices);
    expectClose(output, wanted, 1e-4);
  }
}

/// lhs M×K, with dynamic M, by N×K unsigned integers of `bits` bits in blocks.
/// Without `zeroPoints` these are all 3.
void testBlocks(int64_t m, int64_t k, int64_t n, int64_t bits, int64_t block,
                bool zeroPoints) {
  int64_t panelCount = (n + 31) / 32, blocks = (k + block - 1) / block;
  int64_t step = bits == 4 ? 32 : 16;
  int64_t padded = (blocks * block + step - 1) / step * step;
  std::mt19937 engine(m + k);
  std::vector<uint8_t> packed(panelCount * padded * 4 * bits);
  std::vector<uint8_t> zeros(panelCount * blocks * 32);
  std::vector<float> scales(panelCount * blocks * 32);
  std::vector<float> rhs(k * n);
  for (int64_t column = 0; column < panelCount * 32; ++column)
    for (int64_t at = 0; at < padded; ++at) {
      int64_t panel = column / 32, lane = column % 32;
      int64_t parameter = (panel * blocks + at / block) * 32 + lane;
      // Where blocks begin, of the columns that exist.
      if (at % block == 0 && at / block < blocks && column < n) {
        scales[parameter] = 0.01f + engine() % 64 / 64.f;
        zeros[parameter] = zeroPoints ? engine() % (1 << bits) : 3;
      }
      // What is behind the last block and column may be anything.
      uint8_t value = engine() % (1 << bits);
      if (bits == 8) {
        packed[((panel * padded + at) / 4 * 32 + lane) * 4 + at % 4] = value;
      } else {
        int64_t group = panel * padded / 8 + at / 32 * 4 + at % 16 / 4;
        packed[(group * 32 + lane) * 4 + at % 4] |= value
                                                    << (at / 16 % 2 ? 4 : 0);
      }
      if (at < k && column < n)
        rhs[at * n + column] =
            (float(value) - zeros[parameter]) * scales[parameter];
    }
  std::string text = R"(
func.func @main(%a: LHS, %w: RHS, %s: SCALE, %z: ZERO, %m: index) -> OUT {
  %0 = kernel.region "r" inputs(%a, %w, %s, %z : LHS, RHS, SCALE, ZERO) indices() sizes(%m) -> OUT {
  ^bb0(%l: LHS, %r: RHS, %s2: SCALE, %z2: ZERO):
    %p = kernel.contract packed %l, %r scale(%s2 : SCALE) POINTS bits BITS block BLOCK OFFSET : LHS, RHS -> OUT
    kernel.yield %p : OUT
  }
  return %0 : OUT
})";
  replaceAll(text, "POINTS", zeroPoints ? "zero_point(%z2 : ZERO)" : "");
  replaceAll(text, "OFFSET", zeroPoints ? "" : "offset 3.0");
  replaceAll(text, "BITS", std::to_string(bits));
  replaceAll(text, "BLOCK", std::to_string(block));
  replaceAll(text, "LHS", "tensor<?x" + std::to_string(k) + "xf32>");
  replaceAll(text, "OUT", "tensor<?x" + std::to_string(n) + "xf32>");
  auto parameters = [&](std::string element) {
    return "tensor<" + std::to_string(panelCount) + "x" +
           std::to_string(blocks) + "x32x" + element + ">";
  };
  replaceAll(text, "SCALE", parameters("f32"));
  replaceAll(text, "ZERO", parameters("i8"));
  int64_t groups = padded * bits / 32;
  replaceAll(text, "RHS",
             "tensor<" + std::to_string(panelCount) + "x" +
                 std::to_string(groups) + "x32x4xi8>");
  auto lhs = random(m * k);
  auto wanted = product(lhs, rhs, m, k, n);
  for (const TargetFacts &facts : targets()) {
    SCOPED_TRACE(facts.name + ": " + std::to_string(m) + "\n" + text);
    JitRegion jit(text, contractFamily(), facts);
    ASSERT_TRUE(jit.ok()) << jit.error();
    std::vector<float> output(m * n + 64, 7);
    jit.run({{lhs.data(), {m, k}},
             {packed.data(), {panelCount, groups, 32, 4}},
             {scales.data(), {panelCount, blocks, 32}},
             {zeros.data(), {panelCount, blocks, 32}},
             {output.data(), {m, n}}},
            {m});
    for (int64_t i = m * n; i < m * n + 64; ++i)
      ASSERT_EQ(output[i], 7) << "wrote behind the result";
    output.resize(m * n);
    expectClose(output, wanted, bits == 8 ? 2e-2 : 1e-3);
  }
}

} // namespace

TEST(Contract, WeightsInBlocks) {
  // Few rows, read from the packed weights, in every register tile; and many.
  for (int64_t m : {1, 2, 3, 4, 7, 8, 9, 100})
    for (int64_t bits : {4, 8}) {
      testBlocks(m, 100, 33, bits, 32, true);
      testBlocks(m, 100, 33, bits, 16, m % 2);
    }
  testBlocks(1, 7, 1, 4, 128, true);
  testBlocks(9, 500, 70, 8, 256, false);
  testBlocks(2, 500, 70, 4, 64, false);
}

TEST(Contract, PackedShapes) {
  testPacked(1, 1, 1, 1, false);
  testPacked(1, 7, 5, 31, false);
  testPacked(1, 8, 384, 32, false);
  testPacked(2, 33, 5, 100, false);
  testPacked(3, 50, 64, 384, false);
  testPacked(1, 9, 2500, 40, false);
}

TEST(Contract, PackedWithEpilogue) {
  testPacked(2, 7, 5, 100, true);
  testPacked(1, 33, 384, 64, true);
  testPacked(1, 1, 64, 31, true);
}

TEST(Contract, GeneralShapes) {
  testGeneral({2, 3}, {2, 3}, 33, 5, 31, false, true, true);
  testGeneral({2, 3}, {1, 3}, 7, 300, 100, false, false, true);
  testGeneral({3}, {2, 1}, 8, 384, 32, true, false, false);
  testGeneral({}, {2}, 1, 1, 1, true, true, false);
  testGeneral({2, 2}, {}, 65, 16, 33, false, true, true);
}

TEST(Contract, Integers) {
  for (const TargetFacts &facts : targets()) {
    JitRegion jit(R"(
func.func @main(%a: tensor<3x2xi64>, %b: tensor<2x3xi64>) {
  %0 = kernel.region "r" inputs(%a, %b : tensor<3x2xi64>, tensor<2x3xi64>) indices() sizes() -> tensor<3x3xi64> {
  ^bb0(%l: tensor<3x2xi64>, %r: tensor<2x3xi64>):
    %p = kernel.contract %l, %r : tensor<3x2xi64>, tensor<2x3xi64> -> tensor<3x3xi64>
    kernel.yield %p : tensor<3x3xi64>
  }
  return
})",
                  contractFamily(), facts);
    ASSERT_TRUE(jit.ok()) << jit.error();
    std::vector<int64_t> lhs = {1, 2, 3, 4, 5, -6}, rhs = {1, 0, 2, 3, -1, 1},
                         output(9);
    jit.run(
        {{lhs.data(), {3, 2}}, {rhs.data(), {2, 3}}, {output.data(), {3, 3}}},
        {});
    EXPECT_EQ(output, (std::vector<int64_t>{7, -2, 4, 15, -4, 10, -13, 6, 4}));
  }
}

TEST(Contract, RefusesMixedTypes) {
  JitRegion jit(R"(
func.func @main(%a: tensor<4x4xf32>, %b: tensor<4x4xf64>) {
  %0 = kernel.region "r" inputs(%a, %b : tensor<4x4xf32>, tensor<4x4xf64>) indices() sizes() -> tensor<4x4xf32> {
  ^bb0(%l: tensor<4x4xf32>, %r: tensor<4x4xf64>):
    %p = kernel.contract %l, %r : tensor<4x4xf32>, tensor<4x4xf64> -> tensor<4x4xf32>
    kernel.yield %p : tensor<4x4xf32>
  }
  return
})",
                contractFamily(), avx2Facts());
  EXPECT_FALSE(jit.ok());
  EXPECT_NE(jit.error().find("must have one element type"), std::string::npos);
}

/// Those for a region of 384 columns whose tile is [64, 3] and whose rows are
/// known to be `rows` at the hints, or not known.
static std::vector<llvm::SmallVector<int64_t>>
otherTiles(std::optional<int64_t> rows) {
  mlir::MLIRContext context;
  context.loadDialect<kernel::KernelDialect, mlir::func::FuncDialect>();
  auto module = mlir::parseSourceString<mlir::ModuleOp>(R"(
func.func @main(%a: tensor<?x8xf32>, %n: index) {
  %0 = kernel.region "r" inputs(%a : tensor<?x8xf32>) indices() sizes(%n) grid(%n) schedule <"contract", tile = [64, 3], vector = 16> -> tensor<?x384xf32> {
  ^bb0(%x: memref<?x8xf32>, %y: memref<?x384xf32>, %begin: index, %end: index):
    kernel.yield
  }
  return
})",
                                                        &context);
  std::vector<llvm::SmallVector<int64_t>> tiles;
  module->walk([&](kernel::RegionOp region) {
    tiles =
        contractFamily().otherTiles(region, [&](mlir::Value) { return rows; });
  });
  return tiles;
}

TEST(Contract, HasOtherTilesThatItTakes) {
  auto tiles = otherTiles(std::nullopt);
  EXPECT_EQ(tiles.front(), (llvm::SmallVector<int64_t>{64, 1}));
  for (const auto &tile : tiles) {
    EXPECT_TRUE(tile[0] >= 8 && tile[0] <= 512 && tile[0] % 8 == 0) << tile[0];
    EXPECT_TRUE(tile[1] >= 1 && tile[1] <= 12) << tile[1];
    EXPECT_NE(tile, (llvm::SmallVector<int64_t>{64, 3}));
    EXPECT_EQ(llvm::count(tiles, tile), 1);
  }
  EXPECT_TRUE(llvm::is_contained(tiles, llvm::SmallVector<int64_t>{8, 12}));
  EXPECT_TRUE(llvm::is_contained(tiles, llvm::SmallVector<int64_t>{512, 1}));
}

TEST(Contract, HasNoOtherTilesThatDivideAlike) {
  // Sixteen rows are one block of 64, of 32 and of 16.
  for (const auto &tile : otherTiles(16))
    EXPECT_TRUE(tile[0] == 64 || tile[0] == 8) << tile[0];
  // And one row has nothing to divide.
  for (const auto &tile : otherTiles(1))
    EXPECT_EQ(tile[0], 64);
}
