#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Sets up what is missing, builds with warnings as errors and runs the tests through CTest, whose verdict is the exit
# code; what tests skipped comes last. Refuses to call a run complete in which something required was skipped.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

usage()
{
    cat <<'END'
usage: scripts/test.sh [--full|--long] [--yes] [argument of ctest …]

Sets up what is missing, builds into build/ and build-tsan/ (and more with --full), and runs the tests:

  (default)  label quick: unit tests, bit equality on small shapes, race checks of a small cell, the schedule
             explorer, the scripts themselves; a few minutes on 2 cores
  --full     and label slow: bit equality with gcc and clang and for other processors, race and memory checks in
             their usual size (every shape with everything: --long), the explorer's larger protocols, long runs;
             needs clang and more, which it installs
  --long     all of that, and what takes hours: every planted defect against every check, fuzzing, an hour of random
             runs, elementary functions over all floats; goes on after an interruption (--long --help)
  --yes      install missing packages without asking

Further arguments go to ctest, e.g. -R NAME or -V.

At the end stands what tests skipped, those too that ctest calls passed, and why. "skipped, optional:" is what this
CPU, this user's rights or a missing linter decide: kernel sets, protection keys, mounts, counters. All else is
required: with one such "skipped:", or a test that was skipped whole, the exit code is 3.

exit: 0 all passed, 2 bad usage, 3 the environment lacks something (a required skip included), else ctest's
END
}

setup=()
labels='^quick$'
arguments=()
if [[ ${1:-} == --long ]]; then
    shift
    exec "$root/scripts/long_tier.sh" "$@"
fi
while (($#)); do
    case $1 in
    --help | -h)
        usage
        exit 0
        ;;
    --yes | -y) setup+=(--yes) ;;
    --full)
        labels='^(quick|slow)$'
        setup+=(--cross --compare --browser --plugin --example --man --vm)
        ;;
    --long) bad_usage "--long stands first" ;;
    *) arguments+=("$1") ;;
    esac
    shift
done

"$root/scripts/setup.sh" "${setup[@]}"
build_tree "$root/build" -DDODECA_WERROR=ON
# Built here, not inside the test that uses it, whose time is limited.
if [[ $labels == *slow* ]]; then
    "$root/scripts/race_check.sh" --build-only all
elif have gcc; then
    "$root/scripts/race_check.sh" --build-only --small tsan
fi

# What tests of that log of ctest skipped, a line for each reason. A test says "SKIP: REASON" or "SKIP (optional): REASON"
# on a line of its own; a test of cmocka that skips without one has skipped something required.
skips() # LOG
{
    awk '
        function skip(class, reason) {
            key = class SUBSEP reason
            if (!(key in tests)) order[++n] = key
            if (!((key, test) in seen)) tests[key] = tests[key] (tests[key] == "" ? "" : ", ") test
            seen[key, test]
            said = key
        }
        /^[0-9]+\/[0-9]+ Test: / { test = $3; said = "" }
        /^SKIP: / { skip("skipped", substr($0, 7)) }
        /^([a-z]+ +)?SKIP \(optional\): / { sub(/SKIP \(optional\): /, ""); skip("skipped, optional", $0) }
        /^\[ RUN / { said = "" }
        /^\[  SKIPPED \] [^ ]+$/ {
            if ((test, $4) in known) next # cmocka names it again at the end
            known[test, $4]
            if (said == "") skip("skipped", "no reason given")
            cases[said, test] = cases[said, test] " " $4
        }
        END {
            for (i = 1; i <= n; i++) {
                split(order[i], part, SUBSEP)
                words = ""
                m = split(tests[order[i]], name, ", ")
                for (k = 1; k <= m; k++)
                    words = words (k > 1 ? ", " : "") name[k] cases[order[i], name[k]]
                print part[1] ": " words ": " part[2]
            }
        }' "$1"
}

junit=$root/build/tests.xml
log=$root/build/Testing/Temporary/LastTest.log
rm -f "$junit" "$log"
status=0
ctest --test-dir "$root/build" --label-regex "$labels" --output-on-failure --no-tests=error \
    --parallel "$(cores)" --output-junit "$junit" "${arguments[@]}" || status=$?
[[ -e $junit ]] || exit "$status" # ctest was asked for something else than to run tests
touch "$log"
skipped=$(skips "$log")
[[ -z $skipped ]] || printf '%s\n' "$skipped"
# Another ctest in this folder, if only to list tests, takes the log away.
if ((status == 0)) && (($(grep -c '^[0-9]*/[0-9]* Test: ' "$log") < $(grep -c '<testcase ' "$junit"))); then
    die 3 "another ctest has overwritten $log: what was skipped inside tests is not known"
fi
# ctest counts a test that was skipped whole as passed, too, and has named it above.
if ((status == 0)) && { grep -q 'status="notrun"' "$junit" || grep -q '^skipped: ' <<<"$skipped"; }; then
    say 'something required was skipped: exit code 3'
    exit 3
fi
exit "$status"
