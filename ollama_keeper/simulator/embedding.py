"""Vectors that depend on the text alone, of length 1."""

import math
from random import Random


def embed_text(text: str, length: int) -> list[float]:
    """A unit vector of `length` numbers; the same text has always the same."""
    source = Random(text)  # noqa: S311 - numbers, no secret
    numbers = [source.uniform(-1, 1) for _ in range(length)]
    norm = math.sqrt(sum(number * number for number in numbers)) or 1.0
    return [round(number / norm, 8) for number in numbers]
