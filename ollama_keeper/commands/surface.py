"""The status surface of `run`: bound before the daemon starts, so that a taken address is told at once."""

import socket
from collections.abc import Awaitable, Callable
from functools import partial

from ollama_keeper.clock import Clock
from ollama_keeper.config.effective import WebSettings
from ollama_keeper.server import Server

Servers = Callable[[], tuple[Server, ...]]
Page = Callable[[Servers], Awaitable[None]]


class AddressTaken(Exception):
    """The address cannot be listened on: `why`, in the words of the system."""

    def __init__(self, address: str, why: str) -> None:
        super().__init__(f"{address} cannot be listened on: {why}")
        self.address = address
        self.why = why


def page_of(settings: WebSettings, clock: Clock) -> Page | None:
    """What serves the page; None where it is switched off.

    Raises:
        AddressTaken: it cannot be listened on.
    """
    if settings.listen is None:
        return None
    from ollama_keeper.web.serving import listening

    host, _, port = settings.listen.rpartition(":")
    try:
        bound = listening(host.strip("[]"), int(port))
    except OSError as error:
        raise AddressTaken(settings.listen, (error.strerror or str(error)).lower()) from None
    return partial(_serve, settings, clock, bound)


async def _serve(settings: WebSettings, clock: Clock, bound: socket.socket, servers: Servers) -> None:
    from ollama_keeper.web.app import web_app
    from ollama_keeper.web.hosts import Hosts
    from ollama_keeper.web.serving import serve

    hosts = Hosts((settings.listen or "").rpartition(":")[0], settings.allowed_hosts)
    app = web_app(lambda: tuple(server.memory for server in servers()), clock.now, hosts)
    try:
        await serve(app, bound)
    finally:
        bound.close()
