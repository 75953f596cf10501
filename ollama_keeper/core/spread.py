"""A factor of 0.9 to 1.1 from a hash: equal waits do not end together, and the same run always does the same."""

from zlib import crc32


def spread(*parts: object) -> float:
    """A number from 0.9 to 1.1 that depends on `parts` alone."""
    return 0.9 + 0.2 * phase(*parts)


def phase(*parts: object) -> float:
    """A number from 0 up to 1 that depends on `parts` alone."""
    return crc32("|".join(map(str, parts)).encode()) / 2**32
