// Parses by recursive descent into postfix order, evaluates on a stack.
#include "Expression.h"
#include "Failure.h"

#include <algorithm>
#include <cctype>

using namespace tenon::runtime;

/// Deep enough for any size that a model computes.
static constexpr int deepest = 100;

/// What waits for its operator at once: at each depth the left operands of a
/// sum and of a product, and two arguments of a function.
static constexpr int mostOperands = 4 * deepest + 1;

class Expression::Parser {
public:
  Parser(const std::string &text, const std::vector<std::string> &symbols)
      : text(text), symbols(symbols) {}

  std::vector<Node> parse() {
    sum();
    if (at != text.size())
      refuse("an operator");
    return std::move(nodes);
  }

private:
  void sum() {
    if (++depth > deepest)
      fail(TN_ERROR_ARTIFACT, "expression is nested more than ", deepest,
           " deep");
    product();
    while (isNext('+') || isNext('-')) {
      Step step = text[at++] == '+' ? Step::Add : Step::Subtract;
      product();
      nodes.push_back({step, 0});
    }
    --depth;
  }

  void product() {
    factor();
    while (isNext('*')) {
      ++at;
      factor();
      nodes.push_back({Step::Multiply, 0});
    }
  }

  void factor() {
    skipSpaces();
    bool negative = at < text.size() && text[at] == '-';
    if (negative)
      ++at;
    if (at < text.size() && std::isdigit((unsigned char)text[at]))
      return number(negative);
    if (negative)
      refuse("a number");
    if (at < text.size() && text[at] == '"') {
      size_t end = text.find('"', at + 1);
      if (end == std::string::npos)
        refuse("a closing quote");
      std::string name = text.substr(at + 1, end - at - 1);
      at = end + 1;
      return symbol(name);
    }
    std::string name = word();
    if (isNext('('))
      return call(name);
    symbol(name);
  }

  void number(bool negative) {
    int64_t value = 0;
    for (; at < text.size() && std::isdigit((unsigned char)text[at]); ++at)
      if (__builtin_mul_overflow(value, 10, &value) ||
          __builtin_add_overflow(value, text[at] - '0', &value))
        refuse("a number of 64 bits");
    nodes.push_back({Step::Constant, negative ? -value : value});
  }

  std::string word() {
    size_t begin = at;
    while (at < text.size() && (std::isalnum((unsigned char)text[at]) ||
                                text[at] == '_' || text[at] == '.'))
      ++at;
    if (begin == at)
      refuse("a number, a size or a function");
    return text.substr(begin, at - begin);
  }

  void symbol(const std::string &name) {
    auto found = std::find(symbols.begin(), symbols.end(), name);
    if (found == symbols.end())
      fail(TN_ERROR_ARTIFACT, "expression '", text, "' names the size '", name,
           "', which no record states");
    nodes.push_back({Step::Symbol, found - symbols.begin()});
  }

  void call(const std::string &name) {
    static const std::pair<const char *, Step> functions[] = {
        {"min", Step::Min},           {"max", Step::Max},
        {"floordiv", Step::FloorDiv}, {"ceildiv", Step::CeilDiv},
        {"mod", Step::Mod},           {"equal", Step::Equal},
        {"less", Step::Less},         {"select", Step::Select}};
    for (auto [known, step] : functions) {
      if (name != known)
        continue;
      expect('(');
      sum();
      expect(',');
      sum();
      if (step == Step::Select) {
        expect(',');
        sum();
      }
      expect(')');
      nodes.push_back({step, 0});
      return;
    }
    fail(TN_ERROR_ARTIFACT, "expression '", text, "' calls '", name,
         "', which is no function");
  }

  void skipSpaces() {
    while (at < text.size() && text[at] == ' ')
      ++at;
  }

  bool isNext(char c) {
    skipSpaces();
    return at < text.size() && text[at] == c;
  }

  void expect(char c) {
    if (!isNext(c))
      refuse(std::string("'") + c + "'");
    ++at;
  }

  [[noreturn]] void refuse(const std::string &wanted) {
    fail(TN_ERROR_ARTIFACT, "expression '", text, "' needs ", wanted,
         " at character ", at + 1);
  }

  const std::string &text;
  const std::vector<std::string> &symbols;
  size_t at = 0;
  int depth = 0;
  std::vector<Node> nodes;
};

Expression::Expression(const std::string &text,
                       const std::vector<std::string> &symbols)
    : source(text), nodes(Parser(text, symbols).parse()) {}

static int64_t floorDivide(int64_t lhs, int64_t rhs) {
  return lhs / rhs - (lhs % rhs != 0 && (lhs < 0) != (rhs < 0));
}

/// lhs by rhs, as one of the three steps that divide.
int64_t Expression::divide(Step step, int64_t lhs, int64_t rhs) {
  if (rhs == 0)
    return 0;
  if (step == Step::FloorDiv)
    return floorDivide(lhs, rhs);
  return step == Step::CeilDiv ? -floorDivide(-lhs, rhs)
                               : lhs - rhs * floorDivide(lhs, rhs);
}

int64_t Expression::evaluate(const std::vector<int64_t> &symbols) const {
  // Nothing is allocated: a session evaluates some for each step of a decoder.
  int64_t stack[mostOperands];
  int64_t *end = stack;
  for (const Node &node : nodes) {
    if (node.step == Step::Constant || node.step == Step::Symbol) {
      *end++ =
          node.step == Step::Constant ? node.value : symbols.at(node.value);
      continue;
    }
    int64_t rhs = *--end;
    int64_t &lhs = end[-1];
    bool overflows = false;
    switch (node.step) {
    case Step::Add:
      overflows = __builtin_add_overflow(lhs, rhs, &lhs);
      break;
    case Step::Subtract:
      overflows = __builtin_sub_overflow(lhs, rhs, &lhs);
      break;
    case Step::Multiply:
      overflows = __builtin_mul_overflow(lhs, rhs, &lhs);
      break;
    case Step::Min:
      lhs = std::min(lhs, rhs);
      break;
    case Step::Max:
      lhs = std::max(lhs, rhs);
      break;
    case Step::FloorDiv:
    case Step::CeilDiv:
    case Step::Mod:
      // Of 64-bit numbers, only the negative of the least has more bits.
      overflows = lhs == INT64_MIN;
      if (!overflows)
        lhs = divide(node.step, lhs, rhs);
      break;
    case Step::Equal:
      lhs = lhs == rhs;
      break;
    case Step::Less:
      lhs = lhs < rhs;
      break;
    case Step::Select: {
      // Condition, then and otherwise lie on the stack in this order.
      int64_t then = lhs;
      --end;
      end[-1] = end[-1] ? then : rhs;
      break;
    }
    case Step::Constant:
    case Step::Symbol:
      break;
    }
    if (overflows)
      fail(TN_ERROR_INPUT, "a size is too large: ", source);
  }
  return end == stack ? 0 : end[-1];
}
