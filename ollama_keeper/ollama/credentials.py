"""What a request carries beside its question, and whom it trusts: headers, token, certificates."""

import os
import re
import ssl
from base64 import b64encode
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import unquote, urlsplit

from ollama_keeper.core.address import Address
from ollama_keeper.errors import ConfigError, Mistake

HIDDEN = "[hidden]"
SHORTEST_SECRET = 4

_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_HEADER_VALUE = re.compile(r"[\x21-\x7e]([\t \x21-\x7e]*[\x21-\x7e])?|")


def request_headers(address: Address, user_agent: str) -> dict[str, str]:
    """Headers of every request, names in lower case: the configured ones over ours, and the token over both.

    No packed answer is asked for: Ollama packs none, and unpacking is where bombs go off.

    Raises:
        ConfigError: a header cannot be sent, or `token_file` cannot be used; the message never shows a value.
    """
    configured = {_header_name(address, name): _header_value(address, name, value) for name, value in address.headers}
    ours = {"user-agent": user_agent, "accept-encoding": "identity", **_host(address)}
    return {**ours, **configured, **_bearer(address)}


def _host(address: Address) -> dict[str, str]:
    """The name that led to the address, which a proxy with a certificate may go by.

    Without TLS there is Ollama itself, which refuses foreign names where it is bound to loopback (OLLAMA.md 6).
    """
    if address.asked_as is None or not address.url.startswith("https://"):
        return {}
    port = urlsplit(address.url).port
    return {"host": f"{address.asked_as}:{port}" if port else address.asked_as}


def tls_context(address: Address) -> ssl.SSLContext | None:
    """Whom an https server must be certified by; None for a plain one, since loading certificates costs 20 ms.

    `ca_file`, else `SSL_CERT_FILE` of the environment, else the certificates of the machine.

    Raises:
        ConfigError: the file cannot be used.
    """
    if not address.url.startswith("https://"):
        return None
    key, file = trusted_file(address)
    try:
        return ssl.create_default_context(cafile=file)
    except (OSError, ssl.SSLError) as error:
        what = f"{file} cannot be used: {_why(error)}"
        raise unusable(address, key, what, "name a PEM file with the certificates to trust") from None


def trusted_file(address: Address) -> tuple[str, str | None]:
    """The file of the certificates to trust, after the setting that names it; None for those of the machine."""
    return ("ca_file", str(address.ca_file)) if address.ca_file else ("SSL_CERT_FILE", _cert_file())


def secrets(address: Address, headers: Mapping[str, str]) -> tuple[str, ...]:
    """What no message may show, the longest first: the token, the values of configured headers, the proxy's password.

    What is shorter than four characters is left out: it is in every text.
    """
    sent = [headers[name.lower()] for name, _ in address.headers]
    token = headers.get("authorization", "").removeprefix("Bearer ")
    found = {*sent, token, *_proxy_secrets(address.proxy)}
    return tuple(sorted((secret for secret in found if len(secret) >= SHORTEST_SECRET), key=len, reverse=True))


def hide(text: str, secrets: tuple[str, ...]) -> str:
    """Foreign text without our secrets: a server may send back what it was sent."""
    for secret in secrets:
        text = text.replace(secret, HIDDEN)
    return text


def unusable(address: Address, key: str, what: str, hint: str) -> ConfigError:
    """The error for a setting of this server that turned out to be no good when it was used."""
    return ConfigError((Mistake(source=address.name, key=key, what=what, hint=hint),))


def _proxy_secrets(proxy: str | None) -> tuple[str, ...]:
    """The password of a proxy as it may come back: as configured, decoded, and as `Proxy-Authorization`."""
    parts = urlsplit(proxy or "")
    if not parts.password:
        return ()
    name, password = unquote(parts.username or ""), unquote(parts.password)
    return parts.password, password, b64encode(f"{name}:{password}".encode()).decode()


def _cert_file() -> str | None:
    return os.environ.get("SSL_CERT_FILE") or None


def _bearer(address: Address) -> dict[str, str]:
    if address.token_file is None:
        return {}
    token = _read(address, Path(address.token_file)).strip()
    if not token or not _HEADER_VALUE.fullmatch(token):
        what = f"{address.token_file} holds no token"
        raise unusable(address, "token_file", what, "write the token, alone and on one line, into it")
    return {"authorization": f"Bearer {token}"}


def _read(address: Address, path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        what = f"{path} cannot be read: {_why(error)}"
        raise unusable(address, "token_file", what, "make it readable for the user that runs the keeper") from None


def _header_name(address: Address, name: str) -> str:
    if not _HEADER_NAME.fullmatch(name):
        raise unusable(address, "headers", f"{name!r} is not the name of a header", "use letters, digits and hyphens")
    return name.lower()


def _header_value(address: Address, name: str, value: str) -> str:
    if not _HEADER_VALUE.fullmatch(value):
        hint = "use printable ASCII, without spaces at its ends"
        raise unusable(address, f"headers.{name}", "this value cannot be sent", hint)
    return value


def _why(error: Exception) -> str:
    if isinstance(error, ssl.SSLError):
        return "no certificate in it"
    return (error.strerror or "no reason told") if isinstance(error, OSError) else "not text"
