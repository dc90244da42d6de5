#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Race checks of plug-ins: the example's race is reported and the example without it is not, by OpenMP's barriers as they are;
# so are two POSIX threads with and without a lock; what cannot be checked is refused with the reason.
# usage: plugin_races_test.sh SOURCE_FOLDER BUILD_FOLDER, in which dodeca is
set -uo pipefail
source=$(realpath "$1")
build=$(realpath "$2")
folder=$(mktemp -d "${TMPDIR:-/tmp}/dodeca-plugin-races.XXXXXX")
trap 'rm -rf "$folder"' EXIT
cd "$folder" || exit 1
compgen -G '/usr/lib/llvm-*/lib/libarcher.so' >/dev/null || {
    echo 'SKIP: no libarcher here; scripts/setup.sh --plugin installs it'
    exit 3
}
failures=0

# expect CODE TEXT ARGUMENT…
expect()
{
    local code=$1 text=$2 got=0
    shift 2
    "$source/scripts/race_check.sh" --build "$build" "$@" >out 2>&1 </dev/null || got=$?
    if ((got != code)) || ! grep -q -F -- "$text" out; then
        echo "FAIL: $*: exit $got, not $code, or nothing says \"$text\""
        sed 's/^/    /' out | tail -20
        failures=$((failures + 1))
    fi
}

flags=(-std=c17 -O1 -g -shared -fPIC -pthread -D_GNU_SOURCE= "-I$source/core/include")
gcc "${flags[@]}" -fsanitize=thread -fopenmp "$source/harness/example_subject/mlp.c" -o mlp.so -lm || exit 1
gcc "${flags[@]}" -fopenmp "$source/harness/example_subject/mlp.c" -o mlp-plain.so -lm || exit 1
gcc "${flags[@]}" -fsanitize=thread "$source/harness/unit/bad_subject.c" -o threads.so -lm || exit 1
gcc "${flags[@]}" "$source/harness/unit/bad_subject.c" -o threads-plain.so -lm || exit 1

expect 0 ' 0  PASS' --subject mlp.so
expect 1 'mlp.c' --subject mlp.so --set subject-options=race=true
expect 0 ' 0  PASS' --subject threads.so --set subject-options=do=threads
expect 1 'bad_subject.c' --subject threads.so --set subject-options=do=race
expect 0 ' 0  PASS' --subject threads-plain.so drd --set subject-options=do=threads
expect 1 'bad_subject.c' --subject threads-plain.so drd --set subject-options=do=race
expect 1 'CRASH' --subject threads-plain.so drd --set subject-options=do=crash --set steps=8
expect 2 'not built for ThreadSanitizer' --subject mlp-plain.so
expect 2 'whose barriers drd takes for races' --subject mlp-plain.so drd
expect 2 'there is no such file' --subject nowhere.so
expect 2 'nm cannot read it' --subject "$source/scripts/setup.sh"
((failures == 0))
