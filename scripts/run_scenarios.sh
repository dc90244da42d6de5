#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# The newcomer's command: sets up what is missing, builds, runs scenarios. Refuses to interpret
# scenarios: dodeca does, and prints the tables and where they were written.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

usage()
{
    cat <<'END'
usage: scripts/run_scenarios.sh [--yes] [FILE.yaml …] [option of "dodeca run" …]

Sets up what is missing, builds into build/, then runs the scenarios (default: scenarios/quick.yaml), prints their
tables and the folder they were written to: results/runs/<time>-<scenario>/.

  --yes            install missing packages without asking
  --set KEY=VALUE  override a key of the scenarios; may be repeated
  --out DIR        write the results there
  --list           print the cells that would run, and run none
  and what else "build/dodeca run --help" names

exit: 0 all held, 1 a check failed, 2 bad usage or input, 3 the environment lacks something
END
}

setup=()
options=()
files=()
out_given=false
while (($#)); do
    case $1 in
    --help | -h)
        usage
        exit 0
        ;;
    --yes | -y) setup=(--yes) ;;
    --set | --out | --subject)
        (($# >= 2)) || bad_usage "$1 needs a value"
        [[ $1 != --out ]] || out_given=true
        options+=("$1" "$2")
        shift
        ;;
    --out=*)
        out_given=true
        options+=("$1")
        ;;
    -*) options+=("$1") ;;
    *)
        [[ -r $1 && ! -d $1 ]] || die 2 "there is no scenario file \"$1\" that can be read; scenarios/ holds some"
        files+=("$1")
        ;;
    esac
    shift
done
((${#files[@]})) || files=("$root/scenarios/quick.yaml")
# Results belong to the checkout, from wherever this is called.
$out_given || options+=(--out "$root/results/runs")

"$root/scripts/setup.sh" "${setup[@]}"
build_tree "$root/build"
# In place of this shell: Ctrl-C and the exit code are dodeca's.
exec "$root/build/dodeca" run "${files[@]}" "${options[@]}"
