// The subcommands of tenon: one function and one file each.
#ifndef TENON_TOOLS_TENON_SUBCOMMANDS_H
#define TENON_TOOLS_TENON_SUBCOMMANDS_H

/// Each takes the arguments from the subcommand's name on and returns the exit
/// status: 0, 3 where the model has something unsupported, 1 for any other
/// error.
int runCheck(int argc, char **argv);
int runCompile(int argc, char **argv);
int runTarget(int argc, char **argv);
/// run, bench, profile, info, plan, generate, evaluate
int runArtifactCommand(int argc, char **argv);

#endif // TENON_TOOLS_TENON_SUBCOMMANDS_H
