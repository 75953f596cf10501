"""What an Ollama of a given version does differently (OLLAMA.md 0)."""

import re
from dataclasses import dataclass

_NUMBERS = re.compile(r"(\d+)\.(\d+)\.(\d+)")
SOURCE_BUILD = (0, 0, 0)


@dataclass(frozen=True, slots=True)
class Version:
    """A server's version, as `/api/version` writes it.

    A source build calls itself `0.0.0` and does what the newest does (OLLAMA.md 6).
    """

    text: str

    @property
    def numbers(self) -> tuple[int, int, int]:
        """Major, minor, patch; a text without three numbers counts as a source build."""
        found = _NUMBERS.search(self.text)
        return (int(found[1]), int(found[2]), int(found[3])) if found else SOURCE_BUILD

    def since(self, *numbers: int) -> bool:
        """Whether a change that came with `numbers` is in this version."""
        return self.numbers in (SOURCE_BUILD,) or self.numbers >= numbers

    @property
    def fast_path(self) -> bool:
        """A request for a loaded model is served without the scheduler's queue."""
        return self.since(0, 11, 5)

    @property
    def llama_server(self) -> bool:
        """One child a GGUF model: contexts compared clamped, automatic batches, out-of-memory sweep."""
        return self.since(0, 30, 0)

    @property
    def locked_listing(self) -> bool:
        """`/api/ps` waits for the locks of the runners."""
        return self.since(0, 32, 4)

    @property
    def lists_context(self) -> bool:
        """`/api/ps` has `context_length`."""
        return self.since(0, 10, 0)

    @property
    def clamps_listed_context(self) -> bool:
        """The listed context is at most the trained one."""
        return self.since(0, 15, 5)

    @property
    def rich_tags(self) -> bool:
        """`/api/tags` has capabilities and lengths."""
        return self.since(0, 30, 0)

    @property
    def shows_capabilities(self) -> bool:
        """`/api/show` has `capabilities`."""
        return self.since(0, 6, 4)

    @property
    def method_not_allowed(self) -> bool:
        """A wrong method is 405; 404 before."""
        return self.since(0, 7, 0)

    @property
    def streams_error_status(self) -> bool:
        """An error before the first token of a stream has its status; 200 before."""
        return self.since(0, 12, 6)

    @property
    def fractions(self) -> bool:
        """`keep_alive` takes fractions of a second; truncated before."""
        return self.since(0, 11, 8)

    @property
    def cloud_names(self) -> bool:
        """Names ending in `:cloud` or `-cloud` go to ollama.com."""
        return self.since(0, 18, 0)

    @property
    def refuses_images(self) -> bool:
        """Image generation models are refused; from 0.14.3 until then they could be loaded."""
        return self.since(0, 32, 6)

    def default_context(self, vram_total: int) -> int:
        """The context of a request that names none, by the memory of all GPUs in bytes."""
        if self.since(0, 15, 5):
            tiers = ((47, 262144), (23, 32768))
            return next((context for gib, context in tiers if vram_total >= gib * 2**30), 4096)
        return 4096 if self.since(0, 6, 7) else 2048
