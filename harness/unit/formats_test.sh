#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Model files against formats_test.py, which shares no code with dodeca; SKIP without Python. usage: formats_test.sh PROGRAM
set -euo pipefail

command -v python3 >/dev/null || {
    echo 'SKIP: python3 is not installed'
    exit 3
}
folder=$(mktemp -d "${TMPDIR:-/tmp}/dodeca-formats.XXXXXX")
trap 'rm -rf "$folder"' EXIT
python3 "$(dirname "${BASH_SOURCE[0]}")/formats_test.py" "$(realpath "$1")" "$folder"
