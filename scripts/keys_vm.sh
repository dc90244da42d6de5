#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Runs a command in a small virtual machine whose emulated CPU has memory protection keys, for machines whose own
# has none. Builds the machine's only file system, an initramfs, from the command and the libraries that it needs.
# Refuses to install anything, and to tell anything about speed: every instruction is emulated.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

usage()
{
    cat <<'END'
usage: scripts/keys_vm.sh [option …] [--] PROGRAM [ARGUMENT …]

Boots Linux in qemu-system-x86_64 on an emulated CPU with protection keys (pku) and AVX2, runs the command there,
prints what it prints and exits as it does. Arguments that name files are taken along, at the same path; the folder
is the present one, empty otherwise.

  --with FILE     take this file along too, a program with its libraries
  --kernel FILE   the Linux to boot; else $DODECA_VM_KERNEL, else the newest readable /boot/vmlinuz*, else
                  the one that scripts/setup.sh --vm has fetched
  --cpus N        default 2
  --memory MIB    default 1024
  --timeout S     default 600

scripts/setup.sh --vm gets qemu and a kernel from Debian.

exit: the command's, 77 where qemu or a kernel is missing (3 may be the command's own), 1 if the machine
fails or takes too long, 2 bad usage
END
}

kernel=${DODECA_VM_KERNEL:-}
cpus=2
memory=1024
limit=600
files=()
while (($#)); do
    case $1 in
    --help | -h)
        usage
        exit 0
        ;;
    --with | --kernel | --cpus | --memory | --timeout)
        (($# > 1)) || bad_usage "$1 needs a value"
        case $1 in
        --with) files+=("$2") ;;
        --kernel) kernel=$2 ;;
        --cpus) cpus=$2 ;;
        --memory) memory=$2 ;;
        --timeout) limit=$2 ;;
        esac
        shift 2
        ;;
    --)
        shift
        break
        ;;
    -*) bad_usage "unknown option \"$1\"" ;;
    *) break ;;
    esac
done
(($#)) || bad_usage 'which program?'
for number in "$cpus" "$memory" "$limit"; do
    [[ $number =~ ^[1-9][0-9]*$ ]] || bad_usage "\"$number\" is not a number above 0"
done
program=$(type -P -- "$1") || bad_usage "no program $1"
program=$(realpath "$program")
shift
for file in "${files[@]}"; do
    [[ -f $file ]] || bad_usage "no file $file"
done
for argument; do
    [[ ! -f $argument ]] || files+=("$argument")
done

# ---- what it needs ---------------------------------------------------------------------------------------

skip()
{
    say "SKIP: $*"
    exit 77
}

have qemu-system-x86_64 || skip 'qemu-system-x86_64 is not installed: scripts/setup.sh --vm'
[[ -n $kernel ]] || kernel=$(vm_kernel)
[[ -n $kernel ]] || skip 'no readable kernel in /boot: scripts/setup.sh --vm fetches one; or name one by --kernel'
[[ -f $kernel && -r $kernel ]] || skip "the kernel $kernel cannot be read"

folder=$(mktemp -d "${TMPDIR:-/tmp}/dodeca-keys-vm.XXXXXX")
trap 'rm -rf "$folder"' EXIT

# ---- the file system: an archive in cpio's "newc" format -----------------------------------------------------

inode=0
entry() # NAME MODE BYTES  the head of an entry, padded to four bytes as its content must be
{
    local head
    inode=$((inode + 1))
    printf -v head '070701%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X' \
        "$inode" "$2" 0 0 1 0 "$3" 0 0 0 0 $((${#1} + 1)) 0
    printf '%s%s\0' "$head" "$1"
    pad $((${#head} + ${#1} + 1))
}

pad() # BYTES  to the next multiple of four
{
    head -c $(((4 - $1 % 4) % 4)) /dev/zero
}

declare -A archived=()
put_folder() # PATH  and those above it
{
    [[ $1 != / && $1 != . && -z ${archived[$1]:-} ]] || return 0
    put_folder "$(dirname "$1")"
    archived[$1]=1
    entry "${1#/}" $((8#040755)) 0
}

put_file() # FILE [PATH]  a link as what it leads to
{
    local path=${2:-$1} bytes
    [[ -z ${archived[$path]:-} ]] || return 0
    put_folder "$(dirname "$path")"
    archived[$path]=1
    bytes=$(stat -L -c %s "$1")
    entry "${path#/}" $((8#100755)) "$bytes"
    cat "$1"
    pad "$bytes"
}

put_program() # FILE  with the libraries that it is bound to, if it is a program, each where it looks for it
{
    local library
    put_file "$1"
    while read -r library; do
        put_file "$library"
    done < <(ldd "$1" 2>/dev/null | sed -n -E 's,^[^/]*(/[^ ]+) \(0x.*,\1,p' || true)
}

bash=$(type -P bash)
mount=$(type -P mount)
cat=$(type -P cat)
{
    printf '#!%s\n' "$bash"
    printf 'export HOME=/tmp LC_ALL=C PATH=%q\n' \
        "$(dirname "$mount"):$(dirname "$cat"):$(dirname "$bash"):/usr/bin:/bin"
    cat <<'END'
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
END
    # A pipe, so that the command sees no terminal. Closing a line waits until all of it is out.
    printf '(\ncd %q\n' "$PWD"
    printf '%q ' "$program" "$@"
    printf '\n) </dev/null 2>&1 | cat >/dev/ttyS1\necho ${PIPESTATUS[0]} >/dev/ttyS2\necho b >/proc/sysrq-trigger\n'
} >"$folder/init"

{
    for path in /proc /sys /dev /tmp "$PWD"; do
        put_folder "$path"
    done
    put_file "$folder/init" /init
    put_program "$bash"
    put_program "$mount"
    put_program "$cat"
    put_program "$program"
    for file in "${files[@]}"; do
        put_program "$(realpath -s "$file")"
    done
    entry 'TRAILER!!!' 0 0
} >"$folder/initramfs"

# ---- run -----------------------------------------------------------------------------------------------------

# Lines: the kernel's words, the command's, its exit status.
status=0
timeout --kill-after=5 "$limit" qemu-system-x86_64 \
    -nodefaults -no-user-config -display none -no-reboot \
    -accel tcg,thread=multi -cpu max,la57=off -smp "$cpus" -m "$memory" \
    -kernel "$kernel" -initrd "$folder/initramfs" \
    -append 'console=ttyS0 quiet loglevel=4 panic=-1 random.trust_cpu=on mitigations=off' \
    -serial "file:$folder/boot" -serial stdio -serial "file:$folder/status" </dev/null |
    sed -u 's/\r$//' || status=$?
code=$(tr -d '\r\n' <"$folder/status")
if [[ ! $code =~ ^[0-9]+$ ]]; then
    tail -n 20 "$folder/boot" >&2
    ((status != 124)) || die 1 "the machine was not done after $limit s"
    die 1 "the machine ended with status $status and without the command's; its last lines are above"
fi
exit "$code"
