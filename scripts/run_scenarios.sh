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
tables and the folder they were written to: results/runs/<time>-<scenario>/. Paths inside scenarios and in --set
are taken from the top of the checkout.

  --yes            install missing packages without asking
  --set KEY=VALUE  override a key of the scenarios; may be repeated
  --out DIR        write the results there
  --resume DIR     go on with the sweep of a results folder, where it was interrupted
  --list           print the cells that would run, and run none
  --minutes N      how long scenarios/soak.yaml goes on (1)
  and what else "build/dodeca run --help" names

exit: 0 all held, 1 a check failed, 2 bad usage or input, 3 the environment lacks something, 130 Ctrl-C
END
}

setup=()
options=()
files=()
resumes=false

absolute()
{
    case $1 in
    /* | '') echo "$1" ;; # no name at all is dodeca's to refuse
    *) echo "$PWD/$1" ;;
    esac
}

while (($#)); do
    case $1 in
    --help | -h)
        usage
        exit 0
        ;;
    --yes | -y) setup=(--yes) ;;
    --subject)
        (($# >= 2)) || bad_usage "$1 needs a value"
        # a file, unless it is a name
        case $2 in
        */*) options+=("$1" "$(absolute "$2")") ;;
        *) options+=("$1" "$2") ;;
        esac
        shift
        ;;
    --set | --minutes | --rounds | --draw-seed | --again)
        (($# >= 2)) || bad_usage "$1 needs a value"
        options+=("$1" "$2")
        shift
        ;;
    --out)
        (($# >= 2)) || bad_usage "$1 needs a value"
        options+=(--out "$(absolute "$2")")
        shift
        ;;
    --resume)
        (($# >= 2)) || bad_usage "$1 needs a value"
        options+=(--resume "$(absolute "$2")")
        resumes=true
        shift
        ;;
    --resume=*)
        options+=(--resume "$(absolute "${1#--resume=}")")
        resumes=true
        ;;
    --out=*) options+=(--out "$(absolute "${1#--out=}")") ;;
    -*) options+=("$1") ;;
    *)
        [[ -r $1 && ! -d $1 ]] || die 2 "there is no scenario file \"$1\" that can be read; scenarios/ holds some"
        files+=("$(absolute "$1")")
        ;;
    esac
    shift
done
((${#files[@]})) || $resumes || files=("$root/scenarios/quick.yaml")

"$root/scripts/setup.sh" "${setup[@]}"
build_tree "$root/build"
# Results belong to the checkout, from wherever this is called.
cd "$root"
# In place of this shell: Ctrl-C and the exit code are dodeca's.
exec "$root/build/dodeca" run "${files[@]}" "${options[@]}"
