r"""`dingtalk`: the custom robot of a DingTalk group, in Markdown of at most 20,000 bytes, 20 messages a minute.

Signed where there is a secret, in the query: base64 of the HMAC-SHA256 of `TIMESTAMP\nSECRET`, keyed with the secret,
milliseconds, URL-encoded once: what is encoded twice does not match. Delivered is `errcode` 0. Codes by public reports:
310000 signature, keyword or address; 130101, 660026, 410100 and 90030 rate, which holds for ten minutes; 300005 and
400101 no such robot.
"""

import hmac
from base64 import b64encode
from datetime import datetime
from urllib.parse import quote_plus

from ollama_keeper.core.delivery import Outcome
from ollama_keeper.report.notify.letter import Letter, cut
from ollama_keeper.report.notify.plain import unmarked
from ollama_keeper.report.notify.service import Answer, Codes, Post, Service, Target, json_post, outcome_by_code

MOST_BYTES = 20_000
ROOM = 17_000
CODES = Codes(
    "errcode",
    "errmsg",
    limited=frozenset({130101, 660026, 410100, 90030}),
    auth=frozenset({310000}),
    wrong=frozenset({300005, 400101}),
    limited_s=600.0,
)


def post(letter: Letter, target: Target, at: datetime) -> Post:
    """Title, which the list of chats shows, and text."""
    title = cut(unmarked(letter.title), 200)
    text = f"### {title}\n\n" + unmarked(letter.body(ROOM)).replace("\n", "  \n")
    document = {"msgtype": "markdown", "markdown": {"title": title, "text": cut(text, MOST_BYTES - 1_000)}}
    return json_post(_signed(target, at), document)


def outcome(answer: Answer, now: datetime) -> Outcome:
    """`errcode` 0."""
    return outcome_by_code(answer, CODES, now)


def signature(secret: str, timestamp_ms: int) -> str:
    """Not yet encoded for a URL."""
    return b64encode(hmac.new(secret.encode(), f"{timestamp_ms}\n{secret}".encode(), "sha256").digest()).decode()


def _signed(target: Target, at: datetime) -> str:
    if target.secret is None:
        return target.url
    timestamp = int(at.timestamp() * 1_000)
    joint = "&" if "?" in target.url else "?"
    return f"{target.url}{joint}timestamp={timestamp}&sign={quote_plus(signature(target.secret, timestamp))}"


SERVICE = Service(post, outcome)
