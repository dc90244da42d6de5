#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# `dodeca predict` and `dodeca doctor` from outside: what is refused, with which words and exit codes, and that what is
# printed can be read. The model itself: test_cost; the doctor's eyes and advice: test_doctor.
# usage: predict_test.sh PROGRAM
set -uo pipefail

tests=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
program=$(realpath "$1")
# shellcheck source=harness/unit/expect.sh
. "$tests/expect.sh"
folder=$(mktemp -d "${TMPDIR:-/tmp}/dodeca-predict.XXXXXX")
trap 'rm -rf "$folder"' EXIT
cd "$folder" || exit 1

expect 0 'dodeca run scenarios/calibrate.yaml' predict --help
expect 2 'no results folder is given' predict
expect 2 'nowhere/run.json' predict nowhere
expect 2 'a results folder has a name' predict ''
mkdir piped && mkfifo piped/run.json
expect 2 'must be a regular file' predict piped
expect 2 'must be a whole number from 1 to 1728' predict --cores 0 nowhere
expect 2 'ascending' predict --cores 16,4 nowhere
expect 2 'C 65 is not divisible by NH 4' predict --model L=1,NH=4,C=65,V=64,T=8 nowhere
mkdir broken
expect 2 'broken and ./broken are the same folder' predict broken ./broken
echo '{"cells": [' >broken/run.json
expect 2 'broken/run.json' predict broken

# A sweep that is right, and far too small.
cat >small.yaml <<'END'
name: small
data: builtin
model: L=1,NH=1,C=16,V=64,T=8
batch: 12
steps: 5
sweep:
  workers: [1, 2]
END
"$program" run small.yaml --out small >/dev/null 2>&1 </dev/null
if "$program" --version | grep -q -e -fsanitize=; then
    expect 2 'its times are no measurements' predict small
else
    expect 2 'scenarios/calibrate.yaml' predict small
    for steps in 1 3; do # not enough to fit on: the true reason is told
        "$program" run small.yaml --set steps=$steps --out short$steps >/dev/null 2>&1 </dev/null
        expect 2 'not used, fewer than three timed steps in a repeat: ' predict short$steps
    done
    cp -r small copy
    expect 2 'copy/run.json: cell 1: the times of its repeat 1 are in cell 1 of small, too' predict small copy
fi

# The doctor, without its measurements.
expect 0 'conditions' doctor --quick
expect 0 'advice' doctor --quick
expect 2 'there are only options' doctor now
"$program" doctor --quick --json >out 2>err </dev/null || fail 'dodeca doctor --quick --json fails'
grep -q '"user_used": 0\|"group_used": 0\|"system_used": 0' out && fail 'dodeca doctor --json: 0 threads, for what is not told'
for key in conditions governor mhz huge_pages quota_cpus while_measuring advice; do
    grep -qF "\"$key\"" out || fail "dodeca doctor --json has no $key"
done

((failures == 0)) && echo 'predict and doctor: all as expected'
exit $((failures > 0))
