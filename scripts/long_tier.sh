#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# The long tier of scripts/test.sh: what takes hours, step by step. The last result of each step is a row of
# results/long.md, which is committed: it stands for as long as the sources that the step depends on are those of its
# revision. Refuses a tree with changes: a result names a revision.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

usage()
{
    cat <<'END'
usage: scripts/test.sh --long [--list] [--yes] [--any-machine] [--only STEP]… [--again STEP]…

Runs what no commit waits for, hours of it:

  full        scripts/test.sh --full
  same-bits   every compiler, level and processor: scripts/same_bits.sh --full
  race        every cell and test under every checker: scripts/race_check.sh all --long
  explore     all of the schedule explorer's protocols, those too that take many minutes: dodeca explore --all; the
              table goes to results/tables/explorer.md, too
  defects     every planted defect, the generated ones too, by every check there is, those that must catch it among
              them: dodeca defects --kind all --checks all; the matrix goes to results/tables/defects.md, too
  floats      the elementary functions over all 2^32 floats, in 32 parts
  fuzz        ten minutes for each parser
  soak        an hour of random runs, in 6 parts
  gate        the gate on speed tries itself: scripts/perf_gate.sh --self-test

After each step its verdict, revision, machine and time go to results/long.md, to be committed. A step is not run
again that has passed on a machine like this one, if nothing that it depends on has changed since: not the paths that
--list names. Interrupted, the same command goes on in the midst of a step, too, with what is left of it (full and gate
begin anew).

  --list         say of every step whether its result stands, run nothing
  --only STEP    leave the others for later
  --again STEP   run it, and all of it, though its result stands
  --any-machine  let results from other machines stand
  --yes          install missing packages without asking

Logs and parts: build/long/.

exit: 0 all passed, 1 a step failed, 2 bad usage, 3 a step could not be run here; 130 interrupted
END
}

steps=(full same-bits race explore defects floats fuzz soak gate)
declare -A paths=(
    [full]='core harness scenarios scripts CMakeLists.txt'
    [same-bits]='core harness scripts/same_bits.sh scripts/toolchains scripts/lib.sh CMakeLists.txt'
    [race]='core harness scripts/race_check.sh scripts/race_check_plugin.sh scripts/race_canaries.txt scripts/lib.sh CMakeLists.txt'
    [explore]='core/control core/include core/memory core/platform core/spheres core/sync harness/explore CMakeLists.txt'
    [defects]='core harness CMakeLists.txt'
    [floats]='core/kernels core/platform harness/unit/test_elementary.c harness/unit/elementary_forms.c
        harness/unit/elementary_forms.h'
    [fuzz]='core/checkpoint core/data core/model harness/fuzz harness/run scenarios scripts/fuzz.sh'
    [soak]='core harness/checks harness/run harness/subjects scenarios/soak.yaml CMakeLists.txt'
    [gate]='harness/bench harness/gate harness/report scripts/perf_gate.sh scripts/lib.sh'
)
only=()
again=()
setup=()
list=false
any_machine=false
while (($#)); do
    case $1 in
    --help | -h)
        usage
        exit 0
        ;;
    --yes | -y) setup=(--yes) ;;
    --list) list=true ;;
    --any-machine) any_machine=true ;;
    --only | --again)
        [[ -n ${2:-} && " ${steps[*]} " == *" $2 "* ]] || bad_usage "$1 needs one of the steps ${steps[*]}"
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
results=results/long.md
cpu=$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1)
machine="$(uname -m), ${cpu:-processor without a name}, $(cores) cores, $(cc --version 2>/dev/null | head -n 1)"
machine=${machine//|//}

# ---- results -------------------------------------------------------------------------------------------

# The row of a step, its cells one a line: verdict, revision, day, minutes, machine, last line.
row()
{
    [[ ! -e $results ]] || awk -F ' *[|] *' -v step="$1" \
        '$2 == step { for (i = 3; i <= 8; i++) print $i; exit }' "$results"
}

# Whether a step's result is one of these sources and of a machine like this; sets why.
stands() # STEP
{
    local cell changed
    mapfile -t cell < <(row "$1")
    if ((${#cell[@]} == 0)); then
        why='not run yet'
    elif [[ ${cell[0]} != PASS ]]; then
        why="${cell[0]} on ${cell[1]}"
    elif ! $any_machine && [[ ${cell[4]} != "$machine" ]]; then
        why="passed on another machine: ${cell[4]}"
    elif ! git cat-file -e "${cell[1]}^{commit}" 2>/dev/null; then
        why="passed on ${cell[1]}, which this checkout does not know"
    else
        # shellcheck disable=SC2086 # paths are words
        changed=$(git diff --name-only "${cell[1]}" HEAD -- ${paths[$1]} | wc -l)
        why="passed on ${cell[1]}, ${cell[3]} minutes"
        ((changed == 0)) || why="passed on ${cell[1]}, since when $changed files have changed"
        ((changed == 0))
        return
    fi
    false
}

# Writes all rows anew, that of the step as given.
record() # STEP VERDICT MINUTES LAST
{
    local step cell
    {
        echo '# The long tier'
        echo
        echo "\`scripts/test.sh --long\`: the last result of each step. One that passed stands for later revisions, too, as long as"
        echo "what it depends on has not changed: \`scripts/test.sh --long --list\` tells."
        echo
        echo '| step | verdict | revision | ended | minutes | machine | last line |'
        echo '|---|---|---|---|---:|---|---|'
        for step in "${steps[@]}"; do
            if [[ $step == "$1" ]]; then
                cell=("$2" "$revision" "$(date -u +%Y-%m-%d)" "$3" "$machine" "$4")
            else
                mapfile -t cell < <(row "$step")
            fi
            ((${#cell[@]} == 0)) || printf '| %s | %s | %s | %s | %s | %s | %s |\n' "$step" "${cell[@]}"
        done
    } >"$results.new"
    mv "$results.new" "$results"
}

if $list; then
    for step in "${steps[@]}"; do
        word=open
        ! stands "$step" || word=stands
        printf '%-10s %-7s %s\n' "$step" "$word" "$why"
        read -r -d '' -a words <<<"${paths[$step]}" || true
        printf '%-10s depends on %s\n' '' "${words[*]}"
    done
    exit 0
fi
[[ -z $(git status --porcelain -- . ':!results') ]] ||
    die 2 "the tree has changes or files that are not committed: a result must name its revision"

# ---- parts of steps ------------------------------------------------------------------------------------

# Each in a process group of its own, so that what is stopped is stopped with all that it has started.
set -m
child=
begun=0

clock_out()
{
    echo "$((SECONDS - begun))" >>"$state/seconds"
    child=
}

# shellcheck disable=SC2317 # by the trap
interrupted()
{
    trap '' INT TERM
    if [[ -n $child ]]; then
        kill -TERM -- "-$child" 2>/dev/null || true
        wait "$child" 2>/dev/null || true
        clock_out
    fi
    say "interrupted: the same command goes on where this one stopped" 2>&3
    exit 130
}
exec 3>&2
trap interrupted INT TERM

# part NAME COMMAND…  runs it, unless it passed on these sources before, and prints what it said
part()
{
    local said=$state/$1 status=0
    shift
    if [[ ! -e $said ]]; then
        begun=$SECONDS
        "$@" >"$said.running" 2>&1 </dev/null 3>&- &
        child=$!
        wait -f "$child" || status=$? # to its end: one that is stopped for a while has not failed
        clock_out
        if ((status)); then
            cat "$said.running"
            return "$status"
        fi
        mv "$said.running" "$said"
    fi
    cat "$said"
}

# ---- the steps -----------------------------------------------------------------------------------------

# In a shell of its own, since a build that fails ends that.
program() { (build_tree "$root/build" -DDODECA_WERROR=ON -- "$@"); }

run_full() { part all scripts/test.sh --full "${setup[@]}"; }
run_same-bits() { part all scripts/same_bits.sh --full; }
run_race() { part all scripts/race_check.sh all --long "${resume[@]}"; }
run_gate() { part all scripts/perf_gate.sh --self-test; }

# tabulate NAME TITLE TOLD STATUS  makes what comes on stdin results/tables/NAME.md
tabulate()
{
    {
        echo "# $2"
        echo
        echo "\`$3\` on $revision, exit code $4, $(date -u +%Y-%m-%d): $machine."
        echo
        echo '```'
        cat
        echo '```'
    } >"results/tables/$1.md"
}

# The rows of tables of single protocols as one table, without what each says below them.
join_explorations()
{
    awk 'FNR == 1 { foot = 0; if (NR > 1) next }
        /^The sources of core/ { foot = 1 }
        NF && !foot' "$@"
}

run_explore()
{
    local name worst=0 status names=() tables=()
    program dodeca_program || return
    mapfile -t names < <(build/dodeca explore --list | cut -d ' ' -f 1)
    ((${#names[@]})) || return 1
    for name in "${names[@]}"; do
        status=0
        part "$name" build/dodeca explore --all "$name" >/dev/null || status=$?
        ((status < 2)) || return "$status"
        ((status == 0)) || worst=1
        tables+=("$state/$name$( ((status == 0)) || echo .running)")
    done
    join_explorations "${tables[@]}" >"$state.out"
    tabulate explorer 'What the schedule explorer went through' 'dodeca explore --all' "$worst" <"$state.out"
    echo "What the tiers are: [README.md](../../README.md#what-the-explorer-went-through)." >>results/tables/explorer.md
    awk '{ print }
        $4 == "sc" || $4 == "c11" { n++; tier = $5; if (!(tier in of)) order[++kinds] = tier; of[tier]++ }
        END { printf "%d explorations:", n
              for (k = 1; k <= kinds; k++) printf "%s %d %s", k == 1 ? "" : ",", of[order[k]], order[k]
              print "" }' "$state.out"
    rm -f "$state.out"
    return "$worst"
}

run_defects()
{
    local jobs status=0
    jobs=$(cores)
    ((jobs <= 64)) || jobs=64
    program dodeca_program || return
    part all build/dodeca defects --kind all --checks all --jobs "$jobs" "${resume[@]}" --build build/long/defects \
        >"$state.out" || status=$?
    cat "$state.out"
    if ((status < 2)) && grep -q '^catalogue ' "$state.out"; then
        sed -n '/^catalogue /,$p' "$state.out" |
            tabulate defects 'Every planted defect by every check' 'dodeca defects --kind all --checks all' "$status"
    fi
    rm -f "$state.out"
    return "$status"
}

# At the end the worst error of each piece over all parts, in the words of the test.
run_floats()
{
    local i parts=32
    program test_elementary || return
    for ((i = 0; i < parts; i++)); do
        part "$i" build/harness/unit/test_elementary --part "$i/$parts" || return
    done
    # Parts print the special values first, then their own: two lines a piece.
    cat "$state"/? "$state"/?? | awk '
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

run_fuzz()
{
    local target targets=()
    mapfile -t targets < <(cd harness/fuzz/inputs && printf '%s\n' *)
    for target in "${targets[@]}"; do
        part "$target" scripts/fuzz.sh --minutes 10 "$target" || return
    done
    (cd "$state" && cat "${targets[@]}") | awk '
        $NF == "PASS" { words = words ", " $1 " " $2; n++ }
        END { printf "no finding in %d parsers, runs%s\n", n, substr(words, 2) }'
}

# Another draw for each revision, the same for each try.
run_soak()
{
    local i parts=6 seed=$((0x${revision:0:6}))
    program dodeca_program || return
    for ((i = 0; i < parts; i++)); do
        part "$i" build/dodeca run scenarios/soak.yaml --minutes 10 --draw-seed "$((100000 * i + seed))" || return
    done
    cat "$state"/? | awk '
        / rounds in / { rounds += $1 }
        / changes of membership, / { steps += $1; changes += $3; pauses += $7; stops += $9 }
        END { printf "%d rounds, each beside the oracle: %d steps, %d changes of membership, %d pauses, %d stops\n",
                     rounds, steps, changes, pauses, stops }'
}

# ---- running them --------------------------------------------------------------------------------------

failed=false
lacking=false
for step in "${steps[@]}"; do
    [[ " ${only[*]} " == *" $step "* ]] || continue
    # A part stays good for as long as the sources do.
    # shellcheck disable=SC2086 # paths are words
    state=$root/build/long/$step-$({ echo "$machine" && git ls-tree -r HEAD -- ${paths[$step]}; } | sha1sum | cut -c 1-12)
    resume=(--resume)
    if [[ " ${again[*]} " == *" $step "* ]]; then
        rm -rf "$state"
        resume=()
    elif stands "$step"; then
        say "$step: $why"
        continue
    fi
    mkdir -p "$state"
    log=$root/build/long/$step.log
    say "$step … (its words go to build/long/$step.log)"
    status=0
    "run_$step" >"$log" 2>&1 || status=$?
    case $status in
    0) verdict=PASS ;;
    3) verdict=SKIP && lacking=true ;;
    *) verdict=FAIL && failed=true ;;
    esac
    minutes=$(($(awk '{ s += $1 } END { print s + 59 }' "$state/seconds" 2>/dev/null || echo 0) / 60))
    record "$step" "$verdict" "$minutes" "$(grep -v '^ *$' "$log" | tail -n 1 | tr '|\t' '/ ' | cut -c 1-300)"
    if [[ $verdict == PASS ]]; then
        rm -rf "$state"
    else
        tail -n 20 "$log" >&2
    fi
    say "$step: $verdict, exit code $status, $minutes minutes; in $results, to be committed"
done
cat "$results"
! $failed || exit 1
! $lacking || exit 3
