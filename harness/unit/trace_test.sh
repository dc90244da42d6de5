#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Timelines and times from outside: what train --trace and run --trace write, what they refuse, and what a sweep tells of
# where time went. What a timeline must be is test_trace.c's. usage: trace_test.sh PROGRAM
set -uo pipefail
tests=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

program=$(realpath "$1")
folder=$(mktemp -d "${TMPDIR:-/tmp}/dodeca-trace.XXXXXX")
trap 'rm -rf "$folder"' EXIT
cd "$folder" || exit 1
export XDG_CACHE_HOME=$folder/cache
# shellcheck source=harness/unit/expect.sh
. "$tests/expect.sh"
small=(--model 'L=1,NH=1,C=16,V=64,T=8' --steps 4 --validate 0)

# whole FILE STEPS: a trace with its end, and so many steps
whole()
{
    [[ $(head -c 40 "$1") == '{"displayTimeUnit":"ns","traceEvents":['* ]] || fail "$1 does not begin as a trace"
    [[ $(tail -n 1 "$1") == *'"lost_events":0}}' ]] || fail "$1 does not end as a trace, or lost events"
    local steps
    steps=$(grep -c '"cat":"step".*"name":"step ' "$1")
    ((steps == $2)) || fail "$1: $steps steps, not $2"
}

# ---- train
expect 0 'weights-hash: ' train "${small[@]}" --workers 2 --print-hash
plain=$(grep weights-hash out)
expect 0 "$plain" train "${small[@]}" --workers 2 --print-hash --trace a.json
grep -q '^trace: room for 8192 events of each thread' err || fail 'the room of the trace is not told'
whole a.json 4
expect 2 'there is such a file, and none is overwritten' train "${small[@]}" --trace a.json
whole a.json 4
expect 2 'trace nowhere/a.json: cannot be written: No such file' train "${small[@]}" --trace nowhere/a.json
expect 2 'trace "": an empty path' train "${small[@]}" --trace ''
expect 2 'does not tell what it did when' train "${small[@]}" --serial --trace b.json
expect 2 'of what trace?' train "${small[@]}" --trace-events 64
expect 2 'whole number from 1' train "${small[@]}" --trace b.json --trace-events 0
expect 0 "$plain" train "${small[@]}" --workers 1 --print-hash --trace b.json --trace-events 2
room=$(sed -n 's/.*events found no room and are left out; --trace-events \([0-9]*\) has room for all$/\1/p' err)
[[ -n $room ]] || fail 'lost events are not told'
expect 0 "$plain" train "${small[@]}" --workers 1 --print-hash --trace c.json --trace-events "${room:-1}"
whole c.json 4
expect 0 "$plain" train "${small[@]}" --workers 2 --print-hash --trace d.json --reduce tree \
    --timetable '1 spawn 0 3; 3 terminate 0'
for event in expand collapse 'is control 0' 'is worker 0.4' 'leaves 0.4' fold; do
    grep -q "\"name\":\"$event\"" d.json || fail "no \"$event\" in the trace"
done
expect 0 '"trace_bytes":983040' train "${small[@]}" --workers 2 --trace e.json --json

# a disk that is full, here a limit on the size of files: no half of a trace is left, and somebody says so
(
    ulimit -f 4
    "$program" train "${small[@]}" --trace cut.json >out 2>err
    echo $? >code
)
[[ $(cat code) == 3 ]] || fail "a trace that has no room: exit $(cat code), not 3"
grep -q '^dodeca train: trace cut.json: writing failed at byte [0-9]*: File too large$' err || fail 'nothing says that the trace has no room'
compgen -G 'cut.json*' >/dev/null && fail 'a half-written trace is left'
# killed: no trace, and the next one takes what was begun
"$program" train "${small[@]}" --steps 100000000 --trace killed.json >out 2>err </dev/null &
pid=$!
until compgen -G 'killed.json*' >/dev/null || [[ ! -d /proc/$pid ]]; do :; done
kill -9 $pid
wait $pid 2>/dev/null
[[ ! -e killed.json ]] || fail 'a killed training leaves half a trace under its name'
expect 0 'steps' train "${small[@]}" --trace killed.json
whole killed.json 4
[[ $(compgen -G 'killed.json*') == killed.json ]] || fail 'what a killed training began is left'

# ---- run
cat >sweep.yaml <<'END'
name: traced
data: builtin
model: L=1,NH=1,C=16,V=64,T=8
steps: 10
warmup: 1
lr: 0.05
repeats: 1
sweep:
  - workers: [1, 2]
    reduce: [tree, control]
  - subject: [oracle]
END
expect 0 'traced:' run sweep.yaml --out r
[[ ! -e r/traces ]] || fail 'traces that nobody asked for'
for text in '"phases": [' '"name": "forward products"' '"name": "wait B"' '"by": "controls"' '"role": "node-zero"' \
    '"path": "zero"' '"path": "6"'; do
    grep -qF "$text" r/run.json || fail "run.json has no $text"
done
(($(grep -c '"time": {' r/run.json) == 4)) || fail 'not four cells tell where time went'
expect 0 'trace of cell 4' run sweep.yaml --out t --trace
for cell in 1 2 3 4; do
    whole t/traces/cell-$cell.json 10
done
(
    ulimit -f 64
    "$program" run sweep.yaml --set steps=100 --set workers=2 --set reduce=tree --out cut --trace >out 2>err
    echo $? >code
)
[[ $(cat code) == 3 ]] || fail "traces that have no room: exit $(cat code), not 3"
grep -q '^dodeca run: trace cut/traces/cell-1.json: writing failed at byte' err || fail 'nothing says that the trace of a cell has no room'
compgen -G 'cut/traces/*' >/dev/null && fail 'a half-written trace of a cell is left'
[[ ! -e t/traces/cell-5.json ]] || fail 'the oracle has a timeline'
expect 2 'is a soak' run "$tests/../../scenarios/soak.yaml" --trace --rounds 1

((failures == 0)) || exit 1
echo "trace: all as it should be"
