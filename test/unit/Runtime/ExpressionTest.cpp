#include "Runtime/Expression.h"
#include "Runtime/Failure.h"
#include "gtest/gtest.h"

using namespace tenon::runtime;

static int64_t evaluate(const char *text) {
  return Expression(text, {"n", "past + 1", "min"}).evaluate({7, 5, 3});
}

TEST(Expression, EvaluatesSumsOfProducts) {
  EXPECT_EQ(evaluate("42"), 42);
  EXPECT_EQ(evaluate("2*n*n + 3*n - 4"), 2 * 49 + 21 - 4);
  EXPECT_EQ(evaluate("-3*n + 1"), -20);
  EXPECT_EQ(evaluate("2*\"past + 1\""), 10);
}

TEST(Expression, EvaluatesFunctions) {
  EXPECT_EQ(evaluate("min(n, 3) + max(n, 3*n)"), 24);
  EXPECT_EQ(evaluate("floordiv(n, 2)*100 + ceildiv(n, 2)*10 + mod(n, 4)"), 343);
  EXPECT_EQ(evaluate("floordiv(-7, 2)"), -4);
  EXPECT_EQ(evaluate("ceildiv(-7, 2)"), -3);
  EXPECT_EQ(evaluate("floordiv(n, 0) + mod(n, 0)"), 0);
  EXPECT_EQ(evaluate("equal(n, 7) + 2*less(n, 7) + 4*less(3, n)"), 5);
  EXPECT_EQ(evaluate("select(equal(n, 7), n + 1, 5)*2"), 16);
  EXPECT_EQ(evaluate("select(less(n, 7), n + 1, select(0, 1, 5))"), 5);
  // A size may be named as a function is.
  EXPECT_EQ(evaluate("min*n"), 21);
}

TEST(Expression, RefusesNumbersOfMoreThan64Bits) {
  Expression product("n*n*n", {"n"});
  EXPECT_EQ(product.evaluate({1 << 20}), int64_t(1) << 60);
  EXPECT_THROW(product.evaluate({1 << 22}), Failure);
  EXPECT_THROW(Expression("n - m", {"n", "m"}).evaluate({INT64_MIN, 1}),
               Failure);
  EXPECT_THROW(Expression("floordiv(n, -1)", {"n"}).evaluate({INT64_MIN}),
               Failure);
}

TEST(Expression, SaysWhatItCannotRead) {
  const std::pair<const char *, const char *> cases[] = {
      {"", "needs a number, a size or a function at character 1"},
      {"2*", "at character 3"},
      {"n n", "needs an operator at character 3"},
      {"m + 1", "names the size 'm'"},
      {"log(n, 2)", "calls 'log'"},
      {"min(n)", "needs ',' at character 6"},
      {"\"past", "needs a closing quote"},
      {"99999999999999999999", "needs a number of 64 bits"}};
  for (auto [text, message] : cases) {
    try {
      evaluate(text);
      FAIL() << text;
    } catch (const Failure &failure) {
      EXPECT_NE(std::string(failure.what()).find(message), std::string::npos)
          << failure.what();
    }
  }
  std::string deep;
  for (int i = 0; i < 1000; ++i)
    deep += "min(";
  EXPECT_THROW(evaluate(deep.c_str()), Failure);
}
