"""`status`: what the daemon knows of its models; where none answers, what is resident, straight from the servers."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Collection, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import click

from ollama_keeper.commands.asked import about, asked, can_be_asked, means
from ollama_keeper.commands.once import Watch, watching
from ollama_keeper.commands.start import (
    EXIT_NOBODY,
    EXIT_OK,
    EXIT_SOME_NOT,
    Unusable,
    configuration,
    moving,
)
from ollama_keeper.commands.status_table import SILENT, table
from ollama_keeper.config import Config
from ollama_keeper.core.reasons import Reason, State
from ollama_keeper.core.view import GUEST, READYZ, ModelRow, Status, document, snapshot
from ollama_keeper.store import open_store

ANSWER_WITHIN_S = 5.0
EVERY_S = 1.0
SEEN = "what Ollama itself has"
NOBODY = f"no ollama-keeper answers; shown is {SEEN}"
_READYZ: dict[str, bool | None] = {state.value: ready for state, ready in READYZ.items()}


@dataclass(frozen=True, slots=True)
class Heard:
    """What a daemon said to a question.

    Attributes:
        status: None where none answers, or where it has nothing of what was asked for.
        remark: why so, for people.
    """

    status: Status | None
    remark: str = ""


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
    again: bool = False

    def of_daemon(self) -> Heard:
        """What the daemon knows of it."""
        answer = asked(self.config)
        if answer is None:
            return Heard(None, NOBODY if can_be_asked(self.config) else "")
        meant = about(answer, self.config) if self.named else answer
        if meant is None:
            others = ", ".join(row.name for row in answer.status.servers)
            return Heard(None, f"the ollama-keeper that runs here keeps another server: {others}; shown is {SEEN}")
        rows = of_models(meant.status, self.models)
        absent = [name for name in self.models if not any(means(name, row.model) for row in rows.models)]
        if absent:
            return Heard(None, f"the ollama-keeper that runs here does not keep {', '.join(absent)}; shown is {SEEN}")
        return Heard(rows)


def status(
    path: Path | None, models: Sequence[str], flags: Mapping[str, object], *, as_json: bool, again: bool = False
) -> int:
    """Shows the models; see `ollama-keeper status --help`."""
    try:
        config = configuration(path, models, flags, models_required=False)
        named = path is not None or "ollama" in flags
        question = Question(config, tuple(models), named=named, as_json=as_json, again=again)
        return asyncio.run(_again(question) if again else _once(question))
    except Unusable as unusable:
        return unusable.code
    except KeyboardInterrupt:  # how --watch ends
        return EXIT_OK


async def _once(question: Question) -> int:
    heard = question.of_daemon()
    shown = heard.status
    if shown is None:
        async with _looking(question) as watch:
            await watch.until(watch.all_told, timeout_s=ANSWER_WITHIN_S)
            shown = _seen(watch, question)
    click.echo(_text(question, heard, shown))
    return _code(shown)


async def _again(question: Question) -> int:
    """Shows the models until it is interrupted: on a terminal in place, in a pipe whenever something has changed."""
    with _screen() as screen:
        while True:
            while (heard := await asyncio.to_thread(question.of_daemon)).status is not None:
                screen(_text(question, heard, heard.status), _timeless(heard.status))
                await asyncio.sleep(EVERY_S)
            async with _looking(question) as watch:
                while heard.status is None:
                    await watch.until(lambda: False, timeout_s=EVERY_S)
                    shown = _seen(watch, question)
                    screen(_text(question, heard, shown), _timeless(shown))
                    heard = await asyncio.to_thread(question.of_daemon)


@asynccontextmanager
async def _looking(question: Question) -> AsyncIterator[Watch]:
    store = open_store(question.config.state_dir, report=lambda _: None, read_only=True)
    async with watching(question.config, store, say=lambda _: None, dry_run=True) as watch:
        yield watch


def _text(question: Question, heard: Heard, shown: Status) -> str:
    if question.as_json:
        return json.dumps(document(shown), indent=None if question.again else 2, ensure_ascii=False)
    text = table(shown, live=heard.status is not None)
    return f"{text}\n{heard.remark}" if heard.remark else text


@contextmanager
def _screen() -> Iterator[Callable[[str, object], None]]:
    """Where a text is shown that replaces the one before it; in a pipe only where what it stands for has changed."""
    if moving():
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


def _seen(watch: Watch, question: Question) -> Status:
    now = watch.clock.now()
    return of_models(seen_once(snapshot((server.memory for server in watch.servers), now)), question.models)


def of_models(status: Status, names: Sequence[str]) -> Status:
    """The same of these models alone; of all where none is named."""
    rows = tuple(row for row in status.models if not names or any(means(name, row.model) for name in names))
    return replace(status, models=rows)


def seen_once(status: Status) -> Status:
    """The same as seen by one look: who looks once loads nothing, foresees nothing, and does not know since when."""
    servers = tuple(replace(row, since=None) for row in status.servers)
    silent = {row.name for row in servers if row.state in SILENT and row.reason is not None}
    return replace(status, servers=servers, models=tuple(_seen_once(row, silent) for row in status.models))


def _seen_once(row: ModelRow, silent: Collection[str]) -> ModelRow:
    row = replace(row, since=row.since if row.paused_by else None, next=None, next_s=None)
    if row.reason == Reason.FIRST_LOOK and row.server in silent:
        return replace(row, reason=Reason.SERVER_DOWN.value)
    return replace(row, state=State.COLD.value, reason=None) if row.state == State.QUEUED else row


def _timeless(status: Status) -> Status:
    """The same without what each moment changes."""
    models = (replace(row, remaining_s=None, next_s=None, warm_day=None, warm_month=None) for row in status.models)
    servers = tuple(replace(row, looked=None) for row in status.servers)
    return replace(status, at="", servers=servers, models=tuple(models))


def _code(shown: Status) -> int:
    if all(row.state in SILENT for row in shown.servers):
        return EXIT_NOBODY
    unready = (row.required and _READYZ.get(row.state) is False for row in shown.models if row.state != GUEST)
    return EXIT_SOME_NOT if any(unready) else EXIT_OK
