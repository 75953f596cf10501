"""The token that commands over TCP need: read once, at the start, and refused where it protects nothing."""

import os
import re
import stat
from pathlib import Path

from ollama_keeper.errors import ConfigError, Mistake

KEY = "web.token_file"
LEAST_BITS = 128
LEAST_DISTINCT = 8  # 32 random hexadecimal digits have fewer once in 10^9
LARGEST = 4_096

_MAKE = "make one: (umask 077; openssl rand -hex 32 > FILE)"
_TOKEN = re.compile(rb"[A-Za-z0-9._~+/-]+=*")
_HEX = re.compile(rb"[0-9a-f]+|[0-9A-F]+")


def control_token(path: Path, source: str) -> bytes:
    """The token in a file.

    Args:
        path: the file; it may end in a line break.
        source: what names the file, for the message.

    Raises:
        ConfigError: it cannot be read, others may write it, or what it holds can be guessed.
    """
    token = _read(path, source).strip()
    if len(token) > LARGEST or not _TOKEN.fullmatch(token):
        raise _unusable(source, f"{path} holds no token", _MAKE)
    if bits(token) < LEAST_BITS or len(set(token)) < LEAST_DISTINCT:
        raise _unusable(source, f"the token in {path} can be guessed: it has less than {LEAST_BITS} bits", _MAKE)
    return token


def bits(token: bytes) -> float:
    """How many bits a random token of these signs holds: 4 a hexadecimal digit, else 6 a sign."""
    return len(token) * (4 if _HEX.fullmatch(token) else 6)


def read_by_others(path: Path) -> bool:
    """Whether any user of this machine can read the file; a container's secrets are often so."""
    return os.name == "posix" and bool(path.stat().st_mode & stat.S_IROTH)


def _read(path: Path, source: str) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(LARGEST + 2)
            writable = os.name == "posix" and bool(os.fstat(file.fileno()).st_mode & stat.S_IWOTH)
    except OSError as error:
        why = (error.strerror or type(error).__name__).lower()
        hint = "let the user of ollama-keeper read it, or take the key out"
        raise _unusable(source, f"{path} cannot be read: {why}", hint) from None
    if writable:
        raise _unusable(source, f"everybody may write {path}", f"chmod 600 {path}, and write a new token into it")
    return data


def _unusable(source: str, what: str, hint: str) -> ConfigError:
    return ConfigError((Mistake(source, KEY, what, hint),))
