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

TEST(SymbolicExpr, TakesNoValueForPositive) {
  const SymbolicExpr v = SymbolicExpr::value("v");
  auto zero = [](llvm::StringRef) -> int64_t { return 0; };
  EXPECT_TRUE((n + SymbolicExpr::max(v, m)).hasValues());
  EXPECT_FALSE((n + SymbolicExpr::max(n, m)).hasValues());
  EXPECT_EQ(v.getLowerBound(zero), std::nullopt);
  EXPECT_NE(SymbolicExpr::max(v, 0), v);
  EXPECT_EQ(SymbolicExpr::max(v, 0).getLowerBound(zero), 0);
  EXPECT_EQ((SymbolicExpr::max(v, 3) * n).getLowerBound(zero), 0);
}

TEST(SymbolicExpr, ChoosesByConditions) {
  SymbolicExpr v = SymbolicExpr::value("n");
  SymbolicExpr chosen =
      SymbolicExpr::select(SymbolicExpr::isEqual(v, -1), m, v);
  EXPECT_EQ(chosen.str(), "select(equal(n, -1), m, n)");
  EXPECT_EQ(evaluate(chosen, -1, 8), 8);
  EXPECT_EQ(evaluate(chosen, 3, 8), 3);
  // Decided, or no choice at all.
  EXPECT_EQ(SymbolicExpr::select(SymbolicExpr::isLess(n, 0), m, n), n);
  EXPECT_EQ(SymbolicExpr::select(SymbolicExpr::isEqual(v, 0), m, m), m);
  EXPECT_EQ(SymbolicExpr::select(SymbolicExpr::isEqual(v, 0), 1, 0),
            SymbolicExpr::isEqual(v, 0));
  auto zero = [](llvm::StringRef) -> int64_t { return 0; };
  EXPECT_EQ(chosen.getLowerBound(zero), std::nullopt);
  EXPECT_EQ(SymbolicExpr::select(SymbolicExpr::isLess(v, 0), m,
                                 SymbolicExpr::max(v, 0))
                .getLowerBound(zero),
            0);
}

TEST(SymbolicExpr, Compares) {
  for (int64_t left : {-2, 0, 1, 5})
    for (int64_t right : {-2, 0, 1, 5}) {
      SymbolicExpr v = SymbolicExpr::value("n"), w = SymbolicExpr::value("m");
      EXPECT_EQ(evaluate(SymbolicExpr::isEqual(v, w), left, right),
                left == right);
      EXPECT_EQ(evaluate(SymbolicExpr::isLess(v, w), left, right),
                left < right);
    }
}
