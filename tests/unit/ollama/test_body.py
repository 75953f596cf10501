"""Bodies are read up to a cap, whatever they are packed in."""

import gzip
import zlib
from collections.abc import AsyncIterator

import pytest

from ollama_keeper.ollama.body import BEGINNING, BadEncoding, TooLarge, read_beginning, read_body

TEXT = b'{"models":[]}' * 100
PACKED = {
    "": TEXT,
    "identity": TEXT,
    "gzip": gzip.compress(TEXT),
    "X-GZIP ": gzip.compress(TEXT),
    "deflate": zlib.compress(TEXT),
}


class Coming:
    """A body in pieces; remembers how many were taken."""

    def __init__(self, body: bytes, size: int, *, endless: bool = False) -> None:
        self.taken = 0
        self._pieces = [body[at : at + size] for at in range(0, len(body), size)]
        self._endless = endless

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while True:
            for piece in self._pieces:
                self.taken += 1
                yield piece
            if not self._endless:
                return


def coming(body: bytes, size: int = 7, *, endless: bool = False) -> AsyncIterator[bytes]:
    return aiter(Coming(body, size, endless=endless))


@pytest.mark.parametrize("encoding", PACKED)
@pytest.mark.parametrize("size", [1, 7, 10_000])
async def test_a_body_is_unpacked_however_it_comes(encoding: str, size: int) -> None:
    assert await read_body(coming(PACKED[encoding], size), encoding) == TEXT


@pytest.mark.parametrize("encoding", PACKED)
async def test_a_body_of_just_the_cap_is_read_and_one_byte_more_is_too_large(encoding: str) -> None:
    assert await read_body(coming(PACKED[encoding]), encoding, most=len(TEXT)) == TEXT
    with pytest.raises(TooLarge):
        await read_body(coming(PACKED[encoding]), encoding, most=len(TEXT) - 1)


async def test_a_bomb_is_left_at_its_first_piece() -> None:
    bomb = Coming(gzip.compress(bytes(50 * 2**20)), 16_384)
    parts = aiter(bomb)
    with pytest.raises(TooLarge):
        await read_body(parts, "gzip", most=2**20)
    assert bomb.taken == 1


async def test_a_packed_body_that_unpacks_to_nothing_for_ever_is_too_large() -> None:
    packing = zlib.compressobj(wbits=zlib.MAX_WBITS | 16)
    start = packing.compress(b"") + packing.flush(zlib.Z_FULL_FLUSH)
    nothing = b"\x00\x00\x00\xff\xff" * 1_000  # stored blocks of no bytes

    async def parts() -> AsyncIterator[bytes]:
        yield start
        while True:
            yield nothing

    with pytest.raises(TooLarge):
        await read_body(parts(), "gzip", most=2**18)


async def test_what_goes_on_after_its_packed_end_is_too_large() -> None:
    with pytest.raises(TooLarge):
        await read_body(coming(gzip.compress(b"{}"), 16, endless=True), "gzip", most=4_096)


@pytest.mark.parametrize("encoding", ["br", "zstd", "gzip, gzip", "none"])
async def test_an_encoding_that_nobody_asked_for_is_told(encoding: str) -> None:
    with pytest.raises(BadEncoding, match=encoding):
        await read_body(coming(TEXT), encoding)


async def test_a_body_that_is_not_packed_as_it_says_is_told() -> None:
    with pytest.raises(BadEncoding):
        await read_body(coming(TEXT), "gzip")


# --- refusals ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("encoding", PACKED)
async def test_a_short_refusal_is_read_to_its_end(encoding: str) -> None:
    assert await read_beginning(coming(PACKED[encoding]), encoding) == TEXT


@pytest.mark.parametrize(
    ("body", "encoding"),
    [
        pytest.param(b"x" * 1_000, "", id="plain"),
        pytest.param(gzip.compress(bytes(10 * 2**20)), "gzip", id="bomb"),
        pytest.param(gzip.compress(b""), "gzip", id="nothing-packed"),
    ],
)
async def test_of_a_refusal_without_an_end_the_beginning_is_read(body: bytes, encoding: str) -> None:
    assert len(await read_beginning(coming(body, 1_000, endless=True), encoding)) <= BEGINNING


@pytest.mark.parametrize("encoding", ["br", "gzip"])
async def test_a_refusal_that_cannot_be_unpacked_says_nothing(encoding: str) -> None:
    assert await read_beginning(coming(TEXT), encoding) == b""
