#!/bin/sh
# Makes a virtual environment with everything that development needs. Usage: setup.sh DIRECTORY
set -eu
venv=$1

with_uv() {
    uv venv --quiet --allow-existing --python '>=3.11' "$venv" &&
        uv pip sync --quiet --python "$venv/bin/python" --require-hashes requirements/dev.lock &&
        uv pip install --quiet --python "$venv/bin/python" --no-deps --no-build-isolation --editable .
}

with_venv() {
    clear=--clear
    if "$venv/bin/python" -m pip --version >/dev/null 2>&1; then clear=; fi
    "$1" -m venv $clear "$venv"
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --require-hashes --requirement requirements/dev.lock
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
}

if command -v uv >/dev/null 2>&1; then
    if with_uv; then exit 0; fi
    echo "uv could not make the environment: trying Python's own venv." >&2
fi

# A name on the path may be a shim without an interpreter, and Debian ships Python without what makes an environment.
for python in python3.13 python3.12 python3.11 python3.14 python3; do
    if "$python" -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then
        with_venv "$python"
        exit 0
    fi
done

echo "ollama-keeper needs Python 3.11 or newer with its venv module, or uv; neither was found." >&2
echo "On Debian and Ubuntu: apt-get install python3-venv" >&2
exit 1
