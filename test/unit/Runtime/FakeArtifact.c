/* An artifact written by hand:
 *   y    = (x . W) * mask   x f32[batch, 4], mask i64[batch], W f32[4, 4]
 *   rows = batch            i64[]
 * FAKE_ABI sets the version, FAKE_FEATURES what the processor must have,
 * FAKE_OVERRUN writes behind the arena, FAKE_FREED frees the product before the
 * second launch reads it, FAKE_HUGE asks for 64 TiB from batch 1000 on. With
 * FAKE_MEETING, rows is the number of runs that began before this one ended,
 * which waits for two, and at most ten seconds. With FAKE_COUNTED, y has as
 * many rows as the mask begins with zeros, and if these are 5 an assumption
 * fails. */
#include "tenon-c/ModuleAbi.h"
#ifdef FAKE_MEETING
#include <time.h>
#endif

#ifndef FAKE_ABI
#define FAKE_ABI TN_ABI_VERSION
#endif

#ifndef FAKE_FEATURES
#define FAKE_FEATURES 0
#endif

#ifdef FAKE_FREED
#define LAST_STEP "0"
#else
#define LAST_STEP "1"
#endif

#define EXPORT __attribute__((visibility("default")))

/* append_weights.py fills in where the weights are. */
__attribute__((section(".note.tenon"), used, aligned(4))) static const struct {
  uint32_t name_size, content_size, type;
  char name[8];
  tn_note content;
} __attribute__((packed)) note = {
    6, sizeof(tn_note), 1, "Tenon", {FAKE_ABI, 0, 0, 0, FAKE_FEATURES, 0}};

EXPORT const uint32_t tenon_abi_version = FAKE_ABI;

EXPORT const char tenon_description[] = "symbol batch 0 1048576 8\n"
                                        "input x f32 batch 4\n"
                                        "input the%20mask i64 batch\n"
#ifdef FAKE_COUNTED
                                        "output y f32 2 ? 4\n"
                                        "extent 0 0 batch\n"
                                        "counted 0 0\n"
#else
                                        "output y f32 2 batch 4\n"
#endif
                                        "output rows i64\n"
                                        "launch 0 multiply layer/matmul\n"
                                        "launch 1 mask layer/mul,layer/cast\n"
                                        "step 0 0\n"
                                        "step 1 1\n"
                                        "slice 0 0 " LAST_STEP " 16*batch\n"
                                        "assume batch != 13\n"
#ifdef FAKE_COUNTED
                                        "assume a counted size == 7\n"
#endif
                                        "remark to be skipped\n";

EXPORT int64_t tenon_sizes(const int64_t *symbols, int64_t *sizes,
                           int64_t *arena) {
  sizes[0] = symbols[0];
  sizes[1] = 4;
  *arena = (symbols[0] * 16 + 63) / 64 * 64;
#ifdef FAKE_HUGE
  *arena = symbols[0] < 1000 ? *arena : INT64_C(1) << 46;
#endif
  return symbols[0] == 13 ? 1 : 0;
}

static void multiply(void *const *buffers, const int64_t *sizes, int64_t begin,
                     int64_t end) {
  const float *x = buffers[0], *weights = buffers[1];
  float *product = buffers[2];
  (void)sizes;
  for (int64_t i = begin; i < end; ++i)
    for (int j = 0; j < 4; ++j) {
      float sum = 0;
      for (int k = 0; k < 4; ++k)
        sum += x[i * 4 + k] * weights[k * 4 + j];
      product[i * 4 + j] = sum;
    }
}

static void mask(void *const *buffers, const int64_t *sizes, int64_t begin,
                 int64_t end) {
  const float *product = buffers[0];
  const int64_t *mask = buffers[1];
  float *y = buffers[2];
  (void)sizes;
  for (int64_t i = begin; i < end; ++i)
    for (int j = 0; j < 4; ++j)
      y[i * 4 + j] = product[i * 4 + j] * (float)mask[i];
}

EXPORT int64_t tenon_run(tn_frame *frame) {
  int64_t batch = frame->symbols[0];
  void *first[] = {frame->inputs[0], (void *)(uintptr_t)frame->weights,
                   frame->arena};
  void *second[] = {frame->arena, frame->inputs[1], frame->outputs[0]};
  tn_grid product = {multiply, first, &batch, batch};
  tn_grid masked = {mask, second, &batch, batch};
  frame->run_section(frame, 0, 1, &product);
  frame->run_section(frame, 1, 1, &masked);
  *(int64_t *)frame->outputs[1] = batch;
#ifdef FAKE_MEETING
  static int64_t arrived;
  __atomic_add_fetch(&arrived, 1, __ATOMIC_SEQ_CST);
  for (time_t begin = time(0);
       __atomic_load_n(&arrived, __ATOMIC_SEQ_CST) < 2 && time(0) - begin < 10;)
    nanosleep(&(struct timespec){0, 1000000}, 0);
  *(int64_t *)frame->outputs[1] = arrived;
#endif
#ifdef FAKE_OVERRUN
  frame->arena[(batch * 16 + 63) / 64 * 64] = 0;
#endif
#ifdef FAKE_COUNTED
  const int64_t *counted = frame->inputs[1];
  int64_t rows = 0;
  while (rows < batch && counted[rows] == 0)
    ++rows;
  frame->output_sizes[0] = rows;
  frame->unequal[0] = rows;
  frame->unequal[1] = 7;
  if (rows == 5)
    return 2;
#endif
  return 0;
}
