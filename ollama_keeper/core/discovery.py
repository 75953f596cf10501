"""Which addresses one name stands for.

The last list is kept when nothing is learnt, and an address is gone after two absences: an answer may leave one out.
"""

from collections.abc import Collection

from ollama_keeper.core.record import record

ABSENCES = 2


@record
class Found:
    """The addresses of a name, each with how often in a row it was absent from the answer."""

    absences: tuple[tuple[str, int], ...] = ()

    @property
    def addresses(self) -> tuple[str, ...]:
        """The addresses that count, in a fixed order."""
        return tuple(address for address, _ in self.absences)


def found(before: Found, answer: Collection[str] | None) -> Found:
    """The addresses after an answer; None where there was none, and an empty one tells nothing either."""
    if not answer:
        return before
    absent = {address: times + 1 for address, times in before.absences if address not in answer}
    still = {address: times for address, times in absent.items() if times < ABSENCES}
    return Found(tuple(sorted((still | dict.fromkeys(answer, 0)).items())))
