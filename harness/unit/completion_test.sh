#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# bash completion as readline would ask for it: words as COMP_WORDS has them, with = and : apart.
# usage: completion_test.sh PROGRAM
set -uo pipefail
tests=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
program=$(realpath "$1")
folder=$(mktemp -d "${TMPDIR:-/tmp}/dodeca-completion.XXXXXX")
trap 'rm -rf "$folder"' EXIT
cd "$folder" || exit 1
failures=0
# shellcheck source=harness/install/completion.sh
. "$tests/../install/completion.sh"
complete -p dodeca | grep -q _dodeca || {
    echo 'FAIL: dodeca has no completion'
    exit 1
}

# completes EXPECTED WORD…: the last word is the one at the cursor; EXPECTED the sorted replies by blanks
completes()
{
    local expected=$1 got
    shift
    COMP_WORDS=("$program" "$@")
    COMP_CWORD=$#
    _dodeca
    got=$(printf '%s\n' "${COMPREPLY[@]}" | LC_ALL=C sort | paste -s -d' ')
    [[ $got == "$expected" ]] || {
        echo "FAIL: dodeca $*: \"$got\", not \"$expected\""
        failures=$((failures + 1))
    }
}

# has WORD LINE…: one of the replies
has()
{
    local word=$1
    shift
    COMP_WORDS=("$program" "$@")
    COMP_CWORD=$#
    _dodeca
    printf '%s\n' "${COMPREPLY[@]}" | grep -qxF -- "$word" || {
        echo "FAIL: dodeca $*: no \"$word\" in: ${COMPREPLY[*]}"
        failures=$((failures + 1))
    }
}

# ---- subcommands, all that --help lists, and nothing of its examples
completes 'spheres' sph
completes 'train' help tr
all=$("$program" --help | sed -n 's/^  \([a-z]*\)  *[^ ].*/\1/p' | grep -vx dodeca | LC_ALL=C sort | paste -s -d' ')
completes "--help --version $(tr ' ' '\n' <<<"$all help" | LC_ALL=C sort | paste -s -d' ')" ''
completes "$all" help ''

# ---- options: exactly those of --help, with = where there is a value
for subcommand in $all; do
    options=$("$program" "$subcommand" --help | grep -o '^\(      \|  -., \)--[^ ]*' | grep -o -- '--[a-z0-9_-]*=\?' |
        LC_ALL=C sort -u | paste -s -d' ')
    completes "$options" "$subcommand" --
done
completes '--reduce=' train --red
completes '--print-hash' train --print

# ---- values
completes 'owner' train --reduce = ow
completes 'auto control owner sliced tree' train --reduce = ''
completes 'auto control owner sliced tree' train --reduce =
completes 'pthread tree' train --barrier ''
completes 'gpt2-124M micro nano' train --model = ''
completes 'builtin bytes: kjv tokens:' train --data = ''
completes '' train --steps = ''
completes '' train --print-hash ''
completes 'workers=' run --set workers
touch book.txt 'two words.txt' a.yaml
mkdir scenes
touch scenes/b.yaml
completes 'book.txt' train --data = bytes : bo
completes 'two words.txt' train --trace = tw
completes 'a.yaml scenes' run ''
completes 'scenes/b.yaml' run scenes/
completes 'scenes' run --out ''
completes 'scenes' report ''

# ---- names, of what the program lists
has serial-equivalence check ser
has eventcount explore ev
completes 'clean-shutdown' check clean

# ---- an installed program offers the scenarios beside it, where there are none
mkdir -p prefix/bin prefix/share/dodeca/scenarios empty
cp "$program" prefix/bin/dodeca
touch prefix/share/dodeca/scenarios/quick.yaml
cd empty || exit 1
program=$folder/prefix/bin/dodeca
completes "$folder/prefix/share/dodeca/scenarios/quick.yaml" run ''
completes '' defects ''
program=$folder/nowhere
completes '' train --

((failures == 0))
