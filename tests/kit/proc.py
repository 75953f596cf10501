"""Real processes: a keeper or a simulated server as a child, on loopback, its output read as it comes.

Nothing here sleeps for a fixed time: a child is waited for by reading what it says, a server by asking its record,
each with a deadline that is long enough for a busy machine. Children never outlive their `World`.
"""

import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar
from urllib.request import ProxyHandler, Request, build_opener

from tests.kit.forked import Forked, can_fork

US = "ollama-keeper"
OURS = [sys.executable, "-m", "ollama_keeper"]
MUCH = 2**24
LIMIT_S = 15.0
POLL_S = 0.02
OUR_VARIABLES = ("OLLAMA", "XDG_", "NO_COLOR", "JOURNAL_STREAM", "STATE_DIRECTORY", "RUNTIME_DIRECTORY", "HOME")
NO_BYTECODE = "PYTHONDONTWRITEBYTECODE"  # with it, each start compiles all of our modules, which doubles its time
QUIET = {"OLLAMA_KEEPER_WEB__LISTEN": "off", "OLLAMA_KEEPER_WEB__SOCKET": "off"}

Event = dict[str, Any]
Kind = TypeVar("Kind", bound="Child")
_direct = build_opener(ProxyHandler({})).open


class Overdue(AssertionError):
    """Something was waited for, and did not come in time."""


@dataclass(frozen=True, slots=True)
class Done:
    """A command that has ended."""

    code: int
    out: str
    err: str


class Child:
    """One process of ours.

    Attributes:
        events: the JSON lines read so far.
        began: when it was started, seconds of `time.monotonic`, which all processes of a machine share.

    Args:
        forks: a command of ours is forked with its imports done (`zygote`); else it has an interpreter of its own.
    """

    def __init__(
        self,
        arguments: Sequence[str],
        environ: Mapping[str, str],
        folder: Path,
        *,
        stdout: int = subprocess.PIPE,
        forks: bool = False,
    ) -> None:
        self.events: list[Event] = []
        self._errors = folder / f"stderr-{time.monotonic_ns()}"
        self._unread = b""
        with self._errors.open("wb") as errors:
            self.began = time.monotonic()
            self._process = begin(arguments, environ, folder, stdout=stdout, stderr=errors.fileno(), forks=forks)

    @property
    def pid(self) -> int:
        """Number of the process."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether it still runs."""
        return self._process.poll() is None

    @property
    def errors(self) -> str:
        """What it has written to stderr."""
        return self._errors.read_text()

    @property
    def told(self) -> list[str]:
        """Names of the events read so far."""
        return [event["event"] for event in self.events]

    def line(self, *, limit_s: float = LIMIT_S) -> str | None:
        """The next line of its stdout; None once that has ended."""
        deadline = time.monotonic() + limit_s
        while b"\n" not in self._unread:
            if not self._readable(deadline):
                raise Overdue(f"no line within {limit_s:g} s; so far {self.told}; stderr: {self.errors!r}")
            part = os.read(self._stdout, 65_536)
            if not part:
                return None
            self._unread += part
        line, _, self._unread = self._unread.partition(b"\n")
        return line.decode()

    def until(self, event: str, *, limit_s: float = LIMIT_S, **fields: object) -> Event:
        """Reads on to the next line of an event with these fields."""
        deadline = time.monotonic() + limit_s
        while (line := self.line(limit_s=max(deadline - time.monotonic(), 0.0))) is not None:
            self.events.append(json.loads(line))
            told = self.events[-1]
            if told["event"] == event and fields.items() <= told.items():
                return told
        raise Overdue(f"it ended without {event} {fields}; it told {self.told}; stderr: {self.errors!r}")

    def signal(self, number: signal.Signals) -> None:
        """Sends it a signal."""
        self._process.send_signal(number)

    def stop_reading(self) -> None:
        """Closes our end of its stdout."""
        assert self._process.stdout is not None
        self._process.stdout.close()

    def ended(self, *, limit_s: float = LIMIT_S) -> int:
        """Reads the rest of its events; its exit code once it has ended, 128 + n by signal n, as a shell tells it."""
        if self._process.stdout is not None and not self._process.stdout.closed:
            while (line := self.line(limit_s=limit_s)) is not None:
                self.events.append(json.loads(line))
        try:
            code = self._process.wait(limit_s)
        except subprocess.TimeoutExpired:
            raise Overdue(f"it did not end within {limit_s:g} s; it told {self.told}") from None
        return 128 - code if code < 0 else code

    def close(self) -> None:
        """Kills it if it still runs."""
        if self.alive:
            self._process.kill()
        self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()

    @property
    def _stdout(self) -> int:
        assert self._process.stdout is not None
        return self._process.stdout.fileno()

    def _readable(self, deadline: float) -> bool:
        ready, _, _ = select.select([self._stdout], [], [], max(deadline - time.monotonic(), 0.0))
        return bool(ready)


class Simulated(Child):
    """A simulated server, asked and hurt through its control path."""

    url = ""

    def listens(self) -> Self:
        """Waits until it can be asked."""
        line = self.line() or ""
        self.url = next((word for word in line.split() if word.startswith("http://")), "")
        assert self.url, f"it does not listen: {line!r} {self.errors!r}"
        return self

    def history(self) -> dict[str, Any]:
        """All that happened; instants are those of `time.monotonic`."""
        return self._ask("/-/history")

    def requests(self, path: str) -> list[dict[str, Any]]:
        """The keeper's requests for a path, in order."""
        return [one for one in self.history()["requests"] if one["path"] == path and one["who"].startswith(US)]

    def loads(self) -> list[dict[str, Any]]:
        """Loads that the keeper caused."""
        return [load for load in self.history()["loads"] if load["who"].startswith(US)]

    def resident(self) -> dict[str, dict[str, Any]]:
        """What is loaded and answers, by name."""
        return {one["name"]: one for one in self._ask("/-/resident")["models"] if not one["loading"]}

    def befalls(self, verb: str, **arguments: object) -> None:
        """Lets a mishap happen."""
        self._ask("/-/mishap", {"verb": verb, **arguments})

    def looked(self, times: int = 1, *, limit_s: float = LIMIT_S) -> list[dict[str, Any]]:
        """Waits until the keeper has looked so many times more; all its looks."""
        seen = len(self.requests("/api/ps"))
        wait_for(lambda: len(self.requests("/api/ps")) >= seen + times, limit_s=limit_s)
        return self.requests("/api/ps")

    def _ask(self, path: str, body: Mapping[str, object] | None = None) -> dict[str, Any]:
        try:
            return self._answer(path, body)
        except ConnectionResetError:  # a mishap that ends the server takes connections with it, up to 0.1 s later
            if body is not None:
                raise
            return self._answer(path)

    def _answer(self, path: str, body: Mapping[str, object] | None = None) -> dict[str, Any]:
        data = None if body is None else json.dumps(body).encode()
        with _direct(Request(self.url + path, data), timeout=LIMIT_S) as answer:
            document: dict[str, Any] = json.load(answer)
        return document


class World:
    """A home directory without a configuration, and the processes that live in it until the block ends.

    Args:
        home: an empty folder.
        variables: what all of them have in common in their environment; by default no page, for many run at once.
        forks: commands of ours are forked (`zygote`), for tests; what measures a start or its memory must not.
    """

    def __init__(self, home: Path, variables: Mapping[str, str] = QUIET, *, forks: bool = False) -> None:
        self.home = home
        self._variables = variables
        self._forks = forks
        self._children: list[Child] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for child in reversed(self._children):
            child.close()

    def environ(self, **variables: str) -> dict[str, str]:
        """The environment of a child: nothing of ours or of the user's but `variables`."""
        return {**installed(), "HOME": str(self.home), **self._variables, **variables}

    def simulate(self, *flags: str, port: int = 0) -> Simulated:
        """A simulated server that listens."""
        command = ours("simulate", "--listen", f"127.0.0.1:{port}", *flags)
        return self._keep(Simulated(command, self.environ(), self.home, forks=self._forks)).listens()

    def run(self, *arguments: str, stdout: int = subprocess.PIPE, **variables: str) -> Child:
        """A keeper that starts; `variables` are its environment."""
        command, environ = ours("run", *arguments), self.environ(**variables)
        return self._keep(Child(command, environ, self.home, stdout=stdout, forks=self._forks))

    def start(self, command: Sequence[str], *, stdout: int = subprocess.PIPE, **variables: str) -> Child:
        """Any process, fresh: what a test says of imports, of a command line or of the start itself needs one."""
        return self._keep(Child(command, self.environ(**variables), self.home, stdout=stdout))

    def do(self, *arguments: str, **variables: str) -> Done:
        """Runs a command of ours to its end."""
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as errors:
            command, environ = ours(*arguments), self.environ(**variables)
            streams = {"stdout": out.fileno(), "stderr": errors.fileno()}
            process = begin(command, environ, self.home, forks=self._forks, **streams)
            try:
                code = process.wait(4 * LIMIT_S)
            finally:
                process.kill()
            return Done(code, *(os.pread(one.fileno(), MUCH, 0).decode() for one in (out, errors)))

    def _keep(self, child: Kind) -> Kind:
        self._children.append(child)
        return child


def begin(
    command: Sequence[str], environ: Mapping[str, str], folder: Path, *, stdout: int, stderr: int, forks: bool = False
) -> subprocess.Popen[bytes] | Forked:
    """Starts a process in a session of its own; a command of ours as a fork, where that is the same and asked for."""
    if forks and [*command[: len(OURS)]] == OURS and can_fork(environ):
        return Forked(command[len(OURS) :], environ, folder, stdout=stdout, stderr=stderr)
    return subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=stdout,
        stderr=stderr,
        env=dict(environ),
        cwd=folder,
        start_new_session=True,
    )


def installed() -> dict[str, str]:
    """The environment without what concerns us, and with bytecode kept, as an installed package has it."""
    without = (*OUR_VARIABLES, NO_BYTECODE)
    return {name: value for name, value in os.environ.items() if not name.startswith(without)}


def ours(*arguments: str) -> list[str]:
    """A command line of ours."""
    return [*OURS, *arguments]


def free_port() -> int:
    """A port of loopback on which nothing listens."""
    with socket.create_server(("127.0.0.1", 0)) as bound:
        port: int = bound.getsockname()[1]
        return port


def wait_for(true: Callable[[], object], *, limit_s: float = LIMIT_S) -> None:
    """Asks again and again until something holds."""
    deadline = time.monotonic() + limit_s
    while not true():
        if time.monotonic() > deadline:
            raise Overdue(f"it did not come to be within {limit_s:g} s")
        time.sleep(POLL_S)
