"""TLS on real sockets: whom a client trusts, and what it tells of whom it does not."""

import ssl
from collections.abc import Callable
from pathlib import Path

import pytest

from ollama_keeper.core.reasons import Failure
from ollama_keeper.errors import Unreachable
from ollama_keeper.ollama.client import OllamaClient
from tests.unit.ollama.asking import WARM, failure_of
from tests.unit.ollama.loopback import Listener, Peer, as_ollama, listening

Make = Callable[..., OllamaClient]
CERTIFICATES = Path(__file__).with_name("certificates")
CA = CERTIFICATES / "ca.pem"


def presenting(certificate: str) -> ssl.SSLContext:
    """The context of a server with this certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATES / f"{certificate}.pem")
    return context


async def test_a_certificate_of_the_configured_authority_is_trusted(make_client: Make) -> None:
    async with listening(as_ollama(), presenting("valid")) as server:
        client = make_client(server.url, ca_file=CA)
        assert (await client.look()).models == ()
        await client.load(WARM)
        assert server.questions == ["GET /api/ps", "POST /api/generate"]


async def test_the_authority_may_be_named_by_the_environment(
    make_client: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(CA))
    async with listening(as_ollama(), presenting("valid")) as server:
        assert (await make_client(server.url).look()).models == ()


async def test_looks_over_tls_share_a_connection_and_tell_when_it_was_closed(make_client: Make) -> None:
    async with listening(as_ollama(answers=3), presenting("valid")) as server:
        client = make_client(server.url, ca_file=CA)
        assert [(await client.look()).reconnected for _ in range(5)] == [False, False, False, True, False]
        assert len(server.peers) == 2


@pytest.mark.parametrize(
    ("certificate", "trusted", "detail"),
    [
        pytest.param("valid", None, "unable to get local issuer certificate", id="unknown-authority"),
        pytest.param("other-name", CA, "IP address mismatch", id="other-name"),
        pytest.param("expired", CA, "the certificate ended at 2021-02-03T04:05:06Z", id="expired"),
    ],
)
async def test_a_certificate_that_is_not_trusted(
    certificate: str, trusted: Path | None, detail: str, make_client: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """FAULTS A9: nothing is asked, neither over TLS nor without."""
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    async with listening(as_ollama(), presenting(certificate)) as server:
        client = make_client(server.url, ca_file=trusted)
        for asked in (client.look(), client.load(WARM)):
            error = await failure_of(asked)
            assert (error.reason, type(error)) == (Failure.TLS, Unreachable)
            assert detail in error.detail
            assert "certificate" in error.hint
        assert server.questions == []


async def test_the_hint_on_an_expired_certificate_names_its_end(make_client: Make) -> None:
    async with listening(as_ollama(), presenting("expired")) as server:
        error = await failure_of(make_client(server.url, ca_file=CA).look())
        assert "2021-02-03T04:05:06Z" in error.hint


async def test_an_expired_certificate_of_an_unknown_authority_is_not_asked_for_its_end(make_client: Make) -> None:
    async with listening(as_ollama(), presenting("expired")) as server:
        error = await failure_of(make_client(server.url).look())
        assert error.reason is Failure.TLS
        assert "2021" not in str(error)


async def test_a_server_without_tls_is_told_from_a_dead_one(make_client: Make) -> None:
    async def plain(peer: Peer, listener: Listener) -> None:
        await peer.reader.read(100)
        await peer.send(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")

    async with listening(plain) as server:
        error = await failure_of(make_client(server.url.replace("http:", "https:"), ca_file=CA).look())
        assert error.reason is Failure.TLS
        assert "http or https" in error.hint


@pytest.mark.parametrize(
    "words", ["Client sent an HTTP request to an HTTPS server.", "The plain HTTP request was sent to HTTPS port"]
)
async def test_a_plain_question_to_a_tls_port_is_told_as_tls(words: str, make_client: Make) -> None:
    """FAULTS A9, as proxies answer it in plain words."""
    answer = f"HTTP/1.1 400 Bad Request\r\nContent-Length: {len(words)}\r\n\r\n{words}".encode()

    async def upright(peer: Peer, listener: Listener) -> None:
        await peer.question()
        await peer.send(answer)

    async with listening(upright) as server:
        for asked in (make_client(server.url).look(), make_client(server.url).load(WARM)):
            error = await failure_of(asked)
            assert error.reason is Failure.TLS
            assert "http or https" in error.hint


async def test_a_tls_port_that_answers_a_plain_question_with_an_alert_is_no_ollama(make_client: Make) -> None:
    """An alert cannot be told from other bytes that are no HTTP, so the hint speaks of both."""
    async with listening(as_ollama(), presenting("valid")) as server:
        error = await failure_of(make_client(server.url.replace("https:", "http:")).look())
        assert error.reason in {Failure.NOT_JSON, Failure.RESET}
        assert server.questions == []
