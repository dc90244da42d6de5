#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# dodeca convert and inspect, from outside: a trained model through every format and back, to the byte; what is refused,
# with which words, and that nothing is written then. usage: convert_test.sh PROGRAM
set -uo pipefail
tests=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

program=$(realpath "$1")
folder=$(mktemp -d "${TMPDIR:-/tmp}/dodeca-convert.XXXXXX")
trap 'rm -rf "$folder"' EXIT
cd "$folder" || exit 1
# shellcheck source=harness/unit/expect.sh
. "$tests/expect.sh"

# refuse TEXT ARGUMENT…: exit 2, one line on stderr, nothing on stdout, no new file
files()
{
    find . ! -name out ! -name err | sort
}
refuse()
{
    local before
    before=$(files)
    expect 2 "$@"
    shift
    [[ $(wc -l <err) == 1 && ! -s out ]] || fail "dodeca $*: not one line on stderr alone"
    [[ $(files) == "$before" ]] || fail "dodeca $*: left a file"
}

# ---- a model, from a training and through every format
expect 0 'weights-hash: ' train --data builtin --model L=2,NH=2,C=12,V=64,T=8 --steps 2 --save run.ckpt --print-hash
hash=$(sed -n 's/^weights-hash: //p' out)
expect 0 "weights-hash: $hash" convert run.ckpt a.safetensors
expect 0 "weights-hash: $hash" convert a.safetensors a.bin
expect 0 "weights-hash: $hash" convert a.bin b.safetensors
expect 0 "weights-hash: $hash" convert b.safetensors b --to llm.c
expect 0 "weights-hash: $hash" convert run.ckpt c.bin
cmp a.safetensors b.safetensors || fail 'safetensors -> llm.c -> safetensors is not the same file'
cmp a.bin b || fail 'llm.c -> safetensors -> llm.c is not the same file'
cmp a.bin c.bin || fail 'checkpoint -> llm.c is not what safetensors -> llm.c is'
for file in run.ckpt a.safetensors a.bin; do
    expect 0 "weights-hash: $hash" inspect $file
    grep -qF 'L 2, NH 2, C 12, V 64, T 8' out || fail "inspect $file: no model"
    grep -qE '^fcprojw +\(2, 12, 48\) ' out || fail "inspect $file: no fcprojw"
    expect 0 "\"weights_hash\":\"$hash\"" inspect $file --json
done
expect 0 'format        checkpoint' inspect run.ckpt
grep -qE '^step +2$' out || fail 'inspect of a checkpoint tells no step'
grep -qE '^lr +0\.001$' out || fail 'inspect of a checkpoint tells no learning rate'
expect 0 'padded to     128 rows of wte' inspect a.bin

# ---- the folder that other libraries load: a config.json beside, which is read again, heads and all
mkdir hub
expect 0 "weights-hash: $hash" convert run.ckpt hub/model.safetensors --config
python3 - <<'END' || fail 'config.json: not what GPT-2 has there'
import json
c = json.load(open('hub/config.json'))
want = dict(n_layer=2, n_head=2, n_embd=12, vocab_size=64, n_positions=8, model_type='gpt2',
            architectures=['GPT2LMHeadModel'], activation_function='gelu_new', layer_norm_epsilon=1e-05,
            tie_word_embeddings=True, torch_dtype='float32', bos_token_id=None, eos_token_id=None)
assert c == want, c
END
expect 0 "weights-hash: $hash" convert hub/model.safetensors d.bin
cmp a.bin d.bin || fail 'safetensors with a config.json -> llm.c is not the same file'
sed -i 's/"n_head": 2/"n_head": 3/' hub/config.json
refuse 'config.json: is there already; --force replaces it' convert run.ckpt hub/again.safetensors --config
expect 0 "weights-hash: $hash" convert run.ckpt hub/model.safetensors --config --force
grep -qF '"n_head": 2' hub/config.json || fail '--force does not replace config.json'
refuse '--config: goes with safetensors' convert run.ckpt e.bin --config

# ---- a NaN and an infinity are counted: in lnfb, the last tensor of llm.c's file
cp a.bin spoilt.bin
size=$(stat -c %s spoilt.bin)
printf '\x00\x00\xc0\x7f\x00\x00\x80\xff' | dd of=spoilt.bin bs=1 seek=$((size - 8)) conv=notrunc status=none
expect 0 'weights-hash: ' inspect spoilt.bin
grep -qE '^lnfb +\(12\) .* 1 +1  [0-9a-f]{32}$' out || fail 'a NaN and an infinity are not counted'
grep -qF "$hash" out && fail 'two weights changed and the hash did not'
expect 0 '"nan":1,"inf":1' inspect spoilt.bin --json

# ---- other files
printf '\x30\0\0\0\0\0\0\0{"x":{"dtype":"I8","shape":[2],"data_offsets":[0,2]}}' >other.safetensors
refuse 'the header is no JSON' inspect other.safetensors
printf '\x37\0\0\0\0\0\0\0{"\\nx":{"dtype":"I8","shape":[2],"data_offsets":[0,2]}}ab' >other.safetensors
expect 0 'no model      other.safetensors: there is no tensor "wte.weight"' inspect other.safetensors
grep -qE '^ +2  I8 +\(2\) +\?x$' out || fail 'inspect lists no tensor, or a line break of its name'
expect 0 '"tensors":[{"name":"\nx","type":"I8","shape":[2],"bytes":2}]' inspect other.safetensors --json
refuse 'no tensor "wte.weight"' convert other.safetensors x.bin
{
    printf '\x88\xd8\x34\x01\1\0\0\0\3\0\0\0'
    head -c 1012 /dev/zero
    printf '\1\0\7\0\2\0'
} >tokens.bin
expect 0 'largest       7' inspect tokens.bin
expect 0 '"tokens":3' inspect tokens.bin --json
refuse 'is a token shard of llm.c, not a model' convert tokens.bin x.safetensors
head -c $(($(stat -c %s run.ckpt) - 1)) run.ckpt >cut.ckpt
refuse 'truncated' inspect cut.ckpt
cp run.ckpt damaged.ckpt # in the moments, which no conversion reads
printf 'x' | dd of=damaged.ckpt bs=1 seek=$(($(stat -c %s damaged.ckpt) - 1)) conv=notrunc status=none
refuse 'the checksum of adam_v.lnfb' inspect damaged.ckpt
refuse 'cannot be opened' inspect none
seq 1000 >text # whose first eight bytes are a header's length as little as any
refuse "text: is no model: byte 0 has not llm.c's magic number 20240326" inspect text
refuse 'byte 8 not the { that a safetensors header begins with' convert text x.bin
refuse 'is a directory' inspect .

# ---- what is refused before anything is read or written
refuse 'is there already; --force replaces it' convert a.bin a.safetensors
refuse 'is the file that is read' convert a.bin a.bin --force
refuse 'is the file that is read' convert a.bin ./a.bin --force
ln a.bin again.bin
refuse 'is the file that is read' convert a.bin again.bin --force
ln -s nowhere link.bin
refuse 'no regular file' convert a.safetensors link.bin --force
refuse 'its name tells no format' convert a.bin a.gguf
refuse 'its name tells no format' convert a.bin .bin
refuse 'its folder cannot be written' convert a.bin none/a.safetensors
refuse 'cannot be opened' convert none a2.bin
refuse 'an empty path' convert a.bin '' --to llm.c
refuse 'truncated' convert cut.ckpt a2.bin
expect 2 'must be safetensors or llm.c' convert a.bin a2.bin --to gguf
expect 2 '1 given' convert a.bin
expect 2 '3 given' convert a.bin b.bin c.bin
expect 2 '0 given' inspect
expect 0 "weights-hash: $hash" convert a.bin b.safetensors --force

# ---- a full disk leaves what was there
cp a.safetensors full.safetensors
(ulimit -f 1 && exec "$program" convert a.bin full.safetensors --force) >out 2>err
(($? == 3)) || fail 'no room for OUT: not exit 3'
grep -qF 'File too large' err || fail 'no room for OUT: nothing says so'
cmp a.safetensors full.safetensors || fail 'no room for OUT: what was there is lost'
compgen -G '*.dodeca-tmp' && fail 'no room for OUT: a temporary file is left'

((failures == 0)) || exit 1
echo 'convert and inspect: all held'
