"""Whose `Host` header is answered: without this check a web page of a stranger could read us by DNS rebinding."""

from collections.abc import Iterable
from ipaddress import ip_address


class Hosts:
    """The names and addresses that the keeper is asked by.

    Args:
        listen: host that it listens on.
        allowed: further hosts, of the operator.
    """

    def __init__(self, listen: str, allowed: Iterable[str] = ()) -> None:
        self._known = frozenset(_normal(host) for host in (listen, *allowed))

    def allows(self, header: str, reached: str | None = None) -> bool:
        """Whether a request with this `Host` is answered; `reached` is the local address that it came in on."""
        host = host_of(header)
        if host is None:
            return False
        own = reached is not None and host == _normal(reached)
        return own or host in self._known or is_loopback(host)


def host_of(header: str) -> str | None:
    """The host of a `Host` header, in its normal form, without its port; None where it is none."""
    text = header.strip()
    if text.startswith("["):
        host, closed, port = text[1:].partition("]")
        bad = not closed or (port != "" and not _is_port(port))
    else:
        host, colon, port = text.partition(":")
        bad = bool(colon) and not _is_port(colon + port)
    return None if bad or not host else _normal(host)


def is_loopback(host: str) -> bool:
    """Whether a host in its normal form is this machine, whatever a name server says."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _is_port(text: str) -> bool:
    return text[1:].isascii() and text[1:].isdigit() and text[0] == ":" and len(text) <= 6


def _normal(host: str) -> str:
    """Lower case, no final dot, an address in its shortest form; an IPv4 address that came in over IPv6 as IPv4."""
    bare = host.strip("[]").rstrip(".").lower()
    try:
        address = ip_address(bare)
    except ValueError:
        return bare
    mapped = address.ipv4_mapped if address.version == 6 else None
    return str(mapped or address)
