#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Trains small cells under race and memory checkers and compares their weights with the oracle's. A
# checker is believed only after it has reported planted defects (harness/unit/race_canary.c) and kept
# silent about their mended twins. Refuses suppressions of any kind.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

usage()
{
    cat <<'END'
usage: scripts/race_check.sh [tsan|helgrind|drd|memcheck|all]… [--small] [--build DIR]

Trains small cells (workers, depth, barrier, reduction, stealing, changes of membership, SIMD off and on) under
  tsan      ThreadSanitizer, gcc's, in a build of its own (build-tsan/): data races and memory orders
  helgrind  valgrind, on the plain build: races above the barriers, wide vector stores included
  drd       valgrind's other race detector
  memcheck  valgrind: stray and uninitialised memory accesses, leaks
  all       all of them (the default)
A line per cell: tool, settings, reports, weights against the oracle's, verdict. Logs lie in build/race/.

  --small      12 cells per tool instead of 48
  --build DIR  use this plain build as it is; ThreadSanitizer's is DIR-tsan
  --build-only build, run nothing

exit: 0 nothing reported and all weights the oracle's, 1 otherwise, 2 bad usage, 3 a tool is missing
END
}

tools=()
small=false
run=true
plain=
while (($#)); do
    case $1 in
    --help | -h)
        usage
        exit 0
        ;;
    tsan | helgrind | drd | memcheck) tools+=("$1") ;;
    all) tools+=(tsan helgrind drd memcheck) ;;
    --small) small=true ;;
    --build-only) run=false ;;
    --build)
        (($# >= 2)) || bad_usage "--build needs a folder"
        plain=$2
        shift
        ;;
    *) bad_usage "unknown argument \"$1\"" ;;
    esac
    shift
done
((${#tools[@]})) || tools=(tsan helgrind drd memcheck)

failed=false
skipped=false
limit_s=300 # for one cell

# ---- builds --------------------------------------------------------------------------------------------

if [[ -z $plain ]]; then
    plain=$root/build
    if $run || [[ ${tools[*]} != tsan ]]; then
        build_tree "$plain" -- dodeca_program race_canary
    fi
fi
mkdir -p "$plain"
plain=$(cd "$plain" && pwd)
sanitized=$plain-tsan
logs=$plain/race
mkdir -p "$logs"
if [[ " ${tools[*]} " == *' tsan '* ]] && have gcc; then
    build_tree "$sanitized" -DCMAKE_C_COMPILER="$(command -v gcc)" -DCMAKE_C_FLAGS_RELEASE=-O1 \
        -DDODECA_SANITIZE=thread -- dodeca_program race_canary
fi
$run || exit 0

# ---- tools ---------------------------------------------------------------------------------------------

# TSan of gcc 12 dies where the kernel spreads mappings widely (vm.mmap_rnd_bits 32).
fixed_addresses=()
export TSAN_OPTIONS=halt_on_error=0:second_deadlock_stack=1:history_size=7:detect_deadlocks=1:exitcode=66
probe_tsan()
{
    local words
    words=$("$sanitized/harness/unit/race_canary" handover-mended 2>&1) && return 0
    if [[ $words == *'unexpected memory mapping'* ]]; then
        fixed_addresses=(setarch "$(uname -m)" -R)
        words=$("${fixed_addresses[@]}" "$sanitized/harness/unit/race_canary" handover-mended 2>&1) && return 0
    fi
    say "$words"
    return 1
}

present() # TOOL; says why not
{
    if [[ $1 == tsan ]]; then
        have gcc || {
            echo 'gcc is not installed: only its ThreadSanitizer sees wide vector stores'
            return 1
        }
    else
        have valgrind || {
            echo 'valgrind is not installed'
            return 1
        }
    fi
}

# under TOOL LOG PROGRAM ARGUMENT…  PROGRAM is relative to a build folder. Sets status and reports.
status=0
reports=0
under()
{
    local tool=$1 log=$2 program=$3 command
    shift 3
    case $tool in
    tsan) command=("${fixed_addresses[@]}" "$sanitized/$program") ;;
    helgrind) command=(valgrind --tool=helgrind) ;;
    drd) command=(valgrind --tool=drd) ;;
    memcheck) command=(valgrind --tool=memcheck --leak-check=full) ;;
    esac
    [[ $tool == tsan ]] || command+=(--error-exitcode=66 --fair-sched=try "$plain/$program")
    status=0
    timeout --kill-after=5 "$limit_s" "${command[@]}" "$@" >"$log" 2>&1 </dev/null || status=$?
    if [[ $tool == tsan ]]; then
        reports=$(grep -c 'WARNING: ThreadSanitizer' "$log") || true
    else
        reports=$(sed -n 's/.*ERROR SUMMARY: \([0-9,]*\) errors.*/\1/p' "$log" | tail -n 1)
    fi
}

line()
{
    printf '%-9s %-96s %7s  %-7s %s\n' "$@"
}

# A planted defect must be reported, its mended twin must not.
canary() # TOOL NAME
{
    local tool=$1 name=$2 log verdict
    log=$logs/$tool-canary-$name.log
    under "$tool" "$log" harness/unit/race_canary "$name"
    verdict=FAIL
    if [[ $name == *-mended ]]; then
        ((status != 0)) || [[ $reports != 0 ]] || verdict='PASS (silent)'
    else
        ((status != 66)) || [[ ${reports:-0} == 0 ]] || verdict='PASS (seen)'
    fi
    line "$tool" "planted: $name" "${reports:--}" - "$verdict"
    [[ $verdict == PASS* ]] || {
        failed=true
        tail -n 15 "$log" >&2
    }
}

# ---- cells ---------------------------------------------------------------------------------------------

# Eleven sequences leave one of the twelve lanes empty and make most workers' shares uneven.
data=(--data builtin --model "L=2,NH=2,C=24,V=67,T=9" --batch 11 --steps 3 --warmup 1 --seed 7 --print-hash)
weights_of()
{
    sed -n 's/^weights-hash: //p' "$1"
}

cell() # TOOL OPTION…
{
    local tool=$1 log words same=differ verdict=PASS
    shift
    log=$logs/$tool$(printf '%s' "$@" | tr -c 'a-z0-9\n' '-').log
    under "$tool" "$log" dodeca train "${data[@]}" "$@"
    [[ $(weights_of "$log") != "$oracle" ]] || same=same
    if ((status == 124)); then
        verdict=HANG
    elif ((status > 128)); then
        verdict=CRASH
    elif ((status != 0)) || [[ $reports != 0 || $same != same ]]; then
        verdict=FAIL
    fi
    words=$*
    line "$tool" "${words//--/}" "${reports:--}" "$same" "$verdict"
    if [[ $verdict != PASS ]]; then
        failed=true
        grep -v '^$' "$log" | head -n 40 >&2
        say "($verdict, exit code $status; all of it in $log)"
    fi
}

# Lines of options. Workers, depth, stealing and changes of membership go round beside the product of the rest.
cells()
{
    local barrier reduce simd i=0 k
    local shapes=(
        '--workers 2'
        '--workers 4 --depth 2 --steal'
        '--workers 3 --steal'
        '--workers 3 --timetable 1_spawn_0_3;2_terminate_0'
        '--workers 11 --depth 2'
        '--workers 2 --depth 2 --steal --timetable 1_spawn_0.0_4;2_rebalance'
        '--workers 8 --depth 3'
        '--workers 11 --steal'
    )
    for simd in off auto; do
        for barrier in tree pthread; do
            for reduce in owner tree control sliced; do
                for k in 0 3 5 6; do
                    if ! $small || ((k == 0)); then
                        echo "${shapes[(i + k) % 8]} --barrier $barrier --reduce $reduce --simd $simd"
                    fi
                done
                i=$((i + 1))
            done
        done
        i=$((i + 4)) # the other four shapes for the next kernel set
    done
}

reference=$logs/oracle.log
if ! "$plain/dodeca" train "${data[@]}" --serial >"$reference" 2>&1 || [[ -z $(weights_of "$reference") ]]; then
    cat "$reference" >&2
    die 1 "the oracle did not finish, there is nothing to compare with"
fi
oracle=$(weights_of "$reference")

line tool cell reports weights verdict
for tool in "${tools[@]}"; do
    if ! reason=$(present "$tool"); then
        line "$tool" - - - "SKIP: $reason"
        skipped=true
        continue
    fi
    if [[ $tool == tsan ]] && ! probe_tsan; then
        line tsan - - - 'SKIP: ThreadSanitizer does not start on this machine'
        skipped=true
        continue
    fi
    case $tool in
    memcheck) canaries=(beyond beyond-mended) ;;
    *) canaries=(counter handover handover-mended row row-mended) ;;
    esac
    for name in "${canaries[@]}"; do
        canary "$tool" "$name"
    done
    while read -r -a options; do
        cell "$tool" "${options[@]//_/ }" # a blank inside a timetable is an underscore here
    done < <(cells)
done

! $failed || exit 1
! $skipped || exit 3
