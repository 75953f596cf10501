"""`status`: what the daemon knows of its models; where none answers, what is resident, straight from the servers."""

import asyncio
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import click

from ollama_keeper.commands.asked import Answer, about, asked, can_be_asked
from ollama_keeper.commands.once import Watch, watching
from ollama_keeper.commands.start import (
    EXIT_NOBODY,
    EXIT_OK,
    EXIT_SOME_NOT,
    Unusable,
    configuration,
    interactive,
)
from ollama_keeper.commands.status_table import SILENT, table
from ollama_keeper.config import Config
from ollama_keeper.core.names import means
from ollama_keeper.core.reasons import Reason, ServerState, State
from ollama_keeper.core.view import GUEST, READYZ, ModelRow, Status, document, snapshot
from ollama_keeper.store import open_store

ANSWER_WITHIN_S = 5.0
EVERY_S = 1.0
NOBODY_KEEPS = "no ollama-keeper answers: what is shown is what Ollama itself has, as of now"


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked for.

    Attributes:
        models: those alone; all where empty.
        named: the servers were named, so that a daemon with other servers is not meant.
    """

    config: Config
    models: tuple[str, ...]
    named: bool
    as_json: bool

    def of_daemon(self) -> Status | None:
        """What the daemon knows of it; None where none answers, or it keeps none of it."""
        answer = asked(self.config.web)
        if answer is not None and self.named:
            answer = about(answer, self.config)
        return None if answer is None else self._chosen(answer)

    def _chosen(self, answer: Answer) -> Status | None:
        if not self.models:
            return answer.status
        rows = tuple(row for row in answer.status.models if any(means(name, row.model) for name in self.models))
        found = all(any(means(name, row.model) for row in rows) for name in self.models)
        return replace(answer.status, models=rows) if found else None


def status(
    path: Path | None, models: Sequence[str], flags: Mapping[str, object], *, as_json: bool, again: bool = False
) -> int:
    """Shows the models; see `ollama-keeper status --help`."""
    try:
        config = configuration(path, models, flags, models_required=False)
        question = Question(config, tuple(models), named=path is not None or "ollama" in flags, as_json=as_json)
        return asyncio.run(_again(question) if again else _once(question))
    except Unusable as unusable:
        return unusable.code
    except KeyboardInterrupt:  # how --watch ends
        return EXIT_OK


async def _once(question: Question) -> int:
    shown = question.of_daemon()
    live = shown is not None
    if shown is None:
        async with _looking(question) as watch:
            await watch.until(watch.all_told, timeout_s=ANSWER_WITHIN_S)
            shown = _seen(watch)
    click.echo(json.dumps(document(shown), indent=2, ensure_ascii=False) if question.as_json else _text(shown, live))
    return _code(shown)


async def _again(question: Question) -> int:
    """Shows the models until it is interrupted: on a terminal in place, in a pipe whenever something has changed."""
    with _screen() as screen:

        def show(shown: Status, live: bool) -> None:  # noqa: FBT001
            text = json.dumps(document(shown), ensure_ascii=False) if question.as_json else _text(shown, live)
            screen(text, (_timeless(shown), live))

        while True:
            while (shown := await asyncio.to_thread(question.of_daemon)) is not None:
                show(shown, True)
                await asyncio.sleep(EVERY_S)
            async with _looking(question) as watch:
                for _ in range(LOOKS):
                    await watch.until(lambda: False, timeout_s=EVERY_S)
                    show(_seen(watch), False)


@contextmanager
def _screen() -> Iterator[Callable[[str, object], None]]:
    """Where a text is shown that replaces the one before it; in a pipe only where what it stands for has changed."""
    if interactive():
        from rich.live import Live
        from rich.text import Text

        with Live(auto_refresh=False) as live:
            yield lambda text, _: live.update(Text(text), refresh=True)
        return
    before: list[object] = [None]

    def show(text: str, what: object) -> None:
        if what != before[0]:
            before[0] = what
            click.echo(text)

    yield show
