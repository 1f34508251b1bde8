// A model whose logits are a hash of what its slots hold, for tests: who feeds
// the wrong tokens, to the wrong slot or position, gets other logits.
#ifndef TENON_TEST_FAKESTEPMODEL_H
#define TENON_TEST_FAKESTEPMODEL_H

#include "Runtime/Failure.h"
#include "Runtime/StepModel.h"
#include <functional>
#include <set>
#include <vector>

namespace tenon::runtime {

class FakeStepModel : public StepModel {
public:
  /// Logits depend on the last `order` tokens, or on all with 0.
  FakeStepModel(int64_t vocabulary, int64_t slots, int64_t capacity,
                size_t order = 0)
      : size(vocabulary), room(capacity), order(order), texts(size_t(slots)) {}

  int64_t vocabulary() const override { return size; }
  int64_t slots() const override { return int64_t(texts.size()); }
  int64_t capacity() const override { return room; }

  const float *step(const Step &step) override {
    if (beforeStep)
      beforeStep();
    steps.push_back({step.batch, step.sequence, step.rowCount});
    std::set<int64_t> used(step.slots, step.slots + step.batch);
    demand(int64_t(used.size()) == step.batch, "the slots of a step differ");
    demand(step.rowCount > 0, "a step has rows");
    logits.clear();
    for (int64_t b = 0; b < step.batch; ++b) {
      demand(step.slots[b] >= 0 && step.slots[b] < slots(), "a slot exists");
      std::vector<int64_t> &text = texts[size_t(step.slots[b])];
      int64_t start = step.starts[b];
      demand(start >= 0 && start <= int64_t(text.size()),
             "what lies before the start was fed");
      demand(start + step.sequence <= room, "a step fits the capacity");
      text.resize(size_t(start));
      for (int64_t i = 0, row = 0; i < step.sequence; ++i) {
        int64_t id = step.ids[b * step.sequence + i];
        demand(id >= 0 && id < size, "an id is in the vocabulary");
        text.push_back(id);
        if (row < step.rowCount && step.rows[row] == i) {
          append(text);
          ++row;
        }
      }
    }
    demand(int64_t(logits.size()) == step.batch * step.rowCount * size,
           "rows increase below the sequence");
    return logits.data();
  }

  /// The logits behind a text.
  std::vector<float> logitsOf(const std::vector<int64_t> &text) {
    std::vector<float> saved;
    saved.swap(logits);
    append(text);
    saved.swap(logits);
    return saved;
  }

  struct Made {
    int64_t batch, sequence, rows;
  };
  std::vector<Made> steps;
  std::function<void()> beforeStep; ///< may throw
  float scale = 4;                  ///< logits are up to it

private:
  static void demand(bool isTrue, const char *what) {
    if (!isTrue)
      fail(TN_ERROR_DEVICE, "a step breaks a rule: ", what);
  }

  void append(const std::vector<int64_t> &text) {
    uint64_t hash = 1;
    size_t begin = order && order < text.size() ? text.size() - order : 0;
    for (size_t i = begin; i < text.size(); ++i)
      hash = (hash ^ uint64_t(text[i] + 1)) * 0x9e3779b97f4a7c15;
    for (int64_t id = 0; id < size; ++id) {
      uint64_t mixed = (hash ^ uint64_t(id) << 40) * 0xbf58476d1ce4e5b9;
      mixed = (mixed ^ mixed >> 31) * 0x94d049bb133111eb;
      logits.push_back(float(mixed >> 40) * scale * 0x1p-24f);
    }
  }

  const int64_t size, room;
  const size_t order;
  std::vector<std::vector<int64_t>> texts;
  std::vector<float> logits;
};

} // namespace tenon::runtime

#endif // TENON_TEST_FAKESTEPMODEL_H
