"""What a failure says, in one line of foreign text or our own words: `str(httpx.ReadTimeout())` is empty."""

from ollama_keeper.core.reasons import Failure
from ollama_keeper.errors import printable
from ollama_keeper.ollama.classify import causes
from ollama_keeper.ollama.credentials import hide
from ollama_keeper.ollama.wire import error_text

EXCERPT = 200  # characters of what is no answer of Ollama's


def refusal_text(status: int, body: bytes, secrets: tuple[str, ...]) -> str:
    """Ollama's own words; else the status and how the body begins, `secrets` hidden before it is cut."""
    said = printable(hide(error_text(body) or "", secrets))
    if said:
        return said
    text = printable(hide(body.decode("utf-8", "replace"), secrets))[:EXCERPT]
    return f"HTTP {status}: {text}" if text else f"HTTP {status} without a body"


def transport_text(reason: Failure, error: BaseException, *, connect_s: float, seconds: float | None) -> str:
    """What happened to an exchange that got no answer; never empty.

    Args:
        reason: what `error` was found to be.
        error: with the causes that it has.
        connect_s, seconds: the limits for connecting and for the whole answer.
    """
    if reason is Failure.CONNECT_TIMEOUT:
        return f"no connection within {connect_s:g} s"
    if reason is Failure.READ_TIMEOUT and seconds is not None:
        return f"no whole answer within {seconds:g} s"
    known = [str(cause) for cause in causes(error) if isinstance(cause, OSError)]
    return next((text for text in (*known, str(error)) if text), type(error).__name__)
