"""Simulated servers on real sockets, behind proxies that do harm; in the test's loop, so in its time."""

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from ollama_keeper.core.address import Address
from ollama_keeper.simulator import Simulator
from ollama_keeper.simulator.serve import serving
from tests.kit.checks import CANARY
from tests.kit.keeper import HOST
from tests.kit.proxy import Proxy, before

SECRET = (("Authorization", f"Bearer {CANARY}"),)


@asynccontextmanager
async def behind_a_proxy(
    sim: Simulator, context: ssl.SSLContext | None = None, **attributes: Any
) -> AsyncIterator[tuple[Proxy, Address]]:
    """A server on a socket, the proxy before it, and the address of the proxy."""
    async with serving(sim) as url, before(url, context) as proxy:
        yield proxy, at(proxy.url, **attributes)


def at(url: str, name: str = HOST, **attributes: Any) -> Address:
    """The address of a server on a socket, and a secret to send along."""
    return Address(name, url, headers=SECRET, **attributes)
