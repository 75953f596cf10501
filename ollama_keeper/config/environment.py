"""`OLLAMA_KEEPER_*`: the keys of the configuration as variables.

pydantic-settings ignores a variable that it does not know, so all are walked here: one that means nothing is a mistake.
Empty ones count as not set, as Compose files write them (`${X:-}`).
"""

import difflib
import re
from collections.abc import Iterator, Mapping

from ollama_keeper.config.layer import Layer, Path, Place
from ollama_keeper.config.schema import LISTS, TABLES, Settings, keys_of
from ollama_keeper.errors import Mistake

SOURCE = "environment"
PREFIX = "OLLAMA_KEEPER_"
CONFIG = "OLLAMA_KEEPER_CONFIG"
MODELS = "OLLAMA_KEEPER_MODELS"
NO_KEYS = frozenset({CONFIG, MODELS, "OLLAMA_KEEPER_LIVE_URL", "OLLAMA_KEEPER_LIVE_MODELS"})

_INSTEAD = {"SERVERS": f"write {PREFIX}OLLAMA for one server, or a file"}
_HEADERS = "HEADERS__"
# Kubernetes sets these in each pod beside a Service named ollama-keeper or ollama-keeper-something.
_SERVICE_LINK = re.compile(r"OLLAMA_KEEPER_([A-Z0-9_]*_)?(SERVICE_(HOST|PORT\w*)|PORT(_\d+_(TCP|UDP|SCTP)\w*)?)")


def read(environ: Mapping[str, str]) -> Layer:
    """The settings of all variables but the list of models; unknown ones are among its mistakes."""
    data: dict[str, object] = {}
    values: dict[Path, Place] = {}
    mistakes: list[Mistake] = []
    for variable, text in _set(environ):
        place, name = Place(SOURCE, variable), variable.removeprefix(PREFIX)
        if path := _path(name):
            values[path] = place
            _put(data, path, text)
        else:
            mistakes.append(place.mistake(*_unknown(name)))
    if environ.get(MODELS, "").strip():
        values[("models",)] = Place(SOURCE, MODELS)
    return Layer(SOURCE, data, values, values, tuple(mistakes))


def models(environ: Mapping[str, str]) -> tuple[str, ...]:
    """The models that `OLLAMA_KEEPER_MODELS` names, by comma or space."""
    return tuple(environ.get(MODELS, "").replace(",", " ").split())


def _set(environ: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """The variables that are meant for the configuration, and their text."""
    for variable, text in sorted(environ.items()):
        ours = variable.startswith(PREFIX) and variable not in NO_KEYS and not _SERVICE_LINK.fullmatch(variable)
        if ours and text.strip():
            yield variable, text.strip()


def _path(name: str) -> Path | None:
    """The key that a variable sets, its prefix taken off; None for a name that means none."""
    if name.startswith(_HEADERS) and name != _HEADERS:
        return ("headers", name.removeprefix(_HEADERS).replace("_", "-"))
    return _known().get(name)


def _known() -> dict[str, Path]:
    """The key of each name, prefix taken off; tables are given key by key, and lists of tables only by the file."""
    whole = {name: (name,) for name in Settings.model_fields if name not in {"headers", *LISTS, *TABLES}}
    parts = {
        f"{table}__{key}": (table, key) for table, kind in TABLES.items() for key in keys_of(kind) if key not in LISTS
    }
    return {name.upper(): path for name, path in (whole | parts).items()}


def _unknown(name: str) -> tuple[str, str]:
    """What is wrong with a name, and what to write."""
    if name.lower().rpartition("__")[2] in LISTS:
        return "is a list of tables, which no variable can hold", _INSTEAD.get(name, "write it in a file")
    if name.lower() in {*TABLES, "headers"}:
        return "is a table, which is set key by key", f"write {PREFIX}{name}__KEY"
    near = difflib.get_close_matches(name, [*_known(), "MODELS", "CONFIG"], n=1, cutoff=0.6)
    return "means nothing here", f"did you mean {PREFIX}{near[0]}?" if near else "take it out"


def _put(data: dict[str, object], path: Path, text: str) -> None:
    *tables, last = (str(step) for step in path)
    for table in tables:
        inner = data.setdefault(table, {})
        assert isinstance(inner, dict)  # noqa: S101 - no name is both a table and a value
        data = inner
    data[last] = text
