#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# The performance gate's command lines: what scripts/perf_gate.sh, perf_gate_tool and gate_work refuse, that an
# interrupted gate leaves nothing, and that its slow copies can still be planted.
#
# usage: gate_test.sh BUILD_FOLDER
set -euo pipefail
export LC_ALL=C
build=$1
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failures=0

fail()
{
    echo "FAIL: $*"
    sed 's/^/    /' "$work/err" "$work/out" | tail -n 15
    failures=$((failures + 1))
}

# expect CODE TEXT COMMAND…  the exit code, and a text that stderr or stdout must hold
expect()
{
    local code=$1 text=$2 got=0
    shift 2
    "$@" >"$work/out" 2>"$work/err" </dev/null || got=$?
    ((got == code)) || fail "exit $got, not $code: $*"
    grep -q -F -e "$text" "$work/out" "$work/err" || fail "nothing says \"$text\": $*"
}

gate=$root/scripts/perf_gate.sh
tool=$build/perf_gate_tool
mkdir "$work/a"

expect 0 'usage: scripts/perf_gate.sh' "$gate" --help
expect 2 'unknown option "--nonsense"' "$gate" --nonsense
expect 2 '--json needs a value' "$gate" --json
expect 2 'there is no folder to write' "$gate" --json "$work/none/x.json"
expect 2 'an empty name is no base revision' "$gate" ''
expect 2 '--self-test takes neither' "$gate" --self-test HEAD
expect 2 '--runs belongs to --self-test' "$gate" --runs 3
expect 2 'not a whole number' "$gate" --self-test --runs 0
# A folder that is no checkout, and one without the revision.
mkdir "$work/checkout"
cp -r "$root/scripts" "$work/checkout/"
if command -v git >/dev/null; then
    git init -q "$work/checkout"
    expect 3 'no git checkout with a commit' "$work/checkout/scripts/perf_gate.sh"
    git -C "$work/checkout" -c user.name=a -c user.email=a@a commit -q --allow-empty -m one
    expect 2 '"nonsense" is no revision' "$work/checkout/scripts/perf_gate.sh" nonsense
    git -C "$work/checkout" branch -m elsewhere
    expect 3 'no base' "$work/checkout/scripts/perf_gate.sh"
    [[ ! -e $work/checkout/build ]] || fail "a refused gate has made build/"
    # What is no regression does not end as one; and one gate at a time.
    touch "$work/checkout/build"
    expect 3 'mkdir' "$work/checkout/scripts/perf_gate.sh" HEAD
    rm "$work/checkout/build"
    mkdir -p "$work/checkout/build/gate"
    exec 8>"$work/checkout/build/gate/lock"
    flock 8
    expect 3 'another perf_gate.sh is at work' "$work/checkout/scripts/perf_gate.sh" HEAD
    exec 8>&-
    expect 3 'building' "$work/checkout/scripts/perf_gate.sh" HEAD # there is nothing to build
else
    expect 3 'git is not installed' "$work/checkout/scripts/perf_gate.sh"
    echo 'SKIP: there is no git here, without which the gate has nothing to compare with'
fi

expect 0 'perf_gate_tool compare gate/1a2b3c4' "$tool" --help
expect 2 'which of compare, self-test and count' "$tool"
expect 2 '"judge" is none of compare, self-test, count' "$tool" judge
expect 2 'compare takes BASE HEAD' "$tool" compare "$work/a"
expect 2 "$work/none: No such file" "$tool" compare "$work/a" "$work/none"
expect 2 '"clock" is none of auto, perf, callgrind' "$tool" compare a b --counter clock
expect 2 '--parts names none of counts' "$tool" compare a b --parts ''
expect 2 '"all" is none of counts, times, floors' "$tool" compare a b --parts all
expect 2 '"many" is not a whole number' "$tool" self-test a b c d --runs many
expect 3 'nonsense is not there' "$tool" count "$build" nonsense --counter callgrind
expect 2 'these arguments mean nothing' "$build/gate_work" kernels off
expect 2 'these arguments mean nothing' "$build/gate_work" kernels off nonsense
expect 2 'these arguments mean nothing' "$build/gate_work" barrier tree 0 10
expect 2 'these arguments mean nothing' "$build/gate_work" barrier tree 145 10
expect 0 '"wall_ns":' "$build/gate_work" barrier tree 13 2
expect 0 '"wall_ns":' "$build/gate_work" barrier pthread 2 2

# Interrupted in the middle of a process: gone at once, with its child and its folder.
mkdir "$work/tmp"
printf '#!/bin/sh\necho $$ >"%s/pid"\nexec sleep 100\n' "$work" >"$work/a/dodeca"
chmod +x "$work/a/dodeca"
TMPDIR=$work/tmp "$tool" compare "$work/a" "$work/a" --parts times >"$work/out" 2>"$work/err" &
pid=$!
for ((i = 0; i < 600; i++)); do
    [[ ! -s $work/pid ]] || break
    sleep 0.1
done
kill -TERM "$pid"
status=0
wait "$pid" || status=$?
((status == 143)) || fail "a gate that was asked to end ended with $status, not 143"
! kill -0 "$(<"$work/pid")" 2>/dev/null || fail "an interrupted gate leaves its child"
[[ -z $(ls "$work/tmp") ]] || fail "an interrupted gate leaves $(ls "$work/tmp")"

# The slow copies of --self-test.
: >"$work/out"
: >"$work/err"
plant=$root/harness/defects/plant.sh
"$plant" "$root/harness/gate/slow-kernel.sed" "$root/core/kernels/rows.c" "$work/rows.c" || fail "slow-kernel.sed"
"$plant" "$root/harness/gate/slow-step.sed" "$root/core/trainer/callbacks.c" "$work/callbacks.c" || fail "slow-step.sed"

((failures == 0)) || exit 1
echo "all refused, nothing left"
