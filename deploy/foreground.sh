#!/bin/bash
# Runs a command so that Ctrl-C reaches it and not the make above it: make dies of the interrupt even
# where the command ends well. A job of its own is the terminal's foreground group while it runs, and
# make sees nothing but its exit code. Without a terminal, or in the background, it is run as it is.
set -euo pipefail
read -r _ _ _ _ group _ _ foreground _ <"/proc/$$/stat"
if [[ -t 0 && $group == "$foreground" ]]; then
    set -m
    code=0
    "$@" || code=$?
    exit "$code"
fi
exec "$@"
