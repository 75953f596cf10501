"""Async tests here run in virtual time."""

from tests.kit.plugin import clock, http, make_sim, network, pytest_asyncio_loop_factories, sim, virtual_loop

__all__ = ["clock", "http", "make_sim", "network", "pytest_asyncio_loop_factories", "sim", "virtual_loop"]
