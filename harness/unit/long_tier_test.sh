#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Tests of scripts/long_tier.sh in a repository of its own, where stand-ins take the place of what runs for hours: what
# stands, what is run again, and what an interruption leaves.
set -euo pipefail
export LC_ALL=C
unset GIT_DIR GIT_WORK_TREE GIT_INDEX_FILE
scripts=$(cd "$(dirname "${BASH_SOURCE[0]}")/../../scripts" && pwd)
if ! command -v git >/dev/null; then
    echo 'SKIP: there is no git here, without which there is no long tier'
    exit 3
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export CALLS=$work/calls FAILS=$work/fails STOPS=$work/stops PAUSES=$work/pauses

fail()
{
    echo "FAIL line ${BASH_LINENO[${#BASH_LINENO[@]} - 2]}: $*"
    sed 's/^/     /' "$work/out" "$work/err"
    exit 1
}

# tier CODE ARGUMENT…  runs it; then calls N looks how many stand-ins were called
tier()
{
    local wanted=$1 code=0
    shift
    : >"$CALLS"
    scripts/long_tier.sh "$@" >"$work/out" 2>"$work/err" </dev/null || code=$?
    [[ $code == "$wanted" ]] || fail "exit code $code instead of $wanted from $*"
}

calls() # N [PATTERN]
{
    local n
    n=$(grep -c -e "${2:-}" "$CALLS") || true
    [[ $n == "$1" ]] || fail "$n calls instead of $1 of ${2:-anything}: $(cat "$CALLS")"
}

row() # PATTERN
{
    grep -q -x -e "$1" results/long.md || fail "results/long.md has no row $1: $(cat results/long.md)"
}

commit() # FILE
{
    echo "$RANDOM" >>"$1"
    git add -A
    git -c user.name=test -c user.email=test@localhost commit -q -m "$1"
}

# A stand-in notes that it was called; where there is $PAUSES it is stopped for a moment; where its command line stands in
# $FAILS it ends with the code there, and where its arguments are those in $STOPS it stops the tier and would go on for
# an hour.
stub() # PATH  with further words of its own on stdin
{
    mkdir -p "$(dirname "$1")"
    {
        printf '#!/bin/bash\nname=%s\n' "${1##*/}"
        cat <<'END'
echo "$name $*" >>"$CALLS"
if [[ -e $STOPS && $* == "$(<"$STOPS")" ]]; then
    rm "$STOPS"
    kill -TERM "$PPID"
    sleep 3600
fi
if [[ -e $PAUSES ]]; then
    rm "$PAUSES"
    (sleep 0.3 && kill -CONT $$) &
    kill -STOP $$
fi
code=$(sed -n "s|^$name $*: ||p" "$FAILS")
END
        cat
        # shellcheck disable=SC2016 # for the stand-in
        echo 'exit "${code:-0}"'
    } >"$1"
    chmod +x "$1"
}

mkdir -p "$work/tree/scripts" "$work/tree/results/tables" "$work/bin"
cd "$work/tree"
cp "$scripts/long_tier.sh" "$scripts/lib.sh" scripts/
: >"$FAILS"
stub "$work/bin/cmake" <<<'mkdir -p build'
PATH=$work/bin:$PATH
for name in test race_check same_bits perf_gate; do
    stub "scripts/$name.sh" <<<"echo 'all of $name | held'"
done
stub scripts/fuzz.sh <<'END'
printf '%-10s %10s %8s  %s\n' target runs inputs verdict "$3" 1234 5 PASS
END
stub build/dodeca <<'END'
if [[ $1 == defects ]]; then
    printf '%s\n' '1 of 1  wake-one: explore 0.1 s' 'catalogue  explore  verdict' 'wake-one   0.1  caught' \
        '1 defects: 1 caught'
    exit "${code:-0}"
fi
if [[ $* == 'explore --list' ]]; then
    printf '%s\n' 'one  sc exhaustive c11 exhaustive the first' 'two  sc random c11 random the second'
    exit
fi
if [[ $1 == explore ]]; then
    printf '%s\n' 'protocol  verdict' "$3  1 2 sc exhaustive  PASS" "$3  1 2 c11 reduced  PASS" '' 'The sources of core/spheres'
    exit "${code:-0}"
fi
echo '40 rounds in 10:00 (draw seed 1), beside 3 runs of the oracle: 40 passed, 0 did not, 0 could not run here'
echo '96 steps, 22 changes of membership, 8 pauses, 2 stops, 2 cancels'
END
stub build/harness/unit/test_elementary <<'END'
echo "exp              0.5001 at 1, bound 0.6"
echo "exp              0.500${2%%/*} at 2, bound 0.6"
END
mkdir -p core/kernels harness/fuzz/inputs/{first,second}
for file in core/kernels/a.c core/b.c harness/fuzz/inputs/{first,second}/a CMakeLists.txt README.md; do
    echo >"$file"
done
echo /build/ >.gitignore
git init -q
commit core/b.c

# ---- a step and its parts
tier 0 --only floats
calls 32 ^test_elementary
row "| floats | PASS | $(git rev-parse --short=12 HEAD) | 20..-..-.. | [0-9]* | .* cores, .* | all 2^32 floats, exp 0.5009 |"
tier 0 --only floats
calls 0
grep -q "floats: passed on $(git rev-parse --short=12 HEAD)" "$work/err" || fail 'does not say that the result stands'
tier 0 --only floats --again floats
calls 32 ^test_elementary

# ---- what it depends on
commit README.md
commit core/b.c
tier 0 --list
calls 0
grep -q '^floats  *stands  *passed on' "$work/out" || fail 'floats do not stand after a change elsewhere'
grep -q '^race  *open  *not run yet' "$work/out" || fail 'race stands, and was never run'
tier 0 --only floats
calls 0
commit core/kernels/a.c
echo >>README.md
tier 2 --only floats
calls 0
git checkout -q README.md
tier 0 --only floats
calls 32 ^test_elementary

# ---- another machine
sed -i 's/, [0-9]* cores, /, 1000 cores, /' results/long.md
tier 0 --only floats --any-machine
calls 0
tier 0 --only floats
calls 32 ^test_elementary

# ---- interrupted in the midst
commit core/kernels/a.c
echo '--part 7/32' >"$STOPS"
tier 130 --only floats
calls 8 ^test_elementary
grep -q 'interrupted: ' "$work/err" || fail 'does not say that it was interrupted'
commit README.md
tier 0 --only floats
calls 25 ^test_elementary
row '| floats | PASS | .*'

# ---- all of it; what fails or cannot be run is run again, and its parts that passed are not
printf '%s\n' 'race_check.sh all --long --resume: 1' 'perf_gate.sh --self-test: 3' >"$FAILS"
tier 1
calls 1 '^race_check.sh all --long --resume$'
calls 6 '^dodeca run'
row '| race | FAIL | .* | all of race_check / held |'
row '| gate | SKIP | .*'
row '| floats | PASS | .*'
row '| fuzz | PASS | .* | no finding in 2 parsers, runs first 1234, second 1234 |'
row '| defects | PASS | .* | 1 defects: 1 caught |'
[[ $(sed -n '/^```$/,/^```$/p' results/tables/defects.md) == $'```\ncatalogue  explore  verdict\nwake-one   0.1  caught\n1 defects: 1 caught\n```' ]] ||
    fail "not the matrix: $(cat results/tables/defects.md)"
row '| explore | PASS | .* | 4 explorations: 2 exhaustive, 2 reduced |'
[[ $(sed -n '/^```$/,/^```$/p' results/tables/explorer.md | grep -c -e ^one -e ^two -e ^protocol -e ^The) == 5 ]] ||
    fail "not the rows: $(cat results/tables/explorer.md)"
row '| soak | PASS | .* | 240 rounds, each beside the oracle: 576 steps, 132 changes of membership, 48 pauses, 12 stops |'
echo 'perf_gate.sh --self-test: 3' >"$FAILS"
tier 3
calls 1 ^race_check
calls 0 '^dodeca'
: >"$FAILS"
tier 0
calls 1
calls 1 '^perf_gate.sh --self-test$'
[[ $(grep -c '| PASS |' results/long.md) == 9 ]] || fail "not nine rows: $(cat results/long.md)"
echo 'fuzz.sh --minutes 10 second: 1' >"$FAILS"
tier 1 --only fuzz --again fuzz
calls 2 ^fuzz
: >"$FAILS"
tier 0 --only fuzz
calls 1 ^fuzz
: >"$PAUSES"
tier 0 --only fuzz --again fuzz
calls 2 ^fuzz
echo 'dodeca explore --all two: 1' >"$FAILS"
tier 1 --only explore --again explore
calls 3 '^dodeca explore'
row '| explore | FAIL | .* | 4 explorations: 2 exhaustive, 2 reduced |'
grep -q 'exit code 1' results/tables/explorer.md || fail 'the table does not say that a protocol failed'
: >"$FAILS"
tier 0 --only explore
calls 1 '^dodeca explore --all two'
calls 0 '^dodeca explore --all one'
# What keeps its own account of what is done begins it anew.
tier 0 --only race --again race --only defects --again defects
calls 1 '^race_check.sh all --long$'
calls 1 ^dodeca
calls 0 resume
tier 2 --only nothing
echo 'all held'
