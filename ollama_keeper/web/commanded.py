"""What can be told to a daemon, and what it answers."""

from collections.abc import Sequence
from typing import Protocol

from ollama_keeper.core.view import Status


class Meant(Protocol):
    """Which models a command was about."""

    @property
    def models(self) -> tuple[str, ...]:
        """Those that are kept, as the operator wrote them."""
        ...

    @property
    def unknown(self) -> tuple[str, ...]:
        """Names that mean none of them."""
        ...


class Commanded(Protocol):
    """What can be told to a daemon."""

    def pause(self, models: Sequence[str], *, by: str, for_s: float | None, note: str | None, unload: bool) -> Meant:
        """Leaves models alone."""
        ...

    def resume(self, models: Sequence[str], *, by: str) -> Meant:
        """Keeps models again."""
        ...

    def warm(self, models: Sequence[str]) -> Meant:
        """Warms absent models now."""
        ...

    def held(self, models: Sequence[str]) -> Status:
        """Those of the models that stay absent all the same, such as a paused one, as they are now."""
        ...

    def ask_to_reload(self) -> None:
        """Reads the configuration anew."""
        ...
