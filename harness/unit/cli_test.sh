#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# The command line, from outside: what is refused, with which words and which exit code; that the hash does not depend on
# how one trains; Ctrl-C. usage: cli_test.sh PROGRAM
set -uo pipefail
tests=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

program=$(realpath "$1")
folder=$(mktemp -d "${TMPDIR:-/tmp}/dodeca-cli.XXXXXX")
trap 'rm -rf "$folder"' EXIT
cd "$folder" || exit 1
export XDG_CACHE_HOME=$folder/cache
# shellcheck source=harness/unit/expect.sh
. "$tests/expect.sh"

# refuse TEXT ARGUMENT…: exit 2, one line on stderr, nothing on stdout
refuse()
{
    expect 2 "$@"
    shift
    [[ $(wc -l <err) == 1 && ! -s out ]] || fail "dodeca $*: not one line on stderr alone"
}

# ---- the program itself
expect 2 'usage: dodeca SUBCOMMAND'
expect 0 'usage: dodeca SUBCOMMAND' --help
expect 0 'dodeca ' --version
refuse 'did you mean "train"' trian
refuse 'there are run train convert inspect sample check bench explore defects diff spheres predict report doctor' frobnicate
refuse 'unknown option "--frobnicate"' --frobnicate
for command in run train convert inspect sample check bench explore defects diff spheres predict report doctor; do
    expect 0 "Usage: dodeca $command" $command --help
    "$program" $command --help >/dev/full 2>err
    (($? == 3)) && grep -q 'could not be written to stdout' err || fail "$command --help to a full disk: not exit 3"
done
expect 2 "unrecognized option '--wrkers'" train --wrkers 2
expect 2 "requires an argument" train --steps
for command in --help --version spheres; do
    "$program" $command >/dev/full 2>err
    (($? == 3)) && grep -q 'could not be written to stdout: No space' err || fail "$command to a full disk: not exit 3"
done
"$program" frobnicate >/dev/full 2>err
(($? == 2)) || fail 'a full disk hides another exit code'

# ---- values
refuse 'whole number from 1' train --batch 0
refuse 'whole number from 1' train --batch=-4
refuse 'whole number from 1' train --batch 4x
refuse 'whole number from 1' train --seq 0
refuse 'whole number from 1' train --steps 0
refuse 'a number from' train --lr nan
refuse 'workers 13: depth 1 holds 12; depth 2 holds 144' train --workers 13 --batch 13
refuse 'from 0 to 1728: depth 3 holds 1728' train --workers 1729
refuse 'take batch >= 8, workers <= 4 or allow-idle' train --batch 4 --workers 8
refuse 'C must be a multiple of NH' train --model nano,C=130
refuse 'nano, micro, gpt2-124M' train --model huge
refuse 'whole number from 1' train --model nano,L=0
refuse 'take lane-depth 2 and batch >= 13, workers <= 12' train --workers 13 --depth 2
refuse 'from 1 to 3 or auto' train --depth 0
refuse 'from 1 to 3 or auto' train --depth 4
refuse 'from 1 to 3' train --lane-depth 4
refuse 'from 1 to 3' spheres --depth 4
refuse 'there are 8 workers from the start' train --workers 8 --max-workers 4
refuse 'needs pin' train --hog 1
refuse 'this build has dodeca, oracle, locks, locks-gradient' train --subject fast
refuse 'the lock-based subjects have no hierarchy' train --subject locks --steal
refuse 'has no threads to tell of' train --serial --status-every 5
refuse 'does not measure its phases' train --serial --profile
refuse 'shares are of one number of workers' train --profile --depth auto
refuse 'shares are of one number of workers' train --profile --workers 4 --timetable '5 spawn 0 4'
refuse 'such as "5 spawn 0 4"' train --timetable nonsense
refuse 'it is a worker then; the controls there: none' train --workers 4 --timetable '5 terminate 0'
refuse 'there is no such sphere then; the workers there: 0, 3, 6, 9' train --workers 4 --timetable '5 spawn 1 4'
refuse 'only 12 lanes are filled' train --workers 4 --timetable '5 spawn 0 12'
refuse 'max-workers is 6; take at most 3 children' train --workers 4 --max-workers 6 --timetable '5 spawn 0 4'
refuse 'last step is 99' train --workers 4 --timetable '100 spawn 0 4'
refuse 'the number to begin with' train --timetable 'random 5 in 50 seed 1'
refuse 'depth auto' train --depth auto --workers 2 --timetable '5 spawn 0 4'
refuse 'there are 2 workers to slow' train --workers 2 --pin --hog 3
refuse 'stop-after 11: there are 10 steps' train --steps 10 --stop-after 11
refuse 'this build has auto, off, avx2, avx512, neon' train --simd sse2
refuse 'this build has tree, control, sliced, owner, auto' train --reduce owners
refuse 'choose tree, sliced or control' train --reduce owner --guard
refuse 'there is no entry' train --timetable ''
refuse 'this build has tree, pthread' train --barrier spin
refuse 'there are only options' train book.txt
refuse 'model "nano" knows 64 positions' train --seq 100
refuse 'must be at most the 5 steps' train --steps 5 --warmup 6

# ---- data
shard() # FILE MAGIC VERSION COUNT TOKENS
{
    perl -e 'print pack("l<256", $ARGV[0], $ARGV[1], $ARGV[2], (0) x 253), pack("S<*", map { $_ * 7 % 300 } 1 .. $ARGV[3])' \
        "${@:2}" >"$1"
}
shard good 20240520 1 5000 5000
shard magic 20240521 1 5000 5000
shard version 20240520 2 5000 5000
shard cut 20240520 1 5000 4000
head -c 100 good >header
printf 'too short' >short
mkdir directory
small=(--model 'L=1,NH=2,C=16,V=256,T=16' --batch 4)
refuse 'No such file' train --data bytes:missing
refuse 'directory' train --data bytes:directory
refuse 'two?lines' train --data $'bytes:two\nlines'
refuse 'tokens' train "${small[@]}" --data bytes:short
refuse 'magic is 20240521' train --data tokens:magic
refuse 'version is 2' train --data tokens:version
refuse 'truncated' train --data tokens:cut
refuse 'inside the header' train --data tokens:header
refuse '299' train "${small[@]}" --data tokens:good
refuse 'kjv, builtin, bytes:FILE or tokens:FILE' train --data short
refuse 'scripts/setup.sh' train --data kjv
if ((EUID != 0)); then
    cp good secret && chmod 0 secret
    refuse 'Permission denied' train --data tokens:secret
else
    echo 'SKIP (optional): root may read anything'
fi
expect 0 'training on builtin instead' train "${small[@]}" --data kjv --data-else builtin --steps 1
expect 0 'loss' train --model L=1,NH=2,C=16,V=300,T=16 --batch 4 --data tokens:good --steps 1

# ---- scenarios
scenario() # TEXT OF THE REFUSAL, FILE'S TEXT
{
    printf '%b' "$2" >bad.yaml
    refuse "$1" run bad.yaml --list
}
scenario 'bad.yaml:2: unknown key "workrs", did you mean "workers"' 'model: nano\nworkrs: 2\n'
scenario 'bad.yaml:1: batch "many"' 'batch: many\n'
scenario 'bad.yaml:2: sweep.workers: must be a list' 'sweep:\n  workers: 2\n'
scenario 'bad.yaml:3: sweep: workers "1729"' 'sweep:\n  workers:\n  - 1729\n'
scenario 'bad.yaml:3: workers 13: depth 1 holds 12' 'sweep:\n- workers: [1]\n- workers: [13]\n'
scenario 'bad.yaml:2: timetable: step 5, spawn 1 4: there is no such sphere' 'workers: 4\ntimetable: 5 spawn 1 4\n'
scenario 'bad.yaml:2: workers 8: batch 4' 'batch: 4\nworkers: 8\n'
scenario 'bad.yaml: empty' ''
refuse 'missing.yaml: cannot be read' run missing.yaml

# ---- the same weights, however they are reached
hash_of() # ARGUMENT…
{
    "$program" train "${small[@]}" --batch 7 --steps 6 --data builtin --print-hash "$@" 2>err | sed -n '$s/^weights-hash: //p'
}
right=$(hash_of --serial)
[[ $right =~ ^[0-9a-f]{32}$ ]] || fail "no hash from the oracle: \"$right\""
for how in '--workers 1' '--workers 3 --reduce owner' '--workers 5 --reduce owner --steal' '--workers 2 --barrier pthread' '--workers 5 --reduce control' '--workers 7 --simd off' \
    '--workers 12 --allow-idle' '--workers 0' '--workers 3 --reduce sliced' '--workers 7 --depth 2' \
    '--workers 5 --depth 3 --barrier pthread --reduce control' '--workers 20 --depth 2 --allow-idle --reduce sliced' \
    '--workers 4 --steal' '--workers 4 --guard' '--workers 2 --pin --hog 1 --steal' '--depth auto' \
    '--workers 2 --pin --no-pin' '--workers 3 --profile'; do
    read -ra arguments <<<"$how"
    got=$(hash_of "${arguments[@]}")
    [[ $got == "$right" ]] || fail "train $how: hash $got, the oracle has $right"
done
for timetable in '2 spawn 6 3; 4 terminate 6' '0 checkpoint; 1 spawn 0 1; 1 spawn 0.0 5; 3 rebalance; 5 terminate 0' \
    'random 20 in 6 seed 3'; do
    for how in '' '--reduce owner --steal' '--reduce tree' '--barrier pthread --reduce control' '--reduce sliced --steal'; do
        read -ra arguments <<<"$how"
        got=$(hash_of --workers 2 --timetable "$timetable" "${arguments[@]}")
        [[ $got == "$right" ]] || fail "train $how --timetable '$timetable': hash $got, the oracle has $right"
    done
done
deeper=$(hash_of --serial --batch 13 --lane-depth 2)
[[ $deeper =~ ^[0-9a-f]{32}$ && $deeper != "$(hash_of --serial --batch 13)" ]] ||
    fail "lane depth 2: the oracle has \"$deeper\", as with lane depth 1"
for how in '--workers 1' '--workers 7 --depth 2 --reduce owner' '--workers 7 --depth 2 --reduce sliced' '--workers 6 --depth 3 --reduce control'; do
    read -ra arguments <<<"$how"
    got=$(hash_of --batch 13 --lane-depth 2 "${arguments[@]}")
    [[ $got == "$deeper" ]] || fail "train --lane-depth 2 $how: hash $got, the oracle has $deeper"
done
[[ $(hash_of --seed 2 --workers 1) != "$right" ]] || fail 'another seed gives the same weights'
[[ $(hash_of --steps 12 --warmup 0 --stop-after 6) != "$right" ]] || fail 'another horizon gives the same weights'

# ---- JSON: one object a step, one for the whole, with the same hash
"$program" train "${small[@]}" --batch 7 --steps 6 --json >out 2>err || fail 'train --json'
[[ $(grep -c '^{"step":' out) == 6 && $(grep -c '^{"validation":6,' out) == 1 && $(grep -c '"final":true' out) == 1 && $(wc -l <out) == 8 ]] || fail 'train --json: lines'
grep -q "\"weights_hash\":\"$right\"" out || fail 'train --json: hash'

# ---- what auto took, and what the oracle ignores
expect 0 'reduce owner (auto)' train "${small[@]}" --steps 1
grep -q '^segments         1 for all workers' out || fail 'owner: not one gradient'
expect 0 'reduce tree (auto, with guard)' train "${small[@]}" --steps 1 --guard
expect 0 'reduce tree' train "${small[@]}" --steps 1 --reduce tree
grep -q 'reduce tree$' err || fail 'a reduction that was asked for is told as a choice of auto'
expect 0 '"reduce":"owner"' train "${small[@]}" --steps 1 --json
expect 0 'the oracle' train "${small[@]}" --steps 1 --serial --guard --depth 2 --seed 3 --workers 3
grep -q 'ignored: --workers, --depth, --guard$' err || fail 'what the oracle ignores is not told'
expect 0 'the oracle' train "${small[@]}" --steps 1 --serial --seed 3
grep -q ignored err && fail 'nothing was ignored, and yet it is said'

# ---- profile: every phase with its limit, and nothing of the weights
expect 0 'profile of 5 steps' train "${small[@]}" --batch 7 --workers 2 --steps 6 --profile --print-hash
grep -q "$right" out || fail 'profile: hash'
for phase in 'forward products' 'weight-gradient products' attention LayerNorm 'update and packing' 'waiting at A' other; do
    grep -qE "^$phase +[0-9.-]+ +[0-9.-]+%" out || fail "profile: no line of $phase"
done
expect 0 '"other_ns"' train "${small[@]}" --batch 7 --steps 1 --profile --json

# ---- health: a row for every sphere, at most 24
expect 0 'health after 4 steps' train "${small[@]}" --workers 3 --steps 6 --status-every 2
[[ $(grep -c '^health after' err) == 3 && $(grep -cE '^  zero +0 +[0-9]+ Node Zero' err) == 3 ]] || fail 'health: tables'
[[ $(grep -cE '^  (0|4|8) +[0-9]+ +[0-9]+ worker ' err) == 9 ]] || fail 'health: workers'
expect 0 '5 more, ' train "${small[@]}" --batch 24 --lane-depth 2 --depth 2 --workers 24 --steps 2 --status-every 2
expect 0 'depth 2, 8 spheres: 5 workers, 3 controls' train "${small[@]}" --steps 6 --workers 4 --batch 12 \
    --timetable '2 spawn 0 2; 3 spawn 3 1'
grep -q '^membership       changed 2 times' out || fail 'changes of membership are not told'
grep -q '^timetable: 2 changes, up to 5 workers' err || fail 'the timetable is not told'
expect 0 '"health":2' train "${small[@]}" --workers 2 --steps 2 --status-every 2 --json
[[ $(grep -o '"beat_s"' out | wc -l) == 3 ]] || fail 'health --json: not 3 spheres'
expect 0 'guard: weights and batches by page protection' train "${small[@]}" --workers 2 --steps 2 --guard
expect 0 'subject: locks-gradient' train "${small[@]}" --workers 2 --steps 2 --subject locks-gradient --status-every 2
[[ $(grep -cE '^  - +[01] +[0-9]+ worker ' err) == 2 ]] || fail 'health: the lock-based subject has two workers and no Node Zero'

# ---- a step that is not finite
expect 1 'not finite' train "${small[@]}" --steps 30 --warmup 0 --lr 1e6 --grad-clip 0 --eps 1e-30 --beta1 0 --beta2 0
expect 0 'discarded' train "${small[@]}" --steps 30 --warmup 0 --lr 1e6 --grad-clip 0 --eps 1e-30 --beta1 0 --beta2 0 \
    --nan-policy skip-step
grep -q 'step [0-9]*: discarded, not finite first in lane [0-9]* (worker [0-9]*): [a-z0-9_.]*\[' err || fail 'skip-step: the culprit is not named'
grep -q -- '-nan' out err && fail 'a NaN has a sign'
grep -q 'validation loss  nan' out || fail 'skip-step: a validation loss that is not finite is not told'
expect 1 'dodeca train: step ' train "${small[@]}" --steps 30 --warmup 0 --lr 1e6 --grad-clip 0 --eps 1e-30 --beta1 0 --beta2 0
grep -q 'step [0-9]*: step' err && fail 'the step is named twice'

# ---- Ctrl-C: the weights of the last whole step
wait_for() # PATTERN FILE, which was emptied before the program began
{
    for ((i = 0; i < 300; i++)); do
        grep -q "$1" "$2" && return 0
        sleep 0.1
    done
    return 1
}
for how in '--workers 3' '--serial'; do
    read -ra arguments <<<"$how"
    : >err
    set -m # a job of its own: its Ctrl-C is not ignored
    "$program" train "${small[@]}" --steps 100000000 "${arguments[@]}" --print-hash >out 2>err &
    child=$!
    set +m
    wait_for '^[0-9]* of 100000000 steps' err || fail "train $how: no progress"
    kill -INT "$child"
    wait "$child"
    code=$?
    ((code == 130)) || fail "train $how, Ctrl-C: exit $code, not 130"
    grep -q 'stopped by Ctrl-C' err || fail "train $how, Ctrl-C: nothing says so"
    step=$(sed -n 's/^steps  *\([0-9]*\) of.*/\1/p' out)
    stopped=$(sed -n '$s/^weights-hash: //p' out)
    again=$("$program" train "${small[@]}" --steps 100000000 --stop-after "${step:-1}" --validate 0 --print-hash 2>err |
        sed -n '$s/^weights-hash: //p')
    [[ -n $stopped && $stopped == "$again" ]] || fail "train $how, Ctrl-C: weights $stopped are not those of step $step, $again"
done
: >err
set -m # the second Ctrl-C does not wait for a step that takes a while
"$program" train --serial --model L=2,NH=2,C=512,V=256,T=256 --steps 9 >out 2>err &
child=$!
set +m
wait_for 'the oracle' err || fail 'train --serial: nothing said'
sleep 0.3
kill -INT "$child"
sleep 0.2
kill -INT "$child"
wait "$child"
code=$?
if ((code != 130)) || grep -q stopped err; then
    fail "two Ctrl-C: exit $code"
fi

# ---- spheres and doctor
expect 0 '4.00 for 4 workers' train "${small[@]}" --workers 4 --steps 1
grep -qE '^epoch: [0-9]+ steps; [0-9]+ of [0-9]+ training windows are left out' err || fail 'the epoch is not told'
expect 0 'lane bound 3.50' spheres --workers 4 --batch 7
expect 0 '"lane_bound": 3.5' spheres --workers 4 --batch 7 --json
[[ $(grep -c '"touches_centre": true' out) == 12 ]] || fail 'spheres --json: not 12 contacts with the centre'
expect 0 '157 spheres: 144 workers' spheres --depth 2
[[ $(grep -cE '(worker [0-9]+|control|Node Zero) ' out) == 157 ]] || fail 'spheres --depth 2: not a line for each'
expect 0 '"controls": 157' spheres --depth 3 --json
[[ $(grep -c '"radius"' out) == 1885 ]] || fail 'spheres --depth 3 --json: not 1885 spheres'
expect 0 'none' spheres --workers 20 --depth 2 --batch 12 --allow-idle
expect 2 'take' spheres --workers 20 --depth 2 --batch 12
echo old >drawing.svg
expect 0 'drawing of 25 spheres written to drawing.svg' spheres --depth 2 --workers 20 --svg drawing.svg
[[ $(grep -c '<title>sphere [0-9.]*: worker' drawing.svg) == 20 && $(tail -1 drawing.svg) == '</svg>' ]] ||
    fail 'spheres --svg: not a whole drawing of 20 workers'
expect 2 'cannot write' spheres --svg no/such/folder.svg
expect 2 '--svg: the file has no name' spheres --svg ''
refuse 'no row has that text in its name: nosuch' bench --order --filter=nosuch
refuse 'no row has that text in its name: nosuch' bench --order --filter=nosuch --json
expect 2 '--benchmark_out: the file has no name' bench --benchmark_list_tests --benchmark_out=
mkfifo pipe && { timeout 20 cat pipe >piped & }
expect 0 'written to pipe' spheres --workers 3 --svg pipe
wait $!
[[ -p pipe && $(tail -1 piped) == '</svg>' ]] || fail 'spheres --svg: a file in the place of a pipe'
expect 0 'lane depth 2: 144 lanes' spheres --depth auto --workers 20
compgen -G '*.tmp' >/dev/null && fail 'spheres --svg leaves a temporary file'
expect 0 'advice' doctor --quick
expect 0 '"can_unwind"' doctor --quick --json

((failures == 0)) && echo 'command line: all held'
exit $((failures > 0))
