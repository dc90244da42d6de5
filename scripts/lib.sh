# SPDX-License-Identifier: MIT
# What the scripts share: messages, exit codes and the build. Sourced by them, never run. Refuses to
# install anything (setup.sh does) and to decide what a script's verdict is.
#
# Exit codes everywhere: 0 all held, 1 a check failed, 2 bad usage, 3 the environment lacks something.
# Messages go to stderr, results to stdout.
# shellcheck shell=bash

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# One locale for every tool whose words are read here; sorting and numbers come out the same everywhere.
export LC_ALL=C

say()
{
    printf '%s\n' "$*" >&2
}

# die CODE MESSAGE…
die()
{
    local code=$1
    shift
    say "$(basename "$0"): $*"
    exit "$code"
}

have()
{
    command -v "$1" >/dev/null 2>&1
}

cache_folder() # where what came from outside is kept; a relative XDG_CACHE_HOME counts as unset, as XDG says
{
    if [[ ${XDG_CACHE_HOME:-} == /* ]]; then
        echo "$XDG_CACHE_HOME/dodeca"
    elif [[ ${HOME:-} == /* ]]; then
        echo "$HOME/.cache/dodeca"
    else
        return 1
    fi
}

vm_kernel() # the Linux that a virtual machine can boot: this system's newest, or what set-up has fetched; or nothing
{
    local file kernel=
    for file in "$(cache_folder || true)/vmlinuz" $(printf '%s\n' /boot/vmlinuz* | sort --version-sort); do
        [[ ! -f $file || ! -r $file ]] || kernel=$file
    done
    echo "$kernel"
}

bad_usage()
{
    die 2 "$1; see scripts/$(basename "$0") --help"
}

# build_tree FOLDER CMAKE_ARGUMENT… [-- TARGET…]
# Configures FOLDER where that is new or its arguments changed, then builds it. Says nothing where there is
# nothing to do; where a step fails, prints what the step printed and ends the script with 1. Arguments that an
# earlier call gave and this one does not stay as they are, so that two callers share one folder
# without building it twice.
build_tree()
{
    local folder=$1 name log notice status=0 targets=() arguments=()
    shift
    name=${folder#"$root/"}
    while (($#)) && [[ $1 != -- ]]; do
        arguments+=("$1")
        shift
    done
    if (($#)); then
        shift
        targets=(--target "$@")
    fi
    mkdir -p "$folder" || die 3 "cannot create the build folder $folder"
    log=$folder/build.log

    # The generator is given only once: CMake refuses to change it.
    [[ -e $folder/CMakeCache.txt ]] || arguments+=(-G Ninja)
    if [[ ! -e $folder/CMakeCache.txt || ! -e $folder/build.ninja && ! -e $folder/Makefile ]] ||
        ! cached "$folder" "${arguments[@]}"; then
        cmake -S "$root" -B "$folder" "${arguments[@]}" >"$log" 2>&1 || status=$?
        if ((status)); then
            cat "$log" >&2
            say "configuring $name/ failed; the lines above, also in $log, say why"
            exit 1
        fi
    fi
    # Whether there is anything to do only the build itself can tell; where there is not, it ends before this speaks.
    {
        sleep 1 >/dev/null 2>&1
        say "building $name/ …"
    } &
    notice=$!
    cmake --build "$folder" --parallel "$(cores)" "${targets[@]}" >"$log" 2>&1 || status=$?
    kill "$notice" 2>/dev/null || true
    wait "$notice" 2>/dev/null || true
    if ((status)); then
        # What failed, not the list of what went well.
        grep -v -E '^\[[0-9]+/[0-9]+\] (Building|Linking|Re-checking|Generating)' "$log" >&2
        say "building $name/ failed; all of its output is in $log"
        exit 1
    fi
}

# cached FOLDER -DNAME=VALUE…  true where the folder's cache holds every one of these values
cached()
{
    local folder=$1 argument name
    shift
    for argument; do
        [[ $argument == -D* ]] || return 1
        name=${argument#-D}
        name=${name%%[:=]*}
        grep -q -x -F -e "$name:STRING=${argument#*=}" -e "$name:BOOL=${argument#*=}" \
            -e "$name:FILEPATH=${argument#*=}" -e "$name:UNINITIALIZED=${argument#*=}" \
            "$folder/CMakeCache.txt" || return 1
    done
}

# Cores this process may use.
cores()
{
    nproc 2>/dev/null || getconf _NPROCESSORS_ONLN 2>/dev/null || echo 2
}

# What the scripts that write a table of results/tables/ take alike, of which usage() tells: sets quick, build, dodeca
# and out. usage: table_options NAME ARGUMENT…; NAME.md is written where --quick and --out are not given
table_options()
{
    local table=$1
    shift
    quick=false
    build=false
    dodeca=
    out=
    while (($#)); do
        case $1 in
        --help | -h)
            usage
            exit 0
            ;;
        --quick) quick=true ;;
        --build) build=true ;;
        --dodeca | --out)
            (($# >= 2)) || bad_usage "$1 needs a value"
            if [[ $1 == --out ]]; then out=$2; else dodeca=$2; fi
            shift
            ;;
        *) bad_usage "unknown argument \"$1\"" ;;
        esac
        shift
    done
    ! $build || [[ -z $dodeca ]] || bad_usage "--build builds build/dodeca, --dodeca names another"
    [[ -n $out ]] || $quick || out=$root/results/tables/$table.md
    [[ -z $out || -d $(dirname "$out") && -w $(dirname "$out") ]] || die 2 "--out: no folder to write $out in"
}

# The program that they measure: builds it, if that was asked for, and sets dodeca.
table_program()
{
    ! $build || build_tree "$root/build"
    dodeca=${dodeca:-$root/build/dodeca}
    [[ -x $dodeca ]] || die 3 "there is no program $dodeca; scripts/${0##*/} --build builds it"
}
