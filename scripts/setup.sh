#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Puts in place what dodeca needs from outside: compilers, build tools and libraries, and the King James text
# that scenarios/quick.yaml trains on. This is the one place that knows package names. Refuses to
# touch anything when nothing is missing, and to fail for want of the text.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

# kind, name, Debian package, purpose. A program is looked for in PATH, a header by the compiler, a module by
# pkg-config, a library among those that the dynamic linker finds, a file by its path, LLVM's where Debian keeps
# any version of it; an architecture's header by its compiler.
needs()
{
    cat <<'END'
program cc          gcc           compiles the C sources
header  stdio.h     libc6-dev     headers of the C library
program c++         g++           compiles what calls Google Benchmark
program cmake       cmake         writes the build files and runs the tests
program ninja       ninja-build   builds
program make        make          builds the example of the installed library
program pkg-config  pkg-config    finds the libraries
module  libcyaml    libcyaml-dev  reads scenario files
module  yaml-0.1    libyaml-dev   tells the lines of scenario files
module  jansson     libjansson-dev writes and reads results
module  libxxhash   libxxhash-dev hashes weights and data
module  hwloc       libhwloc-dev  tells cores and caches
module  libdw       libdw-dev     prints the stacks of a hung run
module  benchmark   libbenchmark-dev times kernels, barriers and steps
module  cmocka      libcmocka-dev runs the unit tests
program valgrind    valgrind      checks for races and stray memory accesses
END
    ! $peers || cat <<'END'
library libopenblas.so.0 libopenblas0-pthread timed beside dodeca's matrix products
library libblis.so.4     libblis4-pthread     timed beside dodeca's matrix products
library libdnnl.so.2     libdnnl2             timed beside dodeca's matrix products
END
    ! $compare || cat <<'END'
file /usr/share/benchmark/compare.py            libbenchmark-tools compares two outputs of dodeca bench
file /usr/lib/python3/dist-packages/scipy/stats python3-scipy      tells it what differs significantly
END
    ! $cross || cat <<'END'
program clang                 clang                   builds everything once more
program aarch64-linux-gnu-gcc gcc-aarch64-linux-gnu   builds for aarch64
program riscv64-linux-gnu-gcc gcc-riscv64-linux-gnu   builds for riscv64
aarch64 stdio.h               libc6-dev-arm64-cross   headers of the C library for aarch64
riscv64 stdio.h               libc6-dev-riscv64-cross headers of the C library for riscv64
program qemu-aarch64          qemu-user               runs what was built for them
program qemu-riscv64          qemu-user               runs what was built for them
END
    ! $man || cat <<'END'
program mandoc mandoc     looks for mistakes in the manual pages
program groff  groff-base does so, too
END
    ! $report || echo 'program gnuplot  gnuplot-nox draws the plots of dodeca report'
    ! $plugin || echo 'llvm libarcher.so libomp-dev runs OpenMP plug-ins under a race detector'
    ! $browser || echo 'program chromium chromium    opens the page of dodeca report in tests'
    ! $example || cat <<'END'
program xz   xz-utils   set beside a trained model by example_kjv.sh
program zstd zstd       set beside a trained model by example_kjv.sh
program 7z   p7zip-full set beside a trained model by example_kjv.sh (PPMd)
END
    ! $vm || echo 'program qemu-system-x86_64 qemu-system-x86 boots a CPU with protection keys for tests'
}
text_package=bible-kjv
kernel_package=linux-image-cloud-amd64

usage()
{
    cat <<'END'
usage: scripts/setup.sh [--yes] [--peers] [--compare] [--cross] [--report] [--plugin] [--browser]
                        [--example] [--man] [--vm] [--help]

Installs what dodeca needs and is not there yet, then keeps the King James text (4.4 MB, from Debian's package
bible-kjv) as dodeca/kjv.txt in $XDG_CACHE_HOME or ~/.cache. Does nothing, silently, where nothing is missing.

  --yes      do not ask before installing (nor is asked where there is no terminal)
  --peers    also OpenBLAS, BLIS and oneDNN, which "dodeca bench --kernels --peers" times and nothing else uses
  --compare  also Google Benchmark's compare.py and the scipy that it needs, to compare two outputs of "dodeca bench"
  --cross    also clang, compilers for aarch64 and riscv64 and qemu-user, all of which scripts/same_bits.sh needs
  --report   also gnuplot, which "dodeca report" draws plots with
  --plugin   also LLVM's OpenMP and its libarcher, with which scripts/race_check.sh --subject checks OpenMP plug-ins
  --browser  also Chromium and gnuplot, with which tests make the report's page and look at it
  --example  also xz, zstd and 7-Zip, which scripts/example_kjv.sh compares a trained model with
  --man      also mandoc and groff, with which tests look at the manual pages
  --vm       also qemu and a kernel to boot in it (kept beside the text, not installed), with which tests run on
             a CPU with protection keys; x86-64 only, elsewhere of no effect

Without the right to install, the one command to run is printed. Where there is no apt, the libraries are
named. The text is optional: without it scenarios/quick.yaml trains on built-in data.

exit: 0 all there, 2 bad usage, 3 something is missing
END
}

yes=false
peers=false
compare=false
cross=false
report=false
browser=false
plugin=false
man=false
example=false
vm=false
for argument; do
    case $argument in
    --yes | -y) yes=true ;;
    --peers) peers=true ;;
    --compare) compare=true ;;
    --cross) cross=true ;;
    --report) report=true ;;
    --plugin) plugin=true ;;
    --man) man=true ;;
    --browser)
        report=true
        browser=true
        ;;
    --example) example=true ;;
    --vm) [[ $(uname -m) != x86_64 ]] || vm=true ;;
    --help | -h)
        usage
        exit 0
        ;;
    *) bad_usage "unknown argument \"$argument\"" ;;
    esac
done
[[ -t 0 && -t 2 ]] || yes=true

# ---- what is missing -----------------------------------------------------------------------------------

compiler() # cc or c++: what stands for it here
{
    local command=$1
    case $1 in
    cc) command=${CC:-cc} ;;
    c++) command=${CXX:-c++} ;;
    esac
    echo "${command%% *}"
}

found()
{
    case $1 in
    program) have "$(compiler "$2")" ;;
    file) [[ -e $2 ]] ;;
    llvm) compgen -G "/usr/lib/llvm-*/lib/$2" >/dev/null ;;
    header) have "$(compiler cc)" && "$(compiler cc)" -E -x c - <<<"#include <$2>" >/dev/null 2>&1 ;;
    module) have pkg-config && pkg-config --exists "$2" ;;
    aarch64 | riscv64) have "$1-linux-gnu-gcc" && "$1-linux-gnu-gcc" -E -x c - <<<"#include <$2>" >/dev/null 2>&1 ;;
    library) PATH=$PATH:/sbin:/usr/sbin ldconfig -p 2>/dev/null | grep -F "$2 " >/dev/null ;;
    esac
}

missing() # lines of needs
{
    local kind name package purpose
    while read -r kind name package purpose; do
        found "$kind" "$name" || echo "$kind $name $package $purpose"
    done < <(needs)
}

# ---- apt -----------------------------------------------------------------------------------------------

as_root=()
may_install()
{
    if (($(id -u) == 0)); then
        return 0
    fi
    if have sudo && sudo -n true 2>/dev/null; then
        as_root=(sudo -n)
        return 0
    fi
    return 1
}

log=
apt() # apt-get as root, quiet; its words are in $log
{
    [[ -n $log ]] || log=$(mktemp "${TMPDIR:-/tmp}/dodeca-setup.XXXXXX")
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive LC_ALL=C apt-get -qq \
        -o DPkg::Lock::Timeout=300 "$@" >>"$log" 2>&1 </dev/null
}

updated=false
apt_update()
{
    $updated && return 0
    updated=true
    say "setup: reading Debian's package lists (apt-get update) …"
    apt update || say "setup: apt-get update failed, going on with the lists at hand; its words are in $log"
}

# The packages among the arguments that apt knows no version of.
unknown()
{
    (($#)) || return 0
    comm -23 <(printf '%s\n' "$@" | sort) \
        <(apt-cache policy "$@" 2>/dev/null |
            awk '/^[^ ]/ { p = $1; sub(/:$/, "", p) } /^  Candidate: [^(]/ { print p }' | sort)
}

human() # bytes
{
    awk -v b="$1" 'BEGIN { if (!(b > 0)) printf "?"; else if (b >= 1e7) printf "%.0f MB", b / 1e6; else if (b >= 1e6) printf "%.1f MB", b / 1e6
                           else printf "%.0f kB", (b + 999) / 1000 }'
}

purpose() # package
{
    if [[ $1 == "$text_package" ]]; then
        echo "the King James text, real data to train on (optional)"
    else
        needs | awk -v p="$1" '$3 == p { $1 = $2 = $3 = ""; sub(/^ +/, ""); print; exit }'
    fi
}

# A line per package with its own size, then what apt says about all of them with what they depend on.
list_packages()
{
    local package size installed total
    say "setup: missing Debian packages, with download and installed size:"
    for package; do
        read -r size installed < <(apt-cache show --no-all-versions "$package" 2>/dev/null |
            awk '/^Size:/ { s = $2 } /^Installed-Size:/ { i = $2 * 1024 } END { print s + 0, i + 0 }')
        say "$(printf '    %-15s %8s %8s   %s' "$package" "$(human "$size")" "$(human "$installed")" \
            "$(purpose "$package")")"
    done
    # NoLocking: the sum is asked without rights, too.
    total=$(apt-get -o Debug::NoLocking=true --assume-no --no-install-recommends install "$@" 2>/dev/null |
        sed -n -e 's/^Need to get \(.*\) of archives\.$/\1 to download/p' \
            -e 's/^After this operation, \(.*\) of additional disk space will be used\.$/\1 of disk space/p' |
        paste -s -d, | sed 's/,/, /') || true
    [[ -z $total ]] || say "    with all that they depend on: $total"
}

the_line() # what to type by hand for these packages
{
    local prefix='sudo '
    (($(id -u) != 0)) || prefix=
    echo "${prefix}apt-get update && ${prefix}apt-get install --no-install-recommends $*"
}

install_packages()
{
    apt install --no-install-recommends "$@" && return 0
    $updated && return 1
    # A version that the old lists name may be gone from the server.
    apt_update
    apt install --no-install-recommends "$@"
}

# ---- the King James text -------------------------------------------------------------------------------

text_bytes_least=4000000

text_whole() # FILE
{
    [[ -f $1 ]] && (($(wc -c <"$1") >= text_bytes_least))
}

no_text() # WHY [remember]  with "remember", later runs do not try again
{
    say "setup: no King James text: $1; scenarios/quick.yaml trains on built-in data instead"
    if [[ ${2:-} == remember ]] && mkdir -p "$folder" 2>/dev/null && [[ -w $folder ]]; then
        echo "$1" >"$folder/kjv.unavailable"
    fi
}

# Writes the text from the program `bible`; a rename makes it visible whole or not at all.
write_text()
{
    local temporary
    mkdir -p "$folder" 2>/dev/null || {
        no_text "the folder $folder cannot be created"
        return 0
    }
    temporary=$(mktemp "$folder/kjv.XXXXXX" 2>/dev/null) || {
        no_text "the folder $folder cannot be written"
        return 0
    }
    bible -f gen1:1-rev22:21 </dev/null >"$temporary" 2>/dev/null || true
    if text_whole "$temporary"; then
        chmod 644 "$temporary"
        mv -f "$temporary" "$folder/kjv.txt"
        rm -f "$folder/kjv.unavailable"
        say "setup: the King James text is in $folder/kjv.txt"
    else
        no_text "\"bible -f gen1:1-rev22:21\" gave $(wc -c <"$temporary") bytes instead of about 4,400,000"
        rm -f "$temporary"
    fi
}

# ---- the kernel ----------------------------------------------------------------------------------------

no_kernel() # WHY
{
    [[ ! -s $log ]] || tail -n 5 "$log" >&2
    say "setup: no kernel for scripts/keys_vm.sh: $1"
    exit 3
}

# Takes it out of its package, which is not installed: no machine is to begin booting it.
fetch_kernel()
{
    local package temporary
    have apt-get && have apt-cache && have dpkg || no_kernel "there is no apt to fetch $kernel_package with"
    [[ -n ${folder:-} ]] || no_kernel 'neither HOME nor XDG_CACHE_HOME names a folder to keep it in'
    mkdir -p "$folder" && temporary=$(mktemp -d "$folder/kernel.XXXXXX") || no_kernel "the folder $folder cannot be written"
    # shellcheck disable=SC2064 # as it is now
    trap "rm -rf '$temporary'" EXIT
    say "setup: fetching a kernel to boot in qemu …"
    log=$temporary/log
    package=$(apt-cache depends "$kernel_package" 2>"$log" | sed -n 's/^ *Depends: \(linux-image-[^ ]*\).*/\1/p' | head -n 1)
    (cd "$temporary" && apt-get -qq download "${package:-$kernel_package}" && dpkg -x ./*.deb tree) >>"$log" 2>&1 </dev/null ||
        no_kernel "\"apt-get download ${package:-$kernel_package}\" or \"dpkg -x\" failed; the lines above say why"
    compgen -G "$temporary/tree/boot/vmlinuz*" >/dev/null || no_kernel "${package:-$kernel_package} holds none"
    mv -f "$temporary"/tree/boot/vmlinuz* "$folder/vmlinuz"
    say "setup: the kernel is $folder/vmlinuz"
}

# ---- what to do ----------------------------------------------------------------------------------------

lacks=$(missing)
packages=()
[[ -z $lacks ]] || mapfile -t packages < <(awk '!seen[$3]++ { print $3 }' <<<"$lacks")

# The text: there, or to be written now that its program is here, or its package is to be installed, or
# it cannot be had (said at the end).
text=there
extra=()
folder=$(cache_folder) || text=nowhere
if [[ $text == there ]] && ! text_whole "$folder/kjv.txt"; then
    if have bible; then
        text=unwritten
    elif [[ -e $folder/kjv.unavailable ]]; then
        text=unavailable
    else
        text=uninstalled
        extra=("$text_package")
    fi
fi

on_a_system_without_apt()
{
    local kind name package purpose what
    if [[ $text == uninstalled ]]; then
        no_text "the program \"bible\" (bible-kjv) is not installed"
    fi
    [[ -n $lacks ]] || return 0
    say "setup: this system has no apt; with its own package manager please install"
    while read -r kind name package purpose; do
        case $kind in
        program) what="the program $name" ;;
        header) what="the C library's headers ($name)" ;;
        module) what="the library that pkg-config calls $name" ;;
        library) what="the library $name" ;;
        llvm) what="LLVM's $name" ;;
        file) what="$name" ;;
        aarch64 | riscv64) what="the C library's headers ($name) for $kind" ;;
        esac
        say "$(printf '    %-46s %s  (Debian: %s)' "$what" "$purpose" "$package")"
    done <<<"$lacks"
    exit 3
}

without_rights()
{
    if ((!${#packages[@]})); then
        no_text "its package is not installed ($(the_line "$text_package"))"
        return 0
    fi
    list_packages "${packages[@]}" "${extra[@]}"
    say "setup: installing them needs root; please run"
    say "    $(the_line "${packages[@]}" "${extra[@]}")"
    exit 3
}

# Asks, where there is somebody to ask. A "no" to the libraries ends set-up, a "no" to the text alone does not.
ask()
{
    local answer
    $yes && return 0
    read -r -p "Install them with apt-get? [Y/n] " answer || answer=n
    [[ $answer == [nN]* ]] || return 0
    if ((${#packages[@]})); then
        say "setup: nothing was installed; by hand it would be"
        say "    $(the_line "${packages[@]}" "${extra[@]}")"
        exit 3
    fi
    extra=()
    no_text "its package was declined" remember
}

with_apt()
{
    local gone
    [[ -z $(unknown "${packages[@]}" "${extra[@]}") ]] || apt_update
    mapfile -t gone < <(unknown "${packages[@]}")
    if ((${#gone[@]})); then
        say "setup: this system's package sources have no ${gone[*]}; Debian 12 and newer have"
        [[ -z $log ]] || tail -n 5 "$log" >&2
        exit 3
    fi
    if [[ -n $(unknown "${extra[@]}") ]]; then
        extra=()
        no_text "this system's package sources have no $text_package" remember
    fi
    ((${#packages[@]} + ${#extra[@]})) || return 0
    list_packages "${packages[@]}" "${extra[@]}"
    ask
    if ((${#packages[@]})); then
        say "setup: installing …"
        if ! install_packages "${packages[@]}"; then
            tail -n 20 "$log" >&2
            say "setup: apt-get failed; the lines above, the last of $log, say why"
            exit 3
        fi
        lacks=$(missing)
        if [[ -n $lacks ]]; then
            say "setup: installed, and yet not found:"
            awk '{ print "    " $1, $2, "(" $3 ")" }' <<<"$lacks" >&2
            exit 3
        fi
    fi
    if ((${#extra[@]})); then
        # On its own, so that it cannot make the rest fail.
        if install_packages "${extra[@]}"; then
            text=unwritten
        else
            tail -n 5 "$log" >&2
            no_text "apt-get could not install $text_package" remember
        fi
    fi
    [[ -z $log ]] || rm -f "$log"
}

if ((${#packages[@]} + ${#extra[@]})); then
    if ! have apt-get || ! have apt-cache; then
        on_a_system_without_apt
    elif ! may_install; then
        without_rights
    else
        with_apt
    fi
fi

case $text in
unwritten) write_text ;;
unavailable) no_text "$(<"$folder/kjv.unavailable"); remove $folder/kjv.unavailable to try again" ;;
nowhere) no_text "neither HOME nor XDG_CACHE_HOME names a folder to keep it in" ;;
esac

if $vm && [[ -z $(vm_kernel) ]]; then
    fetch_kernel
fi
