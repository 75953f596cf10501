"""The answers of the status surface: JSON, and a word of text for probes."""

from http import HTTPStatus
from typing import Any

from starlette.responses import Response

from ollama_keeper.web.escaped import as_json


class Json(Response):
    """A JSON document."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        """The text of a document, on one line."""
        return as_json(content) + b"\n"


class Written(Response):
    """A JSON document whose text is made already."""

    media_type = "application/json"


def problem(status: int, error: str, **more: str) -> Json:
    """Why a request was not answered as it was asked."""
    return Json({"error": error, **more}, status_code=status)


def no(status: int, **headers: str) -> Json:
    """The same, in the words of HTTP."""
    return Json({"error": HTTPStatus(status).phrase.lower()}, status_code=status, headers=headers)
