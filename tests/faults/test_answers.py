"""FAULTS 5: answers that are late, wrong, somebody else's or no answers at all. None of them says "no models"."""

import asyncio
import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from ollama_keeper.simulator import Settings, Simulator, Version
from ollama_keeper.simulator.exchange import ask
from tests.faults.scenes import BACK_OFF_S, EMBED, INTERVAL_S, LLAMA, QWEN, looks, now, since, warms
from tests.kit.checks import CANARY, gaps, ours
from tests.kit.keeper import HOST, US, Keeper, touches, until, wanted
from tests.kit.ordeal import facing, output
from tests.kit.services import arrived
from tests.kit.sock import at
from tests.kit.transport import SimTransport
from tests.kit.virtual import VirtualLoop
from tests.unit.ollama.loopback import Listener, Manner, Peer, listening

HTML = b"<html><head><title>502 Bad Gateway</title></head>\x1b[31m<body>nginx\x00</body></html>"
OLD_QUICK_S = 30.0


async def listed(sim: Simulator) -> dict[str, Any]:
    """What `/api/ps` answers now, asked by nobody of ours."""
    status, body = await ask(sim, "GET", "/api/ps", "tests")
    assert status == 200
    document: dict[str, Any] = json.loads(body)
    return document


async def two_looks(sim: Simulator) -> None:
    """Until two looks more have been answered."""
    seen = len(looks(sim))
    await until(lambda: len(looks(sim)) >= seen + 2, limit_s=3 * INTERVAL_S)
    await asyncio.sleep(0.5)


# --- B1 - B4: refusals ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("times", [1, 10])
async def test_fault_B1_500_from_ps(make_sim: Callable[..., Simulator], times: int) -> None:
    sim = make_sim(settings=Settings(version=Version("0.32.3")))
    async with facing(sim, QWEN, LLAMA, heal_s=2 * OLD_QUICK_S) as keeper:
        began = now()
        sim.fail("ps", 500, times=times)
        await asyncio.sleep(200)
        assert bool(keeper.all("server.down")) == (times > 2)
    assert not keeper.all("model.lost")
    assert warms(sim, began) == []
    good = [look for look in looks(sim, began) if look.status == 200]
    assert min(gaps(looks(sim, began))) >= 1
    assert min(gaps(good)) >= OLD_QUICK_S - 1


async def test_fault_B1_an_old_server_is_looked_at_rarely_during_our_loads(make_sim: Callable[..., Simulator]) -> None:
    sim = make_sim(settings=Settings(version=Version("0.32.3")))
    sim.load_time(QWEN, 200)
    async with facing(sim, QWEN, settled=False, heal_s=300):
        await asyncio.sleep(150)
        assert min(gaps(looks(sim, 10))) >= OLD_QUICK_S - 1


async def test_fault_B2_html_of_a_proxy(sim: Simulator) -> None:
    async with facing(sim, QWEN, heal_s=BACK_OFF_S + 5) as keeper:
        began = now()
        sim.reply("ps", HTML, status=502, content_type="text/html")
        await two_looks(sim)
        assert keeper.state(QWEN) == "ready"
        await asyncio.sleep(60)
        down = keeper.last("server.down")
        assert down.reason == "http_5xx"
        assert "proxy" in down.hint
        sim.heal()
    assert warms(sim, began) == []
    assert all(character.isprintable() or character == "\n" for character in output(keeper, []))


@pytest.mark.parametrize("status", [429, 503])
async def test_fault_B3_too_busy_to_look(sim: Simulator, status: int) -> None:
    async with facing(sim, QWEN, heal_s=40) as keeper:
        began = now()
        sim.fail("ps", status, headers={"retry-after": "30"})
        await until(lambda: keeper.events("server")[-1] == "server.busy", limit_s=INTERVAL_S + 1)
        await asyncio.sleep(300)
        refused = [look for look in looks(sim, began) if look.status == status]
        assert min(gaps(refused)) >= 30
        assert keeper.notified == []
        sim.heal()
    assert not keeper.all("server.down")
    assert not keeper.all("model.lost")
    assert warms(sim, began) == []


async def test_fault_B3_too_busy_to_load(sim: Simulator) -> None:
    busy = '{"error":"server busy, please try again.  maximum pending requests exceeded"}'
    async with facing(sim, QWEN, settled=False, heal_s=400) as keeper:
        sim.fail("generate", 503, body=busy, headers={"retry-after": "30"}, times=3)
        await until(lambda: len(keeper.all("warm.failed")) == 3)
        assert {change.reason for change in keeper.all("warm.failed")} == {"server_busy"}
    assert min(gaps(touches(sim, QWEN))) >= 30


@pytest.mark.parametrize(
    ("befalls", "heals", "reason"),
    [
        pytest.param(lambda sim: sim.auth("another"), lambda sim: sim.auth(CANARY), "http_4xx", id="wrong-token"),
        pytest.param(lambda sim: sim.host_check(), lambda sim: sim.heal(), "host_rejected", id="host"),
    ],
)
async def test_fault_B4_refused(sim: Simulator, befalls: Any, heals: Any, reason: str) -> None:
    async with facing(sim, QWEN, heal_s=BACK_OFF_S + 5) as keeper:
        began = now()
        befalls(sim)
        await until(lambda: bool(keeper.all("server.down")), limit_s=INTERVAL_S + 1)
        assert keeper.last("server.down").reason == reason
        assert keeper.last("server.down").hint
        await asyncio.sleep(300)
        assert min(gaps([one for one in since(began, ours(sim.history)) if one.status in {401, 403}])) >= BACK_OFF_S - 1
        assert keeper.notified == [f"firing server_down {HOST}"]
        assert arrived(keeper.services)[0]["labels"]["reason"] == reason
        heals(sim)
    assert not keeper.all("model.lost")
    assert warms(sim, began) == []


# --- B5, B10: somebody else -------------------------------------------------------------------------------------------


def answering(line: str, body: str) -> Manner:
    """A small server that answers everything alike."""

    async def manner(peer: Peer, listener: Listener) -> None:
        while (question := await peer.question()) is not None:
            listener.questions.append(question.split(" HTTP/", 1)[0])
            await peer.send(f"HTTP/1.1 {line}\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode())

    return manner


@pytest.mark.parametrize(
    "manner",
    [
        pytest.param(answering("404 Not Found", "404 page not found"), id="404"),
        pytest.param(answering("200 OK", "<html>It works!</html>"), id="html"),
        pytest.param(answering("200 OK", '{"version":1,"status":"ok"}'), id="other-json"),
        pytest.param(answering("200 OK", '{"version":"2.1.0"}'), id="has-a-version-too"),
    ],
)
async def test_fault_B5_not_ollama_on_the_port(manner: Manner) -> None:
    async with listening(manner) as server:
        keeper = Keeper({at(server.url): (wanted(QWEN),)}, None)
        keeper.start()
        await asyncio.sleep(300)
        assert keeper.state(QWEN) == "unknown"
        await keeper.stop()
        assert len({(change.reason, change.hint) for change in keeper.all("server.waiting")}) == 1
        assert "Ollama" in (keeper.last("server.waiting").hint or "")
        assert all(question.startswith("GET ") for question in server.questions)
        assert CANARY not in output(keeper, [])


@pytest.mark.parametrize("status", [301, 302, 307, 308])
async def test_fault_B10_redirects(sim: Simulator, make_sim: Callable[..., Simulator], status: int) -> None:
    target = make_sim()
    network = SimTransport({HOST: sim, "10.0.0.9:11434": target})
    async with facing(sim, QWEN, transport=network, heal_s=BACK_OFF_S + 5) as keeper:
        began = now()
        for path in ("ps", "version", "tags", "show", "generate"):
            sim.redirect(path, "http://10.0.0.9:11434/api/ps?token=t0ps3cret", status=status)
        await until(lambda: bool(keeper.all("server.down")), limit_s=INTERVAL_S + 1)
        assert keeper.last("server.down").reason == "redirect"
        assert "10.0.0.9" in keeper.last("server.down").hint
        await asyncio.sleep(120)
        sim.heal()
    assert target.history.all_requests == []
    assert "t0ps3cret" not in output(keeper, [])
    assert warms(sim, began) == []


# --- B6, B7: bodies ---------------------------------------------------------------------------------------------------

BODIES = {
    "truncated": b'{"models":[{"name":"qwen3:8b","mod',
    "empty": b"",
    "two-lines": b'{"models":[]}\n{"models":[]}',
    "bom": b'\xef\xbb\xbf{"models":[]}',
    "utf-16": '{"models":[]}'.encode("utf-16"),
    "null": b"null",
    "a-list": b"[]",
    "models-null": b'{"models":null}',
    "no-models": b"{}",
    "models-an-object": b'{"models":{}}',
    "an-error": b'{"error":"something went wrong"}',
}


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES.keys())
async def test_fault_B6_bodies_that_are_no_answer(sim: Simulator, body: bytes) -> None:
    async with facing(sim, QWEN, heal_s=BACK_OFF_S + 5) as keeper:
        began = now()
        sim.reply("ps", body)
        await two_looks(sim)
        assert keeper.state(QWEN) == "ready"
        await asyncio.sleep(60)
        assert keeper.last("server.down").reason in {"not_json", "bad_shape"}
        sim.heal()
    assert not keeper.all("model.lost")
    assert warms(sim, began) == []


wrong: st.SearchStrategy[Any] = (
    st.none() | st.booleans() | st.integers(-5, 5) | st.floats() | st.lists(st.none(), max_size=1) | st.just({})
)
spoilt_fields = st.dictionaries(st.sampled_from(["name", "digest", "size", "size_vram"]), wrong, min_size=1)
other_fields = st.dictionaries(st.sampled_from(["details", "family", "new"]), wrong | st.text())
documents = st.one_of(
    wrong.map(lambda value: lambda entries: {"models": value if value != [] else None}),
    wrong.map(lambda value: lambda entries: {"models": [value]}),
    spoilt_fields.map(lambda fields: lambda entries: {"models": [entries[0] | fields, *entries[1:]]}),
    other_fields.map(lambda fields: lambda entries: {"models": [one | fields for one in entries], **fields}),
    st.just(lambda entries: {"models": [*entries, *entries]}),
)


@pytest.mark.slow
@given(st.lists(documents, min_size=12, max_size=12))
@settings(
    max_examples=6, deadline=None, derandomize=True, phases=[Phase.generate], suppress_health_check=list(HealthCheck)
)
def test_fault_B7_wrong_types(changes: list[Callable[[list[Any]], Any]]) -> None:
    async def suffer() -> None:
        sim = Simulator()
        async with facing(sim, QWEN, LLAMA, heal_s=BACK_OFF_S + 5) as keeper:
            true, began = (await listed(sim))["models"], now()
            for change in changes:
                sim.reply("ps", json.dumps(change(true)))
                await asyncio.sleep(100)
                sim.heal()
                await asyncio.sleep(40)
        assert warms(sim, began) == [], [change(true) for change in changes]
        assert not keeper.all("model.lost")

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        runner.run(suffer())


async def test_fault_B8_nothing_listed_after_a_good_answer(sim: Simulator) -> None:
    async with facing(sim, QWEN, LLAMA, EMBED, heal_s=100) as keeper:
        began = now()
        sim.unload_all()
        assert await until(lambda: len(keeper.all("model.lost")) == 3) <= INTERVAL_S + 1
    assert warms(sim, began) == [QWEN, LLAMA, EMBED]
    assert not sim.history.loads_overlapped()


# --- B11 - B13: dates, errors in a 200 --------------------------------------------------------------------------------

DATES = {
    "nine-decimals": "2318-06-01T00:00:00.123456789Z",
    "year-one": "0001-01-01T00:00:00Z",
    "past": "2020-01-01T00:00:00Z",
    "far-zone": "2318-06-01T00:00:00.1+14:00",
    "year-ten-thousand": "10000-01-01T00:00:00Z",
    "no-date": "soon",
    "a-number": 1_700_000_000,
    "null": None,
}


@pytest.mark.parametrize("date", DATES.values(), ids=DATES.keys())
async def test_fault_B11_dates(sim: Simulator, date: object) -> None:
    async with facing(sim, QWEN) as keeper:
        document, began = await listed(sim), now()
        sim.reply("ps", json.dumps({"models": [entry | {"expires_at": date} for entry in document["models"]]}))
        await asyncio.sleep(600)
        assert keeper.state(QWEN) == "ready"
        sim.heal()
    assert not keeper.all("model.lost")
    assert warms(sim, began) == []
    assert len(sim.history.loads()) == 1


async def test_fault_B12_an_error_in_a_200(make_sim: Callable[..., Simulator]) -> None:
    sim = make_sim(settings=Settings(version=Version("0.12.5")))
    sim.load_error(QWEN)
    async with facing(sim, QWEN, settled=False, heal_s=700) as keeper:
        await until(lambda: len(keeper.all("warm.failed")) == 2)
        assert not keeper.all("model.ready")
        assert keeper.state(QWEN) == "backing_off"
        sim.load_heals(QWEN)
    assert [load.outcome for load in sim.history.loads(who=US)][-1] == "loaded"


class Dated(SimTransport):
    """A network on which answers bear another date, or none."""

    date: str | None = ""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        response = await super().handle_async_request(request)
        if self.date != "":
            del response.headers["date"]
        if self.date:
            response.headers["date"] = self.date
        return response


@pytest.mark.parametrize("date", [None, "Thu, 01 Jan 1970 00:00:00 GMT", "yesterday", "Mon, 01 Jan 9999 00:00:00 GMT"])
async def test_fault_B13_no_date_or_an_absurd_one(sim: Simulator, date: str | None) -> None:
    network = Dated(sim)
    async with facing(sim, QWEN, wanted(EMBED, lease_s=120.0), transport=network) as keeper:
        began = now()
        network.date = date
        await asyncio.sleep(900)
        assert keeper.notified == []
    assert not keeper.all("model.lost")
    assert warms(sim, began) == []
    assert len(sim.history.loads()) == 2
