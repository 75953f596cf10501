"""Async tests here run in virtual time, real sockets included, so that waiting for a limit costs nothing."""

from tests.kit.plugin import pytest_asyncio_loop_factories, virtual_loop

__all__ = ["pytest_asyncio_loop_factories", "virtual_loop"]
