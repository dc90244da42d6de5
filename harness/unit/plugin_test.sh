#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Plug-ins from outside: the example trains, is checked and gets its rows; its race is caught; what is no plug-in, and what a
# plug-in is not told, is refused before anything trains; the example builds alone beside an installed header.
# usage: plugin_test.sh PROGRAM LIBMLP FOLDER_OF_BAD_ONES SOURCE_FOLDER
set -uo pipefail
tests=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

program=$(realpath "$1")
mlp=$(realpath "$2")
bad=$(realpath "$3")
source=$(realpath "$4")
folder=$(mktemp -d "${TMPDIR:-/tmp}/dodeca-plugin.XXXXXX")
trap 'rm -rf "$folder"' EXIT
cd "$folder" || exit 1
export XDG_CACHE_HOME=$folder/cache
export OMP_WAIT_POLICY=passive # threads that spin would keep this machine's other tests waiting
# shellcheck source=harness/unit/expect.sh
. "$tests/expect.sh"

# refuse TEXT ARGUMENT…: exit 2, one line on stderr, nothing on stdout, no results
refuse()
{
    expect 2 "$@" --out refused
    shift
    [[ $(wc -l <err) == 1 && ! -s out ]] || fail "dodeca $*: not one line on stderr alone"
    [[ ! -e refused ]] || fail "dodeca $*: left a results folder"
}

cp "$mlp" libmlp.so
cat >small.yaml <<'YAML'
name: small
subject: libmlp.so
subject-options: hidden=16
batch: 256
steps: 12
repeats: 2
sweep:
  workers: [1, 3]
YAML

# ---- what is good
expect 0 '2 cells' run small.yaml --list
expect 0 'workers=3, 12 steps, repeats 2' run small.yaml --list
expect 0 'own-equivalence, r repeatable' run small.yaml --out good
grep -q '^in all rows that have it: subject libmlp.so, subject-options hidden=16,' out || fail 'no subject above the table'
grep -q 'checks hforcd' out || fail 'another set of checks'
grep -q '^\[1/5\] reference, one worker: ended' err || fail 'the reference is not told of'
grep -q -e 'x oracle' -e 'tokens/s' -e 'nats' out && fail 'the table tells what a plug-in has not'
grep -q '"subject": "libmlp.so"' good/speedup.json || fail 'speedup.json does not name the subject'
grep -q '"name": "own-equivalence"' good/run.json || fail 'run.json has no check of its own runs'
(($(grep -c ',PASS,' good/speedup.csv) == 2)) || fail 'speedup.csv has not two rows'
expect 0 'within 1e-07' run small.yaml --set tolerance=1e-7 --out near
expect 0 'PASS' run --resume near --again 2
printf '\0' >>libmlp.so # as if it were built anew: another trainer
expect 2 'near cannot be resumed: the hash of libmlp.so is "' run --resume near --again 2
cp "$mlp" libmlp.so
expect 0 'PASS' run small.yaml --set perturb=3 --set workers=2 --set repeats=1 --out perturbed
sed 's/^subject: .*//' small.yaml >none.yaml
expect 0 'PASS' run none.yaml --subject ./libmlp.so --set workers=2 --set repeats=1 --out named
cat >both.yaml <<'YAML'
name: both
data: builtin
steps: 10
batch: 24
sweep:
  - model: ["L=1,NH=1,C=16,V=64,T=8"]
    lr: [0.01]
    workers: [1]
  - subject: [./libmlp.so]
    workers: [1, 2]
YAML
expect 0 'x oracle' run both.yaml --out both
[[ $(grep -c ',PASS,' both/speedup.csv) == 3 ]] || fail 'beside dodeca: not three rows that passed'

# ---- what the number of workers decides, by its last bit and by 1 %
of_bad=(run small.yaml --subject "$bad/libsubject_good.so" --set workers=3 --set repeats=1)
expect 1 'own-equivalence: weights' "${of_bad[@]}" --set subject-options=do=near --out last_bit
expect 0 'PASS' "${of_bad[@]}" --set subject-options=do=near --set tolerance=1e-5 --out last_bit_near
expect 1 'own-tolerance: too far: weight' "${of_bad[@]}" --set subject-options=do=far --set tolerance=1e-3 --out far

# ---- a race: two threads must meet in it, so several tries
caught=false
for try in 1 2 3 4 5 6; do
    if ! "$program" run small.yaml --set subject-options=race=true --set workers=2 --set batch=4096 --set steps=40 \
        --out race --replace >out 2>err </dev/null; then
        caught=true
        break
    fi
done
$caught || fail "the race was not caught in $try tries"
grep -q '^  FAIL small: own-equivalence: ' out || fail 'the race was caught by another check'
grep -q '"name": "repeatable",' race/run.json || fail 'nothing says whether repeats agree'

# ---- what is none, or is told what it has no use for
refuse 'cannot be loaded: cannot open shared object file: No such file' run small.yaml --subject ./nowhere.so
refuse 'cannot be loaded: ' run small.yaml --subject ./small.yaml
refuse 'exports no dd_subject_v1' run small.yaml --subject "$bad/libsubject_no_symbol.so"
refuse 'of ABI 7, this program' run small.yaml --subject "$bad/libsubject_abi.so"
refuse 'its table has no step' run small.yaml --subject "$bad/libsubject_no_step.so"
refuse 'cannot be loaded: crash: SIGABRT' run small.yaml --subject "$bad/libsubject_constructor_crashes.so"
refuse 'cannot be loaded: hang: no progress for 0.5 s loading the plug-in' \
    run small.yaml --subject "$bad/libsubject_constructor_hangs.so" --set stall-limit=0.5
refuse 'a plug-in is not told of it' run small.yaml --set depth=2
refuse 'a plug-in is not told of it' run small.yaml --set model=micro
refuse 'must be KEY=VALUE' run small.yaml --set subject-options=hidden
refuse 'only a subject that is a file' run small.yaml --subject locks
refuse 'must be a number from 0 to 1' run small.yaml --set tolerance=2
refuse 'and takes a file such as ./libmine.so' run small.yaml --subject mine
refuse 'given twice' run small.yaml --subject a.so --subject b.so
sed -i 's/^sweep:/draw:/' none.yaml
refuse 'a plug-in is swept, not drawn' run none.yaml --subject ./libmlp.so --rounds 1 --set subject-options=
expect 2 'is trained, and checked, by "dodeca run' train --subject ./libmlp.so

# ---- what only the plug-in can refuse
expect 1 'subject-options hiden=3: must be hidden, rate or race' run small.yaml --set subject-options=hiden=3 --out told
expect 1 'the spirals are drawn from the seed' run small.yaml --set data=bytes:small.yaml --out data
expect 1 'HANG' run small.yaml --subject "$bad/libsubject_good.so" --set subject-options=do=hang --set stall-limit=0.5 \
    --set workers=2 --set repeats=1 --out hangs
grep -q '  #[0-9]* .*  stand_still\|  #[0-9]* .*step_subject' hangs/logs/cell-1-repeat-1.log || fail 'no stack of the hang'

# ---- the example alone, as its template's user builds it; the header by itself, in C++
mkdir -p prefix/include
cp "$source/core/include/dodeca_subject.h" prefix/include/
cp -r "$source/harness/example_subject" mine
if cmake -S mine -B mine/build -DCMAKE_PREFIX_PATH="$folder/prefix" >log 2>&1 && cmake --build mine/build >>log 2>&1; then
    exported=$(nm -D --defined-only mine/build/libmlp.so | awk '{ print $3 }')
    [[ $exported == dd_subject_v1 ]] || fail "the example exports $exported"
    expect 0 'PASS' run small.yaml --subject mine/build/libmlp.so --set workers=2 --set repeats=1 --out alone
else
    tail -5 log
    fail 'the example does not build by itself'
fi
c++ -Wall -Wextra -Werror -fsyntax-only -x c++ prefix/include/dodeca_subject.h 2>err || fail 'the header is no C++'

((failures == 0)) || {
    echo "$failures checks failed"
    exit 1
}
