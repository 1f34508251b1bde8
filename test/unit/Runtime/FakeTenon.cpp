// The commands on an artifact, with FakeDecoder.cpp for decoders.
#include "tenon-c/CommandLine.h"

int main(int argc, char **argv) { return tn_cli_main(argc, argv, nullptr); }
