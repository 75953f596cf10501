"""What only real sockets show: closed and cut connections, bodies without an end, what is not HTTP, proxies."""

import asyncio
import socket
from collections.abc import Callable

import httpx
import pytest

from ollama_keeper.core.reasons import Failure
from ollama_keeper.ollama.client import OllamaClient
from tests.unit.ollama.asking import ASKED, PROBE, WARM, failure_of
from tests.unit.ollama.loopback import Listener, Manner, Peer, as_ollama, listening

Make = Callable[..., OllamaClient]
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
INTERVAL_S = 15.0


async def answered(peer: Peer, listener: Listener, *parts: bytes) -> None:
    """The question is read, and answered with these bytes."""
    listener.questions.append(str(await peer.question()))
    for part in parts:
        await peer.send(part)


def saying(*parts: bytes) -> Manner:
    """Answers the first question of each connection with these bytes, and closes it."""

    async def manner(peer: Peer, listener: Listener) -> None:
        await answered(peer, listener, *parts)

    return manner


async def silent(peer: Peer, listener: Listener) -> None:
    await peer.question()
    await peer.reader.read()


async def dripping(peer: Peer, listener: Listener) -> None:
    """A byte every quarter of a second, for ever."""
    await answered(peer, listener, HEAD + b"Content-Length: 100000\r\n\r\n")
    while True:
        await peer.send(b" ")
        await asyncio.sleep(0.25)


async def endless(peer: Peer, listener: Listener) -> None:
    """Chunks of 64 KiB without an end."""
    await answered(peer, listener, HEAD + b"Transfer-Encoding: chunked\r\n\r\n")
    while True:
        await peer.send(b"10000\r\n" + b" " * 65_536 + b"\r\n")


async def resetting(peer: Peer, listener: Listener) -> None:
    await peer.question()
    peer.reset()


async def resetting_in_mid_body(peer: Peer, listener: Listener) -> None:
    await answered(peer, listener, HEAD + b'Content-Length: 13\r\n\r\n{"mod')
    peer.reset()


# --- one broken exchange ----------------------------------------------------------------------------------------------

MANNERS: dict[str, tuple[Manner, Failure]] = {
    "closes without an answer": (saying(b""), Failure.RESET),
    "resets": (resetting, Failure.RESET),
    "resets in mid-body": (resetting_in_mid_body, Failure.RESET),
    "closes in mid-body": (saying(HEAD + b'Content-Length: 13\r\n\r\n{"mod'), Failure.RESET),
    "closes in mid-chunk": (saying(HEAD + b'Transfer-Encoding: chunked\r\n\r\nd\r\n{"mod'), Failure.RESET),
    "closes in mid-head": (saying(b"HTTP/1.1 200 OK\r\nContent-"), Failure.RESET),
    "is another program": (saying(b"220 mail.example ESMTP\r\n\r\n"), Failure.NOT_JSON),
    "is another program, and hangs up": (saying(b"SSH-2.0-OpenSSH_9.2\r\n"), Failure.RESET),
    "sends garbage": (saying(b"\x00\xff\xfe\r\n\r\n" * 100), Failure.NOT_JSON),
    "sends chunks of garbage": (saying(HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n"), Failure.NOT_JSON),
    "sends a head without an end": (saying(b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 100_000), Failure.NOT_JSON),
    "sends a body without an end": (endless, Failure.TOO_LARGE),
    "speaks TLS": (saying(b"\x15\x03\x01\x00\x02\x02\x46"), Failure.NOT_JSON),
}


@pytest.mark.parametrize("asked", ["look", "load"])
@pytest.mark.parametrize("manner", [pytest.param(name, id=name.replace(" ", "-")) for name in MANNERS])
async def test_a_server_that_misbehaves(manner: str, asked: str, make_client: Make) -> None:
    behaves, reason = MANNERS[manner]
    async with listening(behaves) as server:
        error = await failure_of(ASKED[asked][2](make_client(server.url)))
        assert error.reason is reason
        assert len(server.peers) == 1, "a new connection that breaks is not made again"


@pytest.mark.parametrize("manner", [silent, dripping], ids=["silent", "dripping"])
@pytest.mark.parametrize(("asked", "seconds"), [("look", 7.0), ("version", 5.0), ("tags", 15.0), ("show", 30.0)])
async def test_an_answer_is_waited_for_as_long_as_it_may_take(
    asked: str, seconds: float, manner: Manner, make_client: Make
) -> None:
    loop = asyncio.get_running_loop()
    async with listening(manner) as server:
        started = loop.time()
        error = await failure_of(ASKED[asked][2](make_client(server.url, look_timeout_s=7.0)))
        assert (error.reason, error.detail) == (Failure.READ_TIMEOUT, f"no whole answer within {seconds:g} s")
        assert loop.time() - started == pytest.approx(seconds, abs=0.01)


async def test_a_load_is_waited_for_however_long_it_takes(make_client: Make) -> None:
    async def slow(peer: Peer, listener: Listener) -> None:
        await peer.question()
        await asyncio.sleep(3_600)
        await peer.answer('{"done_reason":"load"}')

    async with listening(slow) as server:
        await make_client(server.url).load(WARM)
        assert asyncio.get_running_loop().time() >= 3_600


async def test_a_load_that_is_cancelled_hangs_up(make_client: Make) -> None:
    hung_up = asyncio.Event()

    async def loading(peer: Peer, listener: Listener) -> None:
        await peer.question()
        await peer.reader.read()
        hung_up.set()

    async with listening(loading) as server:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(60):
                await make_client(server.url).load(WARM)
        await hung_up.wait()


async def test_nothing_listens(make_client: Make) -> None:
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        client = make_client(f"http://127.0.0.1:{reserved.getsockname()[1]}")
        for asked in ASKED:
            assert (await failure_of(ASKED[asked][2](client))).reason is Failure.CONNECT_REFUSED


async def test_a_name_that_cannot_be_one_fails_as_dns(make_client: Make) -> None:
    assert (await failure_of(make_client(f"http://{'x' * 64}.test:80").look())).reason is Failure.DNS


async def test_the_kernel_is_asked_to_notice_a_lost_host_during_a_load(make_client: Make) -> None:
    """Nothing is sent while a model loads, so only probes of the kernel tell that the host is gone."""
    options = make_client()._loading._pool._socket_options  # type: ignore[attr-defined]
    assert (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1) in options
    assert (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 30) in options


# --- kept connections -------------------------------------------------------------------------------------------------


async def test_looks_share_one_connection(make_client: Make) -> None:
    async with listening(as_ollama()) as server:
        client = make_client(server.url)
        for _ in range(5):
            assert not (await client.look()).reconnected
            await client.version()
            await asyncio.sleep(INTERVAL_S)
        assert len(server.peers) == 1


async def test_a_connection_closed_as_the_question_comes_costs_one_more_and_is_told(make_client: Make) -> None:
    """FAULTS A8."""
    async with listening(as_ollama(answers=2)) as server:
        client = make_client(server.url)
        assert [(await client.look()).reconnected for _ in range(4)] == [False, False, True, False]
        assert server.questions == ["GET /api/ps"] * 5
        assert len(server.peers) == 2


async def test_a_connection_reset_as_the_question_comes_costs_one_more_and_is_told(make_client: Make) -> None:
    async with listening(as_ollama(answers=1, then=Peer.reset)) as server:
        client = make_client(server.url)
        assert [(await client.look()).reconnected for _ in range(2)] == [False, True]
        assert len(server.peers) == 2


async def test_it_is_asked_once_more_and_not_twice(make_client: Make) -> None:
    async def one_answer_only(peer: Peer, listener: Listener) -> None:
        await as_ollama(answers=1 if peer.number == 1 else 0)(peer, listener)

    async with listening(one_answer_only) as server:
        client = make_client(server.url)
        await client.look()
        assert (await failure_of(client.look())).reason is Failure.RESET
        assert server.questions == ["GET /api/ps"] * 3


async def test_what_fails_when_asked_once_more_is_told_by_its_own_reason(make_client: Make) -> None:
    async def ending(peer: Peer, listener: Listener) -> None:
        def end(peer: Peer) -> None:
            listener.stop()
            peer.reset()

        await as_ollama(answers=1, then=end)(peer, listener)

    async with listening(ending) as server:
        client = make_client(server.url)
        await client.look()
        assert (await failure_of(client.look())).reason is Failure.CONNECT_REFUSED


async def test_a_connection_closed_between_two_looks_is_told_though_nothing_failed(make_client: Make) -> None:
    """A server that restarts within one interval; httpx connects anew without a word."""
    async with listening(as_ollama()) as server:
        client = make_client(server.url)
        for _ in range(2):
            await client.look()
            await asyncio.sleep(INTERVAL_S)
        await client.look()
        await asyncio.sleep(INTERVAL_S / 2)
        server.peers[0].writer.close()
        await asyncio.sleep(INTERVAL_S / 2)
        assert [(await client.look()).reconnected for _ in range(2)] == [True, False]
        assert server.questions == ["GET /api/ps"] * 5


async def test_a_connection_closed_before_the_version_is_asked_is_told_by_the_next_look(make_client: Make) -> None:
    async with listening(as_ollama()) as server:
        client = make_client(server.url)
        for _ in range(2):
            await client.look()
            await asyncio.sleep(INTERVAL_S)
        await client.look()
        server.peers[0].writer.close()
        await asyncio.sleep(1)
        await client.version()
        assert (await client.look()).reconnected


async def test_a_proxy_that_closes_whatever_is_idle_is_taken_for_a_restart_once_at_most(make_client: Make) -> None:
    async def impatient(peer: Peer, listener: Listener) -> None:
        async def close_when_idle() -> None:
            await asyncio.sleep(5)
            peer.writer.close()

        closing = asyncio.ensure_future(close_when_idle())
        try:
            await as_ollama()(peer, listener)
        finally:
            closing.cancel()

    async with listening(impatient) as server:
        client = make_client(server.url)
        told = []
        for _ in range(5):
            told.append((await client.look()).reconnected)
            await asyncio.sleep(INTERVAL_S)
        assert told == [False, True, False, False, False]
        assert len(server.peers) == 5


async def test_a_connection_that_we_closed_is_no_sign_of_a_restart(make_client: Make) -> None:
    """The pool closes what has been idle for a minute, before it asks again."""
    async with listening(as_ollama()) as server:
        client = make_client(server.url)
        for _ in range(3):
            assert not (await client.look()).reconnected
            await asyncio.sleep(300)


async def test_every_load_has_a_connection_of_its_own(make_client: Make) -> None:
    async with listening(as_ollama()) as server:
        client = make_client(server.url)
        for _ in range(3):
            await client.look()
            await client.load(WARM)
        assert len(server.peers) == 4
        assert sorted(server.questions) == ["GET /api/ps"] * 3 + ["POST /api/generate"] * 3


async def test_a_load_between_two_looks_does_not_hide_that_the_connection_was_closed(make_client: Make) -> None:
    async with listening(as_ollama()) as server:
        client = make_client(server.url)
        for _ in range(2):
            await client.look()
            await asyncio.sleep(INTERVAL_S)
        await client.look()
        server.peers[0].writer.close()
        await client.load(WARM)
        await client.probe(PROBE, 60.0)
        assert (await client.look()).reconnected


async def test_a_load_after_a_closed_connection_succeeds_and_is_sent_once(make_client: Make) -> None:
    async with listening(as_ollama(answers=1)) as server:
        client = make_client(server.url)
        for _ in range(2):
            await client.look()
            await client.load(WARM)
        assert server.questions.count("POST /api/generate") == 2


async def test_a_load_that_the_server_did_not_outlive_is_not_sent_again(make_client: Make) -> None:
    async with listening(as_ollama(answers=0, then=Peer.reset)) as server:
        assert (await failure_of(make_client(server.url).load(WARM))).reason is Failure.RESET
        assert server.questions == ["POST /api/generate"]


# --- proxies ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("variable", ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"])
async def test_a_proxy_of_the_environment_is_not_used(
    variable: str, make_client: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """FAULTS A11; the control shows that the variable would be used."""
    async with listening(as_ollama()) as proxy, listening(as_ollama()) as server:
        monkeypatch.setenv(variable, proxy.url)
        monkeypatch.delenv("NO_PROXY", raising=False)
        monkeypatch.delenv("no_proxy", raising=False)
        client = make_client(server.url)
        await client.look()
        await client.load(WARM)
        assert (len(proxy.questions), len(server.questions)) == (0, 2)
        async with httpx.AsyncClient() as control:
            with pytest.raises(httpx.RemoteProtocolError):
                await control.get(f"{server.url}/api/ps")
        assert len(proxy.peers) == 1


async def test_a_configured_proxy_is_used_with_its_password(make_client: Make) -> None:
    asked: list[str] = []

    async def proxy(peer: Peer, listener: Listener) -> None:
        while (question := await peer.question()) is not None:
            asked.append(question)
            await peer.answer('{"models":[]}' if "/api/ps" in question else '{"done_reason":"load"}')

    async with listening(proxy) as through:
        client = make_client("http://gpu.invalid:11434", proxy=through.url.replace("//", "//me:pa%40ss@"))
        await client.look()
        await client.load(WARM)
    assert [question.split(" ")[1] for question in asked] == [
        "http://gpu.invalid:11434/api/ps",
        "http://gpu.invalid:11434/api/generate",
    ]
    assert all("Proxy-Authorization: Basic bWU6cGFAc3M=" in question for question in asked)


@pytest.mark.parametrize(
    ("line", "reason", "status", "hint"),
    [
        ("407 Proxy Authentication Required", Failure.HTTP_4XX, 407, "name and a password"),
        ("502 Bad Gateway", Failure.HTTP_5XX, 502, "does not reach Ollama"),
    ],
)
async def test_a_proxy_that_refuses_a_tunnel_is_told_by_its_status(
    line: str, reason: Failure, status: int, hint: str, make_client: Make
) -> None:
    async with listening(saying(f"HTTP/1.1 {line}\r\nContent-Length: 0\r\n\r\n".encode())) as through:
        client = make_client("https://gpu.invalid:443", proxy=through.url.replace("//", "//me:pa%40ss@"))
        error = await failure_of(client.look())
    assert (error.reason, error.status) == (reason, status)
    assert hint in error.hint


async def test_cookies_are_not_kept(make_client: Make) -> None:
    asked: list[str] = []

    async def with_cookie(peer: Peer, listener: Listener) -> None:
        while (question := await peer.question()) is not None:
            asked.append(question)
            await peer.answer('{"models":[]}', "Set-Cookie: route=a; Path=/")

    async with listening(with_cookie) as server:
        client = make_client(server.url)
        await client.look()
        await client.look()
    assert not any("cookie" in question.lower() for question in asked)
