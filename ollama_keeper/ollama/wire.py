"""Answers into facts, and load requests into bodies: tolerant of what is unknown, strict about what is needed.

A bad *entry* of a list is skipped and counted; a bad *document* is `BadShape`. Neither is ever "no models".
"""

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from ollama_keeper.core.facts import Kind, Listed, LoadRequest, ProbeRequest, Pulled, Send, Shown
from ollama_keeper.core.names import BadName, parse_name
from ollama_keeper.core.requests import needs_embed

Json = Mapping[str, Any]

EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)  # dates are clamped to these, so that no arithmetic on them can overflow
LATEST = datetime(9000, 1, 1, tzinfo=UTC)
LARGEST_SIZE = 2**63 - 1  # what the server itself counts with
LARGEST_CONTEXT = 2**31 - 1

_BLOB = re.compile(r"^FROM[ \t]+.*?(sha256-[0-9a-f]{64})[ \t\"]*\r?$", re.MULTILINE | re.IGNORECASE)
_NUM_CTX = re.compile(r"^num_ctx\s+(\d{1,10})\s*$", re.MULTILINE)
_VERSION = re.compile(
    r"v?[0-9]{1,6}\.[0-9]{1,6}[0-9A-Za-z.+-]{0,60}"
)  # Python converts no number of more than 4,300 digits
_DIGEST = re.compile(r"[0-9A-Za-z:+.-]{0,200}")


class BadShape(Exception):
    """An answer that is JSON, but not what this endpoint of Ollama answers."""


def parse_document(body: bytes) -> Json:
    """The JSON object of an answer; strict UTF-8 without a byte order mark, as Go writes it.

    Raises:
        ValueError: not JSON.
        BadShape: JSON, but no object.
    """
    try:
        document = json.loads(body.decode("utf-8"))
    except RecursionError as error:
        msg = "nested too deeply"
        raise ValueError(msg) from error
    if not isinstance(document, dict):
        msg = f"a JSON {type(document).__name__} instead of an object"
        raise BadShape(msg)
    return document


def parse_ps(document: Json) -> tuple[tuple[Listed, ...], int]:
    """The models that `/api/ps` lists, and how many entries made no sense (OLLAMA.md 5).

    One name may be listed twice, after a pull: both entries are kept.

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
    if not isinstance(version, str) or not _VERSION.fullmatch(version):
        msg = "no version"
        raise BadShape(msg)
    return version


def parse_show(document: Json) -> Shown:
    """What `/api/show` tells of a model (OLLAMA.md 6).

    Raises:
        BadShape: it has no "details", which every version sends.
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
        trained_context=_context(info.get(f"{architecture}.context_length")),
        own_context=_own_context(document),
        mlx=details.get("format") == "safetensors",
        layers=_context(info.get(f"{architecture}.block_count")),
        heads=_context(info.get(f"{architecture}.attention.head_count")),
        kv_heads=_context(info.get(f"{architecture}.attention.head_count_kv")),
        width=_context(info.get(f"{architecture}.embedding_length")),
        key_width=_context(info.get(f"{architecture}.attention.key_length")),
        value_width=_context(info.get(f"{architecture}.attention.value_length")),
        feed_forward=_context(info.get(f"{architecture}.feed_forward_length")),
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


def probe_body(request: ProbeRequest) -> tuple[str, dict[str, object]]:
    """Path and body of a probe: exactly one token, raw, so that no template and no conversation is touched."""
    if request.kind is Kind.EMBEDDER:
        body: dict[str, object] = {"model": request.model, "input": "1"}
        return "/api/embed", body | ({"options": dict(request.options)} if request.options else {})
    options = {**dict(request.options), "num_predict": 1}
    return "/api/generate", {"model": request.model, "prompt": "1", "raw": True, "stream": False, "options": options}


def parse_probe(document: Json) -> float | None:
    """Seconds that a probe took by the server's clock; None where it does not tell.

    Raises:
        BadShape: it is an error, or neither a finished generation nor embeddings.
    """
    said = _said(document)
    done = document.get("done") is True or bool(document.get("embeddings"))
    if said is not None or not done:
        msg = said or "answered, but without a token"
        raise BadShape(msg)
    total = document.get("total_duration")
    if isinstance(total, bool) or not isinstance(total, int) or not 0 <= total <= LARGEST_SIZE:
        return None
    return total / 1e9


def loaded(request: LoadRequest, body: bytes) -> str | None:
    """None when a 200 says that it was done; else the error inside (before 0.12.6 errors came in a 200).

    The last line decides: a stream may begin well and end with an error (OLLAMA.md 7).

    Raises:
        ValueError: not JSON.
        BadShape: JSON, but neither what was asked for nor an error.
    """
    document = _last_line(body)
    said = _said(document)
    if said is not None:
        return said
    wanted = "unload" if request.send is Send.UNLOAD else "load"
    good = document.get("embeddings") == [] if needs_embed(request) else document.get("done_reason") == wanted
    if not good:
        msg = f"answered, but not as {wanted}ed: done_reason {document.get('done_reason')!r}"
        raise BadShape(msg)
    return None


def error_text(body: bytes) -> str | None:
    """The text of `{"error": …}`, by which Ollama's own failures are told from a proxy's; None where there is none."""
    try:
        return _said(parse_document(body))
    except (ValueError, BadShape):
        return None


def parse_instant(text: str) -> datetime:
    """An RFC 3339 date in any zone, as aware UTC between the years 1970 and 9000; nanoseconds are cut (OLLAMA.md 1).

    Raises:
        ValueError: no such date.
    """
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        msg = f"{text!r} has no zone"
        raise ValueError(msg)
    return EARLIEST if moment < EARLIEST else LATEST if moment > LATEST else moment.astimezone(UTC)


# --- lists ------------------------------------------------------------------------------------------------------------


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
            digest=_digest(entry.get("digest")),
            size=_size(entry.get("size")),
            size_vram=_size(entry.get("size_vram")),
            context_length=_context(entry.get("context_length")),
            expires_at=parse_instant(entry["expires_at"]),
        )
    except (KeyError, TypeError, ValueError):  # BadName is a ValueError
        return None


def _pulled(raw: object) -> Pulled | None:
    try:
        entry = _mapping(raw)
        name = parse_name(entry.get("name") or entry["model"])
        return Pulled(name, _digest(entry.get("digest")), remote=_is_remote(entry), size=_size(entry.get("size")))
    except (BadName, KeyError, TypeError):
        return None


def _mapping(raw: object) -> Json:
    if not isinstance(raw, dict):
        msg = "not an object"
        raise TypeError(msg)
    return raw


def _digest(value: object) -> str:
    """A digest; an absent one is empty, a wrong one makes the entry bad."""
    if value is None:
        return ""
    if not isinstance(value, str) or not _DIGEST.fullmatch(value):
        msg = f"{value!r} is no digest"
        raise TypeError(msg)
    return value


def _size(value: object) -> int:
    """A size in bytes; an absent one is 0, a wrong one makes the entry bad."""
    if value is None:
        return 0
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= LARGEST_SIZE:
        msg = f"{value!r} is no size"
        raise TypeError(msg)
    return value


def _context(value: object) -> int | None:
    """A number of tokens; None where the server does not tell, which must never become `num_ctx: 0` (OLLAMA.md 3)."""
    if isinstance(value, bool) or not isinstance(value, int):
        return None
    return value if 0 < value <= LARGEST_CONTEXT else None


# --- /api/show --------------------------------------------------------------------------------------------------------


def _is_remote(entry: Json) -> bool:
    return bool(entry.get("remote_host") or entry.get("remote_model"))


def _kind(document: Json, info: Json, architecture: object) -> Kind:
    if _is_remote(document):
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
    """File name of the blob that the server keys the runner by: the first FROM that is no comment (OLLAMA.md 5)."""
    modelfile = document.get("modelfile")
    found = _BLOB.search(modelfile) if isinstance(modelfile, str) else None
    return found.group(1).lower() if found else None


def _own_context(document: Json) -> int | None:
    parameters = document.get("parameters")
    found = _NUM_CTX.search(parameters) if isinstance(parameters, str) else None
    return _context(int(found.group(1))) if found else None


# --- errors -----------------------------------------------------------------------------------------------------------


def _last_line(body: bytes) -> Json:
    try:
        return parse_document(body)
    except ValueError:
        return parse_document(body.rstrip().rpartition(b"\n")[2])


def _said(document: Json) -> str | None:
    """The text of an error; `/v1` wraps it once more (OLLAMA.md 7)."""
    error = document.get("error")
    text = error.get("message") if isinstance(error, dict) else error
    return text if isinstance(text, str) else None
