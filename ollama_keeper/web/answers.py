"""The answers of the status surface: JSON, and a word of text for probes."""

import json
from http import HTTPStatus
from typing import Any

from starlette.responses import Response


class Json(Response):
    """A JSON document. What could end a script or a line of a log is escaped, whatever a model is called."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        """The text of a document; other than ASCII as escapes."""
        text = json.dumps(content, separators=(",", ":"), allow_nan=False)
        return text.translate(_ESCAPED).encode("ascii") + b"\n"


_ESCAPED = {ord(sign): f"\\u{ord(sign):04x}" for sign in "<>&\x7f"}


def problem(status: int, error: str, **more: str) -> Json:
    """Why a request was not answered as it was asked."""
    return Json({"error": error, **more}, status_code=status)


def no(status: int, **headers: str) -> Json:
    """The same, in the words of HTTP."""
    return Json({"error": HTTPStatus(status).phrase.lower()}, status_code=status, headers=headers)
