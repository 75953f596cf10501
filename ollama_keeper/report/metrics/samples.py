"""Lines as they are gathered: by family, each with its labels; of models summed up, where they are not told apart.

A line is the same text in both formats, so it is written at once: 12,000 of prometheus_client's own samples, and its
writer, which escapes every name of every line anew, would take a page six times as long.
"""

from collections.abc import Callable, Iterable

from ollama_keeper.core.counts import Histogram
from ollama_keeper.report.metrics.families import FAMILIES, PREFIX
from ollama_keeper.report.metrics.labels import Labels

Series = tuple[str, Labels, float]


class Samples:
    """The lines of one page."""

    def __init__(self) -> None:
        self._lines: dict[str, list[str]] = {family.name: [] for family in FAMILIES}
        self._sums: dict[str, dict[Labels, float]] = {}
        self._texts: dict[float, str] = {}

    def add(self, name: str, labels: Labels, value: float) -> None:
        """One series."""
        self._lines[name].append(self._line(name, labels, value))

    def again(self, labels: Labels, key: object, tell: Callable[..., Iterable[Series]], *of: object) -> None:
        """The series of these labels that `tell(*of)` gives, which are the same as the last time if `key` is."""
        known, lines = labels.lines.get(tell, (None, ()))
        if known != key:
            lines = tuple((name, self._line(name, full, value)) for name, full, value in tell(*of))
            labels.lines[tell] = (key, lines)
        every = self._lines
        for name, line in lines:
            every[name].append(line)

    def sum(self, name: str, labels: Labels, value: float) -> None:
        """Adds to one series."""
        sums = self._sums.setdefault(name, {})
        sums[labels] = sums.get(labels, 0.0) + value

    def spread(self, name: str, labels: Labels, histogram: Histogram) -> None:
        """A histogram, in classes that add up."""
        self._lines[name].append(_spread(name, labels, histogram))

    def spread_again(self, name: str, labels: Labels, histogram: Histogram) -> None:
        """One that is mostly the same as the last time."""
        key = (sum(histogram.counts), histogram.sum)
        known, lines = labels.lines.get(name, (None, ()))
        if known != key:
            lines = ((name, _spread(name, labels, histogram)),)
            labels.lines[name] = (key, lines)
        self._lines[name].append(lines[0][1])

    def text(self, name: str) -> str:
        """The lines of one family."""
        for labels, value in self._sums.pop(name, {}).items():
            self.add(name, labels, value)
        return "".join(self._lines[name])

    def _line(self, name: str, labels: Labels, value: float) -> str:
        text = self._texts.get(value)  # most of a fleet has been kept for the same time
        if text is None:
            text = self._texts[value] = f" {float(value)}\n"
        return PREFIX + name + labels.text + text


def _spread(name: str, labels: Labels, histogram: Histogram) -> str:
    full, total, lines = PREFIX + name, 0, []
    for text, count in zip(labels.classes(histogram.bounds), histogram.counts, strict=True):
        total += count
        lines.append(f"{full}_bucket{text} {total}.0\n")
    return "".join((*lines, f"{full}_count{labels.text} {total}.0\n{full}_sum{labels.text} {float(histogram.sum)}\n"))
