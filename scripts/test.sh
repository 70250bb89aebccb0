#!/usr/bin/env bash
# Sets the machine up, builds, and runs every test. The last line is the total: "N passed, N failed".
#   scripts/test.sh [SUITE ...]      only these: format tidy unit lit reference examples recognition stages docs
#                                   conformance fuzz main sanitize
set -euo pipefail
cd "$(dirname "$0")/.."
build=${ATTNC_BUILD:-build} # absolute, or below the checkout
attnc=$build/bin/attnc
export CCACHE_DIR=${CCACHE_DIR:-$HOME/.cache/ccache}
python=/usr/bin/python3 # the one that python3-numpy belongs to
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
passed=0 failed=0 summary=""
only=("$@")

wanted() {
  ((${#only[@]} == 0)) && return 0
  local s
  for s in "${only[@]}"; do [[ $s == "$1" ]] && return 0; done
  return 1
}

# count NAME STATUS LOG: adds up what a suite printed. Understood: "N passed, M failed" (the last such line), ctest's and lit's summaries.
# A suite that fails without having counted counts as one failure, one that says nothing and succeeds as one pass.
count() {
  local p=0 f=0 line
  if line=$(grep -E '[0-9]+ passed, [0-9]+ failed' "$3" | tail -1) && [[ -n $line ]]; then
    p=$(grep -oE '[0-9]+ passed' <<<"$line" | tail -1 | grep -oE '[0-9]+')
    f=$(grep -oE '[0-9]+ failed' <<<"$line" | tail -1 | grep -oE '[0-9]+')
  elif line=$(grep -E 'tests failed out of [0-9]+' "$3" | tail -1) && [[ -n $line ]]; then
    f=$(grep -oE '[0-9]+ tests failed' <<<"$line" | grep -oE '[0-9]+')
    p=$(($(grep -oE 'out of [0-9]+' <<<"$line" | grep -oE '[0-9]+') - f))
  elif grep -qE '^ *(Passed|Failed|Unsupported|Excluded) *: *[0-9]+' "$3"; then
    p=$({ grep -E '^ *(Passed|Expectedly Failed) *:' "$3" || true; } | awk -F: '{s += $2} END {print s + 0}')
    f=$({ grep -E '^ *(Failed|Unresolved|Timed Out|Unexpectedly Passed) *:' "$3" || true; } | awk -F: '{s += $2} END {print s + 0}')
  elif [[ $2 == 0 ]]; then
    p=1
  fi
  [[ $2 != 0 && $f == 0 ]] && f=1
  passed=$((passed + p)) failed=$((failed + f))
  summary+=$(printf '%-28s %6d passed %6d failed %6d s' "$1" "$p" "$f" "$4")$'\n'
}

# suite NAME COMMAND...: runs it, shows its output, counts it, goes on whatever happened.
suite() {
  local name=$1 status=0 start=$SECONDS
  shift
  printf '\n=== %s\n' "$name"
  "$@" >"$work/log" 2>&1 || status=$?
  tail -n 200 "$work/log"
  count "$name" "$status" "$work/log" $((SECONDS - start))
}

skip() { printf '\n=== %s\nskipped: %s\n' "$1" "$2"; summary+=$(printf '%-28s skipped: %s' "$1" "$2")$'\n'; }

check_format() {
  local p=0 f=0 file
  while IFS= read -r file; do
    if clang-format-19 --dry-run -Werror "$file" 2>>"$work/format"; then p=$((p + 1)); else f=$((f + 1)) && echo "not formatted: $file"; fi
  done < <(git ls-files '*.cpp' '*.h' '*.c')
  echo "format: $p passed, $f failed"
  ((f == 0))
}

# The sources that changed, at most five minutes of them: against main where that is known, else against the commit before.
tidy_files() {
  local base
  base=$(git merge-base HEAD origin/main 2>/dev/null || true)
  # On main itself the merge base is the commit looked at.
  [[ -n $base && $base != $(git rev-parse HEAD) ]] || base=$(git rev-parse -q --verify HEAD~1 || true)
  if [[ -n $base ]]; then
    git diff --name-only --diff-filter=d "$base" -- runtime frontend dialect passes codegen tools | grep '\.cpp$' || true
  else # a history of one commit: a sample
    printf '%s\n' runtime/Extent.cpp frontend/Check.cpp dialect/tile/TileOps.cpp
  fi
}

check_tidy() {
  local p=0 f=0 left=0 file end=$((SECONDS + 300))
  for file in "$@"; do
    if ((SECONDS >= end)); then
      left=$((left + 1))
    elif clang-tidy-19 -p "$build" --quiet "$file" 2>"$work/tidy"; then
      p=$((p + 1))
    else
      f=$((f + 1))
    fi
  done
  ((left == 0)) || echo "no time left for $left of them"
  echo "clang-tidy: $p passed, $f failed"
  ((f == 0))
}

unit() {
  ninja -C "$1" attnc_unit_tests >"$work/unit" || { cat "$work/unit"; return 1; }
  ctest --test-dir "$1" --output-on-failure --timeout 900 -j "$(nproc)"
}

# lit's own time limit needs a package; a limit on the whole does as well.
lit() { timeout 1800 "$python" /usr/lib/llvm-19/build/utils/lit/lit.py -j "$(nproc)" -v "$@"; }

suite setup scripts/setup.sh "$build" # packages and build; all else needs it
wanted format && suite format check_format
if wanted tidy; then
  mapfile -t files < <(tidy_files)
  if ((${#files[@]})); then
    suite "clang-tidy, changed files" check_tidy "${files[@]}"
  else
    skip "clang-tidy" "no source changed"
  fi
fi
if wanted unit; then
  suite "unit tests" unit "$build"
fi
wanted lit && suite "lit tests" lit "$build/test"
if wanted reference; then
  suite "reference, rule by rule" "$python" test/reference/run.py --attnc "$attnc"
  suite "built-ins, whole range" "$python" test/reference/ranges.py --attnc "$attnc"
  suite "masks of attention" "$python" test/reference/masks.py --attnc "$attnc"
fi
if wanted examples; then
  suite "examples, checked" "$python" test/examples/run.py --attnc "$attnc" --command check
  suite "examples, verified" "$python" test/examples/run.py --attnc "$attnc" --command verify
  suite "examples, other dtypes" "$python" test/examples/run.py --attnc "$attnc" --dtype bf16 f16 f64
  # A sample; without --every it is all of them, some ten minutes.
  suite "examples, cuda-emulated" "$python" test/examples/run.py --attnc "$attnc" --target cuda-emulated --every 6
  # A sample too; without --every it is all of them, in three archs some five minutes. Skips itself without NVRTC.
  suite "examples, cubins" "$python" test/examples/cubins.py --attnc "$attnc" --every 12
  suite "examples, NaN and inf" "$python" test/examples/special.py --attnc "$attnc" --jobs "$(nproc)"
fi
wanted recognition && suite "spellings and relatives" "$python" test/recognition/run.py --attnc "$attnc"
wanted stages && suite "examples, stage by stage" "$python" test/stages/run.py --attnc "$attnc"
if wanted docs; then
  suite "programs in the docs" "$python" test/docs/run.py --attnc "$attnc" --run docs/language.md README.md
  suite "links in the docs" "$python" test/docs/links.py
fi
if wanted conformance; then
  if [[ -d ../shared/conformance ]]; then
    suite "conformance, reference" "$python" test/conformance.py --attnc "$attnc" --mode eval
    suite "conformance, compiled" "$python" test/conformance.py --attnc "$attnc" --mode run
  else
    skip conformance "there is no ../shared/conformance beside this checkout"
  fi
fi
if wanted fuzz; then
  suite "random specs" "$python" test/fuzz/run.py --attnc "$attnc" --count 2000 --jobs "$(nproc)" --complete
  suite "seeded bugs, applied" "$python" test/fuzz/seeded.py --check
  suite "damaged specs and calls" "$python" test/fuzz/mutate.py --attnc "$attnc" --count 1500
fi
wanted main && suite "main job" "$python" scripts/main_job.py --attnc "$attnc" --out "$work/out"
if wanted sanitize; then
  # The address and undefined-behaviour sanitizers over everything that needs no MLIR: front end, reference, runtime.
  # Memory that is refused is a case that attnc handles, also when it is more than the sanitizer would ever give.
  export ASAN_OPTIONS=allocator_may_return_null=1
  suite "sanitizer build" scripts/setup.sh "$build-sanitize" -DATTNC_COMPILER=OFF -DATTNC_SANITIZE=ON
  suite "sanitizer, unit tests" unit "$build-sanitize"
  suite "sanitizer, lit tests" lit "$build-sanitize/test"
  suite "sanitizer, examples" "$python" test/examples/run.py --attnc "$build-sanitize/bin/attnc" --command check
  suite "sanitizer, damaged specs" "$python" test/fuzz/mutate.py --attnc "$build-sanitize/bin/attnc" --count 800 --no-compiler
  suite "sanitizer, docs" "$python" test/docs/run.py --attnc "$build-sanitize/bin/attnc" docs/language.md
fi

printf '\n%s%d passed, %d failed\n' "$summary" "$passed" "$failed"
((failed == 0))
