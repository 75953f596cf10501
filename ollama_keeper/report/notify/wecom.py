"""`wecom`: the bot of a WeCom group, in Markdown of at most 4,096 bytes, 20 messages a minute.

The key in its URL is all that it knows; there is no signature. Delivered is `errcode` 0. Codes by public reports: 45009
rate, 93000 no such bot, 40058 a body that it does not take.
"""

from datetime import datetime

from ollama_keeper.core.delivery import Outcome
from ollama_keeper.report.notify.letter import Letter, cut
from ollama_keeper.report.notify.plain import unmarked
from ollama_keeper.report.notify.service import Answer, Codes, Post, Service, Target, json_post, outcome_by_code

MOST_BYTES = 4_096
TITLE_BYTES = 300
CODES = Codes("errcode", "errmsg", limited=frozenset({45009, 45033}), wrong=frozenset({93000, 40013}))


def post(letter: Letter, target: Target, at: datetime) -> Post:  # noqa: ARG001 - nothing is signed
    """Title in bold, text below it."""
    title = cut(unmarked(letter.title), TITLE_BYTES)
    room = MOST_BYTES - TITLE_BYTES - 100
    content = cut(f"**{title}**\n\n{cut(unmarked(letter.body(room - room // 10)), room)}", MOST_BYTES)
    return json_post(target.url, {"msgtype": "markdown", "markdown": {"content": content}})


def outcome(answer: Answer, now: datetime) -> Outcome:
    """`errcode` 0."""
    return outcome_by_code(answer, CODES, now)


SERVICE = Service(post, outcome)
