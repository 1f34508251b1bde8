#!/bin/bash
# Makes a module that compiles to wrong numbers as small as it goes.
#   scripts/reduce-miscompile.sh MODULE.mlir OUTPUT.mlir [OPTIONS OF tenon compile]
# MODULE.mlir is what a phase wrote, of the graph dialect: `tenon compile --dump-phases`.
# It stays interesting as long as the artifact gives other outputs than the module
# itself, executed, on inputs that are made up. TENON_TOOLS is the folder of the
# tools (build/release/bin), PYTHON a Python with numpy and onnx (python3).
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
tools=${TENON_TOOLS:-$here/build/release/bin}
python=${PYTHON:-python3}

# What tenon-reduce runs: 1 says that the module is interesting.
if [ -n "${COMPILE_OPTIONS+set}" ]; then
  eval "options=($COMPILE_OPTIONS)"
  status=0
  PYTHONPATH=$tools/../lib/python TENON_COMPILER=$tools/tenon TENON_RUNTIME=$tools/../lib \
    "$python" -m tenon.bisect --outputs-only "$1" -- "${options[@]}" >/dev/null 2>&1 ||
    status=$?
  exit $((status == 1))
fi

if [ $# -lt 2 ]; then
  sed -n '2,8s/^# \{0,1\}//p' "$0"
  exit 2
fi
module=$1 output=$2
shift 2
self=$here/scripts/$(basename "${BASH_SOURCE[0]}")
if COMPILE_OPTIONS="${*@Q}" "$self" "$module"; then
  echo "$module: the artifact agrees with the module, or one of them does not run:" >&2
  "$tools/tenon" check --bisect "$module" --python "$python" -- "$@" >&2 || true
  exit 1
fi
# What it says of modules that it tries and that are none is of no use.
log=$(mktemp)
trap 'rm -f "$log"' EXIT
COMPILE_OPTIONS="${*@Q}" "$tools/tenon-reduce" \
  --reduction-tree="traversal-mode=0 test=$self" "$module" -o "$output" 2>"$log" ||
  { cat "$log" >&2 && exit 1; }
echo "$output: $(grep -c 'graph\.' "$output") lines of the graph dialect are left of" \
  "$(grep -c 'graph\.' "$module")"
