#!/bin/bash
# Fails when clang-format 22 would change a C++ file; --fix makes the change.
#   check_format.sh ROOT [--fix]
set -euo pipefail
cd "$1"
mode=(--dry-run -Werror)
[ "${2:-}" != --fix ] || mode=(-i)
find include lib tools test -name '*.h' -o -name '*.cpp' -o -name '*.c' 2>/dev/null |
  LC_ALL=C sort | xargs clang-format-22 "${mode[@]}"
