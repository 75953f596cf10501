"""A real name server on loopback, in a mount namespace of the test's own: servers come and go with their addresses."""

import os
import shutil
import socket
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.kit.proc import World, free_port, ours

pytestmark = pytest.mark.process
NAMESERVER = "127.0.0.53"
ADDRESSES = ["127.0.11.1", "127.0.11.2"]


class NameServer:
    """Answers A queries for every name with the addresses that it is told."""

    def __init__(self) -> None:
        self.addresses: list[str] = []
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind((NAMESERVER, 53))
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        self._socket.close()

    def _serve(self) -> None:
        while True:
            try:
                query, client = self._socket.recvfrom(512)
            except OSError:
                return
            self._socket.sendto(self._answer(query), client)

    def _answer(self, query: bytes) -> bytes:
        end = query.index(0, 12) + 5
        is_a = query[end - 4 : end - 2] == b"\x00\x01"
        addresses = self.addresses if is_a else []
        head = query[:2] + b"\x81\x80" + query[4:6] + len(addresses).to_bytes(2) + b"\x00\x00\x00\x00"
        records = [b"\xc0\x0c\x00\x01\x00\x01\x00\x00\x00\x00\x00\x04" + socket.inet_aton(one) for one in addresses]
        return head + query[12:end] + b"".join(records)


@pytest.fixture
def nameserver() -> Iterator[NameServer]:
    if os.geteuid() != 0 or shutil.which("unshare") is None:
        pytest.skip("needs root and unshare, for a resolv.conf of its own")
    if subprocess.run(["unshare", "--mount", "true"], check=False).returncode != 0:
        pytest.skip("this machine allows no mount namespace")
    try:
        server = NameServer()
    except OSError as error:
        pytest.skip(f"no name server at {NAMESERVER}: {error}")
    yield server
    server.close()


def test_servers_come_with_the_addresses_of_a_name(nameserver: NameServer, world: World, tmp_path: Path) -> None:
    port = free_port()
    for address in ADDRESSES:
        world.start(ours("simulate", "--listen", f"{address}:{port}"))
    conf = tmp_path / "resolv.conf"
    conf.write_text(f"nameserver {NAMESERVER}\noptions timeout:1 attempts:1\n", encoding="utf-8")
    run = ours("run", "qwen3:8b", "--ollama", f"dns+http://ollama.test:{port}")
    keeper = world.start(
        ["unshare", "--mount", "sh", "-c", f'mount --bind {conf} /etc/resolv.conf && exec "$@"', "sh", *run]
    )
    assert keeper.until("server.waiting")["reason"] == "dns"
    nameserver.addresses = ADDRESSES
    ready = {keeper.until("model.ready")["server"] for _ in ADDRESSES}
    assert ready == {f"{address}:{port}" for address in ADDRESSES}
