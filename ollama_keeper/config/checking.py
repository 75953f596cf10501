"""The layers as settings. No mistake hides the next: what is wrong is told and left out, and the rest is checked on."""

from dataclasses import dataclass

from pydantic import ValidationError

from ollama_keeper.config.layer import Layers, Path
from ollama_keeper.config.mistakes import mistake
from ollama_keeper.config.schema import Settings
from ollama_keeper.errors import Mistake

_ROUNDS = 5  # a wrong variable may hide a wrong key of the file, which shows once the variable is left out
_STAND_INS: dict[str, tuple[str, str]] = {"models": ("name", "stand-in"), "servers": ("url", "http://stand-in-{index}")}


@dataclass(frozen=True, slots=True)
class Checked:
    """What is left of the layers without their mistakes.

    Attributes:
        settings: None where nothing usable was left.
        unusable: items of `models` and `servers` that are only stand-ins for what was wrong.
    """

    settings: Settings | None
    mistakes: tuple[Mistake, ...]
    unusable: frozenset[Path]


def checked(layers: Layers) -> Checked:
    """The settings of the layers, and every mistake that can be seen in them."""
    mistakes: list[Mistake] = []
    unusable: set[Path] = set()
    for _ in range(_ROUNDS):
        try:
            return Checked(Settings.from_layers([layer.data for layer in layers]), tuple(mistakes), frozenset(unusable))
        except ValidationError as error:
            details = error.errors(include_url=False, include_input=False)
        mistakes += [mistake(detail, layers) for detail in details]
        layers = layers.copy()
        for detail in details:
            unusable |= _leave_out(layers, tuple(detail["loc"]))
    return Checked(None, tuple(mistakes), frozenset(unusable))


def _leave_out(layers: Layers, path: Path) -> set[Path]:
    """Takes a wrong value out of the first layer that has it; the items of lists that become stand-ins are returned."""
    key, default = _STAND_INS.get(str(path[0]), ("", ""))
    if key and len(path) > 1 and path[2:] in {(), (key,)}:
        _replace(layers, path, {key: default.format(index=path[1])})
        return {path[:2]}
    if path[:2] == ("alerts", "sinks"):
        path = path[:2]
    if isinstance(path[-1], int):
        path = path[:-1]
    any(layer.remove(path) for layer in layers)
    return set()


def _replace(layers: Layers, path: Path, stand_in: dict[str, object]) -> None:
    """Puts a stand-in for an item of a list; what else is said of the item stays, to be checked."""
    name, index = str(path[0]), path[1]
    items = next((layer.data[name] for layer in layers if name in layer.data), None)
    if isinstance(items, list) and isinstance(index, int):
        items[index] = (items[index] if isinstance(items[index], dict) else {}) | stand_in
