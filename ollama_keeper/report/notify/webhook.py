"""`webhook`: the JSON of Alertmanager, version 4, which many receivers know; a sink of its own groups nothing.

With a secret, `X-Ollama-Keeper-Signature-256: sha256=HEX` is the HMAC of the body.
"""

import hmac
from datetime import UTC, datetime, timedelta
from typing import Any

from ollama_keeper.core.delivery import Delivered, Item, Kind, Outcome, Refused
from ollama_keeper.core.reasons import Undelivered
from ollama_keeper.report.notify.letter import MARK, Letter
from ollama_keeper.report.notify.service import Answer, Post, Service, Target, json_post, refused_by_status

MOST_ALERTS = 200
TRIAL = "test_alert"
NEVER = "0001-01-01T00:00:00Z"
SIGNATURE = "x-ollama-keeper-signature-256"
PAGES = (b"<!doctype html", b"<html")


def post(letter: Letter, target: Target, at: datetime) -> Post:  # noqa: ARG001 - the signature has no time in it
    """The alerts of a letter, with its text as annotations."""
    made = json_post(target.url, _document(letter))
    if target.secret is None:
        return made
    digest = hmac.new(target.secret.encode(), made.body, "sha256").hexdigest()
    return Post(made.url, made.body, {**made.headers, SIGNATURE: f"sha256={digest}"})


def outcome(answer: Answer, now: datetime) -> Outcome:
    """Any 2xx, unless it is a page for people, such as that of a login."""
    refused = refused_by_status(answer, now)
    if refused is not None:
        return refused
    if answer.body.lstrip()[:16].lower().startswith(PAGES):
        return Refused(Undelivered.REJECTED, f"HTTP {answer.status} with a web page, as a login answers")
    return Delivered(f"HTTP {answer.status}")


def _document(letter: Letter) -> dict[str, Any]:
    shown = letter.items[:MOST_ALERTS]
    labels = [_labels(item) for item in letter.items] or [{"alertname": TRIAL}]
    common = {key: value for key, value in labels[0].items() if all(one.get(key) == value for one in labels)}
    group = {"server": common["server"]} if "server" in common else {}
    return {
        "version": "4",
        "groupKey": f"{MARK}:{group.get('server', '')}",
        "truncatedAlerts": len(letter.items) - len(shown),
        "status": "firing" if letter.firing or not letter.items else "resolved",
        "receiver": MARK,
        "groupLabels": group,
        "commonLabels": common,
        "commonAnnotations": {"summary": letter.title, "description": letter.body(64 * 1024)},
        "externalURL": "",
        "alerts": [_alert(item, letter) for item in shown] or [_trial(letter)],
    }


def _labels(item: Item) -> dict[str, str]:
    subject, incident = item.incident.subject, item.incident
    told = {
        "alertname": incident.alert.value,
        "server": subject.server,
        "model": subject.model,
        "reason": incident.reason.value if incident.reason else "",
    }
    return {key: value for key, value in told.items() if value}


def _alert(item: Item, letter: Letter) -> dict[str, Any]:
    """One alert; with `summary` and `description` of its own, which is where most receivers look for words."""
    incident, (title, text) = item.incident, letter.alone(item)
    return {
        "status": "resolved" if item.kind is Kind.RESOLVED else "firing",
        "labels": _labels(item),
        "annotations": {
            **{name: str(value) for name, value in incident.details},
            "summary": title,
            "description": text,
        },
        "startsAt": _stamp(incident.since),
        "endsAt": _stamp(incident.ended) if incident.ended else NEVER,
        "generatorURL": "",
        "fingerprint": incident.fingerprint,
    }


def _trial(letter: Letter) -> dict[str, Any]:
    """The alert of test-alert, which is over within a minute by itself."""
    return {
        "status": "firing",
        "labels": {"alertname": TRIAL},
        "annotations": {"summary": letter.title},
        "startsAt": _stamp(letter.at),
        "endsAt": _stamp(letter.at + timedelta(minutes=1)),
        "generatorURL": "",
        "fingerprint": "0" * 16,
    }


def _stamp(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


SERVICE = Service(post, outcome)
