#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Runs training cells and unit tests under race and memory checkers and compares weights with the oracle's.
# A checker is believed only after it has said of each planted defect what it is known to say (race_canaries.txt).
# Refuses suppressions of any kind.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

usage()
{
    cat <<'END'
usage: scripts/race_check.sh [tsan|helgrind|drd|memcheck|asan|all]… [--small|--long] [--resume] [--build DIR] [--build-only]
       scripts/race_check.sh --subject FILE.so …    a plug-in instead: its own --help tells more

Runs small training cells (workers, depth, barrier, reduction, stealing, changes of membership, checkpoints and their
files, traces, micro-batches, pinned workers, guard mode, every kernel set) and the unit tests of what threads share under
  tsan      ThreadSanitizer, gcc's, in a build of its own (build-tsan/): data races and memory orders
  helgrind  valgrind, on the plain build: races above the barriers, wide and masked vector stores included
  drd       valgrind's other race detector
  memcheck  valgrind: stray and uninitialised memory accesses, leaks
  asan      AddressSanitizer, LeakSanitizer and UndefinedBehaviorSanitizer, in build-asan/: the quick tests, too
  all       all of them (the default)
First a table, canary × tool: what the tool says of planted defects, and whether that is what it must say; then a line
per cell and test: tool, settings, reports, weights against the oracle's, verdict. Logs lie in build/race/TOOL/.

  --small      8 cells per tool and the shortest unit tests; asan: canaries and cells alone
  --long       every shape with every barrier, reduction and kernel set, and a team of 600 workers
  --resume     what passed before with the same program is not run again
  --build DIR  use this plain build as it is; the sanitizers' are DIR-tsan, DIR-tsan-clang, DIR-asan
  --build-only build, run nothing

exit: 0 nothing reported and all weights the oracle's, 1 otherwise, 2 bad usage, 3 a tool is missing
END
}

# Of plug-ins knows the other script.
if [[ " $* " == *' --subject '* ]]; then
    exec "$root/scripts/race_check_plugin.sh" "$@"
fi

tools=()
size=usual
resume=false
run=true
plain=
while (($#)); do
    case $1 in
    --help | -h)
        usage
        exit 0
        ;;
    tsan | helgrind | drd | memcheck | asan) tools+=("$1") ;;
    all) tools+=(tsan helgrind drd memcheck asan) ;;
    --small | --long)
        [[ $size == usual || $size == "${1#--}" ]] || bad_usage "--small or --long, not both"
        size=${1#--}
        ;;
    --resume) resume=true ;;
    --build-only) run=false ;;
    --build)
        (($# >= 2)) || bad_usage "--build needs a folder"
        [[ -x $2/dodeca ]] || bad_usage "--build: there is no built dodeca in \"$2\""
        plain=$2
        shift
        ;;
    *) bad_usage "unknown argument \"$1\"" ;;
    esac
    shift
done
((${#tools[@]})) || tools=(tsan helgrind drd memcheck asan)

wanted() # TOOL…  true where one of these was asked for
{
    local tool
    for tool; do
        [[ " ${tools[*]} " != *" $tool "* ]] || return 0
    done
    return 1
}

# Lines of a program and its arguments: a test takes by how much to divide its repetitions, or a seed.
unit_tests() # TOOL
{
    case $1-$size in
    asan-long) echo test_equivalence ;; # the quick tests have a part of its ways
    asan-*) ;;
    tsan-small) printf '%s\n' 'test_points 2000' 'test_queues 100' 'test_membership 100' 'test_commands 100' ;;
    *-small) printf '%s\n' 'test_queues 1000' 'test_membership 1000' ;;
    tsan-*)
        printf '%s\n' 'test_points 20' 'test_fold 20' 'test_queues 20' 'test_control 20' 'test_commands 20' \
            'test_membership 20' 'test_slices' 'test_memory' 'test_platform' 'test_storm' \
            'test_trainer' 'test_process' 'test_checkpoint' 'test_trace'
        [[ $size != long ]] || echo test_elastic
        ;;
    *-usual)
        # drd's time grows faster than by the square of the threads: with larger hierarchies it passes the limit
        [[ $1 == drd ]] && echo 'test_points 2000 17' || echo 'test_points 2000'
        printf '%s\n' 'test_queues 100' 'test_commands 100' 'test_membership 100' 'test_checkpoint a_save_*'
        ;;
    *-long)
        printf '%s\n' 'test_points 100' 'test_fold 20' 'test_queues 20' 'test_control 100' 'test_commands 20' \
            'test_membership 20' 'test_storm'
        ;;
    esac
}

skipped=false
limit_s=600 # for one program
[[ $size != long ]] || limit_s=3600

# ---- builds --------------------------------------------------------------------------------------------

canary_programs=(race_canary weakened_release weakened_await weakened_arrive weakened_last)
if [[ -z $plain ]]; then
    plain=$root/build
    # The oracle is of the plain build, too.
    if $run || wanted helgrind drd memcheck; then
        build_tree "$plain" -- unit_tests
    fi
fi
mkdir -p "$plain"
plain=$(cd "$plain" && pwd)
logs=$plain/race/$(IFS=+ && echo "${tools[*]}") # several may run at once
mkdir -p "$logs"
rm -f "$logs"/*.failed "$logs"/*.said
$resume || rm -f "$logs"/*.good
build_sanitized() # FOLDER COMPILER SANITIZERS TARGET…
{
    local folder=$1 compiler=$2 sanitizers=$3
    shift 3
    build_tree "$folder" -DCMAKE_C_COMPILER="$(command -v "$compiler")" -DCMAKE_C_FLAGS_RELEASE=-O1 \
        -DDODECA_SANITIZE="$sanitizers" -- "$@"
}
targets=(unit_tests)
if [[ $size == small ]]; then
    mapfile -t targets < <(unit_tests tsan | cut -d ' ' -f 1)
    targets+=(dodeca_program "${canary_programs[@]}")
fi
if wanted tsan && have gcc; then
    build_sanitized "$plain-tsan" gcc thread "${targets[@]}"
    # Only to keep the table of canaries true: no cell runs under clang's.
    [[ $size == small ]] || ! have clang ||
        build_sanitized "$plain-tsan-clang" clang thread "${canary_programs[@]}"
fi
if wanted asan && have gcc; then
    build_sanitized "$plain-asan" gcc address,undefined "${targets[@]}"
fi
$run || exit 0

# ---- tools ---------------------------------------------------------------------------------------------

export TSAN_OPTIONS=halt_on_error=0:second_deadlock_stack=1:history_size=7:detect_deadlocks=1:exitcode=66
# Not detect_stack_use_after_return: with it gcc 12 puts 64-byte vectors where they are not aligned, and dies of it.
export ASAN_OPTIONS=detect_leaks=1:detect_stack_use_after_return=0:strict_string_checks=1:exitcode=66
export UBSAN_OPTIONS=print_stacktrace=1:exitcode=66

# A sanitizer of these versions dies where the kernel spreads mappings widely (vm.mmap_rnd_bits 32).
fixed_addresses=()
starts() # FOLDER  says why not
{
    local words
    words=$("$1/harness/unit/race_canary" handover 2>&1) && return 0
    if [[ $words == *'unexpected memory mapping'* ]]; then
        fixed_addresses=(setarch "$(uname -m)" -R)
        words=$("${fixed_addresses[@]}" "$1/harness/unit/race_canary" handover 2>&1) && return 0
    fi
    say "$words"
    return 1
}

present() # TOOL  sets reason where it is not
{
    case $1 in
    tsan | asan)
        have gcc || reason='gcc is not installed: only its sanitizers see wide vector stores'
        ;;
    clang) have clang || reason='clang is not installed' ;;
    *) have valgrind || reason='valgrind is not installed' ;;
    esac
    [[ -z $reason ]] || return 1
    case $1 in
    tsan | asan) starts "$plain-$1" || reason='its programs do not start on this machine' ;;
    clang) starts "$plain-tsan-clang" || reason='its programs do not start on this machine' ;;
    esac
    [[ -z $reason ]]
}

# under TOOL LOG [FLAG…] -- PROGRAM ARGUMENT…  PROGRAM is relative to a build folder, flags are valgrind's. Sets
# status, 66 where the tool has something to report, and reports. With --resume what was found good is not run again.
under()
{
    local tool=$1 log=$2 flags=() folder command=() known
    shift 2
    while [[ $1 != -- ]]; do
        flags+=("$1")
        shift
    done
    case $tool in
    tsan | asan) folder=$plain-$tool ;;
    clang) folder=$plain-tsan-clang ;;
    memcheck) flags+=(--leak-check=full) ;;&
    # Else a sync word on a stack outlives its frame, and the next frame's is taken for it.
    drd) flags+=(--check-stack-var=yes) ;;&
    *)
        folder=$plain
        command=(valgrind "--tool=$tool" "${flags[@]}" --error-exitcode=66 --fair-sched=try --vgdb=no) # no pipes left in /tmp
        ;;
    esac
    case $tool in tsan | asan | clang) command=("${fixed_addresses[@]}") ;; esac
    command+=("$folder/$2")
    shift 2
    key=$({ cat "${command[-1]}" && echo "${command[*]} $*"; } | sha1sum | cut -d ' ' -f 1)
    if [[ -e $log.good ]] && read -r known status reports <"$log.good" && [[ $known == "$key" ]]; then
        return
    fi
    rm -f "$log.good"
    status=0
    timeout --kill-after=5 "$limit_s" "${command[@]}" "$@" >"$log" 2>&1 </dev/null || status=$?
    case $tool in
    tsan | clang) reports=$(grep -a -c 'WARNING: ThreadSanitizer' "$log") || true ;;
    asan) reports=$(grep -a -c -E 'ERROR: (Address|Leak)Sanitizer: |runtime error: ' "$log") || true ;;
    *)
        reports=$(sed -n 's/.*ERROR SUMMARY: \([0-9,]*\) errors.*/\1/p' "$log" | tail -n 1)
        ! grep -a -q 'Exit program on first error' "$log" || reports=1
        ;;
    esac
}
status=0
reports=0
key= # of the program that ran last, and its arguments

good() # LOG
{
    echo "$key $status $reports" >"$1.good"
}

# Valgrind runs one thread at a time: as many programs at once as there are cores. A job prints its own line, and
# leaves a file NAME.failed where something is wrong; one that breaks off does, too.
in_turn() # FUNCTION ARGUMENT…
{
    while (($(jobs -r -p | wc -l) >= $(cores))); do
        wait -n || true
    done
    { "$@" || touch "$logs/$1.failed"; } &
}

# ---- canaries ------------------------------------------------------------------------------------------

canaries=$root/scripts/race_canaries.txt
columns=(tsan clang helgrind drd memcheck asan)

runs_here() # NAME  false where the CPU lacks what the canary is made of, whatever the tool
{
    local code=0
    "$plain/harness/unit/race_canary" "$1" >/dev/null 2>&1 || code=$?
    ((code != 77))
}

# Leaves what the tool says of it in a file.
canary() # TOOL NAME EXPECTED
{
    local tool=$1 name=$2 expected=$3 said program=harness/unit/race_canary arguments=("$2")
    local log=$logs/canary-$tool-$name.log
    if [[ $name == weakened_* ]]; then
        program=harness/unit/$name
        arguments=(2000)
    fi
    TSAN_OPTIONS=$TSAN_OPTIONS:halt_on_error=1 \
        under "$tool" "$log" --exit-on-first-error=yes -- "$program" "${arguments[@]}"
    if ((status == 77)); then
        said=cannot
    elif ((status == 66)) && [[ ${reports:-0} != 0 ]]; then
        said=seen
        [[ $expected != false ]] || said=false
    elif ((status == 0)) && [[ $reports == 0 ]]; then
        said=missed
        [[ $expected != silent ]] || said=silent
    else
        said="exit $status"
    fi
    if [[ $said != "$expected" ]] && { [[ $said != cannot ]] || runs_here "$name"; }; then
        said+=' UNEXPECTED'
        touch "$log.failed"
    else
        good "$log"
    fi
    echo "$said" >"$logs/canary-$tool-$name.said"
}

run_canaries() # TOOL…
{
    local tool name expected row i
    printf '%-18s' canary
    printf ' %-10s' "$@" | sed 's/ *$//'
    echo
    while read -r name row; do
        for tool; do
            for i in "${!columns[@]}"; do
                [[ ${columns[i]} == "$tool" ]] || continue
                read -r -a expected <<<"$row"
                [[ ${expected[i]} == - ]] || in_turn canary "$tool" "$name" "${expected[i]}"
            done
        done
    done < <(grep -v -E '^(#|$)' "$canaries")
    wait
    while read -r name row; do
        row=
        for tool; do
            row+=$(printf ' %-10s' "$(cat "$logs/canary-$tool-$name.said" 2>/dev/null || echo -)")
        done
        [[ -z ${row//[ -]/} ]] || printf '%-18s%s\n' "$name" "${row%"${row##*[^ ]}"}"
    done < <(grep -v -E '^(#|$)' "$canaries")
}

# ---- cells ---------------------------------------------------------------------------------------------

# Eleven sequences leave one of the twelve lanes empty and make most workers' shares uneven.
small=(--data builtin --model "L=2,NH=2,C=24,V=67,T=9" --batch 11 --steps 3 --warmup 1 --seed 7 --print-hash)
# Lanes of two and three sequences, for micro-batches to cut.
full=("${small[@]}" --batch 26)
# More threads than valgrind has room for unless told.
wide=(--data builtin --model "L=1,NH=1,C=4,V=64,T=2" --lane-depth 3 --batch 600 --steps 2 --warmup 1 --seed 7
    --print-hash)

weights_of()
{
    sed -n 's/^weights-hash: //p' "$1"
}

oracle_of() # NAME OPTION…
{
    local log=$logs/oracle-$1.log
    shift
    if ! "$plain/dodeca" train "$@" --serial >"$log" 2>&1 || [[ -z $(weights_of "$log") ]]; then
        cat "$log" >&2
        die 1 "the oracle did not finish, there is nothing to compare with"
    fi
    weights_of "$log"
}

line()
{
    printf '%-9s %-113s %7s  %-7s %s\n' "$@"
}

# judge TOOL WORDS LOG WEIGHTS  prints the line; WEIGHTS is same, differ or - where there are none to compare
judge()
{
    local verdict=PASS
    if ((status == 124 || status == 137)); then
        verdict=HANG
    elif ((status > 128)); then
        verdict=CRASH
    elif ((status != 0)) || [[ $reports != 0 || $4 == differ ]]; then
        verdict=FAIL
    fi
    line "$1" "$2" "${reports:--}" "$4" "$verdict"
    if [[ $verdict == PASS ]]; then
        good "$3"
        return
    fi
    touch "$3.failed"
    grep -a -v '^$' "$3" | head -n 40 >&2
    say "($verdict, exit code $status; all of it in $3)"
}

# An option FILE is a file beside the log.
cell() # TOOL small|full|wide OPTION…
{
    local tool=$1 log words same=differ flags=() data=("${small[@]}") oracle=$oracle_small
    case $2 in
    full)
        data=("${full[@]}")
        oracle=$oracle_full
        ;;
    wide)
        data=("${wide[@]}")
        oracle=$oracle_wide
        flags=(--max-threads=2000)
        ;;
    esac
    log=$logs/$tool$(printf '%s' "$@" | tr -c 'a-z0-9\n' '-').log
    shift 2
    rm -f "$log".file*
    under "$tool" "$log" "${flags[@]}" -- dodeca train "${data[@]}" "${@/#FILE/$log.file}"
    [[ $(weights_of "$log") != "$oracle" ]] || same=same
    words=$*
    judge "$tool" "${words//--/}" "$log" "$same"
}

# Lines of options, a blank inside a timetable being an underscore. Small: a shape and a kernel set for each barrier and
# reduction; usually: two shapes for each of these and each set, under the slowest tools one, which with two sets comes to
# every shape; long: all.
cells() # TOOL KERNEL_SET…
{
    local barrier reduce simd tool=$1 sets=("${@:2}") i=0 k j pair
    local shapes=(
        '--workers 2'
        '--workers 4 --depth 2 --steal'
        '--workers 3 --timetable 1_checkpoint;1_spawn_0_3;2_checkpoint;2_terminate_0'
        '--workers 3 --steal'
        '--workers 11 --depth 2'
        '--workers 3 --guard'
        '--workers 2 --depth 2 --steal --timetable 1_spawn_0.0_4;2_checkpoint;2_rebalance'
        '--workers 8 --depth 3'
        '--workers 11 --steal'
        '--workers 4 --depth auto'
        '--workers 3 --depth 2 --micro-batch 1 --trace FILE'
        '--workers 3 --pin --save FILE --save-every 1'
        '--workers 4 --steal --trace FILE'
    )
    local n=${#shapes[@]} each=(0 5)
    case $size-$tool in
    small-* | usual-drd | usual-memcheck) each=(0) ;;
    long-*) each=("${!shapes[@]}") ;;
    esac
    for simd in "${sets[@]}"; do
        pair=0 # of barrier and reduction
        for barrier in tree pthread; do
            for reduce in owner tree control sliced; do
                if [[ $size != small || $simd == "${sets[pair % ${#sets[@]}]}" ]]; then
                    for k in "${each[@]}"; do
                        j=$(((i + k) % n))
                        # They refuse each other: owner has no segments to guard, and keeps the whole batch's activations.
                        [[ $reduce != owner || ${shapes[j]} != *--@(guard|micro)* ]] || j=$(((j + 1) % n))
                        echo "${shapes[j]} --barrier $barrier --reduce $reduce --simd $simd"
                    done
                fi
                i=$((i + 1))
                pair=$((pair + 1))
            done
        done
    done | sort -u
}

# The kernel sets of this processor's kind that run under the tool; of the others a line says why not.
kernel_sets() # TOOL  sets `sets`
{
    local tool=$1 set log
    sets=(off)
    case $(uname -m) in
    x86_64) set -- avx2 avx512 ;;
    aarch64) set -- neon ;;
    *) set -- ;;
    esac
    for set; do
        log=$logs/$tool-set-$set.log
        under "$tool" "$log" -- dodeca train "${small[@]}" --workers 1 --steps 1 --simd "$set"
        if ((status == 3)); then
            reason="this CPU has no $set"
            ! "$plain/dodeca" train "${small[@]}" --steps 1 --simd "$set" >/dev/null 2>&1 ||
                reason="the CPU that $tool pretends has no $set"
            line "$tool" "simd $set" - - "cannot run: $reason"
        else
            sets+=("$set")
        fi
    done
}

# ---- unit tests ----------------------------------------------------------------------------------------

unit() # TOOL PROGRAM [ARGUMENT]
{
    local tool=$1 log=$logs/$1-$2.log
    shift
    under "$tool" "$log" -- "harness/unit/$1" "${@:2}"
    judge "$tool" "$*" "$log" -
}

# All quick tests of the build, through ctest.
all_tests()
{
    local folder=$plain-asan whole=$logs/asan-tests.log log=$logs/asan-tests-failed.log count more=()
    local known
    key=$(sha1sum <"$folder/dodeca" | cut -d ' ' -f 1)
    if [[ -e $log.good ]] && read -r known status reports <"$log.good" && [[ $known == "$key" ]]; then
        judge asan 'quick tests, as before' "$log" -
        return
    fi
    # ctest's own way to go on, which does not look whether the programs are the same.
    ! $resume || [[ ! -e $whole.key || $(<"$whole.key") != "$key" ]] || more=(-F)
    echo "$key" >"$whole.key"
    line asan 'explorer and its planted defects' - - 'not built: sanitizers cannot follow its fibres'
    status=0
    "${fixed_addresses[@]}" ctest --test-dir "$folder" "${more[@]}" --label-regex '^quick$' \
        --parallel "$(cores)" --no-tests=error --output-on-failure >"$whole" 2>&1 || status=$?
    grep -a -E '\*\*\*|ERROR: |SUMMARY: |runtime error: ' "$whole" >"$log" || true
    echo "all of it in $whole" >>"$log"
    count=$(sed -n 's/.* tests failed out of \([0-9]*\)/\1/p' "$whole")
    reports=$(grep -a -c -E 'ERROR: (Address|Leak)Sanitizer: |runtime error: ' "$whole") || true
    judge asan "quick tests: $count" "$log" -
}

# ---- all of it -----------------------------------------------------------------------------------------

ready=()
for tool in "${tools[@]}"; do
    reason=
    if present "$tool"; then
        ready+=("$tool")
    else
        line "$tool" - - - "SKIP: $reason"
        skipped=true
    fi
done
seeing=("${ready[@]}")
if [[ $size != small && " ${ready[*]} " == *' tsan '* ]]; then
    reason=
    if present clang; then
        seeing+=(clang)
    else
        line clang - - - "its canaries were left out: $reason"
    fi
fi
if ((${#ready[@]})); then
    run_canaries "${seeing[@]}"
    oracle_small=$(oracle_of small "${small[@]}")
    oracle_full=$(oracle_of full "${full[@]}")
    [[ $size != long ]] || oracle_wide=$(oracle_of wide "${wide[@]}")
    line tool 'cell or test' reports weights verdict
fi
for tool in "${ready[@]}"; do
    kernel_sets "$tool"
    while read -r -a options; do
        batch=small
        [[ ${options[*]} != *--micro-batch* ]] || batch=full
        in_turn cell "$tool" "$batch" "${options[@]//_/ }"
    done < <(cells "$tool" "${sets[@]}")
    if [[ $size == long ]]; then
        in_turn cell "$tool" wide --workers 600 --depth 3
    fi
    while read -r -a test; do
        in_turn unit "$tool" "${test[@]}"
    done < <(unit_tests "$tool")
    wait
    [[ $tool != asan || $size == small ]] || all_tests
done

if compgen -G "$logs/*.failed" >/dev/null; then
    exit 1
fi
! $skipped || exit 3
