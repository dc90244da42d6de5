#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# A build, installed into a folder of this test: what is there, which symbols and which version it has, that it names no
# folder of this machine, and that harness/example/, built against it by find_package and by pkg-config, shared and
# static, from C and C++, trains to the hash of `dodeca train`. usage: install_test.sh SOURCE BUILD CC CXX
set -uo pipefail

tests=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
source=$(realpath "$1")
build=$(realpath "$2")
export CC=$3 CXX=$4
folder=$(mktemp -d "${TMPDIR:-/tmp}/dodeca-install.XXXXXX")
trap 'rm -rf "$folder"' EXIT
cd "$folder" || exit 1
program=$folder/prefix/bin/dodeca
# shellcheck source=harness/unit/expect.sh
. "$tests/expect.sh"

quietly() # COMMAND…: its words are shown where it fails
{
    "$@" >out 2>err || fail "$*: exit $?"
}

# ---- twice into a prefix, once below DESTDIR; the build stays as it was

sums()
{
    (cd "$build" && sha256sum dodeca core/libdodeca.* core/package/*.pc)
}
sums >before
quietly cmake --install "$build" --prefix "$folder/prefix"
(cd prefix && find . -type f -exec sha256sum {} +) | sort >first
quietly cmake --install "$build" --prefix "$folder/prefix"
(cd prefix && find . -type f -exec sha256sum {} +) | sort >second
cmp -s first second || fail 'the second installation is another'
quietly env DESTDIR="$folder/dest" cmake --install "$build" --prefix /usr
[[ -x dest/usr/bin/dodeca ]] || fail 'nothing below DESTDIR'
diff <(cd prefix && find . | sort) <(cd dest/usr && find . | sort) >out 2>err || fail 'DESTDIR has other files'
sums | cmp -s - before || fail 'installing changed the build'
grep -rlF -e "$source" -e "$build" -e "$folder" prefix dest >out 2>err && fail 'these name a folder of this machine'
library=$(dirname "$(find prefix -name libdodeca.a)")
[[ -n $library && -L $library/libdodeca.so ]] || {
    fail 'no libdodeca.a and libdodeca.so'
    exit 1
}
library=$folder/$library
for path in include/dodeca.h include/dodeca_subject.h share/man/man1/dodeca-train.1 share/dodeca/scenarios/quick.yaml \
    share/bash-completion/completions/dodeca; do
    [[ -s prefix/$path ]] || fail "no $path"
done

# ---- symbols: those that the header declares, and no others

"$CC" -E -P prefix/include/dodeca.h | grep -o 'dd_[a-z0-9_]* *(' | tr -d ' (' | sort -u >declared
nm -D --defined-only "$library/libdodeca.so" | awk '{ print $3 }' | sort >exported
(($(wc -l <declared) > 30)) || fail 'the header declares next to nothing'
diff declared exported >out 2>err || fail 'declared (<) and exported (>) differ'
nm -g --defined-only "$library/libdodeca.a" 2>err | awk 'NF == 3 && $3 !~ /^dd_/' >out
[[ ! -s out ]] || fail 'libdodeca.a defines what does not begin with dd_'

# ---- one version

version=$(awk '/^#define DD_VERSION_/ { printf "%s%s", n++ ? "." : "", $3 }' prefix/include/dodeca.h)
soname=$(readelf -d "$library/libdodeca.so" | sed -n 's/.*SONAME.*\[\(.*\)\]/\1/p')
interface=${version%%.*}
[[ $interface != 0 ]] || interface=${version%.*}
[[ $soname == "libdodeca.so.$interface" ]] || fail "version $version in $soname"
export PKG_CONFIG_PATH=$library/pkgconfig
[[ $(pkg-config --modversion dodeca dodeca-static | sort -u) == "$version" ]] || fail "pkg-config: not $version"
expect 0 "dodeca $version, " --version

# ---- the headers in every language that may include them

for header in dodeca dodeca_subject; do
    echo "#include <$header.h>" >"$header.c"
    cp "$header.c" "$header.cc"
    strict=(-Iprefix/include -Wall -Wextra -Wpedantic -Wstrict-prototypes -Wundef -Werror -fsyntax-only)
    for compiler in "$CC" gcc clang; do
        ! command -v "$compiler" >/dev/null || for std in c99 c11 c17; do
            quietly "$compiler" -std=$std "${strict[@]}" "$header.c"
        done
    done
    strict=("${strict[@]/-Wstrict-prototypes/-Wshadow}")
    for compiler in "$CXX" g++ clang++; do
        ! command -v "$compiler" >/dev/null || for std in c++11 c++17; do
            quietly "$compiler" -std=$std "${strict[@]}" "$header.cc"
        done
    done
done

# ---- the example, as it was installed, in its four forms

expect 0 weights-hash: train --steps 20 --workers 3 --print-hash
hash=$(grep '^weights-hash: ' out)
trains() # PROGRAM: to that hash
{
    "$1" >out 2>err </dev/null || fail "$1: exit $?"
    grep -qxF "$hash" out || fail "$1: not $hash"
}
needs() # PROGRAM yes|no: whether it needs the shared library
{
    local found=no
    ! readelf -d "$1" | grep -qF "[$soname]" || found=yes
    [[ $found == "$2" ]] || fail "$1 needs $soname: $found, not $2"
}
example=prefix/share/doc/dodeca/example
quietly cmake -S $example -B made -DCMAKE_PREFIX_PATH="$folder/prefix" -DCMAKE_BUILD_TYPE=Release
quietly cmake --build made
trains made/example
needs made/example yes
trains made/example_static
needs made/example_static no
made/example_cxx >out 2>err || fail 'example_cxx'
grep -q "^dodeca $version: loss [0-9]" out || fail 'example_cxx: another version, or no loss'
sed 's/dodeca 0\.1/dodeca 99.0/' $example/CMakeLists.txt >newer.txt
mkdir newer && mv newer.txt newer/CMakeLists.txt
cmake -S newer -B newer/made -DCMAKE_PREFIX_PATH="$folder/prefix" >out 2>err && fail 'find_package takes 99.0'
grep -qF "version: $version" out err || fail 'find_package does not tell which version is there'

quietly make -C $example
LD_LIBRARY_PATH=$library trains $example/example
needs $example/example yes
LD_LIBRARY_PATH=$library $example/example_cxx >out 2>err || fail 'example_cxx by pkg-config'
LD_LIBRARY_PATH=$library $example/example 0 >out 2>err
(($? == 2)) || fail 'example 0: not exit 2'
[[ ! -w /dev/full ]] || ! LD_LIBRARY_PATH=$library $example/example >/dev/full 2>err || fail 'example: a full disk'
quietly make -C $example clean
quietly make -C $example package=dodeca-static
trains $example/example
needs $example/example no

# ---- the program away from its build

expect 3 'run build/dodeca of a checkout' defects --list
expect 0 'reduce' run prefix/share/dodeca/scenarios/quick.yaml --list
expect 2 'run.yaml' run prefix/share/dodeca/scenarios/run.yaml --list

((failures == 0))
