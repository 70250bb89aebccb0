#!/usr/bin/env bash
# Makes a fresh Debian 12 machine ready and builds attnc: packages, configure, build. Safe to repeat; does only what is missing.
#   scripts/setup.sh [BUILD_FOLDER [TARGET ...] [-DCMAKE_OPTION ...]]       default: build, everything
# Without a target the packages that only the tests need are installed too.
set -euo pipefail
cd "$(dirname "$0")/.."
build=${1:-build}
shift $(($# > 0 ? 1 : 0))
options=() targets=()
for word in "$@"; do
  if [[ $word == -D* ]]; then options+=("$word"); else targets+=("$word"); fi
done

packages=(llvm-19-dev libmlir-19-dev mlir-19-tools llvm-19-tools ninja-build ccache cmake g++ antlr4 libantlr4-runtime-dev
  libfmt-dev libtbb-dev python3 python3-numpy)
((${#targets[@]})) || packages+=(libgtest-dev clang-format-19 clang-tidy-19 python3-psutil git)
missing=()
for p in "${packages[@]}"; do
  # The state of a package is "install ok installed" when it is usable; anything else is asked for again.
  [[ $(dpkg-query -W -f '${Status}' "$p" 2>/dev/null || true) == "install ok installed" ]] || missing+=("$p")
done
if ((${#missing[@]})); then
  root=()
  if [[ $(id -u) != 0 ]]; then
    command -v sudo >/dev/null || { echo "setup: needs root or sudo to install: ${missing[*]}" >&2; exit 1; }
    root=(sudo)
  fi
  echo "setup: installing ${missing[*]}"
  log=$(mktemp)
  {
    "${root[@]}" apt-get update -qq &&
      "${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}"
  } >"$log" 2>&1 || { cat "$log" >&2; exit 1; }
  rm -f "$log"
fi

export CCACHE_DIR=${CCACHE_DIR:-$HOME/.cache/ccache}
# A folder that was configured in another place, or for a checkout in another place, is of no use.
if [[ -f $build/CMakeCache.txt ]]; then
  for line in "CMAKE_HOME_DIRECTORY:INTERNAL=$PWD" "CMAKE_CACHEFILE_DIR:INTERNAL=$(realpath "$build")"; do
    grep -qxF "$line" "$build/CMakeCache.txt" 2>/dev/null || rm -rf "$build"
  done
fi
cmake -B "$build" -G Ninja "${options[@]}" >"${TMPDIR:-/tmp}/attnc-configure.$$.log" 2>&1 || {
  cat "${TMPDIR:-/tmp}/attnc-configure.$$.log" >&2
  exit 1
}
rm -f "${TMPDIR:-/tmp}/attnc-configure.$$.log"
# Two gigabytes for each compiler process: a machine with little memory builds with fewer.
jobs=$(nproc)
fit=$(awk '/MemAvailable/ {print int($2 / 2000000)}' /proc/meminfo)
((fit < jobs)) && jobs=$((fit > 0 ? fit : 1))
ninja -C "$build" -j "$jobs" "${targets[@]}"
