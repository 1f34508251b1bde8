// One step of a language model that keeps what its sequences hold: what
// samplers and generators are written against.
#ifndef TENON_RUNTIME_STEPMODEL_H
#define TENON_RUNTIME_STEPMODEL_H

#include "Failure.h"
#include <cstdint>
#include <string>

namespace tenon::runtime {

/// `sequence` new tokens for each of `batch` rows. Row b continues what lies in
/// slot slots[b] at position starts[b]: what lay there and behind is
/// overwritten, what lies before is read. So a caller goes back by going on at
/// an earlier position. The slots of a step differ.
struct Step {
  int64_t batch, sequence;
  const int64_t *ids;            ///< batch x sequence, below the vocabulary
  const int64_t *slots, *starts; ///< batch each
  /// Of which new tokens logits are wanted: `rowCount` numbers below
  /// `sequence`, increasing, the same for all rows of the batch.
  const int64_t *rows;
  int64_t rowCount;
};

/// One caller at a time.
class StepModel {
public:
  virtual ~StepModel() = default;

  virtual int64_t vocabulary() const = 0; ///< ids are below
  virtual int64_t slots() const = 0;      ///< sequences at the same time
  virtual int64_t capacity() const = 0;   ///< tokens of a sequence

  /// Logits, batch x rowCount x vocabulary, f32, which live until the next
  /// step: of the token behind each of the rows. Throws Failure; what the slots
  /// of the step hold from starts[b] on is then not known, what lies before is
  /// as it was.
  virtual const float *step(const Step &step) = 0;

  /// What an encoder gave for the sequence in a slot, copied: an input of this
  /// name with one row. Holds for all steps until it is set again; a step needs
  /// all that the model has, of one length.
  virtual void setInput(int64_t slot, const std::string &name,
                        const tn_tensor &tensor) {
    (void)slot;
    (void)tensor;
    fail(TN_ERROR_INPUT, "the decoder has no input '", name,
         "' that a sequence keeps");
  }
};

} // namespace tenon::runtime

#endif // TENON_RUNTIME_STEPMODEL_H
