"""A client of one server, simulated or real, that says what the contract tests want to say.

It learns only from answers: whether a model was reloaded, for instance, from its pin, which a reload by a request
without keep_alive loses (OLLAMA.md 1).
"""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import httpx

from ollama_keeper.core.names import parse_name

LONGEST = timedelta(microseconds=9_223_372_036_854_775)
PINNED = timedelta(days=20 * 365)
VARIANT_CONTEXT = 1024
BETWEEN_LOOKS_S = 0.01  # at least, in the idle test (OLLAMA.md 5.1)
TOLD_S = 0.05  # after an answer until the runner knows of it: 0.8 ms, at most 1.3 (OLLAMA.md 1)
PATIENCE_S = 30.0


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of `/api/ps`."""

    name: str
    expires_at: datetime
    context: int | None
    raw: dict[str, object]

    @property
    def pinned(self) -> bool:
        """Whether it is to stay for ever."""
        return self.expires_at - datetime.now(UTC) > PINNED

    @property
    def remaining_s(self) -> float:
        """Seconds until it is to go, by this machine's clock."""
        return (self.expires_at - datetime.now(UTC)).total_seconds()


@dataclass(slots=True)
class Driver:
    """Requests to one server.

    Attributes:
        completions, embedder: names of models it may load.
        version: major, minor, patch.
    """

    http: httpx.AsyncClient
    completions: tuple[str, ...]
    embedder: str
    version: tuple[int, ...] = ()
    made: list[str] = field(default_factory=list)

    @property
    def model(self) -> str:
        """The first completion model."""
        return self.completions[0]

    def since(self, *numbers: int) -> bool:
        """Whether the server is of this version or later."""
        return self.version == (0, 0, 0) or self.version >= numbers

    async def learn_version(self) -> None:
        """Ask which version it is."""
        text = (await self.http.get("/api/version")).json()["version"]
        self.version = tuple(int(number) for number in text.split("-")[0].split("."))

    # --- requests -----------------------------------------------------------------------------------------------------

    async def post(self, path: str, **body: object) -> httpx.Response:
        """Any request."""
        return await self.http.post(path, json=body)

    async def load(self, name: str, **body: object) -> httpx.Response:
        """A load-only request that must succeed, and the moment until its end is known.

        Args:
            name: of a model of either kind.
            body: further fields; `keep_alive` among them or not.
        """
        embeds = name == self.embedder
        path = "/api/embed" if embeds else "/api/generate"
        fields: dict[str, object] = {"input": []} if embeds else {"stream": False}
        answer = await self.post(path, model=name, **{**fields, **body})
        assert answer.status_code == 200, answer.text
        await asyncio.sleep(TOLD_S)
        return answer

    async def unload(self, *names: str) -> None:
        """Unload, and wait until it is no longer listed."""
        for name in names:
            await self.post("/api/generate", model=name, keep_alive=0)
        for name in names:
            await self.until_gone(name)

    async def list_running(self) -> list[Entry]:
        """One look."""
        return [_entry(raw) for raw in (await self.http.get("/api/ps")).json()["models"]]

    async def entry(self, name: str) -> Entry | None:
        """The entry of a model, if it is listed."""
        wanted = parse_name(name)
        return next((entry for entry in await self.list_running() if parse_name(entry.name) == wanted), None)

    async def listed(self, name: str) -> Entry:
        """The entry of a model that must be listed."""
        entry = await self.entry(name)
        assert entry is not None, f"{name} is not listed"
        return entry

    async def until_gone(self, name: str, limit_s: float = PATIENCE_S) -> float:
        """Wait until a model is not listed; how many seconds that took."""
        return await self._until(name, False, limit_s)

    async def until_listed(self, name: str, limit_s: float = PATIENCE_S) -> float:
        """Wait until a model is listed; how many seconds that took."""
        return await self._until(name, True, limit_s)

    @asynccontextmanager
    async def generating(self, name: str, **body: object) -> AsyncIterator[None]:
        """A generation runs meanwhile; it has said its first word, and its client hangs up at the end."""
        wish = {"model": name, "prompt": "Tell me a long story.", "options": {"num_predict": 400}, **body}
        async with self.http.stream("POST", "/api/generate", json=wish) as answer:
            assert answer.status_code == 200
            lines = answer.aiter_lines()
            assert "response" in json.loads(await anext(lines))
            yield
        await asyncio.sleep(TOLD_S)

    async def kept_without_reload(self, name: str, **body: object) -> bool:
        """Whether a load-only with this body leaves the runner alone: whether its pin is still there afterwards."""
        await self.load(name, **body)
        return (await self.listed(name)).pinned

    async def context(self, name: str) -> int:
        """The context that a listed model has got."""
        context = (await self.listed(name)).context
        assert context is not None, f"{name} is listed without a context"
        return context

    async def trained_context(self, name: str) -> int:
        """The context that a model was trained for."""
        info = (await self.post("/api/show", model=name)).json()["model_info"]
        return int(info[f"{info['general.architecture']}.context_length"])

    async def blob(self, name: str) -> str:
        """The file of a model's weights, by which runners are told apart."""
        modelfile = str((await self.post("/api/show", model=name)).json()["modelfile"])
        return next(line.removeprefix("FROM ") for line in modelfile.splitlines() if line.startswith("FROM "))

    async def is_idle(self, name: str) -> bool:
        """The idle test: two looks with one date, a ping, and a look that shows another (OLLAMA.md 5.1)."""
        first = await self.listed(name)
        await asyncio.sleep(BETWEEN_LOOKS_S)
        second = await self.listed(name)
        await self.load(name)
        return first.expires_at == second.expires_at != (await self.listed(name)).expires_at

    async def copy(self, name: str, other: str) -> None:
        """Another name for a model, to be deleted at the end."""
        await self._claim(other)
        assert (await self.post("/api/copy", source=name, destination=other)).status_code == 200

    async def create(self, name: str, source: str, **parameters: object) -> None:
        """A model of the weights of another, with parameters, to be deleted at the end."""
        await self._claim(name)
        wish = {"model": name, "from": source, "parameters": parameters, "stream": False}
        assert (await self.post("/api/create", **wish)).status_code == 200

    async def _claim(self, name: str) -> None:
        assert (await self.post("/api/show", model=name)).status_code == 404, f"{name} is there, and not ours to write"
        self.made.append(name)

    async def clean(self) -> None:
        """Leave the server as it was: unload what may be loaded, delete what was made."""
        loaded = [entry.name for entry in await self.list_running()]
        await self.unload(*loaded)
        for name in self.made:
            await self.http.request("DELETE", "/api/delete", json={"model": name})

    async def _until(self, name: str, listed: bool, limit_s: float) -> float:
        loop = asyncio.get_running_loop()
        start = loop.time()
        while (await self.entry(name) is not None) is not listed:
            assert loop.time() - start < limit_s, f"{name} is {'not yet' if listed else 'still'} listed"
            await asyncio.sleep(0.02)
        return loop.time() - start


def _entry(raw: dict[str, object]) -> Entry:
    context = raw.get("context_length")
    return Entry(
        name=str(raw["name"]),
        expires_at=datetime.fromisoformat(str(raw["expires_at"])),
        context=context if isinstance(context, int) else None,
        raw=raw,
    )
