"""Model names as Ollama reads them: four parts, defaults filled in, case folded.

A name is `[scheme://]host/namespace/model:tag`. Ollama fills in its default registry, `library` and `latest`, looks
names up without regard to case, and lists a model by the shortest form of the name it was first loaded under
(OLLAMA.md 5). Comparing text is therefore wrong; compare `ModelName`s.
"""

import re
from dataclasses import dataclass
from functools import lru_cache

DEFAULT_HOST = "registry.ollama.ai"
DEFAULT_NAMESPACE = "library"
DEFAULT_TAG = "latest"

_PATTERNS = (
    re.compile(r"[a-z0-9_][a-z0-9_.:\-]{0,349}"),
    re.compile(r"[a-z0-9_][a-z0-9_\-]{0,79}"),
    re.compile(r"[a-z0-9_][a-z0-9_.\-]{0,79}"),
    re.compile(r"[a-z0-9_][a-z0-9_.\-]{0,79}"),
)
_SCHEME = re.compile(r"^[a-z][a-z0-9+]*://", re.IGNORECASE)


class BadName(ValueError):
    """Raised for text that Ollama would answer with 400 `invalid model name`."""


@dataclass(frozen=True, slots=True, order=True)
class ModelName:
    """The four parts of a model's name, case folded; equal exactly when Ollama means the same model."""

    host: str
    namespace: str
    model: str
    tag: str

    def __str__(self) -> str:
        """The shortest form with the tag, as `/api/ps` writes it."""
        if self.host != DEFAULT_HOST:
            return f"{self.host}/{self.namespace}/{self.model}:{self.tag}"
        if self.namespace != DEFAULT_NAMESPACE:
            return f"{self.namespace}/{self.model}:{self.tag}"
        return f"{self.model}:{self.tag}"

    @property
    def full(self) -> str:
        """All four parts, as Ollama's capability errors write them."""
        return f"{self.host}/{self.namespace}/{self.model}:{self.tag}"


@lru_cache(maxsize=1024)  # every look names every model of its server
def parse_name(text: str) -> ModelName:
    """The name that `text` means to Ollama.

    A scheme is stripped, and so is the suffix `:local`, which forces the local model and which `/api/ps` drops
    (OLLAMA.md 2, 5).

    Raises:
        BadName: `text` is not a name that Ollama accepts.
    """
    bare = _SCHEME.sub("", text)
    if bare.lower().endswith(":local"):
        bare = bare[: -len(":local")]
    path, tag = bare, DEFAULT_TAG
    if bare.rfind(":") > bare.rfind("/"):
        path, _, tag = bare.rpartition(":")
    *front, model = path.split("/")
    parts = tuple(part.lower() for part in (*_host_and_namespace(front, text), model, tag))
    if not (text.isascii() and all(pattern.fullmatch(part) for pattern, part in zip(_PATTERNS, parts, strict=True))):
        msg = f"{text!r} is not a model name"
        raise BadName(msg)
    return ModelName(*parts)


def is_name(text: str) -> bool:
    """Whether Ollama would take `text` as the name of a model."""
    try:
        parse_name(text)
    except BadName:
        return False
    return True


def is_cloud(text: str) -> bool:
    """Whether the name alone says that the model runs on ollama.com (OLLAMA.md 2: tag `cloud` or ending `-cloud`)."""
    if "cloud" not in text.lower() or text.lower().endswith(":local"):
        return False
    _, colon, tag = text.rsplit("/", 1)[-1].rpartition(":")
    return bool(colon) and (tag.lower() == "cloud" or tag.lower().endswith("-cloud"))


def _host_and_namespace(front: list[str], text: str) -> tuple[str, str]:
    match front:
        case []:
            return DEFAULT_HOST, DEFAULT_NAMESPACE
        case [namespace]:
            return DEFAULT_HOST, namespace
        case [host, namespace]:
            return host, namespace
    msg = f"{text!r} is not a model name: at most host/namespace/model:tag"
    raise BadName(msg)
