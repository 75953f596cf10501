"""Which `Host` headers are answered."""

import pytest

from ollama_keeper.web.hosts import Hosts, host_of

HOSTS = Hosts("10.0.0.5", ["Keeper.Example.ORG", "fd00::5"])


@pytest.mark.parametrize(
    "header",
    [
        pytest.param("127.0.0.1", id="loopback-without-a-port"),
        pytest.param("127.8.9.10:80", id="any-loopback-address"),
        pytest.param("[::1]:11480", id="loopback-by-ipv6"),
        pytest.param("[::ffff:127.0.0.1]:11480", id="loopback-by-ipv4-in-ipv6"),
        pytest.param("LOCALHOST:11480", id="localhost-in-any-case"),
        pytest.param("keeper.localhost", id="below-localhost"),
        pytest.param("localhost.", id="localhost-with-the-final-dot"),
        pytest.param("10.0.0.5:11480", id="the-address-that-is-listened-on"),
        pytest.param("keeper.example.org:443", id="a-configured-name-in-any-case"),
        pytest.param("[fd00:0::5]:11480", id="a-configured-address-written-otherwise"),
        pytest.param("10.244.1.7:11480", id="the-address-that-was-reached"),
    ],
)
def test_a_host_of_ours_is_answered(header: str) -> None:
    assert HOSTS.allows(header, reached="10.244.1.7")


@pytest.mark.parametrize(
    "header",
    [
        pytest.param("evil.example", id="a-name-of-somebody"),
        pytest.param("evil.example:11480", id="with-our-port"),
        pytest.param("localhost.evil.example", id="localhost-in-front"),
        pytest.param("notlocalhost", id="localhost-behind"),
        pytest.param("sub.keeper.example.org", id="below-a-configured-name"),
        pytest.param("10.0.0.6", id="another-address"),
        pytest.param("0.0.0.0:11480", id="no-address-at-all"),
        pytest.param("2130706433", id="loopback-as-a-number"),
        pytest.param("user@127.0.0.1", id="with-a-user"),
        pytest.param("127.0.0.1:", id="with-an-empty-port"),
        pytest.param("127.0.0.1:80:80", id="with-two-ports"),
        pytest.param("127.0.0.1, evil.example", id="two-in-one"),
        pytest.param("[::1", id="a-bracket-left-open"),
        pytest.param("[::1]evil.example", id="a-name-behind-the-bracket"),
        pytest.param("", id="none"),
        pytest.param(":11480", id="a-port-only"),
    ],
)
def test_a_host_of_somebody_else_is_not(header: str) -> None:
    assert not HOSTS.allows(header, reached="10.244.1.7")


def test_the_address_that_was_reached_is_known_for_that_connection_only() -> None:
    assert not HOSTS.allows("10.244.1.7", reached="10.0.0.5")
    assert not HOSTS.allows("10.244.1.7")


def test_a_host_loses_its_port_and_takes_its_shortest_form() -> None:
    assert host_of("[0:0:0:0:0:0:0:1]:80") == "::1"
    assert host_of("Keeper.Example.org.:80") == "keeper.example.org"
