#!/usr/bin/env bash
# test.sh - installs what the tests need, builds, runs every test: test.sh [--full]
#
# Licensed under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
#   --full   also what takes long: every model and conformance case on the intel
#            device, the cases of older operator versions, every chip of a
#            generation, `pip install .`, the runtime under ThreadSanitizer, the
#            fuzzers for 10 minutes each
#
# Stages: the build and its tests; the runtime's tests under AddressSanitizer and
# UndefinedBehaviorSanitizer; under these, too, the fuzzers of packages and of the
# ONNX importer for a minute, as many at a time as there are processors. All
# stages are run even if one fails; the last lines say how each ended.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib/common.sh"

full=0
fuzz_seconds=60
for argument in "$@"; do
  case $argument in
  --full)
    full=1
    fuzz_seconds=600
    ;;
  *)
    echo "usage: test.sh [--full]" >&2
    exit 2
    ;;
  esac
done

bash "$ROOT/scripts/install.sh" test
export AICC_TEST_DATA=${AICC_TEST_DATA:-$ROOT/../shared/data}
[ -d "$AICC_TEST_DATA" ] || say "SKIP the conformance cases: no folder $AICC_TEST_DATA (set AICC_TEST_DATA)"
use_intel_runtime
# What a full disk breaks are tests that write models, half an hour from here.
needed=8
free=$(($(df --output=avail -k "$ROOT" | tail -1) / (1 << 20)))
[ "$free" -ge $needed ] || say "WARNING: $free GiB free in $ROOT; builds, exported models and packages take up to $needed"

begin=$SECONDS
failed=0
summary=()
closing=()
stage() { # stage NAME COMMAND...
  local name=$1 from=$SECONDS state=passed
  shift
  say "$name"
  if ! "$@"; then
    state=FAILED
    failed=1
  fi
  summary+=("$(printf '%-44s %-7s %4d s' "$name" "$state" $((SECONDS - from)))")
}

run_ctest() { # run_ctest FOLDER [OPTIONS...]
  local folder=$1 log=$BUILD/ctest-$(basename "$1").log state=0
  shift
  ctest --test-dir "$folder" --output-on-failure -j "$JOBS" "$@" 2>&1 | tee "$log" || state=1
  closing+=("$(grep -E 'tests passed|No tests were found' "$log" || true)")
  return $state
}

fuzz() { # fuzz PROGRAM: from the seeds beside its source, in a corpus kept in the build
  local program=$1 name corpus seeds
  name=$(basename "$program")
  corpus=$BUILD/corpus/$name
  mkdir -p "$corpus"
  seeds=$(find "$ROOT" -path "$ROOT/build*" -prune -o -type d -name "$name-seeds" -print | sed 1q)
  if [ "$name" = fuzz_package ]; then
    "$(dirname "$program")/aicc_make_test_package" no-kernels "$corpus/seed.aicc" cpu "$corpus/seed.header"
  fi
  if [ "$name" = fuzz_onnx ]; then
    AICC_BINARY_DIR=$BUILD "$PYTHON" "$ROOT/tests/fuzz/corpus.py" "$corpus" || true
  fi
  (cd "$corpus" && "$program" -max_total_time=$fuzz_seconds -timeout=20 -rss_limit_mb=4096 -max_len=65536 \
    -verbosity=0 "$corpus" ${seeds:+"$seeds"})
}

stage "build" build release
for program in aicc aicc-run aicc-opt; do # without them tests would only be skipped
  [ -x "$BUILD/bin/$program" ] || die "the build made no $program"
done
options=()
[ $full = 1 ] || options=(-LE slow)
stage "tests" run_ctest "$ROOT/build" "${options[@]}"
for preset in fuzz $([ $full = 1 ] && echo tsan); do
  stage "build under sanitizers ($preset)" build "$preset"
  stage "tests under sanitizers ($preset)" run_ctest "$ROOT/build-$preset"
done
export -f fuzz
export ROOT BUILD PYTHON fuzz_seconds
fuzz_all() { printf '%s\0' "$ROOT"/build-fuzz/bin/fuzz_* | xargs -0 -n 1 -P "$JOBS" bash -c 'fuzz "$1"' fuzz; }
stage "fuzzers, $fuzz_seconds s each" fuzz_all

printf '\n'
say "summary, $(((SECONDS - begin) / 60)) minutes"
printf '%s\n' "${summary[@]}"
printf '%s\n' "${closing[@]}" | grep . || true
exit $failed
