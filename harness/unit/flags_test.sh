#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Flags that let a compiler round otherwise than the bit contract says are refused at configure time, by name or, where a
# compiler brings them along unseen, by what its programs do. usage: flags_test.sh SOURCE_FOLDER
set -uo pipefail

source=$(realpath "$1")
folder=$(mktemp -d "${TMPDIR:-/tmp}/dodeca-flags.XXXXXX")
trap 'rm -rf "$folder"' EXIT
unset CFLAGS CXXFLAGS LDFLAGS
failures=0

# refuse TEXT OPTION…: configuring fails and says the text
refuse()
{
    local text=$1
    shift
    rm -rf "$folder/build"
    if cmake -S "$source" -B "$folder/build" "$@" >"$folder/log" 2>&1; then
        echo "FAIL: cmake $* is accepted"
    elif ! tr -s ' \n' ' ' <"$folder/log" | grep -qF -- "$text"; then
        echo "FAIL: cmake $*: nothing says \"$text\""
        tail -n 5 "$folder/log"
    else
        return
    fi
    failures=$((failures + 1))
}

for flag in -ffast-math -Ofast -fno-signed-zeros -fsingle-precision-constant -ffp-contract=fast -mrecip; do
    refuse "build without $flag" "-DCMAKE_C_FLAGS=-g $flag"
done
refuse 'build without -Ofast' -DCMAKE_BUILD_TYPE=Debug -DCMAKE_C_FLAGS_DEBUG=-Ofast
refuse 'build without -ffast-math' -DCMAKE_EXE_LINKER_FLAGS=-ffast-math
refuse 'build without -ffast-math' -DCMAKE_CXX_FLAGS=-ffast-math # links the programs
for flags in -ffinite-math-only -ffast-math; do
    printf '#!/bin/sh\nexec cc "$@" %s\n' "$flags" >"$folder/cc"
    chmod +x "$folder/cc"
    refuse 'cannot keep the bit contract' "-DCMAKE_C_COMPILER=$folder/cc"
done
printf '#!/bin/sh\nexec c++ "$@" -ffast-math\n' >"$folder/c++"
chmod +x "$folder/c++"
refuse 'this C++ compiler, its flags or the C library cannot keep the bit contract' "-DCMAKE_CXX_COMPILER=$folder/c++"

((failures == 0)) && echo 'flags that break the bit contract are refused'
exit $((failures > 0))
