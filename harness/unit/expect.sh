# SPDX-License-Identifier: MIT
# What the tests of the command line have in common; sourced. Runs $program in the current folder, its output
# in the files out and err, and counts failures.
# shellcheck shell=bash disable=SC2034,SC2154

failures=0

fail()
{
    echo "FAIL: $*"
    sed 's/^/    /' err out 2>/dev/null | tail -15
    failures=$((failures + 1))
}

# expect CODE TEXT ARGUMENT…: the exit code, and a text that stderr or stdout must hold
expect()
{
    local code=$1 text=$2
    shift 2
    "$program" "$@" >out 2>err </dev/null
    local got=$?
    ((got == code)) || fail "dodeca $*: exit $got, not $code"
    grep -qF -- "$text" out err || fail "dodeca $*: nothing says \"$text\""
}
