"""Which of several places holds for one setting: a flag, the item's own key, then the top level."""

from dataclasses import dataclass
from pathlib import Path as FilePath
from typing import Any

from ollama_keeper.config.layer import Layers, Path
from ollama_keeper.config.schema import ModelEntry, ServerEntry, Settings

Entry = ModelEntry | ServerEntry


@dataclass(frozen=True, slots=True)
class Merged:
    """Settings, and where each was written.

    Attributes:
        folder: where relative paths of the file begin.
        unusable: items of `models` and `servers` that only stand in for something wrong.
    """

    layers: Layers
    settings: Settings
    folder: FilePath
    unusable: frozenset[Path] = frozenset()

    def where(self, key: str, entry: Entry, at: Path) -> Path:
        """The path of the value that holds: a flag is meant for this run, a variable is a default of all."""
        own = key in entry.model_fields_set and key not in self.layers.flags.data
        return (*at, key) if own else (key,)

    def get(self, key: str, entry: Entry, at: Path) -> Any:
        """The value that holds for an item of `servers` or `models`."""
        own = len(self.where(key, entry, at)) > 1
        return getattr(entry if own else self.settings, key)

    def given(self, key: str, entry: Entry) -> bool:
        """Whether anybody has written the key."""
        return key in entry.model_fields_set or key in self.settings.model_fields_set

    def folder_of(self, path: Path) -> FilePath:
        """Where a relative path that was written there begins: the folder of the file, or the working directory."""
        return self.folder if self.layers.place(path).line is not None else FilePath()
