"""Reading a body that may be endless, or a packed bomb: never more than a cap, decoded piece by piece.

httpx's own decoders unpack whatever came at once, up to a thousand times what was received; so bodies are read raw.
"""

import zlib
from collections.abc import AsyncIterator, Callable, Iterator

LARGEST = 4 * 2**20  # bytes, decoded; /api/show of a large model is some hundred kilobytes
BEGINNING = 64 * 2**10  # bytes of a refusal: a line is told of it, so no more is worth waiting for
PIECE = 64 * 2**10  # bytes that are unpacked at a time

Decode = Callable[[bytes], Iterator[bytes]]


class TooLarge(Exception):
    """More than the cap."""


class BadEncoding(Exception):
    """Packed in a way that was not asked for, or badly."""


async def read_body(parts: AsyncIterator[bytes], encoding: str, *, most: int = LARGEST) -> bytes:
    """The decoded body.

    Args:
        parts: as they come in.
        encoding: the `Content-Encoding`; none is asked for, gzip and deflate are understood.
        most: bytes that are read, both as they come and decoded: what is packed may decode to nothing, for ever.

    Raises:
        TooLarge: there is more than `most`.
        BadEncoding: it cannot be decoded.
    """
    decode = _decoder(encoding)
    body = bytearray()
    received = 0
    async for part in parts:
        received += len(part)
        for piece in decode(part):
            body += piece
            if len(body) > most:
                raise TooLarge
        if received > most:
            raise TooLarge
    return bytes(body)


async def read_beginning(parts: AsyncIterator[bytes], encoding: str) -> bytes:
    """The first 64 KiB of a body whose status has already told the failure; empty where it cannot be decoded."""
    body = bytearray()
    received = 0
    try:
        decode = _decoder(encoding)
        async for part in parts:
            received += len(part)
            body += next(decode(part), b"")
            if max(received, len(body)) >= BEGINNING:
                break
    except BadEncoding:
        pass
    return bytes(body[:BEGINNING])


def _decoder(encoding: str) -> Decode:
    match encoding.strip().lower():
        case "" | "identity":
            return _plain
        case "gzip" | "x-gzip" | "deflate":
            return _unpacker()
    msg = f"content-encoding {encoding!r}"
    raise BadEncoding(msg)


def _plain(part: bytes) -> Iterator[bytes]:
    yield part


def _unpacker() -> Decode:
    packed = zlib.decompressobj(zlib.MAX_WBITS | 32)  # the header tells gzip from zlib

    def unpack(part: bytes) -> Iterator[bytes]:
        try:
            while piece := packed.decompress(part, PIECE):
                yield piece
                part = packed.unconsumed_tail
        except zlib.error as error:
            raise BadEncoding(str(error)) from error

    return unpack
