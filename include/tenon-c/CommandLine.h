/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 *
 * The commands on an artifact: `tenon` calls them, and a program made with
 * --emit=exe is nothing else. */
#ifndef TENON_C_COMMANDLINE_H
#define TENON_C_COMMANDLINE_H

#ifdef __cplusplus
extern "C" {
#endif

/* argv[0] is run, bench, profile, info, plan, generate or evaluate; options
 * follow. With `artifact` NULL the first word that is no option names it.
 * Returns the exit code: 0, 1 (it failed or differs), 2 (wrong arguments), or
 * 130 (Ctrl-C ended generate). */
int tn_command_line(int argc, char **argv, const char *artifact);

/* The same for a main: argv[0] is the program, argv[1] the command. */
int tn_cli_main(int argc, char **argv, const char *artifact);

/* Runs both artifacts on input_N.pb in `data_set`, and prints for each output
 * how far the first is from the reference: the largest and the mean
 * |difference|, and these relative to the largest and the mean |element| of the
 * reference. Returns the exit code. */
int tn_cli_compare(const char *artifact, const char *reference,
                   const char *data_set);

/* What `tenon target --measure` measures. */
typedef struct tn_machine {
  double f32_gflops;   /* of one core */
  double bf16_gflops;  /* the same of pairs of bf16; 0 without an instruction */
  double int8_gops;    /* the same of groups of four bytes */
  double read_gbs;     /* memory read rate of one core */
  double read_gbs_all; /* of all cores */
  double l2_gbs;       /* read rate of one core from its L2 */
  double launch_us;    /* of a launch on all cores, beside its work */
} tn_machine;

/* Measures this machine, which should do nothing else meanwhile. Takes some
 * seconds; `progress`, unless NULL, is told what comes next. */
void tn_cli_measure(tn_machine *machine, void (*progress)(const char *what));

/* Runs `count` artifacts of one model in turn, each a few times before the
 * next, for `seconds` and at least nine times each: on invented inputs of the
 * hinted sizes, with one thread per core. `launches` is their number, if each
 * is to be timed too, or 0. Writes medians in nanoseconds, 1 + launches for
 * each artifact: of the run, then of each launch. Returns 0, or 1 when it has
 * said what is wrong. */
int tn_cli_time_in_turn(const char *const *artifacts, int count, int launches,
                        double seconds, double *times);

#ifdef __cplusplus
}
#endif

#endif
