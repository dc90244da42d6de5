#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# The performance gate: builds two revisions alike and has build/gate/head/perf_gate_tool compare them. Refuses to
# touch the checkout: all it makes lies in build/gate/, where a revision that was built is found again.
set -Eeuo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
# 1 says that something is slower: nothing else that fails may say so, a full disk for instance.
trap 'die 3 "line $LINENO: \"$BASH_COMMAND\" failed"' ERR

usage()
{
    cat <<'END'
usage: scripts/perf_gate.sh [--json FILE] [BASE_REVISION]
       scripts/perf_gate.sh --self-test [--runs N]

Is the working tree (head) slower than BASE_REVISION (base)? Builds both, then
  counts   user-space instructions of the oracle and of kernels: perf_event_open, else valgrind's callgrind. 0.5 % more
           are a regression
  times    whole steps and barriers, base and head in turn (ABBA), 20 to 100 pairs of processes. A regression where
           the 95 % interval of the median ratio lies above 3 %, and that of a second measurement at the end as well
  floors   head against locks, pthread barriers, one worker (1.9 x) and more workers than cores (0.8 x)
and prints one table. Without BASE_REVISION that is where this branch left origin/main or main; on main itself HEAD^, or
HEAD where the tree has changes. About a minute on 2 cores that are otherwise idle, and the builds.

  --json FILE   the table for programs
  --self-test   compares two builds of HEAD 20 times, which must raise no alarm, and with copies that do 5 % more work,
                which must be caught each time; writes results/tables/gate.md. A quarter of an hour
  --runs N      so often instead of 20, and nothing is written

Examples:
  scripts/perf_gate.sh                     before a pull request
  scripts/perf_gate.sh v0.1 --json gate.json

exit: 0 no regression, 1 a regression (--self-test: an alarm, or a slowdown that was missed), 2 bad usage,
      3 something could not be measured here, 130 interrupted
END
}

self_test=false
json=
runs=
base=
while (($#)); do
    case $1 in
    --help | -h)
        usage
        exit 0
        ;;
    --self-test) self_test=true ;;
    --json | --runs)
        (($# >= 2)) || bad_usage "$1 needs a value"
        if [[ $1 == --json ]]; then json=$2; else runs=$2; fi
        shift
        ;;
    -*) bad_usage "unknown option \"$1\"" ;;
    *)
        [[ -n $1 ]] || bad_usage "an empty name is no base revision"
        [[ -z $base ]] || bad_usage "two base revisions: \"$base\" and \"$1\""
        base=$1
        ;;
    esac
    shift
done
if $self_test; then
    [[ -z $json && -z $base ]] || bad_usage "--self-test takes neither a revision nor --json"
    [[ -z $runs || $runs =~ ^[1-9][0-9]{0,2}$ ]] || bad_usage "--runs \"$runs\" is not a whole number from 1 to 999"
else
    [[ -z $runs ]] || bad_usage "--runs belongs to --self-test"
fi
[[ -z $json || -d $(dirname "$json") ]] || bad_usage "--json: there is no folder to write $json in"
[[ ! -d $json ]] || bad_usage "--json: $json is a folder"

# ---- which revisions -----------------------------------------------------------------------------------------

git_here()
{
    git -C "$root" "$@"
}

have git || die 3 "git is not installed: it has the base revision"
head=$(git_here rev-parse --verify --quiet 'HEAD^{commit}') || die 3 "$root is no git checkout with a commit"
changed=
[[ -z $(git_here status --porcelain --untracked-files=no) ]] || changed=' with changes'
if $self_test; then
    base=$head
elif [[ -n $base ]]; then
    given=$base
    base=$(git_here rev-parse --verify --quiet "$given^{commit}") || die 2 "\"$given\" is no revision of this repository"
else
    for main in origin/main main; do
        base=$(git_here merge-base "$main" HEAD 2>/dev/null) && break
    done
    if [[ -z $base || $base == "$head" && -z $changed ]]; then
        base=$(git_here rev-parse --verify --quiet 'HEAD^^{commit}') ||
            die 3 "no base: there is no main that this branch left, and HEAD has no parent (a shallow clone?)"
    fi
fi

# ---- children, ended with the script -----------------------------------------------------------------------------

mkdir -p "$root/build/gate"
exec 9>"$root/build/gate/lock"
flock -n 9 || die 3 "another perf_gate.sh is at work in $root/build/gate"
work=$(mktemp -d)
child=
leave()
{
    if [[ -n $child ]]; then
        kill -TERM -- "-$child" 2>/dev/null || true
        wait "$child" 2>/dev/null || true
    fi
    rm -rf "$work" "$root/build/gate/"*.new
}
trap leave EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM

# run COMMAND…  in a process group of its own, so that a signal ends all of it at once
run()
{
    local status=0
    set -m
    "$@" &
    child=$!
    set +m
    wait "$child" || status=$?
    child=
    return "$status"
}

# ---- builds --------------------------------------------------------------------------------------------------

# source_of NAME  makes build/gate/NAME/source, HEAD or another revision as it was committed, whole or not at all
source_of() # NAME REVISION
{
    local folder=$root/build/gate/$1
    [[ ! -d $folder/source ]] || return 0
    rm -rf "$folder.new"
    mkdir -p "$folder.new/source"
    git_here archive "$2" | tar -x -C "$folder.new/source"
    rm -rf "$folder"
    mv "$folder.new" "$folder"
}

# build_side NAME SOURCE TARGET…  builds it in build/gate/NAME and puts its programs into $work/SIDE
build_side() # SIDE NAME SOURCE TARGET…
{
    local side=$work/$1 folder=$root/build/gate/$2 source=$3
    local log=$folder/build.log configure=(-G Ninja)
    shift 3
    mkdir -p "$side" "$folder"
    [[ ! -e $folder/CMakeCache.txt ]] || configure=()
    # gate_work is always head's; what cannot be built with another revision's core cannot be compared.
    if ! run cmake -S "$source" -B "$folder" "${configure[@]}" -DCMAKE_BUILD_TYPE=Release \
        "-DCMAKE_PROJECT_dodeca_INCLUDE=$root/harness/gate/against.cmake" >"$log" 2>&1 ||
        ! run cmake --build "$folder" --parallel "$(cores)" --target dodeca_program "$@" >>"$log" 2>&1; then
        tail -n 40 "$log" >&2
        die 3 "building $source failed; all of its output is in $log"
    fi
    cp "$folder/dodeca" "$side/"
    if run cmake --build "$folder" --parallel "$(cores)" --target gate_work_against >>"$log" 2>&1; then
        cp "$folder/against/gate_work" "$side/"
    else
        say "kernels and barriers of $source are not compared: its core/ has another interface ($log)"
    fi
}

short=${base:0:12}
say "building head, the working tree at ${head:0:12}$changed …"
build_side head head "$root" perf_gate_tool
tool=$root/build/gate/head/perf_gate_tool
say "building base, $short …"
source_of "$short" "$base"
build_side base "$short" "$root/build/gate/$short/source"

if ! $self_test; then
    status=0
    run "$tool" compare "$work/base" "$work/head" --names "$short,${head:0:12}$changed" ${json:+--json "$json"} ||
        status=$?
    exit "$status"
fi

# ---- the test of itself ----------------------------------------------------------------------------------------

# Programs of every side lie at paths of one length; each copy of the sources is built from nothing.
say "building $short once more …"
source_of "$short-2" "$base"
build_side same "$short-2" "$root/build/gate/$short-2/source"
source_of "$short-3" "$base"
slow=$root/build/gate/$short-3/source
planted() # SIDE SCRIPT FILE
{
    local file
    for file in core/kernels/rows.c core/trainer/callbacks.c; do
        git_here show "$base:$file" >"$work/original"
        cmp -s "$work/original" "$slow/$file" || cp "$work/original" "$slow/$file"
    done
    git_here show "$base:$3" >"$work/original"
    "$root/harness/defects/plant.sh" "$root/harness/gate/$2" "$work/original" "$slow/$3"
    say "building $short, planted: $2 …"
    build_side "$1" "$short-3" "$slow"
}
planted more slow-kernel.sed core/kernels/rows.c
planted slow slow-step.sed core/trainer/callbacks.c

status=0
run "$tool" self-test "$work/base" "$work/same" "$work/more" "$work/slow" --names "$short,$short,$short,$short" \
    ${runs:+--runs "$runs"} >"$work/page" || status=$?
cat "$work/page"
if [[ -z $runs && -s $work/page ]]; then
    cp "$work/page" "$root/results/tables/gate.md"
    say "written to results/tables/gate.md"
fi
exit "$status"
