#!/bin/sh
# run_test.sh TENON_TOOLS FILECHECK POLY_OPT PLUGIN TEST: converts the test with the
# tool and with the plugin in Tenon's tools, compiles it and runs it.
set -e
tools=$1 check=$2 poly_opt=$3 plugin=$4 test=$5
plugins="--load-dialect-plugin=$plugin --load-pass-plugin=$plugin"

"$poly_opt" --convert-poly-to-graph "$test" | "$check" "$test"
# Tenon's phases are in the tool too.
"$poly_opt" --convert-poly-to-graph --tenon-simplify --tenon-fuse "$test" | grep -q kernel.region

"$tools/tenon-opt" $plugins --pass-pipeline="builtin.module(convert-poly-to-graph)" "$test" |
  "$check" "$test"
if "$tools/tenon-opt" "$test" >/dev/null 2>&1; then
  echo "tenon-opt knows the dialect without the plugin" >&2
  exit 1
fi

"$tools/tenon" compile "$test" -o poly.so --quiet $plugins \
  --before simplify=convert-poly-to-graph
# x = 0 1 2 3 as f32, in numpy's format.
printf "\223NUMPY\001\000\166\000%-117s\n\000\000\000\000\000\000\200\077\000\000\000\100\000\000\100\100" \
  "{'descr': '<f4', 'fortran_order': False, 'shape': (4,), }" >x.npy
"$tools/tenon" run poly.so --input x=x.npy --output .
# y = 1 3 9 19, the last bytes of a TensorProto.
tail -c 16 output_0.pb | od -An -tf4 | grep -q ' 1 *3 *9 *19'
