#!/bin/sh
# Makes .venv and installs a lock into it: `scripts/environment.sh run|dev`.
# Does nothing when the same lock and the same pyproject.toml are installed already.
set -eu
cd "$(dirname "$0")/.."

lock=requirements/$1.txt
stamp=.venv/.installed

say() { printf '%s\n' "$*" >&2; }

usable() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; }

find_python() {
    for name in ${PYTHON:-python3.13 python3.12 python3.11 python3 python python3.14}; do
        if usable "$name"; then
            echo "$name"
            return
        fi
    done
    say "echostream needs Python 3.11 or newer, and none was found."
    if command -v "${PYTHON:-python3}" >/dev/null 2>&1; then
        say "  '${PYTHON:-python3}' is $("${PYTHON:-python3}" --version 2>&1)"
    fi
    say "Install one (for example: apt install python3 python3-venv, or brew install python),"
    say "or name it: make PYTHON=/path/to/python3.12 run"
    exit 1
}

# The dev lock holds everything the run lock holds, at the same versions (a test checks that).
wanted() { cat "$1" pyproject.toml | cksum; }
if [ -x .venv/bin/python ] && usable .venv/bin/python && [ -x .venv/bin/echostream ] && [ -f "$stamp" ]; then
    installed=$(cat "$stamp")
    for candidate in "$lock" requirements/dev.txt; do
        [ "$installed" = "$(wanted "$candidate")" ] && exit 0
    done
fi

if ! { [ -x .venv/bin/python ] && usable .venv/bin/python && .venv/bin/python -m pip --version >/dev/null 2>&1; }; then
    python=$(find_python)
    say "making .venv with $("$python" --version 2>&1)"
    rm -rf .venv
    if ! "$python" -m venv .venv >&2; then
        rm -rf .venv
        say "'$python -m venv' failed; on Debian and Ubuntu: apt install python3-venv"
        exit 1
    fi
fi

say "installing $lock into .venv"
rm -f "$stamp"
.venv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r "$lock"
# The build backend came with the lock, so nothing unlocked is fetched to build the package.
.venv/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
wanted "$lock" >"$stamp"
