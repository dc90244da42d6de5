#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Trains the same models with every compiler, optimisation level, kernel set, worker count, barrier and reduction, and
# with the oracle, and demands one weights hash per model, the one in results/expected/hashes.txt. Refuses
# to change that file unless told to (--update).
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

expected=$root/results/expected/hashes.txt

usage()
{
    cat <<'END'
usage: scripts/same_bits.sh [--full] [--here DIR] [--update]

Builds with gcc and clang at -O0, -O1, -O2 and -O3 into build-bits/, trains a shape of about 10,000 parameters and
nano for 20 steps on built-in data in each build with every kernel set and several worker counts, barriers and
reductions, and with the oracle (--serial), and compares all weights with one another and with
results/expected/hashes.txt. A line per build and model, and one per difference.

  --full      also micro (not at -O0)
  --here DIR  no compiling: only the build in DIR
  --update    write the hashes found to results/expected/hashes.txt, if all builds agree

exit: 0 all equal, 1 a difference, 2 bad usage, 3 equal, but a compiler is missing
END
}

full=false
update=false
here=
while (($#)); do
    case $1 in
    --help | -h)
        usage
        exit 0
        ;;
    --full) full=true ;;
    --update) update=true ;;
    --here)
        (($# >= 2)) || bad_usage "--here needs a folder"
        here=$(cd "$2" && pwd) || exit 2
        shift
        ;;
    *) bad_usage "unknown argument \"$1\"" ;;
    esac
    shift
done

# ---- what is trained ---------------------------------------------------------------------------------------

# What decides the bits, by name. Odd sizes on purpose: no multiple of a vector, lanes of unequal length.
model_settings() # NAME
{
    case $1 in
    tiny) echo '--model L=1,NH=5,C=25,V=67,T=13 --batch 17 --steps 20 --warmup 5 --seed 3' ;;
    nano) echo '--model nano --seq 15 --batch 13 --steps 20 --warmup 5 --seed 1' ;;
    micro) echo '--model micro --seq 32 --batch 13 --steps 20 --warmup 5 --seed 1' ;;
    esac
}

# What must not: the oracle, then kernel set, workers, depth, stealing, barrier, reduction.
variants() # NAME
{
    echo '--serial'
    case $1 in
    tiny)
        local simd shape barrier reduce
        for simd in off auto; do
            for shape in '--workers 1' '--workers 2 --steal' '--workers 3 --depth 2' '--workers 5' \
                '--workers 8 --depth 3 --steal' '--workers 12 --depth 2'; do
                for barrier in tree pthread; do
                    for reduce in tree control sliced; do
                        echo "--simd $simd $shape --barrier $barrier --reduce $reduce"
                    done
                done
            done
        done
        ;;
    nano)
        echo '--simd off --workers 1 --barrier tree --reduce tree'
        echo '--simd off --workers 4 --barrier pthread --reduce control'
        echo '--simd auto --workers 1 --barrier tree --reduce control'
        echo '--simd auto --workers 2 --barrier pthread --reduce tree'
        echo '--simd auto --workers 7 --barrier tree --reduce sliced --steal'
        echo '--simd auto --workers 12 --barrier tree --reduce control'
        ;;
    micro)
        echo '--simd off --workers 2 --barrier tree --reduce tree'
        echo '--simd auto --workers 1 --barrier tree --reduce tree'
        echo '--simd auto --workers 2 --barrier pthread --reduce control'
        echo '--simd auto --workers 8 --depth 2 --barrier tree --reduce sliced'
        ;;
    esac
}

# ---- the builds --------------------------------------------------------------------------------------------

folders=()
labels=()
skipped=false
failed=false

line()
{
    printf '%-10s %-6s %5s  %-32s  %s\n' "$@"
}

line build model runs weights verdict
if [[ -n $here ]]; then
    folders=("$here")
    labels=(here)
else
    for compiler in gcc clang; do
        if ! have "$compiler"; then
            line "$compiler" - - - "SKIP: $compiler is not installed"
            skipped=true
            continue
        fi
        for level in O0 O1 O2 O3; do
            build_tree "$root/build-bits/$compiler-$level" -DCMAKE_C_COMPILER="$(command -v "$compiler")" \
                -DCMAKE_C_FLAGS_RELEASE="-$level" -- dodeca_program
            folders+=("$root/build-bits/$compiler-$level")
            labels+=("$compiler-$level")
        done
    done
fi
((${#folders[@]})) || exit 3

# ---- the runs ----------------------------------------------------------------------------------------------

output=$(mktemp)
trap 'rm -f "$output"' EXIT

train() # FOLDER ARGUMENT…  sets weights and data, both empty after a failure
{
    local folder=$1
    shift
    weights=
    data=
    if "$folder/dodeca" train --data builtin --json "$@" >"$output" 2>&1 </dev/null; then
        weights=$(sed -n 's/.*"weights_hash": *"\([0-9a-f]\{32\}\)".*/\1/p' "$output")
        data=$(sed -n 's/.*"data_hash": *"\([0-9a-f]\{32\}\)".*/\1/p' "$output")
    fi
}

declare -A wanted=() # by data hash and settings
if [[ -r $expected ]]; then
    while read -r weights data settings; do
        wanted["$data $settings"]=$weights
    done < <(grep -v -e '^#' -e '^$' "$expected")
fi

models=(tiny nano)
! $full || models+=(micro)
declare -A seen=() data_of=()
for model in "${models[@]}"; do
    read -r -a settings <<<"$(model_settings "$model")"
    for i in "${!folders[@]}"; do
        [[ $model != micro || ${labels[i]} != *-O0 ]] || continue
        runs=0
        different=0
        verdict=PASS
        while read -r -a variant; do
            train "${folders[i]}" "${settings[@]}" "${variant[@]}"
            runs=$((runs + 1))
            if [[ -z $weights || -z $data ]]; then
                cat "$output" >&2
                say "${labels[i]}: dodeca train ${settings[*]} ${variant[*]}: no hash"
                verdict=FAIL
                continue
            fi
            [[ -n ${seen[$model]:-} ]] || seen[$model]=$weights data_of[$model]=$data
            if [[ $weights != "${seen[$model]}" || $data != "${data_of[$model]}" ]]; then
                # The first few tell what they have in common.
                ((different++ >= 5)) ||
                    say "${labels[i]}: dodeca train ${settings[*]} ${variant[*]}: weights $weights, data $data"
                verdict="FAIL: $different runs have other bits"
            fi
        done < <(variants "$model")
        key="${data_of[$model]:-} ${settings[*]}"
        if [[ $verdict == PASS ]] && ! $update; then
            if [[ -z ${wanted[$key]:-} ]]; then
                verdict='FAIL: no hash is expected for these settings and data'
            elif [[ ${wanted[$key]} != "${seen[$model]}" ]]; then
                verdict="FAIL: expected ${wanted[$key]}"
            fi
        fi
        [[ $verdict == PASS ]] || failed=true
        line "${labels[i]}" "$model" "$runs" "${seen[$model]:--}" "$verdict"
    done
    wanted[$key]=${seen[$model]:-}
done

! $failed || exit 1
if $update; then
    mkdir -p "$(dirname "$expected")"
    {
        echo '# What scripts/same_bits.sh expects, written by it (--update). A line that changes is a change of the bit'
        echo '# contract and needs its own commit with its reason.'
        echo '# weights hash, data hash, settings of "dodeca train --data builtin"'
        for key in "${!wanted[@]}"; do
            echo "${wanted[$key]} $key"
        done | sort -k 3
    } >"$expected"
    say "same_bits.sh: wrote $expected"
fi
! $skipped || exit 3
