# SPDX-License-Identifier: MIT
# bash completion for dodeca. What there is to complete is asked of the program each time: subcommands and options of
# its --help, names of its --list. Installed as share/bash-completion/completions/dodeca.
# shellcheck shell=bash

# A line for each long option of a subcommand: --name or --name=ARGUMENT, a tab, the text.
_dodeca_options() # PROGRAM SUBCOMMAND
{
    ARGP_HELP_FMT=rmargin=16000 "$1" "$2" --help 2>/dev/null </dev/null | awk '
        /^Examples:/ { exit }
        /^ +-/ {
            text = $0
            sub(/^ +(-.,)? */, "", text)
            words = text
            sub(/ .*/, "", words)
            sub(/^[^ ]+ */, "", text)
            print words "\t" text
        }'
}

_dodeca_names() # PROGRAM SUBCOMMAND COLUMN: of what --list prints, the names being in that column
{
    "$1" "$2" --list 2>/dev/null </dev/null | awk -v column="$3" '/^[^ ]/ { print $column }'
}

_dodeca_subcommands() # PROGRAM
{
    "$1" --help 2>/dev/null </dev/null | awk '/^  [a-z]+  +[^ ]/ && $1 != "dodeca" { print $1 }'
}

_dodeca_words() # WORD LIST: those that WORD begins
{
    mapfile -t COMPREPLY < <(compgen -W "$2" -- "$1")
}

_dodeca_files() # WORD [SUFFIX]: files, with the suffix alone, and folders on the way to them
{
    local path
    compopt -o filenames 2>/dev/null
    COMPREPLY=()
    while IFS= read -r path; do
        if [[ -d $path || -z ${2:-} || $path == *"$2" ]]; then
            COMPREPLY+=("$path")
        fi
    done < <(compgen -f -- "$1")
}

_dodeca_folders() # WORD
{
    compopt -o filenames 2>/dev/null
    mapfile -t COMPREPLY < <(compgen -d -- "$1")
}

# The value of an option, by what --help calls its argument.
_dodeca_value() # PROGRAM SUBCOMMAND OPTION WORD
{
    local line argument keys
    line=$(_dodeca_options "$1" "$2" | awk -v option="$3" 'index($0, option "=") == 1 { print; exit }')
    argument=${line%%$'\t'*}
    argument=${argument#*=}
    case $argument in
    *'|'*) _dodeca_words "$4" "${argument//|/ }" ;;
    CHOICE) _dodeca_words "$4" "$(sed 's/^[^\t]*\t//; s/:.*//; s/|/ /g' <<<"$line")" ;;
    FILE*) _dodeca_files "$4" ;;
    DIR*) _dodeca_folders "$4" ;;
    SPEC)
        compopt -o nospace 2>/dev/null
        _dodeca_words "$4" "kjv builtin bytes: tokens:"
        ;;
    MODEL)
        _dodeca_words "$4" "$(sed -n 's/^[^\t]*\t//; s/, a change.*//; s/ or /, /; s/[a-z ]*: *//; s/,/ /gp' <<<"$line")"
        ;;
    KEY=VALUE)
        compopt -o nospace 2>/dev/null
        keys=$(_dodeca_options "$1" train | sed -n 's/^--\([a-z0-9-]*\).*/\1=/p')
        _dodeca_words "$4" "$keys"
        ;;
    esac
}

_dodeca_argument() # PROGRAM SUBCOMMAND WORD
{
    case $2 in
    help) _dodeca_words "$3" "$(_dodeca_subcommands "$1")" ;;
    check) _dodeca_words "$3" "$(_dodeca_names "$1" check 2)" ;;
    explore) _dodeca_words "$3" "$(_dodeca_names "$1" explore 1)" ;;
    defects) _dodeca_words "$3" "$(_dodeca_names "$1" defects 1)" ;;
    run)
        _dodeca_files "$3" .yaml
        if [[ -z $3 ]] && ((!${#COMPREPLY[@]})); then # nothing here: those that were installed
            _dodeca_files "$(dirname "$(dirname "$(command -v "$1")")")/share/dodeca/scenarios/" .yaml
        fi
        ;;
    report | predict) _dodeca_folders "$3" ;;
    diff | convert | inspect) _dodeca_files "$3" ;;
    esac
}

_dodeca()
{
    local program=${COMP_WORDS[0]/#\~/$HOME} word=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]}
    local subcommand=${COMP_WORDS[1]} option=
    COMPREPLY=()
    command -v "$program" >/dev/null || return
    if ((COMP_CWORD == 1)); then
        _dodeca_words "$word" "$(_dodeca_subcommands "$program") help --help --version"
        return
    fi
    # Readline takes --name=value apart at the =, and bytes:FILE at the colon.
    if [[ $word == : || $previous == : ]]; then
        [[ $word != : ]] || word=
        _dodeca_files "$word"
        return
    elif [[ $word == = ]]; then
        option=$previous
        word=
    elif [[ $previous == = ]]; then
        option=${COMP_WORDS[COMP_CWORD - 2]}
    elif [[ $previous == --* && $word != -* ]] &&
        _dodeca_options "$program" "$subcommand" | grep -- "^$previous=" >/dev/null; then
        option=$previous
    fi
    if [[ $option == --* ]]; then
        _dodeca_value "$program" "$subcommand" "$option" "$word"
    elif [[ $word == -* ]]; then
        _dodeca_words "$word" "$(_dodeca_options "$program" "$subcommand" | sed 's/\t.*//; s/=.*/=/')"
        [[ ${#COMPREPLY[@]} != 1 || ${COMPREPLY[0]} != *= ]] || compopt -o nospace 2>/dev/null
    else
        _dodeca_argument "$program" "$subcommand" "$word"
    fi
}

complete -F _dodeca dodeca
