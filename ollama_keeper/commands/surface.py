"""The status surface and the control socket of `run`, bound before the daemon starts: a taken address is told."""

import socket
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from ollama_keeper.clock import Clock
from ollama_keeper.config.effective import WebSettings
from ollama_keeper.core.changes import WebFailed
from ollama_keeper.daemon.parts import Desk, Page
from ollama_keeper.web.sockets import control_socket, listening, removed


class AddressTaken(Exception):
    """An address that the operator chose cannot be listened on."""


def pages_of(settings: WebSettings, clock: Clock, *, failed: Callable[[WebFailed], None]) -> Iterator[tuple[str, Page]]:
    """What the daemon is to serve, each with its address; what cannot be bound is told to `failed`, and left out.

    Raises:
        AddressTaken: that address was chosen, so that going on without it would be no good.
    """
    if settings.listen is not None:
        bound = _bound(settings, failed)
        if bound is not None:
            yield settings.listen, partial(_serve_status, settings, clock, bound)
    if settings.socket is not None and hasattr(socket, "AF_UNIX"):
        control = _control(settings.socket, failed)
        if control is not None:
            yield str(settings.socket), partial(_serve_control, settings.socket, control)


def _bound(settings: WebSettings, failed: Callable[[WebFailed], None]) -> socket.socket | None:
    address = settings.listen or ""
    host, _, port = address.rpartition(":")
    try:
        return listening(host.strip("[]"), int(port))
    except OSError as error:
        why = (error.strerror or str(error)).lower()
        if settings.chosen:
            msg = f"{address} cannot be listened on: {why}"
            raise AddressTaken(msg) from None
        failed(WebFailed(address=address, hint=f"{why}; going on without it"))
        return None


def _control(path: Path, failed: Callable[[WebFailed], None]) -> socket.socket | None:
    try:
        return control_socket(path)
    except OSError as error:
        why = (error.strerror or str(error)).lower()
        failed(WebFailed(address=str(path), hint=f"{why}; pause, resume and reload will not reach this daemon"))
        return None


async def _serve_status(settings: WebSettings, clock: Clock, bound: socket.socket, desk: Desk) -> None:
    from ollama_keeper.web.app import web_app
    from ollama_keeper.web.hosts import Hosts
    from ollama_keeper.web.serving import serve

    hosts = Hosts((settings.listen or "").rpartition(":")[0], settings.allowed_hosts)
    with bound:
        await serve(web_app(lambda: tuple(server.memory for server in desk.servers), clock.now, hosts), bound)


async def _serve_control(path: Path, bound: socket.socket, desk: Desk) -> None:
    from ollama_keeper.web.control import control_app
    from ollama_keeper.web.serving import serve

    with bound, removed(path):
        await serve(control_app(desk), bound)
