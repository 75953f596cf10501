"""`pull: if_missing` as processes: `warm` pulls and tells, `plan` and a dry run only say so, a stop ends a pull."""

import signal

import pytest

from tests.kit.proc import World, wait_for

pytestmark = pytest.mark.process

GEMMA = "gemma3:4b"
PULLED = {"OLLAMA_KEEPER_PULL": "if_missing"}


def test_warm_pulls_what_is_missing_and_tells_on_stderr(world: World) -> None:
    server = world.simulate("--load-time", "100ms")
    done = world.do("warm", GEMMA, "--ollama", server.url, **PULLED)
    assert done.code == 0
    assert f"{GEMMA}: ready" in done.out
    assert f"pulling {GEMMA}" in done.err
    assert GEMMA in server.resident()


def test_warm_ends_at_once_where_the_name_is_unknown(world: World) -> None:
    server = world.simulate()
    done = world.do("warm", "no-such-model", "--ollama", server.url, **PULLED)
    assert done.code == 1
    assert "not_in_registry" in done.out


@pytest.mark.parametrize(
    ("command", "said"),
    [
        pytest.param(("plan",), f"pull, then warm {GEMMA}", id="plan"),
        pytest.param(("run", "--dry-run"), f'POST /api/pull {{"model": "{GEMMA}"}}', id="dry-run"),
    ],
)
def test_who_only_looks_says_that_it_would_be_pulled(world: World, command: tuple[str, ...], said: str) -> None:
    server = world.simulate()
    done = world.do(*command, GEMMA, "--ollama", server.url, **PULLED)
    assert done.code == 0
    assert said in done.out
    assert server.requests("/api/pull") == []


def test_a_signal_ends_a_pull_at_once(world: World) -> None:
    server = world.simulate()
    server.befalls("registry", rate=1_000_000)
    keeper = world.run(GEMMA, "--ollama", server.url, **PULLED)
    keeper.until("pull.started", model=GEMMA)
    wait_for(lambda: server.requests("/api/pull"))
    keeper.signal(signal.SIGTERM)
    assert keeper.ended(limit_s=5.0) == 0
    assert "pull.failed" not in keeper.told
    wait_for(lambda: server.requests("/api/pull")[0]["status"] == 499)
