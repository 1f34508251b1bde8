// Polynomials over symbols: arithmetic, exact division, bounds, text.
#include "tenon/Analysis/SymbolicExpr.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/MathExtras.h"

using namespace llvm;

namespace tenon {

bool SymbolicExpr::ByText::operator()(const Monomial &lhs,
                                      const Monomial &rhs) const {
  // Higher degrees come first, so that the first term leads a division.
  if (lhs.size() != rhs.size())
    return lhs.size() > rhs.size();
  for (auto [left, right] : zip(lhs, rhs))
    if (int order = StringRef(left->text).compare(right->text))
      return order < 0;
  return false;
}

SymbolicExpr::SymbolicExpr(int64_t constant) { add({}, constant); }

SymbolicExpr SymbolicExpr::leaf(AtomKind kind, StringRef name) {
  auto atom = std::make_shared<SymbolicAtom>(
      SymbolicAtom{kind, name.str(), nullptr, nullptr, nullptr});
  SymbolicExpr expr;
  expr.add(Monomial{atom}, 1);
  return expr;
}

SymbolicExpr SymbolicExpr::symbol(StringRef name) {
  return leaf(AtomKind::Symbol, name);
}

SymbolicExpr SymbolicExpr::value(StringRef name) {
  return leaf(AtomKind::Value, name);
}

bool SymbolicExpr::isTruth() const {
  if (terms.size() != 1 || terms.begin()->second != 1)
    return false;
  const Monomial &factors = terms.begin()->first;
  return !factors.empty() && all_of(factors, [](const AtomRef &atom) {
    return atom->kind == AtomKind::Equal || atom->kind == AtomKind::Less;
  });
}

bool SymbolicExpr::hasValues() const {
  return any_of(terms, [](const auto &term) {
    return any_of(term.first, [](const AtomRef &atom) {
      return atom->kind == AtomKind::Value ||
             any_of(ArrayRef{atom->lhs, atom->rhs, atom->other},
                    [](const auto &operand) {
                      return operand && operand->hasValues();
                    });
    });
  });
}

void SymbolicExpr::add(const Monomial &monomial, int64_t coefficient) {
  if (coefficient == 0)
    return;
  auto [term, isNew] = terms.try_emplace(monomial, coefficient);
  if (isNew)
    return;
  term->second += coefficient;
  if (term->second == 0)
    terms.erase(term);
}

std::optional<int64_t> SymbolicExpr::getConstant() const {
  if (terms.empty())
    return 0;
  if (terms.size() == 1 && terms.begin()->first.empty())
    return terms.begin()->second;
  return std::nullopt;
}

SymbolicExpr SymbolicExpr::operator+(const SymbolicExpr &rhs) const {
  SymbolicExpr sum = *this;
  for (const auto &[monomial, coefficient] : rhs.terms)
    sum.add(monomial, coefficient);
  return sum;
}

SymbolicExpr SymbolicExpr::operator-(const SymbolicExpr &rhs) const {
  SymbolicExpr difference = *this;
  for (const auto &[monomial, coefficient] : rhs.terms)
    difference.add(monomial, -coefficient);
  return difference;
}

SymbolicExpr SymbolicExpr::operator*(const SymbolicExpr &rhs) const {
  auto byText = [](const AtomRef &left, const AtomRef &right) {
    return left->text < right->text;
  };
  SymbolicExpr product;
  for (const auto &[left, leftCoefficient] : terms)
    for (const auto &[right, rightCoefficient] : rhs.terms) {
      Monomial monomial;
      std::merge(left.begin(), left.end(), right.begin(), right.end(),
                 std::back_inserter(monomial), byText);
      product.add(monomial, leftCoefficient * rightCoefficient);
    }
  return product;
}

bool SymbolicExpr::operator==(const SymbolicExpr &rhs) const {
  return (*this - rhs).terms.empty();
}

std::optional<SymbolicExpr>
SymbolicExpr::divideExactly(const SymbolicExpr &rhs) const {
  if (rhs.terms.empty())
    return std::nullopt;
  const auto &[divisor, divisorCoefficient] = *rhs.terms.begin();
  SymbolicExpr rest = *this, quotient;
  while (!rest.terms.empty()) {
    // The leading terms must divide, atom by atom.
    const auto &[lead, coefficient] = *rest.terms.begin();
    if (coefficient % divisorCoefficient != 0)
      return std::nullopt;
    Monomial remaining = lead;
    for (const AtomRef &atom : divisor) {
      auto found = llvm::find_if(remaining, [&](const AtomRef &candidate) {
        return candidate->text == atom->text;
      });
      if (found == remaining.end())
        return std::nullopt;
      remaining.erase(found);
    }
    SymbolicExpr step;
    step.add(remaining, coefficient / divisorCoefficient);
    quotient = quotient + step;
    rest = rest - step * rhs;
  }
  return quotient;
}

SymbolicExpr SymbolicExpr::atom(AtomKind kind, StringRef name,
                                const SymbolicExpr &lhs,
                                const SymbolicExpr &rhs,
                                const SymbolicExpr *other) {
  std::string text = name.str() + "(" + lhs.str() + ", " + rhs.str() +
                     (other ? ", " + other->str() : "") + ")";
  auto made = std::make_shared<SymbolicAtom>(
      SymbolicAtom{kind, text, std::make_shared<SymbolicExpr>(lhs),
                   std::make_shared<SymbolicExpr>(rhs),
                   other ? std::make_shared<SymbolicExpr>(*other) : nullptr});
  SymbolicExpr expr;
  expr.add(Monomial{made}, 1);
  return expr;
}

SymbolicExpr SymbolicExpr::floorDiv(const SymbolicExpr &lhs,
                                    const SymbolicExpr &rhs) {
  if (std::optional<SymbolicExpr> exact = lhs.divideExactly(rhs))
    return *exact;
  std::optional<int64_t> left = lhs.getConstant(), right = rhs.getConstant();
  if (left && right && *right != 0)
    return divideFloorSigned(*left, *right);
  return atom(AtomKind::FloorDiv, "floordiv", lhs, rhs);
}

SymbolicExpr SymbolicExpr::ceilDiv(const SymbolicExpr &lhs,
                                   const SymbolicExpr &rhs) {
  if (std::optional<SymbolicExpr> exact = lhs.divideExactly(rhs))
    return *exact;
  std::optional<int64_t> left = lhs.getConstant(), right = rhs.getConstant();
  if (left && right && *right != 0)
    return divideCeilSigned(*left, *right);
  return atom(AtomKind::CeilDiv, "ceildiv", lhs, rhs);
}

SymbolicExpr SymbolicExpr::mod(const SymbolicExpr &lhs,
                               const SymbolicExpr &rhs) {
  if (lhs.divideExactly(rhs))
    return 0;
  std::optional<int64_t> left = lhs.getConstant(), right = rhs.getConstant();
  if (left && right && *right != 0)
    return *left - *right * divideFloorSigned(*left, *right);
  return atom(AtomKind::Mod, "mod", lhs, rhs);
}

/// lhs - rhs is never below zero. Sizes are not negative.
static bool isNeverLess(const SymbolicExpr &lhs, const SymbolicExpr &rhs) {
  std::optional<int64_t> bound =
      (lhs - rhs).getLowerBound([](StringRef) { return 0; });
  return bound && *bound >= 0;
}

/// Whether `expr` is min(a, b), or max(a, b), and `operand` one of the two.
static bool isExtremumOf(const SymbolicExpr &expr, AtomKind kind,
                         const SymbolicExpr &operand) {
  const SymbolicExpr::Terms &terms = expr.getTerms();
  if (terms.size() != 1 || terms.begin()->second != 1 ||
      terms.begin()->first.size() != 1)
    return false;
  const SymbolicAtom &atom = *terms.begin()->first.front();
  return atom.kind == kind && (*atom.lhs == operand || *atom.rhs == operand);
}

SymbolicExpr SymbolicExpr::min(const SymbolicExpr &lhs,
                               const SymbolicExpr &rhs) {
  if (isNeverLess(rhs, lhs) || isExtremumOf(lhs, AtomKind::Min, rhs))
    return lhs;
  if (isNeverLess(lhs, rhs) || isExtremumOf(rhs, AtomKind::Min, lhs))
    return rhs;
  return atom(AtomKind::Min, "min", lhs, rhs);
}

SymbolicExpr SymbolicExpr::max(const SymbolicExpr &lhs,
                               const SymbolicExpr &rhs) {
  if (isNeverLess(lhs, rhs) || isExtremumOf(lhs, AtomKind::Max, rhs))
    return lhs;
  if (isNeverLess(rhs, lhs) || isExtremumOf(rhs, AtomKind::Max, lhs))
    return rhs;
  return atom(AtomKind::Max, "max", lhs, rhs);
}

SymbolicExpr SymbolicExpr::isEqual(const SymbolicExpr &lhs,
                                   const SymbolicExpr &rhs) {
  if (std::optional<int64_t> difference = (lhs - rhs).getConstant())
    return *difference == 0 ? 1 : 0;
  return atom(AtomKind::Equal, "equal", lhs, rhs);
}

SymbolicExpr SymbolicExpr::isLess(const SymbolicExpr &lhs,
                                  const SymbolicExpr &rhs) {
  if (isNeverLess(lhs, rhs))
    return 0;
  if (isNeverLess(rhs, lhs + SymbolicExpr(1)))
    return 1;
  return atom(AtomKind::Less, "less", lhs, rhs);
}

SymbolicExpr SymbolicExpr::select(const SymbolicExpr &condition,
                                  const SymbolicExpr &then,
                                  const SymbolicExpr &otherwise) {
  if (std::optional<int64_t> constant = condition.getConstant())
    return *constant ? then : otherwise;
  if (then == otherwise)
    return then;
  if (then == SymbolicExpr(1) && otherwise == SymbolicExpr(0))
    return condition;
  if (then == SymbolicExpr(0) && otherwise == SymbolicExpr(1))
    return SymbolicExpr(1) - condition;
  if (SymbolicExpr opposite = SymbolicExpr(1) - condition; opposite.isTruth())
    return select(opposite, otherwise, then);
  return atom(AtomKind::Select, "select", condition, then, &otherwise);
}

/// What an atom is never below; as getLowerBound.
static std::optional<int64_t>
lowerBoundOf(const SymbolicAtom &atom, function_ref<int64_t(StringRef)> least) {
  switch (atom.kind) {
  case AtomKind::Symbol:
    return least(atom.text);
  case AtomKind::Value:
    return std::nullopt;
  case AtomKind::Equal:
  case AtomKind::Less:
    return 0;
  default:
    break;
  }
  std::optional<int64_t> left = atom.lhs->getLowerBound(least);
  std::optional<int64_t> right = atom.rhs->getLowerBound(least);
  if (atom.kind == AtomKind::Select)
    left = atom.other->getLowerBound(least);
  if (atom.kind == AtomKind::Max) {
    if (!left && !right)
      return std::nullopt;
    return std::max(left.value_or(INT64_MIN), right.value_or(INT64_MIN));
  }
  if (!left || !right || *left < 0 || *right < 0)
    return std::nullopt;
  bool isOneOfBoth =
      atom.kind == AtomKind::Min || atom.kind == AtomKind::Select;
  return isOneOfBoth ? std::min(*left, *right) : 0;
}

std::optional<int64_t>
SymbolicExpr::getLowerBound(function_ref<int64_t(StringRef)> least) const {
  int64_t bound = 0;
  for (const auto &[monomial, coefficient] : terms) {
    if (monomial.empty()) {
      bound += coefficient;
      continue;
    }
    if (coefficient < 0)
      return std::nullopt;
    int64_t product = coefficient;
    for (const AtomRef &atom : monomial) {
      std::optional<int64_t> smallest = lowerBoundOf(*atom, least);
      if (!smallest || *smallest < 0)
        return std::nullopt;
      product *= *smallest;
    }
    bound += product;
  }
  return bound;
}

int64_t SymbolicExpr::evaluate(function_ref<int64_t(StringRef)> value) const {
  int64_t sum = 0;
  for (const auto &[monomial, coefficient] : terms) {
    int64_t product = coefficient;
    for (const AtomRef &atom : monomial) {
      if (!atom->lhs) {
        product *= value(atom->text);
        continue;
      }
      int64_t left = atom->lhs->evaluate(value);
      int64_t right = atom->rhs->evaluate(value);
      switch (atom->kind) {
      case AtomKind::FloorDiv:
        product *= right ? divideFloorSigned(left, right) : 0;
        break;
      case AtomKind::CeilDiv:
        product *= right ? divideCeilSigned(left, right) : 0;
        break;
      case AtomKind::Mod:
        product *= right ? left - right * divideFloorSigned(left, right) : 0;
        break;
      case AtomKind::Min:
        product *= std::min(left, right);
        break;
      case AtomKind::Max:
        product *= std::max(left, right);
        break;
      case AtomKind::Equal:
        product *= left == right;
        break;
      case AtomKind::Less:
        product *= left < right;
        break;
      case AtomKind::Select:
        product *= left ? right : atom->other->evaluate(value);
        break;
      case AtomKind::Symbol:
      case AtomKind::Value:
        llvm_unreachable("handled above");
      }
    }
    sum += product;
  }
  return sum;
}

/// A symbol's name as it is if it reads like one, else in quotes: exporters
/// name sizes "past + 1".
static std::string printedName(const SymbolicAtom &atom) {
  bool plain = atom.lhs || (!atom.text.empty() && !isDigit(atom.text.front()) &&
                            all_of(atom.text, [](char c) {
                              return isAlnum(c) || c == '_' || c == '.';
                            }));
  return plain ? atom.text : '"' + atom.text + '"';
}

std::string SymbolicExpr::str() const {
  if (terms.empty())
    return "0";
  std::string text;
  for (const auto &[monomial, coefficient] : terms) {
    int64_t magnitude = coefficient;
    if (!text.empty()) {
      text += coefficient < 0 ? " - " : " + ";
      magnitude = std::abs(coefficient);
    }
    if (monomial.empty() || magnitude != 1)
      text += std::to_string(magnitude);
    for (const AtomRef &atom : monomial) {
      if (!text.empty() && text.back() != ' ' && text.back() != '-')
        text += "*";
      text += printedName(*atom);
    }
  }
  return text;
}

} // namespace tenon
