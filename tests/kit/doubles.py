"""Keepers that are not ours: a plain one that behaves, and others that each break one rule. Only for negative controls.

Each speaks to the server, and shows states and output, as ours does, so that the checks of `tests.kit.checks` can be
made on it.
"""

import asyncio
from typing import Any

import httpx

from tests.kit.checks import CANARY, US

BASE_URL = "http://127.0.0.1:11434"
EVERY_S = 15.0


class Plain:
    """Looks each 15 s, and warms what is absent, one after the other. It breaks no rule."""

    def __init__(self, transport: httpx.AsyncBaseTransport, *models: str) -> None:
        self.models = models
        self.listed: set[str] = set()
        self.told: list[str] = []
        self.alerts: list[dict[str, Any]] = []
        self._http = httpx.AsyncClient(
            transport=transport,
            base_url=BASE_URL,
            timeout=None,
            headers={"user-agent": f"{US}/0", "authorization": f"Bearer {CANARY}"},
        )

    async def run(self) -> None:
        """For ever."""
        while True:
            await self.look()
            await self.act([model for model in self.models if model not in self.listed])
            await asyncio.sleep(EVERY_S)

    def states(self) -> dict[str, str]:
        """As it shows them."""
        return {model: "ready" if model in self.listed else "cold" for model in self.models}

    async def close(self) -> None:
        """Closes the connections."""
        await self._http.aclose()

    async def look(self) -> None:
        """What is listed now."""
        document: Any = (await self._http.get("/api/ps")).json()
        before, self.listed = self.listed, {entry["name"] for entry in document["models"]}
        for model in sorted({*self.models} - self.listed - {alert["fingerprint"] for alert in self.firing()}):
            self.alert(model, "firing")
        for model in sorted(self.listed - before):
            self.alert(model, "resolved")

    def firing(self) -> list[dict[str, Any]]:
        """Alerts that have not ended, as far as it knows."""
        last = {alert["fingerprint"]: alert for alert in self.alerts}
        return [alert for alert in last.values() if alert["status"] == "firing"]

    def alert(self, model: str, status: str) -> None:
        """Tells that a model is absent, or is no more."""
        since = f"{asyncio.get_running_loop().time():.3f}"
        self.alerts.append({"fingerprint": model, "status": status, "startsAt": since, "labels": {"model": model}})

    async def act(self, absent: list[str]) -> None:
        """Warms what is absent, and looks at what came of it."""
        for model in absent:
            await self.warm(model)
        if absent:
            await self.look()

    async def warm(self, model: str) -> None:
        """Loads a model and pins it."""
        await self._http.post("/api/generate", json={"model": model, "stream": False, "keep_alive": -1})
        self.told.append(f"warmed {model}")


class Parallel(Plain):
    """Warms everything at once."""

    async def act(self, absent: list[str]) -> None:
        await asyncio.gather(*map(self.warm, absent))
        await self.look()


class Stacking(Plain):
    """Does not wait for one look before the next."""

    async def act(self, absent: list[str]) -> None:
        await super().act(absent)
        await asyncio.gather(self.look(), self.look())


class Blind(Plain):
    """Never notices that something has left."""

    async def look(self) -> None:
        before = self.listed
        await super().look()
        self.listed |= before


class Heartbeat(Plain):
    """Sends a keep_alive to what is listed, again and again."""

    async def act(self, absent: list[str]) -> None:
        await super().act(absent)
        for model in self.models:
            await self.warm(model)


class Talkative(Plain):
    """Lets the model say a word, to be sure."""

    async def warm(self, model: str) -> None:
        await super().warm(model)
        body = {"model": model, "stream": False, "prompt": "hi", "options": {"num_predict": 1}}
        await self._http.post("/api/generate", json=body)


class Pulling(Plain):
    """Pulls what it warms."""

    async def warm(self, model: str) -> None:
        await self._http.post("/api/pull", json={"model": model, "stream": False})
        await super().warm(model)


class Impatient(Plain):
    """Gives up a load after a second."""

    async def warm(self, model: str) -> None:
        try:
            await asyncio.wait_for(super().warm(model), 1)
        except TimeoutError:
            await super().warm(model)


class Leaking(Plain):
    """Forgets a task at each look."""

    def __init__(self, transport: httpx.AsyncBaseTransport, *models: str) -> None:
        super().__init__(transport, *models)
        self.forgotten: list[asyncio.Task[None]] = []

    async def look(self) -> None:
        await super().look()
        self.forgotten.append(asyncio.get_running_loop().create_task(asyncio.sleep(10**6)))


class Indiscreet(Plain):
    """Tells with what it asked."""

    async def look(self) -> None:
        await super().look()
        self.told.append(f"asked with {self._http.headers['authorization']}")


class Broken(Plain):
    """Goes on after a fault of its own, and tells it."""

    async def look(self) -> None:
        await super().look()
        self.told.append("check.failed: ZeroDivisionError")


class Forgetful(Plain):
    """Never tells that an alert is over, and tells the next one all the same."""

    def firing(self) -> list[dict[str, Any]]:
        return []

    def alert(self, model: str, status: str) -> None:
        if status == "firing":
            super().alert(model, status)
