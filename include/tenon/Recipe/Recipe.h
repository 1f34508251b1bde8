// The record of what was decided about a model: read, checked, applied,
// written.
#ifndef TENON_RECIPE_RECIPE_H
#define TENON_RECIPE_RECIPE_H

#include "mlir/IR/BuiltinOps.h"
#include "llvm/Support/Error.h"
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace tenon {

/// How phase schedule takes a region; an empty family or tile leaves the
/// choice.
struct ScheduleChoice {
  std::string family;
  std::vector<int64_t> tile;
};

/// What is decided about one node, or about all whose id a pattern matches.
struct NodeChoice {
  std::optional<std::string> weights;     ///< format: "f32", "int8" or "int4"
  std::optional<int64_t> group;           ///< weights that share a scale
  std::optional<int64_t> width;           ///< columns that are kept
  std::optional<std::string> precision;   ///< of operands: "f32" or "bf16"
  std::optional<std::string> activations; ///< in products: "f32" or "int8"
  /// Leaves out, without an error, products that have no weights to quantize,
  /// and, without `withHead`, those that make the output. Not part of the file.
  bool whereItFits = false, withHead = true;
  /// Of the region that computes the node last.
  std::optional<ScheduleChoice> schedule;
};

struct Recipe {
  std::string target;             ///< of the facts that were used, or empty
  std::vector<std::string> sizes; ///< as --dim takes them
  bool decoder = false;           ///< the form of docs/decoders.md
  std::string kvCache;            ///< what its caches are stored in, or empty
  /// By the ids of nodes; * and ? stand for any text and any character. A later
  /// entry overrides what an earlier one says of a node.
  std::vector<std::pair<std::string, NodeChoice>> nodes;
};

/// Weights that share a scale where nothing else is said.
constexpr int64_t defaultGroup = 32;
/// Whether so many may: kernels need a power of two from 16 to 256.
bool isGroup(int64_t size);

/// Whether caches of a decoder may be stored in it: f32, f16, bf16 or int8.
bool isCacheFormat(llvm::StringRef format);

/// Reads a recipe. An error names the file, the node and the key, what was
/// expected and what was found.
llvm::Expected<Recipe> readRecipe(llvm::StringRef path);

/// The same of the text of one; `name` is what errors call it.
llvm::Expected<Recipe> parseRecipe(llvm::StringRef text, llvm::StringRef name);

/// What readRecipe reads, in a form that depends on nothing but the recipe.
void writeRecipe(const Recipe &recipe, llvm::raw_ostream &os);

/// Those of `ids` that `text`, the name of a node in a recipe, means: one that
/// is equal to it, else all that it fits as a pattern. Emits a diagnostic at
/// the module if it is no pattern either.
mlir::FailureOr<llvm::SmallVector<size_t>>
findMeant(mlir::ModuleOp module, llvm::StringRef text,
          llvm::ArrayRef<llvm::StringRef> ids);

/// Writes the choices on the products of a simplified module: the attributes
/// `tenon.weights`, `tenon.group`, `tenon.width`, `tenon.precision` and
/// `tenon.activations`, which compress reads.
/// A choice that fits no product is an error at the module.
mlir::LogicalResult applyRecipe(mlir::ModuleOp module, const Recipe &recipe);

/// The choices that are written on the products of a module, node by node.
std::vector<std::pair<std::string, NodeChoice>>
collectChoices(mlir::ModuleOp module);

} // namespace tenon

#endif // TENON_RECIPE_RECIPE_H
