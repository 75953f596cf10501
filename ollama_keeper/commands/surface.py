"""The status surface and the control socket of `run`, bound before the daemon starts: a taken address is told."""

import errno
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path

import click

from ollama_keeper.clock import Clock
from ollama_keeper.config.effective import WebSettings
from ollama_keeper.core.changes import Change, WebFailed
from ollama_keeper.core.memory import ServerMemory
from ollama_keeper.core.tally import Shares
from ollama_keeper.daemon.parts import Desk, Page
from ollama_keeper.report.metrics.sources import Sources
from ollama_keeper.store import Past
from ollama_keeper.web.feed import Feed
from ollama_keeper.web.sockets import Control, control, listening, removed

Tell = Callable[[Change], None]


class AddressTaken(Exception):
    """An address that the operator chose cannot be listened on."""


@dataclass(frozen=True, slots=True)
class Given:
    """What every page is given beside the daemon.

    Attributes:
        source: the configuration's file, for the message of a bad token.
        tell: takes what goes wrong.
        feed: hands events to who listens.
        sources: what metrics are made of.
        past: reads the history.
        shares: how much of its wanted time a model was warm.
    """

    settings: WebSettings
    source: str | None
    clock: Clock
    tell: Tell
    feed: Feed
    sources: Sources
    past: Past
    shares: Callable[[str, str, datetime], Shares]


def pages_of(given: Given) -> Iterator[tuple[str, Page]]:
    """What the daemon is to serve, each with its address; what cannot be bound is told, and left out.

    Raises:
        AddressTaken: that address was chosen, so that going on without it would be no good.
        ConfigError: the token of commands over TCP cannot be used.
    """
    settings = given.settings
    token = _token(settings, given.source or "configuration")
    if settings.listen is not None:
        bound = _bound(settings, given.tell)
        if bound is not None:
            yield settings.listen, partial(_serve_status, given, bound, token)
    if settings.socket is not None:
        taken = _control(settings.socket, given.tell)
        if taken is not None:
            yield str(settings.socket), partial(_serve_control, given, taken)


def _token(settings: WebSettings, source: str) -> bytes | None:
    if settings.token_file is None:
        return None
    from ollama_keeper.web.token import control_token, read_by_others

    token = control_token(settings.token_file, source)
    if read_by_others(settings.token_file):
        click.echo(f"ollama-keeper: everybody on this machine can read {settings.token_file}; chmod 600 it", err=True)
    return token


def _bound(settings: WebSettings, tell: Tell) -> socket.socket | None:
    address = settings.listen or ""
    host, _, port = address.rpartition(":")
    try:
        return listening(host.strip("[]"), int(port))
    except OSError as error:
        why = (error.strerror or str(error)).lower()
        if settings.chosen:
            msg = f"{address} cannot be listened on: {why}"
            raise AddressTaken(msg) from None
        tell(WebFailed(address=address, hint=f"{why}{_another(error)}; going on without it"))
        return None


def _control(path: Path, tell: Tell) -> Control | None:
    try:
        return control(path)
    except OSError as error:
        why = (error.strerror or str(error)).lower()
        lost = "pause, resume and reload will not reach this one"
        tell(WebFailed(address=str(path), hint=f"{why}{_another(error)}; {lost}"))
        return None


def _another(error: OSError) -> str:
    return ", is another ollama-keeper running?" if error.errno == errno.EADDRINUSE else ""


async def _serve_status(given: Given, bound: socket.socket, token: bytes | None, desk: Desk) -> None:
    from ollama_keeper.web.app import Reckoned, web_app
    from ollama_keeper.web.control import command_routes
    from ollama_keeper.web.gate import Gate
    from ollama_keeper.web.history import History
    from ollama_keeper.web.hosts import Hosts
    from ollama_keeper.web.metrics import metrics_route
    from ollama_keeper.web.page import page_routes
    from ollama_keeper.web.serving import serve
    from ollama_keeper.web.stream import stream_route

    settings, now = given.settings, given.clock.now
    hosts = Hosts((settings.listen or "").rpartition(":")[0], settings.allowed_hosts)
    gate = None if token is None else Gate(token, now=now, tell=given.tell)

    def memories() -> tuple[ServerMemory, ...]:
        return tuple(server.memory for server in desk.servers)

    more = [*page_routes(control=gate is not None), stream_route(given.feed)]
    more += [metrics_route(desk, given.sources, now), History(given.past, memories, now).route()]
    more += [] if gate is None else command_routes(desk, below="/control")
    reckoned = Reckoned(given.shares, given.sources.counted.states, given.sources.voice)
    app = web_app(memories, now, hosts, more=more, gate=gate, reckoned=reckoned)
    with bound:
        await serve(app, bound, ending=given.feed.close)


async def _serve_control(given: Given, taken: Control, desk: Desk) -> None:
    """Takes commands; where that fails the socket is closed, so that nobody waits there for an answer."""
    with taken.bound, removed(taken):
        from ollama_keeper.web.app import Reckoned, status_route
        from ollama_keeper.web.control import control_app
        from ollama_keeper.web.gate import Gate
        from ollama_keeper.web.serving import serve

        def memories() -> tuple[ServerMemory, ...]:
            return tuple(server.memory for server in desk.servers)

        now = given.clock.now
        gate = None if taken.token is None else Gate(taken.token.encode(), now=now, tell=given.tell)
        reckoned = Reckoned(given.shares, given.sources.counted.states, given.sources.voice)
        await serve(control_app(desk, gate, more=[status_route(memories, now, reckoned)]), taken.bound)
