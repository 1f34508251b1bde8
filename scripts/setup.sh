#!/bin/bash
# Installs what building and testing Tenon needs on Debian 12. Safe to run again;
# does nothing, quickly, when all is there. Sourced by demo.sh and test.sh, which
# then also have `say`, `build PRESET` and `python_env`.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

PACKAGES=(cmake ninja-build ccache g++ python3 python3-venv libgtest-dev
  llvm-22-dev libmlir-22-dev mlir-22-tools lld-22 clang-format-22
  protobuf-compiler libprotobuf-dev qemu-user)

say() { printf '\n== %s\n' "$*"; }

missing=()
for package in "${PACKAGES[@]}"; do
  dpkg-query -W -f='${db:Status-Abbrev}' "$package" 2>/dev/null | grep -q '^ii' ||
    missing+=("$package")
done
if [ ${#missing[@]} -gt 0 ]; then
  say "installing Debian packages: ${missing[*]}"
  sudo=
  [ "$(id -u)" = 0 ] || sudo=sudo
  $sudo apt-get update -qq
  DEBIAN_FRONTEND=noninteractive $sudo apt-get install -y -qq "${missing[@]}" >/dev/null
fi

# Configures and builds a preset; the second time only what changed.
build() {
  say "building (preset $1)"
  [ -f "build/$1/build.ninja" ] ||
    cmake --preset "$1" -DPython3_EXECUTABLE="$(python_env)" >/dev/null
  local targets=("${@:2}")
  cmake --build --preset "$1" ${targets:+--target "${targets[@]}"}
}

# A virtual environment with what the tests and the demo use; prints its python.
python_env() {
  local venv=build/venv
  if ! cmp -s scripts/requirements.txt "$venv/requirements.txt"; then
    say "making the Python environment $venv" >&2
    python3 -m venv "$venv"
    "$venv/bin/pip" install -q --disable-pip-version-check -r scripts/requirements.txt >&2
    cp scripts/requirements.txt "$venv/requirements.txt"
  fi
  echo "$PWD/$venv/bin/python"
}
