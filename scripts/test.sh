#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Sets up what is missing, builds with warnings as errors and runs the tests through CTest, whose summary comes
# last and whose verdict is the exit code. Refuses to call a run complete in which a test was skipped.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

usage()
{
    cat <<'END'
usage: scripts/test.sh [--full|--long] [--yes] [argument of ctest …]

Sets up what is missing, builds into build/ and build-tsan/ (and more with --full), and runs the tests:

  (default)  label quick: unit tests, bit equality on small shapes, race checks of a small cell, the schedule
             explorer, the scripts themselves; a few minutes on 2 cores
  --full     and label slow: bit equality with gcc and clang and for other processors, all race and memory
             checks, the explorer's larger protocols, long runs; needs clang and more, which it installs
  --long     all of that, and what takes hours: every planted defect against every check, fuzzing, an hour of random
             runs, elementary functions over all floats; goes on after an interruption (--long --help)
  --yes      install missing packages without asking

Further arguments go to ctest, e.g. -R NAME or -V.

exit: 0 all passed, 2 bad usage, 3 the environment lacks something (a skipped test included), else ctest's
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

junit=$root/build/tests.xml
status=0
ctest --test-dir "$root/build" --label-regex "$labels" --output-on-failure --no-tests=error \
    --parallel "$(cores)" --output-junit "$junit" "${arguments[@]}" || status=$?
# ctest counts a skipped test as passed and has named it above.
if ((status == 0)) && grep -q 'status="notrun"' "$junit"; then
    exit 3
fi
exit "$status"
