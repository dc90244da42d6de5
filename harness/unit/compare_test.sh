#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Google Benchmark's own compare.py takes what `dodeca bench` writes: two runs, with the test of significance, and one
# run's barriers against each other. A run whose times were doubled is told as such. usage: compare_test.sh PROGRAM
set -uo pipefail
program=$(realpath "$1")
python=/usr/bin/python3 # Debian's, as its package expects
compare=/usr/share/benchmark/compare.py

if [[ ! -e $compare ]] || ! "$python" -c 'import numpy, scipy.stats' 2>/dev/null; then
    echo "SKIP: needs $compare and scipy; scripts/setup.sh --compare installs them"
    exit 3
fi
folder=$(mktemp -d "${TMPDIR:-/tmp}/dodeca-compare.XXXXXX")
trap 'rm -rf "$folder"' EXIT
cd "$folder" || exit 1
failures=0

fail()
{
    echo "FAIL: $*"
    cat out
    failures=$((failures + 1))
}

says() # PATTERN
{
    grep -qE -- "$1" out || fail "nothing matches \"$1\""
}

bench() # FILE
{
    "$program" bench --benchmark_min_time=0.001 --benchmark_repetitions=9 --benchmark_out="$1" \
        --benchmark_enable_random_interleaving=true \
        --benchmark_filter='^(barrier/(dodeca-tree|pthread)/threads:2/|empty_step/tree/workers:2/|kernel/gelu/.*/micro)' \
        >out 2>&1 || fail "dodeca bench: exit $?"
}

compare() # ARGUMENT…
{
    "$python" "$compare" --no-color "$@" >out 2>&1 || fail "compare.py $*: exit $?"
}

bench a.json
bench b.json
compare benchmarks a.json b.json
says '^barrier/dodeca-tree/threads:2/manual_time '
says '^barrier/dodeca-tree/threads:2/manual_time_median '
says '^barrier/pthread/threads:2/manual_time_pvalue .*U Test, Repetitions: 9 vs 9'
says '^empty_step/tree/workers:2/real_time_pvalue '

"$python" - <<'END'
import json

run = json.load(open("a.json"))
for row in run["benchmarks"]:
    if row.get("aggregate_unit") != "percentage":
        row["real_time"] *= 2
json.dump(run, open("doubled.json", "w"))
END
compare benchmarks a.json doubled.json
says '^empty_step/tree/workers:2/real_time_median +\+1\.0000 '
compare benchmarks a.json a.json
says '^empty_step/tree/workers:2/real_time_median +\+0\.0000 '

compare filters a.json barrier/dodeca-tree barrier/pthread
says '\[barrier/dodeca-tree vs\. barrier/pthread\]/threads:2/manual_time_median '

((failures == 0)) && echo 'compare.py takes what dodeca bench writes'
exit $((failures > 0))
