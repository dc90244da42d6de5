#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# What --help says, of dodeca and of every subcommand: its form, two examples at least, of options that are there, an exit
# status, and a manual page that has all of it. With --run: the examples that are cheap are carried out, as they stand,
# one after the other in a folder that has what they name; and mandoc and groff have nothing to say of the pages (exit 3
# if they are not installed). usage: help_test.sh PROGRAM PAGES [--run]
set -uo pipefail
tests=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
program=$(realpath "$1")
pages=$(realpath "$2")
root=$(realpath "$tests/../..")
folder=$(mktemp -d "${TMPDIR:-/tmp}/dodeca-help.XXXXXX")
trap 'rm -rf "$folder"' EXIT
cd "$folder" || exit 1
# shellcheck source=harness/unit/expect.sh
. "$tests/expect.sh"
unset ARGP_HELP_FMT

examples() # FILE: those that it shows, a command a line, continued ones joined
{
    awk '/^(Examples|Begin with these):$/ { on = 1; next } /^[^ ].*[^:]$/ && NF { on = 0 }
         on && /^  / { print substr($0, 3) }' "$1" | sed -e ':more; /\\$/{N; s/\\\n *//; b more}' | grep -v '^ *#'
}

subcommands=$("$program" --help | sed -n 's/^  \([a-z]*\)  *[^ ].*/\1/p' | grep -vx dodeca)
(($(wc -w <<<"$subcommands") >= 11)) || fail 'dodeca --help lists hardly any subcommand'

expect 0 'usage: dodeca SUBCOMMAND' help
mv out dodeca.help
expect 2 'unknown subcommand "trian", did you mean "train"' help trian
for subcommand in $subcommands; do
    expect 0 "Usage: dodeca $subcommand" help "$subcommand"
    mv out "$subcommand.help"
    expect 0 "Usage: dodeca $subcommand" "$subcommand" --help
    cmp -s out "$subcommand.help" || fail "dodeca help $subcommand says something else than dodeca $subcommand --help"
    # argp misplaces an option's text that it begins on a line of its own at the end of its buffer.
    awk '{ deep = match($0, /^ +/) ? RLENGTH : 0 } length() > 110 || deep > 29 { print; bad = 1 } END { exit !bad }' \
        "$subcommand.help" >out 2>err &&
        fail "dodeca $subcommand --help: lines too long, or indented too deep"
    (($(examples "$subcommand.help" | grep -c "^dodeca $subcommand ") >= 2)) ||
        (($(examples "$subcommand.help" | grep -cx "dodeca $subcommand\( *#.*\)\?\|dodeca $subcommand .*") >= 2)) ||
        fail "dodeca $subcommand --help: less than two examples"
    grep -q '^Exit: ' "$subcommand.help" || fail "dodeca $subcommand --help: no exit status"
done

# ---- every option that an example has is one of its subcommand
for help in *.help; do
    while read -r example; do
        example=${example#mkdir * && }
        [[ $example == 'dodeca '* ]] || continue
        read -r _ subcommand _ <<<"$example"
        for option in $(sed "s/ #.*//; s/'[^']*'//g" <<<"$example" | grep -o -- ' --[a-z0-9_-]*'); do
            grep -q -- "^ .*$option\([= ,]\|$\)" "$subcommand.help" || fail "$help: $example: there is no $option"
        done
    done < <(examples "$help")
done

# ---- the manual pages: as many, with every option, every example and all subcommands
plain() # FILE: a page without its escapes
{
    sed 's/\\-/-/g; s/\\(aq/'\''/g; s/\\(ga/`/g; s/\\f[BIR]//g; s/\\e/\\/g' "$1"
}
(($(find "$pages" -type f | wc -l) == $(wc -w <<<"$subcommands") + 1)) || fail 'not a manual page for each subcommand'
for name in dodeca $subcommands; do
    page=$pages/dodeca-$name.1
    [[ $name != dodeca ]] || page=$pages/dodeca.1
    [[ -s $page ]] || {
        fail "no page $page"
        continue
    }
    plain "$page" >page
    for section in NAME SYNOPSIS DESCRIPTION EXAMPLES 'EXIT STATUS' 'SEE ALSO'; do
        grep -qx "\.SH \"\?$section\"\?" page || fail "$page: no section $section"
    done
    for option in $(sed '/^Examples:$/q' "$name.help" | grep -o '^\(      \|  -., \)--[^ ]*' | grep -o -- '--.*'); do
        grep -q -- "^\(-., \)\?$option$" page || fail "$page: no $option"
    done
    examples "$name.help" | sed 's/ *$//' >examples
    while read -r example; do
        grep -qxF -- "$example" <(sed -e ':more; /\\$/{N; s/\\\n *//; b more}' page) || fail "$page: no example $example"
    done <examples
done
for subcommand in $subcommands; do
    grep -q "^dodeca-$subcommand(1)" <(plain "$pages/dodeca.1") || fail "dodeca.1 does not list $subcommand"
done

if [[ ${3:-} != --run ]]; then
    ((failures == 0))
    exit
fi

# ---- what is cheap, carried out
ln -s "$root/scenarios" "$root/README.md" .
cp README.md book.txt
mkdir bin
ln -s "$program" bin/dodeca
PATH=$folder/bin:$PATH
cheap='^(mkdir [a-z]+ && )?dodeca (train|diff|spheres|convert|inspect|sample|doctor --quick|check --list|defects --list|bench --benchmark_list|run .*--list|explore --replay|explore --list)'
dear='micro|gpt2|kjv|tokens:|tokens\.bin|--minutes|--resume'
run=0
for name in dodeca train $(tr ' ' '\n' <<<"$subcommands" | grep -vx train); do
    while read -r example; do
        if ! grep -Eq "$cheap" <<<"$example" || grep -Eq "$dear" <<<"$example"; then
            continue
        fi
        wanted=0
        [[ $example != *'# parts'* ]] || wanted=1
        # a second page may show the same file being made again
        for file in $(sed -n 's/.*--\(record\|trace\|log\) \([^ ]*\).*/\2/p' <<<"$example"); do
            rm -f "$file"
        done
        timeout 300 bash -c "$example" >out 2>err </dev/null
        got=$?
        ((got == wanted)) || fail "$name.help: $example: exit $got, not $wanted"
        run=$((run + 1))
    done < <(examples "$name.help")
done
echo "$run examples carried out"
((run >= 25)) || fail 'hardly any example was carried out'

((failures == 0)) || exit 1
for tool in mandoc groff; do
    command -v $tool >/dev/null || {
        echo "SKIP: $tool is not installed: scripts/setup.sh --man"
        exit 3
    }
done
for page in "$pages"/*; do
    mandoc -T lint -W warning "$page" >out 2>err || fail "mandoc: $page"
    groff -K utf8 -man -ww -T utf8 -z "$page" >out 2>err
    [[ ! -s err ]] || fail "groff: $page"
done
((failures == 0))
