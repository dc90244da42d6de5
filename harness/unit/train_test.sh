#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# What `dodeca train` tells of itself, from outside: the log's lines and their order, killed, on a full disk and resumed;
# validation meanwhile, and on exactly the text that is held out; the line on a terminal; a training that is not finite.
# usage: train_test.sh PROGRAM
set -uo pipefail
tests=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

program=$(realpath "$1")
folder=$(mktemp -d "${TMPDIR:-/tmp}/dodeca-train.XXXXXX")
trap 'rm -rf "$folder"' EXIT
cd "$folder" || exit 1
export LC_ALL=C XDG_CACHE_HOME=$folder/cache
# shellcheck source=harness/unit/expect.sh
. "$tests/expect.sh"

# 4,000 bytes: 249 windows of 16, of which 24 are held out
perl -e 'srand 5; print join "", map { chr(97 + int(26 * rand() * rand())) } 1 .. 4000' >text
small=(--model 'L=1,NH=2,C=16,V=256,T=16' --batch 4 --data bytes:text)

# kinds FILE: the kind of each line, its first key, with the number of steps where it has one
kinds()
{
    sed -n 's/^{"\([a-z_]*\)":\([0-9]*\).*/\1\2/p' "$1" | paste -s -d' '
}

# whole FILE: every line is an object, and the last one has its end
whole()
{
    [[ $(grep -c -v '^{".*}$' "$1") == 0 && $(tail -c 1 "$1" | od -A n -t x1) == ' 0a' ]] || fail "$1 has lines that are not whole"
}

has() # FILE TEXT…
{
    local file=$1 text
    shift
    for text; do
        grep -qF -- "$text" "$file" || fail "$file has no $text"
    done
}

# ---- the log: its lines, their order, and that they are those of --json
"$program" train "${small[@]}" --steps 7 --validate 2 --validate-every 3 --log a.jsonl --json >out 2>err || fail 'train --log'
[[ $(kinds a.jsonl) == 'dodeca_log1 step0 step1 step2 validation3 step3 step4 step5 validation6 step6 validation7 final' ]] ||
    fail "a.jsonl: the lines are $(kinds a.jsonl)"
whole a.jsonl
tail -n +2 a.jsonl | cmp -s - out || fail 'the log has other lines than --json'
head -n 1 a.jsonl >first
has first '"steps_done":0' '"started":' '"settings":{"data":"bytes:' '"batch":"4"' '"steps":"7"' '"shape":{"L":1,"NH":2,"C":16,"V":256,"T":16}' \
    '"tokens":4000' '"token_is_byte":true' '"train_windows":225' '"validation_windows":24' '"validation_batches":2' '"data_hash":"' \
    '"machine":{"cpu":' '"build":{"version":' '"compiler":'
grep '^{"step"' a.jsonl | grep -v -c -E \
    '^\{"step":[0-9]+,"loss":[0-9.]+,"norm":[0-9.]+,"lr":[0-9.e-]+,"discarded":false,"wall_ns":[0-9]+,"tokens_per_s":[0-9.]+,"elapsed_ns":[0-9]+\}$' >wrong
[[ $(<wrong) == 0 ]] || fail 'a.jsonl: steps lack fields'
tail -n 1 a.jsonl >final
has final '"status":"DD_OK","why":null,"steps":7,' '"best_validation":' '"weights_hash":"'

expect 0 'loss' train "${small[@]}" --steps 4 --validate 2 --validate-every 2 --log even.jsonl
[[ $(kinds even.jsonl) == 'dodeca_log1 step0 step1 validation2 step2 step3 validation4 final' ]] ||
    fail "even.jsonl: the lines are $(kinds even.jsonl)"

# ---- bits per byte, recomputed; none where a token is no byte
sed -n 's/^{"validation":[0-9]*,"loss":\([0-9.]*\),"bits_per_byte":\([0-9.]*\),.*/\1 \2/p' a.jsonl |
    awk '{ n++; d = $1 / 0.69314718055994530942 - $2; if (!(d < 1e-9 && d > -1e-9)) bad = 1 } END { exit bad || n != 3 }' ||
    fail 'bits per byte are not loss / ln 2'
[[ $(grep -c '"best":true' a.jsonl) -ge 1 ]] || fail 'no validation was the best'
# The last is not always the best: which one is, is told at the end.
"$program" train "${small[@]}" --steps 12 --warmup 0 --lr 3 --min-lr-ratio 1 --validate 2 --validate-every 1 --log best.jsonl >out 2>err ||
    fail 'train --lr 3'
least=$(sed -n 's/^{"validation":\([0-9]*\),"loss":\([0-9.]*\),.*/\2 \1/p' best.jsonl | sort -g | sed -n 1p)
grep -qF "\"best_validation_loss\":${least% *},\"best_validation\":${least#* }," best.jsonl || fail "the best validation is $least, the log has another"
((${#least} > 8 && ${least#* } < 12)) || fail "the best validation is $least: this test needs one before the last"
grep -q "^best validation  .* bits per byte, after ${least#* } steps\$" out || fail 'the best validation is not told'
[[ $(sed -n 's/^{"validation":\([0-9]*\),.*"best":true.*/\1/p' best.jsonl | tail -n 1) == "${least#* }" ]] || fail 'the best validation is not marked'
expect 0 '"bits_per_byte":null' train "${small[@]}" --data builtin --steps 1 --validate 1 --json

# ---- validation leaves no trace in the bits, whoever trains
plain=$("$program" train "${small[@]}" --steps 7 --validate 0 --print-hash 2>err | sed -n 's/^weights-hash: //p')
for how in '--workers 1' '--workers 3 --reduce tree' '--workers 2 --guard' '--workers 4 --steal' '--serial'; do
    read -ra arguments <<<"$how"
    expect 0 "weights-hash: $plain" train "${small[@]}" --steps 7 --validate 3 --validate-every 2 --print-hash "${arguments[@]}"
    grep -qE '^validation loss  [0-9.]+, [0-9.]+ bits per byte$' out || fail "train $how: no validation loss in bits"
done
grep -q "\"weights_hash\":\"$plain\"" final || fail 'the log ends in another hash'

# ---- what is held out: windows 225 to 248 predict bytes 3601 to 3984, the first from byte 3600 on
loss_with() # BYTE  the validation loss before training, where that byte is another
{
    perl -e 'local $/; open F, "<", "text"; $_ = <F>; substr($_, $ARGV[0], 1) = "~" if $ARGV[0] >= 0; print' -- "$1" >changed
    "$program" train "${small[@]}" --data bytes:changed --steps 1 --stop-after 0 --validate 1000 --json 2>err |
        sed -n 's/.*"validation_loss":\([0-9.]*\),.*/\1/p'
}
before=$(loss_with -1)
[[ -n $before ]] || fail 'no validation before the first step'
for byte in 0 3599 3985 3999; do
    [[ $(loss_with $byte) == "$before" ]] || fail "byte $byte is not held out, yet the validation loss depends on it"
done
for byte in 3600 3601 3700 3984; do
    [[ $(loss_with $byte) != "$before" ]] || fail "byte $byte is held out, yet the validation loss does not depend on it"
done

# ---- refusals
expect 2 'log a.jsonl: there is such a file' train "${small[@]}" --steps 1 --log a.jsonl
[[ $(wc -l <a.jsonl) == 12 ]] || fail 'a.jsonl was written to'
expect 2 'log nowhere/a.jsonl: No such file' train "${small[@]}" --steps 1 --log nowhere/a.jsonl
seq 3000 >$'latin\xe9'
expect 3 'log x.jsonl: cannot begin: no memory, or a path that is not UTF-8' train "${small[@]}" --steps 1 --log x.jsonl --data $'bytes:latin\xe9'
[[ ! -e x.jsonl ]] || fail 'a log that cannot begin is there'
expect 2 'whole number from 1' train "${small[@]}" --validate-every 0
expect 2 '--validate 0 says none' train "${small[@]}" --validate-every 5 --validate 0
head -c 400 text >short
expect 2 'holds out 2 windows of 16 tokens, too few for a batch of 4' train "${small[@]}" --data bytes:short --steps 3 \
    --validate-every 1 --log b.jsonl
[[ ! -e b.jsonl ]] || fail 'a run that was refused left a log'

# ---- killed: whole lines
"$program" train "${small[@]}" --steps 1000000 --validate-every 50 --validate 1 --log killed.jsonl >out 2>err &
child=$!
for ((i = 0; i < 300; i++)); do
    [[ -e killed.jsonl ]] && (($(wc -l <killed.jsonl) > 200)) && break
    sleep 0.1
done
kill -KILL "$child"
wait "$child" 2>/dev/null
whole killed.jsonl
(($(wc -l <killed.jsonl) > 200)) || fail 'killed.jsonl: too few lines'

# ---- a full disk: told, the training ends as without a log, exit 3, whole lines
(
    ulimit -f 6
    exec "$program" train "${small[@]}" --steps 60 --validate 0 --print-hash --log full.jsonl >out 2>err
)
code=$?
((code == 3)) || fail "full disk: exit $code, not 3"
has err 'log full.jsonl: a line cannot be written' 'nothing more is logged'
whole full.jsonl
[[ $(tail -n 1 out) == "weights-hash: $("$program" train "${small[@]}" --steps 60 --validate 0 --print-hash 2>err | sed -n 's/^weights-hash: //p')" ]] ||
    fail 'full disk: the training ended otherwise than without a log'
"$program" train "${small[@]}" --steps 2 --json >/dev/full 2>err
code=$?
((code == 3)) || fail "train --json to a full disk: exit $code, not 3"
has err 'could not be written to stdout'

# ---- resumed: the log goes on
"$program" train "${small[@]}" --steps 9 --stop-after 4 --save c.dodeca --log c.jsonl >out 2>err || fail 'train --save --log'
[[ $(kinds c.jsonl) == *'step3 '*'save4 '*'final' ]] || fail "c.jsonl: the lines are $(kinds c.jsonl)"
printf '{"step":4,"lo' >>c.jsonl # as a kill may leave it
"$program" train --load c.dodeca --log c.jsonl --workers 3 --print-hash >out 2>err || fail 'train --load --log'
[[ $(kinds c.jsonl) == dodeca_log1\ step0*final\ dodeca_log1\ step4\ step5\ *step8\ *final ]] || fail "c.jsonl: the lines are $(kinds c.jsonl)"
whole c.jsonl
grep '^{"dodeca_log"' c.jsonl | tail -n 1 >first
has first '"steps_done":4'
cp c.jsonl copy
expect 0 'loss' train "${small[@]}" --steps 9 --lr 0.5 --stop-after 1 --save d.dodeca
expect 2 'the log of a training with lr 0.001, this one has 0.5' train --load d.dodeca --log c.jsonl
expect 2 'it is no log of' train --load c.dodeca --log text
expect 2 'no regular file' train --load c.dodeca --log /dev/full
cmp -s c.jsonl copy || fail 'the log of another training was written to'

# ---- not finite
wild=(--warmup 0 --lr 1e6 --grad-clip 0 --eps 1e-30 --beta1 0 --beta2 0 --validate 0)
expect 1 'not finite' train "${small[@]}" "${wild[@]}" --steps 30 --log nan.jsonl
tail -n 1 nan.jsonl >final
has final '"status":"DD_ERR_NONFINITE","why":"step '
expect 1 'not finite' train "${small[@]}" "${wild[@]}" --steps 30 --save nan.dodeca --json
good=$(sed -n 's/^{"final":true,.*"steps":\([0-9]*\),.*/\1/p' out)
last=$(sed -n 's/^{"final":true,.*"weights_hash":"\([0-9a-f]*\)".*/\1/p' out)
has out "{\"save\":$good,\"file\":\"nan.dodeca\",\"failed\":null"
expect 1 "weights-hash: $last" train --load nan.dodeca --print-hash
expect 1 'the last 5 steps were not finite' train "${small[@]}" "${wild[@]}" --steps 300 --nan-policy skip-step --nan-patience 5 \
    --log skip.jsonl
[[ $(grep -c '"discarded":true' skip.jsonl) -ge 5 && $(tail -n 6 skip.jsonl | grep -c '"discarded":true') == 5 ]] ||
    fail 'skip.jsonl: the run did not end after 5 discarded steps in a row'
has skip.jsonl '"status":"DD_ERR_NONFINITE"'

# ---- a terminal: one line, which stays within it
for columns in 80 120; do
    script -qec "stty cols $columns; '$program' train ${small[*]} --steps 40 --validate 1 --validate-every 5 --lr 0.01" /dev/null \
        </dev/null 2>&1 | tr '\r' '\n' | grep -E '^40.* loss ' | sed 's/\x1b\[K//' | tail -n 1 >line
    (($(tr -d '\n' <line | wc -c) < columns && $(wc -l <line) == 1)) || fail "$columns columns: the line is $(<line)"
    grep -qE 'val(idation)? [0-9.]+ .*lr .*norm .*tok.*0:00' line || fail "$columns columns: the line is $(<line)"
done

((failures == 0)) || exit 1
echo "train: all as it should be"
