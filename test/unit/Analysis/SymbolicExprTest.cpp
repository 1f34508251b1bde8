#include "tenon/Analysis/SymbolicExpr.h"
#include "gtest/gtest.h"

using tenon::SymbolicExpr;

namespace {
const SymbolicExpr n = SymbolicExpr::symbol("n");
const SymbolicExpr m = SymbolicExpr::symbol("m");

int64_t evaluate(const SymbolicExpr &expr, int64_t nValue, int64_t mValue = 0) {
  return expr.evaluate(
      [&](llvm::StringRef symbol) { return symbol == "n" ? nValue : mValue; });
}
} // namespace

TEST(SymbolicExpr, IsEqualWhateverItIsMadeFrom) {
  EXPECT_EQ((n + m) * (n - m), n * n - m * m);
  EXPECT_EQ(n * SymbolicExpr(2) - n - n, SymbolicExpr(0));
  EXPECT_NE(n, m);
  EXPECT_EQ((n + m - n).str(), "m");
}

TEST(SymbolicExpr, KnowsConstants) {
  EXPECT_EQ((SymbolicExpr(3) * SymbolicExpr(4) - SymbolicExpr(5)).getConstant(),
            7);
  EXPECT_EQ((n - n).getConstant(), 0);
  EXPECT_EQ(n.getConstant(), std::nullopt);
}

TEST(SymbolicExpr, DividesExactlyOrNotAtAll) {
  EXPECT_EQ((n * m * SymbolicExpr(6)).divideExactly(m * SymbolicExpr(2)),
            n * SymbolicExpr(3));
  EXPECT_EQ((n * n - m * m).divideExactly(n + m), n - m);
  EXPECT_EQ((n + SymbolicExpr(1)).divideExactly(SymbolicExpr(2)), std::nullopt);
}

TEST(SymbolicExpr, RoundsAsItsNamesSay) {
  for (int64_t value : {0, 1, 7, 8}) {
    EXPECT_EQ(evaluate(SymbolicExpr::floorDiv(n, 4), value), value / 4);
    EXPECT_EQ(evaluate(SymbolicExpr::ceilDiv(n, 4), value), (value + 3) / 4);
    EXPECT_EQ(evaluate(SymbolicExpr::mod(n, 4), value), value % 4);
  }
  EXPECT_EQ(evaluate(SymbolicExpr::floorDiv(n, 2), -3), -2);
  EXPECT_EQ(evaluate(SymbolicExpr::ceilDiv(n, 2), -3), -1);
  // Exact ones leave no rounding behind.
  EXPECT_EQ(SymbolicExpr::floorDiv(n * SymbolicExpr(12), 4),
            n * SymbolicExpr(3));
  EXPECT_EQ(SymbolicExpr::ceilDiv(9, 4).getConstant(), 3);
}

TEST(SymbolicExpr, LeavesOutExtremaThatAreDecided) {
  // Sizes are not negative.
  EXPECT_EQ(SymbolicExpr::max(n, 0), n);
  EXPECT_EQ(SymbolicExpr::max(n + m, n), n + m);
  EXPECT_EQ(SymbolicExpr::min(n + SymbolicExpr(1), n), n);
  SymbolicExpr capped = SymbolicExpr::min(n, 512);
  EXPECT_EQ(SymbolicExpr::min(capped, 512), capped);
  EXPECT_EQ(SymbolicExpr::max(capped, 0), capped);
  EXPECT_EQ(capped.str(), "min(n, 512)");
  // Not decided: a difference may be below zero.
  EXPECT_NE(SymbolicExpr::max(n - m, 0), n - m);
  EXPECT_EQ(evaluate(SymbolicExpr::max(n - m, 0), 2, 5), 0);
}

TEST(SymbolicExpr, IsBoundedFromBelow) {
  auto least = [](llvm::StringRef symbol) -> int64_t {
    return symbol == "n" ? 3 : 0;
  };
  EXPECT_EQ((n * n + m + SymbolicExpr(2)).getLowerBound(least), 11);
  EXPECT_EQ(SymbolicExpr::max(n - m, 1).getLowerBound(least), 1);
  EXPECT_EQ((n - m).getLowerBound(least), std::nullopt);
}

TEST(SymbolicExpr, PrintsWhatTheRuntimeReads) {
  EXPECT_EQ((n * m * SymbolicExpr(2) + n - SymbolicExpr(3)).str(),
            "2*m*n + n - 3");
  EXPECT_EQ((SymbolicExpr(0) - n).str(), "-1*n");
  EXPECT_EQ((SymbolicExpr::symbol("past + 1") * SymbolicExpr(2)).str(),
            "2*\"past + 1\"");
  EXPECT_EQ(SymbolicExpr::symbol("9lives").str(), "\"9lives\"");
  EXPECT_EQ(SymbolicExpr(0).str(), "0");
}
