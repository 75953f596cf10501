"""Addresses of servers: what is written, and what is connected to."""

import pytest

from ollama_keeper.config.urls import default_name, host_url, is_loopback, proxy_url, server_url
from ollama_keeper.config.values import Wrong


@pytest.mark.parametrize(
    ("written", "url"),
    [
        ("http://127.0.0.1:11434", "http://127.0.0.1:11434"),
        ("http://127.0.0.1:11434/", "http://127.0.0.1:11434"),
        ("HTTP://GPU-Box:11434", "http://gpu-box:11434"),
        ("http://gpu-box", "http://gpu-box:80"),
        ("https://gpu.example", "https://gpu.example:443"),
        ("https://example.com/ollama/", "https://example.com:443/ollama"),
        ("http://[::1]:11434", "http://[::1]:11434"),
        ("http://0.0.0.0:11434", "http://127.0.0.1:11434"),
        ("http://[::]:11434", "http://[::1]:11434"),
        ("http://ollama_1:11434", "http://ollama_1:11434"),
    ],
)
def test_a_url_has_one_form(written: str, url: str) -> None:
    assert server_url(written) == url
    assert server_url(url) == url


@pytest.mark.parametrize(
    "written",
    [
        "",
        "gpu-box",
        "gpu-box:11434",
        "http://",
        "http://:11434",
        "http://a b",
        "http://a:0",
        "http://a:99999",
        "http://[::1",
        5,
        None,
    ],
)
def test_what_is_no_url_is_refused(written: object) -> None:
    with pytest.raises(Wrong):
        server_url(written)


@pytest.mark.parametrize(
    "written",
    [
        "http://me:secret@a",
        "http://secret@a",
        "http://a/?k=secret",
        "me:secret@a",
        "http://u:secret@[",
        "ftp://a?secret",
    ],
)
def test_a_url_that_may_hold_a_secret_is_refused_without_showing_it(written: str) -> None:
    with pytest.raises(Wrong) as caught:
        server_url(written)
    assert "secret" not in caught.value.hint + caught.value.what.replace("hold a secret", "")


@pytest.mark.parametrize(
    ("written", "url"),
    [
        pytest.param("", None, id="nothing"),
        pytest.param('""', None, id="only-quotes"),
        pytest.param("1.2.3.4", "http://1.2.3.4:11434", id="address"),
        pytest.param("1.2.3.4:1234", "http://1.2.3.4:1234", id="address-and-port"),
        pytest.param(":1234", "http://127.0.0.1:1234", id="port-alone-is-this-machine"),
        pytest.param("gpu.example", "http://gpu.example:11434", id="host"),
        pytest.param("gpu.example:1234", "http://gpu.example:1234", id="host-and-port"),
        pytest.param(":0", "http://127.0.0.1:0", id="port-zero"),
        pytest.param(":66000", "http://127.0.0.1:11434", id="port-too-large"),
        pytest.param(":-1", "http://127.0.0.1:11434", id="port-too-small"),
        pytest.param("gpu:x", "http://gpu:11434", id="port-no-number"),
        pytest.param("[::1]", "http://[::1]:11434", id="ipv6"),
        pytest.param("[::]", "http://[::1]:11434", id="ipv6-of-all-is-loopback"),
        pytest.param("::1", "http://[::1]:11434", id="ipv6-bare"),
        pytest.param("[::1]:1337", "http://[::1]:1337", id="ipv6-and-port"),
        pytest.param(" 1.2.3.4 ", "http://1.2.3.4:11434", id="spaces"),
        pytest.param(' " 1.2.3.4 " ', "http://1.2.3.4:11434", id="spaces-and-quotes"),
        pytest.param("'1.2.3.4'", "http://1.2.3.4:11434", id="single-quotes"),
        pytest.param("http://1.2.3.4", "http://1.2.3.4:80", id="http-is-80"),
        pytest.param("http://1.2.3.4:4321", "http://1.2.3.4:4321", id="http-and-port"),
        pytest.param("https://1.2.3.4", "https://1.2.3.4:443", id="https-is-443"),
        pytest.param("https://example.com/ollama", "https://example.com:443/ollama", id="prefix"),
        pytest.param("ollama.com", "https://ollama.com:443", id="ollama-com"),
        pytest.param("0.0.0.0", "http://127.0.0.1:11434", id="all-addresses-is-loopback"),
        pytest.param("0.0.0.0:1234", "http://127.0.0.1:1234", id="all-addresses-and-port"),
        pytest.param("https://0.0.0.0:4321", "https://127.0.0.1:4321", id="all-addresses-https"),
    ],
)
def test_ollama_host_means_what_it_means_to_ollama(written: str, url: str | None) -> None:
    assert host_url(written) == url


@pytest.mark.parametrize("written", ["ftp://a", "unix:///run/ollama.sock", "http://me:secret@a", "a b"])
def test_an_ollama_host_that_no_client_could_use_is_refused(written: str) -> None:
    with pytest.raises(Wrong):
        host_url(written)


def test_a_server_without_a_name_is_called_by_host_and_port() -> None:
    assert default_name(server_url("https://example.com/ollama")) == "example.com:443"


@pytest.mark.parametrize(
    ("url", "local"),
    [
        ("http://localhost:1", True),
        ("http://127.9.9.9:1", True),
        ("http://[::1]:1", True),
        ("http://gpu:1", False),
        ("http://10.0.0.1:1", False),
    ],
)
def test_loopback_is_this_machine(url: str, local: bool) -> None:
    assert is_loopback(url) is local


def test_a_proxy_may_hold_a_password() -> None:
    assert proxy_url("http://me:secret@proxy:3128/") == "http://me:secret@proxy:3128"
