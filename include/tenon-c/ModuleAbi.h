/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 *
 * What an artifact exports and what the runtime hands it: the contract between
 * code that `tenon compile` wrote and the runtime that runs it. Plain C, stable
 * within one TN_ABI_VERSION. Users want Runtime.h instead. */
#ifndef TENON_C_MODULEABI_H
#define TENON_C_MODULEABI_H

#include <stdint.h>

#define TN_ABI_VERSION 4

/* Part [begin, end) of a launch's grid. `buffers` are the base addresses of the
 * launch's buffers; `sizes` are the dynamic sizes of each buffer in order,
 * followed by the launch's indices. */
typedef void (*tn_kernel)(void *const *buffers, const int64_t *sizes,
                          int64_t begin, int64_t end);

/* What run_grid gets in the place of a kernel whose code is a device's. Its
 * parameters are `buffers` pointers, then `sizes` int64_t: what a tn_kernel
 * finds in its arrays. A launch has `grid` blocks of `threads` threads. */
typedef struct tn_device_kernel {
  const char *name; /* of its entry in tenon_device_code */
  int64_t buffers, sizes, threads;
} tn_device_kernel;

/* One run. The runtime fills it; the artifact reads it. */
typedef struct tn_frame {
  void *const *inputs;    /* base addresses, in the order of the description */
  void *const *outputs;   /* the same; each as large as tenon_sizes said */
  uint8_t *arena;         /* 64-byte aligned, as large as tenon_sizes said */
  const uint8_t *weights; /* the weights section of the artifact, mapped */
  const int64_t *symbols; /* in the order of the description */
  /* Runs all of a grid, split over the session's threads, and returns when it
   * is done. `launch` numbers the launches of the module for the profile. */
  void (*run_grid)(struct tn_frame *frame, int64_t launch, tn_kernel kernel,
                   void *const *buffers, const int64_t *sizes, int64_t grid);
  void *session; /* the runtime's own */
  /* Two numbers for each "index" record of the description, all 0. Where an
   * index of that look-up is out of range: the index, and 1 + the size of what
   * it looks up. */
  int64_t *index_errors;
  /* What tenon_sizes wrote. The artifact replaces those sizes that only the run
   * knows, see `counted`. */
  int64_t *output_sizes;
  int64_t *unequal; /* two numbers: what an `assume` that failed has found */
} tn_frame;

/* Exported by every artifact under these names:
 *
 * const uint32_t tenon_abi_version;
 *
 * Text, one record a line, fields separated by spaces, names percent-encoded:
 *   symbol NAME MIN MAX HINT          HINT -1: none
 *   input NAME TYPE [DIM...]          DIM: a symbol's name or an integer
 *   element SYMBOL INPUT POSITION     the symbol is no size, but what lies in
 *                                     that input (i32 or i64) at a position
 *   output NAME TYPE [RANK [DIM...]]  DIM may be ? and is there to be read by
 *                                     people; RANK 0 when it is not there
 *   extent OUTPUT DIM EXPR            a size of an output, where DIM was ?
 *   counted OUTPUT DIM                a size of an output that the run
 * computes: its `extent` is the most that it may be launch NUMBER KERNEL
 * NODE[,NODE]  ONNX nodes that a launch computes index NUMBER [NODE,...] a
 * look-up of an ONNX node, whose indices are checked while it runs facts NUMBER
 * FLOPS READ WRITTEN GRID what launch NUMBER costs: floating point operations,
 * compulsory bytes, parts that may run at once; EXPR each total FLOPS READ
 * WRITTEN          of all launches, where all are known live EXPR bytes alive
 * at one step: no arena is smaller than the largest of these target NAME
 * KEY=VALUE...          facts of the machine that it was compiled for weights
 * BYTES step NUMBER STEP                  when launch NUMBER runs, for slices
 *   slice ID FIRST LAST EXPR [ID...]  bytes of a slice of the arena, alive from
 *                                     step FIRST to LAST, above the slices
 *                                     named; at step FIRST it is written only
 *   assume TEXT                       what tenon_sizes checks, or tenon_run
 * where the run computes a size; last on its line
 *
 * An EXPR is a sum of products of integers, symbols and the functions min, max,
 * floordiv, ceildiv, mod, equal and less (1 or 0) of two EXPR and select of
 * three: a condition, what it is where that is 1, and where it is 0; a symbol
 * that is no plain word stands in double quotes. Records of another kind are
 * skipped. It ends with a 0 byte:
 *
 * const char tenon_description[];
 *
 * Writes the sizes of all outputs, one after the other, or what they are at
 * most, and the bytes of the arena. Returns 0, or 1 + the number of the first
 * `assume` that fails (the k-th record "assume TEXT" of the description).
 *
 * int64_t tenon_sizes(const int64_t *symbols, int64_t *output_sizes,
 *                     int64_t *arena_bytes);
 *
 * Runs the model. Returns 0, or 1 + the number of an `assume` that fails: the
 * run ends there.
 *
 * int64_t tenon_run(tn_frame *frame);
 *
 * Only if the kernels run on an NVIDIA GPU: PTX, ending with a 0 byte. All base
 * addresses in the frame, weights included, are then the device's, the kernel
 * that run_grid gets is a tn_device_kernel, and run_grid may return before the
 * launch is done, as long as launches are done in order.
 * const char tenon_device_code[];
 *
 * Weights lie behind the last byte that the ELF headers know of, at a multiple
 * of 4096. The ELF note with name "Tenon" and type 1 holds four little-endian
 * 64-bit numbers: TN_ABI_VERSION, the offset of the weights in the file, their
 * bytes, and 0; or 1 where they lie in a file beside, named as the artifact
 * with ".weights" behind it (what is linked from --emit=obj or asm). */

#endif
