"""The alerts of a story: what `step` makes of it, looked at every five seconds as the daemon does."""

from dataclasses import dataclass, field

from ollama_keeper.core.alert_rules import Rules
from ollama_keeper.core.alerting import Book, Incident, noted, opened, step
from ollama_keeper.core.changes import AlertFiring, AlertResolved, Change
from ollama_keeper.core.memory import ServerMemory
from tests.kit.story import Story, instant

EVERY_S = 5.0


@dataclass
class Watch:
    """Sees some servers at given seconds."""

    rules: Rules = field(default_factory=Rules)
    began_s: float = 0.0
    told: list[Change] = field(default_factory=list)
    book: Book = field(init=False)

    def __post_init__(self) -> None:
        self.book = opened(instant(self.began_s))

    def sees(self, *stories: Story | ServerMemory, at: float) -> list[str]:
        """One look; what was told, as `firing model_lost a`."""
        memories = [one.memory if isinstance(one, Story) else one for one in stories]
        self.book, changes = step(self.book, memories, self.rules, instant(at))
        self.told += changes
        return [words(change) for change in changes]

    def notes(self, change: Change, at: float) -> None:
        self.book = noted(self.book, change, instant(at))

    @property
    def lines(self) -> list[str]:
        return [words(change) for change in self.told]

    def incident(self) -> Incident:
        """The only one that fires."""
        (found,) = self.book.firing
        return found


def words(change: Change) -> str:
    """A change in a few words."""
    assert isinstance(change, AlertFiring | AlertResolved)
    whom = change.model or change.server or "keeper"
    how = f" {change.how}" if isinstance(change, AlertResolved) else ""
    return f"{change.event.removeprefix('alert.')} {change.alert.value} {whom}{how}"
