#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# plant.sh SCRIPT FROM TO: plants a defect, which is the source FROM changed by the sed script SCRIPT, written to TO. Every
# line of the script is a command of its own. Refuses a script of which one no longer changes anything,
# so that no defect quietly turns into the original.
set -euo pipefail

if (($# != 3)); then
    echo "usage: plant.sh SCRIPT FROM TO" >&2
    exit 2
fi
script=$1 from=$2 to=$3

mkdir -p "$(dirname "$to")"
rm -f "$to"
number=0
while IFS= read -r command || [[ -n $command ]]; do
    number=$((number + 1))
    [[ -n $command && $command != \#* ]] || continue
    if ! changed=$(sed -e "$command" -- "$from"; echo .); then
        echo "$script:$number: not a sed command on a line of its own" >&2
        exit 1
    fi
    if [[ $changed == "$(cat -- "$from"; echo .)" ]]; then
        echo "$script:$number: changes nothing in $from" >&2
        exit 1
    fi
done <"$script"
sed -f "$script" -- "$from" >"$to"
