// What an artifact says of itself: the text of tenon_description, parsed.
#ifndef TENON_RUNTIME_DESCRIPTION_H
#define TENON_RUNTIME_DESCRIPTION_H

#include "Expression.h"
#include "tenon-c/Runtime.h"
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace tenon::runtime {

struct Symbol {
  std::string name;
  int64_t min, max, hint;
  /// Where it is an element of an input: its number, and which element.
  int input = -1;
  int64_t position = 0;
};

/// One dimension: a symbol's number, a fixed size, or neither (-1 and -1), and
/// of an output then what it is computed as, where that is known, or what it is
/// at most, where the run computes it.
struct Dim {
  int symbol = -1;
  int64_t size = -1;
  std::optional<Expression> expression = {};
  bool isCounted = false;
};

struct Value {
  std::string name;
  tn_type type;
  std::vector<Dim> dims;
  bool isState = false; ///< an input that a run changes
  /// An input of a decoder that each slot has its own of.
  bool isKept = false;
  int lengthDim = -1; ///< of it, the one that lengths are of
};

/// Numbers of the inputs and the output of a decoder; see docs/decoders.md.
struct DecoderValues {
  int64_t ids, slots, starts, rows, context, logits;
  int64_t lengths = -1; ///< none
};

/// What a launch costs; see ModuleAbi.h.
struct Costs {
  Expression flops, readBytes, writtenBytes, grid;
};

/// How the operations of a launch are divided; see ModuleAbi.h.
struct Work {
  Expression products, bf16, int8, steps;
};

struct Launch {
  std::string kernel, nodes;
  std::string kind;  ///< product, attention, norm, elementwise, move, or empty
  std::string layer; ///< of the model; empty outside of layers
  int64_t step = -1; ///< as the lifetimes of slices count them
  std::optional<Costs> costs; ///< none where sizes depend on data
  std::optional<Work> work;   ///< none where the artifact does not say
  /// Numbers of buffers; none where the artifact does not say.
  std::optional<std::vector<int64_t>> reads, writes;
};

/// A piece of the arena, alive from step `first` to step `last`.
struct Slice {
  int64_t first, last;
  Expression bytes;
  std::vector<int64_t> below; ///< numbers of slices, all smaller than its own
};

/// Memory that launches share.
struct Buffer {
  enum Place { Input, Output, Slice, Weight, Constant } place;
  std::string name; ///< of a weight; what it is the how-many-th of, otherwise
  std::string type; ///< as the description spells it
  std::optional<Expression> bytes; ///< none where no symbol says it
  std::vector<std::optional<Expression>> dims;
  int64_t position = -1; ///< of a weight in the weights
};

/// What happens between launches: a buffer is copied into another, or read by
/// the host, and then `target` is -1.
struct Transfer {
  int64_t step, source, target;
};

/// What a layer would cost with a launch for each operation of the graph.
struct UnfusedLayer {
  std::string layer; ///< empty for what is outside of layers
  int64_t launches;
  Expression readBytes, writtenBytes;
};

/// What is known of the machine that the code was compiled for.
struct Target {
  std::string name;
  std::map<std::string, double> facts;
};

struct Description {
  std::vector<Symbol> symbols;
  std::vector<Value> inputs, outputs;
  std::vector<Launch> launches;
  std::vector<std::string> assumes;
  std::vector<std::string> lookUps; ///< nodes whose indices are checked
  std::vector<Slice> slices;
  std::vector<Buffer> buffers;
  std::vector<Transfer> transfers;
  std::optional<Target> target;
  std::optional<DecoderValues> decoder; ///< none where it is no decoder
  std::vector<UnfusedLayer> unfused; ///< empty where the artifact does not say
  std::optional<Costs> total;        ///< of all launches; its grid is 0
  std::vector<Expression> live; ///< the arena is no smaller than the largest
  int64_t weightBytes = 0;

  /// Whether a run reads sizes from what the inputs hold.
  bool readsValues() const;
  /// Where each slice begins in the arena at these sizes.
  std::vector<int64_t> sliceOffsets(const std::vector<int64_t> &sizes) const;
  /// Bytes of the arena at these sizes, in the order of the symbols.
  int64_t arenaBytes(const std::vector<int64_t> &sizes) const;
  /// Bytes of the inputs that runs change, as caches are, at these sizes.
  int64_t stateBytes(const std::vector<int64_t> &sizes) const;
  /// For each buffer whether it is a weight that some launch reads in full at
  /// these sizes, and does not only look rows up in.
  std::vector<bool> weightsReadInFull(const std::vector<int64_t> &sizes) const;
  /// The most bytes that are alive at one step: no arena is smaller.
  int64_t liveBytes(const std::vector<int64_t> &sizes) const;
};

/// Parses the records of ModuleAbi.h; throws Failure naming the line. Records
/// of an unknown kind are skipped: a newer compiler may say more.
Description parseDescription(const std::string &text);

} // namespace tenon::runtime

#endif // TENON_RUNTIME_DESCRIPTION_H
