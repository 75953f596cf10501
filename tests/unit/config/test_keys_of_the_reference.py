"""`docs/reference.md` 2 is what the schema is: the same keys, with the same defaults."""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ollama_keeper.config import values
from ollama_keeper.config.schema import (
    Alerts,
    Log,
    Metrics,
    ModelDefaults,
    ModelEntry,
    ServerDefaults,
    ServerEntry,
    Settings,
    Web,
)

REFERENCE = (Path(__file__).parents[3] / "docs" / "reference.md").read_text(encoding="utf-8")
TABLES = {
    "2.1 Top level": {name: Settings.model_fields[name].default for name in ("shutdown_grace", "state_dir")}
    | {"ollama": None, "servers": None, "models": None}
    | {f"log.{name}": field.default for name, field in Log.model_fields.items()}
    | {f"web.{name}": field.default for name, field in Web.model_fields.items()}
    | {f"metrics.{name}": field.default for name, field in Metrics.model_fields.items()}
    | {f"alerts.{field.alias or name}": field.default for name, field in Alerts.model_fields.items()},
    "2.2 Per server": {name: field.default for name, field in ServerEntry.model_fields.items()},
    "2.3 Per model": {name: field.default for name, field in ModelEntry.model_fields.items()},
}


def rows(heading: str) -> Iterator[tuple[str, str]]:
    """Each key of a table, and the cell of its default, split where a row has several keys."""
    section = REFERENCE.split(f"### {heading}", 1)[1].split("\n#", 1)[0]
    for keys, _, default in re.findall(r"^\| (`.*?) \| (.*) \| (.*) \|$", section, re.MULTILINE):
        names = re.findall(r"`([^`]+)`", keys)
        defaults = default.split(" / ") if " / " in default else [default] * len(names)
        yield from zip(names, defaults, strict=True)


@pytest.mark.parametrize("heading", TABLES)
def test_the_reference_has_every_key_of_a_table_and_no_other(heading: str) -> None:
    assert {key for key, _ in rows(heading)} == set(TABLES[heading])


@pytest.mark.parametrize("heading", TABLES)
def test_the_reference_has_the_defaults_of_the_schema(heading: str) -> None:
    told = {key: re.match(r"`([^`$]+)`", cell) for key, cell in rows(heading)}
    written = {key: match.group(1) for key, match in told.items() if match and key != "ollama"}
    assert written == {key: text(value) for key, value in TABLES[heading].items() if text(value)}


def text(default: object) -> str:
    """A default as the reference writes it; empty where there is none."""
    known = isinstance(default, str | int | dict | list)
    return values.shown(default) if isinstance(default, bool) else str(default) if known else ""


def test_every_key_of_servers_and_models_may_stand_at_the_top_level() -> None:
    assert set(ServerEntry.model_fields) - set(ServerDefaults.model_fields) == {"name", "url"}
    assert set(ModelEntry.model_fields) - set(ModelDefaults.model_fields) == {"name", "servers"}
    assert {*ServerDefaults.model_fields, *ModelDefaults.model_fields} <= set(Settings.model_fields)


def test_reading_the_configuration_loads_neither_httpx_nor_rich() -> None:
    code = "import sys, ollama_keeper.config; print(*{'httpx', 'rich', 'structlog', 'click'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
