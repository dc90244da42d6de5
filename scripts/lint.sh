#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# What the house style and the core's boundaries forbid, as far as text can tell. Refuses to change anything.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

usage()
{
    cat <<'END'
usage: scripts/lint.sh [--help]

Looks at every source and script: format (clang-format), shell (shellcheck), what core/ must not use, flags that
break the bit contract, head lines, file lengths, what lies at the top level, CI's workflows (yamllint; actions pinned,
commands that exist). A line per check; what is wrong is listed with file and line.

exit: 0 nothing found (tools that are not installed are named), 1 something found, 2 bad usage
END
}
case ${1:-} in
'') ;;
--help | -h)
    usage
    exit 0
    ;;
*) bad_usage "unknown argument \"$1\"" ;;
esac

cd "$root"
failed=false

# verdict NAME FINDINGS
verdict()
{
    if [[ -n $2 ]]; then
        failed=true
        printf '%-12s FAIL\n%s\n' "$1" "$(awk '{ print "    " $0 }' <<<"$2")"
    else
        printf '%-12s PASS\n' "$1"
    fi
}

skip()
{
    printf '%-12s SKIP (optional): %s is not installed\n' "$1" "$2"
}

# Files of this project that match a pattern of find.
files() # FOLDER… -- EXPRESSION…
{
    local folders=()
    while [[ $1 != -- ]]; do
        [[ ! -e $1 ]] || folders+=("$1")
        shift
    done
    shift
    find "${folders[@]}" \( -name 'build*' -type d -o -path results/runs \) -prune -o -type f "$@" -print | sort
}

mapfile -t c_files < <(files core harness -- \( -name '*.[ch]' -o -name '*.cc' \))
mapfile -t core_files < <(files core -- -name '*.[ch]' ! -path 'core/platform/*')
mapfile -t all_core_files < <(files core -- -name '*.[ch]')
mapfile -t shell_files < <(files scripts harness -- -name '*.sh'; files .ci -- -name run)
mapfile -t python_files < <(files scripts harness -- -name '*.py')
mapfile -t cmake_files < <(files CMakeLists.txt core harness -- \( -name CMakeLists.txt -o -name '*.cmake' \))

# Lines of code, comments blanked, that match: file:line: text.
code_grep() # PATTERN FILE…
{
    local pattern=$1 file
    shift
    for file; do
        awk -v pattern="$pattern" -v file="$file" '
            {
                line = $0
                code = ""
                while (line != "") {
                    if (comment) {
                        i = index(line, "*/")
                        if (!i) break
                        line = substr(line, i + 2)
                        comment = 0
                    } else {
                        i = index(line, "/*")
                        if (!i) { code = code line; break }
                        code = code substr(line, 1, i - 1) " "
                        line = substr(line, i + 2)
                        comment = 1
                    }
                }
                sub(/\/\/.*/, "", code)
                gsub(/"([^"\\]|\\.)*"/, "\"\"", code)
                if (code ~ pattern) print file ":" FNR ": " $0
            }' "$file"
    done
}

# ---- core's boundaries -------------------------------------------------------------------------------------

word='(^|[^A-Za-z0-9_])'
verdict atomics "$(code_grep "$word(_Atomic|atomic_[a-z_]+|__atomic_[a-z_]+|__sync_[a-z_]+|stdatomic\\.h|volatile|__volatile__|_mm_[lsm]fence|mtx_[a-z]+|thrd_[a-z]+|pthread_[a-z_]+|sched_yield|syscall)($|[^A-Za-z0-9_])" \
    "${core_files[@]}")"
verdict sleeps "$(code_grep "$word(sleep|usleep|nanosleep|clock_nanosleep|poll|select)[ ]*\\(" "${all_core_files[@]}")"
# But for the canary that shows which tools cannot follow one.
mapfile -t unfenced_files < <(printf '%s\n' "${c_files[@]}" | grep -v -x 'harness/unit/race_canary.c')
verdict fences "$(code_grep "$word(atomic_thread_fence|__atomic_thread_fence|__sync_synchronize|_mm_mfence)[ ]*\\(" "${unfenced_files[@]}")"
verdict silence "$(code_grep "$word(printf|fprintf|vprintf|vfprintf|puts|fputs|putchar|perror|exit|_exit|quick_exit|abort|getenv|secure_getenv|setenv|signal|sigaction)[ ]*\\(" \
    "${all_core_files[@]}")"
# What is not exact in IEEE 754 must be the project's own; in double it may serve a report, not a step.
mapfile -t step_files < <(files core/kernels core/model core/sync core/trainer -- -name '*.[ch]')
verdict libm "$(
    code_grep "$word(exp|exp2|log|log2|pow|tanh|erf|sin|cos|fmax|fmin)f[ ]*\\(|_mm[0-9]*_(rsqrt|rcp)" "${all_core_files[@]}"
    code_grep "$word(exp|exp2|log|log2|pow|tanh|erf|sin|cos|fmax|fmin)[ ]*\\(" "${step_files[@]}"
)"

# ---- the bit contract's flags --------------------------------------------------------------------------------

verdict flags "$(grep -n -E -e '-(ffast-math|Ofast|funsafe-math-optimizations|ffinite-math-only|fassociative-math|freciprocal-math|ffp-contract=(fast|on))' \
    "${cmake_files[@]}" | grep -v '|-' || true)"

# ---- form --------------------------------------------------------------------------------------------------

heads=
for file in "${c_files[@]}" "${shell_files[@]}" "${python_files[@]}" "${cmake_files[@]}"; do
    [[ $(head -n 2 "$file") == *'SPDX-License-Identifier: MIT'* ]] ||
        heads+="$file: the first lines do not say SPDX-License-Identifier: MIT"$'\n'
done
verdict heads "${heads%$'\n'}"

lengths=
for file in "${c_files[@]}" "${shell_files[@]}" "${python_files[@]}" "${cmake_files[@]}"; do
    lines=$(wc -l <"$file")
    ((lines <= 900)) || lengths+="$file: $lines lines, at most 900 can be read in one sitting"$'\n'
done
verdict lengths "${lengths%$'\n'}"

verdict unfinished "$(grep -n -E -w -e 'TODO|FIXME|XXX|HACK' -e '#if 0' "${c_files[@]}" "${python_files[@]}" "${cmake_files[@]}" || true)"

# The backends of the platform are one interface: their files share names.
doubles=$(printf '%s\n' "${c_files[@]}" | grep -v -e '^core/platform/native/' -e '/backend/' |
    awk -F/ '{ n[$NF]++; where[$NF] = where[$NF] " " $0 }
             END { for (f in n) if (n[f] > 1) print f ": " n[f] " files have this name:" where[f] }' | sort)
verdict names "$doubles"

allowed=' CMakeLists.txt CMakePresets.json LICENSE README.md core harness results scenarios scripts '
strays=
for entry in *; do
    [[ $allowed == *" $entry "* || $entry == build* ]] ||
        strays+="$entry: does not belong at the top level, which holds$allowed"$'\n'
done
verdict top-level "${strays%$'\n'}"

# Versions of clang-format differ in what they write; the sources are kept in one.
format_version=14
if [[ $(clang-format --version 2>/dev/null) != *"version $format_version."* ]]; then
    skip format "clang-format $format_version"
else
    verdict format "$(clang-format --dry-run --style=file "${c_files[@]}" 2>&1 |
        awk -F: '/warning:/ { n[$1]++; first[$1] = first[$1] ? first[$1] : $2 }
                 END { for (f in n) print f ":" first[f] ": the first of " n[f] " places to format" }' | sort)"
fi
if have shellcheck; then
    verdict shell "$(shellcheck --external-sources --source-path=SCRIPTDIR --severity=warning --format=gcc \
        "${shell_files[@]}" 2>&1 || true)"
else
    skip shell shellcheck
fi

# ---- CI ------------------------------------------------------------------------------------------------------

# A step is one command, a script of this project or a line that bash can read; an action is one commit.
workflow_faults() # FILE
{
    local at line command
    while IFS=: read -r at line; do
        case $line in
        *uses:*)
            [[ $line =~ @[0-9a-f]{40}([[:space:]]|$) ]] || echo "$1:$at: not pinned to a commit:$line"
            ;;
        *run:*)
            command=${line#*run: }
            if [[ $command == [\|\>]* ]] || ! bash -n <<<"$command" 2>/dev/null; then
                echo "$1:$at: not a command on one line:$line"
            elif [[ $command == scripts/* && ! -x ${command%% *} ]]; then
                echo "$1:$at: there is no script ${command%% *}"
            fi
            ;;
        esac
    done < <(grep -n -E '^ *(- )?(uses|run): ' "$1")
}
if [[ -d .github ]]; then
    mapfile -t workflows < <(files .github -- -name '*.yml')
    verdict workflows "$(for file in "${workflows[@]}"; do workflow_faults "$file"; done)"
    if have yamllint; then
        verdict yaml "$(yamllint --format parsable -d '{extends: default, rules: {line-length: {max: 120}}}' \
            "${workflows[@]}" 2>&1 || true)"
    else
        skip yaml yamllint
    fi
fi

! $failed || exit 1
