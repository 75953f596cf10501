"""What a sink keeps secret: its URL and its key, read from files of one line each, and kept out of what is told."""

import re
from base64 import b64encode
from pathlib import Path
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from ollama_keeper.config.effective import SinkSettings
from ollama_keeper.errors import printable
from ollama_keeper.report.notify.service import Target

HIDDEN = "[hidden]"
LARGEST = 16 * 1024
SHORTEST_SECRET = 5
SHORT = 220
SCHEMES = ("http", "https")
# `webhook` or `robot` in the middle of a path: no key, and needed to read a refusal
_WORD = re.compile(r"[a-z-]{1,15}")


class Unusable(Exception):
    """A file cannot be used; the text says why, and never what stands in it.

    Attributes:
        key: which of the sink's keys names it.
    """

    def __init__(self, key: str, what: str) -> None:
        super().__init__(what)
        self.key = key


def target(sink: SinkSettings) -> Target:
    """Where the messages of a sink go, as its files say now.

    Raises:
        Unusable: one of them cannot be read, or holds no URL.
    """
    url = line_of(sink.url_file, "url_file")
    if sink.type != "apprise":
        check_url(url, sink.url_file, "url_file")
    secret = line_of(sink.secret_file, "secret_file") if sink.secret_file else None
    return Target(url, secret)


def line_of(file: Path, key: str) -> str:
    """The one line of a file.

    Raises:
        Unusable: it cannot be read, is empty, or has more than one line.
    """
    try:
        with file.open("rb") as stream:
            text = stream.read(LARGEST + 1).decode()
    except OSError as error:
        raise Unusable(key, f"{file} cannot be read: {(error.strerror or type(error).__name__).lower()}") from None
    except UnicodeDecodeError:
        raise Unusable(key, f"{file} is not text in UTF-8") from None
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if len(lines) != 1 or len(text) > LARGEST or not lines[0].isprintable():
        raise Unusable(key, f"{file} is {'empty' if not lines else 'not one line of text'}")
    return lines[0]


def check_url(url: str, file: Path, key: str) -> None:
    """Whether it is the URL of a web service.

    Raises:
        Unusable: it is none.
    """
    try:
        parts = urlsplit(url)
        good = parts.scheme in SCHEMES and bool(parts.hostname) and parts.port != 0 and " " not in url
    except ValueError:
        good = False
    if not good:
        raise Unusable(key, f"{file} holds no http(s) URL")


def hidden(text: str, target: Target) -> str:
    """A text without the URL, the key, and every part of the URL that may be a key."""
    for secret in sorted(_secrets(target), key=len, reverse=True):
        text = text.replace(secret, HIDDEN)
    return text


def told(text: str, target: Target) -> str:
    """What a service said, as it may be told: on one line, short, and first of all without what it was sent."""
    return printable(hidden(text, target))[:SHORT]


def _secrets(target: Target) -> set[str]:
    parts = urlsplit(target.url) if "//" in target.url else urlsplit("")
    *places, last = parts.path.split("/")
    keys = [place for place in places if not _WORD.fullmatch(place)]
    pieces = [*keys, last, *(value for _, value in parse_qsl(parts.query)), parts.username, parts.password]
    whole = [target.url, target.secret, parts.path, parts.query, basic(parts)]
    written = {piece for piece in (*pieces, *whole) if piece}
    return {piece for piece in written | set(map(unquote, written)) if len(piece) >= SHORTEST_SECRET}


def basic(parts: SplitResult) -> str | None:
    """Name and password of a URL as they are sent; None where it has none."""
    if parts.username is None:
        return None
    return b64encode(f"{unquote(parts.username)}:{unquote(parts.password or '')}".encode()).decode()
