"""FAULTS A3 in real time: a resolver that says nothing must not starve anybody else."""

import asyncio
import socket
import threading
from typing import Any

import pytest

from ollama_keeper.core.address import Address
from ollama_keeper.ollama.client import OllamaClient
from ollama_keeper.ollama.resolver import resolve_aside
from ollama_keeper.simulator import Simulator
from ollama_keeper.simulator.serve import serving
from tests.faults.scenes import looks

SILENT = 80  # more names than any pool of threads has threads
LIMIT_S = 10.0


@pytest.fixture
def silence(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A resolver that is silent about every `*.invalid` until the test is over."""
    over, real = threading.Event(), socket.getaddrinfo

    def getaddrinfo(host: Any, *rest: Any, **more: Any) -> Any:
        if str(host).rstrip("'").endswith(".invalid"):
            over.wait(30)
            raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
        return real(host, *rest, **more)

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    yield over
    over.set()


def test_fault_A3_silent_names_starve_no_other_name_and_no_reload(silence: threading.Event) -> None:
    sim = Simulator()

    async def ask() -> None:
        resolve_aside(asyncio.get_running_loop())
        async with serving(sim) as url:
            port = url.rpartition(":")[2]
            silent = [OllamaClient(Address(f"s{n}", f"http://s{n}.invalid:{port}")) for n in range(SILENT)]
            living = OllamaClient(Address("living", f"http://localhost:{port}"))
            waiting = [asyncio.ensure_future(client.look()) for client in silent]
            await asyncio.sleep(0.1)
            try:
                async with asyncio.timeout(LIMIT_S):
                    assert await asyncio.to_thread(lambda: True)
                    await living.look()
            finally:
                silence.set()
                await asyncio.gather(*waiting, return_exceptions=True)
                for client in (*silent, living):
                    await client.aclose()

    asyncio.run(ask())
    assert len(looks(sim)) == 1
