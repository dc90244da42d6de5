#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Times whole training steps of dodeca and of PyTorch on this CPU, the same shapes and arithmetic,
# in turn, and writes the table. Refuses to install anything, to build unless told to, and to print a
# table of two trainers whose first losses differ.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

usage()
{
    cat <<'END'
usage: scripts/compare_pytorch.sh [--quick] [--build] [--dodeca PROGRAM] [--out FILE] [--help]

Trains GPT-2 shapes on the CPU with dodeca and with PyTorch (harness/bench/torch_step.py): FP32, AdamW with the same
settings, clipping, the same file of random tokens, 1 and 2 threads. They take turns, a run each per repeat; steps
that warm up are left out. About 8 minutes on 2 cores, which should be otherwise idle. Prints the table and writes
it to results/tables/pytorch.md.

  --quick           micro alone, few steps, about a minute; writes no file unless --out names one
  --build           build build/dodeca first
  --dodeca PROGRAM  the program to time (default build/dodeca)
  --out FILE        where the table is written

PyTorch is the first of $PYTHON, python3 and /usr/bin/python3 that can import torch; on Debian 12:
    apt-get install --no-install-recommends python3-torch

exit: 0 table written, 1 a run failed or the first losses differ, 2 bad usage, 3 something is missing, 130 Ctrl-C
END
}

table_options pytorch "$@"

# ---- what is needed ------------------------------------------------------------------------------------------

trainer=$root/harness/bench/torch_step.py
python=
for candidate in "${PYTHON:-}" python3 /usr/bin/python3; do
    if [[ -n $candidate ]] && "$candidate" -c 'import torch' >/dev/null 2>&1; then
        python=$candidate
        break
    fi
done
if [[ -z $python ]]; then
    say "compare_pytorch.sh: no python3 here can import torch; on Debian 12:"
    say "    apt-get install --no-install-recommends python3-torch"
    exit 3
fi
table_program

# ---- runs, ended with the script ---------------------------------------------------------------------------------

work=$(mktemp -d)
child=
leave()
{
    [[ -z $child ]] || kill "$child" 2>/dev/null || true
    [[ -z $child ]] || wait "$child" 2>/dev/null || true
    rm -rf "$work"
}
trap leave EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# run FILE COMMAND…  its stdout in FILE; a background job, so that a signal ends the waiting at once
run()
{
    local file=$1 status=0
    shift
    "$@" >"$file" 2>"$work/errors" </dev/null &
    child=$!
    wait "$child" || status=$?
    child=
    ((status == 0)) && return
    cat "$work/errors" >&2
    die 1 "\"$*\" ended with $status"
}

field() # NAME FILE  the values of a number or text, one per JSON line that has it
{
    sed -n 's/.*"'"$1"'": *"\{0,1\}\([^,"}]*\).*/\1/p' "$2"
}

quantile() # Q  of the numbers on stdin
{
    sort -g | awk -v q="$1" '
        { x[NR] = $1 }
        END { h = 1 + (NR - 1) * q; i = int(h); print i < NR ? x[i] + (h - i) * (x[i + 1] - x[i]) : x[i] }'
}

steps_ms() # FILE WARM  steps that count
{
    field wall_ns "$1" | awk -v warm="$2" 'NR > warm { print $1 / 1e6 }'
}

# Everything that both are told: learning rate constant, the rest are the defaults of dodeca and of torch_step.py.
run_dodeca() # FILE MODEL B T THREADS STEPS
{
    run "$1" "$dodeca" train --json --data "tokens:$work/$2.shard" --model "$2" --batch "$3" --seq "$4" --workers "$5" \
        --steps "$6" --validate 0 --warmup 0 --lr 0.001 --min-lr-ratio 1
}

run_pytorch() # FILE MODEL B T THREADS STEPS [NAME=VALUE…]
{
    run "$1" env "${@:7}" "$python" "$trainer" --json --data "$work/$2.shard" --shape "$2" --batch "$3" --seq "$4" \
        --threads "$5" --steps "$6" --warm 0 --lr 0.001
}

# ---- what PyTorch is told ------------------------------------------------------------------------------------

run_shard() # MODEL
{
    [[ -e $work/$1.shard ]] || run "$work/none" "$python" "$trainer" --shape "$1" --write-shard "$work/$1.shard"
}

# As installed it can fall short of the CPU: an OpenBLAS older than the CPU takes its oldest kernels, and
# PyTorch 1.13 does not take AVX-512 unless told to. The table is against PyTorch told both.
run_shard nano
run_pytorch "$work/first" nano 1 8 1 1
version=$(field torch "$work/first")
blas=$(field blas "$work/first")
core=$(field blas_core "$work/first")
tell=()
cpu_has()
{
    grep -q -w -e "$1" /proc/cpuinfo
}
if [[ $core == Prescott ]] && cpu_has avx512bw; then
    tell+=(OPENBLAS_CORETYPE=SkylakeX)
elif [[ $core == Prescott ]] && cpu_has avx2; then
    tell+=(OPENBLAS_CORETYPE=Haswell)
fi
! cpu_has avx512bw || tell+=(ATEN_CPU_CAPABILITY=avx512)

# ---- the table -----------------------------------------------------------------------------------------------

# Model, batch, tokens, steps that warm up, steps that count, repeats.
if $quick; then
    cells=("micro 8 128 2 5 2")
else
    cells=("micro 8 128 3 20 5" "gpt2-124M 4 64 1 4 3" "gpt2-124M 4 256 1 3 2")
fi

same_start() # MODEL DODECA PYTORCH  first losses: about ln V, and about the same, for the weights differ
{
    local vocabulary=512 a b
    [[ $1 == micro ]] || vocabulary=50257
    a=$(field loss "$2" | sed -n 1p)
    b=$(field loss "$3" | sed -n 1p)
    awk -v a="$a" -v b="$b" -v V="$vocabulary" '
        BEGIN { l = log(V); exit !(a > 0.98 * l && a < 1.04 * l && b > 0.98 * l && b < 1.04 * l) }' ||
        die 1 "first losses of $1: dodeca $a, PyTorch $b; both should be little more than ln $vocabulary"
    losses+=("$1 $a $b")
}

with_spread() # FILE  median, p10 to p90 of the numbers in it, as two cells
{
    printf '%.4g | %.4g to %.4g' "$(quantile 0.5 <"$1")" "$(quantile 0.1 <"$1")" "$(quantile 0.9 <"$1")"
}

row() # MODEL B T THREADS WARM STEPS REPEATS
{
    local model=$1 batch=$2 tokens=$3 threads=$4 warm=$5 repeats=$7 all=$(($5 + $6)) who whos=(dodeca active) repeat a b
    # A single thread waits for nobody.
    ((threads == 1)) || whos+=(passive)
    for ((repeat = 1; repeat <= repeats; repeat++)); do
        say "$model B $batch T $tokens, $threads thread(s): repeat $repeat of $repeats"
        for who in "${whos[@]}"; do
            case $who in
            dodeca) run_dodeca "$work/run.$who" "$model" "$batch" "$tokens" "$threads" "$all" ;;
            active) run_pytorch "$work/run.$who" "$model" "$batch" "$tokens" "$threads" "$all" "${tell[@]}" ;;
            passive)
                run_pytorch "$work/run.$who" "$model" "$batch" "$tokens" "$threads" "$all" "${tell[@]}" \
                    OMP_WAIT_POLICY=passive
                ;;
            esac
            steps_ms "$work/run.$who" "$warm" >"$work/now.$who"
            cat "$work/now.$who" >>"$work/ms.$who"
        done
        a=$(quantile 0.5 <"$work/now.dodeca")
        b=$(for who in "${whos[@]:1}"; do quantile 0.5 <"$work/now.$who"; done | sort -g | sed -n 1p)
        awk -v a="$a" -v b="$b" 'BEGIN { print b / a }' >>"$work/ratios"
    done
    same_start "$model" "$work/run.dodeca" "$work/run.active"
    {
        printf '| %s | %s | %s | %s | %s | %s | ' "$model" "$batch" "$tokens" "$threads" \
            "$(with_spread "$work/ms.dodeca")" "$(with_spread "$work/ms.active")"
        if ((threads == 1)); then printf ' | '; else with_spread "$work/ms.passive"; fi
        printf ' | %.2f | %.2f to %.2f |\n' "$(quantile 0.5 <"$work/ratios")" "$(quantile 0 <"$work/ratios")" \
            "$(quantile 1 <"$work/ratios")"
    } >>"$work/rows"
    rm -f "$work"/ms.* "$work/ratios"
}

losses=()
for cell in "${cells[@]}"; do
    read -r model batch tokens warm steps repeats <<<"$cell"
    run_shard "$model"
    for threads in 1 2; do
        ((threads <= $(cores))) || {
            say "2 threads left out: this process may use one core"
            continue
        }
        row "$model" "$batch" "$tokens" "$threads" "$warm" "$steps" "$repeats"
    done
done

if ((${#tell[@]})); then
    say "micro B 8 T 128, 1 thread: PyTorch as installed"
    run_shard micro
    run_pytorch "$work/untold" micro 8 128 1 6
    untold_ms=$(printf '%.4g' "$(steps_ms "$work/untold" 1 | quantile 0.5)")
fi

cpu=$(awk -F ': *' '/^model name/ { print $2; exit }' /proc/cpuinfo)
how=scripts/compare_pytorch.sh
! $quick || how+=' --quick'
{
    echo '# PyTorch'
    echo
    echo "Whole training steps (forward, loss, backward, clipping, AdamW; FP32) of dodeca and of PyTorch, in turn, on"
    echo "the same random tokens: \`$how\`."
    echo
    echo "${cpu:-$(uname -m)}, $(cores) cores usable, Linux $(uname -r)."
    echo "$("$dodeca" --version), kernels $(field kernels "$work/run.dodeca")."
    echo "PyTorch $version with $blas, $("$python" --version 2>&1)."
    echo
    printf '| %s ' model B T threads 'dodeca ms' 'p10 to p90' 'PyTorch ms' 'p10 to p90' 'passive ms' 'p10 to p90' \
        ratio 'least to most'
    echo '|'
    echo '|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|'
    cat "$work/rows"
    echo
    echo '- ms: medians of all steps that count; p10, p90: of the same steps.'
    echo '- passive: PyTorch with `OMP_WAIT_POLICY=passive`; one thread waits for nobody.'
    echo '- ratio: faster PyTorch / dodeca, from the medians of one repeat; median, least and most of the repeats.'
    if ((${#tell[@]})); then
        echo "- in all rows PyTorch runs with \`${tell[*]}\`: as installed its"
        echo "  OpenBLAS takes kernels for a $core here, PyTorch its own for AVX2 at most,"
        echo "  and micro $untold_ms ms on one thread."
    fi
    printf '%s\n' "${losses[@]}" | sort -u | while read -r model a b; do
        printf -- '- first loss of %s: dodeca %.3f, PyTorch %.3f (start weights differ).\n' "$model" "$a" "$b"
    done
} >"$work/table"
cat "$work/table"
if [[ -n $out ]]; then
    temporary=$(mktemp "$out.XXXXXX")
    if ! { cat "$work/table" >"$temporary" && chmod 644 "$temporary" && mv -f "$temporary" "$out"; }; then
        rm -f "$temporary"
        die 3 "cannot write $out"
    fi
    say "written to $out"
fi
