"""Apprise is an extra: imported only when used, in a thread of its own, and never shown a secret's way out."""

import threading
from types import SimpleNamespace
from typing import Any

import pytest

from ollama_keeper.core.delivery import Delivered, Outcome, Refused
from ollama_keeper.core.reasons import Undelivered
from ollama_keeper.report.notify.apprise import Apprise
from ollama_keeper.report.notify.compose import compose
from ollama_keeper.report.notify.service import Target
from tests.kit.letters import NOON, item

LETTER = compose([item()], NOON, "en")
TARGET = Target("ntfy://hunter2/topic")


class Package:
    """Apprise as far as it is used."""

    def __init__(self, *, known: bool = True, sent: object = True, holds: threading.Event | None = None) -> None:
        self.known, self.sent, self.holds = known, sent, holds
        self.messages: list[dict[str, Any]] = []

    def Apprise(self) -> Any:  # noqa: N802 - the package's own name
        return SimpleNamespace(add=lambda url: self.known, notify=self.notify)

    def notify(self, **message: Any) -> object:
        self.messages.append(message)
        if self.holds:
            self.holds.wait(10)
        if isinstance(self.sent, Exception):
            raise self.sent
        return self.sent


async def sent(package: Package) -> Outcome:
    return await Apprise(lambda: package).deliver(LETTER, TARGET)


async def test_a_message_is_sent() -> None:
    package = Package()
    assert await sent(package) == Delivered("Apprise: sent")
    assert package.messages[0]["title"] == LETTER.title


@pytest.mark.parametrize(
    ("package", "reason", "final"),
    [
        pytest.param(Package(sent=False), Undelivered.SERVER_ERROR, False, id="not-sent"),
        pytest.param(Package(sent=RuntimeError("hunter2")), Undelivered.SERVER_ERROR, False, id="raises"),
        pytest.param(Package(known=False), Undelivered.CLIENT_ERROR, True, id="no-such-service"),
    ],
)
async def test_a_message_that_is_not_sent_is_told_without_its_url(
    package: Package, reason: Undelivered, final: bool
) -> None:
    outcome = await sent(package)
    assert isinstance(outcome, Refused)
    assert (outcome.reason, outcome.final) == (reason, final)
    assert "hunter2" not in outcome.detail


async def test_an_extra_that_is_not_installed_is_told_how_to_install() -> None:
    def missing() -> Any:
        raise ImportError

    outcome = await Apprise(missing).deliver(LETTER, TARGET)
    assert outcome == Refused(
        Undelivered.CLIENT_ERROR, "Apprise is not installed: pip install 'ollama-keeper[apprise]'", final=True
    )


async def test_one_that_hangs_holds_its_sink_and_nothing_else() -> None:
    holds = threading.Event()
    package = Package(holds=holds)
    sender = Apprise(lambda: package)
    outcome = await sender.deliver(LETTER, TARGET)
    assert outcome == Refused(Undelivered.TIMEOUT, "not sent within 30 s")
    assert await sender.deliver(LETTER, TARGET) == Refused(
        Undelivered.TIMEOUT, "the message before is still on its way"
    )
    holds.set()
