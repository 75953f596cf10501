"""`apprise`: every other service, through the Apprise package, an extra: Slack, Discord, Telegram, ntfy, mail and more.

Imported only where a sink uses it. It blocks, so each message has a thread of its own, and a deadline; one that hangs
keeps its sink from sending more until it ends, and nobody else. It knows HTTP statuses only, so that what a service
says inside a 200 is not seen.
"""

import asyncio
import contextlib
import importlib
import threading
from collections.abc import Callable
from typing import Any

from ollama_keeper.core.delivery import Delivered, Outcome, Refused
from ollama_keeper.core.reasons import Undelivered
from ollama_keeper.report.notify.letter import Letter, cut
from ollama_keeper.report.notify.service import Target

DEADLINE_S = 30.0
ROOM = 3_000  # the least of what the usual services take
INSTALL = "pip install 'ollama-keeper[apprise]'"


class Apprise:
    """Sends the letters of one sink.

    Args:
        load: gives the package; raises ImportError where it is not installed.
    """

    def __init__(self, load: Callable[[], Any] = lambda: importlib.import_module("apprise")) -> None:
        self._load = load
        self._busy: threading.Thread | None = None

    async def deliver(self, letter: Letter, target: Target) -> Outcome:
        """Sends a letter, and says what came of it within 30 s."""
        if self._busy is not None and self._busy.is_alive():
            return Refused(Undelivered.TIMEOUT, "the message before is still on its way")
        loop = asyncio.get_running_loop()
        done: asyncio.Future[Outcome] = loop.create_future()
        self._busy = threading.Thread(target=self._work, args=(loop, done, letter, target), name="apprise", daemon=True)
        self._busy.start()
        try:
            async with asyncio.timeout(DEADLINE_S):
                return await done
        except TimeoutError:
            return Refused(Undelivered.TIMEOUT, f"not sent within {DEADLINE_S:g} s")

    def _work(
        self, loop: asyncio.AbstractEventLoop, done: asyncio.Future[Outcome], letter: Letter, target: Target
    ) -> None:
        outcome = self._notified(letter, target)

        def tell() -> None:
            if not done.done():
                done.set_result(outcome)

        with contextlib.suppress(RuntimeError):  # the loop has ended
            loop.call_soon_threadsafe(tell)

    def _notified(self, letter: Letter, target: Target) -> Outcome:
        try:
            package = self._load()
        except ImportError:
            return Refused(Undelivered.CLIENT_ERROR, f"Apprise is not installed: {INSTALL}", final=True)
        try:
            sender = package.Apprise()
            if not sender.add(target.url):
                return Refused(Undelivered.CLIENT_ERROR, "Apprise does not know such a URL", final=True)
            sent = sender.notify(title=cut(letter.title, 200), body=letter.body(ROOM))
        except Exception as error:  # noqa: BLE001 - whatever one of 170 plugins raises; its text may hold the URL
            return Refused(Undelivered.SERVER_ERROR, f"Apprise failed: {type(error).__name__}")
        return Delivered("Apprise: sent") if sent else Refused(Undelivered.SERVER_ERROR, "Apprise: not sent")


def installed() -> bool:
    """Whether the package is there."""
    from importlib.util import find_spec

    return find_spec("apprise") is not None
