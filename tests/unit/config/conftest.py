"""What tests of the configuration share."""

from collections.abc import Callable
from pathlib import Path

import pytest


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str], Path]:
    """Writes a configuration file and gives its path."""

    def written(text: str) -> Path:
        path = tmp_path / "keeper.yaml"
        path.write_text(text, encoding="utf-8")
        return path

    return written
