#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Trains the same models with every compiler, optimisation level, architecture and kernel set, and with the oracle, and
# demands one weights hash per model, the one in results/expected/hashes.txt. Architectures that this
# machine is not of are cross-compiled and emulated. Refuses to pass what did not run, and to change the
# expected hashes unless told to (--update).
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

expected=$root/results/expected/hashes.txt
records=$root/results/expected/sets.txt

usage()
{
    cat <<'END'
usage: scripts/same_bits.sh [--full] [--here DIR] [--update]

Builds the library and a small driver with gcc and clang at -O0, -O1, -O2 and -O3 for x86-64, aarch64 and riscv64
into build-bits/. In each build trains a shape of about 10,000 parameters for 20 steps on built-in data, with the
oracle and with every kernel set, with 1 and 3 workers; natively (not at -O0) nano as well. Other architectures
run under qemu-user. Compares all weights with results/expected/hashes.txt. A line per build, model and kernel set.

  --full      natively nano at -O0, too, and micro at the others (oracle and vector sets)
  --here DIR  no compiling: only the whole build in DIR, its program included, and there also with other numbers of
              workers, depths, barriers and reductions
  --update    write the hashes found to results/expected/hashes.txt, if all are the same, and to
              results/expected/sets.txt the kernel sets that gave them here, with the CPU's name

A set that this CPU does not have is SKIP, never PASS. What is required: both compilers and all three
architectures (without --here), and every set that results/expected/sets.txt does not name a CPU for.

scripts/setup.sh --cross installs the compilers and the emulator. ccache is used where it is installed.

exit: 0 all equal, 1 a difference, 2 bad usage, 3 equal, but something required could not run
END
}

full=false
update=false
here=
while (($#)); do
    case $1 in
    --help | -h)
        usage
        exit 0
        ;;
    --full) full=true ;;
    --update) update=true ;;
    --here)
        (($# >= 2)) || bad_usage "--here needs a folder"
        here=$(cd "$2" && pwd) || exit 2
        shift
        ;;
    *) bad_usage "unknown argument \"$1\"" ;;
    esac
    shift
done

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# ---- what can be built here ------------------------------------------------------------------------------------

native=$(uname -m)
lacking=false
failed=false

line() # COMPILER LEVEL TARGET MODEL SET RUNS WEIGHTS VERDICT
{
    printf '%-8s %-5s %-7s %-5s %-13s %4s  %-32s  %s\n' "$@"
}

# lacks TARGET COMPILER  prints what building for it needs and is not there
lacks()
{
    if ! have "$2"; then
        echo "$2 is not installed"
    elif [[ $1 != "$native" && ! -e $root/scripts/toolchains/$1.cmake ]]; then
        echo "there is no scripts/toolchains/$1.cmake"
    elif [[ $1 != "$native" ]]; then
        # clang uses the headers and libraries that come with gcc's.
        have "$1-linux-gnu-gcc" || echo "$1-linux-gnu-gcc is not installed (Debian: gcc-$1-linux-gnu)"
        [[ -e /usr/$1-linux-gnu/include/stdio.h ]] || echo "the C library for $1 is not installed"
        have "qemu-$1" || echo "qemu-$1 is not installed (Debian: qemu-user)"
    fi
}

builds=() # compiler level target
if [[ -n $here ]]; then
    builds=("here - $native")
else
    for target in x86_64 aarch64 riscv64; do
        for compiler in gcc clang; do
            reason=$(lacks "$target" "$compiler" | head -n 1)
            if [[ -n $reason ]]; then
                echo "$compiler - $target - - - - SKIP: $reason" >>"$work/lacking"
                continue
            fi
            for level in O0 O1 O2 O3; do
                builds+=("$compiler $level $target")
            done
        done
    done
fi

models_of() # LEVEL TARGET
{
    echo tiny
    [[ $2 == "$native" ]] || return 0
    [[ $1 == O0 ]] && ! $full || echo nano
    [[ $1 == O0 ]] || ! $full || echo micro
}

# ---- builds and runs, several at once -----------------------------------------------------------------------

# What the driver prints about a model goes to $work/COMPILER-LEVEL-TARGET.MODEL, its failure to .errors beside.
run_build() # COMPILER LEVEL TARGET
{
    local folder=$root/build-bits/$3-$1-$2 run=() arguments=() model
    if [[ -n $here ]]; then
        folder=$here
    else
        arguments=(-DDODECA_BARE=ON -DDODECA_WERROR=ON "-DCMAKE_C_FLAGS_RELEASE=-$2")
        if [[ $3 != "$native" ]]; then
            arguments+=("-DCMAKE_TOOLCHAIN_FILE=$root/scripts/toolchains/$3.cmake")
            run=("qemu-$3" -L "/usr/$3-linux-gnu")
        fi
        [[ $3 != "$native" && $1 == gcc ]] || arguments+=("-DCMAKE_C_COMPILER=$(command -v "$1")")
        ! have ccache || arguments+=("-DCMAKE_C_COMPILER_LAUNCHER=$(command -v ccache)")
        build_tree "$folder" "${arguments[@]}" -- dodeca_bits
    fi
    run+=("$folder/harness/bits/dodeca_bits")
    [[ -z $here ]] || run+=(--all)
    for model in $(models_of "$2" "$3"); do
        "${run[@]}" "$model" >"$work/$1-$2-$3.$model" 2>"$work/$1-$2-$3.$model.errors" </dev/null ||
            rm -f "$work/$1-$2-$3.$model"
    done
}

running=0
for build in "${builds[@]}"; do
    ((running < $(cores))) || wait -n || true
    read -r compiler level target <<<"$build"
    run_build "$compiler" "$level" "$target" &
    running=$((running < $(cores) ? running + 1 : running))
done
wait

# ---- the verdicts ------------------------------------------------------------------------------------------

declare -A wanted=() # by data hash and settings
if [[ -r $expected ]]; then
    while read -r weights data settings; do
        wanted["$data $settings"]=$weights
    done < <(grep -v -e '^#' -e '^$' "$expected")
fi
declare -A recorded=() # CPU by weights, target and set
if [[ -r $records ]]; then
    while read -r weights target set cpu; do
        recorded["$weights $target $set"]=$cpu
    done < <(grep -v -e '^#' -e '^$' "$records")
fi
# Virtual machines leave of the name little more than the maker: family and model tell the generation.
cpu=$(awk -F ': *' '/^cpu family/ { family = $2 } /^model\t/ { model = $2 } /^model name/ { name = $2 }
    name { print name " (family " family ", model " model ")"; exit }' /proc/cpuinfo)
cpu=${cpu:-$native}

declare -A found=() # as wanted: with --update the first hash met
judge() # COMPILER LEVEL TARGET MODEL
{
    local file=$work/$1-$2-$3.$4 data settings key want set runs other verdict weights rest reason sets=()
    if [[ ! -s $file ]]; then
        [[ ! -s $file.errors ]] || cat "$file.errors" >&2
        failed=true
        line "$@" - - - 'FAIL: no hash'
        return
    fi
    data=$(sed -n 's/^data //p' "$file")
    settings=$(sed -n 's/^settings //p' "$file")
    key="$data $settings"
    want=${wanted[$key]:-}
    ! $update || want=${found[$key]:-$(awk '$1 == "run" { print $3; exit }' "$file")}
    found[$key]=$want
    mapfile -t sets < <(awk '$1 == "run" && !seen[$2]++ { print $2 }' "$file")
    for set in "${sets[@]}"; do
        # "" keeps awk from comparing hashes as numbers.
        read -r runs other weights < <(awk -v set="$set" -v want="$want" '
            $1 == "run" && $2 == set { n++; last = $3; if ($3 "" != want "" && !bad++) first = $3 }
            END { print n, bad + 0, bad ? first : last }' "$file")
        verdict=PASS
        if [[ -z $want ]]; then
            verdict='FAIL: no hash is expected for these settings and data'
        elif ((other)); then
            verdict="FAIL: $other runs have other bits than $want"
            # The first few tell what they have in common.
            awk -v set="$set" -v want="$want" -v where="$1 $2 $3:" '
                $1 == "run" && $2 == set && $3 "" != want "" && n++ < 5 { $1 = where; print }' "$file" >&2
        elif $update && [[ $set != oracle* ]]; then
            recorded["$want $3 $set"]=$cpu
            [[ $3 == "$native" ]] || recorded["$want $3 $set"]=$(qemu_version "$3")
        fi
        [[ $verdict == PASS ]] || failed=true
        line "$@" "$set" "$runs" "$weights" "$verdict"
    done
    while read -r _ set rest; do
        reason="SKIP: ${rest%: use simd *}"
        if [[ -n ${recorded["$want $3 $set"]:-} ]]; then
            reason+="; gave the expected hash on ${recorded["$want $3 $set"]}"
        elif [[ $set != oracle* ]]; then
            lacking=true
        fi
        line "$@" "$set" - - "$reason"
    done < <(grep '^skip ' "$file" || true)
    [[ -z $here ]] || judge_program "$@" "$data" "$want" "$settings"
}

qemu_version() # TARGET
{
    "qemu-$1" --version | sed -n '1s/^qemu-[^ ]* version \([^ ]*\).*/qemu-user \1/p'
}

# The program itself, told the same settings on its command line.
judge_program() # COMPILER LEVEL TARGET MODEL DATA WANTED SETTINGS
{
    local settings weights data verdict=PASS
    read -r -a settings <<<"$7"
    "$here/dodeca" train --data builtin --json "${settings[@]}" >"$work/program" 2>"$work/program.errors" </dev/null ||
        cat "$work/program.errors" >&2
    weights=$(sed -n 's/.*"weights_hash": *"\([0-9a-f]\{32\}\)".*/\1/p' "$work/program")
    data=$(sed -n 's/.*"data_hash": *"\([0-9a-f]\{32\}\)".*/\1/p' "$work/program")
    [[ $weights == "$6" && $data == "$5" ]] || verdict="FAIL: not $6 on data $5"
    [[ $verdict == PASS ]] || failed=true
    line "$1" "$2" "$3" "$4" 'dodeca train' 1 "${weights:--}" "$verdict"
}

line compiler level target model set runs weights verdict
if [[ -e $work/lacking ]]; then
    lacking=true
    while read -r compiler level target model set runs weights verdict; do
        line "$compiler" "$level" "$target" "$model" "$set" "$runs" "$weights" "$verdict"
    done <"$work/lacking"
    say "same_bits.sh: scripts/setup.sh --cross installs what is missing for these"
fi
for build in "${builds[@]}"; do
    read -r compiler level target <<<"$build"
    for model in $(models_of "$level" "$target"); do
        judge "$compiler" "$level" "$target" "$model"
    done
done

! $failed || exit 1
if $update; then
    mkdir -p "$(dirname "$expected")"
    for key in "${!found[@]}"; do
        wanted[$key]=${found[$key]}
    done
    {
        echo '# What scripts/same_bits.sh expects, written by it (--update). A line that changes is a change of the bit'
        echo '# contract and needs its own commit with its reason.'
        echo '# weights hash, data hash, settings of "dodeca train --data builtin"'
        for key in "${!wanted[@]}"; do
            echo "${wanted[$key]} $key"
        done | sort -k 3
    } >"$expected"
    {
        echo '# Where each kernel set gave the expected hashes, written by scripts/same_bits.sh (--update).'
        echo '# weights hash, architecture, kernel set, CPU'
        for key in "${!recorded[@]}"; do
            for weights in "${wanted[@]}"; do
                [[ $key != "$weights "* ]] || echo "$key ${recorded[$key]}"
            done
        done | sort
    } >"$records"
    say "same_bits.sh: wrote $expected and $records"
fi
! $lacking || exit 3
