#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# The long tier of scripts/test.sh: what takes hours, step by step. Each step's result is kept with the revision that
# it was run on, so that after an interruption the same command goes on with the next. When all have been run,
# results/long.md is written anew, to be committed. Refuses a tree with changes: a result names a revision.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

usage()
{
    cat <<'END'
usage: scripts/test.sh --long [--yes] [--only STEP]… [--again STEP]…

Runs what no commit waits for, hours of it:

  full        scripts/test.sh --full
  same-bits   every compiler, level and processor: scripts/same_bits.sh --full
  race        every cell and test under every checker: scripts/race_check.sh all --long
  defects     every planted defect, the generated ones too, against every check: dodeca defects
  floats      the elementary functions over all 2^32 floats, in 32 parts
  fuzz        ten minutes for each parser
  soak        an hour of random runs

A step that has ended on this revision is not run again; --again STEP does so (failed ones are run again anyway),
--only STEP leaves the others for later. Logs: build/long/REVISION/. After the last step results/long.md tells
revision, machine and results.

exit: 0 all passed, 1 a step failed, 2 bad usage, 3 a step could not be run here; 130 interrupted
END
}

steps=(full same-bits race defects floats fuzz soak)
only=()
again=()
setup=()
while (($#)); do
    case $1 in
    --help | -h)
        usage
        exit 0
        ;;
    --yes | -y) setup=(--yes) ;;
    --only | --again)
        [[ " ${steps[*]} " == *" ${2:-} "* ]] || bad_usage "$1 needs one of the steps ${steps[*]}"
        if [[ $1 == --only ]]; then only+=("$2"); else again+=("$2"); fi
        shift
        ;;
    *) bad_usage "unknown argument \"$1\" of the long tier" ;;
    esac
    shift
done
((${#only[@]})) || only=("${steps[@]}")

cd "$root"
revision=$(git rev-parse --short=12 HEAD 2>/dev/null) || die 3 "not a git checkout: a result must name its revision"
git diff --quiet HEAD -- . ':!results' || die 2 "the tree has changes that are not committed: a result must name its revision"
state=$root/build/long/$revision
mkdir -p "$state"

# ---- the steps -----------------------------------------------------------------------------------------

run_full() { scripts/test.sh --full "${setup[@]}"; }
run_same-bits() { scripts/same_bits.sh --full; }
run_race() { scripts/race_check.sh all --long; }
run_defects() { build/dodeca defects --kind all --checks all --resume; }
run_fuzz() { scripts/fuzz.sh --minutes 10; }
run_soak() { build/dodeca run scenarios/soak.yaml --minutes 60; }

# The worst error of each piece over all parts, in the words of the test.
run_floats()
{
    local i parts=32 part
    for ((i = 0; i < parts; i++)); do
        part=$state/floats-$i
        [[ -e $part ]] && continue
        say "floats: part $i of $parts"
        build/harness/unit/test_elementary --part "$i/$parts" >"$part.running" 2>&1 || {
            local status=$?
            cat "$part.running"
            return "$status"
        }
        mv "$part.running" "$part"
    done
    # Parts print the special values first, then their own: two lines a piece.
    cat "$state"/floats-? "$state"/floats-?? | awk '
        /bound/ && match($0, / +[0-9.e+-]+ +at /) {
            piece = substr($0, 1, RSTART - 1); split(substr($0, RSTART), word, " ")
            if (!(piece in worst)) order[++n] = piece
            if (word[1] + 0 >= worst[piece] + 0) { worst[piece] = word[1]; line[piece] = $0 }
        }
        END { for (i = 1; i <= n; i++) print line[order[i]]
              printf "all 2^32 floats"
              for (i = 1; i <= n; i++) printf ", %s %s", order[i], worst[order[i]]
              print "" }'
}

# ---- running them --------------------------------------------------------------------------------------

trap 'say "interrupted: the same command goes on where this one stopped"; exit 130' INT TERM

for step in "${again[@]}"; do
    rm -f "$state/$step.status" "$state/$step-"*
done
for step in "${steps[@]}"; do
    [[ " ${only[*]} " == *" $step "* ]] || continue
    if [[ -e $state/$step.status && $(<"$state/$step.status") == 0 ]]; then
        say "$step: passed on $revision before"
        continue
    fi
    say "$step … (its words go to build/long/$revision/$step.log)"
    begin=$SECONDS
    status=0
    "run_$step" >"$state/$step.log" 2>&1 </dev/null || status=$?
    ((status < 128)) || {
        say "interrupted: the same command goes on where this one stopped"
        exit 130
    }
    printf '%s %s\n' "$((SECONDS - begin))" "$(date -u +%Y-%m-%d)" >"$state/$step.time"
    echo "$status" >"$state/$step.status"
    case $status in
    0) say "$step: passed, $((SECONDS - begin)) s" ;;
    *)
        tail -n 20 "$state/$step.log" >&2
        say "$step: exit code $status, $((SECONDS - begin)) s"
        ;;
    esac
done

# ---- the result ----------------------------------------------------------------------------------------

failed=false
lacking=false
for step in "${steps[@]}"; do
    [[ -e $state/$step.status ]] || {
        say "not run yet: $step"
        exit 0
    }
    case $(<"$state/$step.status") in
    0) ;;
    3) lacking=true ;;
    *) failed=true ;;
    esac
done
{
    echo '# The long tier'
    echo
    echo "\`scripts/test.sh --long\` on revision $revision; $(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1)," \
        "$(cores) cores, $(uname -sr), $(cc --version | head -n 1)."
    echo
    echo '| step | verdict | minutes | ended | last line |'
    echo '|---|---|---:|---|---|'
    for step in "${steps[@]}"; do
        read -r seconds day <"$state/$step.time"
        case $(<"$state/$step.status") in
        0) verdict=PASS ;;
        3) verdict=SKIP ;;
        *) verdict=FAIL ;;
        esac
        printf '| %s | %s | %d | %s | %s |\n' "$step" "$verdict" "$(((seconds + 59) / 60))" "$day" \
            "$(grep -v '^ *$' "$state/$step.log" | tail -n 1 | tr '|' '/' | cut -c 1-300)"
    done
} >"$root/results/long.md"
cat "$root/results/long.md"
! $failed || exit 1
! $lacking || exit 3
