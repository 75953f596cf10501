"""Answers into facts, and load requests into bodies: tolerant of what is unknown, strict about what is needed.

A bad *entry* of a list is skipped and counted; a bad *document* is `BadShape`. Neither is ever "no models".
"""

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from ollama_keeper.core.facts import Kind, Listed, LoadRequest, Pulled, Shown
from ollama_keeper.core.names import BadName, parse_name
from ollama_keeper.core.requests import needs_embed

Json = Mapping[str, Any]

_BLOB = re.compile(r"^FROM\s+(\S*sha256-[0-9a-f]{64}\S*)\s*$", re.MULTILINE | re.IGNORECASE)
_NUM_CTX = re.compile(r"^num_ctx\s+(\d+)\s*$", re.MULTILINE)
_VERSION = re.compile(r"v?\d+\.\d+")
_FRACTION = re.compile(r"(\.\d{6})\d+")


class BadShape(Exception):
    """An answer that is JSON, but not what this endpoint of Ollama answers."""


def parse_document(body: bytes) -> Json:
    """The JSON object of an answer.

    Raises:
        ValueError: not JSON.
        BadShape: JSON, but no object.
    """
    document = json.loads(body)
    if not isinstance(document, dict):
        msg = f"a JSON {type(document).__name__} instead of an object"
        raise BadShape(msg)
    return document


def parse_ps(document: Json) -> tuple[tuple[Listed, ...], int]:
    """The models that `/api/ps` lists, and how many entries made no sense (OLLAMA.md 5).

    Raises:
        BadShape: there is no list "models".
    """
    parsed = [_listed(entry) for entry in _models(document)]
    good = tuple(entry for entry in parsed if entry is not None)
    return good, len(parsed) - len(good)


def parse_tags(document: Json) -> tuple[Pulled, ...]:
    """The models that `/api/tags` lists (OLLAMA.md 6).

    Raises:
        BadShape: there is no list "models".
    """
    return tuple(entry for raw in _models(document) if (entry := _pulled(raw)) is not None)


def parse_version(document: Json) -> str:
    """The text of `/api/version`.

    Raises:
        BadShape: it is not a version.
    """
    version = document.get("version")
    if not isinstance(version, str) or not _VERSION.match(version):
        msg = "no version: this is not an Ollama server"
        raise BadShape(msg)
    return version


def parse_show(document: Json) -> Shown:
    """What `/api/show` tells of a model (OLLAMA.md 6).

    Raises:
        BadShape: it has none of the fields that every version sends.
    """
    details = document.get("details")
    if not isinstance(details, dict):
        msg = 'no "details"'
        raise BadShape(msg)
    info = document.get("model_info")
    info = info if isinstance(info, dict) else {}
    architecture = info.get("general.architecture")
    return Shown(
        kind=_kind(document, info, architecture),
        weights=_weights(document),
        trained_context=_positive(info.get(f"{architecture}.context_length")),
        own_context=_own_context(document),
        mlx=details.get("format") == "safetensors",
    )


def load_body(request: LoadRequest) -> tuple[str, dict[str, object]]:
    """Path and body of a load-only request (OLLAMA.md 2, 13): never a prompt, so never a token."""
    body: dict[str, object] = {"model": request.model}
    if needs_embed(request):
        body["input"] = []
    else:
        body["stream"] = False
    if request.keep_alive is not None:
        body["keep_alive"] = request.keep_alive
    if request.options:
        body["options"] = dict(request.options)
    return ("/api/embed" if needs_embed(request) else "/api/generate"), body


def loaded(request: LoadRequest, body: bytes) -> str | None:
    """None when a 200 says that the model is loaded; else the error inside (before 0.12.6 errors came in a 200).

    The last line decides: a stream may begin well and end with an error (OLLAMA.md 7).
    """
    lines = [line for line in body.splitlines() if line.strip()]
    try:
        document = parse_document(lines[-1] if lines else b"")
    except (ValueError, BadShape):
        return "an answer that is not JSON"
    if isinstance(document.get("error"), str):
        return str(document["error"])
    good = document.get("embeddings") == [] if needs_embed(request) else document.get("done_reason") == "load"
    return None if good else f"not answered as loaded: done_reason {document.get('done_reason')!r}"


def error_text(body: bytes) -> str:
    """The text of an Ollama error, or what else the body says, for people."""
    try:
        error = json.loads(body).get("error")
    except (ValueError, AttributeError):
        return body[:2048].decode("utf-8", "replace")
    return error if isinstance(error, str) else json.dumps(error, ensure_ascii=False)


def parse_instant(text: str) -> datetime:
    """An RFC 3339 date with up to nine decimals and any zone, as aware UTC.

    Raises:
        ValueError: no such date, or none that fits.
    """
    moment = datetime.fromisoformat(_FRACTION.sub(r"\1", text))
    if moment.tzinfo is None:
        msg = f"{text!r} has no zone"
        raise ValueError(msg)
    try:
        return moment.astimezone(UTC)
    except OverflowError as error:
        msg = f"{text!r} is out of range"
        raise ValueError(msg) from error


def _models(document: Json) -> list[Any]:
    models = document.get("models")
    if not isinstance(models, list):
        msg = 'no list "models"'
        raise BadShape(msg)
    return models


def _listed(raw: object) -> Listed | None:
    try:
        entry = _mapping(raw)
        text = entry.get("name") or entry["model"]
        return Listed(
            name=parse_name(text),
            text=text,
            digest=str(entry.get("digest") or ""),
            size=_size(entry.get("size")),
            size_vram=_size(entry.get("size_vram")),
            context_length=_positive(entry.get("context_length")),
            expires_at=parse_instant(entry["expires_at"]),
        )
    except (BadName, KeyError, TypeError, ValueError, AttributeError):
        return None


def _pulled(raw: object) -> Pulled | None:
    try:
        entry = _mapping(raw)
        name = parse_name(entry.get("name") or entry["model"])
    except (BadName, KeyError, TypeError, AttributeError):
        return None
    return Pulled(
        name, str(entry.get("digest") or ""), remote=bool(entry.get("remote_host") or entry.get("remote_model"))
    )


def _mapping(raw: object) -> Json:
    if not isinstance(raw, dict):
        msg = "not an object"
        raise TypeError(msg)
    return raw


def _size(value: object) -> int:
    """A size in bytes; an absent one is 0, a wrong one makes the entry bad."""
    if value is None:
        return 0
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        msg = f"{value!r} is no size"
        raise TypeError(msg)
    return value


def _positive(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else None


def _kind(document: Json, info: Json, architecture: object) -> Kind:
    if document.get("remote_host") or document.get("remote_model"):
        return Kind.CLOUD
    capabilities = document.get("capabilities")
    if not isinstance(capabilities, list) or not capabilities:  # before 0.6.4
        return Kind.EMBEDDER if f"{architecture}.pooling_type" in info else Kind.COMPLETION
    if "completion" in capabilities:
        return Kind.COMPLETION
    if "embedding" in capabilities:
        return Kind.EMBEDDER
    return Kind.IMAGE if "image" in capabilities else Kind.COMPLETION


def _weights(document: Json) -> str | None:
    """The blob that the server keys the runner by: the first FROM that is not a comment (OLLAMA.md 5, aliases)."""
    modelfile = document.get("modelfile")
    found = _BLOB.search(modelfile) if isinstance(modelfile, str) else None
    return found.group(1).replace("\\", "/").rsplit("/", 1)[-1] if found else None


def _own_context(document: Json) -> int | None:
    parameters = document.get("parameters")
    found = _NUM_CTX.search(parameters) if isinstance(parameters, str) else None
    return int(found.group(1)) if found else None
