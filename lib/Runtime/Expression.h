// An expression over the sizes of a run, as descriptions write it.
#ifndef TENON_RUNTIME_EXPRESSION_H
#define TENON_RUNTIME_EXPRESSION_H

#include <cstdint>
#include <string>
#include <vector>

namespace tenon::runtime {

/// A parsed expression; see ModuleAbi.h for what may stand in one.
class Expression {
public:
  Expression() = default;
  /// `symbols` are the names that may occur. Throws Failure, saying what is
  /// wrong and where.
  Expression(const std::string &text, const std::vector<std::string> &symbols);

  /// `symbols` in the order of the names. Division by zero gives zero. Throws
  /// Failure where a number has more than 64 bits.
  int64_t evaluate(const std::vector<int64_t> &symbols) const;
  /// As it was written.
  const std::string &text() const { return source; }

private:
  enum class Step : char {
    Constant,
    Symbol,
    Add,
    Subtract,
    Multiply,
    Min,
    Max,
    FloorDiv,
    CeilDiv,
    Mod,
    Equal,
    Less,
    Select
  };
  /// In postfix order; `value` is a constant or the number of a symbol.
  struct Node {
    Step step;
    int64_t value;
  };
  class Parser;
  static int64_t divide(Step step, int64_t lhs, int64_t rhs);

  std::string source;
  std::vector<Node> nodes;
};

} // namespace tenon::runtime

#endif // TENON_RUNTIME_EXPRESSION_H
