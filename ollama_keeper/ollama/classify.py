"""Status, body and exceptions into the closed list of failures (CONTRACT 4), with what an operator can do about each."""

import re

from ollama_keeper.core.reasons import Failure

_OUT_OF_MEMORY = re.compile(
    r"out[ -]of[ -]memory|cudaMalloc failed|requires more system memory|unable to allocate|failed to allocate"
    r"|model requires .+ but only .+ (?:are|is) available|ErrorOutOfDeviceMemory|hipErrorOutOfMemory|bad_alloc",
    re.IGNORECASE,
)
_LOAD_TEXTS: tuple[tuple[re.Pattern[str], Failure], ...] = (
    (_OUT_OF_MEMORY, Failure.OUT_OF_MEMORY),
    (re.compile(r"timed out waiting for"), Failure.LOAD_STALLED),
    (re.compile(r"while running the model|unexpectedly stopped"), Failure.RUNNER_DIED),
    (re.compile(r'option "[^"]+" must be of type'), Failure.BAD_REQUEST),
    (re.compile(r"maximum pending requests exceeded"), Failure.SERVER_BUSY),
)


def look_failure(status: int, body: bytes) -> Failure:
    """Why a look, or any other question, that was answered with `status` gave no answer."""
    if 300 <= status < 400:
        return Failure.REDIRECT
    if status == 429:
        return Failure.HTTP_429
    if status == 403 and not body.strip():
        return Failure.HOST_REJECTED
    if status == 503 and b"maximum pending requests" in body:
        return Failure.SERVER_BUSY
    return Failure.HTTP_4XX if status < 500 else Failure.HTTP_5XX


def load_failure(status: int, text: str) -> Failure:
    """Why a load failed, from Ollama's own words; `text` may be an error inside an error (OLLAMA.md 7)."""
    by_text = next((failure for pattern, failure in _LOAD_TEXTS if pattern.search(text)), None)
    if status == 200:
        return by_text or Failure.LOAD_FAILED
    if status == 404:
        return Failure.NOT_FOUND if "not found" in text else Failure.HTTP_4XX
    if status == 400:
        return Failure.BAD_REQUEST
    if status == 503:
        return Failure.SERVER_BUSY
    if status == 500:
        return by_text or Failure.LOAD_FAILED
    return look_failure(status, text.encode())


HINTS: dict[Failure, str] = {
    Failure.DNS: "the name is not known to the resolver; check the URL",
    Failure.CONNECT_REFUSED: "nothing listens there; is Ollama running? (ollama serve)",
    Failure.UNREACHABLE: "no way to that host; check network and firewall",
    Failure.CONNECT_TIMEOUT: "the host does not answer; check address and firewall",
    Failure.RESET: "the connection was cut; Ollama may have restarted",
    Failure.TLS: "check the certificate, its dates and its name; ca_file names a private authority",
    Failure.READ_TIMEOUT: "connected, but no answer in time; Ollama may be starting or frozen",
    Failure.HTTP_4XX: "a proxy, or another program, answers there; check the URL and token_file",
    Failure.HTTP_429: "asked to slow down",
    Failure.HTTP_5XX: "a failure of the server, or a proxy that does not reach it",
    Failure.REDIRECT: "redirects are never followed; write the URL that it leads to",
    Failure.NOT_JSON: "this is not an Ollama server, or a proxy answered in its place",
    Failure.BAD_SHAPE: "this is not an Ollama server, or one of an unknown kind",
    Failure.TOO_LARGE: "an answer of more than 4 MiB; this is not an Ollama server",
    Failure.HOST_REJECTED: "Ollama refuses this Host name; name it by address, or set OLLAMA_HOST=0.0.0.0 on the server",
    Failure.SERVER_BUSY: "the queue of Ollama is full (OLLAMA_MAX_QUEUE)",
}
"""What an operator can do, by reason; shown beside the failure."""
