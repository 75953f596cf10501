"""Labels whose text is made once: a page of 1,000 models has 12,000 lines, and most of it is always the same."""

from ollama_keeper.errors import printable

_ESCAPED = str.maketrans({"\\": r"\\", "\n": r"\n", '"': r"\""})


class Labels:
    """The labels of a series, by name.

    Attributes:
        text: as they stand on a page, with their braces.
        lines: what was last told of them by each who tells, and of what it was made: most is the same the next time.
    """

    __slots__ = ("_classes", "_more", "_pairs", "lines", "text")

    def __init__(self, **pairs: str) -> None:
        """Args: pairs: values; foreign ones are made safe for whoever prints them."""
        self._pairs = {name: printable(pairs[name]) for name in sorted(pairs)}
        self._more: dict[tuple[str, str], Labels] = {}
        self.lines: dict[object, tuple[object, tuple[tuple[str, str], ...]]] = {}
        self._classes: dict[tuple[float, ...], tuple[str, ...]] = {}
        inner = ",".join(f'{name}="{value.translate(_ESCAPED)}"' for name, value in self._pairs.items())
        self.text = f"{{{inner}}}" if inner else ""

    def plus(self, name: str, value: str) -> "Labels":
        """The same and one more; made once for each value."""
        more = self._more.get((name, value))
        if more is None:
            more = self._more[name, value] = Labels(**self._pairs, **{name: value})
        return more

    def classes(self, bounds: tuple[float, ...]) -> tuple[str, ...]:
        """The texts of the same and `le`, for each class of a histogram; made once."""
        texts = self._classes.get(bounds)
        if texts is None:
            ends = (*map(str, bounds), "+Inf")
            texts = self._classes[bounds] = tuple(Labels(**self._pairs, le=end).text for end in ends)
        return texts


NONE = Labels()
