#!/bin/sh
# Keeps models resident on the Ollama at hand; on the simulator where none answers. Usage: run.sh BIN MODEL...
set -eu
bin=$1
shift

asked=0
"$bin/ollama-keeper" status >/dev/null 2>&1 || asked=$?
if [ "$asked" -ne 2 ]; then # 2: nobody answered
    exec "$bin/ollama-keeper" run "$@"
fi

echo "No Ollama answers at ${OLLAMA_HOST:-127.0.0.1:11434}: running against the simulator." >&2
port=$("$bin/python" -c 'import socket; s = socket.create_server(("127.0.0.1", 0)); print(s.getsockname()[1])')

# The keeper takes the place of this shell, so that signals reach it and its exit code is the run's; the simulator ends after it.
(
    "$bin/ollama-keeper" simulate --listen "127.0.0.1:$port" &
    simulator=$!
    while kill -0 $$ 2>/dev/null; do sleep 1; done
    kill "$simulator" 2>/dev/null || true
) </dev/null >&2 &

"$bin/python" - "$port" <<'PYTHON'
import socket, sys, time

for _ in range(100):
    try:
        socket.create_connection(("127.0.0.1", int(sys.argv[1])), timeout=1).close()
        break
    except OSError:
        time.sleep(0.1)
PYTHON
exec "$bin/ollama-keeper" run "$@" --ollama "http://127.0.0.1:$port"
