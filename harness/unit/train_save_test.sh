#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Checkpoints from outside: train --save, --save-every, --keep and --load; runs that are stopped, killed and gone on with;
# what is refused, and in which words. What the files must be is test_checkpoint.c's. usage: train_save_test.sh PROGRAM
set -uo pipefail
tests=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

program=$(realpath "$1")
folder=$(mktemp -d "${TMPDIR:-/tmp}/dodeca-save.XXXXXX")
trap 'rm -rf "$folder"' EXIT
cd "$folder" || exit 1
export XDG_CACHE_HOME=$folder/cache
# shellcheck source=harness/unit/expect.sh
. "$tests/expect.sh"
shape=(--model 'L=1,NH=1,C=16,V=64,T=8')
small=("${shape[@]}" --steps 20 --validate 0)

# none FILE…: nothing of that name, and no temporary file
none()
{
    local file
    for file in "$@" ./*.dodeca-tmp; do
        [[ ! -e $file ]] || fail "$file is there"
    done
}

expect 0 'weights-hash: ' train "${small[@]}" --serial --print-hash
whole=$(grep weights-hash out)

# ---- stopped and gone on with, in another way each time
expect 0 'saved: a, after 7 steps' train "${small[@]}" --workers 2 --stop-after 7 --save a
none a.1
expect 0 'load: a, 7 of 20 steps are done' train --load a --save a --stop-after 12 --workers 5 --simd off --validate 0
expect 0 "$whole" train --load a --save a --workers 12 --depth 2 --reduce sliced --steal --validate 0 --print-hash
none a.2
expect 0 "$whole" train --load a.1 --workers 3 --guard --barrier pthread --validate 0 --print-hash
expect 0 'there is nothing left to train' train --load a --save a --validate 0
expect 0 "$whole" train --load a --print-hash
cmp -s a.1 a && fail 'a.1 is the last checkpoint too: one of nothing new was written'
expect 0 'load: a.1, 12 of 20 steps are done; there is nothing left to train' train --load a.1 --stop-after 5 --save b
cmp -s a.1 b || fail 'b is not what a.1 is'

# ---- every few steps, killed, gone on with; steps keep their numbers
expect 0 "$whole" train "${small[@]}" --save c --save-every 3 --keep 4 --print-hash
for file in c c.1 c.2 c.3; do
    expect 0 "$whole" train --load $file --validate 0 --print-hash
done
none c.4
expect 0 '{"step":12,' train --load c.3 --stop-after 13 --validate 0 --json
"$program" train "${shape[@]}" --steps 1000000 --save k --save-every 2 --validate 0 2>err >out &
child=$!
for ((i = 0; i < 2000; i++)); do
    [[ ! -e k.1 ]] || break
    sleep 0.01
done
kill -KILL $child
wait $child 2>/dev/null
"$program" train --load k --stop-after 0 --validate 0 >out 2>err || fail 'a killed run has left no checkpoint'

# ---- Ctrl-C: one clean checkpoint; twice: at once
for signal in INT TERM; do
    rm -f k*
    "$program" train "${shape[@]}" --steps 1000000 --save k --save-every 5 --validate 0 >out 2>err &
    child=$!
    for ((i = 0; i < 2000; i++)); do
        [[ ! -e k ]] || break
        sleep 0.01
    done
    kill -$signal $child
    wait $child
    code=$?
    ((code == 128 + $(kill -l $signal))) || fail "after SIG$signal: exit $code"
    done=$(sed -n 's/.*the weights are those after \([0-9]*\) steps/\1/p' err)
    grep -qF "saved: k, after $done steps" err || fail "SIG$signal left no checkpoint of its step"
    expect 0 "load: k, $done of 1000000 steps are done" train --load k --stop-after 0 --validate 0
    none
done
rm -f k*
"$program" train "${shape[@]}" --steps 1000000 --save k --save-every 1 --validate 0 >out 2>err &
child=$!
for ((i = 0; i < 2000; i++)); do
    [[ ! -e k.1 ]] || break
    sleep 0.01
done
kill -INT $child
kill -INT $child 2>/dev/null
wait $child
code=$?
((code == 130)) || fail "after two SIGINT: exit $code"
expect 0 'load: k, ' train --load k --stop-after 0 --validate 0
rm -f k* # the second may have come in the midst of a save

# ---- damaged files
head -c 9000 c >d
cp c.1 d.1
head -c 20000 c.2 >d.2
expect 0 'going on from the generation before, d.1, step 18' train --load d --validate 0 --print-hash
grep -qF "$whole" out || fail 'the generation before goes elsewhere'
grep -qF 'load d: ' err || fail 'nothing says what is wrong with d'
expect 0 "$whole" train --load d --save d --validate 0 --print-hash # the damaged one is replaced, not kept
cmp -s d.1 c.1 || fail 'd.1 was rotated away for a damaged file'
rm d
expect 0 'going on from the generation before, d.1' train --load d --validate 0
mv d.1 d.7 # a save that was killed leaves gaps
expect 0 'going on from the generation before, d.7' train --load d --validate 0
mv d.7 d.1
head -c 100 c >d.1
rm d.2
expect 2 'no earlier generation is whole either' train --load d
expect 2 'No such file or directory' train --load nothing

# ---- refusals, before anything is trained or written
expect 2 '--batch 13: c.1 has batch 12, and what decides the bits stays as it was begun' train --load c.1 --batch 13
expect 2 'c.1 has model L=1,NH=1,C=16,V=64,T=8' train --load c.1 --model nano
expect 2 'c.1 has lr 0.001' train --load c.1 --lr 0.0011
expect 2 'c.1 has steps 20' train --load c.1 --steps 21
expect 0 "$whole" train --load c.1 --model L=1,NH=1,C=16,V=64,T=8 --lr 1e-3 --steps 20 --warmup 2 --batch 12 --print-hash
seq 3000 >text
expect 2 'data-tokens is 1048576 there and' train --load c.1 --data bytes:text
cp text other
expect 2 'and it is no checkpoint that could be kept behind the new one' train "${small[@]}" --save other
cmp -s other text || fail 'a file that is no checkpoint was touched'
cp c e
expect 2 'another training is saved there, and is not overwritten' train --model nano --steps 2 --save e
cmp -s c e || fail 'the checkpoint of another training was touched'
expect 2 'No such file or directory' train "${small[@]}" --save no/such
expect 2 'is a directory, and only a regular file is replaced' train "${small[@]}" --save .
ln -s nowhere link
expect 2 'is a symbolic link, and only a regular file is replaced' train "${small[@]}" --save link
expect 2 'an empty path' train "${small[@]}" --save ''
for option in log record dump-weights trace; do
    expect 2 "--$option x: is a name that checkpoints take with --save x" train "${small[@]}" --save x --$option x
done
expect 2 '--log x.12: is a name that checkpoints take' train "${small[@]}" --save x --log x.12
expect 2 'to which file? --save FILE' train --save-every 3
expect 2 'generations of which file? --save FILE' train --keep 3
expect 2 '--keep "0": must be' train --save x --keep 0
expect 2 'only subject dodeca keeps checkpoints' train --serial --save x
expect 2 'only subject dodeca keeps checkpoints' train --subject locks --load c
none x

# ---- two trainings with one file: what another has put there meanwhile stays
"$program" train "${shape[@]}" --steps 1000000 --seed 2 --save both --log both.jsonl --validate 0 >out 2>err &
child=$!
for ((i = 0; i < 2000; i++)); do
    [[ ! -s both.jsonl ]] || break # what is there has been looked at
    sleep 0.01
done
cp c both
kill -INT $child
wait $child
code=$?
((code == 3)) || fail "the checkpoint of another training is in the way: exit $code"
grep -qF 'was not saved: both: another training is saved there' err || fail 'nothing tells that another training is saved there'
cmp -s c both || fail 'the checkpoint of another training, begun later, is lost'
none both.1

# ---- data that has moved: said, and where to say it
expect 0 '' train "${shape[@]}" --model L=1,NH=1,C=16,V=256,T=8 --data bytes:text --steps 4 --stop-after 2 --save moved
mv text elsewhere
expect 2 'No such file or directory; so moved names it: --data says where it is now' train --load moved
expect 0 'load: moved, 2 of 4' train --load moved --data bytes:elsewhere
expect 2 'No such file or directory' train --load moved --data bytes:text
grep -qF 'names it' err && fail '--data names the file, and the checkpoint is blamed'
mv elsewhere text

# ---- a disk that is full: told, trained on, exit 3
(
    ulimit -f 4
    "$program" train "${small[@]}" --save f --save-every 8 --print-hash >out 2>err
    echo $? >code
)
[[ $(<code) == 3 ]] || fail "a checkpoint that could not be written: exit $(<code)"
grep -qF "$whole" out || fail 'a checkpoint that could not be written ended the training'
grep -qF 'the checkpoint after 8 steps was not saved: f: ' err || fail 'nothing tells of the checkpoint that was not saved'
none f

# ---- records of runs that went on
expect 0 '' train "${small[@]}" --record whole.jsonl
expect 0 '' train --load c.2 --workers 4 --record late.jsonl
expect 0 'late.jsonl: dodeca' diff whole.jsonl late.jsonl
grep -qF ', from step 15 on' out || fail 'diff does not say where a record begins'
expect 0 '' train "${small[@]}" --stop-after 10 --record early.jsonl
expect 2 'there is nothing to compare' diff early.jsonl late.jsonl
sed '3s/"hash":"./"hash":"x/; 3s/"hash":"x\(.\)/"hash":"\1\1/' late.jsonl >changed.jsonl
expect 1 'they part at step 16' diff --no-replay whole.jsonl changed.jsonl

# ---- weights alone
expect 0 '' convert a.1 a.safetensors
expect 0 'weights of a.safetensors (safetensors); a new training begins with them' train --load a.safetensors --steps 2 --validate 0
expect 0 '' convert a a.bin --to llm.c
expect 0 '0 of 3' train --load a.bin --steps 3 --stop-after 0 --validate 0
expect 2 'a.bin has model L=1,NH=1,C=16,V=64,T=8' train --load a.bin --model nano
expect 2 'a.bin has weights alone' train --load a.bin --record x

((failures == 0)) && echo 'train_save: all held'
((failures == 0))
