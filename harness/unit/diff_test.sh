#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# `dodeca train --record` and `dodeca diff` from outside: runs that must be equal, runs that are made to part, runs that
# cannot be repeated. usage: diff_test.sh PROGRAM OTHER: the same program, but for the order in which it folds
set -uo pipefail
tests=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

program=$(realpath "$1")
other=$(realpath "$2")
folder=$(mktemp -d "${TMPDIR:-/tmp}/dodeca-diff-test.XXXXXX")
trap 'rm -rf "$folder"' EXIT
cd "$folder" || exit 1
mkdir tmp
export TMPDIR=$folder/tmp
# shellcheck source=harness/unit/expect.sh
. "$tests/expect.sh"

small=(--model 'L=1,NH=2,C=8,V=64,T=8' --steps 12 --batch 24 --validate 0)

# record FILE ARGUMENT…
record()
{
    expect 0 '' train "${small[@]}" --record "$@"
}

# says TEXT…: each stands in the last result
says()
{
    local text
    for text; do
        grep -qF -- "$text" out || fail "diff does not say \"$text\""
    done
}

# lines PROGRAM… of what python makes of the last result, with the object as d
json()
{
    python3 -c "import json; d = json.load(open('out')); assert $1, d" 2>err || fail "JSON: not $1"
}

# ---- the same bits, however they were made
record a --workers 1
says 'steps            12 of 12'
for way in '--workers 4 --reduce tree' '--workers 3 --reduce sliced --simd off' '--workers 12 --reduce control --steal' \
    '--workers 5 --depth 2 --barrier pthread' '--serial' '--workers 2 --timetable 3@spawn@0@2;7@terminate@0'; do
    rm -f b
    read -ra options <<<"$way"
    record b "${options[@]//@/ }"
    expect 0 'equal: the start and 12 steps' diff a b
    says 'by the bit contract the weights must be the same'
done
(($(wc -l <a) == 14)) || fail 'a record has a head, its steps and an end'

# the record's last hash is that of --print-hash
"$program" train "${small[@]}" --workers 2 --print-hash >out 2>err
grep -qF "\"hash\":\"$(sed -n 's/^weights-hash: //p' out)\"" <(sed -n 13p a) || fail 'the last hash is not weights-hash'
expect 2 'none is overwritten' train "${small[@]}" --record a
expect 0 'equal: the start and 12 steps' diff a a

# ---- planted: another seed, learning rate, order of folds, rounding
record seed --seed 5
expect 1 'they part at the start, before step 0' diff a seed
says 'the weights may part: seed differs' 'the first element that differs is wte[0] row 0 column 0' \
    'replay of B by the program that recorded it: the recorded weights'

record rate --lr 0.002 --warmup 0
record rate2 --lr 0.001 --warmup 0
expect 1 'they part at step 0; their start is the same' diff rate rate2
says 'lr: 0.002 | 0.001' 'the same bits' '16 of 16 tensors'
expect 1 '' diff rate rate2 --json
json "d['first']['step'] == 0 and not d['must_be_equal'] and d['why_not'] == 'lr differs'"
json "[r['reproduced'] and r['recorded_program'] for r in d['replays']] == [True, True]"
json "len(d['elements']) == 16 and d['elements'][4]['first']['layer'] == 0"

# a schedule that is lower from some step on: equal up to there
record floor --min-lr-ratio 0.1
record floor2 --min-lr-ratio 0.2
expect 1 'they part at step 2; all before is the same' diff floor floor2

# another order of folds: some bits, in the step where it first shows, and a contract that is broken
"$other" train "${small[@]}" --workers 1 --reduce tree --record folds >out 2>err || fail 'the other program fails'
expect 1 'they part at step 0' diff a folds
says 'by the bit contract the weights must be the same' 'recorded by two programs' ' ulp' \
    'replay of B by the program that recorded it: the recorded weights'
grep -qE '^  loss .* the same bits|^  loss .*\|' out || fail 'the loss is not told'
expect 1 '' diff a folds --json
json "d['must_be_equal'] and not d['same_program'] and d['first']['step'] == 0"
json "0 < sum(e['differ'] for e in d['elements']) and all(e['first']['ulp'] > 0 for e in d['elements'])"
# with one program for both the replay cannot come to what the other one recorded
expect 1 'OTHER WEIGHTS than recorded' diff a folds --this-program
says 'the same bits: what parted the runs did not happen again'

record locks --subject locks-gradient --workers 1
expect 1 'subject locks-gradient adds in the order of arrival' diff a locks --no-replay
record locks4 --subject locks-gradient --workers 4
"$program" diff a locks4 >out 2>err
says 'adds in the order of arrival'

# ---- a record that no run comes to: one digit of a hash is another
sed '6s/"hash":"./"hash":"x/; 6s/x0/1f/; 6s/x/0/' a >odd
cmp -s a odd && fail 'nothing was planted'
expect 1 'they part at step 4; all before is the same' diff a odd
says 'of the 8 recorded from there on 7 are equal again' 'one of the records is damaged' \
    'replay of A by the program that recorded it: the recorded weights' \
    'replay of B by the program that recorded it: OTHER WEIGHTS than recorded: not reproducible'

# ---- programs and data that are no longer there
cp "$program" copy
./copy train "${small[@]}" --seed 5 --record copied >out 2>err
expect 1 'the program that recorded it' diff a copied
mv copy elsewhere
expect 1 'replay of B by the program that recorded it' diff a copied # the same file, though elsewhere
cp "$other" copy
./copy train "${small[@]}" --seed 5 --workers 1 --record copied2 >out 2>err
rm copy
expect 1 'the recorded one is gone' diff a copied2
cp /bin/true copy
expect 1 'the recorded one has changed since' diff a copied2
seq 9999 >text
record bytes1 --data bytes:text --model L=1,NH=2,C=8,V=256,T=8
record bytes2 --data bytes:text --model L=1,NH=2,C=8,V=256,T=8 --seed 5
mkdir below
cd below || exit 1
expect 1 'they part at the start' diff ../bytes1 ../bytes2 # the path is absolute
cd ..
echo more >>text
expect 3 'is not what it was' diff bytes1 bytes2
expect 1 'they part at the start' diff bytes1 bytes2 --no-replay
rm text
expect 3 'cannot be replayed' diff bytes1 bytes2
seq 9999 >$'not\xffutf8'
expect 3 'a path that is not UTF-8' train "${small[@]}" --data bytes:$'not\xffutf8' --model L=1,NH=2,C=8,V=256,T=8 --record utf8
record shape --model L=1,NH=2,C=16,V=64,T=8
expect 1 'the shapes differ' diff a shape

# ---- steps that are not finite
nan=(--lr 1e6 --grad-clip 0 --warmup 0 --weight-decay 1000)
"$program" train "${small[@]}" "${nan[@]}" --record abort >out 2>err
(($? == 1)) || fail 'that run should not be finite'
"$program" train "${small[@]}" "${nan[@]}" --nan-policy skip-step --record skip >out 2>err
expect 1 'A ended there by DD_ERR_NONFINITE, B went on' diff abort skip
expect 0 'ended by DD_ERR_NONFINITE' diff abort abort

# ---- a run that is killed, a disk that is full
"$program" train "${small[@]}" --steps 1000000 --record killed >out 2>err &
pid=$!
for ((i = 0; i < 300 && $(cat killed 2>/dev/null | wc -l) < 20; i++)); do sleep 0.1; done
kill -9 $pid
wait $pid 2>/dev/null
"$program" train "${small[@]}" --steps 1000000 --stop-after 30 --record stopped >out 2>err
expect 0 ', cut off' diff killed stopped
(
    ulimit -f 4 # blocks of 1024 bytes
    "$program" train "${small[@]}" --record full >out 2>err
)
(($? == 3)) || fail 'a record that cannot be written: not exit 3'
grep -qF 'a line cannot be written' err || fail 'nothing says that the record cannot be written'
expect 0 'cut off' diff full a # what was written is whole

# ---- weights in a file
expect 0 '' train "${small[@]}" --stop-after 0 --dump-weights start
expect 2 'none is overwritten' train "${small[@]}" --stop-after 0 --dump-weights start
[[ $(head -c 8 start) == DDWEIGHT ]] || fail 'no head of weights'
expect 2 'No such file' train "${small[@]}" --dump-weights none/at/all

# ---- usage
expect 2 'two records are compared, 1 given' diff a
expect 2 'two records are compared, 3 given' diff a a a
expect 2 'No such file' diff a missing
printf '{}\n' >nothing
expect 2 'nothing:1: no head of a record' diff a nothing
printf '%s\n' "$(sed 's/"version":"[^"]*"/"version":7/' a)" >nothing
expect 2 'nothing:1: "version" must be a text' diff nothing a
expect 0 'Find where two recorded runs first part' diff --help

[[ -z $(ls tmp) ]] || fail "left behind: $(ls tmp)"
((failures == 0)) && echo "diff: all as expected"
exit $((failures > 0))
