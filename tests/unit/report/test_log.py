"""The log as it is read: lines in a file, in a pipe and on a terminal, of ours and of the libraries."""

import json
import logging
import os
import pty
import re
import select
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from ollama_keeper.core.changes import (
    Change,
    CheckFailed,
    KeeperSummary,
    ModelLost,
    ModelReady,
    ModelRenewed,
    ServerDown,
    ServerUp,
    WarmFailed,
)
from ollama_keeper.core.reasons import By, Cause, Failure, State
from ollama_keeper.report.log import Log, open_log
from ollama_keeper.report.output import Format

SOON = 10.0
AT = datetime(2026, 11, 24, 9, 31, 2, 123_456, tzinfo=UTC)
UP = ServerUp(server="gpu", version="0.33.0")
RENEWED = ModelRenewed(server="gpu", model="qwen3:8b", took_s=0.0041)


@pytest.fixture(autouse=True)
def logging_as_it_was() -> Iterator[None]:
    """What `open_log` sets for a process is a process's: here it ends with the test."""
    root = logging.getLogger()
    level = root.level
    yield
    root.setLevel(level)


@pytest.fixture(autouse=True)
def loggers_of_a_new_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every server that another test began has set these, for the whole process."""
    for name in ("uvicorn.error", "uvicorn.access"):
        monkeypatch.setattr(logging.getLogger(name), "propagate", True)
        monkeypatch.setattr(logging.getLogger(name), "level", logging.NOTSET)


@pytest.fixture
def logged(tmp_path: Path) -> Callable[..., list[str]]:
    """The lines of a log to a file, which is told what `tell` tells."""

    def logged(tell: Callable[[Log], None], *, level: str = "debug", style: Format = "json") -> list[str]:
        path = tmp_path / "log"
        with path.open("w") as stream:
            log = open_log(level=level, format=style, stream=stream)
            tell(log)
            log.close(SOON)
        return path.read_text().splitlines()

    return logged


Logged = Callable[..., list[str]]


def taking(*changes: Change, at: datetime = AT) -> Callable[[Log], None]:
    def tell(log: Log) -> None:
        for change in changes:
            log.take(change, at)

    return tell


# --- JSON lines -------------------------------------------------------------------------------------------------------


def test_a_line_has_when_how_bad_and_what_then_the_fields_in_their_order(logged: Logged) -> None:
    (line,) = logged(
        taking(
            ModelReady(
                server="gpu",
                model="qwen3:8b",
                state=State.READY,
                cause=Cause.DISPLACED,
                by=By.KEEPER,
                outage_s=71.43219,
                load_s=9.0,
                cold_start=False,
                size_bytes=5_583_457_484,
            )
        )
    )
    assert line == (
        '{"ts": "2026-11-24T09:31:02.123Z", "level": "info", "event": "model.ready", "server": "gpu", '
        '"model": "qwen3:8b", "state": "ready", "cause": "displaced", "by": "keeper", "outage_s": 71.432, '
        '"load_s": 9.0, "cold_start": false, "size_bytes": 5583457484}'
    )


@pytest.mark.parametrize(
    ("change", "key", "value"),
    [
        pytest.param(
            ModelLost(expires_at=datetime(2026, 11, 24, 17, 31, 2, tzinfo=timezone(timedelta(hours=8)))),
            "expires_at",
            "2026-11-24T09:31:02.000Z",
            id="instants-in-utc",
        ),
        pytest.param(
            ModelLost(expires_at=datetime.max.replace(tzinfo=timezone(timedelta(hours=-8)))),
            "expires_at",
            "9999-12-31T23:59:59.999Z",
            id="the-end-of-the-calendar",
        ),
        pytest.param(WarmFailed(attempt=1, took_s=1, collateral=("a", "b")), "collateral", ["a", "b"], id="lists"),
        pytest.param(ServerDown(failures=1, reason=Failure.DNS), "reason", "dns", id="enums-by-value"),
        pytest.param(ServerUp(version="日本 ü"), "version", "日本 ü", id="other-scripts"),
        pytest.param(ServerUp(version="1", down_s=float("inf")), "down_s", "inf", id="no-number"),
        pytest.param(
            KeeperSummary(states={State.READY: 2}, checks=0, looks=0, pings=0, warms=0, losses=0, cold_s=0.0),
            "states",
            {"ready": 2},
            id="maps",
        ),
    ],
)
def test_values_are_written_plainly(logged: Logged, change: Change, key: str, value: object) -> None:
    (line,) = logged(taking(change))
    assert json.loads(line)[key] == value


def test_other_scripts_stay_readable(logged: Logged) -> None:
    assert "日本 ü" in logged(taking(ServerUp(version="日本 ü")))[0]


@pytest.mark.parametrize(
    "text", ["a\nb", "\x1b[31m", "\x9b31m", "\u202edlo", "\u2028", "\ud800", "\x00", "\x7f", '"\\']
)
@pytest.mark.parametrize("style", ["json", "console"])
def test_foreign_text_cannot_write_lines_or_steer_a_terminal(logged: Logged, style: str, text: str) -> None:
    lines = logged(taking(ServerUp(server="gpu", version=f"<{text}>")), style=style)
    assert len(lines) == 1
    assert lines[0].isprintable()
    if style == "json":
        assert json.loads(lines[0])["version"] == f"<{text}>"


def test_lines_below_the_level_are_not_written(logged: Logged) -> None:
    lines = logged(taking(RENEWED, UP, ServerDown(failures=3)), level="warning")
    assert [json.loads(line)["event"] for line in lines] == ["server.down"]


def test_a_message_of_our_own_is_a_line_of_its_own(logged: Logged) -> None:
    (line,) = logged(lambda log: log.message("error", "keeper.broken", error="x", took_s=1.23456))
    told = json.loads(line)
    assert list(told) == ["ts", "level", "event", "error", "took_s"]
    assert re.fullmatch(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", told["ts"])
    assert told["took_s"] == 1.235


def test_fault_e12_a_flood_becomes_a_few_lines_and_a_count(logged: Logged) -> None:
    lines = logged(taking(*(CheckFailed(server="gpu", error=str(number)) for number in range(1_000))))
    assert [json.loads(line).get("repeated") for line in lines] == [None] * 6 + [994]


# --- the libraries ----------------------------------------------------------------------------------------------------


def test_a_library_writes_the_same_lines(logged: Logged) -> None:
    (line,) = logged(lambda _: logging.getLogger("other").info("took %s\n%s", 3, "x" * 600, extra={"n": {1}}))
    told = json.loads(line)
    assert (told["level"], told["logger"], told["n"]) == ("info", "other", [1])
    assert told["event"].startswith("took 3 xxx")
    assert len(told["event"]) == 512


@pytest.mark.parametrize("name", ["httpx", "httpcore.connection", "apscheduler.scheduler", "uvicorn.access"])
def test_of_a_talkative_library_only_warnings_are_written(logged: Logged, name: str) -> None:
    def tell(_: Log) -> None:
        logging.getLogger(name).info("quiet")
        logging.getLogger(name).warning("loud")

    assert [json.loads(line)["event"] for line in logged(tell)] == ["loud"]


def test_the_level_holds_for_libraries_too(logged: Logged) -> None:
    assert logged(lambda _: logging.getLogger("httpx").warning("loud"), level="error") == []


def test_an_exception_is_told_by_its_text_and_place_without_what_it_holds(logged: Logged) -> None:
    def tell(_: Log) -> None:
        secret = "hidden"
        try:
            raise KeyError("x\n" + "y" * 600)
        except KeyError:
            logging.getLogger("asyncio").exception("it failed", stack_info=True)
        assert secret

    (line,) = logged(tell)
    told = json.loads(line)
    assert told["error"].startswith("KeyError('x\\nyyy")
    assert len(told["error"]) == 512
    assert re.fullmatch(r"test_log\.py:\d+", told["where"])
    assert "Traceback" not in line
    assert "hidden" not in line


def test_an_exception_that_was_never_raised_has_no_place(logged: Logged) -> None:
    (line,) = logged(lambda _: logging.getLogger("asyncio").error("it failed", exc_info=ValueError("x")))
    assert (json.loads(line)["error"], json.loads(line)["where"]) == ("ValueError('x')", "")


def test_uvicorns_coloured_copy_is_left_out(logged: Logged) -> None:
    (line,) = logged(lambda _: logging.getLogger("uvicorn.error").warning("x", extra={"color_message": "\x1b[1mx"}))
    assert "color_message" not in json.loads(line)


def test_a_line_that_cannot_be_made_is_counted_as_lost(logged: Logged) -> None:
    class Unprintable:
        def __str__(self) -> str:
            raise RuntimeError

    lines = logged(lambda _: logging.getLogger("other").warning("x", extra={"what": Unprintable()}))
    assert [(json.loads(line)["event"], json.loads(line)["records"]) for line in lines] == [("log.dropped", 1)]


def test_threads_may_write_at_once(logged: Logged) -> None:
    def tell(log: Log) -> None:
        threads = [threading.Thread(target=taking(*[RENEWED] * 200), args=(log,)) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(SOON)

    assert len({*logged(tell)}) == 1
    assert len(logged(tell)) == 800


def test_after_closing_nothing_more_is_written(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with (tmp_path / "log").open("w") as stream:
        log = open_log(level="info", format="json", stream=stream)
        log.close(SOON)
        log.take(UP, AT)
        log.close(SOON)
    assert (tmp_path / "log").read_text() == ""


# --- secrets ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Authorization: Bearer s3cret.t0ken", "Authorization: Bearer [redacted]"),
        ("authorization: BEARER s3cret, next", "authorization: BEARER [redacted], next"),
        ("GET http://user:s3cret@host:11434/api/ps", "GET http://[redacted]@host:11434/api/ps"),
        ("http://s3cret@host", "http://[redacted]@host"),
        ("http://u:s3@cret@host/a@b", "http://[redacted]@host/a@b"),
        ("https://open.feishu.cn/x?sign=s3cret&b=1", "https://open.feishu.cn/x?sign=[redacted]&b=1"),
        ("https://x/y?a=1&access_token=s3cret", "https://x/y?a=1&access_token=[redacted]"),
        ("mail me@example.org about http://host/path", "mail me@example.org about http://host/path"),
        ("the bearer", "the bearer"),
    ],
)
@pytest.mark.parametrize("style", ["json", "console"])
def test_secrets_are_taken_out_of_every_line(logged: Logged, style: str, text: str, shown: str) -> None:
    def tell(log: Log) -> None:
        log.take(CheckFailed(server="gpu", error=text), AT)
        log.message("error", "x.failed", detail=text, more=[text])
        logging.getLogger("other").warning(text, extra={"headers": {"a": text}})

    lines = logged(tell, style=style)
    assert all(shown in line for line in lines)
    assert not any("s3cret" in line for line in lines)
    if style == "json":
        assert all(json.loads(line) for line in lines)


# --- for eyes ---------------------------------------------------------------------------------------------------------


def test_a_line_for_eyes_is_a_sentence_and_its_hint(logged: Logged, monkeypatch: pytest.MonkeyPatch) -> None:
    change = ServerDown(server="gpu", reason=Failure.CONNECT_REFUSED, failures=3, hint="start it: ollama serve")
    first, second = logged(taking(change), style="console")
    local = AT.astimezone().strftime("%m-%d %H:%M:%S")
    assert first == f"{local} ! server.down       gpu is down: connection refused, 3 failures in a row"
    assert second == "                   → start it: ollama serve"


@pytest.mark.parametrize(
    ("level", "mark"), [("debug", "·"), ("info", " "), ("warning", "!"), ("error", "✗")], ids=lambda value: value
)
def test_how_bad_it_is_shows_without_colours(logged: Logged, level: str, mark: str) -> None:
    (line,) = logged(lambda log: log.message(level, "x.y"), style="console")
    assert line[14:] == f" {mark} x.y"


def test_other_lines_for_eyes_are_their_fields_in_units_of_people(logged: Logged) -> None:
    def tell(log: Log) -> None:
        log.message("info", "x.y", took_s=71.4, size_bytes=2**30, all_of_it=True, names=[], states={"a": 1})

    (line,) = logged(tell, style="console")
    assert line.endswith("x.y               took 1m 11s  size 1.0 GiB  all of it yes  names none  states a 1")


def test_a_librarys_line_for_eyes_names_the_library(logged: Logged) -> None:
    (line,) = logged(lambda _: logging.getLogger("apscheduler").warning("missed"), style="console")
    assert line[14:] == " ! apscheduler       missed"


# --- streams ----------------------------------------------------------------------------------------------------------


def on_a_terminal(tell: Callable[[Log], None]) -> str:
    ours, theirs = pty.openpty()
    with os.fdopen(theirs, "w") as stream:
        log = open_log(level="debug", format="auto", stream=stream)
        tell(log)
        log.close(SOON)
        shown = b""
        while select.select([ours], [], [], 0)[0]:
            shown += os.read(ours, 10_000)
    os.close(ours)
    return shown.decode()


def test_a_terminal_gets_colours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    assert re.search(r"\x1b\[32m  server\.up +\x1b\[0m  gpu is up", on_a_terminal(taking(UP)))


@pytest.mark.parametrize(("key", "value"), [("NO_COLOR", "1"), ("TERM", "dumb")])
def test_a_terminal_that_wants_none_gets_no_colours(monkeypatch: pytest.MonkeyPatch, key: str, value: str) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv(key, value)
    shown = on_a_terminal(taking(UP))
    assert "gpu is up" in shown
    assert "\x1b" not in shown


def test_auto_is_json_where_no_terminal_is(logged: Logged) -> None:
    assert json.loads(logged(taking(UP), style="auto")[0])["event"] == "server.up"


@pytest.mark.parametrize("style", ["json", "console"])
def test_the_journal_gets_priorities(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, style: Format) -> None:
    with (tmp_path / "log").open("w") as stream:
        status = os.fstat(stream.fileno())
        monkeypatch.setenv("JOURNAL_STREAM", f"{status.st_dev}:{status.st_ino}")
        log = open_log(level="debug", format=style, stream=stream)
        taking(RENEWED, UP, ServerDown(failures=3, hint="look"), CheckFailed(error="x"))(log)
        log.close(SOON)
    priorities = [line[:3] for line in (tmp_path / "log").read_text().splitlines()]
    assert priorities == ["<7>", "<6>", "<4>", *(["<4>"] if style == "console" else []), "<3>"]


def test_another_stream_than_the_journals_gets_none(logged: Logged, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JOURNAL_STREAM", "1:2")
    assert logged(taking(UP))[0].startswith("{")


def test_a_process_without_stdout_may_log() -> None:
    log = open_log(level="info", format="auto", stream=None)
    taking(UP)(log)
    log.close(SOON)
    assert (log.off, log.dropped) == (True, 1)


def test_fault_e1_losses_are_told_in_a_line_when_the_reader_is_back() -> None:
    end, write = os.pipe()
    stream = os.fdopen(write, "w")
    log = open_log(level="info", format="json", stream=stream)
    for number in range(12_000):
        log.take(ServerUp(server=f"s{number}", version="x" * 500), AT)
    lost = log.dropped
    assert lost > 0

    def close() -> None:
        log.close(SOON)
        stream.close()

    closer = threading.Thread(target=close)
    closer.start()
    with os.fdopen(end) as reader:
        lines = [json.loads(line) for line in reader]
    closer.join(SOON)
    assert len(lines) - 1 + lost == 12_000
    assert (lines[-1]["event"], lines[-1]["level"], lines[-1]["records"]) == ("log.dropped", "warning", lost)


# --- the end of a process ---------------------------------------------------------------------------------------------

CHATTY = """
import sys
from datetime import UTC, datetime
from ollama_keeper.core.changes import ServerUp
from ollama_keeper.report.log import open_log
log = open_log(level="info", format="json", stream=sys.stdout)
for number in range(2_000):
    log.take(ServerUp(server=f"s{number}", version="x" * 100), datetime.now(UTC))
log.close(0.2)
print(log.dropped, file=sys.stderr)
"""


def ended(stdout: Any) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "-c", CHATTY], stdout=stdout, stderr=subprocess.PIPE, text=True, timeout=SOON, check=False
    )
    return done.returncode, done.stderr.strip()


@pytest.mark.process
def test_a_blocked_stdout_does_not_spoil_the_end_of_the_process() -> None:
    read, write = os.pipe()
    assert ended(write) == (0, "0")
    os.close(read)
    os.close(write)


@pytest.mark.process
def test_a_closed_stdout_does_not_spoil_the_end_of_the_process() -> None:
    read, write = os.pipe()
    os.close(read)
    assert ended(write) == (0, "2000")
    os.close(write)


@pytest.mark.process
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_does_not_spoil_the_end_of_the_process() -> None:
    with Path("/dev/full").open("w") as full:
        assert ended(full) == (0, "2000")
