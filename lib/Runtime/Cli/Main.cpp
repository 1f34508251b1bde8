// The main of a program made with --emit=exe: the artifact is the program.
#include "tenon-c/CommandLine.h"

int main(int argc, char **argv) {
  return tn_cli_main(argc, argv, "/proc/self/exe");
}
