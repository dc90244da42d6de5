#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# `dodeca run` and `dodeca check`, from outside: results folder, refusals before any training, Ctrl-C, kill -9, and children
# that are stopped or killed under its hands. usage: run_test.sh PROGRAM
set -uo pipefail
tests=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

program=$(realpath "$1")
folder=$(mktemp -d "${TMPDIR:-/tmp}/dodeca-run.XXXXXX")
trap 'rm -rf "$folder"' EXIT
cd "$folder" || exit 1
export XDG_CACHE_HOME=$folder/cache
# shellcheck source=harness/unit/expect.sh
. "$tests/expect.sh"
# A sanitized build is not timed, and the sanitizer answers SIGSEGV itself.
sanitized=false
! "$program" --version | grep -q -e -fsanitize= || sanitized=true

# A file that ends as it should and has no unfinished neighbour.
whole()
{
    [[ $(tail -1 "$1/run.json") == '}' ]] || fail "$1/run.json is cut"
    [[ $(tail -1 "$1/junit.xml") == '</testsuites>' ]] || fail "$1/junit.xml is cut"
    [[ -s $1/speedup.md && -s $1/speedup.csv ]] || fail "$1: a table is missing"
    [[ $(tail -1 "$1/speedup.json") == '}' ]] || fail "$1/speedup.json is cut"
    compgen -G "$1/*.tmp" >/dev/null && fail "$1 holds a temporary file"
}

# wait_for SECONDS COMMAND…: until the command succeeds
wait_for()
{
    local end=$((SECONDS + $1))
    shift
    until "$@"; do
        ((SECONDS < end)) || return 1
        sleep 0.05
    done
}

# start ARGUMENT…: in the background, as $pid
start()
{
    rm -f out err # so that nothing of the run before is taken for this one's
    "$program" "$@" >out 2>err </dev/null &
    pid=$!
}

# Called through wait_for.
# shellcheck disable=SC2317
child_of() { child=$(cat "/proc/$1/task/$1/children" 2>/dev/null) && child=${child%% *} && [[ -n $child ]]; }
# shellcheck disable=SC2317
done_runs() { [[ -e err ]] && (($(grep -c '^\[' err) >= $1)); }
# shellcheck disable=SC2317
gone() { [[ ! -d /proc/$1 ]]; }

cat >small.yaml <<'YAML'
name: small
data: builtin
model: L=1,NH=1,C=16,V=64,T=8
steps: 10
warmup: 1
lr: 0.01
repeats: 2
sweep:
  workers: [1, 2]
  reduce: [tree, control]
YAML
# Every cell takes minutes: it ends by what is done to it.
sed 's/^steps: .*/steps: 10000000/; s/^name: .*/name: long/; s/^repeats: .*/repeats: 1/' small.yaml >long.yaml

# ---- a sweep, and where its results go
expect 0 'PASS' run small.yaml --out results
whole results
grep -q '^Made by `dodeca run small.yaml`\.$' results/speedup.md || fail 'the table does not say what made it'
grep -q '^  data: builtin, 1048576 tokens' out || fail 'the table does not say what was trained on'
grep -q '"complete": true' results/run.json || fail 'run.json is not complete'
grep -q 'tests="72" failures="0" errors="0" skipped="0"' results/junit.xml || fail 'junit.xml counts otherwise'
(($(wc -l <results/speedup.csv) == 5)) || fail 'speedup.csv has not a row a cell'
# pasted into a shell, the command is the one that was given, whatever its words hold
# shellcheck disable=SC2016
odd='it`s `touch pwned` $HOME "q".yaml'
cp small.yaml "$odd"
# shellcheck disable=SC2016
printf 'The quick brown fox jumps over the lazy dog.%.0s' {1..9} >'a b;$(touch pwned).txt'
# shellcheck disable=SC2016
bytes=(--set 'data=bytes:a b;$(touch pwned).txt' --set 'model=L=1,NH=1,C=16,V=256,T=8')
expect 0 'PASS' run "$odd" --set repeats=1 --set workers=1 "${bytes[@]}" --out odd
again=$(sed -n 's/^Made by `` dodeca \(.*\) ``\.$/\1/p' odd/speedup.md)
[[ -n $again ]] || fail 'a command that holds backticks is no code span'
eval "\"\$program\" $again --out odd-again" >out 2>err || fail "what made the table does not run again: $again"
cmp -s <(head -7 odd/speedup.md) <(head -7 odd-again/speedup.md) || fail 'what made the table makes another one'
[[ ! -e pwned ]] || fail 'what made the table runs something else'
expect 0 'results/runs/' run small.yaml --set repeats=1 --set workers=1
compgen -G 'results/runs/*-small/run.json' >/dev/null || fail 'no results/runs/<time>-small'
sed 's/^name: .*/name: other/' small.yaml >other.yaml
expect 0 'both/other: speedup.md' run small.yaml other.yaml --set repeats=1 --out both
whole both/small
whole both/other
# what is there already is replaced if that is asked for, and then whole
mkdir -p results/{logs,plots,traces}
touch results/{report.html,soak.md,logs/oracle-1.log,plots/plots.gp,plots/total-1.svg,traces/cell-1.json,traces/own}
cp results/runs.jsonl before.jsonl
expect 2 'results holds results already, run.json; --replace' run small.yaml --set repeats=1 --out results
expect 2 'small holds results already' run small.yaml other.yaml --out both
expect 2 '--replace: in which folder?' run small.yaml --replace
cmp -s before.jsonl results/runs.jsonl || fail 'a refusal changed what was there'
expect 0 'PASS' run small.yaml --set repeats=1 --out results --replace
(cd results && ls -d report.html soak.md logs plots traces/cell-1.json 2>/dev/null) >left
[[ ! -s left ]] || fail "what belonged to an earlier sweep is left: $(tr '\n' ' ' <left)"
[[ -e results/traces/own ]] || fail '--replace removes what no sweep has written'
# a link in a place of theirs makes way, and what it leads to is as it was
mkdir aside && touch aside/{cell-1.json,oracle-1.log} && echo own >aside/file && cp -r aside aside.before
rm -rf results/{logs,traces,runs.jsonl,run.json}
ln -s ../aside results/logs && ln -s ../aside results/traces && ln -s ../aside/file results/runs.jsonl
ln -s ../aside/file results/run.json && ln -s ../aside/file results/run.json.tmp
expect 2 'results/runs.jsonl: is a symbolic link' run --resume results
expect 0 'PASS' run small.yaml --set repeats=1 --out results --replace --trace
diff -r aside.before aside >out || fail '--replace writes or removes through a symbolic link'
[[ -z $(find results -type l) && -s results/traces/cell-1.json ]] || fail '--replace leaves a symbolic link'
# who makes a page of it has the folder for as long as that takes
cp results/runs.jsonl before.jsonl && touch results/report.html
exec {page}<results && flock -n "$page"
expect 2 'results: another dodeca is making a page there' run small.yaml --set repeats=1 --out results --replace
expect 2 'results: another dodeca is making a page there' run --resume results --again 1
expect 2 'results: another dodeca is making a page there' report results
cmp -s before.jsonl results/runs.jsonl && [[ -e results/report.html ]] || fail 'a refusal changed what was there'
exec {page}<&-
# nor is a pipe waited for
mkdir piped && mkfifo piped/run.json
expect 2 'piped/run.json: is a device, pipe or socket' report piped
mkdir halves && touch halves/other
expect 2 'halves/other' run small.yaml other.yaml --out halves
[[ ! -e halves/small ]] || fail 'the folder of a scenario that did not run is left'
# as under cron or a daemon: no standard descriptor is open
(
    exec <&- >&- 2>&-
    "$program" run small.yaml --set repeats=1 --out closed
)
(($(grep -c ',PASS,' closed/speedup.csv) == 4)) || fail 'closed standard descriptors: the cells do not pass'
# a limit on the size of files is an error to report, not a death
(
    ulimit -f 40
    "$program" run small.yaml --set steps=3000 --set repeats=1 --out limited >out 2>err
)
(($? == 3)) || fail 'ulimit -f: not exit 3'
grep -q 'results could not be written: limited/.*: File too large' err || fail 'ulimit -f: nothing says so'
grep -q 'not all results could be written' out || fail 'ulimit -f: claims that the files are there'
expect 0 '   3  workers=2 reduce=tree, 10 steps, repeats 2' run small.yaml --list
for idle in --out=r --replace --trace --minutes=1; do
    expect 2 "${idle%=*}: means nothing beside --list" run small.yaml --list "$idle"
done

# ---- other subjects, membership that changes, and what a machine may lack
cat >subjects.yaml <<'YAML'
name: subjects
data: builtin
model: L=1,NH=1,C=16,V=64,T=8
steps: 10
warmup: 1
lr: 0.01
batch: 24
lane-depth: 2
sweep:
  - subject: [dodeca, oracle, locks, locks-gradient]
    workers: [1, 2]
  - timetable: ["2 spawn 0 3; 4 checkpoint; 7 terminate 0"]
    workers: [2]
  - depth: [2]
    workers: [13]
    steal: [false, true]
YAML
expect 0 'not bit-equal' run subjects.yaml --out subjects
whole subjects
(($(grep -c '| PASS |' subjects/speedup.md) == 10)) || fail 'not ten rows that pass, the oracle one of them'
(($(grep -c '| not bit-equal |' subjects/speedup.md) == 4)) || fail 'not four rows that are not bit-equal'
$sanitized || grep -q '| x locks-gradient |' subjects/speedup.md || fail 'no column of speedup over locks-gradient'
grep -q '"changes": 2' subjects/run.json || fail 'run.json does not tell of the changes'
grep -q '"sphere": "0.0"' subjects/run.json || fail 'run.json does not name the spheres of depth 2'
# the planted stray write is caught where there are protection keys, else it is a SKIP that is told
"$program" run small.yaml --set repeats=1 --set workers=3 --set reduce=tree --set guard=true --set plant=stray-write \
    --out planted >out 2>err
planted=$?
case $planted in
    0) grep -q 'wrote to segment' planted/run.json || fail 'the report of the stray write is missing' ;;
    3) grep -q 'only protection keys catch it' out || fail 'the SKIP of the stray write has no reason' ;;
    *) fail "planted stray write: exit $planted" ;;
esac
# ---- a soak: rounds drawn at random, one of them again, and what bounds only a soak
sed '/^sweep:/,$d; /^repeats/d; s/^name: .*/name: soak/' small.yaml >soak.yaml
cat >>soak.yaml <<'YAML'
batch: 24
lane-depth: 2
draw:
  workers: [1, 2..6]
  max-workers: [12]
  reduce: [tree, owner]
  storm: [10..30]
  perturb: [0, 1..1000]
YAML
whole_soak()
{
    [[ $(tail -1 "$1/run.json") == '}' ]] || fail "$1/run.json is cut"
    [[ $(tail -1 "$1/junit.xml") == '</testsuites>' && -s $1/soak.md ]] || fail "$1: a file is missing"
    compgen -G "$1/*.tmp" >/dev/null && fail "$1 holds a temporary file"
}
expect 0 ' (draw seed 7)' run soak.yaml --rounds 3 --draw-seed 7 --out soaked
whole_soak soaked
[[ ! -e soaked/runs.jsonl ]] || fail 'a soak leaves a journal'
grep -q '^3 rounds in ' out && grep -q '^30 steps, ' out || fail 'three rounds of ten steps are not thirty'
third=$(grep -o '"drawn": "[^"]*"' soaked/run.json | tail -1)
expect 0 '1 rounds in' run soak.yaml --rounds 1 --draw-seed 9 --out again
[[ $(grep -o '"drawn": "[^"]*"' again/run.json) == "$third" ]] || fail 'a round drawn again is another'
expect 0 'soak; its first rounds with --draw-seed 7' run soak.yaml --list --draw-seed 7
expect 0 'rounds in 0' run soak.yaml --minutes 0.02 --out timed
start run soak.yaml --set steps=100000 --minutes 5 --out stopped
wait_for 20 child_of $pid
kill -INT $pid
wait_for 10 gone $pid || fail 'SIGINT does not end a soak'
wait $pid
(($? == 130)) || fail 'an interrupted soak does not exit 130'
whole_soak stopped
grep -q '; interrupted' out || fail 'an interrupted soak does not say so'

# ---- refused before any training, with no results folder
rm -rf results
refused()
{
    expect 2 "$@"
    [[ ! -e results ]] || fail "${*:2}: made a results folder"
    [[ $(wc -l <err) == 1 && ! -s out ]] || fail "${*:2}: not one line on stderr alone"
}
sed 's/^data: .*/data: bytes:text.txt/' small.yaml >text.yaml
refused 'which scenario' run
refused 'small.yaml has no "draw:"' run small.yaml --minutes 3
refused 'must be a number above 0' run soak.yaml --minutes 0
refused 'must be a whole number, 1 or more' run soak.yaml --rounds 0
refused '1000 draws from its lists were all refused, the last one: workers 13' run soak.yaml --set workers=13
refused 'missing.yaml' run small.yaml missing.yaml
refused 'workers' run small.yaml --set workers=13
refused 'text.txt' run small.yaml --set data=bytes:text.txt
printf 'short' >text.txt
refused 'text.txt' run small.yaml --set data=bytes:text.txt
touch file
refused 'results cannot be written: file: ' run small.yaml --out file
refused 'results cannot be written: file/below' run small.yaml --out file/below
refused 'did you mean "no-hang"' check no-hnag
refused 'have the same name' run small.yaml small.yaml --out results
refused 'text.yaml:2: cell workers=1 reduce=tree: data bytes:text.txt: ' run text.yaml

# ---- one child ended by a fault, the next stopped: the sweep goes on, and says so
start run long.yaml --set stall-limit=1 --set reduce=tree --set workers=2 --out hang
if wait_for 20 child_of $pid; then
    oracle=$child # the oracle comes first
    kill -SEGV "$oracle"
    wait_for 20 done_runs 1 || fail 'the crash of the oracle was not noticed'
    death=SIGSEGV
    ! $sanitized || death='exit status'
    grep -q "oracle: crash (.* s) $death" err || fail 'the oracle did not crash'
    wait_for 20 child_of $pid && kill -STOP "$child"
    wait_for 30 gone $pid || fail 'the hang was not noticed'
    wait $pid
    (($? == 1)) || fail 'HANG does not exit 1'
    grep -q 'HANG' out || fail 'no HANG in the table'
    grep -q 'no-hang: ' err && fail "how a run ended is told as a check's finding"
    whole hang
    grep -q 'no progress for 1 s' hang/run.json || fail 'run.json does not name the hang'
    grep -q 'is stopped with all its' out || fail 'the table does not say that the process was stopped'
    grep -q '"stall": {' hang/run.json || fail 'run.json does not hold the stall'
    grep -q '^stall: process' hang/logs/cell-1-repeat-1.log || fail 'the log does not begin with the stall'
    grep -Eq 'thread [0-9]+ ' hang/logs/cell-1-repeat-1.log || fail 'no thread in the log'
    grep -Eq '#0 |denied' hang/logs/cell-1-repeat-1.log || fail 'neither stack nor a reason in the log'
else
    fail 'no child was started'
    kill -9 $pid
fi

# ---- Ctrl-C keeps what is finished
sed 's/^  workers: .*/  steps: [10, 10000000]/; s/^repeats: .*/shuffle: 0/' small.yaml >mixed.yaml
sed -i '/^steps:/d' mixed.yaml
for signal in INT TERM; do
    start run mixed.yaml --out "stop-$signal"
    wait_for 20 done_runs 3 || fail 'the first cells did not finish'
    wait_for 20 child_of $pid
    kill -$signal $pid
    wait_for 10 gone $pid || fail "SIG$signal does not end it"
    wait $pid
    (($? == 128 + $(kill -l "$signal"))) || fail "SIG$signal: not the exit code of that signal"
    wait_for 5 gone "$child" || fail "SIG$signal leaves a child"
    whole "stop-$signal"
    grep -q '"interrupted": true' "stop-$signal/run.json" || fail 'run.json does not say interrupted'
    (($(grep -c 'PASS' "stop-$signal/speedup.md") == 2)) || fail 'finished cells were not kept'
    grep -q 'interrupted' "stop-$signal/speedup.md" || fail 'unfinished cells do not say why'
    grep -q "dodeca run --resume stop-$signal\$" err || fail 'nothing says how to go on'
done

# ---- kill -9 keeps them too, and takes the child along
start run mixed.yaml --out killed
wait_for 20 done_runs 3 || fail 'the first cells did not finish'
wait_for 20 child_of $pid
kill -9 $pid
wait $pid 2>/dev/null
wait_for 5 gone "$child" || fail 'kill -9 leaves a child'
[[ $(tail -1 killed/run.json) == '}' ]] || fail 'killed/run.json is cut'
(($(grep -c '^{"done"' killed/runs.jsonl) == 3)) || fail 'kill -9 lost finished runs'

# ---- and goes on where it was broken off: by Ctrl-C, by kill -9, by both
# hash_and_times FOLDER: of every run its end and its times, as recorded
hash_and_times() { sed 1d "$1/runs.jsonl" | grep -v '^{"begin"'; }
sed 's/^repeats: .*/repeats: 3/; s/^steps: .*/steps: 400/; s/^name: .*/name: resumed/' small.yaml >resumed.yaml
start run resumed.yaml --out resumed
wait_for 30 done_runs 3 || fail 'the first runs did not finish'
# a second one in its folder is told so before it writes anything there
"$program" run resumed.yaml --out resumed --replace >/dev/null 2>other && fail 'two sweeps write in one folder'
grep -q 'another dodeca is writing there' other || fail 'nothing says that the folder is in use'
"$program" run soak.yaml --rounds 1 --out resumed --replace >/dev/null 2>other && fail 'a soak takes the folder of a sweep'
grep -q 'another dodeca is writing there' other || fail 'nothing says to a soak that the folder is in use'
[[ -s resumed/runs.jsonl ]] || fail 'a soak takes the journal of a sweep'
grep -q '"interrupted": false' resumed/run.json && (($(grep -c PASS resumed/speedup.csv) == 0)) &&
    fail 'the tables of a sweep that goes on were replaced by empty ones'
touch resumed/report.html
kill -INT $pid
wait_for 10 gone $pid || fail 'SIGINT does not end it'
cp resumed/runs.jsonl before.jsonl
start run --resume resumed
wait_for 30 done_runs 3 || fail 'the resumed sweep does not go on'
[[ ! -e resumed/report.html ]] || fail 'a page of what was there before is left'
kill -9 $pid
wait $pid 2>/dev/null
cmp -s -n "$(wc -c <before.jsonl)" before.jsonl resumed/runs.jsonl || fail 'what was done before is not as it was'
printf '{"begin":{"oracle":false,"at":3,"repeat":2}}\n{"step":{"st' >>resumed/runs.jsonl # torn by the kill
expect 0 'runs are done already' run --resume resumed
whole resumed
grep -q '^Made by `dodeca run resumed.yaml`\.$' resumed/speedup.md || fail 'a resumed table does not say what made it'
grep -q '"complete": true' resumed/run.json || fail 'the resumed sweep is not complete'
(($(grep -c '^{"done"' resumed/runs.jsonl) == 13)) || fail 'not one oracle and 4 x 3 runs'
grep '^{"begin"' resumed/runs.jsonl | sort | uniq -d | grep -q . && fail 'a run was made twice'
(($(grep -c 'PASS' resumed/speedup.csv) == 4)) || fail 'not four rows that pass'
# a journal that lacks the run of its oracle: it is made again
cp resumed/runs.jsonl before.jsonl
sed -i '2,/^{"done"/d' resumed/runs.jsonl
! grep -q '^{"begin":{"oracle":true' resumed/runs.jsonl || fail 'the oracle is still there'
expect 0 'oracle: ended' run --resume resumed
(($(grep -c '^{"begin":{"oracle":true' resumed/runs.jsonl) == 1)) || fail 'the oracle was not run again'
grep -q 'the oracle was not run' resumed/run.json && fail 'cells were not judged by it'
(($(grep -c 'PASS' resumed/speedup.csv) == 4)) || fail 'not four rows that pass beside the oracle made again'
cp before.jsonl resumed/runs.jsonl
# an empty one, as of a sweep that was killed at once, says how to begin anew
mkdir empty && touch empty/runs.jsonl
expect 2 'run the scenario anew, with --out empty --replace' run --resume empty
expect 0 'PASS' run small.yaml --set repeats=1 --set workers=1 --out empty --replace
# there is nothing left to do: the tables once more
hash_and_times resumed >complete
expect 0 'PASS' run --resume resumed
hash_and_times resumed | cmp -s - complete || fail 'a complete sweep was run again'
# one cell again
expect 0 'PASS' run --resume resumed --again 2
(($(grep -c '^{"done"' resumed/runs.jsonl) == 16)) || fail '--again: not three runs more'
(($(grep -c '^{"begin":{"oracle":false,"at":1,' resumed/runs.jsonl) == 6)) || fail '--again: not of cell 2'
whole resumed
# what is not the same is refused, by name; nothing is changed
hash_and_times resumed >complete
sed -i 's/^lr: .*/lr: 0.02/' resumed.yaml
expect 2 'lr of cell 1 (workers=1 reduce=tree) is "0.02", it was "0.01"' run --resume resumed
sed -i 's/^lr: .*/lr: 0.01/; s/workers: .*/workers: [1]/' resumed.yaml
expect 2 'the scenario has 2 cells, it had 4' run --resume resumed
sed -i 's/workers: .*/workers: [1, 2]/' resumed.yaml
cp resumed/runs.jsonl before.jsonl
sed -i '1s/"cpu":"/"cpu":"another /' resumed/runs.jsonl
expect 2 "the machine's cpu is" run --resume resumed
cp before.jsonl resumed/runs.jsonl
hash_and_times resumed | cmp -s - complete || fail 'a refusal changed what was recorded'
expect 2 'the cells are numbered from 1 to 4' run --resume resumed --again 5
expect 2 'of which results folder' run resumed.yaml --again 1
expect 2 'nothing else can be given beside it' run --resume resumed small.yaml
expect 2 'resumed can be the results folder of a sweep' run --resume results
expect 2 'nowhere' run --resume nowhere
expect 2 '--resume: the folder has no name' run --resume ''
expect 2 "a scenario's file has a name" run ''

# ---- repeats until the interval is narrow, or a cap
expect 0 'repeats' run small.yaml --set repeats=2 --set interval=1 --set workers=1 --out narrow
$sanitized || (($(grep -c '"repeats_ended_by": "narrow"' narrow/speedup.json) == 2)) || fail 'not narrow at once'
expect 0 'repeats' run small.yaml --set repeats=2 --set interval=1e-9 --set repeats-max=3 --set workers=1 --out wide
$sanitized || (($(grep -c '"repeats_ended_by": "repeats-max"' wide/speedup.json) == 2)) || fail 'the cap does not hold'
$sanitized || grep -q '~ the interval is wider' out || fail 'the table does not say that the interval is wide'
expect 2 'repeats-max 3: bounds the repeats that "interval" asks for' run small.yaml --set repeats-max=3
expect 2 'one repeat has none' run small.yaml --set repeats=1 --set interval=0.1

# ---- dodeca check
expect 0 'serial-equivalence' check --list
expect 0 'PASS   serial-equivalence' check serial-equivalence
grep -Eq 'serial-equivalence  (1[2-9][0-9]) of \1 cells passed' out || fail 'check: not all of its cells'
grep -q ' simd off,.* x reduce tree,owner$' out || fail 'check: which kernel sets were varied is not told'
grep -Eq '^SKIP  simd [a-z0-9]+: this (build|CPU)' out || fail 'check: the kernel sets that cannot run are not told'

((failures == 0)) && echo 'all of dodeca run holds'
exit $((failures > 0))
