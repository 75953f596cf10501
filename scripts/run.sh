#!/bin/sh
# Keeps models resident on the Ollama at hand; on the simulator where none answers. Usage: run.sh BIN MODEL...
set -eu
bin=$1
shift

if "$bin/ollama-keeper" status >/dev/null 2>&1 || [ $? -ne 2 ]; then
    exec "$bin/ollama-keeper" run "$@"
fi

echo "No Ollama answers at ${OLLAMA_HOST:-127.0.0.1:11434}: running against the simulator." >&2
"$bin/ollama-keeper" simulate --listen 127.0.0.1:11999 &
simulator=$!
trap 'kill "$simulator" 2>/dev/null || true' EXIT
trap 'exit 0' INT TERM
"$bin/ollama-keeper" run "$@" --ollama http://127.0.0.1:11999
