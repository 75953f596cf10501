"""What one look, load, ping or answer showed: frozen records, the only way in which the world reaches `core`.

The shell makes them, `fold` takes them in. Sizes are bytes, spans seconds, instants of the server aware datetimes.
"""

from datetime import datetime
from enum import StrEnum

from ollama_keeper.core.instant import Instant
from ollama_keeper.core.names import ModelName
from ollama_keeper.core.policy import Budget, Options, Policy
from ollama_keeper.core.reasons import Cause, Failure, Unpulled
from ollama_keeper.core.record import record


class Kind(StrEnum):
    """What a model can be asked, and so how it is loaded (OLLAMA.md 2)."""

    COMPLETION = "completion"
    EMBEDDER = "embedder"
    IMAGE = "image"
    CLOUD = "cloud"


@record
class Listed:
    """One entry of `/api/ps` (OLLAMA.md 5).

    Attributes:
        text: the name as the server wrote it.
        digest: sha256 of the manifest, bare hex.
        context_length: None where the server does not tell (before 0.10.0, or 0).
    """

    name: ModelName
    text: str
    digest: str
    size: int
    size_vram: int
    context_length: int | None
    expires_at: datetime

    @property
    def gpu_fraction(self) -> float | None:
        """Share of the model in GPU memory, 0.0 to 1.0; None where the server's figures make no sense."""
        if self.size <= 0 or self.size_vram > self.size:
            return None
        return self.size_vram / self.size


@record
class Pulled:
    """One entry of `/api/tags`; `size` is that on disk."""

    name: ModelName
    digest: str
    remote: bool = False
    size: int = 0


@record
class Shown:
    """What `/api/show` tells of a model.

    Attributes:
        weights: what the server keys the runner by: path of the weights blob, or the manifest digest for MLX.
        trained_context: tokens the model was trained for; None where unknown.
        own_context: `num_ctx` of its Modelfile.
        mlx: runs on the MLX engine, which never reloads for other options.
        layers, heads, kv_heads, width: of its attention, from which the KV cache is estimated; None where unknown.
        key_width, value_width: of one head, where they are not `width` / `heads`. feed_forward: of its layers.
    """

    kind: Kind
    weights: str | None = None
    trained_context: int | None = None
    own_context: int | None = None
    mlx: bool = False
    layers: int | None = None
    heads: int | None = None
    kv_heads: int | None = None
    width: int | None = None
    key_width: int | None = None
    value_width: int | None = None
    feed_forward: int | None = None


class Send(StrEnum):
    """The requests that load a model or touch a listed one (CONTRACT 1); the last two give it back."""

    WARM = "warm"
    PING = "ping"
    REPIN = "repin"
    TAKEOVER = "takeover"
    RELEASE = "release"
    UNLOAD = "unload"


@record
class LoadRequest:
    """One load-only request: loads an absent model, or touches a listed one, without a token.

    Attributes:
        model: the operator's name.
        kind: embedders are asked by `/api/embed` with empty input, all else by `/api/generate` without a prompt.
        keep_alive: None is not sent.
        options: runner options as sent, sorted by key.
    """

    send: Send
    model: str
    kind: Kind
    keep_alive: int | float | str | None = None
    options: Options = ()


@record
class ProbeRequest:
    """One generated token, or one embedding: proof that inference works (OLLAMA.md 13). Fields as in `LoadRequest`."""

    model: str
    kind: Kind
    options: Options = ()


# --- facts ------------------------------------------------------------------------------------------------------------


@record
class Configured:
    """The operator's wishes for this server, ranked; the first fact of all, and one after each reload.

    Attributes:
        look_timeout_s: how long a look may take from now on; None as before.
    """

    policies: tuple[Policy, ...]
    look_timeout_s: float | None = None
    budget: Budget | None = None


@record
class Looked:
    """A valid answer of `/api/ps`.

    Attributes:
        skipped: entries that made no sense and were left out.
        skew_s: the server's clock less ours by its `Date` header; None where it sent none that makes sense.
        reconnected: the server had closed the connection since the last look, which may be the sign of a restart.
        asked: when the request was sent; what ended later is not contradicted by this look. None: just now.
    """

    models: tuple[Listed, ...]
    skipped: int = 0
    skew_s: float | None = None
    reconnected: bool = False
    asked: Instant | None = None


@record
class LookFailed:
    """A look without a valid answer; it says nothing about the models."""

    reason: Failure
    detail: str = ""
    status: int | None = None
    retry_after_s: float | None = None


@record
class LookSilent:
    """A look is open for longer than 5 s."""


@record
class Versioned:
    """`/api/version` answered."""

    version: str


@record
class VersionFailed:
    """`/api/version` did not answer, or not as Ollama would."""

    reason: Failure
    detail: str = ""


@record
class Tagged:
    """A valid answer of `/api/tags`: what is pulled."""

    models: tuple[Pulled, ...]


@record
class Described:
    """`/api/show` of one name answered; `digest` is the manifest digest that the name had when it was asked."""

    name: ModelName
    digest: str
    shown: Shown


@record
class DescribeFailed:
    """`/api/show` of one name failed."""

    name: ModelName
    digest: str
    reason: Failure
    status: int | None = None
    detail: str = ""


@record
class InquiryFailed:
    """`/api/tags` did not answer, so nothing can be warmed that is not known yet."""

    reason: Failure
    detail: str = ""


@record
class Opened:
    """A load of ours was sent. `cause` is set for warms."""

    request: LoadRequest
    cause: Cause | None = None


@record
class Answered:
    """A load of ours was answered as loaded (`done_reason: load`, or empty embeddings)."""

    request: LoadRequest


@record
class Failed:
    """A load of ours failed.

    Attributes:
        stopping: we ended it ourselves because the keeper stops; no fault of the model.
    """

    request: LoadRequest
    reason: Failure
    status: int | None = None
    detail: str = ""
    retry_after_s: float | None = None
    stopping: bool = False


@record
class IdleTested:
    """The idle test of one model ended (CONTRACT 1; OLLAMA.md 5.1)."""

    model: str
    idle: bool


@record
class Probed:
    """A probe was answered after `took_s`; `first_token_s` as the server measured it, None where it does not tell."""

    model: str
    took_s: float
    first_token_s: float | None = None


@record
class ProbeFailed:
    """A probe was not answered in time, or with a failure."""

    model: str
    reason: Failure
    took_s: float
    status: int | None = None
    detail: str = ""


@record
class Paused:
    """Somebody asked that models be left alone.

    Attributes:
        models: the operator's names; those that are not known here are passed over.
        until: when it ends by itself; None when only `Resumed` ends it.
        by: who asked, as far as the system tells.
        unload: they are taken out of memory at once.
    """

    models: tuple[str, ...]
    until: datetime | None
    by: str
    note: str | None = None
    unload: bool = False


@record
class Resumed:
    """Somebody asked that models be kept again."""

    models: tuple[str, ...]
    by: str


@record
class Hurried:
    """Somebody asked that absent models be warmed now."""

    models: tuple[str, ...]


@record
class PullOpened:
    """A pull of ours was sent."""

    model: str


@record
class PullProgressed:
    """How far a pull of ours is: bytes of the layers that it has told of so far."""

    model: str
    completed: int
    total: int


@record
class PullEnded:
    """A pull of ours succeeded: the model is there."""

    model: str


@record
class PullFailed:
    """A pull of ours failed; Ollama keeps what has come, and goes on from there when it is asked again.

    Attributes:
        stopping: we ended it ourselves, because the keeper stops or the model is not to be kept now.
    """

    model: str
    reason: Failure | Unpulled
    detail: str = ""
    stopping: bool = False


Fact = (
    Configured
    | Looked
    | LookFailed
    | LookSilent
    | Versioned
    | VersionFailed
    | Tagged
    | Described
    | DescribeFailed
    | InquiryFailed
    | Opened
    | Answered
    | Failed
    | IdleTested
    | Probed
    | ProbeFailed
    | Paused
    | Resumed
    | Hurried
    | PullOpened
    | PullProgressed
    | PullEnded
    | PullFailed
)
