#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# results/tables/barriers.md: runs the barriers and empty steps of `dodeca bench` and makes one table of them. Refuses to
# measure anything itself, and to write where it cannot write all.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

usage()
{
    cat <<'END'
usage: scripts/barriers_table.sh [--quick] [--build] [--dodeca PROGRAM] [--out FILE]

Times barriers (ours, pthread, libgomp, libomp, Concurrency Kit, a pure spin) with 2 to 1,728 threads, and empty steps
from caller to caller, through Google Benchmark, in random order, 15 times each; then writes medians, 10 and 90 %
quantiles and ratios to results/tables/barriers.md. Some 5 minutes on 2 cores that are otherwise idle.

  --quick           2 and 4 threads and 2 workers only, a moment each: whether it works, no measurement; writes no file
                    unless --out names one
  --build           build build/dodeca first
  --dodeca PROGRAM  instead of build/dodeca
  --out FILE        where the table is written

exit: 0 written, 1 a barrier could not be measured, 2 bad usage, 3 the environment lacks something, 130 interrupted
END
}

table_options barriers "$@"
filter='^(barrier|empty_step)/'
repetitions=15
seconds=0.2
if $quick; then
    filter='^barrier/.*threads:[24]/|^empty_step/.*workers:2/'
    repetitions=3
    seconds=0.0001
fi
table_program

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

# A background job, so that a signal ends the waiting at once.
status=0
"$dodeca" bench --benchmark_filter="$filter" --benchmark_repetitions="$repetitions" \
    --benchmark_min_time="$seconds" --benchmark_enable_random_interleaving=true --benchmark_format=csv \
    >"$work/rows" 2>"$work/head" </dev/null &
child=$!
wait "$child" || status=$?
child=
if ((status)); then
    cat "$work/head" >&2
    die "$((status < 3 ? 1 : 3))" "the measurement ended with $status"
fi

context() # KEY  of the head of Google Benchmark's report
{
    sed -n "s/^$1: //p" "$work/head" | head -n 1
}

# samples KIND  "NUMBER NAME NS" of each repetition, in order of number and name
samples() # barrier | empty_step
{
    awk -F, -v kind="$1" '
        BEGIN { ns["ns"] = 1; ns["us"] = 1e3; ns["ms"] = 1e6; ns["s"] = 1e9 }
        { gsub(/"/, "", $1); n = split($1, part, "/") }
        part[1] == kind && n == 4 && part[4] ~ /^(manual|real)_time$/ {
            split(part[3], number, ":")
            printf "%d %s %.17g\n", number[2], part[2], $3 * ns[$5]
        }' "$work/rows" | sort -k 1,1n -k 2,2 -k 3,3g
}

# table HEADING BASE  a row for each number and name: median, p10, p90, and the median / that of BASE
table()
{
    awk -v heading="$1" -v base="$2" '
        function quantile(q,  h, i) {
            h = 1 + (n - 1) * q; i = int(h)
            return i < n ? x[i] + (h - i) * (x[i + 1] - x[i]) : x[i]
        }
        function row() {
            if (!n)
                return
            m = quantile(0.5)
            if (name == base) own[number] = m
            rows++; at[rows] = number; median[rows] = m
            line[rows] = sprintf("%7d  %-18s %12.0f %12.0f %12.0f", number, name, m, quantile(0.1), quantile(0.9))
            n = 0
        }
        BEGIN { printf "%s %12s %12s %12s %9s\n", heading, "ns", "p10", "p90", "ratio" }
        $1 != number || $2 != name { row(); number = $1; name = $2 }
        { x[++n] = $3 }
        END {
            row()
            for (i = 1; i <= rows; i++)
                printf "%s %9s\n", line[i], own[at[i]] ? sprintf("%.2f", median[i] / own[at[i]]) : "-"
        }'
}

page()
{
    cat <<END
# Barriers

Barriers and empty steps on $(context dodeca_cores) cores of an $(context dodeca_cpu), $(uname -sr),
$(context dodeca_compiler), commit $(context dodeca_commit), $(context dodeca_build) build. Made by

    scripts/barriers_table.sh$($quick && echo ' --quick (no measurement)' || true)

through \`dodeca bench\`: every measurement is a process of its own, $repetitions of each in random order, at least
$seconds s each. ns: median over them, of one meeting of all threads; p10, p90: their 10 and 90 % quantiles.
ratio: median / the median of dodeca-tree, or of the step with the tree barrier, with as many threads.

\`\`\`
$(samples barrier | table 'threads  barrier           ' dodeca-tree)

$(samples empty_step | table 'workers  empty step, barrier' tree)
\`\`\`

What only polls (spin, ck-…) is left out where there are more threads than cores$(
        left=$(context dodeca_left_out)
        [[ -z $left ]] || echo "; not installed here: $left"
    ).
END
}

page >"$work/page"
cat "$work/page"
if [[ -n $out ]]; then
    cp "$work/page" "$out" || die 3 "cannot write $out"
    say "written to $out"
fi
