"""Secrets taken out of a line, last of all: whoever wrote it, a library included."""

import re

REDACTED = "[redacted]"
_SECRETS = (
    (re.compile(r"(?i)\b(bearer\s+)[^\s\"'\\,;]+"), rf"\1{REDACTED}"),
    (re.compile(r"(://)[^\s/?#\"'\\]+@"), rf"\1{REDACTED}@"),
    (re.compile(r"(?i)([?&](?:access_token|api_?key|key|token|secret|sign)=)[^\s&#\"'\\]+"), rf"\1{REDACTED}"),
)
"""Bearer tokens, name and password of a URL, keys in its query; each ends before what would end a JSON string."""


def redacted(line: str) -> str:
    """The line without bearer tokens, and without what gives access in a URL."""
    for secret, instead in _SECRETS:
        line = secret.sub(instead, line)
    return line
