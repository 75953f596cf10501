"""A name that stands for several servers: resolved each 30 s, servers begun and ended as addresses come and go."""

import asyncio
from collections.abc import Callable
from dataclasses import replace

from ollama_keeper.config import Server as ServerConfig
from ollama_keeper.core.changes import Change, ServerWaiting
from ollama_keeper.core.discovery import Found, found
from ollama_keeper.core.reasons import Failure
from ollama_keeper.ollama.discovery import member, resolve

RESOLVE_EVERY_S = 30.0
RESOLVE_AGAIN_S = 5.0  # while the name leads nowhere yet


class Site:
    """One name, and the servers that it stands for.

    Args:
        came, gone: begin and end the server at an address.
    """

    def __init__(
        self,
        config: ServerConfig,
        *,
        came: Callable[[ServerConfig], None],
        gone: Callable[[str], None],
        take: Callable[[Change], None],
    ) -> None:
        self.config = config
        self.task: asyncio.Task[None] | None = None  # that of `run`, once it was begun
        self._came = came
        self._gone = gone
        self._take = take
        self._found = Found()
        self._told = False

    @property
    def members(self) -> tuple[ServerConfig, ...]:
        """The servers behind the name, with the wishes of the name."""
        return tuple(self._member(ip) for ip in self._found.addresses)

    async def run(self) -> None:
        """Resolves for ever."""
        began = asyncio.get_running_loop().time()
        while True:
            self._learn(await self._ask(), asyncio.get_running_loop().time() - began)
            await asyncio.sleep(RESOLVE_EVERY_S if self._found.addresses else RESOLVE_AGAIN_S)

    async def _ask(self) -> frozenset[str] | None:
        try:
            return await resolve(self.config.address)
        except OSError:  # TimeoutError included
            return None

    def _learn(self, answer: frozenset[str] | None, since_s: float) -> None:
        before, self._found = self._found, found(self._found, answer)
        for ip in set(before.addresses) - set(self._found.addresses):
            self._gone(member(self.config.address, ip).name)
        for ip in self._found.addresses:
            if ip not in before.addresses:
                self._came(self._member(ip))
        if not self._found.addresses and not self._told:
            hint = "the name leads to no address yet; asked again each 5 s"
            self._take(ServerWaiting(server=self.config.address.name, reason=Failure.DNS, since_s=since_s, hint=hint))
        self._told = not self._found.addresses

    def _member(self, ip: str) -> ServerConfig:
        return replace(self.config, address=member(self.config.address, ip))
