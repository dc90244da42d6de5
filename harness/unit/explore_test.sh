#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# `dodeca explore` as it is called: names and patterns choose, a replay string runs, what is asked wrongly is told with what
# would be right.
set -u
program=$1
here=$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder" || exit 1
# shellcheck source=SCRIPTDIR/expect.sh
. "$here/expect.sh"

expect 0 'PASS' explore --memory sc 'eventcount*'
(($(grep -c '^eventcount' out) == 2)) || fail 'the pattern did not choose both'
expect 0 'trace-spawn' explore --list 'trace-*'
! grep -v '^trace-' out >err || fail 'the list holds what the pattern does not'
expect 0 'mailbox                 sc exhaustive c11 bounded 2  two senders' explore --list mailbox
expect 0 'steal-twice             sc exhaustive c11 reduced    ' explore --list steal-twice
expect 0 'twelve-tree             sc random     c11 random     ' explore --list twelve-tree
expect 0 'sphere-1' explore --replay points-tree:sc:0x3.1:1add

expect 2 'unknown protocol "points-tre", did you mean "points-tree"?' explore points-tre
expect 2 'unknown protocol "dots-*"; --list shows' explore 'dots-*'
expect 2 'must be one of exhaustive, reduced, bounded, dfs, dpor, random, pct, not "odd"' explore --tier odd
expect 2 '--runs must be a whole number' explore --tier random --runs 1.5
expect 2 '--seed is for tiers that are at random' explore --tier exhaustive --seed 3 eventcount
expect 2 'it stands alone' explore --json --replay points-tree:sc:0x3.1:1add
expect 2 'the replay string is damaged' explore --replay points-tree:sc:0x3.1:1ade
expect 2 '--list is a text' explore --list --json

((failures == 0))
