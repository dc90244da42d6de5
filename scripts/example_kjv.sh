#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# The worked example: trains micro on the King James text, and sets what it makes of held-out text beside what three
# compressors make of the same bytes. Refuses to print a table of a model that did not predict all of these bytes, or
# whose weights are not the expected ones.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

usage()
{
    cat <<'END'
usage: scripts/example_kjv.sh [--quick] [--yes] [--dodeca PROGRAM] [--save FILE] [--log FILE] [--out FILE] [--update]
                              [--help]

Sets up what is missing (xz, zstd and 7-Zip too) and builds into build/; trains micro on the first nine tenths of the
King James text, 4000 steps, which takes 7 to 11 minutes on 2 cores; and prints, in bits per byte of the last tenth, how
well the model predicts it and what xz -9, zstd -19 and 7-Zip's PPMd compress it to, alone and with the text trained on
before it. Writes the table to results/tables/kjv.md. The weights are the same on every machine, bit for bit: their hash
is compared with results/expected/kjv.txt.

  --quick           60 steps, half a minute: to see that it works; writes no table unless --out names a file
  --yes             install missing packages without asking
  --dodeca PROGRAM  train with PROGRAM; nothing is set up or built
  --save FILE       keep the trained model, as a checkpoint for "dodeca sample --load FILE" and "dodeca inspect FILE"
  --log FILE        keep the log of the training; FILE must not exist
  --out FILE        where the table is written
  --update          write the hash that was reached to results/expected/kjv.txt

exit: 0 table printed, 1 training failed, other weights than expected, or no better than xz alone; 2 bad usage,
      3 something is missing, 130 Ctrl-C
END
}

quick=false
update=false
setup=()
dodeca=
out=
log=
keep=()
while (($#)); do
    case $1 in
    --help | -h)
        usage
        exit 0
        ;;
    --quick) quick=true ;;
    --update) update=true ;;
    --yes | -y) setup=(--yes) ;;
    --dodeca | --save | --log | --out)
        (($# >= 2)) || bad_usage "$1 needs a value"
        case $1 in
        --dodeca) dodeca=$2 ;;
        --save) keep=(--save "$2") ;;
        --log) log=$2 ;;
        --out) out=$2 ;;
        esac
        shift
        ;;
    *) bad_usage "unknown argument \"$1\"" ;;
    esac
    shift
done
[[ -n $out ]] || $quick || out=$root/results/tables/kjv.md
[[ -z $out || -d $(dirname "$out") && -w $(dirname "$out") ]] || die 2 "--out: no folder to write $out in"
[[ -z $log || ! -e $log ]] || die 2 "--log: there is such a file, $log, and none is overwritten"

# ---- what is needed ------------------------------------------------------------------------------------------

if [[ -z $dodeca ]]; then
    "$root/scripts/setup.sh" "${setup[@]}" --example
    build_tree "$root/build"
    dodeca=$root/build/dodeca
fi
[[ -x $dodeca ]] || die 3 "there is no program $dodeca"
for program in xz zstd 7z; do
    have "$program" || die 3 "there is no program $program; scripts/setup.sh --example installs it"
done

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
expected=$root/results/expected/kjv.txt
log=${log:-$work/log.jsonl}

# ---- training --------------------------------------------------------------------------------------------------

# What decides the bits. 3,440 windows of 128 bytes are held out, which batches of 8 cover without a rest.
settings=(--model 'micro,T=128' --batch 8 --lr 0.002 --beta2 0.99 --min-lr-ratio 0.05)
if $quick; then
    settings+=(--steps 60 --warmup 10)
    every=()
else
    settings+=(--steps 4000 --warmup 200)
    every=(--validate-every 1000)
fi
# More batches than there are: all.
status=0
"$dodeca" train --data kjv "${settings[@]}" --validate 4000000000 "${every[@]}" "${keep[@]}" --log "$log" >"$work/summary" || status=$?
((status == 0)) || exit "$status"

field() # NAME LINE  a number or text in a line of the log
{
    sed -n 's/.*"'"$1"'":"\{0,1\}\([^,"}]*\).*/\1/p' <<<"$2"
}
head=$(sed -n 1p "$log")
final=$(tail -n 1 "$log")
seq=$(field seq "$head")
windows=$(field validation_windows "$head")
covered=$(($(field validation_batches "$head") * $(field batch "$head")))
((covered == windows)) || die 1 "the validation covers $covered of the $windows windows that are held out"
text=$(field data "${head/*\"parameters\"/}")
text=${text#bytes:}
data_hash=$(field data_hash "$head")
weights_hash=$(field weights_hash "$final")
bits=$(field validation_bits_per_byte "$final")

line="$weights_hash $data_hash ${settings[*]}"
want=$(grep -s -F " $data_hash ${settings[*]}" "$expected" | cut -d ' ' -f 1 || true)
if $update; then
    {
        echo '# What scripts/example_kjv.sh expects, written by it (--update). A line that changes is a change of the bit'
        echo '# contract, or of the settings, and needs its own commit with its reason.'
        echo '# weights hash, data hash, settings of "dodeca train --data kjv"'
        {
            grep -s -v -e '^#' "$expected" | grep -v -F " $data_hash ${settings[*]}" || true
            echo "$line"
        } | sort -k 3
    } >"$work/expected"
    cp "$work/expected" "$expected"
elif [[ -n $want && $want != "$weights_hash" ]]; then
    die 1 "the weights are $weights_hash, not $want as results/expected/kjv.txt has it: the bit contract is broken"
elif [[ -z $want ]]; then
    say "the weights are $weights_hash; results/expected/kjv.txt expects nothing for this text (--update writes it there)"
fi

# ---- the same bytes, compressed --------------------------------------------------------------------------------

# Window i is the bytes from i T to i T + T, of which the model predicts all but the first: held-out windows follow
# one another, so that together they predict every byte of one piece once.
first=$(($(field train_windows "$head") * seq + 1))
held=$((windows * seq))
head -c $((first + held)) "$text" >"$work/both"
head -c "$first" "$work/both" >"$work/before"
tail -c "$held" "$work/both" >"$work/held"
(($(wc -c <"$work/held") == held && $(wc -c <"$work/both") == first + held)) || die 1 "$text has changed meanwhile"

ppmd() # ORDER FILE
{
    rm -f "$work/archive.7z"
    7z a -bd -m0=PPMd:o="$1":mem=256m "$work/archive.7z" "$2" >"$work/7z" 2>&1 </dev/null ||
        die 1 "7z failed: $(tail -n 1 "$work/7z")"
    wc -c <"$work/archive.7z"
}

compressed() # METHOD FILE  bytes
{
    case $1 in
    xz) xz -9 -T 1 -c "$2" | wc -c ;;
    zstd) zstd -19 -q -c "$2" | wc -c ;;
    *) ppmd "$1" "$2" ;;
    esac
}

measure() # METHOD  bytes alone, and with what was trained on before it: what it adds to that
{
    local before both
    before=$(compressed "$1" "$work/before")
    both=$(compressed "$1" "$work/both")
    echo "$(compressed "$1" "$work/held") $((both - before))"
}

per_byte() # BYTES
{
    awk -v b="$1" -v n="$held" 'BEGIN { printf "%.3f", 8 * b / n }'
}

say "compressing the same bytes …"
read -r xz_alone xz_after < <(measure xz)
read -r zstd_alone zstd_after < <(measure zstd)
# PPMd's best order is another for each: it gets the best of four.
for order in 8 16 24 32; do
    measure "$order"
done >"$work/orders"
ppmd_alone=$(cut -d ' ' -f 1 "$work/orders" | sort -n | sed -n 1p)
ppmd_after=$(cut -d ' ' -f 2 "$work/orders" | sort -n | sed -n 1p)

# ---- the table -------------------------------------------------------------------------------------------------

steps=$(field steps "${final/*\"why\"/}")
seconds=$(awk -v ns="$(field elapsed_ns "$final")" 'BEGIN { printf "%.0f", ns / 1e9 }')
how=scripts/example_kjv.sh
! $quick || how+=' --quick'
row() # WHO ALONE AFTER
{
    echo "| $1 | $2 | $(per_byte "$2") | $3 | $(per_byte "$3") |"
}
{
    echo '# The King James text'
    echo
    echo "\`$how\`: a model trained on the first $first bytes of the text, beside compressors, on the $held bytes that"
    echo "follow."
    echo
    echo "$(field cpu "$head"), $(cores) cores usable, Linux $(uname -r)."
    echo "$("$dodeca" --version), kernels $(field kernels "$head")."
    echo "$(xz --version | sed -n 1p); $(zstd --version 2>&1 | grep -o 'v[0-9.]*' | sed 's/^v/zstd /'); $(7z | sed -n 's/^\(7-Zip[^:]*[^: ]\) *:.*/\1/p')."
    echo
    echo '| on the same held-out bytes | alone: bytes | bits per byte | with the training text before: bytes | bits per byte |'
    echo '|---|---:|---:|---:|---:|'
    row 'xz -9' "$xz_alone" "$xz_after"
    row 'zstd -19' "$zstd_alone" "$zstd_after"
    row "7-Zip's PPMd" "$ppmd_alone" "$ppmd_after"
    awk -v bits="$bits" -v n="$held" -v steps="$steps" 'BEGIN {
        printf "| micro, %d steps |  |  | %.0f | %.3f |\n", steps, bits * n / 8, bits }'
    echo
    echo "- Training: \`dodeca train --data kjv ${settings[*]}\`, $(field tokens_per_s "${final/*\"best_validation\"/}" | cut -d . -f 1) bytes/s, $seconds s with validation;"
    echo "  $(field parameters "$head") parameters, weights hash $weights_hash on data $data_hash."
    echo "- The model predicts each of these bytes once, the ${seq} last of each window of $((seq + 1)): it sees between 1 and ${seq} bytes"
    echo "  before the one it predicts, a compressor everything before it. Its bytes are what an arithmetic coder would write;"
    echo "  neither the model's weights nor the compressors' programs are counted."
    echo "- With the training text before: what the held-out bytes add to the compressed training text."
    echo "- PPMd: the best of orders 8, 16, 24 and 32 in each column, 256 MB of memory."
    sed -n 's/^{"validation":\([0-9]*\),.*"bits_per_byte":\([0-9.]*\),.*/\1 \2/p' "$log" |
        awk 'NR > 1 { list = list ", " } { list = list sprintf("%d: %.3f", $1, $2) }
             END { if (NR > 1) print "- Bits per byte of held-out text after so many steps: " list "." }'
} >"$work/table"
cat "$work/table"
[[ -z $out ]] || cp "$work/table" "$out"

if ! $quick && ! awk -v a="$bits" -v b="$(per_byte "$xz_alone")" 'BEGIN { exit !(a < b) }'; then
    die 1 "the model takes $bits bits per byte, no less than xz alone"
fi
