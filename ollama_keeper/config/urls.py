"""Addresses of servers: the URLs of the configuration, and `OLLAMA_HOST` as Ollama reads it.

Both come out as `http(s)://host:port[/prefix]`, with an address that can be connected to. A URL that holds a password
is refused and never shown: secrets come from files.
"""

import re
from ipaddress import ip_address
from urllib.parse import SplitResult, urlsplit

from ollama_keeper.config.values import Wrong, shown
from ollama_keeper.core.address import DNS

DEFAULT_URL = "http://127.0.0.1:11434"
DEFAULT_PORT = 11_434
SCHEME_PORTS = {"http": 80, "https": 443}

_HOST = re.compile(r"[^\s/?#@\[\]\\:%]+")
_BARE = re.compile(r"([\w.-]+|\[[0-9A-Fa-f:.]+\])(:\d{1,5})?(/[!-~]*)?", re.ASCII)
_EXAMPLE = f"write {DEFAULT_URL}"


def server_url(value: object) -> str:
    """The URL of a server, in its one normal form; `dns+` before it is kept.

    Raises:
        Wrong: it is no URL of a server; one with a password in it is not shown.
    """
    text = value.strip() if isinstance(value, str) else ""
    if text.startswith(DNS):
        return DNS + _name_url(text.removeprefix(DNS))
    parts = _http_parts(text, value)
    if parts.username is not None:
        raise Wrong("the URL holds a user name or password", "take it out; token_file names a file with a token")
    if parts.query or parts.fragment:
        raise Wrong("the URL has more than a path", "take away what follows it, from ? or # on")
    prefix = parts.path.rstrip("/")
    if prefix in {"/api", "/v1"} or prefix.startswith("/api/"):
        raise Wrong(f"{shown(text)} names a path of the API", f"write {parts.scheme}://{parts.netloc}")
    port = parts.port or SCHEME_PORTS[parts.scheme]
    return f"{parts.scheme}://{_connectable(parts.hostname or '')}:{port}{prefix}"


def _name_url(text: str) -> str:
    """The URL behind `dns+`: its host must be a name, which stands for all the addresses that it leads to."""
    url = server_url(text)
    if _is_ip(urlsplit(url).hostname or ""):
        raise Wrong(f"{shown(DNS + text)} holds an address, not a name", f"write {url}")
    return url


def proxy_url(value: object) -> str:
    """The URL of a proxy; it may hold a password, and is never shown.

    Raises:
        Wrong: it is no http URL.
    """
    text = value.strip() if isinstance(value, str) else ""
    try:
        _http_parts(text, value)
    except Wrong:
        raise Wrong("is not the URL of a proxy", "write http://HOST:PORT") from None
    return text.rstrip("/")


def host_url(text: str) -> str | None:
    """The server that `OLLAMA_HOST` means to Ollama's own clients; None where it says nothing.

    Spaces and quotes around it do not count. Without a scheme the port is 11434 (`ollama.com` alone: https), with one
    it is 80 or 443; a bad port is the default one. An empty host, 0.0.0.0 and :: are asked on the loopback address
    (OLLAMA.md 8; read, not run).

    Raises:
        Wrong: another scheme, or a password in it.
    """
    trimmed = text.strip().strip("\"'").strip()
    if not trimmed:
        return None
    scheme, given, rest = trimmed.partition("://")
    if not given:
        scheme, rest = ("https", "ollama.com:443") if trimmed == "ollama.com" else ("http", trimmed)
    if scheme not in SCHEME_PORTS or not trimmed.isprintable():
        raise Wrong("is not an http address", "write http://HOST:PORT")
    netloc, _, prefix = rest.partition("/")
    host, port = _host_and_port(netloc)
    if "@" in netloc or not (_HOST.fullmatch(host) or _is_ip(host)):
        raise Wrong("is not the address of a server", "write HOST:PORT or http://HOST:PORT")
    default = SCHEME_PORTS[scheme] if given else DEFAULT_PORT
    number = int(port) if re.fullmatch(r"\+?\d{1,9}", port, re.ASCII) and int(port) <= 65_535 else default
    return f"{scheme}://{_connectable(host)}:{number}{f'/{prefix}'.rstrip('/')}"


def default_name(url: str) -> str:
    """The name of a server that has none: host and port of its URL."""
    return urlsplit(url).netloc


def is_loopback(url: str) -> bool:
    """Whether requests to a URL stay on this machine."""
    host = urlsplit(url).hostname or ""
    return host == "localhost" or host.endswith(".localhost") or (_is_ip(host) and ip_address(host).is_loopback)


def _http_parts(text: str, value: object) -> SplitResult:
    """The parts of an http URL whose host and port can be used."""
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        parts, port = SplitResult("", "", "", "", ""), None
    host = parts.hostname or ""
    clean = text.isprintable() and " " not in text
    if parts.scheme in SCHEME_PORTS and port != 0 and clean and (_HOST.fullmatch(host) or _is_ip(host)):
        return parts
    if "@" in text or "?" in text:
        raise Wrong("is not the URL of a server, and may hold a secret", _EXAMPLE)
    hint = f"write http://{text}" if _BARE.fullmatch(text) else _EXAMPLE
    raise Wrong(f"{shown(value)} is not the URL of a server", hint)


def _connectable(host: str) -> str:
    """A host as it stands in a URL; what a server listens on (any address) becomes the loopback address."""
    if not host:
        return "127.0.0.1"
    if not _is_ip(host):
        return host.lower()
    address = ip_address(host)
    if address.is_unspecified:
        return "127.0.0.1" if address.version == 4 else "[::1]"
    return str(address) if address.version == 4 else f"[{address}]"


def _host_and_port(netloc: str) -> tuple[str, str]:
    """Host without brackets, and the text of the port; a bare IPv6 address has no port."""
    if netloc.startswith("["):
        host, _, rest = netloc[1:].partition("]")
        return host, rest[1:]
    if netloc.count(":") == 1:
        host, _, port = netloc.partition(":")
        return host or "127.0.0.1", port
    return netloc or "127.0.0.1", ""


def _is_ip(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True
