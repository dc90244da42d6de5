#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Tests of scripts/: set-up against stand-ins for apt, sudo and the libraries on a PATH of its own; the build;
# lint, same_bits and race_check against planted faults. Installs nothing and refuses to touch the checkout
# or the user's cache.
#
# usage: scripts_test.sh [NAME…]   only the tests of these names
set -euo pipefail
export LC_ALL=C
scripts=$(cd "$(dirname "${BASH_SOURCE[0]}")/../../scripts" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
real_path=$PATH

n_passed=0
n_failed=0
current=

fail()
{
    echo "FAIL $current: $*"
    [[ ! -s $work/err ]] || sed 's/^/     stderr: /' "$work/err"
    [[ ! -s $work/out ]] || sed 's/^/     stdout: /' "$work/out" | head -n 20
    exit 1
}

# expect CODE COMMAND…  runs it without a terminal, keeps its words in $work/out and $work/err
expect()
{
    local wanted=$1 code=0
    shift
    "$@" >"$work/out" 2>"$work/err" </dev/null || code=$?
    [[ $code == "$wanted" ]] || fail "exit code $code instead of $wanted from: $*"
}

says() # TEXT: on stderr
{
    grep -q -F -e "$1" "$work/err" || fail "did not say \"$1\""
}

prints() # TEXT: on stdout
{
    grep -q -F -e "$1" "$work/out" || fail "did not print \"$1\""
}

silent()
{
    [[ ! -s $work/out && ! -s $work/err ]] || fail "was not silent"
}

calls() # what apt-get was called for, in order
{
    if [[ -e $work/apt.calls ]]; then
        paste -s -d, "$work/apt.calls"
    fi
}

# ---- a machine of stand-ins ------------------------------------------------------------------------------

stub() # NAME, body on stdin
{
    {
        echo '#!/bin/bash'
        cat
    } >"$work/bin/$1"
    chmod +x "$work/bin/$1"
}

# A machine that lacks everything, with apt that knows and installs everything, and an ordinary user without sudo.
machine()
{
    rm -rf "${work:?}/bin" "${work:?}/home" "$work"/apt.*
    mkdir -p "$work/bin" "$work/home"
    local tool
    for tool in awk basename bash cat chmod comm cut date dirname env find grep head mkdir mktemp mv nproc paste \
        rm sed sort tail touch wc; do
        ln -s "$(PATH=$real_path command -v "$tool")" "$work/bin/$tool"
    done
    echo all >"$work/apt.knows" # packages with a candidate; "all" for every one
    stub id <<<'echo 1000'
    stub apt-cache <<END
verb=\$1
shift
for p; do
    [[ \$p != -* ]] || continue
    if [[ \$verb == policy ]]; then
        echo "\$p:"
        if grep -q -x -e all -e "\$p" '$work/apt.knows'; then
            echo '  Installed: (none)'
            echo '  Candidate: 1.0'
        else
            echo '  Candidate: (none)'
        fi
    elif [[ \$verb == depends ]]; then
        printf '%s\n  Depends: linux-image-7-cloud-amd64\n' "\$p"
    else
        printf 'Package: %s\nInstalled-Size: 2000\nSize: 1000000\n\n' "\$p"
    fi
done
END
    stub dpkg <<<'[[ $1 == -x && -e $2 ]] && mkdir -p "$3/boot" && echo Linux >"$3/boot/vmlinuz-7"'
    stub apt-get <<END
while [[ \$1 == -* ]]; do
    [[ \$1 != -o ]] || shift
    [[ \$1 != --assume-no ]] || asked=true
    shift
done
verb=\$1
shift
if [[ \${asked:-} == true || \$* == *--assume-no* ]]; then
    echo 'Need to get 10.0 MB of archives.'
    echo 'After this operation, 20.0 MB of additional disk space will be used.'
    exit 1
fi
echo "\$verb \$*" | sed 's/ --no-install-recommends//; s/ *\$//' >>'$work/apt.calls'
case \$verb in
update)
    echo all >'$work/apt.knows'
    rm -f '$work/apt.stale'
    ;;
install)
    [[ ! -e '$work/apt.broken' && ! -e '$work/apt.stale' ]] || { echo 'E: stand-in failure'; exit 100; }
    for p; do '$work/install' "\$p"; done
    ;;
download)
    [[ ! -e '$work/apt.broken' ]] || { echo 'E: stand-in failure'; exit 100; }
    touch "\$1.deb"
    ;;
esac
END
    cat >"$work/install" <<END
#!/bin/bash
# What a package brings.
make() { printf '#!/bin/bash\n%s\n' "\$2" >"$work/bin/\$1"; chmod +x "$work/bin/\$1"; }
case \$1 in
gcc) make cc '[[ -e $work/home/headers ]]' ;;
libc6-dev) touch '$work/home/headers' ;;
g++) make c++ : ;;
libbenchmark-dev) echo benchmark >>'$work/home/modules' ;;
cmake) make cmake : ;;
ninja-build) make ninja : ;;
make) make make : ;;
valgrind) make valgrind : ;;
pkg-config) make pkg-config 'grep -q -x "\$2" $work/home/modules' ;;
bible-kjv) make bible 'head -c 4400000 /dev/zero' ;;
libcyaml-dev | libxxhash-dev | libdw-dev) echo "\${1%-dev}" >>'$work/home/modules' ;;
libyaml-dev) echo yaml-0.1 >>'$work/home/modules' ;;
libjansson-dev) echo jansson >>'$work/home/modules' ;;
libhwloc-dev) echo hwloc >>'$work/home/modules' ;;
libcmocka-dev) echo cmocka >>'$work/home/modules' ;;
clang) make clang : ;;
gcc-aarch64-linux-gnu) make aarch64-linux-gnu-gcc '[[ -e $work/home/arm64 ]]' ;;
gcc-riscv64-linux-gnu) make riscv64-linux-gnu-gcc '[[ -e $work/home/riscv64 ]]' ;;
libc6-dev-arm64-cross) touch '$work/home/arm64' ;;
libc6-dev-riscv64-cross) touch '$work/home/riscv64' ;;
qemu-system-x86) make qemu-system-x86_64 : ;;
qemu-user)
    make qemu-aarch64 :
    make qemu-riscv64 :
    ;;
esac
END
    chmod +x "$work/install"
}

installed() # everything but the packages named
{
    local package
    for package in gcc libc6-dev g++ cmake ninja-build make pkg-config libcyaml-dev libyaml-dev libjansson-dev libxxhash-dev libhwloc-dev \
        libdw-dev libbenchmark-dev libcmocka-dev valgrind bible-kjv; do
        [[ " $* " == *" $package "* ]] || "$work/install" "$package"
    done
}

root_user()
{
    stub id <<<'echo 0'
}

setup() # CODE ARGUMENT…
{
    local code=$1
    shift
    expect "$code" env -i PATH="$work/bin" HOME="$work/home" TMPDIR="$work" bash "$scripts/setup.sh" "$@"
}

text=home/.cache/dodeca/kjv.txt

# ---- set-up ----------------------------------------------------------------------------------------------

test_setup_nothing_missing()
{
    machine
    installed
    setup 0
    says "the King James text is in $work/home/.cache/dodeca/kjv.txt"
    [[ $(wc -c <"$work/$text") == 4400000 ]] || fail "the text has another length"
    setup 0
    silent
    [[ -z $(calls) ]] || fail "apt-get was called: $(calls)"
}

test_setup_root_installs()
{
    machine
    root_user
    setup 0
    says 'gcc               1.0 MB   2.0 MB   compiles the C sources'
    says '10.0 MB to download, 20.0 MB of disk space'
    [[ $(calls) == 'install gcc libc6-dev g++ cmake ninja-build make pkg-config libcyaml-dev libyaml-dev libjansson-dev libxxhash-dev libhwloc-dev libdw-dev libbenchmark-dev libcmocka-dev valgrind,install bible-kjv' ]] ||
        fail "apt-get was called for: $(calls)"
    [[ -s $work/$text ]] || fail "no text"
    setup 0
    silent
}

test_setup_only_what_is_missing()
{
    machine
    installed libdw-dev
    root_user
    setup 0
    [[ $(calls) == 'install libdw-dev' ]] || fail "apt-get was called for: $(calls)"
}

test_setup_cross()
{
    machine
    installed
    root_user
    setup 0
    setup 0 --cross
    [[ $(calls) == 'install clang gcc-aarch64-linux-gnu gcc-riscv64-linux-gnu libc6-dev-arm64-cross libc6-dev-riscv64-cross qemu-user' ]] ||
        fail "apt-get was called for: $(calls)"
    setup 0 --cross
    silent
}

test_setup_kernel()
{
    local folder=$work/home/.cache/dodeca
    checkout
    local scripts=$work/checkout/scripts
    sed -i "s|/boot/vmlinuz|$work/boot/vmlinuz|" "$scripts/lib.sh" # not this machine's own kernel
    machine
    installed
    root_user
    stub uname <<<'echo x86_64'
    touch "$work/apt.broken"
    "$work/install" qemu-system-x86
    setup 3 --vm
    says 'E: stand-in failure'
    says '"apt-get download linux-image-7-cloud-amd64" or "dpkg -x" failed'
    [[ $(ls "$folder") == kjv.txt ]] || fail "something was left behind"
    rm "$work/apt.broken" "$work/bin/qemu-system-x86_64"
    setup 0 --vm
    says "the kernel is $folder/vmlinuz"
    [[ $(<"$folder/vmlinuz") == Linux && $(ls "$folder") == $'kjv.txt\nvmlinuz' ]] || fail "there is another kernel, or more"
    [[ $(calls) == *'install qemu-system-x86,download linux-image-7-cloud-amd64' ]] || fail "apt-get was called for: $(calls)"
    setup 0 --vm
    silent
    rm "$folder/vmlinuz"
    stub uname <<<'echo aarch64'
    setup 0 --vm
    silent
}

test_setup_sudo()
{
    machine
    installed valgrind
    stub sudo <<'END'
[[ $1 == -n ]] && shift
"$@"
END
    setup 0 --yes
    [[ $(calls) == 'install valgrind' ]] || fail "apt-get was called for: $(calls)"
}

test_setup_without_rights()
{
    machine
    installed valgrind libhwloc-dev
    stub sudo <<<'exit 1'
    setup 3
    says 'sudo apt-get update && sudo apt-get install --no-install-recommends libhwloc-dev valgrind'
    [[ -z $(calls) ]] || fail "apt-get was called: $(calls)"
}

test_setup_text_without_rights()
{
    machine
    installed bible-kjv
    setup 0
    says 'no King James text'
    says 'sudo apt-get install --no-install-recommends bible-kjv'
}

test_setup_empty_lists()
{
    machine
    installed cmake
    root_user
    echo nothing >"$work/apt.knows"
    setup 0
    [[ $(calls) == 'update,install cmake' ]] || fail "apt-get was called for: $(calls)"
}

test_setup_stale_lists()
{
    machine
    installed cmake
    root_user
    touch "$work/apt.stale"
    setup 0
    [[ $(calls) == 'install cmake,update,install cmake' ]] || fail "apt-get was called for: $(calls)"
}

test_setup_apt_fails()
{
    machine
    installed cmake
    root_user
    touch "$work/apt.broken"
    setup 3
    says 'E: stand-in failure'
}

test_setup_package_unknown()
{
    machine
    installed libcyaml-dev bible-kjv
    root_user
    echo nothing >"$work/apt.knows"
    sed -i 's/^    echo all.*$/    :/' "$work/bin/apt-get"
    setup 3
    says 'have no libcyaml-dev'
}

test_setup_text_unknown()
{
    machine
    installed cmake bible-kjv
    root_user
    echo cmake >"$work/apt.knows"
    sed -i 's/^    echo all.*$/    :/' "$work/bin/apt-get"
    setup 0
    says 'no King James text: this system'"'"'s package sources have no bible-kjv'
    [[ $(calls) == 'update,install cmake' ]] || fail "apt-get was called for: $(calls)"
    setup 0
    says 'to try again'
    [[ $(calls) == 'update,install cmake' ]] || fail "apt-get was called again: $(calls)"
}

test_setup_text_short()
{
    machine
    installed
    stub bible <<<'echo no such book'
    setup 0
    says 'gave 13 bytes'
    [[ ! -e $work/$text ]] || fail "a short text was kept"
    [[ -z $(ls "$work/home/.cache/dodeca") ]] || fail "something was left behind"
}

test_setup_text_replaced()
{
    machine
    installed
    mkdir -p "$work/home/.cache/dodeca"
    echo cut >"$work/$text"
    setup 0
    [[ $(wc -c <"$work/$text") == 4400000 ]] || fail "a cut text was not replaced"
}

test_setup_other_system()
{
    machine
    installed libjansson-dev valgrind bible-kjv
    rm "$work/bin/apt-get" "$work/bin/apt-cache"
    setup 3
    says 'the library that pkg-config calls jansson'
    says 'the program valgrind'
    says 'no King James text'
    "$work/install" libjansson-dev
    "$work/install" valgrind
    setup 0
    says 'no King James text'
}

test_setup_home()
{
    machine
    installed
    expect 0 env -i PATH="$work/bin" bash "$scripts/setup.sh"
    says 'neither HOME nor XDG_CACHE_HOME'
    touch "$work/file"
    expect 0 env -i PATH="$work/bin" HOME="$work/file" bash "$scripts/setup.sh"
    says "the folder $work/file/.cache/dodeca cannot be created"
    expect 0 env -i PATH="$work/bin" HOME="$work/home" XDG_CACHE_HOME=relative bash "$scripts/setup.sh"
    says "$work/home/.cache/dodeca/kjv.txt"
    expect 0 env -i PATH="$work/bin" HOME="$work/home" XDG_CACHE_HOME="$work/xdg" bash "$scripts/setup.sh"
    says "$work/xdg/dodeca/kjv.txt"
}

# Types ANSWER at a terminal. CODE ANSWER
at_terminal()
{
    local code=0
    echo "$2" | PATH=$real_path script -q -e -c \
        "env -i PATH='$work/bin' HOME='$work/home' TMPDIR='$work' bash '$scripts/setup.sh'" /dev/null >"$work/err" 2>&1 || code=$?
    : >"$work/out"
    [[ $code == "$1" ]] || fail "exit code $code instead of $1 at a terminal, answer \"$2\""
}

# script(1) plays the terminal; a machine may lack it, or pseudo-terminals.
has_terminal()
{
    PATH=$real_path script -q -e -c true /dev/null >/dev/null 2>&1 </dev/null && return 0
    echo "SKIP: no pseudo-terminal here for the test $current"
    return 1
}

test_setup_asks()
{
    has_terminal || return 0
    machine
    installed ninja-build bible-kjv
    root_user
    at_terminal 3 n
    says 'Install them with apt-get?'
    says 'nothing was installed'
    [[ -z $(calls) ]] || fail "apt-get was called: $(calls)"
    at_terminal 0 y
    [[ $(calls) == 'install ninja-build,install bible-kjv' ]] || fail "apt-get was called for: $(calls)"
}

test_setup_text_declined()
{
    has_terminal || return 0
    machine
    installed bible-kjv
    root_user
    at_terminal 0 n
    says 'its package was declined'
    at_terminal 0 n
    says 'to try again'
    [[ -z $(calls) ]] || fail "apt-get was called: $(calls)"
}

# The build asks for no library that set-up does not know.
test_setup_knows_all_modules()
{
    local module modules
    modules=$(find "$scripts"/../{CMakeLists.txt,core,harness} -name CMakeLists.txt -exec cat {} + |
        sed -n 's/.*pkg_check_modules([A-Z_]* REQUIRED IMPORTED_TARGET \(.*\)).*/\1/p')
    [[ $modules == *libxxhash* ]] || fail "no library was found in the CMake files"
    for module in $modules; do
        grep -q "^module  *$module  *[a-z]" "$scripts/setup.sh" || fail "setup.sh does not know $module"
    done
}

# ---- usage -------------------------------------------------------------------------------------------------

test_help()
{
    local script
    for script in setup run_scenarios test race_check same_bits lint; do
        expect 0 "$scripts/$script.sh" --help
        prints "usage: scripts/$script.sh"
    done
}

test_bad_usage()
{
    local script
    for script in setup race_check same_bits lint; do
        expect 2 "$scripts/$script.sh" --no-such-option
        says "unknown argument \"--no-such-option\"; see scripts/$script.sh --help"
    done
    expect 2 "$scripts/run_scenarios.sh" "$work/none.yaml"
    says "there is no scenario file \"$work/none.yaml\""
    expect 2 "$scripts/run_scenarios.sh" --set
    says '--set needs a value'
}

# ---- a checkout of its own -------------------------------------------------------------------------------

# What dodeca is told, from wherever the script is called.
test_run_scenarios()
{
    checkout
    mkdir "$work/checkout/build"
    printf '#!/bin/sh\nexit 0\n' >"$work/checkout/scripts/setup.sh"
    echo 'build_tree() { :; }' >>"$work/checkout/scripts/lib.sh"
    printf '#!/bin/sh\nprintf "<%%s>" "$@"\n' >"$work/checkout/build/dodeca"
    chmod +x "$work/checkout/build/dodeca"
    touch "$work/here.yaml"
    cd "$work"
    expect 0 checkout/scripts/run_scenarios.sh here.yaml --out there --replace --subject locks --set steps=3
    prints "<run><$work/here.yaml><--out><$work/there><--replace><--subject><locks><--set><steps=3>"
    expect 0 checkout/scripts/run_scenarios.sh here.yaml --subject ./mine.so --out ''
    prints "<run><$work/here.yaml><--subject><$work/./mine.so><--out><>"
    expect 0 checkout/scripts/run_scenarios.sh --resume=there
    prints "<run><--resume><$work/there>"
    cd - >/dev/null
}

checkout()
{
    rm -rf "$work/checkout"
    mkdir -p "$work/checkout/core/sync" "$work/checkout/harness"
    cp -r "$scripts" "$work/checkout/scripts"
    cp "$scripts/../.clang-format" "$work/checkout/"
    cat >"$work/checkout/CMakeLists.txt" <<'END'
# SPDX-License-Identifier: MIT
cmake_minimum_required(VERSION 3.22)
project(stand_in LANGUAGES C)
add_executable(stand_in core/sync/stand_in.c)
END
    printf '/* SPDX-License-Identifier: MIT */\nint main(void)\n{\n    return 0;\n}\n' >"$work/checkout/core/sync/stand_in.c"
}

build()
{
    # shellcheck disable=SC2016  # the inner shell expands
    expect "$1" bash -c '. "$1/scripts/lib.sh"; build_tree "$root/build" -DCMAKE_BUILD_TYPE=Release -- stand_in' \
        build "$work/checkout"
}

test_build()
{
    checkout
    build 0
    [[ -x $work/checkout/build/stand_in ]] || fail "nothing was built"
    touch -d '1 hour ago' "$work/checkout/build/CMakeCache.txt" "$work/checkout/build/stand_in"
    touch -d '2 hours ago' "$work"/checkout/core/sync/stand_in.c "$work"/checkout/build/CMakeFiles/stand_in.dir/core/sync/*.o
    build 0
    [[ $work/checkout/build/CMakeCache.txt -ot $work/checkout/CMakeLists.txt ]] || fail "it was configured again"
    [[ $work/checkout/build/stand_in -ot $work/checkout/CMakeLists.txt ]] || fail "it was built again"
    echo 'int x = "";' >>"$work/checkout/core/sync/stand_in.c"
    echo '#error planted' >>"$work/checkout/core/sync/stand_in.c"
    build 1
    says 'stand_in.c:6'
    says 'planted'
    says 'building build/ failed'
    echo 'message(FATAL_ERROR planted)' >>"$work/checkout/CMakeLists.txt"
    rm -r "$work/checkout/build"
    build 1
    says 'configuring build/ failed'
}

lint()
{
    expect "$1" "$work/checkout/scripts/lint.sh"
}

test_lint()
{
    local planted at=core/sync/stand_in.c original
    checkout
    rm "$work"/checkout/scripts/{setup,race_check,same_bits}.sh # their shellcheck takes time
    lint 0
    original=$(<"$work/checkout/$at")
    while IFS='|' read -r name planted; do
        printf '%s\n%s\n' "$original" "$planted" >"$work/checkout/$at"
        lint 1
        grep -q "^$name  *FAIL" "$work/out" || fail "check $name did not fail for: $planted"
        prints "$at:"
    done <<'END'
atomics|static volatile int flag;
atomics|static _Atomic int flag;
atomics|#include <stdatomic.h>
atomics|int f(int *a) { return __atomic_load_n(a, 5); }
sleeps|void f(void) { usleep(10); }
fences|void f(void) { atomic_thread_fence(5); }
silence|void f(void) { printf("x"); }
silence|void f(void) { exit(1); }
silence|char *f(void) { return getenv("HOME"); }
libm|float f(float x) { return expf(x); }
unfinished|/* TODO */
unfinished|#if 0
END
    printf '%s\n%s\n' "$original" '/* no volatile, no printf() here */' >"$work/checkout/$at"
    lint 0
    echo "$original" >"$work/checkout/$at"
    echo 'add_compile_options(-Ofast)' >"$work/checkout/core/CMakeLists.txt"
    lint 1
    grep -q '^flags  *FAIL' "$work/out" || fail "-Ofast was not found"
    grep -q '^heads  *FAIL' "$work/out" || fail "a file without SPDX line was not found"
    rm "$work/checkout/core/CMakeLists.txt"
    touch "$work/checkout/stray"
    lint 1
    grep -q '^top-level  *FAIL' "$work/out" || fail "a stray file at the top was not found"
    rm "$work/checkout/stray"
    mkdir -p "$work/checkout/.github/workflows"
    while read -r planted; do
        printf -- '---\nname: ci\njobs:\n  one:\n    steps:\n      - %s\n' "$planted" \
            >"$work/checkout/.github/workflows/ci.yml"
        lint 1
        grep -q '^workflows  *FAIL' "$work/out" || fail "check workflows did not fail for: $planted"
        prints '.github/workflows/ci.yml:6:'
    done <<'END'
run: scripts/none.sh
run: if true
uses: actions/checkout@v4
END
    printf -- '---\nname: ci\njobs:\n  one:\n    steps:\n      - run: scripts/test.sh --yes\n' \
        >"$work/checkout/.github/workflows/ci.yml"
    lint 0
}

# A test of a name, for test.sh: prints the lines given and exits 0.
planted_test() # NAME LINE…
{
    local name=$1
    shift
    printf '%s\n' "$@" >"$work/checkout/harness/$name.out"
    cat >>"$work/checkout/CMakeLists.txt" <<END
add_test(NAME $name COMMAND cat \${CMAKE_SOURCE_DIR}/harness/$name.out)
set_tests_properties($name PROPERTIES LABELS quick SKIP_REGULAR_EXPRESSION "^all of it")
END
}

# What is skipped inside a test that passes: told, and 3 where it is required.
test_skips()
{
    local script planted told lists=$work/checkout/CMakeLists.txt
    checkout
    for script in setup race_check; do
        printf '#!/bin/sh\nexit 0\n' >"$work/checkout/scripts/$script.sh"
    done
    echo 'enable_testing()' >>"$lists"
    # Words that only look like a skip.
    planted_test fine '[ RUN      ] a' '[       OK ] a' 'avx2 SKIP: this CPU is old' 'says SKIP' '    SKIP: quoted' 'SKIPPED'
    expect 0 "$work/checkout/scripts/test.sh"
    ! grep -q '^skipped' "$work/out" || fail 'something was skipped'
    planted_test keys '[ RUN      ] a' 'SKIP (optional): no keys' '[  SKIPPED ] a' '[ RUN      ] b' \
        'SKIP (optional): no keys' '[  SKIPPED ] b' '[  SKIPPED ] 2 test(s), listed below:' '[  SKIPPED ] a' '[  SKIPPED ] b'
    planted_test sets 'SKIP (optional): no AVX' '[ RUN      ] a' '[       OK ] a'
    planted_test more 'SKIP (optional): no AVX' 'yaml         SKIP (optional): no yamllint'
    expect 0 "$work/checkout/scripts/test.sh"
    prints 'skipped, optional: keys a b: no keys'
    grep -q -x 'skipped, optional: \(sets, more\|more, sets\): no AVX' "$work/out" || fail 'no AVX is not told once'
    prints 'skipped, optional: more: yaml         no yamllint'
    cp "$lists" "$work/optional"
    # Required: for a reason, without one, after an optional one, by a script.
    while IFS='|' read -r planted told; do
        cp "$work/optional" "$lists"
        mapfile -t -d '~' planted <<<"$planted"
        planted_test required "${planted[@]%[~$'\n']}"
        expect 3 "$work/checkout/scripts/test.sh"
        grep -q -x -F "skipped: required$told" "$work/out" || fail "did not tell: skipped: required$told"
        says 'something required was skipped: exit code 3'
        grep -q '^skipped, optional: .*keys a b.*: no keys' "$work/out" || fail 'the optional skips are not told'
    done <<'END'
[ RUN      ] c~SKIP: needs 1,885 threads~[  SKIPPED ] c| c: needs 1,885 threads
[ RUN      ] c~[  SKIPPED ] c| c: no reason given
[ RUN      ] b~SKIP (optional): no keys~[  SKIPPED ] b~[ RUN      ] c~[  SKIPPED ] c| c: no reason given
ok   one~SKIP: no terminal~ok   two|: no terminal
END
    # A whole test, which ctest itself calls skipped; one that fails; a run of none; a log that is taken away.
    cp "$work/optional" "$lists"
    planted_test whole 'all of it'
    expect 3 "$work/checkout/scripts/test.sh"
    says 'something required was skipped: exit code 3'
    cp "$work/optional" "$lists"
    echo 'add_test(NAME wrong COMMAND false)' >>"$lists"
    echo 'set_tests_properties(wrong PROPERTIES LABELS quick)' >>"$lists"
    expect 8 "$work/checkout/scripts/test.sh"
    prints 'skipped, optional: keys a b: no keys'
    expect 0 "$work/checkout/scripts/test.sh" --show-only
    [[ ! -s $work/err ]] || fail 'it said something where nothing was run'
    ! grep -q '^skipped' "$work/out" || fail 'an earlier run was told of'
    cp "$work/optional" "$lists"
    echo 'add_test(NAME meanwhile COMMAND ${CMAKE_CTEST_COMMAND} --show-only)' >>"$lists"
    echo 'set_tests_properties(meanwhile PROPERTIES LABELS quick DEPENDS "fine;keys;sets;more")' >>"$lists" # last
    expect 3 "$work/checkout/scripts/test.sh"
    says 'what was skipped inside tests is not known'
}

# ---- same_bits and race_check against stand-ins ----------------------------------------------------------

# A dodeca that hashes what decides the bits: HASH_RULE is a shell pattern of arguments that give another hash.
stand_in_dodeca() # FOLDER [PATTERN]
{
    mkdir -p "$1/harness/unit"
    cat >"$1/dodeca" <<END
#!/bin/bash
hash=11111111111111111111111111111111
[[ -z '${2:-}' || " \$* " != *'${2:-}'* ]] || hash=22222222222222222222222222222222
echo "{\"data_hash\":\"33333333333333333333333333333333\",\"weights_hash\":\"\$hash\"}"
echo "weights-hash: \$hash"
END
    chmod +x "$1/dodeca"
}

# A driver of same_bits.sh whose runs have the hash of stand_in_dodeca; LINE is printed, too.
stand_in_bits() # FOLDER [LINE]
{
    mkdir -p "$1/harness/bits"
    cat >"$1/harness/bits/dodeca_bits" <<END
#!/bin/bash
echo "settings --model \$2"
echo "data 33333333333333333333333333333333"
echo "run oracle 11111111111111111111111111111111 --serial"
echo "run avx2 11111111111111111111111111111111 --workers 1"
echo '${2:-}'
END
    chmod +x "$1/harness/bits/dodeca_bits"
}

test_same_bits()
{
    checkout
    stand_in_dodeca "$work/checkout/build"
    stand_in_bits "$work/checkout/build"
    expect 1 "$work/checkout/scripts/same_bits.sh" --here "$work/checkout/build"
    prints 'no hash is expected'
    expect 0 "$work/checkout/scripts/same_bits.sh" --here "$work/checkout/build" --update
    expect 0 "$work/checkout/scripts/same_bits.sh" --here "$work/checkout/build"
    prints 'PASS'
    # Without its compilers it says what brings them.
    machine
    stub uname <<<'echo x86_64'
    expect 3 env -i PATH="$work/bin" HOME="$work/home" TMPDIR="$work" bash "$work/checkout/scripts/same_bits.sh"
    prints 'gcc is not installed'
    says 'scripts/setup.sh --cross installs what is missing'
    # A run with other bits, the program with other bits, sets that cannot run, no hash at all.
    stand_in_bits "$work/checkout/build" 'run avx2 22222222222222222222222222222222 --workers 3'
    expect 1 "$work/checkout/scripts/same_bits.sh" --here "$work/checkout/build"
    prints 'FAIL: 1 runs have other bits than 11111111111111111111111111111111'
    expect 1 "$work/checkout/scripts/same_bits.sh" --here "$work/checkout/build" --update
    stand_in_bits "$work/checkout/build"
    stand_in_dodeca "$work/checkout/build" ' tiny '
    expect 1 "$work/checkout/scripts/same_bits.sh" --here "$work/checkout/build"
    prints 'FAIL: not 11111111111111111111111111111111'
    stand_in_dodeca "$work/checkout/build"
    stand_in_bits "$work/checkout/build" 'skip avx2 this CPU is old'
    expect 0 "$work/checkout/scripts/same_bits.sh" --here "$work/checkout/build"
    prints 'SKIP: this CPU is old; gave the expected hash on'
    stand_in_bits "$work/checkout/build" 'skip avx1024 this CPU is old'
    expect 3 "$work/checkout/scripts/same_bits.sh" --here "$work/checkout/build"
    prints 'SKIP: this CPU is old'
    sed -i 's/1111 --/2222 --/' "$work/checkout/build/harness/bits/dodeca_bits"
    expect 1 "$work/checkout/scripts/same_bits.sh" --here "$work/checkout/build"
    prints 'FAIL: 1 runs have other bits'
    echo 'exit 1' >>"$work/checkout/build/harness/bits/dodeca_bits"
    expect 1 "$work/checkout/scripts/same_bits.sh" --here "$work/checkout/build"
    prints 'FAIL: no hash'
}

# A valgrind that finds races where PATTERN matches its arguments.
stand_in_valgrind() # PATTERN
{
    rm -rf "$work/tools"
    mkdir -p "$work/tools"
    cat >"$work/tools/valgrind" <<END
#!/bin/bash
while [[ \$1 == --* ]]; do shift; done
"\$@" || exit
if [[ " \$* " =~ $1 ]]; then
    echo '==1== ERROR SUMMARY: 3 errors from 1 contexts (suppressed: 0 from 0)'
    exit 66
fi
echo '==1== ERROR SUMMARY: 0 errors from 0 contexts (suppressed: 0 from 0)'
END
    chmod +x "$work/tools/valgrind"
}

test_race_check()
{
    local check=("env" "PATH=$work/tools:$PATH" "$work/checkout/scripts/race_check.sh" helgrind --small --build "$work/checkout/build")
    local program reported told shape
    checkout
    stand_in_dodeca "$work/checkout/build"
    for program in race_canary weakened_{release,await,arrive,last} test_{queues,membership,points,commands,checkpoint}; do
        printf '#!/bin/bash\n[[ $1 != row-avx512* ]] || exit 77\n' >"$work/checkout/build/harness/unit/$program"
        chmod +x "$work/checkout/build/harness/unit/$program"
    done
    # What helgrind, the third of the tools, is known to say something about.
    reported=$(awk '$1 !~ /^(#|weakened)/ && ($4 == "seen" || $4 == "false") { print $1 }' \
        "$work/checkout/scripts/race_canaries.txt" | paste -s -d'|')
    told="(canary\\ ($reported)\\ |/weakened_)"
    stand_in_valgrind "$told"
    expect 0 "${check[@]}"
    [[ $(grep -c 'workers .* PASS$' "$work/out") == 8 ]] || fail "not eight cells"
    [[ $(grep -c 'test_.* PASS$' "$work/out") == 2 ]] || fail "not two tests"
    grep -q '^handover-claimed  *missed$' "$work/out" || fail "what the tool is known to miss is not in the table"
    # Usually the slowest tools, too, come to every shape.
    expect 0 "${check[@]:0:3}" drd --build "$work/checkout/build"
    for shape in 'depth auto' 'depth 3' guard timetable 'micro-batch 1 trace FILE' 'pin save FILE' 'steal trace FILE'; do
        grep -q "^drd  *workers .*$shape .* same  *PASS$" "$work/out" || fail "no cell of drd's has $shape"
    done
    # A blind tool, one blind to the barrier, one that cries wolf, one that sees more than is written of it.
    stand_in_valgrind "${told/counter|/}"
    expect 1 "${check[@]}"
    grep -q '^counter  *missed UNEXPECTED' "$work/out" || fail "a blind tool was believed"
    stand_in_valgrind "${told/weakened_/weakened_release}"
    expect 1 "${check[@]}"
    grep -q '^weakened_last  *missed UNEXPECTED' "$work/out" || fail "a tool blind to the barrier was believed"
    stand_in_valgrind "${told/counter|/counter|row|}"
    expect 1 "${check[@]}"
    grep -q '^row  *seen UNEXPECTED' "$work/out" || fail "a tool that cries wolf was believed"
    stand_in_valgrind "${told/counter|/counter|handover-claimed|}"
    expect 1 "${check[@]}"
    grep -q '^handover-claimed  *seen UNEXPECTED' "$work/out" || fail "an outdated table was believed"
    # A race in cells, one in a test, other weights, no tool.
    stand_in_valgrind "($told|--barrier\\ pthread)"
    expect 1 "${check[@]}"
    [[ $(grep -c 'barrier pthread .* FAIL$' "$work/out") == 4 ]] || fail "a report was overlooked"
    stand_in_valgrind "($told|test_queues)"
    expect 1 "${check[@]}"
    grep -q 'test_queues .* FAIL$' "$work/out" || fail "a report of a test was overlooked"
    stand_in_valgrind "$told"
    stand_in_dodeca "$work/checkout/build" ' --reduce control '
    expect 1 "${check[@]}"
    [[ $(grep -c 'reduce control .* differ .*FAIL$' "$work/out") == 2 ]] || fail "other weights were overlooked"
    machine
    expect 3 env -i PATH="$work/bin" HOME="$work/home" bash "${check[@]:2}"
    prints 'SKIP: valgrind is not installed'
}

# ---- all of them -------------------------------------------------------------------------------------------

mapfile -t tests < <(declare -F | sed -n 's/^declare -f test_//p')
if (($#)); then
    tests=("$@")
fi
for current in "${tests[@]}"; do
    : >"$work/out"
    : >"$work/err"
    # Not in a condition: errexit would be off inside.
    status=0
    (
        set -e
        "test_$current"
    ) &
    wait $! || status=$?
    if ((status)); then
        n_failed=$((n_failed + 1))
        echo "FAIL $current"
    else
        n_passed=$((n_passed + 1))
        echo "ok   $current"
    fi
done
echo "$n_passed passed, $n_failed failed"
((n_failed == 0))
