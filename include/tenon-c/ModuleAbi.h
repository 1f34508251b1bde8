/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 *
 * What an artifact exports and what the runtime hands it: the contract between
 * code that `tenon compile` wrote and the runtime that runs it. Plain C, stable
 * within one TN_ABI_VERSION. Users want Runtime.h instead. */
#ifndef TENON_C_MODULEABI_H
#define TENON_C_MODULEABI_H

#include <stdint.h>

#define TN_ABI_VERSION 6

/* The launches of a section. */
#define TN_MAX_SECTION 16

/* Part [begin, end) of a launch's grid. `buffers` are the base addresses of the
 * launch's buffers; `sizes` are the dynamic sizes of each buffer in order,
 * followed by the launch's indices. */
typedef void (*tn_kernel)(void *const *buffers, const int64_t *sizes,
                          int64_t begin, int64_t end);

/* A launch: all of a kernel's grid, of `size` elements. */
typedef struct tn_grid {
  tn_kernel kernel;
  void *const *buffers;
  const int64_t *sizes;
  int64_t size;
} tn_grid;

/* What a tn_grid has in the place of a kernel whose code is a device's. Its
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
  /* Runs a section: `count` launches, at most TN_MAX_SECTION, of which none
   * reads or writes what another writes, split over the session's threads.
   * Returns when all are done. They are those of the module, in the order of
   * the description, from `first` on.
   */
  void (*run_section)(struct tn_frame *frame, int64_t first, int64_t count,
                      const tn_grid *grids);
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
 *   state INPUT                       that input's memory is changed by a run
 *   kept INPUT DIM                    that input has a row for each slot of a
 *                                     decoder, the same in all steps; `lengths`
 *                                     says how much of dimension DIM, or -1
 *   lengths INPUT                     that input has these for each row
 *   decoder IDS SLOTS STARTS ROWS CONTEXT LOGITS
 *                                     numbers of the inputs of a decoder and of
 *                                     its output (docs/decoders.md)
 *   output NAME TYPE [RANK [DIM...]]  DIM may be ? and is there to be read by
 *                                     people; RANK 0 when it is not there
 *   extent OUTPUT DIM EXPR            a size of an output, where DIM was ?
 *   counted OUTPUT DIM                a size of an output that the run
 *                                     computes: its `extent` is the most that
 *                                     it may be
 *   launch NUMBER KERNEL NODE[,NODE]  ONNX nodes that a launch computes
 *   index NUMBER [NODE,...]           a look-up of an ONNX node, whose indices
 *                                     are checked while it runs
 *   facts NUMBER FLOPS READ WRITTEN GRID
 *                                     what launch NUMBER costs: floating point
 *                                     operations, compulsory bytes, parts that
 *                                     may run at once; EXPR each
 *   work NUMBER PRODUCTS BF16 INT8 STEPS
 *                                     how many of the FLOPS of launch NUMBER
 *                                     are multiply-adds of products, how many
 *                                     of these multiply pairs of bf16 and
 *                                     groups of bytes in instructions for them,
 *                                     and the instructions on single elements
 *                                     beside products; EXPR each
 *   kind NUMBER KIND                  what launch NUMBER is: product,
 *                                     attention, norm, elementwise or move
 *   layer NUMBER NAME                 the layer of the model that it is in
 *   total FLOPS READ WRITTEN          of all launches, where all are known
 *   unfused LAUNCHES READ WRITTEN [LAYER]
 *                                     what a layer, or all outside of layers,
 *                                     would cost with a launch for each
 *                                     operation of the graph
 *   live EXPR                         bytes alive at one step: no arena is
 *                                     smaller than the largest of these
 *   target NAME KEY=VALUE...          facts of the machine that it was compiled
 *                                     for
 *   weights BYTES
 *   step NUMBER STEP                  when launch NUMBER runs, for slices; all
 *                                     of a section run at one step
 *   slice ID FIRST LAST EXPR [ID...]  bytes of a slice of the arena, alive from
 *                                     step FIRST to LAST, above the slices
 *                                     named; at step FIRST it is written only
 *   buffer NUMBER PLACE OF TYPE BYTES [DIM...]
 *                                     memory that launches share; PLACE and OF:
 *                                     input or output and its number, slice and
 *                                     its ID, weight or constant and a name.
 *                                     DIM and BYTES are EXPR, or ? where no
 *                                     symbol says them
 *   position BUFFER BYTES             where a weight begins in the weights
 *   reads NUMBER [BUFFER...]          the buffers that launch NUMBER reads
 *   writes NUMBER [BUFFER...]         and those that it writes
 *   copy STEP BUFFER BUFFER           at STEP the first becomes the second
 *   read STEP BUFFER                  at STEP the host reads a buffer: to
 *                                     decide what runs, or a size
 *   assume TEXT                       what tenon_sizes checks, or tenon_run
 *                                     where the run computes a size; last on
 *                                     its line
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
 * of a tn_grid is a tn_device_kernel, and run_section may return before
 * launches are done, as long as they are done in order:
 *
 * const char tenon_device_code[];
 *
 * Weights lie behind the last byte that the ELF headers know of, at a multiple
 * of 4096, and end the file. Or they are a file beside, named as the artifact
 * with ".weights" behind it (what is linked from --emit=obj or asm). The ELF
 * note with name "Tenon" and type 1 is a tn_note. */
typedef struct tn_note {
  uint64_t abi;           /* TN_ABI_VERSION */
  uint64_t weight_offset; /* in their file; where the checksum ends */
  uint64_t weight_bytes;
  uint64_t beside;   /* 1 where the weights are a file beside, else 0 */
  uint64_t features; /* of the processor that the code needs: bits as in
                      * TN_X86_FEATURES */
  /* CRC-32 (that of zlib) of the bytes before weight_offset with 0 in the place
   * of this number. Of the note alone where the weights are beside, since
   * another linker wrote the rest. */
  uint64_t checksum;
} tn_note;

/* F(BIT, NAME, LEAF, SUBLEAF, REGISTER, PLACE, STATE): what an x86-64 processor
 * may lack and LLVM uses unasked, under LLVM's name. The processor says at
 * PLACE of what CPUID gives for LEAF and SUBLEAF whether it has it, the
 * operating system in XCR0 whether it keeps the registers, STATE (Intel SDM,
 * volume 1, chapters 13 to 15, and volume 2, CPUID). */
#define TN_X86_FEATURES(F)                                                     \
  F(0, "sse3", 1, 0, ecx, 0, 0)                                                \
  F(1, "ssse3", 1, 0, ecx, 9, 0)                                               \
  F(2, "sse4.1", 1, 0, ecx, 19, 0)                                             \
  F(3, "sse4.2", 1, 0, ecx, 20, 0)                                             \
  F(4, "popcnt", 1, 0, ecx, 23, 0)                                             \
  F(5, "movbe", 1, 0, ecx, 22, 0)                                              \
  F(6, "lzcnt", 0x80000001, 0, ecx, 5, 0)                                      \
  F(7, "bmi", 7, 0, ebx, 3, 0)                                                 \
  F(8, "bmi2", 7, 0, ebx, 8, 0)                                                \
  F(9, "avx", 1, 0, ecx, 28, 0x6)                                              \
  F(10, "fma", 1, 0, ecx, 12, 0x6)                                             \
  F(11, "f16c", 1, 0, ecx, 29, 0x6)                                            \
  F(12, "avx2", 7, 0, ebx, 5, 0x6)                                             \
  F(13, "gfni", 7, 0, ecx, 8, 0)                                               \
  F(14, "avxvnni", 7, 1, eax, 4, 0x6)                                          \
  F(15, "avxifma", 7, 1, eax, 23, 0x6)                                         \
  F(16, "avxvnniint8", 7, 1, edx, 4, 0x6)                                      \
  F(17, "avxneconvert", 7, 1, edx, 5, 0x6)                                     \
  F(18, "avxvnniint16", 7, 1, edx, 10, 0x6)                                    \
  F(19, "avx512f", 7, 0, ebx, 16, 0xe6)                                        \
  F(20, "avx512dq", 7, 0, ebx, 17, 0xe6)                                       \
  F(21, "avx512cd", 7, 0, ebx, 28, 0xe6)                                       \
  F(22, "avx512bw", 7, 0, ebx, 30, 0xe6)                                       \
  F(23, "avx512vl", 7, 0, ebx, 31, 0xe6)                                       \
  F(24, "avx512ifma", 7, 0, ebx, 21, 0xe6)                                     \
  F(25, "avx512vbmi", 7, 0, ecx, 1, 0xe6)                                      \
  F(26, "avx512vbmi2", 7, 0, ecx, 6, 0xe6)                                     \
  F(27, "avx512vnni", 7, 0, ecx, 11, 0xe6)                                     \
  F(28, "avx512bitalg", 7, 0, ecx, 12, 0xe6)                                   \
  F(29, "avx512vpopcntdq", 7, 0, ecx, 14, 0xe6)                                \
  F(30, "avx512fp16", 7, 0, edx, 23, 0xe6)                                     \
  F(31, "avx512bf16", 7, 1, eax, 5, 0xe6)                                      \
  F(32, "egpr", 7, 1, edx, 21, 0x80000)                                        \
  F(33, "sse4a", 0x80000001, 0, ecx, 6, 0)                                     \
  F(34, "amx-tile", 7, 0, edx, 24, 0x60000)                                    \
  F(35, "amx-int8", 7, 0, edx, 25, 0x60000)                                    \
  F(36, "amx-bf16", 7, 0, edx, 22, 0x60000)

#endif
