#!/usr/bin/env bash
# on_gpu.sh - everything that wants a GPU, in one call on a machine that has one and nothing else
#
# Licensed under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
#   on_gpu.sh prepare [--target=T] [--models=a,b|none] [--cases=a,b|none] [--suite=WORD|none] [--limit=MIB] [FOLDER]
#       In the source tree, after a build: collects programs, the libraries that
#       they need, compiled packages, inputs and expected outputs in FOLDER
#       (build/on-gpu). Models are those that tests/models/export.py has written
#       (build/models, or AICC_MODELS_DIR); --limit leaves out what doesn't fit.
#       Cases are those of benchmarks/gpu/cases.py, all by default; the suite is
#       ONNX's, all of it or the cases whose names have WORD. The target is by
#       default cuda:sm_90a,cuda:sm_80, so that each GPU takes its best code.
#   FOLDER/on_gpu.sh run
#       There, without network, compiler or Python: the driver's conformance,
#       ONNX's suite, each model against its expected outputs and against the CPU,
#       timings of models and cases, compute-sanitizer where it is; and where there
#       is a Python with PyTorch, what that needs for the same cases. Writes
#       FOLDER/results/results.md and results.json. 0 if nothing failed, 77 if the
#       device isn't there.
#
#   AICC_DEVICE (cuda:0) is what it runs on; AICC_SECONDS (560) is how long all
#   of it may take: what there is no time for is written down as skipped.
set -euo pipefail

die() {
  echo "on_gpu.sh: $*" >&2
  exit 2
}

#===------------------------------------------------------------------------===#
# prepare
#===------------------------------------------------------------------------===#

# The libraries of programs, apart from the system's own: a driver for the GPU
# was built for that machine's.
copy_libraries() { # copy_libraries FOLDER PROGRAM...
  local folder=$1 library
  shift
  mkdir -p "$folder/lib" "$folder/glibc"
  ldd "$@" | awk '$2 == "=>" && $3 ~ /^\// {print $3} $1 ~ /^\/.*ld-linux/ {print $1}' | sort -u |
    while read -r library; do
      case $(basename "$library") in
      ld-linux* | libc.so* | libm.so* | libpthread.so* | libdl.so* | librt.so*) cp -L "$library" "$folder/glibc/" ;;
      *) cp -L "$library" "$folder/lib/" ;;
      esac
    done
}

# Lines MODEL, RUN, inputs and outputs (NAME=FILE, separated by tabs, with a
# prefix i or o), from what export.py wrote.
list_runs() { # list_runs MODEL-FOLDER NAME
  python3 - "$1" "$2" <<'PYTHON'
import json, pathlib, sys

folder, name = pathlib.Path(sys.argv[1]), sys.argv[2]
record = json.loads((folder / "model.json").read_text())
for run in record["runs"]:
    line = [name, run["folder"]]
    for kind, ports, where in (("i", record["inputs"], ""), ("o", record["outputs"], "expect/")):
        for port in ports:
            file = f"{run['folder']}/{where}{port.get('file', port['name'])}.npy"
            if not (folder / file).exists():
                sys.exit(f"on_gpu.sh: {folder / file} is absent")
            line.append(f"{kind}{port['name']}={file}")
    print("\t".join(line))
PYTHON
}

prepare() {
  local root build models target=cuda:sm_90a,cuda:sm_80 names="" cases="" suite="" limit=0 out="" argument
  root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
  build=${AICC_BINARY_DIR:-$root/build}
  models=${AICC_MODELS_DIR:-$build/models}
  for argument in "$@"; do
    case $argument in
    --target=*) target=${argument#*=} ;;
    --models=*) names=${argument#*=} ;;
    --cases=*) cases=${argument#*=} ;;
    --suite=*) suite=${argument#*=} ;;
    --limit=*) limit=${argument#*=} ;;
    -*) die "unknown option '$argument'" ;;
    *) out=$argument ;;
    esac
  done
  out=${out:-$build/on-gpu}
  local tool
  for tool in aicc aicc-run aicc-conformance aicc-suite; do
    [ -x "$build/bin/$tool" ] || die "$build/bin/$tool is not built"
  done
  rm -rf "$out"
  mkdir -p "$out/bin" "$out/packages" "$out/data"
  cp "$build/bin/aicc-run" "$build/bin/aicc-conformance" "$build/bin/aicc-suite" "$out/bin/"
  copy_libraries "$out" "$out"/bin/*
  cp "${BASH_SOURCE[0]}" "$out/on_gpu.sh"
  echo "$target" >"$out/target"
  "$build/bin/aicc" "$root/examples/digits/digits.onnx" --target="cpu,$target" -o "$out/digits.aicc"
  local python=$build/venv/bin/python
  [ -x "$python" ] || python=python3
  if [ "$cases" != none ]; then
    # shellcheck disable=SC2086 # names without spaces
    AICC_BINARY_DIR=$build AICC_MODELS_DIR=$models "$python" "$root/benchmarks/gpu/packages.py" "$target" "$out/cases" ${cases//,/ }
    cp "$root/benchmarks/gpu/peers.py" "$out/cases/"
  fi
  if [ "$suite" != none ]; then
    AICC_BINARY_DIR=$build "$python" "$root/tests/ops/packages.py" "${target%%,*}" "$out/suite" --filter="$suite"
  fi
  [ "$names" != none ] || names=,
  if [ -z "$names" ] && [ -d "$models" ]; then
    names=$(cd "$models" && for record in */model.json; do [ -f "$record" ] && dirname "$record"; done | tr '\n' ' ')
  fi
  local name size run
  : >"$out/runs.tsv"
  for name in ${names//,/ }; do
    [ -f "$models/$name/model.json" ] || die "$name was not exported to $models"
    "$build/bin/aicc" "$models/$name/model.onnx" --target="cpu,$target" -o "$out/packages/$name.aicc"
    size=$(du -sm "$out" | cut -f1)
    if [ "$limit" -gt 0 ] && [ "$size" -gt "$limit" ]; then
      echo "left out $name: it would make $size MiB of $limit"
      rm "$out/packages/$name.aicc"
      continue
    fi
    list_runs "$models/$name" "$name" >>"$out/runs.tsv"
    for run in "$models/$name"/run_*; do
      mkdir -p "$out/data/$name"
      cp -rL "$run" "$out/data/$name/"
    done
  done
  echo "$out: $(du -sm "$out" | cut -f1) MiB, $(find "$out/packages" -name '*.aicc' | wc -l) models for $target"
}

#===------------------------------------------------------------------------===#
# run
#===------------------------------------------------------------------------===#

json_text() {
  local text=${1//\\/\\\\}
  text=${text//\"/\\\"}
  text=${text//$'\t'/ }
  printf '"%s"' "${text//$'\n'/ }"
}

failed=0
took=0
rows=()    # Markdown
records=() # JSON
row() { # row STEP STATE SECONDS DETAIL
  local detail=${4//$'\n'/ }
  rows+=("| $1 | $2 | $3 | ${detail//|/\\|} |")
  records+=("    {\"step\": $(json_text "$1"), \"state\": \"$2\", \"seconds\": $3, \"detail\": $(json_text "$4")}")
  printf '%-44s %-7s %5s s  %s\n' "$1" "$2" "$3" "$detail"
  [ "$2" != FAILED ] || failed=1
}

left() { echo $((${AICC_SECONDS:-560} - SECONDS)); }

# Runs a command within what time is left; its output is in $log. The row is
# written by the caller if it passes, here otherwise.
attempt() { # attempt STEP MOST-SECONDS COMMAND...
  local step=$1 most=$2 begin=$SECONDS status=0
  shift 2
  local time
  time=$(left)
  if [ "$time" -lt 5 ]; then
    row "$step" SKIP 0 "no time left"
    return 1
  fi
  [ "$most" -lt "$time" ] || most=$time
  log=$results/logs/$(printf '%s' "$step" | tr -c 'a-zA-Z0-9_.\n' '-').txt
  timeout -k 5 "$most" "$@" >"$log" 2>&1 || status=$?
  took=$((SECONDS - begin))
  [ $status -ne 0 ] || return 0
  if [ $status -eq 124 ] || [ $status -eq 137 ]; then
    row "$step" FAILED "$took" "not done after $most s"
  else
    row "$step" FAILED "$took" "exit $status: $(grep -v '^ *$' "$log" | tail -1)"
  fi
  return 1
}

number() { # number KEY: the first such number in $log
  grep -o "\"$1\": *[0-9.e+-]*" "$log" | head -1 | awk -F: '{printf "%.3f", $2}' || true
}

# Sum of the times of all launches, in ms, and how many there were.
device_time() { # device_time TRACE
  grep -o '"dur": *[0-9.e+-]*' "$1" |
    awk -F: '{sum += $2; n += 1} END {printf "%.3f ms in %d launches", sum / 1000, n}'
}

# Sum of the times of all kernels, in ms.
kernel_time() { # kernel_time TRACE
  grep -o '"cat": *"kernel", *"dur": *[0-9.e+-]*' "$1" | awk -F: '{sum += $3} END {printf "%.4f", sum / 1000}'
}

# Of the median run, by events: time, and what it is of the work. PyTorch's, too,
# of the cases that it could do.
time_cases() { # time_cases FOLDER COMMAND...
  local folder=$1 name group operations bytes time peer file inputs
  shift
  [ -f "$folder/cases.tsv" ] || return 0
  local peers=$results/peers.tsv
  : >"$peers"
  if ! command -v python3 >/dev/null || ! python3 -c 'import torch' 2>/dev/null; then
    row PyTorch SKIP 0 "there is no python3 with it"
  elif attempt PyTorch 150 python3 "$folder/peers.py" "$folder/cases.tsv" "$peers"; then
    row PyTorch ok "$took" "$(tail -1 "$log")"
  fi
  while IFS=$'\t' read -r name group operations bytes; do
    inputs=()
    for file in "$folder/$name".*.npy; do
      [ ! -f "$file" ] || inputs+=(--input "$(basename "${file#"$folder/$name."}" .npy)=$file")
    done
    if attempt "$group $name" 90 "$@" "$folder/$name.aicc" --device="$device" "${inputs[@]}" --random \
      --profile="$results/$name.trace.json" --benchmark=0.3 --json; then
      time=$(kernel_time "$results/$name.trace.json")
      peer=$(awk -F'\t' -v n="$name" '$1 == n {print $2 "\t" $3}' "$peers")
      row "$group $name" ok "$took" "$(awk -v t="$time" -v f="$operations" -v b="$bytes" -v p="${peer%%$'\t'*}" \
        -v w="${peer#*$'\t'}" -v m="$(number median_ms)" -v g="$group" 'BEGIN {
        printf "kernels %s ms", t
        if (g == "model") { printf ", with copies %.3f ms", m; t = m }
        if (f > 0 && t > 0) printf ", %.1f TFLOP/s", f / t / 1e9
        if (b > 0 && t > 0) printf ", %.0f GB/s", b / t / 1e6
        if (p > 0 && t > 0) printf ", %s %.4f ms, ratio %.2f", w, p, p / t
      }')"
    fi
  done <"$folder/cases.tsv"
}

# A part of the suite, which a lost device ends only for the process that lost it.
suite_part() { # suite_part FOLDER PART PARTS COMMAND...
  local folder=$1 part=$2 parts=$3 report=$results/suite.$2.txt status
  shift 3
  : >"$report"
  while true; do
    status=0
    timeout -k 5 "$(left)" "$@" "$device" "$folder" "$part" "$parts" "$(wc -l <"$report")" >>"$report" 2>>"$report.err" || status=$?
    [ $status -ne 0 ] || return 0
    # A crash, too, is one case's.
    case $status in
    3) ;;
    124 | 137) return 0 ;;
    *) echo "FAILED case $(wc -l <"$report") of part $part of $parts: exit $status" >>"$report" ;;
    esac
    [ "$(wc -l <"$report")" -lt 2000 ] || return 0
  done
}

# ONNX's suite, by as many processes as there are processors, at most 16.
run_suite() { # run_suite FOLDER COMMAND...
  local folder=$1 begin=$SECONDS parts part report=$results/suite.txt
  shift
  [ -f "$folder/suite.tsv" ] || return 0
  if [ "$(left)" -lt 5 ]; then
    row "ONNX's suite" SKIP 0 "no time left"
    return 0
  fi
  parts=$(nproc)
  parts=$((parts < 16 ? parts : 16))
  for ((part = 0; part < parts; ++part)); do
    suite_part "$folder" "$part" "$parts" "$@" &
  done
  wait
  cat "$results"/suite.[0-9]*.txt >"$report"
  local all passed listed
  all=$(wc -l <"$folder/suite.tsv") passed=$(grep -c '^ok ' "$report" || true)
  listed=$(grep -c '^listed ' "$report" || true)
  row "ONNX's suite" "$([ $((passed + listed)) = "$all" ] && echo ok || echo FAILED)" $((SECONDS - begin)) \
    "$passed of $all runs right, $listed not as their list says, $(grep -cE '^(FAILED|UNEXPECTED)' "$report" || true) others (suite.txt)"
}

sanitize() { # sanitize TOOL STEP COMMAND...
  local tool=$1 step=$2
  shift 2
  if attempt "$step, $tool" 150 "$sanitizer" --tool "$tool" --error-exitcode 9 "$@"; then
    row "$step, $tool" ok "$took" "$(grep 'ERROR SUMMARY' "$log" | tail -1 | sed 's/=* *//')"
  fi
}

run() {
  here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
  results=$here/results
  device=${AICC_DEVICE:-cuda:0}
  [ -f "$here/runs.tsv" ] || die "$here has no runs.tsv: it isn't a folder that prepare made"
  rm -rf "$results"
  mkdir -p "$results/logs"
  export LD_LIBRARY_PATH=$here/lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
  # Of a system older than the one of the build, not even the C library will do.
  local loader=()
  if ! "$here/bin/aicc-run" --list-devices >"$results/devices.txt" 2>&1; then
    loader=("$(find "$here/glibc" -name 'ld-linux*' | head -1)" --library-path
      "$here/glibc:$LD_LIBRARY_PATH:/usr/lib/x86_64-linux-gnu:/usr/lib64:/usr/local/cuda/compat")
    "${loader[@]}" "$here/bin/aicc-run" --list-devices >"$results/devices.txt" 2>&1 ||
      die "programs don't start: $(tail -1 "$results/devices.txt")"
  fi
  local aicc_run=("${loader[@]}" "$here/bin/aicc-run") conformance=("${loader[@]}" "$here/bin/aicc-conformance")
  if ! grep -q "^${device}[ :]" "$results/devices.txt"; then
    echo "SKIP: there is no device $device"
    cat "$results/devices.txt"
    exit 77
  fi
  local about
  about=$(grep "^${device}[ :]" "$results/devices.txt" | head -1 | tr -s ' ')
  echo "$about"

  if attempt conformance 120 "${conformance[@]}" --device="$device" --package="$here/digits.aicc"; then
    row conformance ok "$took" "$(grep -E '^\[  PASSED  \]' "$log" | sed 's/\[ *PASSED *\] *//; s/\.$//')$(
      grep -cE '^\[  SKIPPED \]' "$log" | sed 's/^0$//; s/\(..*\)/, some skipped/')"
  fi

  time_cases "$here/cases" "${aicc_run[@]}"
  run_suite "$here/suite" "${loader[@]}" "$here/bin/aicc-suite"

  local name folder rest part inputs expects smallest="" smallest_inputs=() last=""
  while IFS=$'\t' read -r name folder rest; do
    inputs=()
    expects=()
    while read -r part; do
      case $part in
      i*) inputs+=(--input "${part#i}") ;;
      o*) expects+=(--expect "${part#o}") ;;
      esac
    done < <(printf '%s\n' "$rest" | tr '\t' '\n')
    # Files lie with their model.
    inputs=("${inputs[@]/=run_/=$here/data/$name/run_}")
    expects=("${expects[@]/=run_/=$here/data/$name/run_}")
    local package=$here/packages/$name.aicc
    if [ -z "$smallest" ] || [ "$(stat -c %s "$package")" -lt "$(stat -c %s "$smallest")" ]; then
      smallest=$package
      smallest_inputs=("${inputs[@]}")
    fi
    if attempt "$name, $folder" 120 "${aicc_run[@]}" "$package" --device="$device" "${inputs[@]}" "${expects[@]}" \
      --tolerance=1e-4; then
      row "$name, $folder" ok "$took" "within 1e-4 of the reference"
    fi
    if attempt "$name, $folder, cpu" 120 "${aicc_run[@]}" "$package" --compare-devices="cpu,$device" "${inputs[@]}" \
      --tolerance=1e-5; then
      row "$name, $folder, cpu" ok "$took" "within 1e-5 of the cpu"
    fi
    [ "$name" != "$last" ] || continue
    last=$name
    if attempt "$name, timing" 120 "${aicc_run[@]}" "$package" --device="$device" "${inputs[@]}" --benchmark=1 --json; then
      local median best session
      median=$(number median_ms) best=$(number min_ms) session=$(number session_ms)
      if attempt "$name, profile" 120 "${aicc_run[@]}" "$package" --device="$device" "${inputs[@]}" \
        --profile="$results/$name.trace.json"; then
        row "$name, timing" ok "$took" "median $median ms, best $best ms, by events $(
          device_time "$results/$name.trace.json"), session $session ms"
      fi
    fi
  done <"$here/runs.tsv"

  sanitizer=$(command -v compute-sanitizer || ls /usr/local/cuda*/bin/compute-sanitizer 2>/dev/null | head -1 || true)
  if [ -z "$sanitizer" ]; then
    row compute-sanitizer SKIP 0 "it is not on this machine"
  else
    [ -z "$smallest" ] || for tool in memcheck racecheck initcheck synccheck; do
      sanitize $tool "$(basename "$smallest" .aicc)" "${aicc_run[@]}" "$smallest" --device="$device" "${smallest_inputs[@]}"
    done
    # It makes calls that fail, to see that they do.
    sanitize memcheck conformance --report-api-errors no "${conformance[@]}" --device="$device" --package="$here/digits.aicc" \
      --gtest_filter=-Conformance.AbsurdSizesAreErrors
  fi

  {
    printf '# %s\n\n%s, target `%s`, %s s in all\n\n' "$device" "$about" "$(cat "$here/target")" "$SECONDS"
    printf '| step | state | s | |\n|---|---|---:|---|\n'
    printf '%s\n' "${rows[@]}"
  } >"$results/results.md"
  {
    printf '{\n  "device": %s,\n  "target": %s,\n  "seconds": %s,\n  "failed": %s,\n  "steps": [\n' \
      "$(json_text "$about")" "$(json_text "$(cat "$here/target")")" "$SECONDS" "$([ $failed = 1 ] && echo true || echo false)"
    printf '%s\n' "${records[@]}" | sed '$!s/$/,/'
    printf '  ]\n}\n'
  } >"$results/results.json"
  echo "$results/results.md"
  exit $failed
}

case ${1:-} in
prepare | run) "$@" ;;
*) die "expected 'prepare' or 'run'; the head of this file says what they do" ;;
esac
