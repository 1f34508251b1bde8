/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 *
 * Loads what `tenon compile` wrote and runs it. Plain C: no exception crosses,
 * nothing aborts. */
#ifndef TENON_C_RUNTIME_H
#define TENON_C_RUNTIME_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define TN_API __attribute__((visibility("default")))

/* What a call returns. After anything but TN_OK, tn_last_error() says more. */
typedef enum tn_status {
  TN_OK = 0,
  TN_ERROR_ARGUMENT = 1, /* the caller broke a rule of this header */
  TN_ERROR_ARTIFACT =
      2,               /* the file is missing, damaged or of another version */
  TN_ERROR_INPUT = 3,  /* an input does not fit the model */
  TN_ERROR_MEMORY = 4, /* out of memory, or a memory check failed */
  TN_ERROR_DEVICE = 5, /* no GPU, or its driver refused; the message says why */
} tn_status;

/* Element types, with the numbers of ONNX's TensorProto.DataType. */
typedef enum tn_type {
  TN_F32 = 1,
  TN_U8 = 2,
  TN_I8 = 3,
  TN_U16 = 4,
  TN_I16 = 5,
  TN_I32 = 6,
  TN_I64 = 7,
  TN_BOOL = 9, /* one byte, 0 or 1 */
  TN_F16 = 10,
  TN_F64 = 11,
  TN_U32 = 12,
  TN_U64 = 13,
  TN_BF16 = 16,
  TN_F8E4M3FN = 17,
  TN_F8E4M3FNUZ = 18,
  TN_F8E5M2 = 19,
  TN_F8E5M2FNUZ = 20,
  /* In the low bits of one byte each: */
  TN_U4 = 21,
  TN_I4 = 22,
  TN_F4E2M1 = 23,
  TN_U2 = 25,
  TN_I2 = 26,
} tn_type;

/* Dimensions that a tensor may have at most. */
#define TN_MAX_RANK 16

/* A dense row-major tensor in memory that somebody else owns. */
typedef struct tn_tensor {
  void *data;    /* at a multiple of the bytes of an element; may be NULL when a
                  * dimension is 0 */
  int64_t bytes; /* how large the memory at `data` is */
  int32_t type;  /* a tn_type */
  int32_t rank;
  int64_t dims[TN_MAX_RANK];
} tn_tensor;

/* One dimension of an input or output as the model states it. */
typedef struct tn_dim {
  const char *symbol; /* NULL when the size is fixed; lives as the module */
  int64_t size;       /* -1 when it is not fixed */
} tn_dim;

/* A loaded artifact: code, weights and description. Immutable: any thread may
 * use it, and any number of sessions share it. */
typedef struct tn_module tn_module;

/* What one stream of runs needs: threads, scratch memory, inputs, outputs.
 * One thread at a time; different sessions are independent. */
typedef struct tn_session tn_session;

/* The message of the last call of this thread that failed; "" when none did.
 * Lives until this thread's next call that fails. */
TN_API const char *tn_last_error(void);

/* The TN_ABI_VERSION that this runtime reads. */
TN_API uint32_t tn_abi_version(void);

/* The bytes of `count` elements of a type; -1 when there is no such type. */
TN_API int64_t tn_type_bytes(int32_t type, int64_t count);
/* The name of a type ("f32", "i64", "bool"), or NULL. */
TN_API const char *tn_type_name(int32_t type);

/* --- Modules ----------------------------------------------------------- */

/* Loads the artifact at `path`, once its bytes are found to be what the
 * compiler wrote, for this version and this machine's processor; weights are
 * not looked at. Loading runs code of the file. The caller releases `*module`.
 * The file must not change while the module lives: its weights are mapped, not
 * read. */
TN_API tn_status tn_module_load(const char *path, tn_module **module);
/* Sessions keep their module alive, so the order of releases is free. */
TN_API void tn_module_release(tn_module *module);

/* Counts, and what numbers 0 to count - 1 mean. Names live as the module.
 * A number out of range gives NULL, 0 or -1. */
TN_API int32_t tn_module_input_count(const tn_module *module);
TN_API const char *tn_module_input_name(const tn_module *module, int32_t input);
TN_API int32_t tn_module_input_type(const tn_module *module, int32_t input);
TN_API int32_t tn_module_input_rank(const tn_module *module, int32_t input);
TN_API tn_dim tn_module_input_dim(const tn_module *module, int32_t input,
                                  int32_t dim);

/* The same for outputs. A dimension of an output has neither symbol nor size
 * when it is computed from several. */
TN_API int32_t tn_module_output_count(const tn_module *module);
TN_API const char *tn_module_output_name(const tn_module *module,
                                         int32_t output);
TN_API int32_t tn_module_output_type(const tn_module *module, int32_t output);
TN_API int32_t tn_module_output_rank(const tn_module *module, int32_t output);
TN_API tn_dim tn_module_output_dim(const tn_module *module, int32_t output,
                                   int32_t dim);

/* Numbers of the inputs and the output of a decoder, which `tenon compile
 * --decoder` makes (docs/decoders.md says what they hold). Its other inputs are
 * caches, whose memory each run changes. */
typedef struct tn_decoder_values {
  int32_t ids, slots, starts, rows, context, logits;
} tn_decoder_values;
/* TN_ERROR_ARGUMENT where the module is no decoder. */
TN_API tn_status tn_module_decoder_values(const tn_module *module,
                                          tn_decoder_values *values);

/* A symbol is a size that inputs fix at run time, or an element of an input of
 * integers that sizes are computed from, which is named INPUT[POSITION]. */
typedef struct tn_symbol {
  const char *name; /* lives as the module */
  int64_t min;
  int64_t max;
  int64_t hint; /* the size that the code was tuned for; -1: none */
} tn_symbol;
TN_API int32_t tn_module_symbol_count(const tn_module *module);
TN_API tn_status tn_module_symbol(const tn_module *module, int32_t symbol,
                                  tn_symbol *result);

/* --- Sessions ---------------------------------------------------------- */

typedef struct tn_session_options {
  int32_t threads;      /* the caller's included; 0: one per core */
  int32_t profile;      /* not 0: time every launch */
  int32_t check_memory; /* not 0: before each launch, fill memory that holds
                         * nothing with NaN; after each run, look for writes
                         * behind the memory's end */
} tn_session_options;

/* Options may be NULL: one thread, nothing extra. Results do not depend on the
 * number of threads. The caller releases `*session`. */
TN_API tn_status tn_session_create(tn_module *module,
                                   const tn_session_options *options,
                                   tn_session **session);
TN_API void tn_session_release(tn_session *session);

/* Copies `tensor`, not its data: the data must live and may change until the
 * last run that reads it. Type, rank and fixed sizes are checked here, symbols
 * in the run. */
TN_API tn_status tn_session_set_input(tn_session *session, int32_t input,
                                      const tn_tensor *tensor);

/* Lets the next runs write an output to the caller's memory: `bytes` at
 * `data`, which is a multiple of the bytes of an element. NULL gives the output
 * back to the session. */
TN_API tn_status tn_session_bind_output(tn_session *session, int32_t output,
                                        void *data, int64_t bytes);

/* Finds the sizes of all outputs for the inputs that are set, without running
 * (reads those inputs whose elements are sizes):
 * afterwards tn_session_output gives dims and bytes, with data NULL. A size
 * that the model computes while it runs, as of NonZero, is then the most that
 * it may be; memory for the output is as large, and the run says what it is. */
TN_API tn_status tn_session_resolve(tn_session *session);

/* Runs the model on the inputs that are set and returns when it is done. Where
 * the model reads or writes at an index that is out of range, that is
 * TN_ERROR_INPUT, found only then: outputs hold anything. After any error the
 * session can run again. Kernels keep what they reuse on the stack, of the
 * calling thread too: up to 800 KB, or more where a recipe has larger tiles. */
TN_API tn_status tn_session_run(tn_session *session);

/* What the last run computed, with the sizes that it found. Memory of the
 * session stays as it is until the next run, bind_output, resolve or release.
 */
TN_API tn_status tn_session_output(const tn_session *session, int32_t output,
                                   tn_tensor *tensor);

/* Bytes of scratch memory that the session holds. */
TN_API int64_t tn_session_arena_bytes(const tn_session *session);

/* --- Profile ----------------------------------------------------------- */

/* Times of one launch, summed over all runs since create or reset. */
typedef struct tn_launch {
  const char *kernel; /* lives as the module */
  const char *nodes;  /* ONNX nodes that it computes, separated by commas */
  int64_t calls;
  int64_t nanoseconds;
  int64_t last_begin; /* of its last call, since the begin of that run, in ns */
  int64_t last_nanoseconds;
} tn_launch;
TN_API int32_t tn_session_profile_count(const tn_session *session);
TN_API tn_status tn_session_profile(const tn_session *session, int32_t launch,
                                    tn_launch *result);
/* Nanoseconds of all runs together, measured always. */
TN_API int64_t tn_session_run_nanoseconds(const tn_session *session);
TN_API void tn_session_profile_reset(tn_session *session);

/* --- Decoders ---------------------------------------------------------- */

/* A language model that `tenon compile --decoder` wrote, with memory for the
 * keys and values of its sequences. */
typedef struct tn_decoder tn_decoder;

typedef struct tn_decoder_options {
  tn_session_options session;
  int64_t capacity;  /* tokens of a sequence, prompt and output: at least 1 */
  int32_t sequences; /* at the same time; 0: one */
} tn_decoder_options;

/* Allocates the caches, which grow with capacity times sequences. Fails for a
 * module that is no decoder. The caller releases `*decoder`. */
TN_API tn_status tn_decoder_create(tn_module *module,
                                   const tn_decoder_options *options,
                                   tn_decoder **decoder);
/* Decoders keep their module alive, and generators their decoder. */
TN_API void tn_decoder_release(tn_decoder *decoder);

/* Ids are below; 0 without a decoder, as for the others. */
TN_API int64_t tn_decoder_vocabulary(const tn_decoder *decoder);
TN_API int64_t tn_decoder_capacity(const tn_decoder *decoder);
TN_API int32_t tn_decoder_sequences(const tn_decoder *decoder);

/* --- Generators -------------------------------------------------------- */

/* The texts of a decoder's sequences, 0 to sequences - 1, and how each goes on.
 * One call at a time: a call while another thread's goes on, or from the
 * callback, is TN_ERROR_ARGUMENT and changes nothing, but for
 * tn_generator_stop. After any error the texts are as they were, or longer by
 * what the callback was told, and the next call may follow. */
typedef struct tn_generator tn_generator;

/* All zero: the most probable token each time, until the context is full. What
 * changes probabilities is applied in this order, as in Hugging Face's
 * generate. */
typedef struct tn_generator_options {
  float repetition_penalty;  /* positive logits of tokens that came already, in
                              * prompt or output, are divided by it, others
                              * multiplied; 0 or 1: none */
  int64_t repetition_window; /* of the last so many tokens; 0: of all */
  float temperature; /* 0: the most probable, of equal ones the lowest id */
  int64_t top_k;     /* only the so many most probable; 0: all */
  float top_p;       /* only the most probable that have this probability
                      * together; 0 or 1: all */
  uint64_t seed; /* of SplitMix64; a token takes one number of 53 bits. Equal
                  * logits and equal seeds give equal tokens everywhere */
  int64_t max_tokens;         /* new tokens of a run; 0: no limit */
  const int64_t *stop_tokens; /* each ends its sequence, and belongs to it */
  int64_t stop_count;
  int64_t speculate; /* most tokens of a draft that is looked up in the text and
                      * checked in one step, 0 to 64; 0: none. Tokens do not
                      * depend on it */
  int32_t sliding_window; /* not 0: when the context is full, the oldest tokens
                           * are dropped but the first `kept_tokens`, so that
                           * half of the rest is left, which is fed again;
                           * else that is an error */
  int64_t kept_tokens;    /* 0: 4 */
} tn_generator_options;

/* A decoder has one generator at a time. The caller releases `*generator`. */
TN_API tn_status tn_generator_create(tn_decoder *decoder,
                                     tn_generator **generator);
TN_API void tn_generator_release(tn_generator *generator);

/* Copied; also starts the sequence's random numbers anew. */
TN_API tn_status tn_generator_set_options(tn_generator *generator,
                                          int32_t sequence,
                                          const tn_generator_options *options);

/* The text that a sequence goes on from: 1 to capacity ids, copied. What is
 * held of it from before, as in a chat, is not computed again. */
TN_API tn_status tn_generator_set_prompt(tn_generator *generator,
                                         int32_t sequence, const int64_t *ids,
                                         int64_t count);

/* What an encoder gave for a sequence: an input of the model that is the same
 * in all steps, by its name, as the model has it for a batch of 1. Copied, and
 * held until it is set again; sequences may have different lengths, the inputs
 * of one have the same. What the sequence has computed is computed again. */
TN_API tn_status tn_generator_set_input(tn_generator *generator,
                                        int32_t sequence, const char *name,
                                        const tn_tensor *tensor);

/* Forgets all but the first `position` tokens of the text; with 0 the sequence
 * takes no part in runs. */
TN_API tn_status tn_generator_rewind(tn_generator *generator, int32_t sequence,
                                     int64_t position);

/* Told each token as it comes. Returns 0 to go on, 1 to end this sequence, 2 to
 * end all. */
typedef int32_t (*tn_token_callback)(void *context, int32_t sequence,
                                     int64_t token);

/* Goes on with all sequences that have a text and did not end with a stop
 * token, together, until all have ended. A context that is full is
 * TN_ERROR_INPUT when the others have ended. The callback may be NULL. */
TN_API tn_status tn_generator_run(tn_generator *generator,
                                  tn_token_callback callback, void *context);

/* A run in pieces, with one sequence or, if it is negative, with all: begin,
 * then steps while `*more` is not 0. A step computes a
 * part of a prompt, or a token for each sequence, or several if drafts were
 * right. Prompts that are set between steps join. */
TN_API tn_status tn_generator_begin(tn_generator *generator, int32_t sequence);
TN_API tn_status tn_generator_step(tn_generator *generator,
                                   tn_token_callback callback, void *context,
                                   int32_t *more);

/* Ends all sequences of the run that goes on behind its step. From any thread,
 * from the callback, or from a signal handler. */
TN_API void tn_generator_stop(tn_generator *generator);

/* Writes the first `room` tokens of a text, prompt and output, and how many
 * there are. A sliding window has dropped some. */
TN_API tn_status tn_generator_tokens(tn_generator *generator, int32_t sequence,
                                     int64_t *ids, int64_t room,
                                     int64_t *count);

/* Why a sequence does not go on. */
typedef enum tn_end {
  TN_END_NONE = 0,  /* it goes on, or has not begun */
  TN_END_STOP = 1,  /* a stop token */
  TN_END_LIMIT = 2, /* max_tokens */
  TN_END_ASKED = 3, /* the callback or tn_generator_stop */
  TN_END_FULL = 4,  /* the context is full */
} tn_end;
TN_API tn_status tn_generator_end(tn_generator *generator, int32_t sequence,
                                  int32_t *end);

/* Sums since create or reset, over all sequences. */
typedef struct tn_generation_statistics {
  int64_t prompt_tokens;      /* that were fed; not what was held */
  int64_t prompt_nanoseconds; /* with the first token of each prompt */
  int64_t generated_tokens;
  int64_t decoded_tokens;     /* of these, those behind the first ones */
  int64_t decode_nanoseconds; /* of these */
  int64_t decode_steps;       /* that they took */
  int64_t drafted;            /* tokens of drafts */
  int64_t accepted;           /* of these */
} tn_generation_statistics;
TN_API tn_status tn_generator_statistics(tn_generator *generator,
                                         tn_generation_statistics *result);
TN_API tn_status tn_generator_statistics_reset(tn_generator *generator);

#ifdef __cplusplus
}
#endif

#endif
