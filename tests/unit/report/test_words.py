"""Every event has a sentence, and every field of an event is in it."""

from dataclasses import fields, replace
from datetime import UTC, datetime
from enum import Enum
from typing import Any

import pytest

from ollama_keeper.core import changes
from ollama_keeper.core.changes import (
    BreakerOpened,
    Change,
    ClockJumped,
    ConfigLoaded,
    KeeperSummary,
    ModelContended,
    ModelDegraded,
    ModelLost,
    ModelMissing,
    ModelReady,
    ModelRefused,
    ModelReloaded,
    ModelRenewed,
    ModelRepinned,
    ModelYielding,
    ServerDown,
    ServerRestarted,
    ServerUp,
    ServerWaiting,
    WarmFailed,
    WarmStarted,
)
from ollama_keeper.core.reasons import Alert, By, Cause, Failure, Reason, Reloaded, State, Undelivered
from ollama_keeper.report.phrases import REASONS, memory, number, on_gpu, span
from ollama_keeper.report.words import SENTENCES, sentence

CLASSES = [kind for kind in vars(changes).values() if isinstance(kind, type) and issubclass(kind, Change)][1:]
WHO: dict[str, Any] = {"server": "gpu", "model": "qwen3:8b"}
COMMON = {field.name for field in fields(Change)}
SAMPLES: dict[str, Any] = {
    "alert": Alert.MODEL_LOST,
    "by": By.KEEPER,
    "states": {"ready": 2},
    "collateral": ("llava:13b",),
    "cold_start": True,
    "expires_at": datetime(2026, 11, 24, 9, 31, 2, tzinfo=UTC),
    "until": datetime(2026, 11, 24, 9, 31, 2, tzinfo=UTC),
    "how": "unload",
    "gpu_fraction": 0.5,
    "size_bytes": 5 * 2**30,
    "vram_bytes": 4 * 2**30,
    "with_size_bytes": 7 * 2**30,
}
OTHERS: dict[str, Any] = {"alert": Alert.STUCK, "by": By.CLIENT, "states": {"cold": 1}, "collateral": ("a:1", "b:2")}


def full(kind: type[Change]) -> Change:
    """An event with all of its fields."""
    values = {
        field.name: SAMPLES.get(field.name, 30 if "str" not in str(field.type) else field.name) for field in own(kind)
    }
    return kind(**WHO, cause=Cause.EXPIRED, reason=Failure.OUT_OF_MEMORY, state=State.COLD, **values)


def own(kind: type[Change]) -> list[Any]:
    return [field for field in fields(kind) if field.name not in COMMON]


def other(name: str, value: Any) -> Any:
    if name in OTHERS:
        return OTHERS[name]
    if isinstance(value, bool):
        return not value
    if isinstance(value, datetime):
        return value.replace(year=2027)
    return value * 2 if isinstance(value, int | float) else "another"


def test_every_event_has_a_sentence_and_every_sentence_an_event() -> None:
    assert set(SENTENCES) == set(CLASSES)


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.event)
def test_a_sentence_needs_no_more_than_the_event_must_have(kind: type[Change]) -> None:
    must = {field.name for field in own(kind) if "None" not in str(field.type)}
    change = full(kind)
    least = kind(server="gpu", **{name: getattr(change, name) for name in must})
    assert "None" not in sentence(least)
    assert not sentence(least).endswith((".", ":", " ", ","))


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.event)
def test_a_sentence_tells_every_field_of_its_event(kind: type[Change]) -> None:
    change = full(kind)
    for field in own(kind):
        value = getattr(change, field.name)
        varied = replace(change, **{field.name: other(field.name, value)})
        assert sentence(varied) != sentence(change), field.name


@pytest.mark.parametrize("values", [Reason, Cause, Failure, Reloaded, Undelivered])
def test_every_reason_has_words(values: type[Enum]) -> None:
    assert {value.value for value in values} <= set(REASONS)


GIB = 2**30


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        pytest.param(
            ModelReady(
                **WHO,
                by=By.KEEPER,
                cause=Cause.FIRST_SEEN,
                load_s=9.81,
                cold_start=False,
                size_bytes=5 * GIB,
                vram_bytes=5 * GIB,
                context_length=4096,
            ),
            "qwen3:8b on gpu is ready: loaded in 9.8s, because it was not resident at the start "
            "(5.0 GiB, on the GPU, context 4096)",
            id="ready-after-our-load",
        ),
        pytest.param(
            ModelReady(**WHO, by=By.CLIENT, cause=Cause.DISPLACED, outage_s=71.4),
            "qwen3:8b on gpu is ready: a client loaded it, absent for 1m 11s because another model displaced it",
            id="ready-by-a-client",
        ),
        pytest.param(ModelReady(**WHO, by=By.FOUND), "qwen3:8b on gpu is ready: found resident", id="ready-found"),
        pytest.param(
            ModelReady(**WHO, by=By.KEEPER, load_s=12.0, cold_start=True, size_bytes=GIB, vram_bytes=0),
            "qwen3:8b on gpu is ready: loaded in 12s, a cold start (1.0 GiB, on the CPU)",
            id="ready-cold-start",
        ),
        pytest.param(
            ModelLost(
                **WHO,
                cause=Cause.DISPLACED,
                displaced_by="llava:13b",
                last_seen_s=3.0,
                expires_at=datetime(2318, 1, 1, tzinfo=UTC),
            ),
            "qwen3:8b on gpu was lost: displaced by llava:13b; last seen 3s ago, it was pinned",
            id="lost-displaced",
        ),
        pytest.param(
            ModelLost(**WHO, cause=Cause.UNLOADED, grace_s=60.0),
            "qwen3:8b on gpu was lost: it was unloaded; not loaded again for 1m",
            id="lost-unloaded",
        ),
        pytest.param(
            ModelLost(
                **WHO,
                cause=Cause.EXPIRED,
                state=State.BACKING_OFF,
                expires_at=datetime(2026, 11, 24, 9, 31, 2, tzinfo=UTC),
            ),
            "qwen3:8b on gpu was lost: its time ran out; it had time until 2026-11-24 09:31:02 UTC, now backing off",
            id="lost-expired",
        ),
        pytest.param(ModelLost(**WHO, reason=Reason.RELEASED), "qwen3:8b on gpu was given back", id="released"),
        pytest.param(ModelRenewed(**WHO, took_s=0.004), "qwen3:8b on gpu answered a ping in 4 ms", id="renewed"),
        pytest.param(
            ModelRepinned(**WHO, remaining_s=283.0, took_s=0.02),
            "qwen3:8b on gpu got its keep_alive again in 20 ms: it had 4m 43s left",
            id="repinned",
        ),
        pytest.param(
            ModelReloaded(
                **WHO, reason=Reloaded.OTHER_OPTIONS, by=By.CLIENT, context_length=8192, context_length_before=4096
            ),
            "qwen3:8b on gpu was loaded anew by a client: other options, context 8192, before 4096",
            id="reloaded-with-another-context",
        ),
        pytest.param(
            ModelReloaded(
                **WHO, reason=Reloaded.RUNNER_DIED, by=By.KEEPER, context_length=4096, context_length_before=4096
            ),
            "qwen3:8b on gpu was loaded anew by a ping of ours: its runner died, context 4096",
            id="reloaded-with-the-same-context",
        ),
        pytest.param(
            ModelDegraded(**WHO, reason=Reason.PARTLY_ON_CPU, gpu_fraction=0.62, wanted="gpu_fraction 1.00"),
            "qwen3:8b on gpu is not as wanted: part of it runs on the CPU, 62 % on the GPU, wanted: gpu_fraction 1.00",
            id="degraded",
        ),
        pytest.param(
            ModelContended(
                **WHO, reason=Reason.EVICTS_WANTED, with_="llava:13b", size_bytes=5 * GIB, with_size_bytes=8 * GIB
            ),
            "qwen3:8b (5.0 GiB) cannot be kept beside llava:13b (8.0 GiB) on gpu: it pushes out a model of higher rank",
            id="contended",
        ),
        pytest.param(
            ModelYielding(**WHO, to="llava:13b", since_s=3.0),
            "qwen3:8b on gpu waits for llava:13b, which came 3s ago, to be idle or gone",
            id="yielding",
        ),
        pytest.param(ModelMissing(**WHO), "qwen3:8b on gpu cannot be loaded: not pulled", id="missing"),
        pytest.param(
            ModelRefused(**WHO, reason=Reason.SAME_WEIGHTS, with_="qwen3:latest"),
            "qwen3:8b on gpu is not kept: the same weights with other options as qwen3:latest",
            id="refused",
        ),
        pytest.param(
            WarmStarted(**WHO, cause=Cause.EXPIRED, attempt=2),
            "loading qwen3:8b on gpu: its time ran out, attempt 2",
            id="warm-started",
        ),
        pytest.param(
            WarmFailed(
                **WHO,
                reason=Failure.OUT_OF_MEMORY,
                attempt=1,
                took_s=12.3,
                status=500,
                collateral=("a:1",),
                retry_s=11.0,
            ),
            "loading qwen3:8b on gpu failed after 12s: out of memory, HTTP 500, it cost a:1, again in 11s",
            id="warm-failed",
        ),
        pytest.param(
            BreakerOpened(**WHO, reason=Failure.OUT_OF_MEMORY, open_s=300.0, failures=3),
            "qwen3:8b on gpu is not loaded for 5m: 3 failures in a row, out of memory",
            id="breaker-opened",
        ),
        pytest.param(
            ServerUp(server="gpu", version="0.33.0", down_s=71.0), "gpu is up: Ollama 0.33.0, after 1m 11s", id="up"
        ),
        pytest.param(
            ServerWaiting(server="gpu", reason=Failure.CONNECT_REFUSED, since_s=0.004),
            "waiting for gpu: connection refused",
            id="waiting-begins",
        ),
        pytest.param(
            ServerDown(server="gpu", reason=Failure.READ_TIMEOUT, failures=1),
            "gpu is down: no answer in time, 1 failure in a row",
            id="down",
        ),
        pytest.param(
            ServerRestarted(server="gpu", version_before="0.33.0", version="0.33.0"),
            "gpu was restarted: Ollama 0.33.0",
            id="restarted-in-the-same-version",
        ),
        pytest.param(ClockJumped(delta_s=-3600.2), "the clock was set back by 1h", id="clock-back"),
        pytest.param(ClockJumped(delta_s=60.0), "the clock was set forward by 1m", id="clock-forward"),
        pytest.param(
            KeeperSummary(states={"ready": 2, "cold": 1}, checks=480, looks=1, pings=0, warms=1, losses=2, cold_s=71.4),
            "2 ready, 1 cold; since the last summary 480 checks, 1 look, 0 pings, 1 warm, 2 losses, 1m 11s cold",
            id="summary",
        ),
        pytest.param(ConfigLoaded(added=1), "configuration without a file: 1 model added", id="no-config-file"),
        pytest.param(
            ConfigLoaded(path="k.yaml"),
            "configuration from k.yaml: the models stay as they are",
            id="read-anew-without-a-change-of-models",
        ),
    ],
)
def test_a_sentence_reads(change: Change, expected: str) -> None:
    assert sentence(change) == expected


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [(0, "0 ms"), (0.0042, "4 ms"), (0.9994, "999 ms"), (0.9996, "1s"), (1.25, "1.2s"), (71.4, "1m 11s"), (-5, "-5s")],
)
def test_spans(seconds: float, expected: str) -> None:
    assert span(seconds) == expected


@pytest.mark.parametrize(
    ("share", "expected"),
    [(0.0, "on the CPU"), (0.5, "50 % on the GPU"), (0.999, "99 % on the GPU"), (1.0, "on the GPU")],
)
def test_only_what_is_all_on_the_gpu_is_called_so(share: float, expected: str) -> None:
    assert on_gpu(share) == expected


@pytest.mark.parametrize(
    ("size", "vram", "expected"),
    [(None, None, ""), (GIB, None, "1.0 GiB"), (0, 0, ""), (GIB, GIB, "1.0 GiB, on the GPU")],
)
def test_memory(size: int | None, vram: int | None, expected: str) -> None:
    assert memory(size, vram) == expected


def test_numbers_have_their_plural() -> None:
    assert [number(1, "loss"), number(0, "loss"), number(2, "model")] == ["1 loss", "0 losses", "2 models"]
