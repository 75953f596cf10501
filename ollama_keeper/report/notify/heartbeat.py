"""The heartbeat: a URL that is called only when all is well, so that somebody else notices when it is not.

A dead keeper, a dead machine and a dead network cannot tell of themselves; a service that misses the calls can.
"""

import asyncio
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from ollama_keeper.core.changes import Change, NotificationDelayed
from ollama_keeper.core.delivery import Refused
from ollama_keeper.core.reasons import Undelivered
from ollama_keeper.report.notify.postman import Postman, Unsent
from ollama_keeper.report.notify.secrets import Unusable, check_url, line_of, told
from ollama_keeper.report.notify.service import Post, Target, refused_by_status

NAME = "heartbeat"
KEY = "heartbeat_url_file"
LOOK_EVERY_S = 5.0
RETRY_S = 30.0


class Heartbeat:
    """Calls the URL; what fails is told once, until it has succeeded.

    Attributes:
        well: whether all is well, as far as is known now.
    """

    def __init__(self, postman: Postman, *, now: Callable[[], datetime], report: Callable[[Change], None]) -> None:
        self.well = False
        self._postman = postman
        self._report = report
        self._now = now
        self._file: Path | None = None
        self._every_s = 0.0
        self._attempts = 0

    def configure(self, file: Path | None, every_s: float) -> None:
        """Which URL from now on, and how often."""
        self._file, self._every_s = file, every_s

    async def beat(self) -> None:
        """For ever."""
        loop = asyncio.get_running_loop()
        due = loop.time()
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            if self._file is not None and self.well and loop.time() >= due:
                due = loop.time() + (self._every_s if await self._called(self._file) else RETRY_S)

    async def _called(self, file: Path) -> bool:
        refused = await self._refused(file)
        if refused is None:
            self._attempts = 0
            return True
        self._attempts += 1
        if self._attempts == 1:
            hint = refused.detail or None
            self._report(NotificationDelayed(sink=NAME, attempts=1, retry_s=RETRY_S, reason=refused.reason, hint=hint))
        return False

    async def _refused(self, file: Path) -> Refused | None:
        """Why the URL could not be called; None where it could."""
        try:
            url = await asyncio.to_thread(line_of, file, KEY)
            check_url(url, file, KEY)
            answer = await self._postman.send(Post(url, b""), method="GET")
        except Unusable as unusable:
            return Refused(Undelivered.CLIENT_ERROR, f"{unusable.key}: {unusable}")
        except Unsent as unsent:
            return unsent.refused
        refused = refused_by_status(answer, self._now())
        return refused and Refused(refused.reason, told(refused.detail, Target(url)))
