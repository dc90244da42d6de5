#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Race checks of a plug-in, a trainer behind core/include/dodeca_subject.h: `dodeca run` trains it under a race
# detector, and what the detector reports is counted. As for dodeca's own checks, a detector is believed only after it
# has reported a planted race here and now, and nothing of the same trainer without it. Judges no bits: `dodeca run`
# does. scripts/race_check.sh --subject is this script.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

usage()
{
    cat <<'END'
usage: scripts/race_check.sh --subject FILE.so [tsan|drd] [--set KEY=VALUE]… [--build DIR] [SCENARIO.yaml]

Trains the plug-in FILE.so with 2 and 4 workers, or as the scenario says, under
  tsan      ThreadSanitizer (the default). The plug-in must be built for it, by gcc:
              gcc -fsanitize=thread -O1 -g -shared -fPIC [-fopenmp] mine.c -o libmine-tsan.so
            Its OpenMP regions are run by LLVM's libomp, which takes gcc's calls too and tells ThreadSanitizer of
            its barriers (scripts/setup.sh --plugin); gcc's libgomp cannot, and all would look like races
  drd       valgrind's DRD, on the plug-in as it is: POSIX threads and locks. What is synchronised by atomics or by
            OpenMP it takes for races (helgrind is not offered: it reports a mere heartbeat, too)
Shorter settings are better, as detectors are 10 to 100 times slower: --set steps=3 --set batch=64.

exit: 0 nothing reported, 1 races reported or a run that crashed or hung, 2 bad usage, 3 a tool is missing
END
}

subject=
scenario=
tool=tsan
build=
sets=()
while (($#)); do
    case $1 in
    --help | -h)
        usage
        exit 0
        ;;
    --subject | --set | --build)
        (($# >= 2)) || bad_usage "$1 needs a value"
        case $1 in
        --subject) subject=$2 ;;
        --set) sets+=(--set "$2") ;;
        --build) build=$2 ;;
        esac
        shift
        ;;
    tsan | drd) tool=$1 ;;
    -*) bad_usage "unknown argument \"$1\"" ;;
    *) scenario=$1 ;;
    esac
    shift
done
[[ -n $subject ]] || bad_usage "--subject FILE.so: which plug-in?"
[[ -f $subject ]] || die 2 "$subject: there is no such file"
[[ -z $scenario || -f $scenario ]] || die 2 "$scenario: there is no such file"
subject=$(realpath "$subject")

folder=$(mktemp -d "${TMPDIR:-/tmp}/dodeca-races.XXXXXX")
trap 'rm -rf "$folder"' EXIT
if [[ -z $scenario ]]; then
    scenario=$folder/races.yaml
    printf '%s\n' 'name: races' 'steps: 3' 'batch: 256' 'sweep:' '  workers: [2, 4]' >"$scenario"
fi
if [[ -z $build ]]; then
    build=$root/build
    build_tree "$build" -- dodeca_program
fi
program=$build/dodeca
[[ -x $program ]] || die 2 "$program: there is no such program"
! "$program" --version | grep -q -e -fsanitize= || die 2 "$program is itself a sanitized build: name a plain one"

# ---- what the plug-in is made of -----------------------------------------------------------------------

imports=$(nm -D --undefined-only "$subject" 2>/dev/null) || die 2 "$subject: nm cannot read it as a shared library"
openmp=false
! grep -q -E ' (GOMP_|omp_|__kmpc_)' <<<"$imports" || openmp=true

command=()
variables=(OMP_WAIT_POLICY=passive)
case $tool in
tsan)
    grep -q ' __tsan_' <<<"$imports" ||
        die 2 "$subject: not built for ThreadSanitizer; add -fsanitize=thread -O1 -g, or take drd"
    have gcc || die 3 'gcc is not installed: it has the ThreadSanitizer that plug-ins are run with'
    runtime=$(realpath "$(gcc -print-file-name=libtsan.so)")
    [[ -f $runtime ]] || die 3 "gcc has no libtsan here"
    variables+=("LD_PRELOAD=$runtime" TSAN_OPTIONS=ignore_noninstrumented_modules=1:halt_on_error=0:exitcode=0:history_size=7)
    # It dies where the kernel spreads mappings widely (vm.mmap_rnd_bits 32).
    env "${variables[@]}" "$program" --version >/dev/null 2>&1 || command=(setarch "$(uname -m)" -R)
    if $openmp; then
        llvm=$(find /usr/lib/llvm-*/lib -maxdepth 1 -name libarcher.so 2>/dev/null | sort -V | tail -n 1 || true)
        [[ -n $llvm && -e ${llvm%/*}/libomp.so.5 ]] ||
            die 3 "$subject uses OpenMP: that needs LLVM's libomp and libarcher, which scripts/setup.sh --plugin installs"
        mkdir "$folder/omp"
        ln -s "${llvm%/*}/libomp.so.5" "$folder/omp/libgomp.so.1"
        variables+=("LD_LIBRARY_PATH=$folder/omp${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}" "OMP_TOOL_LIBRARIES=$llvm"
            ARCHER_OPTIONS=verbose=1)
    fi
    ;;
*)
    ! $openmp || die 2 "$subject uses OpenMP, whose barriers drd takes for races: build it for tsan"
    ! grep -q ' __tsan_' <<<"$imports" || die 2 "$subject is built for ThreadSanitizer: take tsan, or a plain build"
    have valgrind || die 3 'valgrind is not installed'
    # One file for the program and its children; the stack option as in race_check.sh.
    command=(valgrind "--tool=$tool" --check-stack-var=yes --fair-sched=try --vgdb=no "--log-file=$folder/valgrind.log")
    ;;
esac

# ---- runs ----------------------------------------------------------------------------------------------

# detect FILE.so SCENARIO --set…  sets reports, ended (every run came to its end) and log
detect()
{
    local file=$1 yaml=$2 status=0
    shift 2
    rm -rf "$folder/results" "$folder/valgrind.log"
    env "${variables[@]}" "${command[@]}" "$program" run "$yaml" --subject "$file" --set repeats=1 --set stall-limit=600 \
        "$@" --out "$folder/results" >"$folder/out" 2>"$folder/err" </dev/null || status=$?
    log=$folder/words
    if ((status > 1)) && [[ ! -e $folder/results/run.json ]]; then
        cat "$folder/err" >&2
        exit "$status"
    fi
    cat "$folder/results/logs/"*.log >"$log" 2>/dev/null || true
    [[ $tool == tsan ]] || cat "$folder/valgrind.log" >>"$log"
    case $tool in
    tsan) reports=$(grep -a -c 'WARNING: ThreadSanitizer' "$log") || true ;;
    *) reports=$(sed -n 's/.*ERROR SUMMARY: [0-9,]* errors from \([0-9,]*\) contexts.*/\1/p' "$log" | tr -d , |
        awk '{ n += $1 } END { print n + 0 }') ;;
    esac
    ended=true
    ! grep -q -E '"outcome": "(hang|crash|refused)"' "$folder/results/run.json" || ended=false
    if $openmp && ! grep -a -q 'Archer detected OpenMP application with TSan' "$log"; then
        cat "$folder/err" "$log" >&2
        die 3 "libomp did not load $llvm, so that every barrier would be a race"
    fi
}

line()
{
    printf '%-9s %-70s %7s  %s\n' "$@"
}

# Built as the plug-in is: the example for OpenMP, else a trainer of two POSIX threads.
canary=$folder/libcanary.so
flags=(-std=c17 -O1 -g -shared -fPIC -pthread -D_GNU_SOURCE= "-I$root/core/include")
[[ $tool != tsan ]] || flags+=(-fsanitize=thread)
if $openmp; then
    gcc "${flags[@]}" -fopenmp "$root/harness/example_subject/mlp.c" -o "$canary" -lm
    bad=race=true good=race=false
else
    gcc "${flags[@]}" "$root/harness/unit/bad_subject.c" -o "$canary" -lm
    bad='do=race' good='do=threads'
fi
printf '%s\n' 'name: canary' 'steps: 3' 'batch: 256' 'workers: 2' >"$folder/canary.yaml"

line tool 'what was run' reports verdict
for option in "$bad" "$good"; do
    detect "$canary" "$folder/canary.yaml" --set "subject-options=$option"
    verdict='as it must be'
    if { [[ $option == "$bad" ]] && ((reports == 0)); } || { [[ $option == "$good" ]] && ((reports > 0)); } || ! $ended; then
        verdict=UNEXPECTED
    fi
    line "$tool" "canary $option" "$reports" "$verdict"
    if [[ $verdict == UNEXPECTED ]]; then
        cat "$folder/err" "$log" >&2
        die 3 "$tool cannot be believed here: of $option it must report $([[ $option == "$bad" ]] && echo something || echo nothing)"
    fi
done

detect "$subject" "$scenario" "${sets[@]}"
if ((reports == 0)) && $ended; then
    line "$tool" "$(basename "$subject") ${sets[*]/--set/}" "$reports" PASS
    exit 0
fi
line "$tool" "$(basename "$subject") ${sets[*]/--set/}" "$reports" FAIL
if ! $ended; then
    grep -E 'CRASH|HANG|FAIL|reference' "$folder/err" >&2 || cat "$folder/err" >&2
fi
grep -a -v '^$' "$log" | head -n 60 >&2 || true
exit 1
