/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 *
 * The commands on an artifact: `tenon` calls them, and a program made with
 * --emit=exe is nothing else. */
#ifndef TENON_C_COMMANDLINE_H
#define TENON_C_COMMANDLINE_H

#ifdef __cplusplus
extern "C" {
#endif

/* argv[0] is run, bench or profile; options follow. With `artifact` NULL the
 * first word that is no option names it. Returns the exit code: 0, 1 (it failed
 * or differs), or 2 (wrong arguments). */
int tn_command_line(int argc, char **argv, const char *artifact);

/* The same for a main: argv[0] is the program, argv[1] the command. */
int tn_cli_main(int argc, char **argv, const char *artifact);

/* Speaks the line protocol of a benchmark worker on stdin and stdout: `ready`,
 * then `run`, `save DIR`, `quit`. Inputs are input_N.pb in `inputs`. Threads
 * <= 0: one per core. Lines `info KEY VALUE` may be printed before. */
int tn_cli_bench_worker(const char *artifact, const char *inputs, int threads);

#ifdef __cplusplus
}
#endif

#endif
