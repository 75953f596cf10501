"""`config.example.yaml`: every key with its default and what it is for, written from the schema to stay true."""

import textwrap
from collections.abc import Iterator, Mapping
from typing import Any

import yaml
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from ollama_keeper.config.schema import (
    LISTS,
    ActiveWindow,
    Alerts,
    Budget,
    Log,
    Metrics,
    ModelDefaults,
    Options,
    Probe,
    ServerDefaults,
    ServerEntry,
    Settings,
    Sink,
    Web,
)

WIDTH = 100

_HEAD = """\
# Every key of ollama-keeper's configuration: what it is for, and its default; to change one, take its # away.
# Only models is required: a short file, or none and `ollama-keeper run qwen3:8b`, is as good.
#
# Durations have a unit: 90s, 5m, 1h30m. Any key of a server or model but name, url and servers may stand at the top
# level, as here: it is then the default of all. A variable sets a key of the top level (OLLAMA_KEEPER_INTERVAL=30s,
# OLLAMA_KEEPER_LOG__LEVEL=debug); a flag (--interval 30s) holds over both.
"""
_UNSET = {
    "ollama": " (default: OLLAMA_HOST, else this)",
    "state_dir": " (default: $STATE_DIRECTORY, $XDG_STATE_HOME/ollama-keeper, ~/.local/state/ollama-keeper)",
}
_MODELS = """
# Models.

# what is to stay resident, the most important first: names, or tables of a name and any key of a model
models:
  - qwen3:8b
  - name: nomic-embed-text   # as `ollama list` shows it; :latest may be left out
    #priority: 100
    #servers: [gpu]          # names of the servers that are to keep it; left out: all
"""


def example() -> str:
    """The text of `config.example.yaml`."""
    top = {key: Settings.model_fields[key] for key in ("shutdown_grace", "state_dir")}
    parts = [
        _HEAD,
        _MODELS,
        *_keys(
            ModelDefaults.model_fields,
            {"options": _inner(Options), "active": _inner(ActiveWindow), "probe": _inner(Probe)},
        ),
        "\n# Servers.\n",
        *_keys({"ollama": Settings.model_fields["ollama"]}, {}),
        _servers(),
        *_keys(ServerDefaults.model_fields, {"budget": _inner(Budget)}),
        "\n# The keeper itself.\n",
        *_keys(top, {}),
        _table("log", Log),
        _table("web", Web),
        _table("metrics", Metrics),
        _table("alerts", Alerts),
        _sinks(),
    ]
    return "".join(parts)


def _keys(fields: Mapping[str, FieldInfo], more: Mapping[str, str]) -> Iterator[str]:
    """A paragraph a key; one without a default shows an example, and says so."""
    for key, field in fields.items():
        unset = field.default is None
        value = field.examples[0] if unset and field.examples else field.default
        default = _UNSET.get(key, " (default: none)") if unset else ""
        yield f"\n{_comment(f'{field.description}{default}')}{more.get(key, '')}#{key}: {_yaml(value)}\n"


def _inner(table: type[BaseModel]) -> str:
    """The keys of a table, each with an example or its default."""
    lines = (
        f"#   {f'{key}: {_yaml((field.examples or [field.default])[0])}':<22} # {field.description}"
        for key, field in table.model_fields.items()
    )
    return "\n".join(lines) + "\n"


def _servers() -> str:
    lines = [_comment(f"{Settings.model_fields['servers'].description}").strip(), "#servers:"]
    for dash, key in (("- ", "name"), ("  ", "url")):
        field = ServerEntry.model_fields[key]
        lines.append(f"#  {dash}{f'{key}: {(field.examples or [None])[0]}':<28} # {field.description}")
    return "\n" + "\n".join(lines) + "\n"


def _table(name: str, table: type[BaseModel]) -> str:
    fields = {key: field for key, field in table.model_fields.items() if key not in LISTS}
    keys = {key: f"{field.alias or key}: {_shown(field)}" for key, field in fields.items()}
    width = max(map(len, keys.values())) + 2
    lines = [f"\n{_comment(str(Settings.model_fields[name].description))}#{name}:"]
    lines += [f"#  {keys[key]:<{width}} # {field.description}" for key, field in fields.items()]
    return "\n".join(lines) + "\n"


def _sinks() -> str:
    """One sink with all of its keys."""
    fields = Sink.model_fields.items()
    keys = {f"{key}: {_yaml((field.examples or [None])[0])}": field.description for key, field in fields}
    width = max(map(len, keys)) + 2
    marks = ["- ", *["  "] * (len(keys) - 1)]
    lines = [f"#    {mark}{key:<{width}} # {why}" for mark, (key, why) in zip(marks, keys.items(), strict=True)]
    return f"#  sinks: # {Alerts.model_fields['sinks'].description}\n" + "\n".join(lines) + "\n"


def _shown(field: FieldInfo) -> str:
    """The default of a key, or an example where it has none."""
    return _yaml(field.default if field.default is not None else (field.examples or [None])[0])


def _comment(text: str) -> str:
    return textwrap.indent(textwrap.fill(text, WIDTH, break_on_hyphens=False), "# ") + "\n"


def _yaml(value: Any) -> str:
    """A value on one line, as an operator would write it."""
    text = yaml.safe_dump(value, default_flow_style=True, allow_unicode=True, width=WIDTH)
    return text.removesuffix("...\n").strip()
