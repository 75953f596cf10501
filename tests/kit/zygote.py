"""A process that has imported what a start imports, and forks itself for each start, which spares most of it.

What it forks is a process of its own: its number, session, folder, environment, streams and exit are those of a command
that was just started; only its imports are done, and `/proc/…/cmdline` is this module's. So what a test says about
imports, the interpreter, a command line or streams closed at the start needs `World.start`, which never forks.
"""

import contextlib
import json
import os
import runpy
import select
import socket
import sys
from collections.abc import Mapping
from importlib import import_module
from typing import Any

PACKAGE = "ollama_keeper"
PRELOADED = ("cli", "commands.run", "commands.simulate")
MESSAGE_BYTES = 2**18
Order = Mapping[str, Any]


def serve(control: socket.socket) -> None:
    """Forks for each order that comes; returns in the fork, as what was ordered; ends once nobody orders any more."""
    reports: dict[int, tuple[int, int]] = {}
    poll = select.poll()
    poll.register(control, select.POLLIN)
    while True:
        for ready, _ in poll.poll():
            if ready != control.fileno():
                poll.unregister(ready)
                tell_end(ready, *reports.pop(ready))
                continue
            message, handles, _, _ = socket.recv_fds(control, MESSAGE_BYTES, 4)
            if not message:
                raise SystemExit
            *streams, report = handles
            if (pid := os.fork()) == 0:
                become(json.loads(message), streams, control)
                return
            os.write(report, b"%d\n" % pid)
            for stream in streams:
                os.close(stream)
            watched = os.pidfd_open(pid)
            reports[watched] = (pid, report)
            poll.register(watched, select.POLLIN)


def tell_end(watched: int, pid: int, report: int) -> None:
    """Reports how a fork has ended; nobody may listen any more."""
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    os.close(watched)
    with contextlib.suppress(BrokenPipeError):
        os.write(report, b"%d\n" % code)
    os.close(report)


def become(order: Order, streams: list[int], control: socket.socket) -> None:
    """Makes of this fork what a fresh process would be."""
    os.setsid()
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
    control.detach()
    os.closerange(3, os.sysconf("SC_OPEN_MAX"))
    os.chdir(order["folder"])
    os.environ.clear()
    os.environ.update(order["environ"])
    sys.path[0] = order["folder"]
    sys.argv[1:] = order["arguments"]


def preload() -> None:
    """Imports what nearly each start needs."""
    from ollama_keeper.lean import lean_imports

    with lean_imports():
        for name in PRELOADED:
            import_module(f"{PACKAGE}.{name}")


if __name__ == "__main__":
    preload()
    serve(socket.socket(fileno=int(sys.argv[1])))
    runpy.run_module(PACKAGE, run_name="__main__", alter_sys=True)
