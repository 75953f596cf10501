r"""`feishu` and `lark`: the custom bot of a group; the same interface at open.feishu.cn and open.larksuite.com.

A card; with a template a plain text. Signed where there is a secret: base64 of the HMAC-SHA256 of nothing, keyed with
`TIMESTAMP\nSECRET`, seconds. A request of more than 20 KB is refused, and more than 100 a minute or 5 a second.
Delivered is `code` 0 (older answers: `StatusCode` 0). Codes by public reports: 19001 no such bot, 19021 signature,
19022 address, 19024 keyword, 11232 rate, 9499 a bad or too frequent request.
"""

import hmac
import json
from base64 import b64encode
from dataclasses import replace
from datetime import datetime
from typing import Any

from ollama_keeper.core.delivery import Outcome
from ollama_keeper.report.notify.letter import Letter, cut
from ollama_keeper.report.notify.plain import harmless
from ollama_keeper.report.notify.service import Answer, Codes, Post, Service, Target, json_post, outcome_by_code

MOST_BYTES = 20_000
ROOM = 12_000  # for text: JSON around each paragraph, and what must be escaped, take the rest
CODES = Codes(
    "code", "msg", limited=frozenset({11232}), auth=frozenset({19021, 19022}), wrong=frozenset({19001, 19002})
)
BAD_REQUEST = 9499


def post(letter: Letter, target: Target, at: datetime) -> Post:
    """A card, or the operator's own text."""
    document = _text(letter) if letter.templated is not None else _card(letter)
    return json_post(target.url, {**_signed(target.secret, at), **document})


def outcome(answer: Answer, now: datetime) -> Outcome:
    """`code` 0. 9499 says by its words alone whether it was too often."""
    document = answer.document
    if "code" not in document and "StatusCode" in document:
        renamed = {"code": document["StatusCode"], "msg": document.get("StatusMessage", "")}
        answer = replace(answer, body=json.dumps(renamed).encode())
    too_many = document.get("code") == BAD_REQUEST and "too many" in str(document.get("msg", "")).lower()
    codes = replace(CODES, limited=CODES.limited | {BAD_REQUEST}) if too_many else CODES
    return outcome_by_code(answer, codes, now)


def signature(secret: str, timestamp: int) -> str:
    """As Feishu makes it: the key holds time and secret, and nothing is signed."""
    return b64encode(hmac.new(f"{timestamp}\n{secret}".encode(), b"", "sha256").digest()).decode()


def _signed(secret: str | None, at: datetime) -> dict[str, str]:
    if secret is None:
        return {}
    timestamp = int(at.timestamp())
    return {"timestamp": str(timestamp), "sign": signature(secret, timestamp)}


def _text(letter: Letter) -> dict[str, Any]:
    text = harmless(f"{letter.title}\n{letter.body(ROOM)}")
    return {"msg_type": "text", "content": {"text": cut(text, ROOM + 1_000)}}


def _card(letter: Letter) -> dict[str, Any]:
    colour = "green" if not letter.firing else "orange" if letter.resolved else "red"
    parts = letter.body(ROOM).split("\n\n")
    return {
        "msg_type": "interactive",
        "card": {
            "config": {"wide_screen_mode": True},
            "header": {"title": {"tag": "plain_text", "content": cut(letter.title, 300)}, "template": colour},
            "elements": [{"tag": "div", "text": {"tag": "plain_text", "content": harmless(part)}} for part in parts],
        },
    }


SERVICE = Service(post, outcome)
