"""How far one exchange has come, as httpcore tells it on the way (its `trace` extension)."""

import asyncio
from collections.abc import Mapping


class Progress:
    """Listens to one exchange, and dates its deadline from the moment at which the question goes out.

    Until then only httpx's own limits end it: an exchange that is cancelled while it connects leaks (httpcore#1093).

    Args:
        deadline: to be set; it stands at the longest that connecting may take, for transports that tell nothing.
        seconds: for the answer, from the question on; None for as long as it takes.

    Attributes:
        connected: a connection was made for it; else it went over one that was kept.
        answered: the head of an answer has come.
    """

    def __init__(self, deadline: asyncio.Timeout, seconds: float | None) -> None:
        self.connected = False
        self.answered = False
        self._deadline = deadline
        self._seconds = seconds

    async def __call__(self, event: str, _info: Mapping[str, object]) -> None:
        """One step of httpcore, such as `connection.connect_tcp.started`."""
        if event.endswith("connect_tcp.started"):
            self.connected = True
        elif event.endswith("send_request_headers.started") and self._seconds is not None:
            self._deadline.reschedule(asyncio.get_running_loop().time() + self._seconds)
