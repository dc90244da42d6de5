#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# The planted cell of scenarios/guard.yaml, made small for an emulated CPU that has protection keys: with two workers,
# worker 0 writes into a live segment of worker 1. The write must fault, and the report must say whose it was and where
# it went. usage: stray_write_vm_test.sh PROGRAM; exits 77 where keys_vm.sh does
set -uo pipefail
source=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
program=$(realpath "$1")
report='thread [0-9]+ "dd-thread-[0-9]+" \(thread [0-9]+, sphere [0-9.]+\) wrote to segment [0-9]+ of worker 1 at byte '
report+='[0-9]+, address 0x[0-9a-f]+: its protection key forbids it'

out=$("$source/scripts/keys_vm.sh" "$program" run "$source/scenarios/guard.yaml" --out /tmp/results \
    --set workers=2 --set guard=true --set plant=stray-write --set reduce=tree --set depth=1 --set steal=false \
    --set model=L=1,NH=1,C=16,V=64,T=8 --set seq=8 --set steps=6 --set warmup=1 --set repeats=1)
code=$?
printf '%s\n' "$out"
((code == 0)) || exit "$code"
grep -qE "^ *PASS guard: $report\$" <<<"$out" ||
    {
        echo 'FAIL: no line reports the write with thread, sphere, region, segment and offset'
        exit 1
    }
