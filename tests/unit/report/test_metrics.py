"""The page of metrics: names and labels of the reference, values of what is known, formats and escapes."""

import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ollama_keeper.core.changes import BreakerOpened, ModelLost, ModelRepinned, WarmStarted
from ollama_keeper.core.facts import Paused
from ollama_keeper.core.memory import ServerMemory
from ollama_keeper.core.reasons import Alert, Cause, Failure
from ollama_keeper.report.metrics.counted import Counted
from ollama_keeper.report.metrics.exposition import takes_openmetrics
from ollama_keeper.report.metrics.families import FAMILIES
from ollama_keeper.report.metrics.labels import Labels
from tests.kit.metrics import OPENMETRICS, PREFIX, Page, Speaker, Standing, exposition, read
from tests.kit.story import GIB, Story, instant, listed, wanted

AT = instant(0).wall
STARRED = (
    "model_wanted",
    "model_resident",
    "model_state",
    "model_size_bytes",
    "model_vram_bytes",
    "model_wanted_seconds_total",
    "model_warm_seconds_total",
)
REFERENCE = (Path(__file__).parents[3] / "docs" / "reference.md").read_text(encoding="utf-8")
PROMTOOL = shutil.which("promtool")


def kept(*others: str, **listing: Any) -> Story:
    """A story in which `a` was warmed by us; the others are absent."""
    return Story((wanted("a"), *map(wanted, others))).begins().warms("a", 4.0, listed("a", **listing))


async def page(*memories: ServerMemory, counted: Counted | None = None, accept: str = "", **given: Any) -> Page:
    desk, now = Standing.of(*memories), instant(10)
    return await read(exposition(desk, counted or Counted(instant(0)), lambda: now, **given), accept=accept)


def busy() -> Counted:
    """Of everything one, so that every metric has a series."""
    counted = Counted(instant(0))
    of = {"server": "gpu", "model": "a"}
    for change in (
        ModelLost(**of, cause=Cause.EXPIRED),
        WarmStarted(**of, cause=Cause.EXPIRED, attempt=1),
        ModelRepinned(**of, remaining_s=3.0, took_s=0.1),
        BreakerOpened(**of, open_s=300.0, failures=3),
    ):
        counted.take(change, AT)
    own = counted.of_model("gpu", "a")
    for counter, label, value in (
        ("warm_failures_total", "reason", "out_of_memory"),
        ("ping_failures_total", "reason", "reset"),
        ("model_reloads_total", "by", "client"),
    ):
        own.by[counter, label, value] += 1
    counted.config.succeeded = AT
    return counted


async def everything(accept: str = "") -> Page:
    """A page with a series of every metric."""
    desk = Standing.of(replace(kept().memory, skew_s=0.5))
    desk.servers[0].counts.look_failed(Failure.RESET)
    made = exposition(desk, busy(), lambda: instant(10), voice=Speaker())
    return await read(made, accept=accept)


# --- names and labels -------------------------------------------------------------------------------------------------


def reference() -> dict[str, tuple[str, set[str]]]:
    """Kind and labels of each metric, as `docs/reference.md` has them."""
    section = REFERENCE.split("## 8. Metrics", 1)[1].split("\n## ", 1)[0]
    told = {}
    for name, kind, labels in re.findall(r"^\| `(\w+)`[^|]*\| (\w+) \| ([^|]*) \|", section, re.MULTILINE):
        full = labels.replace("S", "server").replace("M", "server, model").replace("–", "")
        told[name] = (kind, {label.strip() for label in full.split(",") if label.strip()})
    return told


def test_the_reference_has_every_metric_with_kind_and_labels_and_no_other() -> None:
    assert reference() == {family.name: (family.kind, set(family.labels)) for family in FAMILIES}


def test_the_seven_that_exist_for_each_model_are_marked() -> None:
    assert tuple(re.findall(r"^\| `(\w+)` \\\*", REFERENCE, re.MULTILINE)) == STARRED


@pytest.mark.parametrize("accept", ["", OPENMETRICS], ids=["plain", "openmetrics"])
async def test_every_metric_has_its_labels_on_a_real_page(accept: str) -> None:
    told = await everything(accept)
    assert told.names() == {family.name for family in FAMILIES}
    for family in FAMILIES:
        labels = told.labels(family.name)
        assert labels, family.name
        assert all(set(each) == set(family.labels) for each in labels), family.name


@pytest.mark.skipif(PROMTOOL is None, reason="promtool is not installed: apt-get install prometheus")
async def test_promtool_has_nothing_to_say_against_it() -> None:
    assert promtool((await everything()).text) == (0, "")


@pytest.mark.skipif(PROMTOOL is None, reason="promtool is not installed: apt-get install prometheus")
def test_promtool_would_have_something_to_say() -> None:
    code, said = promtool("# TYPE things counter\nthings 1\n")
    assert code != 0
    assert "_total" in said


def promtool(text: str) -> tuple[int, str]:
    """How `promtool check metrics` ended, and what it said."""
    ran = subprocess.run([str(PROMTOOL), "check", "metrics"], input=text, capture_output=True, text=True, check=False)
    return ran.returncode, ran.stdout + ran.stderr


async def test_there_are_no_series_of_when_a_counter_was_created() -> None:
    assert "_created" not in (await everything()).text
    assert "_created" not in (await everything(OPENMETRICS)).text


# --- values -----------------------------------------------------------------------------------------------------------


async def test_what_a_resident_model_is() -> None:
    told = await page(kept(size=5 * GIB, vram=4 * GIB).memory)
    assert (told.one("model_wanted"), told.one("model_resident")) == (1, 1)
    assert (told.one("model_size_bytes"), told.one("model_vram_bytes")) == (5 * GIB, 4 * GIB)
    assert told.labels("model_state") == [{"server": "gpu", "model": "a", "state": "ready"}]


async def test_what_an_absent_model_is() -> None:
    told = await page(kept().at(20).looks().memory)
    assert (told.one("model_wanted"), told.one("model_resident"), told.one("model_size_bytes")) == (1, 0, 0)


async def test_a_paused_model_is_not_wanted() -> None:
    told = await page(kept().learns(Paused(("a",), None, "root")).memory)
    assert (told.one("model_wanted"), told.one("model_resident")) == (0, 1)


async def test_the_models_of_a_silent_server_are_wanted_and_not_known_to_be_resident() -> None:
    told = await page(kept().at(8).fails_to_look(times=3).memory)
    assert (told.one("server_up"), told.one("server_state", state="down")) == (0, 1)
    assert (told.one("model_wanted"), told.one("model_resident"), told.one("model_size_bytes")) == (1, 0, 0)
    assert told.one("last_look_success_timestamp_seconds") == instant(4).wall.timestamp()


async def test_a_load_of_ours_is_in_flight_and_has_an_age() -> None:
    story = kept("b").at(7)
    story.opens_warm("b")
    told = await page(story.memory)
    assert (told.one("loads_in_flight"), told.one("load_age_seconds")) == (1, 3)


async def test_the_seven_exist_for_each_model_and_the_others_once_they_happened() -> None:
    told = await page(kept("b").memory, counted=busy())
    for name in STARRED:
        assert [labels["model"] for labels in told.labels(name)] == ["a", "b"]
    others = [family.name for family in FAMILIES if "model" in family.labels and family.name not in STARRED]
    for name in others:
        assert [labels["model"] for labels in told.labels(name)] == ["a"], name


async def test_a_breaker_that_closed_is_told_as_closed() -> None:
    assert (await page(kept().memory, counted=busy())).one("breaker_open") == 0


async def test_models_that_are_kept_no_more_vanish() -> None:
    counted, desk = busy(), Standing.of(kept("b").memory)
    made = exposition(desk, counted, lambda: instant(10))
    assert {labels["model"] for labels in (await read(made)).labels("model_wanted")} == {"a", "b"}
    desk.servers = Standing.of(Story((wanted("b"),)).begins().memory).servers
    text = (await read(made)).text
    assert 'model="b"' in text
    assert 'model="a"' not in text


async def test_a_histogram_adds_up() -> None:
    desk = Standing.of(kept().memory)
    for seconds in (0.003, 0.02, 0.02, 30.0):
        desk.servers[0].counts.look_s.take(seconds)
    told = await read(exposition(desk, Counted(instant(0)), lambda: instant(10)))
    assert told.of("look_duration_seconds_bucket") == [1, 3, 3, 3, 3, 3, 3, 4]
    assert told.one("look_duration_seconds_count") == 4
    assert told.one("look_duration_seconds_sum") == pytest.approx(30.043)


async def test_alerts_are_all_there_and_sinks_as_they_stand() -> None:
    told = await page(kept().memory, voice=Speaker())
    assert len(told.of("alerts_firing")) == len(Alert)
    assert (told.one("alerts_firing", alert="model_lost"), sum(told.of("alerts_firing"))) == (1, 1)
    assert (told.one("notifications_total", sink="team"), told.one("notifications_total", sink="other")) == (3, 0)
    assert told.one("notification_failures_total", sink="other", reason="auth") == 2
    assert told.one("notification_queue_length", sink="other") == 1
    assert told.labels("notification_last_success_timestamp_seconds") == [{"sink": "team"}]


async def test_where_nobody_tells_alerts_there_are_no_series_of_them() -> None:
    assert (await page(kept().memory)).of("alerts_firing") == []


# --- without labels of models -----------------------------------------------------------------------------------------


async def test_models_are_summed_up_by_server_where_they_are_not_told_apart() -> None:
    story = kept("b", size=5 * GIB)
    told = await page(story.memory, counted=busy(), by_model=False)
    assert "model=" not in told.text
    assert (told.one("model_wanted"), told.one("model_resident"), told.one("model_size_bytes")) == (2, 1, 5 * GIB)
    assert (told.one("model_state", state="ready"), told.one("model_losses_total", cause="expired")) == (1, 1)
    assert told.one("server_up", server="gpu") == 1


# --- formats ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("accept", "openmetrics"),
    [
        pytest.param("", False, id="nothing"),
        pytest.param("*/*", False, id="anything"),
        pytest.param("text/html,*/*;q=0.8", False, id="a-browser"),
        pytest.param(OPENMETRICS, True, id="prometheus"),
        pytest.param("application/openmetrics-text;version=0.0.1", False, id="an-old-version"),
        pytest.param("application/openmetrics-text;version=abc", False, id="a-version-that-is-none"),
        pytest.param("application/openmetrics-text;version=" + "1" * 9_000, False, id="a-version-of-9000-digits"),
        pytest.param(";;;,,,=", False, id="nonsense"),
    ],
)
async def test_the_format_is_what_the_asker_takes(accept: str, *, openmetrics: bool) -> None:
    assert takes_openmetrics(accept) is openmetrics


async def test_openmetrics_ends_and_both_formats_tell_the_same() -> None:
    plain, openmetrics = await everything(), await everything(OPENMETRICS)
    assert openmetrics.text.endswith("# EOF\n")
    assert "# EOF" not in plain.text
    ours = [[line for line in one.text.splitlines() if line.startswith(PREFIX)] for one in (plain, openmetrics)]
    assert ours[0] == ours[1]


@pytest.mark.parametrize("hostile", ['<b>"x"</b>', "two\nlines", "back\\slash", "\x1b[31mred", "\ud800", "x" * 10_000])
async def test_a_version_of_a_hostile_server_breaks_neither_a_line_nor_a_page(hostile: str) -> None:
    memory = replace(kept().memory, version=hostile)
    for accept in ("", OPENMETRICS):
        told = await page(memory, accept=accept)
        (labels,) = told.labels("server_info")
        assert labels["version"].isprintable()
        assert len(labels["version"]) <= 512
        assert told.one("server_up") == 1


def test_quotes_backslashes_and_line_breaks_of_a_label_are_escaped() -> None:
    assert Labels(model='a"b\\c').text == r'{model="a\"b\\c"}'
    assert "\n" not in Labels(model="a\nb").text


def test_labels_stand_in_the_order_of_their_names() -> None:
    assert Labels(server="s", model="m").plus("cause", "expired").text == '{cause="expired",model="m",server="s"}'
