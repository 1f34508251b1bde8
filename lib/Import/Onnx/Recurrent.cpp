// ONNX LSTM, GRU and RNN: a product for all steps, then a loop over them.
#include "Recurrent.h"
#include "Formula.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/TypeUtilities.h"
#include <memory>

using namespace mlir;

namespace tenon {

SmallVector<Value> forEachStep(
    ImportContext &ctx, OpFoldResult steps, Value outputs,
    ArrayRef<Value> carried,
    function_ref<SmallVector<Value>(Value iteration, ValueRange carried)>
        makeStep) {
  OpBuilder &builder = ctx.builder;
  Location loc = ctx.loc;
  Type index = builder.getI64Type(), flag = builder.getI1Type();
  Value first = ctx.makeScalar(0, index);
  Value count = graph::FromIndicesOp::create(
      builder, loc, RankedTensorType::get({}, index), ctx.materialize(steps));
  // Whether to go on, the iteration, the outputs, and what is carried.
  SmallVector<Value> inits{ctx.binary<graph::LessOp>(first, count, flag), first,
                           outputs};
  llvm::append_range(inits, carried);
  SmallVector<Type> types(ValueRange(inits).drop_front().getTypes());
  auto decide = [&](OpBuilder &, Location, ValueRange values) {
    Value keep = graph::ReadOp::create(builder, loc, flag, values[0]);
    scf::ConditionOp::create(builder, loc, keep, values.drop_front());
  };
  auto step = [&](OpBuilder &, Location, ValueRange values) {
    Value iteration = values[0], written = values[1];
    SmallVector<Value> next = makeStep(iteration, values.drop_front(2));
    Sizes column(typeOf(outputs).getRank(), ctx.makeSize(1));
    column[0] = steps;
    Value rows = ctx.reshape(ctx.iota(ctx.makeSize(0), steps), column);
    Value isRow = ctx.binary<graph::EqualOp>(rows, iteration, flag);
    next[0] = graph::WhereOp::create(builder, loc, written.getType(), isRow,
                                     next[0], written);
    Value following =
        ctx.binary<graph::AddOp>(iteration, ctx.makeScalar(1, index));
    SmallVector<Value> yields{ctx.binary<graph::LessOp>(following, count, flag),
                              following};
    llvm::append_range(yields, next);
    scf::YieldOp::create(builder, loc, yields);
  };
  auto loop = scf::WhileOp::create(builder, loc, types, inits, decide, step);
  return llvm::to_vector_of<Value>(loop.getResults().drop_front());
}

namespace {

/// What runs in each step on rows batch×hidden of gates: the carried values
/// after it, of which the first is the output.
class Cell {
public:
  virtual ~Cell() = default;
  virtual unsigned getNumGates() const = 0;
  /// `gates` are the input's part with all biases that are added before any
  /// activation; `recurrent` multiplies a row by the weights of gate `i`.
  virtual SmallVector<Value>
  step(ArrayRef<Value> gates, ValueRange carried,
       function_ref<Value(Value row, unsigned gate)> recurrent) = 0;
};

/// The activations of one direction, by their place in the attribute.
class Activations {
public:
  Activations(ImportContext &ctx, ArrayRef<std::string> names)
      : ctx(ctx), names(names.begin(), names.end()),
        clip(ctx.getFloat("clip", 0)) {}

  Value apply(unsigned place, Value value) {
    Formula f(ctx, value);
    if (clip > 0)
      value = f.min(f.max(value, f.number(-clip)), f.number(clip));
    return activate(place, value);
  }
  /// Not of a sum of products, so without the clip.
  Value activate(unsigned place, Value value) {
    Formula f(ctx, value);
    if (names[place] == "sigmoid")
      return f.map<graph::SigmoidOp>(value);
    if (names[place] == "tanh")
      return f.map<graph::TanhOp>(value);
    return f.map<graph::ReluOp>(value);
  }

private:
  ImportContext &ctx;
  SmallVector<std::string> names;
  float clip;
};

Value add(ImportContext &ctx, Value lhs, Value rhs) {
  return ctx.binary<graph::AddOp>(lhs, rhs);
}
Value mul(ImportContext &ctx, Value lhs, Value rhs) {
  return ctx.binary<graph::MulOp>(lhs, rhs);
}

class SimpleCell : public Cell {
public:
  SimpleCell(ImportContext &ctx, Activations activations)
      : ctx(ctx), activations(activations) {}
  unsigned getNumGates() const override { return 1; }
  SmallVector<Value>
  step(ArrayRef<Value> gates, ValueRange carried,
       function_ref<Value(Value, unsigned)> recurrent) override {
    return {activations.apply(0, add(ctx, gates[0], recurrent(carried[0], 0)))};
  }

private:
  ImportContext &ctx;
  Activations activations;
};

/// Gates: update z, reset r, hidden h.
class GruCell : public Cell {
public:
  /// `hiddenBias`, if not null, belongs to the product that r scales.
  GruCell(ImportContext &ctx, Activations activations, bool isLinear,
          Value hiddenBias)
      : ctx(ctx), activations(activations), isLinear(isLinear),
        hiddenBias(hiddenBias) {}
  unsigned getNumGates() const override { return 3; }
  SmallVector<Value>
  step(ArrayRef<Value> gates, ValueRange carried,
       function_ref<Value(Value, unsigned)> recurrent) override {
    Value before = carried[0];
    auto gate = [&](unsigned i) {
      return activations.apply(0, add(ctx, gates[i], recurrent(before, i)));
    };
    Value update = gate(0), reset = gate(1), product;
    if (isLinear) {
      product = recurrent(before, 2);
      if (hiddenBias)
        product = add(ctx, product, hiddenBias);
      product = mul(ctx, reset, product);
    } else {
      product = recurrent(mul(ctx, reset, before), 2);
    }
    Value hidden = activations.apply(1, add(ctx, gates[2], product));
    Formula f(ctx, hidden);
    Value fresh = f.mul(f.sub(f.number(1), update), hidden);
    return {add(ctx, fresh, mul(ctx, update, before))};
  }

private:
  ImportContext &ctx;
  Activations activations;
  bool isLinear;
  Value hiddenBias;
};

/// Gates: input i, output o, forget f, cell c. Carries the cell's state, too.
class LstmCell : public Cell {
public:
  /// `peepholes` are the weights of the state in i, o and f, or empty.
  LstmCell(ImportContext &ctx, Activations activations,
           ArrayRef<Value> peepholes)
      : ctx(ctx), activations(activations), peepholes(peepholes) {}
  unsigned getNumGates() const override { return 4; }
  SmallVector<Value>
  step(ArrayRef<Value> gates, ValueRange carried,
       function_ref<Value(Value, unsigned)> recurrent) override {
    Value before = carried[1];
    auto sum = [&](unsigned i) {
      return add(ctx, gates[i], recurrent(carried[0], i));
    };
    auto gate = [&](unsigned i, Value state) {
      Value value = sum(i);
      if (!peepholes.empty())
        value = add(ctx, value, mul(ctx, state, peepholes[i]));
      return activations.apply(0, value);
    };
    Value input = gate(0, before), forget = gate(2, before);
    Value fresh = activations.apply(1, sum(3));
    Value state = add(ctx, mul(ctx, forget, before), mul(ctx, input, fresh));
    Value output = gate(1, state);
    return {mul(ctx, output, activations.activate(2, state)), state};
  }

private:
  ImportContext &ctx;
  Activations activations;
  SmallVector<Value> peepholes;
};

/// One node: what its directions share.
class Recurrence {
public:
  Recurrence(ImportContext &ctx, unsigned numGates, unsigned numCarried)
      : ctx(ctx), numGates(numGates), numCarried(numCarried) {}

  LogicalResult import(
      ArrayRef<std::string> defaultActivations,
      function_ref<std::unique_ptr<Cell>(Activations, int64_t direction)> make);

  /// Part `part` of `parts` along the last dimension of operand `i`, a vector
  /// for each direction; null if the operand is left out.
  Value vectorOf(unsigned i, int64_t direction, int64_t part, int64_t parts) {
    Value operand = ctx.getOperand(i);
    if (!operand)
      return {};
    Value row = select(operand, direction);
    OpFoldResult size = ctx.makeSize(hidden);
    return ctx.slice(row, 0, ctx.makeSize(part * hidden),
                     ctx.add(ctx.makeSize(part * hidden), size));
  }

private:
  LogicalResult check();
  /// Index `number` of the first dimension, without it.
  Value select(Value value, int64_t number) {
    Value part =
        ctx.slice(value, 0, ctx.makeSize(number), ctx.makeSize(number + 1));
    Sizes sizes = ctx.getSizes(value);
    return ctx.reshape(part, ArrayRef(sizes).drop_front());
  }
  Value reverse(Value sequence);
  /// The outputs of all steps, then the carried values after the last.
  SmallVector<Value> run(Cell &cell, int64_t direction, bool isReversed);
  Value zeros(ArrayRef<OpFoldResult> sizes, Type type) {
    return ctx.broadcast(ctx.makeScalar(0, type), sizes);
  }

  ImportContext &ctx;
  unsigned numGates, numCarried;
  int64_t hidden = 0, directions = 1;
  bool isBatchFirst = false;
  Value input, lengths; ///< steps×batch×size; one for each of the batch
  OpFoldResult steps, batch;
};

LogicalResult Recurrence::check() {
  if (failed(ctx.requireOperands(3)))
    return failure();
  Value weights = ctx.getOperand(1), recurrent = ctx.getOperand(2);
  input = ctx.getOperand(0);
  for (Value operand : {input, weights, recurrent})
    if (typeOf(operand).getRank() != 3)
      return ctx.invalid() << "needs an input and weights of rank 3, but has "
                           << operand.getType();
  StringRef direction = ctx.getString("direction", "forward");
  if (direction != "forward" && direction != "reverse" &&
      direction != "bidirectional")
    return ctx.invalid() << "direction must be forward, reverse or "
                         << "bidirectional, but is " << direction;
  directions = direction == "bidirectional" ? 2 : 1;
  hidden = typeOf(recurrent).getDimSize(2);
  hidden = ctx.getInt("hidden_size", hidden);
  int64_t rows = numGates * hidden;
  if (hidden <= 0 ||
      failed(verifyCompatibleShape({directions, rows, hidden},
                                   typeOf(recurrent).getShape())) ||
      failed(verifyCompatibleShape(
          {directions, rows, typeOf(weights).getDimSize(2)},
          typeOf(weights).getShape())))
    return ctx.invalid() << "needs weights of " << directions << " directions "
                         << "and " << numGates << " gates of a hidden size of "
                         << hidden << ", but has " << weights.getType()
                         << " and " << recurrent.getType();
  if (ctx.getInt("input_forget", 0))
    return ctx.unsupported() << "input_forget is unsupported";
  isBatchFirst = ctx.getInt("layout", 0) != 0;
  if (isBatchFirst)
    input = ctx.transpose(input, {1, 0, 2});
  steps = ctx.getSize(input, 0);
  batch = ctx.getSize(input, 1);
  int64_t knownBatch = typeOf(input).getDimSize(1);
  SmallVector<int64_t> state{directions, knownBatch, hidden};
  if (isBatchFirst)
    std::swap(state[0], state[1]);
  for (auto [i, sizes] :
       {std::pair(3u, SmallVector<int64_t>{directions, 2 * rows}),
        std::pair(5u, state), std::pair(6u, state),
        std::pair(7u, SmallVector<int64_t>{directions, 3 * hidden})})
    if (Value operand = ctx.getOperand(i);
        operand &&
        failed(verifyCompatibleShape(typeOf(operand).getShape(), sizes)))
      return ctx.invalid() << "needs " << typeOf(operand).clone(sizes)
                           << " as operand " << i << ", but has "
                           << operand.getType();
  // Where a type does not tell, the run checks: slices would hide it.
  auto assume = [&](unsigned i, ArrayRef<int64_t> sizes) {
    for (auto [dim, size] : llvm::enumerate(sizes))
      if (Value operand = ctx.getOperand(i))
        ctx.assumeEqual(ctx.getSize(operand, dim), ctx.makeSize(size));
  };
  assume(1, {directions, rows});
  assume(2, {directions, rows, hidden});
  assume(3, {directions, 2 * rows});
  assume(7, {directions, 3 * hidden});
  for (unsigned i : {5u, 6u})
    if (Value operand = ctx.getOperand(i))
      ctx.assumeEqual(ctx.getSize(operand, isBatchFirst ? 1 : 0),
                      ctx.makeSize(directions));
  if (Value given = ctx.getOperand(4)) {
    if (typeOf(given).getRank() != 1)
      return ctx.invalid() << "needs a length for each sequence, but has "
                           << given.getType();
    // With the batch's size as the input has it.
    Type index = ctx.builder.getI64Type();
    lengths = add(ctx, zeros({batch}, index), ctx.cast(given, index));
    if (!lengths)
      return failure();
  }
  return success();
}

/// The steps in the opposite order: of each sequence as far as it goes.
Value Recurrence::reverse(Value sequence) {
  Type index = ctx.builder.getI64Type();
  Value positions = ctx.iota(ctx.makeSize(0), steps),
        one = ctx.makeScalar(1, index);
  auto subtract = [&](Value lhs, Value rhs) {
    return ctx.binary<graph::SubOp>(lhs, rhs);
  };
  if (!lengths) {
    Value size = graph::FromIndicesOp::create(ctx.builder, ctx.loc,
                                              RankedTensorType::get({}, index),
                                              ctx.materialize(steps));
    return ctx.gather(sequence, subtract(subtract(size, one), positions), 0);
  }
  OpFoldResult single = ctx.makeSize(1);
  Value along = ctx.reshape(positions, {steps, single, single});
  Value counts = ctx.reshape(lengths, {single, batch, single});
  Value mirrored = subtract(subtract(counts, one), along);
  Value isInside =
      ctx.binary<graph::LessOp>(along, counts, ctx.builder.getI1Type());
  Value from = graph::WhereOp::create(ctx.builder, ctx.loc, mirrored.getType(),
                                      isInside, mirrored, along);
  from = ctx.broadcast(from, ctx.getSizes(sequence));
  return graph::GatherElementsOp::create(ctx.builder, ctx.loc,
                                         sequence.getType(), sequence, from, 0);
}

SmallVector<Value> Recurrence::run(Cell &cell, int64_t direction,
                                   bool isReversed) {
  Type element = typeOf(input).getElementType();
  OpFoldResult size = ctx.makeSize(hidden);
  Value sequence = isReversed ? reverse(input) : input;
  Value recurrentWeights = select(ctx.getOperand(2), direction);

  // The input's part of all gates in all steps, with the biases.
  Value projected = ctx.matmul(sequence, select(ctx.getOperand(1), direction),
                               /*transposeLhs=*/false, /*transposeRhs=*/true);
  SmallVector<Value> inputs;
  bool keepsLastBias = numGates == 3 && ctx.getInt("linear_before_reset", 0);
  for (unsigned gate = 0; gate < numGates; ++gate) {
    Value part = ctx.slice(projected, 2, ctx.makeSize(gate * hidden),
                           ctx.makeSize((gate + 1) * hidden));
    for (unsigned which : {0u, 1u})
      if (Value bias =
              vectorOf(3, direction, which * numGates + gate, 2 * numGates);
          bias && !(which && gate == 2 && keepsLastBias))
        part = add(ctx, part, bias);
    inputs.push_back(part);
  }

  SmallVector<Value> inits;
  for (unsigned i = 0; i < numCarried; ++i) {
    Value start = zeros({batch, size}, element);
    if (Value given = ctx.getOperand(5 + i)) {
      if (isBatchFirst)
        given = ctx.transpose(given, {1, 0, 2});
      start = add(ctx, start, select(given, direction));
    }
    inits.push_back(start);
  }
  auto step = [&](Value iteration, ValueRange carried) {
    SmallVector<Value> gates;
    for (Value part : inputs)
      gates.push_back(ctx.gather(part, iteration, 0));
    auto recurrent = [&](Value row, unsigned gate) {
      Value weights =
          ctx.slice(recurrentWeights, 0, ctx.makeSize(gate * hidden),
                    ctx.makeSize((gate + 1) * hidden));
      return ctx.matmul(row, weights, /*transposeLhs=*/false,
                        /*transposeRhs=*/true);
    };
    SmallVector<Value> next = cell.step(gates, carried, recurrent);
    Value output = next[0];
    if (lengths) {
      // Behind its end a sequence keeps its state and gives 0.
      Value isInside =
          ctx.reshape(ctx.binary<graph::LessOp>(iteration, lengths,
                                                ctx.builder.getI1Type()),
                      {batch, ctx.makeSize(1)});
      auto choose = [&](Value onTrue, Value onFalse) -> Value {
        return graph::WhereOp::create(ctx.builder, ctx.loc, onTrue.getType(),
                                      isInside, onTrue, onFalse);
      };
      output = choose(output, ctx.makeScalar(0, element));
      for (auto [value, before] : llvm::zip(next, carried))
        value = choose(value, before);
    }
    next.insert(next.begin(), output);
    return next;
  };
  SmallVector<Value> results = forEachStep(
      ctx, steps, zeros({steps, batch, size}, element), inits, step);
  if (isReversed)
    results[0] = reverse(results[0]);
  return results;
}

LogicalResult Recurrence::import(
    ArrayRef<std::string> defaultActivations,
    function_ref<std::unique_ptr<Cell>(Activations, int64_t direction)> make) {
  if (failed(check()))
    return failure();
  size_t count = defaultActivations.size();
  SmallVector<std::string> names;
  for (StringRef name : ctx.getStrings("activations"))
    names.push_back(name.lower());
  if (names.empty())
    for (int64_t direction = 0; direction < directions; ++direction)
      llvm::append_range(names, defaultActivations);
  if (names.size() != count * directions)
    return ctx.invalid() << "has " << names.size() << " activations, but needs "
                         << count << " for each of " << directions
                         << " directions";
  for (StringRef name : names)
    if (name != "sigmoid" && name != "tanh" && name != "relu")
      return ctx.unsupported() << "activation " << name << " is unsupported";
  // Of other activations only.
  (void)ctx.getFloats("activation_alpha");
  (void)ctx.getFloats("activation_beta");

  bool isReverse = ctx.getString("direction", "forward") == "reverse";
  SmallVector<SmallVector<Value>> parts(1 + numCarried);
  OpFoldResult size = ctx.makeSize(hidden), one = ctx.makeSize(1);
  for (int64_t direction = 0; direction < directions; ++direction) {
    std::unique_ptr<Cell> cell =
        make(Activations(ctx, ArrayRef(names).slice(direction * count, count)),
             direction);
    SmallVector<Value> values =
        run(*cell, direction, isReverse || direction == 1);
    parts[0].push_back(ctx.reshape(values[0], {steps, one, batch, size}));
    for (unsigned i = 0; i < numCarried; ++i)
      parts[1 + i].push_back(ctx.reshape(values[1 + i], {one, batch, size}));
  }
  Value outputs = ctx.concat(parts[0], 1);
  (void)ctx.setResult(
      isBatchFirst ? ctx.transpose(outputs, {2, 0, 1, 3}) : outputs, 0);
  for (unsigned i = 0; i < numCarried; ++i) {
    Value last = ctx.concat(parts[1 + i], 0);
    (void)ctx.setResult(isBatchFirst ? ctx.transpose(last, {1, 0, 2}) : last,
                        1 + i);
  }
  return success();
}

LogicalResult importRnn(ImportContext &ctx) {
  Recurrence recurrence(ctx, /*numGates=*/1, /*numCarried=*/1);
  return recurrence.import({"tanh"}, [&](Activations activations, int64_t) {
    return std::make_unique<SimpleCell>(ctx, activations);
  });
}

LogicalResult importGru(ImportContext &ctx) {
  Recurrence recurrence(ctx, /*numGates=*/3, /*numCarried=*/1);
  bool isLinear = ctx.getInt("linear_before_reset", 0) != 0;
  return recurrence.import({"sigmoid", "tanh"}, [&](Activations activations,
                                                    int64_t direction) {
    Value bias = isLinear ? recurrence.vectorOf(3, direction, 5, 6) : Value();
    return std::make_unique<GruCell>(ctx, activations, isLinear, bias);
  });
}

LogicalResult importLstm(ImportContext &ctx) {
  Recurrence recurrence(ctx, /*numGates=*/4, /*numCarried=*/2);
  return recurrence.import(
      {"sigmoid", "tanh", "tanh"},
      [&](Activations activations, int64_t direction) {
        SmallVector<Value> peepholes;
        for (int64_t gate = 0; gate < 3 && ctx.getOperand(7); ++gate)
          peepholes.push_back(recurrence.vectorOf(7, direction, gate, 3));
        return std::make_unique<LstmCell>(ctx, activations, peepholes);
      });
}

const OpHandler handlers[] = {
    {"GRU", importGru},
    {"LSTM", importLstm},
    {"RNN", importRnn},
};

} // namespace

ArrayRef<OpHandler> recurrentHandlers() { return handlers; }

} // namespace tenon
