"""`Dispatch`: a letter to a sink, whatever its kind, and what came of it, without a secret in it."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime

from ollama_keeper.config.effective import SinkSettings
from ollama_keeper.core.delivery import Delivered, Outcome, Refused
from ollama_keeper.core.reasons import Undelivered
from ollama_keeper.report.notify import dingtalk, feishu, webhook, wecom
from ollama_keeper.report.notify.apprise import Apprise
from ollama_keeper.report.notify.letter import Letter
from ollama_keeper.report.notify.postman import Postman, Unsent
from ollama_keeper.report.notify.secrets import Unusable, target, told
from ollama_keeper.report.notify.service import Service, Target

SERVICES: Mapping[str, Service] = {
    "webhook": webhook.SERVICE,
    "feishu": feishu.SERVICE,
    "lark": feishu.SERVICE,
    "wecom": wecom.SERVICE,
    "dingtalk": dingtalk.SERVICE,
}
APPRISE = "apprise"


class Dispatch:
    """Sends the letters of one sink, one after the other.

    Args:
        now: the wall clock, which signatures go by.
    """

    def __init__(self, sink: SinkSettings, postman: Postman, now: Callable[[], datetime]) -> None:
        self._sink = sink
        self._postman = postman
        self._now = now
        self._apprise = Apprise()

    async def deliver(self, letter: Letter) -> Outcome:
        """Sends a letter; the files of the sink are read anew."""
        try:
            where = await asyncio.to_thread(target, self._sink)
        except Unusable as unusable:
            return Refused(Undelivered.CLIENT_ERROR, f"{unusable.key}: {unusable}")
        outcome = await self._sent(letter, where)
        return replace(outcome, detail=told(outcome.detail, where))

    async def _sent(self, letter: Letter, where: Target) -> Delivered | Refused:
        if self._sink.type == APPRISE:
            return await self._apprise.deliver(letter, where)
        service = SERVICES[self._sink.type]
        try:
            answer = await self._postman.send(service.post(letter, where, self._now()))
        except Unsent as unsent:
            return unsent.refused
        return service.outcome(answer, self._now())
