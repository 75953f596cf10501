"""`healthcheck`: one line and 0 or 1, whatever listens at the address."""

import socket
import threading
from collections.abc import Callable, Iterator

import pytest

from ollama_keeper.commands.healthcheck import healthcheck

Answering = Callable[[bytes], str]


@pytest.fixture
def answering() -> Iterator[Answering]:
    """Makes a server that answers its first question with these bytes; gives its address."""
    threads: list[threading.Thread] = []

    def make(answer: bytes) -> str:
        bound = socket.create_server(("127.0.0.1", 0))

        def answer_once() -> None:
            with bound, bound.accept()[0] as connection:
                connection.recv(4096)
                connection.sendall(answer)

        threads.append(threading.Thread(target=answer_once))
        threads[-1].start()
        return f"127.0.0.1:{bound.getsockname()[1]}"

    yield make
    for thread in threads:
        thread.join()


@pytest.mark.parametrize("written", ["{}", "http://{}", "http://{}/"])
def test_an_answer_of_200_is_live(answering: Answering, capsys: pytest.CaptureFixture[str], written: str) -> None:
    assert healthcheck(written.format(answering(b"HTTP/1.1 200 OK\r\n\r\nlive\n"))) == 0
    assert capsys.readouterr().out == "live\n"


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        pytest.param(b"HTTP/1.1 403 Forbidden\r\nX: y\r\n\r\n", "HTTP/1.1 403 Forbidden", id="refused"),
        pytest.param(b"", "no answer of ours", id="closed"),
        pytest.param(b"\x1b[31mSSH-2.0\r\n", "no answer of ours", id="something-else"),
    ],
)
def test_any_other_answer_is_not_live(
    answering: Answering, capsys: pytest.CaptureFixture[str], answer: bytes, why: str
) -> None:
    assert healthcheck(answering(answer)) == 1
    told = capsys.readouterr().err
    assert told.endswith(f": {why}\n")
    assert told.count("\n") == 1


@pytest.mark.parametrize("address", ["off", "keeper", "127.0.0.1:99999", "127.0.0.1:-1", "https://keeper:x", ":", ":1"])
def test_what_is_no_address_is_wrong_where_it_was_written(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    assert healthcheck(address) == 64
    assert capsys.readouterr().err.startswith(f"ollama-keeper: --url: {address!r} is not HOST:PORT; ")
    monkeypatch.setenv("OLLAMA_KEEPER_WEB__LISTEN", address)
    assert healthcheck(None) == 78
    assert capsys.readouterr().err.startswith("ollama-keeper: OLLAMA_KEEPER_WEB__LISTEN: ")


def test_an_empty_url_is_wrong_and_an_empty_variable_is_none(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert healthcheck("") == 64
    assert "--url: '' is not HOST:PORT" in capsys.readouterr().err
    monkeypatch.setenv("OLLAMA_KEEPER_WEB__LISTEN", " ")
    assert healthcheck(None) in {0, 1}
    assert "HOST:PORT" not in capsys.readouterr().err


def test_a_password_in_an_address_is_neither_taken_nor_shown(capsys: pytest.CaptureFixture[str]) -> None:
    assert healthcheck("http://me:hush@127.0.0.1:11480") == 64
    assert "hush" not in capsys.readouterr().err
