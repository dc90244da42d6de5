#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Feeds every parser with mutated inputs under AddressSanitizer and UndefinedBehaviorSanitizer, through clang's
# libFuzzer. What it collects stays in build-fuzz/corpus/, so that the next run begins where this one ended.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

usage()
{
    cat <<'END'
usage: scripts/fuzz.sh [--minutes N] [TARGET…]

Builds the fuzz targets with clang into build-fuzz/ and runs each for N minutes (10), on one core:

  checkpoint  checkpoints, their checksums left out of it
  llmc        model files of llm.c
  model       model files of every format
  record      records of runs, as dodeca diff reads them
  safetensors safetensors files of any tensors
  scenario    scenario files and every settings key
  timetable   timetables of membership changes
  tokens      token shards

A line per target: runs, inputs that reached something new, verdict. The input of a finding is kept in
build-fuzz/findings/; build/harness/fuzz/fuzz_TARGET_replay FILE runs it again.

exit: 0 no finding, 1 a finding, 2 bad usage, 3 clang or its fuzzer is missing
END
}

minutes=10
targets=()
while (($#)); do
    case $1 in
    --help | -h)
        usage
        exit 0
        ;;
    --minutes)
        [[ ${2:-} =~ ^[1-9][0-9]{0,3}$ ]] || bad_usage "--minutes needs a number from 1 to 9999"
        minutes=$2
        shift
        ;;
    checkpoint | llmc | model | record | safetensors | scenario | timetable | tokens) targets+=("$1") ;;
    *) bad_usage "unknown argument \"$1\"" ;;
    esac
    shift
done
((${#targets[@]})) || targets=(checkpoint llmc model record safetensors scenario timetable tokens)

have clang || die 3 "clang is not installed: scripts/setup.sh --cross installs it"
folder=$root/build-fuzz
build_tree "$folder" -DCMAKE_C_COMPILER="$(command -v clang)" -DCMAKE_C_FLAGS_RELEASE=-O1 -DDODECA_FUZZ=ON \
    -- "${targets[@]/#/fuzz_}"

failed=false
mkdir -p "$folder/findings"
printf '%-11s %10s %8s  %s\n' target runs inputs verdict
for target in "${targets[@]}"; do
    corpus=$folder/corpus/$target
    mkdir -p "$corpus"
    seeds=("$root/harness/fuzz/inputs/$target")
    words=() length=4096
    case $target in
    checkpoint) length=12288 ;;& # the head alone has 7,000 bytes
    scenario) seeds+=("$root/scenarios") ;;
    checkpoint | model | safetensors) words=("-dict=$root/harness/fuzz/safetensors.dict") ;;
    esac
    log=$folder/$target.log
    status=0
    "$folder/harness/fuzz/fuzz_$target" -max_total_time=$((60 * minutes)) -max_len="$length" -timeout=20 \
        -artifact_prefix="$folder/findings/$target-" -print_final_stats=1 "${words[@]}" "$corpus" "${seeds[@]}" \
        >"$log" 2>&1 </dev/null || status=$?
    runs=$(sed -n 's/^stat::number_of_executed_units: //p' "$log")
    verdict=PASS
    if ((status)) || [[ -z $runs ]]; then
        verdict="FAIL: exit code $status, see $log"
        failed=true
        tail -n 20 "$log" >&2
    fi
    printf '%-11s %10s %8s  %s\n' "$target" "${runs:--}" "$(find "$corpus" -type f | wc -l)" "$verdict"
done
! $failed
