#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# scripts/barriers_table.sh: its refusals, and that its table holds what was measured. usage: barriers_test.sh PROGRAM
set -uo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
dodeca=$(realpath "$1")
folder=$(mktemp -d "${TMPDIR:-/tmp}/dodeca-barriers.XXXXXX")
trap 'rm -rf "$folder"' EXIT
cd "$folder" || exit 1
program=$root/scripts/barriers_table.sh
# shellcheck source=harness/unit/expect.sh
. "$root/harness/unit/expect.sh"

expect 0 'usage: scripts/barriers_table.sh' --help
expect 2 'unknown argument "all"' all
expect 2 'no folder to write' --quick --out none/table.md
expect 3 'there is no program none' --quick --dodeca none
expect 2 'dodeca names another' --build --dodeca none

# What a program measured, made up: medians, quantiles and ratios by hand.
cat >made_up <<'END'
#!/bin/sh
echo 'dodeca_cores: 2' >&2
cat <<'ROWS'
name,iterations,real_time,cpu_time,time_unit,bytes_per_second,items_per_second,label,error_occurred,error_message
"barrier/dodeca-tree/threads:2/manual_time",10,300,1,ns,,,,,
"barrier/dodeca-tree/threads:2/manual_time",10,100,1,ns,,,,,
"barrier/dodeca-tree/threads:2/manual_time",10,200,1,ns,,,,,
"barrier/dodeca-tree/threads:2/manual_time_median",3,200,1,ns,,,,,
"barrier/pthread/threads:2/manual_time",10,1,1,us,,,,,
"barrier/pthread/threads:2/manual_time",10,3,1,us,,,,,
"barrier/pthread/threads:16/manual_time",10,5,1,us,,,,,
"empty_step/tree/workers:2/real_time",10,0.5,1,ms,,,,,
"empty_step/pthread/workers:2/real_time",10,0.25,1,ms,,,,,
ROWS
END
chmod +x made_up
expect 0 'written to table.md' --quick --dodeca ./made_up --out table.md
row() { grep -Eq -- "^ *$1\$" table.md || fail "no row \"$1\""; }
row '2  dodeca-tree +200 +120 +280 +1.00'
row '2  pthread +2000 +1200 +2800 +10.00'
row '16  pthread +5000 +5000 +5000 +-'
row '2  tree +500000 +500000 +500000 +1.00'
row '2  pthread +250000 +250000 +250000 +0.50'
printf '#!/bin/sh\nexit 3\n' >made_up
expect 3 'the measurement ended with 3' --quick --dodeca ./made_up --out other.md
[[ ! -e other.md ]] || fail 'a table was written of a measurement that failed'

# And what ours says.
expect 0 'dodeca-tree' --quick --dodeca "$dodeca"
for name in '2  dodeca-tree' '4  dodeca-tree' '4  pthread' '2  tree'; do
    grep -Eq "^ +$name +[0-9]+ +[0-9]+ +[0-9]+ +[0-9.]+\$" out || fail "no row of $name"
done

((failures == 0)) && echo 'the table of barriers holds what was measured'
exit $((failures > 0))
