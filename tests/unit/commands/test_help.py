"""The help of every command: narrow enough, whole, with an example; and durations of the command line."""

from collections.abc import Iterator

import click
import pytest
from click.testing import CliRunner

from ollama_keeper.cli import cli

WIDTH = 80


def commands(group: click.Group = cli, above: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Every command line that has a help of its own."""
    yield above
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from commands(command, (*above, name))
        else:
            yield (*above, name)


def helped(*arguments: str) -> str:
    done = CliRunner(env={"COLUMNS": str(WIDTH)}).invoke(cli, [*arguments, "--help"], terminal_width=WIDTH)
    assert done.exit_code == 0
    return done.output


@pytest.mark.parametrize("command", list(commands()), ids=" ".join)
def test_help_fits_eighty_columns_and_cuts_nothing(command: tuple[str, ...]) -> None:
    text = helped(*command)
    assert max(map(len, text.splitlines())) <= WIDTH
    assert not [line for line in text.splitlines() if line.endswith("...") and not line.startswith("Usage")]


@pytest.mark.parametrize("command", [one for one in commands() if one not in {("config",), ("install",)}], ids=" ".join)
def test_help_has_an_example(command: tuple[str, ...]) -> None:
    assert "Examples:" in helped(*command)


def test_what_takes_a_duration_is_called_so_everywhere() -> None:
    assert not any(" TIME " in helped(*command) for command in commands())


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        pytest.param(("wait", "a", "--timeout", "15"), "'15' is not a duration; write for example 90s", id="no unit"),
        pytest.param(("wait", "a", "--timeout", "-5m"), "'-5m' is not a duration", id="negative"),
        pytest.param(("demo", "--for", "10ms"), "'10ms' is too short; write 1s or more", id="too short"),
        pytest.param(("events", "--since", "9000h"), "'9000h' is longer than a year", id="too long"),
        pytest.param(("pause", "a", "--for", "9" * 10_000 + "h"), f"'{'9' * 60}'… is not a duration", id="endless"),
    ],
)
def test_a_duration_that_cannot_be_meant_is_told_with_what_can(arguments: tuple[str, ...], told: str) -> None:
    done = CliRunner().invoke(cli, arguments)
    assert done.exit_code == 2  # click's own, where it stands alone; the command makes 64 of it
    assert told in done.output
