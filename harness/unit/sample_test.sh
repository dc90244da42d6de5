#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# `dodeca sample` from outside: a few steps of training, then texts that seed and settings decide and nothing else; numbers
# in the place of bytes; what is refused; Ctrl-C. usage: sample_test.sh PROGRAM
set -uo pipefail
tests=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

program=$(realpath "$1")
folder=$(mktemp -d "${TMPDIR:-/tmp}/dodeca-sample.XXXXXX")
trap 'rm -rf "$folder"' EXIT
cd "$folder" || exit 1
export XDG_CACHE_HOME=$folder/cache
# shellcheck source=harness/unit/expect.sh
. "$tests/expect.sh"

# refuse TEXT ARGUMENT…: exit 2, one line on stderr, nothing on stdout
refuse()
{
    local text=$1
    shift
    expect 2 "$text" sample "$@"
    [[ $(wc -l <err) == 1 && ! -s out ]] || fail "dodeca sample $*: not one line on stderr alone"
}

# text FILE ARGUMENT…: what is sampled, to FILE
text()
{
    local to=$1
    shift
    "$program" sample "$@" >"$to" 2>err </dev/null || fail "dodeca sample $*: exit $?"
    : >out
}

same() # FILE FILE WHAT
{
    cmp -s "$1" "$2" || fail "$3: not the same text"
}

differ() # FILE FILE WHAT
{
    ! cmp -s "$1" "$2" || fail "$3: the same text"
}

for ((i = 0; i < 400; i++)); do
    printf '%d bottles of beer on the wall, %d bottles of beer\n' $((i % 100)) $((i % 100))
done >book.txt
train() # FILE ARGUMENT…
{
    "$program" train --steps 150 --lr 0.01 --workers 1 --validate 0 --save "$@" >out 2>err || fail "train --save $*: exit $?"
}
shape=L=2,NH=2,C=32,T=48
train bytes.ckpt --data bytes:book.txt --model $shape,V=256
train wide.ckpt --data bytes:book.txt --model $shape,V=300
train numbers.ckpt --data builtin --model $shape,V=64

# ---- bytes: the prompt, then what the seed draws, beyond the model's 48 positions too
text a --load bytes.ckpt --prompt 'of beer' --tokens 200 --seed 7
text b --load bytes.ckpt --prompt 'of beer' --tokens 200 --seed 7
same a b 'the same seed'
[[ $(wc -c <a) == 207 && $(head -c 7 a) == 'of beer' ]] || fail 'not the prompt and 200 bytes'
text b --load bytes.ckpt --prompt 'of beer' --tokens 200 --seed 7 --simd off --stats
same a b '--simd off'
grep -q 'kernels reference' err || fail '--simd off: other kernels'
text b --load bytes.ckpt --prompt 'of beer' --tokens 120 --seed 7 --stats
head -c 127 a | cmp -s - b || fail 'fewer tokens: not the begin of more'
grep -qE '^120 tokens in [0-9.]+ s: ' err || fail '--stats: no tokens per second'
grep -q 'bytes.ckpt, checkpoint after 150 steps: L 2, NH 2, C 32, V 256, T_max 48' err || fail '--stats: no model'
text b --load bytes.ckpt --prompt 'of beer' --tokens 200 --seed 8
differ a b 'another seed'
[[ ! -s err ]] || fail 'something is said without --stats'
text c --load bytes.ckpt --prompt 'of beer' --tokens 60 --temperature 0 --seed 1
text b --load bytes.ckpt --prompt 'of beer' --tokens 60 --temperature 0 --seed 2
same c b 'temperature 0, another seed'
text b --load bytes.ckpt --prompt 'of beer' --tokens 60 --top-k 1
same c b 'top-k 1 and temperature 0'
text b --load bytes.ckpt --prompt 'of beer' --tokens 60 --temperature 2
differ c b 'temperature 2'

# ---- beyond 48 positions: the newest 24 bytes for a beginning, the next to come among them, every 25 bytes
text c --load bytes.ckpt --prompt 'of beer' --tokens 300 --temperature 0
for ((at = 25; at < 250; at += 25)); do
    tail -c +$((at + 1)) c | head -c 24 >prompt
    text b --load bytes.ckpt --prompt-file prompt --tokens 25 --temperature 0
    tail -c +$((at + 1)) c | head -c 49 | cmp -s - b || fail "from byte $at on: not what the newest half makes the model say"
done

# ---- any format; and weights that say nothing
for file in bytes.safetensors bytes.bin; do
    expect 0 'weights-hash' convert bytes.ckpt $file
    text b --load $file --prompt 'of beer' --tokens 200 --seed 7
    same a b "$file"
done
printf '\0\0\300\177' | dd of=bytes.bin bs=1 seek=1024 conv=notrunc status=none # wte begins there: a NaN
expect 1 'the logit of token 0 after position 6 is NaN' sample --load bytes.bin --prompt 'of beer' --temperature 0
[[ $(<out) == 'of beer' ]] || fail 'a NaN: more than the prompt'

# ---- prompts: from a file, from stdin, longer than the model sees, none
printf 'of beer' >prompt
text b --load bytes.ckpt --prompt-file prompt --tokens 200 --seed 7
same a b '--prompt-file'
"$program" sample --load bytes.ckpt --prompt-file - --tokens 200 --seed 7 <prompt >b 2>err || fail "--prompt-file -: exit $?"
same a b '--prompt-file -'
printf '\0\377\n' >prompt
text b --load bytes.ckpt --prompt-file prompt --tokens 5
[[ $(od -An -tx1 -N3 b) == ' 00 ff 0a' && $(wc -c <b) == 8 ]] || fail 'a prompt of any bytes'
text b --load bytes.ckpt --prompt-file book.txt --tokens 9 --temperature 0
tail -c 48 book.txt >prompt
text c --load bytes.ckpt --prompt-file prompt --tokens 9 --temperature 0
[[ $(tail -c 57 b | od -c) == "$(od -c <c)" ]] || fail 'a long prompt: not its last 48 tokens'
text b --load bytes.ckpt --tokens 30
[[ $(head -c 1 b | od -An -tx1) == ' 0a' && $(wc -c <b) == 31 ]] || fail 'no prompt: not from a new line'

# ---- numbers: what is written can be given back
text b --load bytes.ckpt --prompt-tokens 111,102,32,98,101,101,114 --tokens 200 --seed 7
[[ $(tr -d '\n' <b | tr , '\n' | wc -l) == 206 ]] || fail 'numbers: not 207 of them'
[[ $(tr ',' ' ' <b) == "$(od -An -v -tu1 -w300 a | tr -s ' ' | sed 's/^ //')" ]] || fail 'numbers: not those of the bytes'
text a --load numbers.ckpt --prompt-tokens 5 --tokens 20
text b --load numbers.ckpt --prompt-tokens "$(cut -d, -f1-11 a)" --tokens 10 --temperature 0
text c --load numbers.ckpt --prompt-file <(cut -d, -f1-11 a | tr , ' ') --tokens 10 --temperature 0
same b c 'numbers from a file'
[[ $(cut -d, -f1-11 a) == "$(cut -d, -f1-11 b)" ]] || fail 'numbers: the prompt is another'
# all 256 alike: 516 of 3000 below 44, 880 if the other 44 tokens were drawn too and cut to bytes
text b --load wide.ckpt --bytes --prompt-file prompt --tokens 3000 --temperature 1e9
few=$(od -An -v -tu1 -w1 b | awk '$1 < 44' | wc -l)
kinds=$(od -An -v -tu1 -w1 b | sort -u | wc -l)
if (($(wc -c <b) != 3000 + $(wc -c <prompt) || few > 650 || kinds != 256)); then
    fail "--bytes: $few of 3000 bytes are below 44, there are $kinds kinds"
fi

# ---- refused
expect 0 'Usage: dodeca sample' sample --help
refuse 'which model? --load FILE'
refuse 'there are only options' bytes.ckpt
refuse 'nowhere.ckpt' --load nowhere.ckpt --prompt x
refuse 'book.txt' --load book.txt --prompt x
head -c 5000 bytes.ckpt >cut.ckpt
refuse 'cut.ckpt' --load cut.ckpt --prompt x
refuse 'one prompt' --load bytes.ckpt --prompt x --prompt-tokens 3
refuse 'leave one out' --load bytes.ckpt --bytes --prompt-tokens 3
refuse 'the prompt is empty' --load bytes.ckpt --prompt ''
refuse 'the prompt is empty' --load bytes.ckpt --prompt-tokens ' , '
refuse 'prompt-file nowhere' --load bytes.ckpt --prompt-file nowhere
refuse 'prompt-file .:' --load bytes.ckpt --prompt-file .
refuse 'there is no tokenizer here; give numbers as --prompt-tokens' --load numbers.ckpt --prompt x
refuse 'no prompt: the model' --load numbers.ckpt
refuse 'a byte may be 255' --load numbers.ckpt --bytes --prompt x
refuse 'or --bytes, if it was trained on bytes' --load wide.ckpt --prompt x
refuse '"64" at byte 2 is no token: whole numbers from 0 to 63' --load numbers.ckpt --prompt-tokens 3,64
refuse 'is no token' --load numbers.ckpt --prompt-tokens 3,-1
refuse 'is no token' --load numbers.ckpt --prompt-tokens 99999999999999999999999999
refuse 'from 1 to' --load bytes.ckpt --tokens 0
refuse 'from 0 to' --load bytes.ckpt --top-k -1
refuse 'a number, 0 or greater' --load bytes.ckpt --temperature -1
refuse 'a number, 0 or greater' --load bytes.ckpt --temperature nan
refuse 'this build has auto, off, avx2, avx512, neon' --load bytes.ckpt --simd sse2
timeout 60 "$program" sample --load bytes.ckpt --tokens 1000000000000 >/dev/full 2>err
code=$?
((code == 3)) || fail "stdout that cannot be written: exit $code, not 3"
grep -q 'could not be written' err || fail 'stdout that cannot be written: nothing says so'

# ---- Ctrl-C: what was drawn so far
text a --load bytes.ckpt --prompt x --tokens 4000 --seed 3
set -m # a job of its own: its Ctrl-C is not ignored
: >b   # what an earlier part left there would tell too soon that it has begun
"$program" sample --load bytes.ckpt --prompt x --tokens 1000000000 --seed 3 >b 2>err &
child=$!
set +m
for ((i = 0; i < 300; i++)); do
    (($(wc -c <b) > 100)) && break
    sleep 0.1
done
kill -INT "$child"
wait "$child"
code=$?
((code == 130)) || fail "Ctrl-C: exit $code, not 130"
grep -qE 'stopped by Ctrl-C after [0-9]+ of 1000000000 tokens' err || fail 'Ctrl-C: nothing says so'
head -c 100 b | cmp -s - <(head -c 100 a) || fail 'Ctrl-C: not the begin of the text'
(($(wc -c <b) == 1 + $(sed -n 's/.*after \([0-9]*\) of.*/\1/p' err))) || fail 'Ctrl-C: not as many bytes as it says'

((failures == 0)) && echo 'sample: all held'
exit $((failures > 0))
