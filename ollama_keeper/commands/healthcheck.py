"""`healthcheck`: whether the daemon's loop turns, asked of its `/livez` with the standard library alone.

A container asks each ten seconds, so nothing is imported that is not needed: not even click, which `__main__` passes by
for this command, or an HTTP library. Less than 0.1 s of CPU.
"""

import os
import socket
import sys

DEFAULT = "127.0.0.1:11480"
VARIABLE = "OLLAMA_KEEPER_WEB__LISTEN"
TIMEOUT_S = 2.5
LAST_PORT = 65_535
ANY = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}  # noqa: S104 - listened on, not asked

EXIT_LIVE, EXIT_NOT, EXIT_USAGE, EXIT_CONFIG = 0, 1, 64, 78


def healthcheck(url: str | None) -> int:
    """Asks, prints one line, and gives 0 or 1; 64 or 78 where there is no address to ask at."""
    written = os.environ.get(VARIABLE, "") if url is None else url
    written = written.strip() or (DEFAULT if url is None else "")
    asked = written.removeprefix("http://").rstrip("/")
    host, _, port = asked.rpartition(":")
    if not (host and port.isascii() and port.isdigit() and int(port) <= LAST_PORT) or "@" in asked:
        return _no_address(written, given=url is not None)
    try:
        answer = _answer(host.strip("[]"), int(port))
    except OSError as error:
        return _not_live(asked, error.strerror or str(error) or type(error).__name__)
    if not answer.startswith(b"HTTP/1.1 200 "):
        line = answer.decode("ascii", "replace").partition("\r\n")[0]
        return _not_live(asked, line if line.isprintable() and line else "no answer of ours")
    _say_live()
    return EXIT_LIVE


def _say_live() -> None:
    """It is live, whether somebody reads that or not."""
    if sys.stdout is None:  # it was closed
        return
    try:
        sys.stdout.write("live\n")
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # for the flush at the end of the process


def _answer(host: str, port: int) -> bytes:
    """The beginning of what `/livez` answers."""
    host = ANY.get(host, host)
    named = f"[{host}]" if ":" in host else host
    with socket.create_connection((host, port), timeout=TIMEOUT_S) as connection:
        connection.sendall(
            f"GET /livez HTTP/1.1\r\nHost: {named}:{port}\r\nConnection: close\r\n\r\n".encode("ascii", "replace")
        )
        return connection.recv(64)


def _no_address(written: str, *, given: bool) -> int:
    """What is wrong with an address, and what to write; a password in it is not shown."""
    shown = "what is written" if "@" in written else repr(written[:60])
    where = "--url" if given else VARIABLE
    hint = f"write for example {DEFAULT}"
    if written == "off":
        hint = "nothing is listened on, so nothing can be asked; name an address there, or do without a health check"
    sys.stderr.write(f"ollama-keeper: {where}: {shown} is not HOST:PORT; {hint}\n")
    return EXIT_USAGE if given else EXIT_CONFIG


def _not_live(asked: str, why: str) -> int:
    sys.stderr.write(f"ollama-keeper: not live: {asked}: {why}\n")
    return EXIT_NOT
