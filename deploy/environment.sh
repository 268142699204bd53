#!/bin/bash
# Makes .venv in the current folder and installs linkgauge there with the versions of constraints.txt.
# Usage: environment.sh [PYTHON [dev]]        dev: with the tools of its tests and checks
set -euo pipefail
python="${1:-python3}"
what=".${2:+[$2]}"

if ! command -v "$python" >/dev/null; then
    echo "linkgauge needs Python 3.11 or later, and there is no $python here; install python3" >&2
    exit 1
fi
if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
    echo "linkgauge needs Python 3.11 or later, $python is $("$python" -V 2>&1 | tail -n 1); name a newer one: make PYTHON=..." >&2
    exit 1
fi
if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
    if [[ $EUID -eq 0 ]] && command -v apt-get >/dev/null; then
        echo "installing python3-venv, which $python lacks"
        export DEBIAN_FRONTEND=noninteractive
        apt-get install -qq -y python3-venv >/dev/null 2>&1 ||
            { apt-get update -qq && apt-get install -qq -y python3-venv >/dev/null; }
    else
        echo "$python has no venv module; install it (Debian: apt-get install python3-venv)" >&2
        exit 1
    fi
fi

# A half-made .venv (an interrupted run, a moved folder) is made again.
if ! .venv/bin/python -m pip --version >/dev/null 2>&1; then
    echo "making .venv"
    "$python" -m venv --clear .venv
fi
echo "installing linkgauge's libraries into .venv"
.venv/bin/python -m pip install --quiet --disable-pip-version-check --editable "$what" --constraint constraints.txt
