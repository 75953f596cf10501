"""Reasons, spans and shares as people say them; what sentences are made of."""

from ollama_keeper.core.reasons import Cause, Failure, Reason, Reloaded, Undelivered, Unpulled
from ollama_keeper.core.units import show_duration, show_size

REASONS: dict[str, str] = {
    Cause.SERVER_RESTARTED: "the server was restarted",
    Cause.UNOBSERVED: "it left while nobody looked",
    Cause.EXPIRED: "its time ran out",
    Cause.DISPLACED: "another model displaced it",
    Cause.MEMORY_SWEEP: "it was swept out together with others",
    Cause.UNLOADED: "it was unloaded",
    Cause.FIRST_SEEN: "it was not resident at the start",
    Cause.BY_COMMAND: "somebody asked for it",
    Cause.AHEAD_OF_HOURS: "its hours begin soon",
    Reason.CLOUD_MODEL: "it runs in the cloud",
    Reason.IMAGE_MODEL: "it makes images, and cannot be kept without making one",
    Reason.SAME_WEIGHTS: "the same weights with other options",
    Reason.BAD_REQUEST: "the server calls the request wrong",
    Reason.NOT_PULLED: "not pulled",
    Reason.BEING_PULLED: "being pulled",
    Reason.FIRST_LOOK: "not looked yet",
    Reason.STALE: "the last good look is too old",
    Reason.SERVER_DOWN: "the server is down",
    Reason.OUTSIDE_HOURS: "outside its hours",
    Reason.MEMORY_BUDGET: "the memory budget goes to higher ranks",
    Reason.MODEL_BUDGET: "the number of models goes to higher ranks",
    Reason.ON_CPU: "it runs on the CPU",
    Reason.PARTLY_ON_CPU: "part of it runs on the CPU",
    Reason.OTHER_CONTEXT: "another context length",
    Reason.OTHER_DIGEST: "an older version of it is loaded",
    Reason.PROBE_FAILED: "its probes fail",
    Reason.NEVER_ANSWERS: "it is listed, but never answers",
    Reason.EVICTS_WANTED: "it pushes out a model of higher rank",
    Reason.SWEEPS_WANTED: "loading it pushes out all others",
    Reason.SERVER_FULL: "the server is full",
    Reason.GUEST_ACTIVE: "another model is in use",
    Reason.BREAKER_OPEN: "too many loads have failed, or were pushed out at once",
    Reason.HOUR_LIMIT: "too many loads have failed within the hour",
    Reason.UNLOAD_GRACE: "left alone for a while",
    Reason.RELEASED: "given back",
    Reason.SERVER_BUSY: "the server is busy",
    Reason.SCHEDULER_HUNG: "Ollama's scheduler hangs",
    Reason.OBSERVED_ONLY: "only observed",
    Reason.BEHIND_LOAD: "another load goes first",
    Failure.DNS: "its name cannot be resolved",
    Failure.CONNECT_REFUSED: "connection refused",
    Failure.UNREACHABLE: "unreachable",
    Failure.CONNECT_TIMEOUT: "no connection in time",
    Failure.RESET: "the connection was cut",
    Failure.TLS: "no trusted TLS connection",
    Failure.READ_TIMEOUT: "no answer in time",
    Failure.HTTP_4XX: "the request was turned down",
    Failure.HTTP_429: "too many requests",
    Failure.HTTP_5XX: "an error of the server",
    Failure.REDIRECT: "it redirects elsewhere",
    Failure.NOT_JSON: "an answer that is no JSON",
    Failure.BAD_SHAPE: "an answer that is not Ollama's",
    Failure.TOO_LARGE: "too large an answer",
    Failure.HOST_REJECTED: "it does not accept this host name",
    Failure.NOT_FOUND: "the server does not know the model",
    Failure.OUT_OF_MEMORY: "out of memory",
    Failure.RUNNER_DIED: "its runner died",
    Failure.LOAD_STALLED: "the load made no progress",
    Failure.LOAD_FAILED: "the load failed",
    Failure.LOAD_TIMEOUT: "the load took longer than load_timeout",
    Reloaded.OTHER_OPTIONS: "other options",
    Unpulled.NOT_IN_REGISTRY: "no registry has it",
    Unpulled.DISK_FULL: "the disk of the server is full",
    Unpulled.REGISTRY_UNREACHABLE: "the registry cannot be reached",
    Unpulled.REGISTRY_REFUSED: "the registry refuses it",
    Unpulled.PULL_STALLED: "the pull made no progress",
    Unpulled.PULL_FAILED: "the pull failed",
    Undelivered.CLIENT_ERROR: "its address or the message is wrong",
    Undelivered.AUTH: "it does not let us in",
    Undelivered.RATE_LIMITED: "too many messages",
    Undelivered.SERVER_ERROR: "an error of the service",
    Undelivered.REJECTED: "it said no",
    Undelivered.TIMEOUT: "no answer in time",
}
"""By value: where two lists share a value, they mean the same."""


def why(reason: Cause | Reason | Failure | Reloaded | Undelivered | Unpulled | None, *, otherwise: str = "") -> str:
    """A reason in words."""
    return REASONS[reason] if reason is not None else otherwise


def span(seconds: float) -> str:
    """A span, short ones in milliseconds: `4 ms`, `9.8s`, `1m 11s`."""
    return f"{seconds * 1000:.0f} ms" if 0 <= seconds < 0.9995 else show_duration(seconds)


def number(amount: int, thing: str) -> str:
    """`1 model`, `2 models`, `2 losses`."""
    ending = "" if amount == 1 else "es" if thing.endswith("s") else "s"
    return f"{amount} {thing}{ending}"


def memory(size: int | None, vram: int | None) -> str:
    """Size and where it lies: `5.2 GiB, 62 % on the GPU`."""
    share = None if vram is None or not size else vram / size
    return ", ".join(part for part in (size and show_size(size), None if share is None else on_gpu(share)) if part)


def on_gpu(share: float) -> str:
    """Where a model lies, by the share on the GPU; only what is all there is called so."""
    if share <= 0:
        return "on the CPU"
    return "on the GPU" if share >= 1 else f"{min(share * 100, 99):.0f} % on the GPU"


def listed(*parts: str | None) -> str:
    """The parts there are, with commas."""
    return ", ".join(part for part in parts if part)
