#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# The worked example (scripts/example_kjv.sh) on a text of its own, with a model that trains in no time and compressors that
# compress nothing: which bytes are set beside which, the arithmetic of the table, the expected hash, refusals.
# usage: example_test.sh PROGRAM
set -uo pipefail
tests=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

export real
real=$(realpath "$1")
folder=$(mktemp -d "${TMPDIR:-/tmp}/dodeca-example.XXXXXX")
trap 'rm -rf "$folder"' EXIT
cd "$folder" || exit 1
export LC_ALL=C XDG_CACHE_HOME=$folder/cache folder
mkdir -p scripts results/expected results/tables bin cache/dodeca seen
cp "$tests/../../scripts/example_kjv.sh" "$tests/../../scripts/lib.sh" scripts/
# shellcheck source=harness/unit/expect.sh
. "$tests/expect.sh"

# 160 windows of 128, of which 16 are held out: they predict bytes 18433 to 20480
text=cache/dodeca/kjv.txt
perl -e 'srand 3; print join "", map { chr(97 + int(26 * rand() * rand())) } 1 .. 20600' >"$text"

cat >dodeca <<'END'
#!/usr/bin/env bash
[[ $1 == train ]] || exec "$real" "$@"
for argument; do
    case $argument in
    micro,T=128) argument=L=1,NH=1,C=8,V=256,T=128 ;;
    4000) argument=50 ;; # steps, of them warm-up, and between validations
    200) argument=10 ;;
    1000) argument=20 ;;
    esac
    arguments+=("$argument")
done
exec "$real" "${arguments[@]}"
END
# What the last argument names, as it is, and kept to be looked at; or a single byte.
cat >bin/xz <<'END'
#!/usr/bin/env bash
[[ $1 != --version ]] || { echo 'xz 0'; exit; }
cp "${@: -1}" "$folder/seen/"
if [[ -e $folder/tiny ]]; then printf x; else cat "${@: -1}"; fi
END
cp bin/xz bin/zstd
cat >bin/7z <<'END'
#!/usr/bin/env bash
[[ $1 == a ]] || { echo '7-Zip 0 : nothing'; exit; }
cp "${@: -1}" "${@: -2:1}"
END
chmod +x dodeca bin/*
program=$folder/scripts/example_kjv.sh
PATH=$folder/bin:$PATH

# ---- the table, and which bytes it is of
expect 0 '| xz -9 | 2048 | 8.000 | 2048 | 8.000 |' --quick --dodeca ./dodeca --out table.md --log log.jsonl --save model
for row in "| 7-Zip's PPMd | 2048 | 8.000 | 2048 | 8.000 |" '| zstd -19 | 2048 | 8.000 | 2048 | 8.000 |' 'the first 18433 bytes' \
    'the 2048 bytes that'; do
    grep -qF -- "$row" table.md || fail "the table has no \"$row\""
done
cmp -s out table.md || fail 'the table printed is not the table written'
[[ -s log.jsonl && -s model ]] || fail 'log or model were not kept'
head -c 20481 "$text" | tail -c 2048 | cmp -s - seen/held || fail 'other bytes were compressed than those held out'
head -c 18433 "$text" | cmp -s - seen/before || fail 'the text before is not what was trained on'
loss=$(sed -n 's/.*"validation_loss":\([0-9.]*\),.*/\1/p' log.jsonl)
awk -F '|' -v loss="$loss" '/^\| micro, 60 steps/ { n++; d = $6 - loss / log(2); e = $5 - loss / log(2) * 256; if (d * d < 1e-6 && e * e < 1) good++ }
    END { exit !(n == 1 && good == 1) }' table.md || fail 'the row of the model does not follow from its loss'

# ---- the expected hash
expect 0 'expects nothing for this text' --quick --dodeca ./dodeca
expect 0 'micro, 60 steps' --quick --dodeca ./dodeca --update
hash=$(sed -n 's/.*"weights_hash":"\([0-9a-f]*\)".*/\1/p' log.jsonl)
grep -q "^$hash [0-9a-f]\{32\} --model micro,T=128 --batch 8 .*--steps 60 --warmup 10\$" results/expected/kjv.txt || fail 'the hash was not written'
cp results/expected/kjv.txt kept
expect 0 'micro, 60 steps' --quick --dodeca ./dodeca
grep -q 'expects nothing' err && fail 'the expected hash was not found'
sed -i 's/^[0-9a-f]\{32\}/0123456789abcdef0123456789abcdef/' results/expected/kjv.txt
expect 1 'the bit contract is broken' --quick --dodeca ./dodeca
expect 0 'micro, 60 steps' --quick --dodeca ./dodeca --update
cmp -s results/expected/kjv.txt kept || fail '--update leaves another file than before'

# ---- the whole run: a table by itself, the losses on the way, and no worse than xz alone
expect 0 'Bits per byte of held-out text after so many steps' --dodeca ./dodeca
cmp -s out results/tables/kjv.md || fail 'the whole run wrote no table'
touch tiny
expect 1 'no less than xz alone' --dodeca ./dodeca
rm tiny

# ---- refusals
expect 2 'there is such a file' --quick --dodeca ./dodeca --log log.jsonl
expect 2 'no folder to write' --quick --out nowhere/table.md
expect 2 'unknown argument "--fast"' --fast
expect 3 'there is no program ./missing' --quick --dodeca ./missing
expect 0 'usage: scripts/example_kjv.sh' --help
head -c 19300 "$text" >shorter && mv shorter "$text" # 15 windows are held out
expect 1 'covers 8 of the 15 windows' --quick --dodeca ./dodeca
rm "$text"
expect 2 'scripts/setup.sh' --quick --dodeca ./dodeca

((failures == 0)) || exit 1
echo "example: all as it should be"
