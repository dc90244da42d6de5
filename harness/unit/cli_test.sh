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
refuse 'there are run train check explore spheres doctor' frobnicate
refuse 'unknown option "--frobnicate"' --frobnicate
for command in run train check explore spheres doctor; do
    expect 0 "Usage: dodeca $command" $command --help
done
expect 2 "unrecognized option '--wrkers'" train --wrkers 2
expect 2 "requires an argument" train --steps
"$program" spheres >/dev/full 2>err && fail 'stdout that cannot be written goes unnoticed'

# ---- values
refuse 'whole number from 1' train --batch 0
refuse 'whole number from 1' train --batch=-4
refuse 'whole number from 1' train --batch 4x
refuse 'whole number from 1' train --seq 0
refuse 'whole number from 1' train --steps 0
refuse 'a number from' train --lr nan
refuse '12 positions' train --workers 13
refuse 'take batch >= 8, workers <= 4 or allow-idle' train --batch 4 --workers 8
refuse 'C must be a multiple of NH' train --model nano,C=130
refuse 'nano, micro, gpt2-124M' train --model huge
refuse 'whole number from 1' train --model nano,L=0
refuse 'this version has depth 1' train --depth 2
refuse 'this version has depth 1' train --lane-depth 2
refuse 'this version has depth 1' spheres --depth 3
refuse 'this build has auto, off, avx2' train --simd avx512
refuse 'this build has tree, control' train --reduce sliced
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
scenario 'bad.yaml:3: sweep: workers "13"' 'sweep:\n  workers:\n  - 13\n'
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
for how in '--workers 1' '--workers 2 --barrier pthread' '--workers 5 --reduce control' '--workers 7 --simd off' \
    '--workers 12 --allow-idle' '--workers 0'; do
    read -ra arguments <<<"$how"
    got=$(hash_of "${arguments[@]}")
    [[ $got == "$right" ]] || fail "train $how: hash $got, the oracle has $right"
done
[[ $(hash_of --seed 2 --workers 1) != "$right" ]] || fail 'another seed gives the same weights'
[[ $(hash_of --steps 12 --warmup 0 --stop-after 6) != "$right" ]] || fail 'another horizon gives the same weights'

# ---- JSON: one object a step, one for the whole, with the same hash
"$program" train "${small[@]}" --batch 7 --steps 6 --json >out 2>err || fail 'train --json'
[[ $(grep -c '^{"step":' out) == 6 && $(grep -c '"final":true' out) == 1 && $(wc -l <out) == 7 ]] || fail 'train --json: lines'
grep -q "\"weights_hash\":\"$right\"" out || fail 'train --json: hash'

# ---- a step that is not finite
expect 1 'not finite' train "${small[@]}" --steps 30 --warmup 0 --lr 1e6 --grad-clip 0 --eps 1e-30 --beta1 0 --beta2 0
expect 0 'discarded' train "${small[@]}" --steps 30 --warmup 0 --lr 1e6 --grad-clip 0 --eps 1e-30 --beta1 0 --beta2 0 \
    --nan-policy skip-step
grep -q 'step [0-9]*: discarded, not finite first in lane [0-9]*: [a-z0-9_.]*\[' err || fail 'skip-step: the culprit is not named'
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
    wait_for '^step [0-9]' err || fail "train $how: no progress"
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
expect 0 'advice' doctor --quick
expect 0 '"can_unwind"' doctor --quick --json

((failures == 0)) && echo 'command line: all held'
exit $((failures > 0))
