"""A name that stands for several servers: resolved each 30 s, servers begun and ended as addresses come and go.

While it leads to none, one server of that name stands for them, so that all see and are told that none answers.
"""

import asyncio
from collections.abc import Callable
from dataclasses import replace

from ollama_keeper.config import Server as ServerConfig
from ollama_keeper.core.discovery import Found, found
from ollama_keeper.ollama.discovery import member, nowhere, resolve

RESOLVE_EVERY_S = 30.0
RESOLVE_AGAIN_S = 5.0  # while the name leads nowhere yet


class Site:
    """One name, and the servers that it stands for.

    Args:
        came, gone: begin and end the server at an address.
        lost: the name leads nowhere at first; called once.
    """

    def __init__(
        self,
        config: ServerConfig,
        *,
        came: Callable[[ServerConfig], None],
        gone: Callable[[str], None],
        lost: Callable[[str], None],
    ) -> None:
        self.config = config
        self.task: asyncio.Task[None] | None = None  # that of `run`, once it was begun
        self._came = came
        self._gone = gone
        self._lost = lost
        self._found = Found()
        self._asked = False

    @property
    def members(self) -> tuple[ServerConfig, ...]:
        """The servers behind the name, with the wishes of the name; what stands for them while there is none."""
        return tuple(self._member(ip) for ip in self._found.addresses) or (self.stand_in,)

    @property
    def stand_in(self) -> ServerConfig:
        """The server of the name itself."""
        return replace(self.config, address=nowhere(self.config.address))

    async def run(self) -> None:
        """Resolves for ever."""
        while True:
            self._learn(await self._ask())
            await asyncio.sleep(RESOLVE_EVERY_S if self._found.addresses else RESOLVE_AGAIN_S)

    async def _ask(self) -> frozenset[str] | None:
        try:
            return await resolve(self.config.address)
        except OSError:  # TimeoutError included
            return None

    def _learn(self, answer: frozenset[str] | None) -> None:
        before, self._found = self._found, found(self._found, answer)
        if self._found.addresses and not before.addresses:
            self._gone(self.config.address.name)
        for ip in set(before.addresses) - set(self._found.addresses):
            self._gone(member(self.config.address, ip).name)
        for ip in self._found.addresses:
            if ip not in before.addresses:
                self._came(self._member(ip))
        if not self._found.addresses and not self._asked:
            self._lost(self.config.address.name)
        self._asked = True

    def _member(self, ip: str) -> ServerConfig:
        return replace(self.config, address=member(self.config.address, ip))
