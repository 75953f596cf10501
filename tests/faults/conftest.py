"""Async tests here run in virtual time, those on sockets too; those with processes have a home of their own."""

from tests.kit.plugin import clock, make_sim, pytest_asyncio_loop_factories, sim
from tests.process.conftest import world

__all__ = ["clock", "make_sim", "pytest_asyncio_loop_factories", "sim", "world"]
