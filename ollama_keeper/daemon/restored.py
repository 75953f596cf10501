"""What a keeper knows of a server as it starts, and what the store keeps of it for the next start."""

import contextlib
from collections.abc import Collection, Mapping
from typing import Any

from ollama_keeper.config import Server as ServerConfig
from ollama_keeper.core.facts import Configured
from ollama_keeper.core.fold import fold
from ollama_keeper.core.instant import Instant
from ollama_keeper.core.keep import (
    Document,
    left_behind,
    model_document,
    restored_model,
    restored_server,
    server_document,
    what_is_kept,
)
from ollama_keeper.core.memory import ServerMemory, fresh_memory
from ollama_keeper.store import Kept, Store

SERVER_KEY = ""  # the server's own document beside those of its models
UNUSABLE = (ValueError, TypeError, KeyError, AttributeError)


def restored(config: ServerConfig, store: Store, now: Instant, *, source: str | None = None) -> ServerMemory:
    """The memory of a server as a keeper starts with it: its policies, and what the store kept.

    Args:
        source: the file that the wishes come from. A model that the same file once named, and names no more, is still
            to be given back; what other keepers keep is none of our business.
    """
    address = config.address
    memory = fresh_memory(address.name, now, look_timeout_s=address.look_timeout_s)
    memory, _ = fold(memory, Configured(config.policies, budget=config.budget), now)
    for kept in store.read(address.name):
        with contextlib.suppress(*UNUSABLE):
            memory = _with_kept(memory, kept, now, url=address.url, source=source)
    return memory


class Notes:
    """Hands to the store what has changed of what outlives a restart, and takes back what is known no more."""

    def __init__(self, store: Store, *, source: str | None) -> None:
        """Args: source: as in `restored`."""
        self._store = store
        self._source = {"source": source} if source else {}
        self._kept: dict[str, dict[str, object]] = {}

    def take(self, memory: ServerMemory, url: str) -> None:
        """What is known of a server now."""
        kept = self._kept.setdefault(memory.server, {})
        for model in memory.known:
            of = (what_is_kept(model), url)
            if kept.get(model.model) != of:
                kept[model.model] = of
                self._write(memory.server, model.model, model_document(model) | self._source, url)
        document = server_document(memory)
        if kept.get(SERVER_KEY) != (document, url):
            kept[SERVER_KEY] = (document, url)
            self._write(memory.server, SERVER_KEY, document, url)
        if len(kept) > len(memory.known) + 1:
            self.forget(memory.server, but={SERVER_KEY, *(model.model for model in memory.known)})

    def forget(self, server: str, *, but: Collection[str] = ()) -> None:
        """Keeps nothing of a server any more, but of the models named."""
        kept = self._kept.get(server, {})
        for name in kept.keys() - set(but):
            del kept[name]
            self._store.forget(server, name)
        if not kept:
            self._kept.pop(server, None)

    def _write(self, server: str, name: str, document: Document, url: str) -> None:
        self._store.write(server, Kept(name, {**document, "url": url}))


def _with_kept(memory: ServerMemory, kept: Kept, now: Instant, *, url: str, source: str | None) -> ServerMemory:
    document: Mapping[str, Any] = kept.document
    if document.get("url", url) != url:
        return memory
    if kept.model == SERVER_KEY:
        return restored_server(memory, document, now)
    if memory.get(kept.model) is not None:
        return memory.with_model(restored_model(memory.model(kept.model), document, now))
    if source is None or document.get("source") != source:
        return memory
    return left_behind(memory, kept.model, document, now)
