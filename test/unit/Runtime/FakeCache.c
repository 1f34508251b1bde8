/* A decoder written by hand, of 16 tokens. Its cache, i64[slots, capacity],
 * holds the tokens themselves; the logit of a token is how often it is in the
 * slot up to the row, and that of token 15 in how many runs so far the cache
 * lay elsewhere than in the first. With FAKE_KEPT it has what an encoder gives,
 * too: f32[slots, encoded, 2] and f32[slots, 2, encoded]; the logits of tokens
 * 14 and 13 are their sums over the length of the row. */
#include "tenon-c/ModuleAbi.h"

#define EXPORT __attribute__((visibility("default")))

/* append_weights.py fills in where the weights are. */
__attribute__((section(".note.tenon"), used, aligned(4))) static const struct {
  uint32_t name_size, content_size, type;
  char name[8];
  tn_note content;
} __attribute__((packed)) note = {
    6, sizeof(tn_note), 1, "Tenon", {TN_ABI_VERSION, 0, 0, 0, 0, 0}};

EXPORT const uint32_t tenon_abi_version = TN_ABI_VERSION;

EXPORT const char tenon_description[] =
    "symbol batch 1 64 -1\n"
    "symbol sequence 1 1024 -1\n"
    "symbol rows 1 1024 -1\n"
    "symbol slots 1 64 -1\n"
    "symbol capacity 1 4096 -1\n"
    "symbol context 1 4096 -1\n"
    "input ids i64 batch sequence\n"
    "input slots i64 batch\n"
    "input starts i64 batch\n"
    "input rows i64 rows\n"
    "input context i64 1\n"
    "input cache i64 slots capacity\n"
#ifdef FAKE_KEPT
    "symbol encoded 0 4096 -1\n"
    "input states f32 slots encoded 2\n"
    "input keys f32 slots 2 encoded\n"
    "input lengths i64 batch\n"
    "kept 6 1\n"
    "kept 7 2\n"
    "lengths 8\n"
#endif
    "element context 4 0\n"
    "state 5\n"
    "output logits f32 3 batch rows 16\n"
    "decoder 0 1 2 3 4 0\n"
    "launch 0 count count\n"
    "facts 0 batch*rows*context 8*max(context,1) 64*batch*rows batch*rows\n";

EXPORT int64_t tenon_sizes(const int64_t *symbols, int64_t *sizes,
                           int64_t *arena) {
  sizes[0] = symbols[0];
  sizes[1] = symbols[2];
  sizes[2] = 16;
  *arena = 64;
  return 0;
}

static void count(void *const *buffers, const int64_t *sizes, int64_t begin,
                  int64_t end) {
  const int64_t *slots = buffers[1], *starts = buffers[2], *rows = buffers[3];
  const int64_t *cache = buffers[4];
  int64_t row_count = sizes[0], capacity = sizes[1];
  for (int64_t i = begin; i < end; ++i) {
    int64_t row = i / row_count;
    float *logits = (float *)buffers[0] + i * 16;
    for (int token = 0; token < 16; ++token)
      logits[token] = 0;
    for (int64_t at = 0; at <= starts[row] + rows[i % row_count]; ++at)
      logits[cache[slots[row] * capacity + at]] += 1;
  }
}

EXPORT int64_t tenon_run(tn_frame *frame) {
  const int64_t *symbols = frame->symbols;
  int64_t batch = symbols[0], sequence = symbols[1], rows = symbols[2];
  const int64_t *ids = frame->inputs[0], *slots = frame->inputs[1],
                *starts = frame->inputs[2];
  int64_t *cache = frame->inputs[5];
  static int64_t *first, moved;
  first = first ? first : cache;
  moved += cache != first;
  for (int64_t b = 0; b < batch; ++b)
    for (int64_t i = 0; i < sequence; ++i)
      cache[slots[b] * symbols[4] + starts[b] + i] = ids[b * sequence + i];
  void *buffers[] = {frame->outputs[0], frame->inputs[1], frame->inputs[2],
                     frame->inputs[3], cache};
  int64_t sizes[] = {rows, symbols[4]};
  tn_grid grid = {count, buffers, sizes, batch * rows};
  frame->run_section(frame, 0, 1, &grid);
  for (int64_t i = 0; i < batch * rows; ++i)
    ((float *)frame->outputs[0])[i * 16 + 15] = (float)moved;
#ifdef FAKE_KEPT
  const float *states = frame->inputs[6], *keys = frame->inputs[7];
  const int64_t *lengths = frame->inputs[8];
  int64_t encoded = symbols[6];
  for (int64_t i = 0; i < batch * rows; ++i) {
    float *logits = (float *)frame->outputs[0] + i * 16;
    int64_t first = slots[i / rows] * encoded * 2;
    for (int64_t at = 0; at < lengths[i / rows]; ++at) {
      logits[14] += states[first + 2 * at] + states[first + 2 * at + 1];
      logits[13] += keys[first + at] + keys[first + encoded + at];
    }
  }
#endif
  return 0;
}
