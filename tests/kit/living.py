"""A keeper that is a process of its own, seen from outside: its pages, what it holds, and the checks of FAULTS.md 1."""

from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path

from tests.kit.checks import Evidence, breaches, descriptors, history_of, keys_by_load
from tests.kit.proc import Child, Simulated

LIMIT_S = 15.0


@dataclass(frozen=True, slots=True)
class Held:
    """Open files and threads of a process, and the seconds of CPU that it has used."""

    descriptors: int
    threads: int
    cpu_s: float


def page(address: str, path: str) -> tuple[int, str]:
    """Status and body of a page of the keeper at `HOST:PORT`."""
    connection = HTTPConnection(address, timeout=LIMIT_S)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


def held(child: Child) -> Held:
    """What a process holds now."""
    threads = len(list(Path(f"/proc/{child.pid}/task").iterdir()))
    fields = Path(f"/proc/{child.pid}/stat").read_text().rpartition(")")[2].split()
    return Held(descriptors(child.pid), threads, (int(fields[11]) + int(fields[12])) / 100)


def survived(server: Simulated, *keepers: Child, aborts: int = 0, reloads: int = 0, told: str = "") -> None:
    """Asks the server's record, and what the keepers told, whether they did harm."""
    history = history_of(server.history())
    output = "\n".join([told, *(f"{keeper.events} {keeper.errors}" for keeper in keepers)])
    evidence = Evidence(history, keys_by_load(history), output, aborts=aborts, reloads=reloads)
    found = breaches(evidence)
    assert not found, found
