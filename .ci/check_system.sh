#!/bin/sh
# Checks what pip cannot install.  Usage: check_system.sh [python3]; exit 1 names every apt package.
python=${1:-python3}
missing=""

need() { # command, apt package
  command -v "$1" >/dev/null 2>&1 && return
  echo "error: '$1' not found; install it: sudo apt-get install $2" >&2
  missing="$missing $2"
}

need g++ g++
need make make
need perl perl
need "$python" python3
if command -v "$python" >/dev/null 2>&1; then
  if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 10))'; then
    echo "error: $("$python" --version 2>&1) is too old, Penstock needs Python >= 3.10;" \
      "pass a newer one: make PYTHON=python3.11 (sudo apt-get install python3.11)" >&2
    missing="$missing python3"
  elif ! "$python" -c 'import sys; sys.exit(sys.version_info >= (3, 14))'; then
    echo "error: $("$python" --version 2>&1) is newer than any that Penstock is tested with;" \
      "pass an older one: make PYTHON=python3.13" >&2
    missing="$missing python3.13"
  elif ! "$python" -c 'import ensurepip, venv' >/dev/null 2>&1; then
    echo "error: '$python' cannot make virtual environments; install the module:" \
      "sudo apt-get install python3-venv" >&2
    missing="$missing python3-venv"
  fi
fi
[ -z "$missing" ] || { echo "all at once: sudo apt-get install$missing" >&2; exit 1; }
