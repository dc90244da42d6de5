#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# The manual pages of dodeca and its subcommands, out of what --help says, so that they cannot say anything else.
# (help2man would run examples together and lose the lines of an option's text.) What --help does not have, FILES and
# ENVIRONMENT, stands in NAME.man beside this script. FOLDER is made anew.
# usage: man_pages.sh PROGRAM FOLDER
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
program=$1
folder=$2
# Nothing is wrapped: then a line that ends is one that was meant to end.
export ARGP_HELP_FMT=rmargin=16000 LC_ALL=C.UTF-8

# "  NAME  what it does" lines of the overview.
subcommands=$("$program" --help | awk '/^  [a-z]+  +[^ ]/ && !/^  dodeca / { print }')
version=$("$program" --version | awk '{ sub(/,$/, "", $2); print $2; exit }')
if [[ -n ${SOURCE_DATE_EPOCH:-} ]]; then
    built=$(date -u -d "@$SOURCE_DATE_EPOCH" +%F)
else
    built=$(date -u -r "$program" +%F)
fi

page() # SUBCOMMAND, "" for dodeca itself
{
    local name=dodeca${1:+-$1}
    local about='train GPT-2-style models on CPU threads and show that the bits are the same for every number of them'
    [[ -z $1 ]] || about=$(awk -v name="$1" '$1 == name { sub(/^ *[^ ]+ +/, ""); print }' <<<"$subcommands")
    "$program" ${1:+"$1"} --help | awk -v name="$name" -v version="$version" -v about="$about" -v built="$built" '
        function roff(text)
        {
            gsub(/\\/, "\\e", text)
            gsub(/-/, "\\-", text)
            gsub(/\047/, "\\(aq", text)
            gsub(/`/, "\\(ga", text)
            sub(/^\./, "\\\\\\&.", text)
            return text
        }
        # --name=ARG|ARG, -s: names bold, what stands for a value italic
        function option(text,    n, part, i, out)
        {
            n = split(text, part, ", ")
            for (i = 1; i <= n; i++) {
                out = out (i > 1 ? ", " : "") "\\fB" roff(part[i])
                if (part[i] ~ /=/)
                    sub(/=/, "\\fR=\\fI", out)
                out = out "\\fR"
            }
            return out
        }
        function section(title)
        {
            verbatim(0)
            if (title != current)
                print ".SH " (title ~ / / ? "\"" title "\"" : title)
            began = current != title
            current = title
        }
        function verbatim(on)
        {
            if (on != is_verbatim)
                print on ? (began ? "" : ".PP\n") ".EX" : ".EE"
            is_verbatim = on
            began = 0
        }
        BEGIN {
            print ".TH " toupper(name) " 1 \"" built "\" \"dodeca " version "\" \"dodeca\""
            print ".SH NAME\n" roff(name) " \\- " roff(about)
        }
        /^[Uu]sage: |^  or:  / {
            section("SYNOPSIS")
            sub(/^([Uu]sage:|  or:) +/, "")
            if (n_usages++)
                print ".br"
            sub(/^dodeca( [a-z]+)?/, "\\fB&\\fR")
            gsub(/-/, "\\-")
            print
            next
        }
        { blank_before = !said; said = NF }
        !NF { in_option = 0; verbatim(0); next }

        # options: their text begins beside them or below, and goes on until a blank line or the next
        /^ +-/ && current != "EXAMPLES" && current != "NOTES" {
            section("OPTIONS")
            text = $0
            sub(/^ +/, "", text)
            match(text, /^(-., )?[^ ]+/)
            words = substr(text, 1, RLENGTH)
            text = substr(text, RLENGTH + 1)
            sub(/^ +/, "", text)
            print ".TP\n" option(words)
            if (text != "")
                print roff(text)
            in_option = 1
            fresh = text == ""
            next
        }
        in_option {
            sub(/^ +/, "")
            print (fresh ? "" : ".br\n") roff($0)
            fresh = 0
            next
        }
        /^ [^ ].*:$/ && current != "EXAMPLES" && current != "NOTES" {
            section("OPTIONS")
            sub(/^ /, "")
            print ".SS " roff(substr($0, 1, length($0) - 1))
            next
        }
        /^(Examples|Begin with these):$/ { section("EXAMPLES"); next }
        /^Exit: / {
            section("EXIT STATUS")
            sub(/^Exit: /, "")
            print roff($0)
            next
        }
        /^  [a-z]+  +[^ ]/ && !/^  dodeca / && name == "dodeca" {
            section("SUBCOMMANDS")
            sub(/^ +/, "")
            words = $1
            sub(/^[^ ]+ +/, "")
            print ".TP\n\\fBdodeca\\-" words "\\fR(1)\n" roff($0)
            next
        }
        /^  / { verbatim(1); print roff(substr($0, 3)); next }
        {
            was_verbatim = is_verbatim
            verbatim(0)
            if (current == "SYNOPSIS")
                section("DESCRIPTION")
            else if (current == "OPTIONS" && /:$/) {
                print ".SS " roff(substr($0, 1, length($0) - 1))
                began = 1
                next
            } else if ((current == "OPTIONS" || current == "EXAMPLES") && blank_before)
                section("NOTES")
            else if (blank_before || was_verbatim)
                print ".PP"
            began = 0
            print roff($0)
        }
        END { verbatim(0) }'
    [[ ! -e $here/$name.man ]] || cat "$here/$name.man"
    printf '.SH "SEE ALSO"\n.ad l\n.nh\n'
    {
        [[ -z $1 ]] || echo dodeca
        awk -v me="$1" '$1 != me { print "dodeca-" $1 }' <<<"$subcommands"
    } | sed 's/-/\\-/g; s/.*/\\fB&\\fR(1)/' | paste -s -d, | sed 's/,/, /g'
}

rm -rf "$folder"
mkdir -p "$folder"
for subcommand in '' $(awk '{ print $1 }' <<<"$subcommands"); do
    page "$subcommand" >"$folder/dodeca${subcommand:+-$subcommand}.1"
done
