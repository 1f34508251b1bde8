#!/bin/sh
# run_test.sh TENON_OPT FILECHECK PLUGIN TEST: runs the plugin's pass on a test.
set -e
pipeline="--pass-pipeline=builtin.module(example-fold-double-negation)"
"$1" --load-pass-plugin="$3" "$pipeline" "$4" | "$2" "$4"
# The pass comes with the plugin alone.
if "$1" "$pipeline" "$4" >/dev/null 2>&1; then
  echo "tenon-opt knows the pass without the plugin" >&2
  exit 1
fi
