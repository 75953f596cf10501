#!/bin/sh
# Adds what a lock names to an environment that setup.sh made. Usage: add.sh DIRECTORY LOCK
set -eu
python=$1/bin/python

if "$python" -m pip --version >/dev/null 2>&1; then
    exec "$python" -m pip install --quiet --disable-pip-version-check --require-hashes --requirement "$2"
fi
exec uv pip install --quiet --python "$python" --require-hashes --requirements "$2"
