// Sizes as exact expressions: polynomials with integer coefficients over the
// model's symbols and over quotients, remainders, extrema, comparisons and
// choices of such. A symbol is a size, which is never negative, or an integer
// that the model reads as a value.
#ifndef TENON_ANALYSIS_SYMBOLICEXPR_H
#define TENON_ANALYSIS_SYMBOLICEXPR_H

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/STLFunctionalExtras.h"
#include "llvm/ADT/StringRef.h"
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace tenon {

class SymbolicExpr;

enum class AtomKind {
  Symbol,
  Value,
  FloorDiv,
  CeilDiv,
  Mod,
  Min,
  Max,
  Equal,
  Less,
  Select
};

/// What a polynomial is made of. Two atoms are the same if their text is.
struct SymbolicAtom {
  AtomKind kind;
  std::string text;
  std::shared_ptr<const SymbolicExpr> lhs, rhs,
      other; ///< null where there is none
};

class SymbolicExpr {
public:
  using AtomRef = std::shared_ptr<const SymbolicAtom>;
  /// The atoms of a product, sorted by text; one that is squared occurs twice.
  using Monomial = std::vector<AtomRef>;
  struct ByText {
    bool operator()(const Monomial &lhs, const Monomial &rhs) const;
  };
  using Terms = std::map<Monomial, int64_t, ByText>;

  SymbolicExpr(int64_t constant = 0);
  static SymbolicExpr symbol(llvm::StringRef name);
  /// A symbol of which nothing is known, not even that it is not negative.
  static SymbolicExpr value(llvm::StringRef name);

  std::optional<int64_t> getConstant() const;
  const Terms &getTerms() const { return terms; }

  SymbolicExpr operator+(const SymbolicExpr &rhs) const;
  SymbolicExpr operator-(const SymbolicExpr &rhs) const;
  SymbolicExpr operator*(const SymbolicExpr &rhs) const;
  bool operator==(const SymbolicExpr &rhs) const;
  bool operator!=(const SymbolicExpr &rhs) const { return !(*this == rhs); }

  /// Whether it is a comparison, or several that must hold: 0 or 1.
  bool isTruth() const;

  /// Whether a symbol in it may be negative.
  bool hasValues() const;

  /// The quotient, where the polynomial is a multiple of `rhs`.
  std::optional<SymbolicExpr> divideExactly(const SymbolicExpr &rhs) const;

  /// Rounding down and up; exact where the division is.
  static SymbolicExpr floorDiv(const SymbolicExpr &lhs,
                               const SymbolicExpr &rhs);
  static SymbolicExpr ceilDiv(const SymbolicExpr &lhs, const SymbolicExpr &rhs);
  static SymbolicExpr mod(const SymbolicExpr &lhs, const SymbolicExpr &rhs);
  static SymbolicExpr min(const SymbolicExpr &lhs, const SymbolicExpr &rhs);
  static SymbolicExpr max(const SymbolicExpr &lhs, const SymbolicExpr &rhs);
  /// 1 where the two are equal, else 0.
  static SymbolicExpr isEqual(const SymbolicExpr &lhs, const SymbolicExpr &rhs);
  /// 1 where lhs < rhs, else 0.
  static SymbolicExpr isLess(const SymbolicExpr &lhs, const SymbolicExpr &rhs);
  /// `then` where the condition, which is 0 or 1, is 1, else `otherwise`.
  static SymbolicExpr select(const SymbolicExpr &condition,
                             const SymbolicExpr &then,
                             const SymbolicExpr &otherwise);

  /// A value that this is never below, if every symbol that is a size is at
  /// least `least(symbol)` and that is not negative; none where nothing is
  /// known.
  std::optional<int64_t>
  getLowerBound(llvm::function_ref<int64_t(llvm::StringRef)> least) const;

  /// The value with each symbol replaced by `value(symbol)`.
  int64_t evaluate(llvm::function_ref<int64_t(llvm::StringRef)> value) const;

  /// For people, and as a key: equal exactly if the expressions are.
  std::string str() const;

private:
  static SymbolicExpr leaf(AtomKind kind, llvm::StringRef name);
  static SymbolicExpr atom(AtomKind kind, llvm::StringRef name,
                           const SymbolicExpr &lhs, const SymbolicExpr &rhs,
                           const SymbolicExpr *other = nullptr);
  void add(const Monomial &monomial, int64_t coefficient);

  Terms terms;
};

} // namespace tenon

#endif // TENON_ANALYSIS_SYMBOLICEXPR_H
