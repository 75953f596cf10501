"""What a daemon tells is asked for first, and taken only where it makes sense."""

import json
import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from ollama_keeper.commands.asked import SERVICE, about, asked, can_be_asked, means, sockets
from ollama_keeper.commands.handed import kept
from ollama_keeper.config import Config, load
from ollama_keeper.config.places import control_socket

MODEL = {"server": "gpu:11434", "model": "a", "state": "ready", "reason": None, "resident": True, "required": True}
SERVER = {"name": "gpu:11434", "state": "up", "version": "0.33.0"}
STATUS = {"version": 1, "at": "2026-11-24T12:00:00+00:00", "servers": [SERVER], "models": [MODEL]}


def config(listen: str = "off", **environ: str) -> Config:
    """A configuration that finds no file and no socket of this machine."""
    variables = {"HOME": "/nonexistent", "OLLAMA_KEEPER_WEB__SOCKET": "off", "OLLAMA_KEEPER_WEB__LISTEN": listen}
    return load(path=None, models=["a"], environ={**variables, **environ})


@contextmanager
def answering(document: object) -> Iterator[str]:
    """An address at which every request is answered so."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = document if isinstance(document, bytes) else json.dumps(document).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield f"127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_the_page_is_asked_where_there_is_no_socket() -> None:
    with answering(STATUS) as listen:
        answer = asked(config(listen))
    assert answer is not None
    (row,) = answer.status.models
    assert (answer.where, row.model, row.state, row.owed) == (listen, "a", "ready", False)


def test_keys_of_a_newer_daemon_are_left_out() -> None:
    with answering({**STATUS, "more": 1, "models": [{**MODEL, "more": 1}]}) as listen:
        assert asked(config(listen)) is not None


@pytest.mark.parametrize(
    "document",
    [
        pytest.param([], id="a-list"),
        pytest.param(b"<html>", id="no-json"),
        pytest.param({"models": []}, id="another-service"),
        pytest.param({**STATUS, "models": [{"model": "a"}]}, id="a-row-without-its-keys"),
        pytest.param({**STATUS, "models": [{**MODEL, "state": 1}]}, id="a-state-that-is-a-number"),
        pytest.param({**STATUS, "models": [{**MODEL, "since": "lately"}]}, id="a-moment-that-is-none"),
        pytest.param({**STATUS, "models": ["a"]}, id="a-row-that-is-text"),
        pytest.param({**STATUS, "at": None}, id="no-moment"),
    ],
)
def test_what_makes_no_sense_is_no_daemon(document: object) -> None:
    with answering(document) as listen:
        assert asked(config(listen)) is None


def test_foreign_text_is_made_safe_to_print() -> None:
    with answering({**STATUS, "models": [{**MODEL, "model": "a\x1b[2Jb"}]}) as listen:
        answer = asked(config(listen))
    assert answer is not None
    assert "\x1b" not in answer.status.models[0].model


def test_nobody_who_answers_is_none() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        listen = f"127.0.0.1:{free.getsockname()[1]}"
    assert asked(config(listen)) is None
    assert can_be_asked(config(listen))
    assert not can_be_asked(config())


def test_a_daemon_that_has_none_of_the_servers_is_not_meant() -> None:
    with answering(STATUS) as listen:
        answer = asked(config(listen))
        assert answer is not None
        assert about(answer, config(OLLAMA_HOST="gpu:11434")) == answer
        assert about(answer, config(OLLAMA_HOST="other:11434")) is None


def test_the_servers_behind_a_name_are_those_of_the_name() -> None:
    server = {**SERVER, "name": "10.0.0.7:11434"}
    with answering({**STATUS, "servers": [server]}) as listen:
        answer = asked(config(listen))
        assert answer is not None
        assert about(answer, config(OLLAMA_KEEPER_OLLAMA="dns+http://gpus:11434")) is not None


def test_a_model_is_kept_by_whatever_name_it_was_written() -> None:
    rows = [{**MODEL, "model": "library/a:latest"}, {**MODEL, "model": "b", "state": "guest"}]
    with answering({**STATUS, "models": rows}) as listen:
        asking = config(listen, OLLAMA_HOST="gpu:11434")
        answer = asked(asking)
    assert answer is not None
    assert list(kept(asking, answer)) == [("gpu:11434", "a")]
    assert not means("a", "b")


def test_the_service_of_the_machine_is_tried_where_no_other_socket_was_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/nonexistent")
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    monkeypatch.delenv("RUNTIME_DIRECTORY", raising=False)
    usual = load(path=None, models=["a"], environ=os.environ)
    assert sockets(usual) == (control_socket(os.environ, usual.state_dir), SERVICE)
    named = load(path=None, models=["a"], environ={**os.environ, "OLLAMA_KEEPER_WEB__SOCKET": "/run/mine.sock"})
    assert sockets(named) == (Path("/run/mine.sock"),)
    assert sockets(config()) == ()
