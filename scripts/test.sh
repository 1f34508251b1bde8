#!/bin/bash
# Installs what is needed, builds, and runs the tests.
#   scripts/test.sh           release build, all tests
#   scripts/test.sh --quick   the same without the models
#   scripts/test.sh --full    also real models at many sizes and the sanitizer build
# Ends with one line: N passed, N failed.
. "$(dirname "$0")/setup.sh"

mode=${1:-}
case "$mode" in
"" | --quick | --full) ;;
*)
  sed -n '2,6s/^# \{0,1\}//p' "$0"
  exit 2
  ;;
esac

passed=0 failed=0
# Adds what a runner reported; a runner that reports nothing counts as one failure.
count() {
  passed=$((passed + ${1:-0})) failed=$((failed + ${2:-0}))
}

# run_ctest PRESET [OPTION...]: options of ctest
run_ctest() {
  say "tests of preset $1"
  local log="build/$1/test.log" status=0
  ctest --preset "$@" --parallel "$(nproc)" | tee "$log" || status=$?
  local bad total
  total=$(sed -n 's/.*tests failed out of \([0-9]*\)$/\1/p' "$log")
  bad=$(sed -n 's/.*, \([0-9]*\) tests failed out of .*/\1/p' "$log")
  if [ -z "$total" ] || { [ "$status" != 0 ] && [ "$bad" = 0 ]; }; then
    count 0 1
  else
    count $((total - bad)) "$bad"
  fi
}

run_pytest() {
  say "models"
  local log=build/pytest.log status=0
  "$(python_env)" -m pytest -q "$@" | tee "$log" || status=$?
  local good bad
  good=$(grep -oE '[0-9]+ passed' "$log" | tail -1 | cut -d' ' -f1) || good=0
  bad=$({ grep -oE '[0-9]+ (failed|errors?)' "$log" || true; } | tail -2 |
    awk '{n += $1} END {print n + 0}')
  [ "$status" = 0 ] || [ "$bad" != 0 ] || bad=1
  count "${good:-0}" "$bad"
}

build release
run_ctest release
if [ "$mode" != --quick ]; then
  run_pytest test/e2e --numprocesses "$(nproc)" --dist worksteal
fi
if [ "$mode" = --full ]; then
  run_pytest test/e2e --full
  build asan
  run_ctest asan
  # Only the runtime has threads of its own.
  build tsan tenon-runtime-tests tenon-runtime fake-program-with-weights
  run_ctest tsan --tests-regex '^(runtime|program|python)$'
fi

echo
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
