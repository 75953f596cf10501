"""Stand-ins of the services that messages go to, as strict as those: signature, body, size, rate, and their answers.

Each refuses as the real one does, mostly with HTTP 200 and a code in the body. What they take is kept, with its time:
the truth about what was told is there, never in the keeper's log (FAULTS.md 2: N).
"""

import asyncio
import base64
import hashlib
import hmac
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, unquote_plus

import httpx

from tests.kit.checks import CANARY

SECRET = f"{CANARY}-of-a-sink"
TOKEN = f"{CANARY}-of-a-hook"
MINUTE_S = 60.0

Reply = tuple[int, dict[str, str], bytes]


@dataclass(frozen=True, slots=True)
class Received:
    """One message that a service was asked to deliver."""

    at: float
    text: str
    document: Mapping[str, Any]
    taken: bool


@dataclass(slots=True)
class Service:
    """One service.

    Attributes:
        check: gives its own answer to a message: code 0 where it is taken.
        secret: signed with it; None takes what is unsigned.
        replies: answers that come first, whatever was asked; `delay_s` before each answer; `hangs` never answers.
        down: nothing listens.
        asked: all that was asked, taken or not.
    """

    check: Callable[["Service", "Asked"], Reply]
    secret: str | None = None
    replies: list[Reply] = field(default_factory=list)
    always: Reply | None = None
    delay_s: float = 0.0
    hangs: bool = False
    down: bool = False
    asked: list[Received] = field(default_factory=list)
    beats: list[float] = field(default_factory=list)

    @property
    def taken(self) -> list[Received]:
        """What was delivered."""
        return [one for one in self.asked if one.taken]

    def answer(self, asked: "Asked") -> Reply:
        """The answer to one request."""
        if asked.method == "GET":
            self.beats.append(asked.at)
            return self.always or (200, {}, b"OK")
        canned = self.always or (self.replies.pop(0) if self.replies else None)
        reply = canned or self.check(self, asked)
        taken = canned is None and reply[0] < 300 and _says_yes(reply)
        document = _document(asked.body)
        self.asked.append(Received(asked.at, asked.body.decode(errors="replace"), document, taken))
        return reply

    def recent(self, at: float) -> int:
        """How many it was asked for within the last minute."""
        return sum(at - one.at < MINUTE_S for one in self.asked)


@dataclass(frozen=True, slots=True)
class Asked:
    """One request: when, in seconds of the loop and of the wall clock."""

    at: float
    wall: float
    method: str
    query: str
    headers: Mapping[str, str]
    body: bytes


def said(code: int, text: str = "", *, key: str = "errcode", words: str = "errmsg", status: int = 200) -> Reply:
    """An answer with a code in it."""
    return status, {"content-type": "application/json"}, json.dumps({key: code, words: text or "ok"}).encode()


# --- the services -----------------------------------------------------------------------------------------------------


def webhook(service: Service, asked: Asked) -> Reply:
    """Alertmanager's receiver: version 4, all its keys, and the HMAC of the body where there is a secret."""
    if service.secret is not None:
        made = hmac.new(service.secret.encode(), asked.body, hashlib.sha256).hexdigest()
        if asked.headers.get("x-ollama-keeper-signature-256") != f"sha256={made}":
            return 401, {}, b"signature"
    document = _document(asked.body)
    keys = {"version", "groupKey", "truncatedAlerts", "status", "receiver", "groupLabels", "commonLabels"}
    keys |= {"commonAnnotations", "externalURL", "alerts"}
    if document.keys() != keys or document["version"] != "4" or not _alerts_are_good(document):
        return 400, {}, b"body"
    return 200, {}, b""


def _alerts_are_good(document: Mapping[str, Any]) -> bool:
    keys = {"status", "labels", "annotations", "startsAt", "endsAt", "generatorURL", "fingerprint"}
    firing = any(alert["status"] == "firing" for alert in document["alerts"])
    whole = all(alert.keys() == keys and "alertname" in alert["labels"] for alert in document["alerts"])
    return whole and (document["status"] == "firing") == firing


def feishu(service: Service, asked: Asked) -> Reply:
    """open.feishu.cn: 20 KB, signed within the hour, a text or a card whose texts are all there."""
    document = _document(asked.body)
    if len(asked.body) > 20_000:
        return _feishu(9499, "Bad Request: body too large")
    if service.recent(asked.at) >= 100:
        return _feishu(11232, "frequency limited psm[lark.oapi.app_platform_runtime]appID[1500]")
    if service.secret is not None:
        stamp = str(document.get("timestamp", ""))
        key = f"{stamp}\n{service.secret}".encode()
        sign = base64.b64encode(hmac.new(key, b"", hashlib.sha256).digest()).decode()
        if document.get("sign") != sign or abs(asked.wall - float(stamp or 0)) > 3_600:
            return _feishu(19021, "sign match fail or timestamp is not within one hour from current time")
    if not _feishu_text(document):
        return _feishu(19002, "params error, msg_type need")
    return (
        200,
        {},
        json.dumps({"StatusCode": 0, "StatusMessage": "success", "code": 0, "data": {}, "msg": "success"}).encode(),
    )


def _feishu(code: int, text: str) -> Reply:
    return said(code, text, key="code", words="msg")


def _feishu_text(document: Mapping[str, Any]) -> bool:
    if document.get("msg_type") == "text":
        return bool(document["content"]["text"])
    card = document.get("card", {})
    elements = card.get("elements", [])
    return bool(card.get("header", {}).get("title", {}).get("content")) and all(
        element["tag"] == "div" and element["text"]["content"] for element in elements
    )


def wecom(service: Service, asked: Asked) -> Reply:
    """qyapi.weixin.qq.com: 20 a minute, Markdown of 4,096 bytes."""
    if parse_qs(asked.query).get("key") != [TOKEN]:
        return said(93000, "invalid webhook url")
    if service.recent(asked.at) >= 20:
        return said(45009, "api freq out of limit")
    document = _document(asked.body)
    content = document.get("markdown", {}).get("content", "")
    if document.get("msgtype") != "markdown" or not content:
        return said(40008, "invalid message type")
    if len(content.encode()) > 4_096:
        return said(40058, "markdown.content exceed max length 4096")
    return said(0)


def dingtalk(service: Service, asked: Asked) -> Reply:
    """oapi.dingtalk.com: signed in the query, encoded once, within the hour; 20 a minute, 20,000 bytes."""
    query = {part.split("=", 1)[0]: unquote_plus(part.split("=", 1)[1]) for part in asked.query.split("&")}
    if query.get("access_token") != TOKEN:
        return said(300005, "token is not exist")
    if service.secret is not None:
        stamp = query.get("timestamp", "0")
        made = hmac.new(service.secret.encode(), f"{stamp}\n{service.secret}".encode(), hashlib.sha256).digest()
        if query.get("sign") != base64.b64encode(made).decode() or abs(asked.wall - float(stamp) / 1_000) > 3_600:
            return said(310000, "sign not match, more: [https://ding-doc.dingtalk.com/]")
    if service.recent(asked.at) >= 20:
        return said(130101, "send too fast, exceed 20 times per minute")
    document = _document(asked.body)
    markdown = document.get("markdown", {})
    if document.get("msgtype") != "markdown" or not markdown.get("title") or not markdown.get("text"):
        return said(40035, "invalid parameters")
    return said(0) if len(asked.body) <= 20_000 else said(460101, "message too long")


KINDS = {"webhook": webhook, "feishu": feishu, "lark": feishu, "wecom": wecom, "dingtalk": dingtalk}
PATHS = {
    "webhook": f"/hook/{TOKEN}",
    "feishu": f"/open-apis/bot/v2/hook/{TOKEN}",
    "lark": f"/open-apis/bot/v2/hook/{TOKEN}",
    "wecom": f"/cgi-bin/webhook/send?key={TOKEN}",
    "dingtalk": f"/robot/send?access_token={TOKEN}",
}


def made(kind: str, *, secret: str | None = None) -> Service:
    """A stand-in of a kind."""
    return Service(KINDS[kind], secret)


def _document(body: bytes) -> dict[str, Any]:
    try:
        document = json.loads(body)
    except ValueError:
        return {}
    return document if isinstance(document, dict) else {}


def _says_yes(reply: Reply) -> bool:
    document = _document(reply[2])
    return not any(document.get(key) for key in ("code", "errcode")) and b"<html" not in reply[2]


# --- the way to them --------------------------------------------------------------------------------------------------


class Services(httpx.AsyncBaseTransport):
    """Brings messages to stand-ins by the host of their URL, without a socket."""

    def __init__(self, **services: Service) -> None:
        self.services = services

    def __getitem__(self, name: str) -> Service:
        return self.services[name]

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """One message.

        Raises:
            httpx.TransportError: as a real network brings it about.
        """
        host = request.headers["host"].partition(".")[0]
        service = self.services.get(host)
        if service is None or service.down:
            raise httpx.ConnectError("All connection attempts failed", request=request)
        if service.hangs:
            await asyncio.get_running_loop().create_future()
        await asyncio.sleep(service.delay_s)
        body = await request.aread()
        now, wall = asyncio.get_running_loop().time(), _wall()
        query = request.url.query.decode()
        asked = Asked(now, wall, request.method, query, dict(request.headers), body)
        status, headers, content = service.answer(asked)
        return httpx.Response(status, headers=headers, stream=httpx.ByteStream(content))


def _wall() -> float:
    from datetime import UTC, datetime

    return datetime.now(UTC).timestamp()


def arrived(services: Services) -> tuple[Mapping[str, Any], ...]:
    """Every alert that a webhook took, in order; of one message what has ended first."""
    service = services.services.get("webhook")
    messages = [one.document["alerts"] for one in service.taken] if service else []
    return tuple(
        alert for alerts in messages for alert in sorted(alerts, key=lambda alert: alert["status"] == "firing")
    )


def named(alerts: Iterable[Mapping[str, Any]]) -> list[str]:
    """Alerts in a few words: `firing server_down gpu`."""
    return [
        f"{alert['status']} {labels['alertname']} {labels.get('model') or labels.get('server', 'keeper')}"
        for alert in alerts
        for labels in (alert["labels"],)
    ]


class Remembered:
    """Keeps documents as a store does, over as many keepers as are given it."""

    def __init__(self) -> None:
        self.documents: dict[str, Mapping[str, Any]] = {}

    def note(self, key: str, document: Mapping[str, Any] | None) -> None:
        """Keeps a document, or takes it away; only what JSON can hold."""
        if document is None:
            self.documents.pop(key, None)
        else:
            self.documents[key] = json.loads(json.dumps(document))

    def notes(self, prefix: str) -> dict[str, Mapping[str, Any]]:
        """Those whose keys begin so."""
        return {key: value for key, value in self.documents.items() if key.startswith(prefix)}
