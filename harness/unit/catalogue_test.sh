#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# catalogue_test.sh FOLDER, which is harness/defects: its table of known bugs and the defects that are planted say the
# same. Each bug has one row, and a defect or a reason; each defect of the catalogue stands in the rows of the bugs
# that it names, and in no other. And each can be planted in core/ as it is now.
set -euo pipefail

cd "$1"
planted=$(mktemp)
trap 'rm -f "$planted"' EXIT
for script in catalogue/*.sed; do
    ./plant.sh "$script" "../../core/$(sed -n 's/^# source: //p' "$script")" "$planted"
done

bad=$(
    {
        grep -v -e '^#' -e '^$' catalogue.txt | sed 's/^/row | /'
        grep -H '^# catalogue: ' catalogue/*.sed | sed 's/^\(.*\)\.sed:# catalogue: /file | \1 | /'
        printf 'there | %s\n' catalogue/*.sed protocol/*.sed | sed 's/\.sed$//'
    } | awk -F ' [|] ' '
        $1 == "row" {
            if (NF != 4 || $4 == "") print $2 ": a row is ID | PLANTED AS | WHAT STANDS AGAINST IT"
            if (seen[$2]++) print $2 ": a second row"
            n = $3 == "not applicable" ? 0 : split($3, name, " ")
            for (i = 1; i <= n; i++) told[$2 " " name[i]]
        }
        $1 == "file" {
            n = split($3, id, " ")
            for (i = 1; i <= n; i++) names[id[i] " " $2]
        }
        $1 == "there" { there[$2] }
        END {
            for (pair in told) {
                split(pair, word, " ")
                if (!(word[2] in there)) print word[1] ": there is no " word[2] ".sed"
                else if (word[2] ~ /^catalogue/ && !(pair in names)) print word[2] ".sed does not name " word[1]
            }
            for (pair in names) {
                split(pair, word, " ")
                if (!(pair in told)) print word[2] ".sed names " word[1] ", whose row does not name it"
                named[word[2]]
            }
            for (file in there)
                if (file ~ /^catalogue/ && !(file in named)) print file ".sed names no bug"
        }'
)
if [[ -n $bad ]]; then
    sort <<<"$bad" >&2
    exit 1
fi
