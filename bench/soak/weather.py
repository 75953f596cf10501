"""What happens to a keeper in its life: mishaps of its servers, and another configuration every now and then."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import cycle
from random import Random

STEP_S = 113.0  # from one to the next: in step with no interval; 60,000 checks are 31 hours, and 200 reloads
MISHAPS_A_RELOAD = 4
QWEN, LLAMA, EMBED, LLAVA = "qwen3:8b", "llama3.2:3b", "nomic-embed-text", "llava:13b"
GEMMA = "gemma3:4b"


@dataclass(frozen=True, slots=True)
class Mishap:
    """A verb of the simulator, with its arguments."""

    verb: str
    arguments: dict[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Reload:
    """Another text of the configuration."""

    text: str


Happening = Mishap | Reload

MISHAPS = (
    Mishap("unload", {"model": QWEN}),
    Mishap("unload", {"model": EMBED}),
    Mishap("unload_all"),
    Mishap("restart", {"down_s": 5.0}),
    Mishap("restart", {"down_s": 60.0, "starting_s": 5.0}),
    Mishap("kill", {"model": QWEN}),
    Mishap("runtime_oom"),
    Mishap("client", {"model": QWEN, "keep_alive": 0}),
    Mishap("client", {"model": LLAVA, "keep_alive": "60s"}),
    Mishap("client", {"model": QWEN, "tokens": 20, "keep_alive": "5m"}),
    Mishap("fail", {"path": "ps", "status": 500, "times": 4}),
    Mishap("fail", {"path": "generate", "status": 503, "headers": {"Retry-After": "30"}, "times": 3}),
    Mishap("reply", {"path": "ps", "body": "<html>", "times": 2}),
    Mishap("delay", {"path": "ps", "seconds": 7.0, "times": 3}),
    Mishap("hang", {"path": "ps", "times": 1}),
    Mishap("hang", {"path": "version", "times": 2}),
)


def happenings(urls: Sequence[str], random: Random) -> Iterator[Happening]:
    """For ever: some mishaps, then a reload. Every kind comes once before one comes again.

    Args:
        urls: of three servers; the third is kept only now and then.
    """
    mishaps, reloads = _in_turns(MISHAPS, random), cycle(reloads_of(urls))
    while True:
        for _ in range(MISHAPS_A_RELOAD):
            yield next(mishaps)
        yield next(reloads)


def reloads_of(urls: Sequence[str]) -> list[Reload]:
    """Configurations that come one after the other; the first is that of the start, and each second one too."""
    usual = text(urls[:2])
    others = [
        text(urls[:2], models=(QWEN, LLAMA)),
        text(urls[:2], models=(EMBED,)),
        text(urls),
        text(urls[:2], more="interval: 20s\n"),
        text(urls[:2], header="one"),
        text(urls[:1]),
        f"{usual}interval: often\n",
    ]
    return [Reload(one) for other in others for one in (other, usual)]


def text(
    urls: Sequence[str], *, models: Sequence[str] = (QWEN, LLAMA, EMBED, GEMMA), header: str = "none", more: str = ""
) -> str:
    """A configuration file."""
    servers = "".join(
        f"  - {{name: s{number}, url: '{url}', headers: {{X-Soak: {header}}}}}\n" for number, url in enumerate(urls)
    )
    return f"servers:\n{servers}models: [{', '.join(models)}]\n{more}"


def _in_turns(kinds: Sequence[Mishap], random: Random) -> Iterator[Mishap]:
    while True:
        yield from random.sample(kinds, len(kinds))
