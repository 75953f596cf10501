"""Async tests here run in virtual time, those on sockets too; those with processes have a home of their own."""

import pytest

from tests.kit.plugin import clock, make_sim, pytest_asyncio_loop_factories, sim
from tests.process.conftest import world

__all__ = ["clock", "make_sim", "pytest_asyncio_loop_factories", "sim", "world"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Processes take seconds to start, and `tests/process` has their like: here only `make faults` starts them."""
    for item in items:
        if "faults" in item.path.parts and item.get_closest_marker("process"):
            item.add_marker(pytest.mark.slow)
