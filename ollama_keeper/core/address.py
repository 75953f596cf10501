"""Where a server is, and how it is spoken to."""

from dataclasses import dataclass, field
from pathlib import PurePath

DNS = "dns+"  # before a URL: the host is a name, which stands for all the servers that it leads to


@dataclass(frozen=True, slots=True)
class Address:
    """One Ollama server.

    Attributes:
        name: what the keeper calls it; unique.
        url: `http(s)://host:port[/prefix]`, without a trailing slash.
        token_file, ca_file: files read when the client is made; a token is sent as `Authorization: Bearer`.
        headers: sent with every request, in order.
        proxy: URL of the proxy to the server; the environment's proxy variables are never used.
        asked_as: the name that led to the address in `url`; sent as `Host`, and what a certificate must name.
        look_timeout_s: how long one `/api/ps` may take; from 0.32.4 it waits for locks held up to 10 s (OLLAMA.md 5).
    """

    name: str
    url: str
    token_file: PurePath | None = None
    ca_file: PurePath | None = None
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    proxy: str | None = field(default=None, repr=False)
    look_timeout_s: float = 15.0
    asked_as: str | None = None
