"""Each test has a home of its own; what it starts there ends with it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.kit.proc import World


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with World(tmp_path, forks=True) as world:
        yield world
