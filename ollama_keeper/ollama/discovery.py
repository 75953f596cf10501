"""`dns+http://name:11434`: one server an address of a name (CONTRACT 2.2)."""

import asyncio
import socket
from dataclasses import replace
from ipaddress import ip_address
from urllib.parse import urlsplit

from ollama_keeper.core.address import DNS, Address

RESOLVE_S = 10.0


def is_name(address: Address) -> bool:
    """Whether the address stands for all the servers that a name leads to."""
    return address.url.startswith(DNS)


async def resolve(address: Address) -> frozenset[str]:
    """The IP addresses that the name leads to now.

    Raises:
        OSError: the resolver knows no such name, or does not answer within 10 s.
    """
    parts = urlsplit(address.url.removeprefix(DNS))
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(RESOLVE_S):
        answer = await loop.getaddrinfo(parts.hostname, parts.port, type=socket.SOCK_STREAM)
    return frozenset(str(sockaddr[0]) for *_, sockaddr in answer)


def member(address: Address, ip: str) -> Address:
    """The server at one of the addresses; asked by the name, so that certificates and virtual hosts fit."""
    parts = urlsplit(address.url.removeprefix(DNS))
    host = f"[{ip}]" if ip_address(ip.partition("%")[0]).version == 6 else ip
    netloc = f"{host}:{parts.port}"
    named = address.name != parts.netloc
    name = f"{address.name}@{ip}" if named else netloc
    return replace(address, name=name, url=f"{parts.scheme}://{netloc}{parts.path}", asked_as=parts.hostname)


def nowhere(address: Address) -> Address:
    """What stands for the name while it leads to no address: the name itself, asked as it is written."""
    return replace(address, url=address.url.removeprefix(DNS))


async def members(address: Address) -> tuple[Address, ...]:
    """All servers behind an address as it is written; the name itself where it leads nowhere yet."""
    if not is_name(address):
        return (address,)
    try:
        return tuple(member(address, ip) for ip in sorted(await resolve(address)))
    except OSError:  # TimeoutError included
        return (nowhere(address),)
