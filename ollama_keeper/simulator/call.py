"""One HTTP request as the handlers see it: its body read in Go's manner, its model found, its options resolved."""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass

from ollama_keeper.core.names import (
    DEFAULT_HOST,
    DEFAULT_NAMESPACE,
    DEFAULT_TAG,
    BadName,
    is_cloud,
    parse_name,
)
from ollama_keeper.simulator.answers import Problem
from ollama_keeper.simulator.keepalive import BadKeepAlive, parse_keep_alive
from ollama_keeper.simulator.options import BadOption, resolve
from ollama_keeper.simulator.shell import Shell
from ollama_keeper.simulator.state import SECOND, StoredModel, Wanted

INVALID_NAME = "invalid model name"
CLOUD_DISABLED = "ollama cloud is disabled: remote model is unavailable"
CLOUD_DETAILS_DISABLED = "ollama cloud is disabled: remote model details are unavailable"
_GO_NAMES = {bool: "bool", int: "number", float: "number", str: "string", list: "array", dict: "object"}
_FIELDS: Mapping[str, tuple[type | tuple[type, ...], str]] = {
    "model": (str, "string"),
    "name": (str, "string"),
    "prompt": (str, "string"),
    "suffix": (str, "string"),
    "system": (str, "string"),
    "template": (str, "string"),
    "stream": (bool, "bool"),
    "raw": (bool, "bool"),
    "shift": (bool, "bool"),
    "options": (dict, "map[string]interface {}"),
    "messages": (list, "[]api.Message"),
    "tools": (list, "api.Tools"),
}


@dataclass(frozen=True, slots=True)
class Call:
    """One request.

    Attributes:
        at: nanoseconds of the loop's clock when it came.
        who: first word of the User-Agent.
    """

    shell: Shell
    id: int
    at: int
    method: str
    path: str
    headers: Mapping[str, str]
    raw: bytes
    who: str

    def document(self, kind: str) -> dict[str, object]:
        """The body as an object of Ollama's type `kind`.

        Raises:
            Problem: 400 in the words of Go's decoder.
        """
        if not self.raw.strip():
            raise Problem(400, "missing request body")
        try:
            body = json.loads(self.raw)
        except ValueError as bad:
            raise Problem(400, _decoder_text(self.raw, bad)) from bad
        if not isinstance(body, dict):
            raise Problem(400, f"json: cannot unmarshal {_GO_NAMES[type(body)]} into Go value of type api.{kind}")
        _check_fields(body, kind)
        return body

    async def pause(self, nanoseconds: int) -> None:
        """The server's own work on the way."""
        if nanoseconds:
            await asyncio.sleep(nanoseconds / SECOND)

    def elapsed(self) -> int:
        """Nanoseconds since it came."""
        return self.shell.now() - self.at

    def keep_alive(self, body: Mapping[str, object]) -> int | None:
        """Nanoseconds.

        Raises:
            Problem: 400.
        """
        try:
            return parse_keep_alive(body, self.shell.state.version)
        except BadKeepAlive as bad:
            raise Problem(400, str(bad)) from bad

    def model(self, text: str, *, empty: Problem, unknown: Problem) -> StoredModel:
        """The stored model that a name means.

        Raises:
            Problem: `empty`, `unknown`, 400 for text that is no name, 403 for a cloud name.
        """
        name = text.strip()
        if not name:
            raise empty
        if self.shell.state.version.cloud_names and is_cloud(name):
            self.refuse_cloud(CLOUD_DISABLED)
        try:
            found = self.shell.stored(parse_name(name))
        except BadName as bad:
            raise Problem(400, INVALID_NAME) from bad
        if found is None or (found.remote_model and name.lower().endswith(":local")):
            raise unknown
        return found

    def refuse_cloud(self, text: str) -> None:
        """There is no cloud behind a simulator.

        Raises:
            Problem: 403 where it is switched off, else 401 as for one that nobody has signed in to.
        """
        raise Problem(401, "unauthorized") if self.shell.state.settings.cloud else Problem(403, text)

    def wanted(self, model: StoredModel, body: Mapping[str, object], keep_alive: int | None) -> Wanted:
        """What the scheduler is asked for.

        Raises:
            Problem: 500 for an option of the wrong type (routes:3117).
        """
        options = body.get("options")
        try:
            found = resolve(options if isinstance(options, dict) else {}, model, self.shell.state.settings)
        except BadOption as bad:
            raise Problem(500, str(bad)) from bad
        shift = body.get("shift")
        return Wanted(
            self.id,
            model,
            found.options,
            keep_alive,
            auto_context=found.auto_context,
            auto_batch=found.auto_batch,
            shift=shift if isinstance(shift, bool) else "deepseek2" not in (model.family, *model.families),
            who=self.who,
        )


def spelled(text: str) -> str:
    """A name's shortest form with its tag, in the letters it was sent with (types/model/name.go)."""
    bare = text.split("://", 1)[-1]
    if bare.lower().endswith(":local"):
        bare = bare[: -len(":local")]
    if bare.rfind(":") <= bare.rfind("/"):
        bare = f"{bare}:{DEFAULT_TAG}"
    return bare.removeprefix(f"{DEFAULT_HOST}/").removeprefix(f"{DEFAULT_NAMESPACE}/")


def _decoder_text(raw: bytes, bad: ValueError) -> str:
    at = getattr(bad, "pos", 0)
    text = raw.decode(errors="replace")
    if at >= len(text.rstrip()) or "Unterminated string" in str(bad):
        return "unexpected EOF"
    return f"invalid character {text[at]!r} looking for beginning of value"


def _check_fields(body: Mapping[str, object], kind: str) -> None:
    for name, value in body.items():
        wanted, go_type = _FIELDS.get(name, (object, ""))
        if value is not None and not isinstance(value, wanted):
            found = _GO_NAMES[type(value)]
            raise Problem(400, f"json: cannot unmarshal {found} into Go struct field {kind}.{name} of type {go_type}")
