"""Names are resolved in threads of their own, one a name: a resolver that is silent delays nobody else (FAULTS A3).

asyncio asks in the loop's pool, which has a handful of threads for everything: a few names whose resolver says nothing
for half a minute would stop all other names, and the reading of the configuration, and the end of the process.
"""

import asyncio
import contextlib
import socket
import threading
from collections.abc import Callable
from typing import Any

Asked = tuple[Any, Any, int, int, int, int]


class Resolver:
    """Takes the place of a loop's `getaddrinfo`. Who asks for a name that is being asked for shares the answer."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._asked: dict[Asked, asyncio.Future[Any]] = {}

    async def getaddrinfo(
        self,
        host: Any,
        port: Any,
        *,
        family: int = 0,
        type: int = 0,  # noqa: A002 - as asyncio names it
        proto: int = 0,
        flags: int = 0,
    ) -> Any:
        """As `loop.getaddrinfo`.

        Raises:
            OSError: the name leads nowhere.
        """
        asked = (host, port, family, type, proto, flags)
        answer = self._asked.get(asked) or self._ask(asked)
        return await asyncio.shield(answer)

    def _ask(self, asked: Asked) -> asyncio.Future[Any]:
        answer = self._asked[asked] = self._loop.create_future()
        answer.add_done_callback(lambda done: self._answered(asked, done))
        threading.Thread(target=self._wait, args=(asked, answer), name="resolver", daemon=True).start()
        return answer

    def _answered(self, asked: Asked, answer: asyncio.Future[Any]) -> None:
        self._asked.pop(asked, None)
        if not answer.cancelled():
            answer.exception()  # nobody may be waiting any more

    def _wait(self, asked: Asked, answer: asyncio.Future[Any]) -> None:
        try:
            found = socket.getaddrinfo(*asked)
        except (OSError, UnicodeError) as error:
            self._tell(answer.set_exception, error)
        else:
            self._tell(answer.set_result, found)

    def _tell(self, how: Callable[[Any], None], what: object) -> None:
        with contextlib.suppress(RuntimeError):  # the loop has ended
            self._loop.call_soon_threadsafe(how, what)


def resolve_aside(loop: asyncio.AbstractEventLoop) -> None:
    """Lets a loop resolve names by a `Resolver` from now on."""
    loop.getaddrinfo = Resolver(loop).getaddrinfo  # type: ignore[method-assign]
