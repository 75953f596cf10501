"""FAULTS 4 on real sockets: what a network does to bytes and connections. Time is the loop's, so it costs nothing."""

import asyncio
import socket
import ssl
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from ollama_keeper.config.urls import server_url
from ollama_keeper.simulator import Simulator
from ollama_keeper.simulator.serve import serving
from tests.faults.scenes import BACK_OFF_S, DOWN_S, INTERVAL_S, LLAMA, QWEN, looks, now, since, warms
from tests.kit.checks import gaps, ours
from tests.kit.keeper import until
from tests.kit.ordeal import facing
from tests.kit.proxy import before
from tests.kit.sock import at, behind_a_proxy

CERTIFICATES = Path(__file__).parents[1] / "unit" / "ollama" / "certificates"
CA = CERTIFICATES / "ca.pem"
SILENT = asyncio.Event  # awaited and never set


def apart(instants: list[float]) -> float:
    """The shortest time between two instants that follow each other."""
    return min((later - earlier for earlier, later in pairwise(instants)), default=float("inf"))


# --- A3: names --------------------------------------------------------------------------------------------------------


async def test_fault_A3_names_that_are_lost_or_silent_or_lead_elsewhere(sim: Simulator, make_sim: Any) -> None:
    """One server by a name whose resolver fails, then says nothing, then leads elsewhere; another by its address."""
    loop: Any = asyncio.get_running_loop()
    resolve, answers = loop.getaddrinfo, ["127.0.0.1"]

    async def resolver(host: Any, port: Any, **wishes: Any) -> Any:
        if host not in {"gpu.internal", b"gpu.internal"}:
            return await resolve(host, port, **wishes)
        if not answers:
            raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
        if answers == ["silence"]:
            await SILENT().wait()
        return await resolve(answers[0], port, **wishes)

    loop.getaddrinfo = resolver
    other = make_sim()
    async with serving(sim) as url, serving(other) as other_url:
        named = at(f"http://gpu.internal:{url.rpartition(':')[2]}", "named")
        sims = {named: sim, at(other_url, "other"): other}
        async with facing(sims, QWEN, sockets=True, heal_s=BACK_OFF_S + 5) as keeper:
            began = now()
            for answer, reason in ([], "dns"), (["silence"], "connect_timeout"):
                answers[:] = answer
                sim.stop()
                await asyncio.sleep(0.5)
                sim.start()  # what was connected is no more, so the name is resolved anew
                await until(lambda: keeper.all("server.down") != [], limit_s=DOWN_S + 15)
                assert keeper.last("server.down").reason == reason
                await asyncio.sleep(120)
                keeper.recorder.changes.clear()
                answers[:] = ["127.0.0.1"]
                await until(lambda: keeper.state(QWEN, "named") == "ready", limit_s=BACK_OFF_S + 10)
                await asyncio.sleep(40)
            assert max(gaps(looks(other, began))) <= INTERVAL_S + 1


# --- A4, A6, A7, A8: bytes and connections ----------------------------------------------------------------------------


async def test_fault_A4_packets_dropped(sim: Simulator) -> None:
    async with (
        behind_a_proxy(sim) as (proxy, address),
        facing({address: sim}, QWEN, sockets=True, heal_s=BACK_OFF_S + 5) as keeper,
    ):
        began = now()
        await proxy.swallow()
        assert await until(lambda: bool(keeper.all("server.down"))) <= DOWN_S
        await asyncio.sleep(300)
        await proxy.heal()
    assert warms(sim, began) == []
    assert not keeper.all("model.lost")


async def test_fault_A6_slow_loris(sim: Simulator) -> None:
    async with (
        behind_a_proxy(sim) as (proxy, address),
        facing({address: sim}, QWEN, sockets=True, heal_s=BACK_OFF_S + 5) as keeper,
    ):
        began = now()
        proxy.every_s = 0.25
        await asyncio.sleep(300)
        assert keeper.all("server.down") or keeper.all("server.busy")
        ended = [line for line in proxy.lines if line.closed is not None and line.closed > began + 20]
        assert ended
        assert all((line.closed or 0) - line.asked <= address.look_timeout_s + 1 for line in ended)
        await proxy.heal()
    assert warms(sim, began) == []


@pytest.mark.parametrize("resets", [False, True], ids=["closed", "reset"])
async def test_fault_A7_cut_in_mid_body(sim: Simulator, resets: bool) -> None:
    async with (
        behind_a_proxy(sim) as (proxy, address),
        facing({address: sim}, QWEN, sockets=True, heal_s=BACK_OFF_S + 5) as keeper,
    ):
        began = now()
        proxy.cut_after, proxy.resets = 150, resets
        await until(lambda: keeper.daemon.servers[0].memory.failures > 0, limit_s=INTERVAL_S + 1)
        assert keeper.state(QWEN) == "ready"
        assert keeper.daemon.servers[0].memory.failure == "reset"
        await asyncio.sleep(60)
        assert min(gaps(looks(sim, began))) >= 0.9
        await proxy.heal()
    assert warms(sim, began) == []
    assert not keeper.all("model.lost")


async def test_fault_A8_a_connection_closed_as_the_question_comes(sim: Simulator) -> None:
    async with (
        behind_a_proxy(sim) as (proxy, address),
        facing({address: sim}, QWEN, sockets=True) as keeper,
    ):
        began, before = now(), len(proxy.lines)
        proxy.condemn()
        await until(lambda: len(proxy.lines) > before, limit_s=INTERVAL_S + 1)
        await asyncio.sleep(1)
        assert keeper.daemon.servers[0].memory.failures == 0
        await asyncio.sleep(2 * INTERVAL_S)
        assert max(gaps(looks(sim, began))) <= INTERVAL_S + 1
    assert warms(sim, began) == []
    assert [one.path for one in since(began, ours(sim.history)) if one.method == "POST"] == []


async def test_fault_A8_a_restart_within_the_first_interval_of_all(sim: Simulator) -> None:
    """No connection was left idle for so long before: nothing failed, and the closed one is the only sign."""
    async with (
        serving(sim) as url,
        facing({at(url): sim}, QWEN, LLAMA, sockets=True, settled=False) as keeper,
    ):
        await until(lambda: all(keeper.state(model) == "ready" for model in (QWEN, LLAMA)))
        await asyncio.sleep(8)
        began = now()
        sim.restart(down_s=0.5)
        await until(lambda: keeper.all("model.lost"), limit_s=INTERVAL_S + 2)
        await until(lambda: warms(sim, began), limit_s=2)
    assert {one.cause for one in keeper.all("model.lost")} == {"server_restarted"}


@pytest.mark.slow
async def test_fault_A8_connections_that_are_closed_whenever_idle(sim: Simulator) -> None:
    async with (
        behind_a_proxy(sim) as (proxy, address),
        facing({address: sim}, QWEN, sockets=True) as keeper,
    ):
        began = now()
        proxy.idle_s = 5
        await asyncio.sleep(600)
        await proxy.heal()
    assert keeper.events("server") == ["server.up"]
    assert all(look.status == 200 for look in looks(sim, began))
    assert len(sim.history.loads()) == 1


async def test_fault_A13_starved_bandwidth_and_many_clients(sim: Simulator) -> None:
    async with (
        behind_a_proxy(sim) as (proxy, address),
        facing({address: sim}, QWEN, sockets=True, heal_s=90) as keeper,
    ):
        began = now()
        proxy.bytes_per_s = 200.0
        clients = [sim.client(QWEN, prompt="hi", tokens=1) for _ in range(600)]
        await asyncio.sleep(120)
        assert keeper.state(QWEN) == "ready"
        await asyncio.gather(*clients)
        await proxy.heal()
    assert warms(sim, began) == []
    assert not keeper.all("server.down")


# --- A9: TLS ----------------------------------------------------------------------------------------------------------


def presenting(certificate: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATES / f"{certificate}.pem")
    return context


@pytest.mark.parametrize("certificate", ["expired", "other-name"])
async def test_fault_A9_a_certificate_that_is_not_to_be_trusted(sim: Simulator, certificate: str) -> None:
    context = presenting("valid")
    async with (
        behind_a_proxy(sim, context, ca_file=CA) as (proxy, address),
        facing({address: sim}, QWEN, sockets=True, heal_s=BACK_OFF_S + 10) as keeper,
    ):
        context.load_cert_chain(CERTIFICATES / f"{certificate}.pem")
        for line in proxy.lines:
            line.client.transport.abort()
        began = now()
        await until(lambda: bool(keeper.all("server.down")), limit_s=INTERVAL_S + 1)
        down = keeper.last("server.down")
        assert down.reason == "tls"
        assert certificate != "expired" or "2021-02-03" in down.hint
        await asyncio.sleep(300)
        hellos = sorted({hello for hello in proxy.greetings if hello >= began})  # one more at once asks for the date
        assert apart(hellos) >= BACK_OFF_S - 1
        assert looks(sim, began) == []
        context.load_cert_chain(CERTIFICATES / "valid.pem")


async def test_fault_A9_an_unknown_authority(sim: Simulator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    async with (
        behind_a_proxy(sim, presenting("valid")) as (_, address),
        facing({address: sim}, QWEN, sockets=True, settled=False, ends={QWEN: "unknown"}) as keeper,
    ):
        await asyncio.sleep(300)
        assert {change.reason for change in keeper.all("server.waiting")} == {"tls"}
    assert ours(sim.history) == []


async def test_fault_A9_plain_http_asked_of_a_tls_port_and_tls_of_a_plain_one(sim: Simulator) -> None:
    async with behind_a_proxy(sim, presenting("valid")) as (proxy, secure), serving(sim) as plain:
        for url in (secure.url.replace("https:", "http:"), plain.replace("http:", "https:")):
            wrong = at(url, ca_file=CA)
            async with facing({wrong: sim}, QWEN, sockets=True, settled=False, ends={QWEN: "unknown"}) as keeper:
                await asyncio.sleep(120)
                assert keeper.all("server.waiting")
    assert ours(sim.history) == []
    assert proxy.lines == []


# --- A10, A11: where to ask -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "spelt", ["http://localhost", "http://127.0.0.1", "http://0.0.0.0", "http://[::ffff:127.0.0.1]"]
)
async def test_fault_A10_ollama_listens_on_ipv4_only(sim: Simulator, spelt: str) -> None:
    async with serving(sim) as url:
        wanted = at(server_url(f"{spelt}:{url.rpartition(':')[2]}"))
        async with facing({wanted: sim}, QWEN, sockets=True):
            pass
    assert looks(sim)


def leads_to(name: str, address: str) -> bool:
    return address in {str(found[4][0]) for found in socket.getaddrinfo(name, 80)}


@pytest.mark.parametrize("spelt", ["http://[::1]", "http://[::]", "http://localhost"])
async def test_fault_A10_ollama_listens_on_ipv6_only(sim: Simulator, spelt: str) -> None:
    if "localhost" in spelt and not leads_to("localhost", "::1"):
        pytest.skip("localhost is not ::1 on this machine")
    async with serving(sim) as url, before(url, host="::1") as proxy:
        wanted = at(server_url(f"{spelt}:{proxy.url.rpartition(':')[2]}"))
        async with facing({wanted: sim}, QWEN, sockets=True):
            pass
    assert looks(sim)


async def test_fault_A11_a_proxy_of_the_environment(sim: Simulator, monkeypatch: pytest.MonkeyPatch) -> None:
    async with serving(sim) as url, before(url) as proxy:
        for variable in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(variable, proxy.url)
        async with facing({at(url): sim}, QWEN, sockets=True):
            await asyncio.sleep(60)
        assert proxy.lines == []
    assert looks(sim)
