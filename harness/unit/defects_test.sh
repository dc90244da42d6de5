#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# `dodeca defects` on this tree: a defect of each kind is planted, built and caught, and the copy is as before; bad usage
# and missing sources are told.
set -u
program=$1
here=$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder" || exit 1
# shellcheck source=SCRIPTDIR/expect.sh
. "$here/expect.sh"

expect 0 'caught: explore eventcount DEADLOCK' defects --list wake-one
expect 2 'no defect "wake-ome", did you mean "wake-one"?' defects wake-ome
expect 2 '--checks "luck": there are unit, explore' defects --checks luck
expect 2 '--kind must be catalogue' defects --kind odd
expect 2 '--jobs must be a whole number from 1 to 64, not "0"' defects --jobs 0 wake-one
expect 2 '--checks is empty' defects --checks '' wake-one
expect 2 '"wake-one" is of another kind' defects --kind generated wake-one
mkdir -p theirs/source && echo kept >theirs/source/letter
expect 3 'name a new or an empty folder' defects --build "$folder/theirs" wake-one
[[ $(<theirs/source/letter) == kept ]] || fail 'a folder of somebody else was written to'
source=$(dirname "$(dirname "$here")")
expect 3 'is inside the sources' defects --build "$source/core/shop" wake-one
[[ ! -e $source/core/shop ]] || fail 'a folder that was refused was left among the sources'
expect 2 '--list plants nothing: it takes no --checks' defects --list --checks unit
expect 2 'it takes no --build' defects --list --build shop
expect 3 'there are no sources in' defects --source "$folder/nowhere"

expect 0 'wake-one' defects --build "$folder/shop" --jobs 2 wake-one weight-decay-ignored close-tells-nobody \
    'gen:sync/eventcount.c:dd_eventcount_advance:wake-none:*'
grep -q '4 defects: 4 caught' out || fail 'not all four were caught'
grep -q 'close-tells-nobody: .*watchdog HANG' out err || fail 'the watchdog did not see the hang'
for copy in shop shop/job-2; do
    diff -r "$source/core" "$folder/$copy/source/core" >out 2>err || fail "$copy was not restored"
done

((failures == 0))
