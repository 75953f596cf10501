"""What every service has in common: target, request, answer, and the rules of HTTP that hold for all."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from ollama_keeper.core.delivery import Delivered, Outcome, Refused
from ollama_keeper.core.reasons import Undelivered
from ollama_keeper.ollama.headers import retry_after_s
from ollama_keeper.report.notify.letter import Letter

READ = 4_096  # of an answer's text; what is told of it is shorter, once our secrets are out of it
JSON_TYPE = "application/json; charset=utf-8"
RATE_LIMIT_S = 60.0
AGAIN = frozenset({408, 425})


@dataclass(frozen=True, slots=True)
class Target:
    """Where a sink's messages go. Both are secrets: they are in no repr."""

    url: str = field(repr=False)
    secret: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Post:
    """One request."""

    url: str = field(repr=False)
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict, hash=False, repr=False)


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back; names of headers match in any case. Of the body the first 64 KiB."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def document(self) -> dict[str, Any]:
        """The JSON object that it is; empty where it is none."""
        try:
            document = json.loads(self.body)
        except (ValueError, RecursionError):
            return {}
        return document if isinstance(document, dict) else {}

    @property
    def text(self) -> str:
        """The beginning of its body."""
        return self.body[:READ].decode(errors="replace").strip()


@dataclass(frozen=True, slots=True)
class Service:
    """How one kind of sink is spoken to.

    Attributes:
        post: a letter as its request, at a moment that signatures go by.
        outcome: what an answer means, received at a moment.
    """

    post: Callable[[Letter, Target, datetime], Post]
    outcome: Callable[[Answer, datetime], Outcome]


def json_post(url: str, document: object, **headers: str) -> Post:
    """A request with a JSON body."""
    body = json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()
    return Post(url, body, {"content-type": JSON_TYPE, **headers})


def refused_by_status(answer: Answer, now: datetime) -> Refused | None:
    """What a status says by itself; None for 2xx, which says nothing yet."""
    status, told = answer.status, f"HTTP {answer.status}{f': {answer.text}' if answer.text else ''}"
    asked_s = retry_after_s(answer.headers, now)
    if 200 <= status < 300:
        return None
    if status == 429:
        return Refused(Undelivered.RATE_LIMITED, told, retry_after_s=RATE_LIMIT_S if asked_s is None else asked_s)
    if status >= 500 or status in AGAIN:
        return Refused(Undelivered.SERVER_ERROR, told, retry_after_s=asked_s)
    if status == 401:
        return Refused(Undelivered.AUTH, told)
    if 300 <= status < 400:
        told = f"HTTP {status}: it redirects, which is not followed"
    return Refused(Undelivered.CLIENT_ERROR, told, final=True)


@dataclass(frozen=True, slots=True)
class Codes:
    """What the codes inside a 200 mean; one that is not named is a refusal that may end.

    Attributes:
        key: of the code; `said` of its words.
        limited_s: how long a rate limit of that service holds, seconds.
    """

    key: str
    said: str
    limited: frozenset[int] = frozenset()
    auth: frozenset[int] = frozenset()
    wrong: frozenset[int] = frozenset()
    limited_s: float = RATE_LIMIT_S


def outcome_by_code(answer: Answer, codes: Codes, now: datetime) -> Outcome:
    """Delivered only where the body says 0."""
    refused = refused_by_status(answer, now)
    code = answer.document.get(codes.key)
    if refused is not None and not isinstance(code, int):
        return refused
    if isinstance(code, bool) or not isinstance(code, int):
        return Refused(Undelivered.REJECTED, f"HTTP {answer.status} without {codes.key}: {answer.text}")
    said = str(answer.document.get(codes.said, ""))[:READ].strip()
    told = f"{codes.key} {code}{f': {said}' if said else ''}"
    if code == 0:
        return refused or Delivered(told)
    return _refused(code, codes, told)


def _refused(code: int, codes: Codes, told: str) -> Refused:
    if code in codes.limited:
        return Refused(Undelivered.RATE_LIMITED, told, retry_after_s=codes.limited_s)
    if code in codes.auth:
        return Refused(Undelivered.AUTH, told)
    if code in codes.wrong:
        return Refused(Undelivered.CLIENT_ERROR, told, final=True)
    return Refused(Undelivered.REJECTED, told)
