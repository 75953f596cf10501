"""One simulated server as an ASGI application: presence on the network, the record of requests, faults."""

import asyncio
import json
from collections.abc import Iterable
from enum import StrEnum

from ollama_keeper.simulator import app, control
from ollama_keeper.simulator.answers import Answer, Cut
from ollama_keeper.simulator.app import CLIENT_GONE, Receive, Scope, Send
from ollama_keeper.simulator.call import Call
from ollama_keeper.simulator.effects import Reset
from ollama_keeper.simulator.faults import Faults, plain
from ollama_keeper.simulator.history import Request
from ollama_keeper.simulator.shell import Shell
from ollama_keeper.simulator.state import SECOND, Settings, StoredModel


class Presence(StrEnum):
    """What the network shows of the server."""

    UP = "up"
    DOWN = "down"
    STARTING = "starting"
    FROZEN = "frozen"


class Server(Shell):
    """A server that can be asked: call it as an ASGI application."""

    def __init__(
        self, models: Iterable[StoredModel], settings: Settings | None = None, registry: Iterable[StoredModel] = ()
    ) -> None:
        """As `Shell`."""
        super().__init__(models, settings, registry)
        self.faults = Faults()
        self.token: str | None = None
        self.presence = Presence.UP
        self.ends = 0  # how often its process has ended; a connection lives no longer than the process
        self._ended: asyncio.Future[None] | None = None
        self._there: asyncio.Event | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request.

        Raises:
            Cut: the connection is closed without an answer, or in the middle of one; the transport is to show that.
        """
        if scope["type"] == "lifespan":
            await _lifespan(receive, send)
            return
        if scope["type"] != "http":
            raise Cut
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        body = await app.body_of(receive)
        if body is None:
            return
        agent = headers.get("user-agent", "")
        call = Call(
            shell=self,
            id=self.next_id(),
            at=self.now(),
            method=scope["method"],
            path=scope["path"],
            headers=headers,
            raw=body,
            who=agent.split(" ", 1)[0],
        )
        await self._record(call, agent, receive, send)

    async def _record(self, call: Call, agent: str, receive: Receive, send: Send) -> None:
        if control.is_control(call.path):
            await app.send_answer(await control.answer(self, call), call, send)
            return
        self.history.opened(_request(call, agent))
        status = CLIENT_GONE
        try:
            status = await app.serve(self._work(call, send), receive, self._until_end())
        except Cut:
            status = 0
            raise
        finally:
            self.history.update(call.id, status=status, ended=self.now() / SECOND)

    async def _work(self, call: Call, send: Send) -> int:
        """Answer, and let the runner know when the answer is out."""
        try:
            await self._wait_for_presence()
            answer = self._unauthorized(call) or await self.faults.meet(call.path) or await app.route(call)
            await self._wait_for_presence()
            await app.send_answer(answer, call, send)
            return answer.status
        finally:
            self.leave(call.id)

    def _unauthorized(self, call: Call) -> Answer | None:
        if self.token is None or call.headers.get("authorization") == f"Bearer {self.token}":
            return None
        return plain(401, b"Unauthorized\n", [("www-authenticate", "Bearer")])

    # --- presence -----------------------------------------------------------------------------------------------------

    def show(self, presence: Presence) -> None:
        """Be seen so from now on."""
        self.presence = presence
        if self._there is None:
            self._there = asyncio.Event()
        if presence is Presence.UP:
            self._there.set()
        else:
            self._there.clear()

    def end(self, settings: Settings | None = None) -> None:
        """The process ends: connections are cut, what was loaded is gone."""
        self._until_end().set_result(None)
        self._ended = None
        self.ends += 1
        self.history.cut(self.now() / SECOND)
        self.step(Reset(settings or self.state.settings))
        self.show(Presence.DOWN)

    def _until_end(self) -> asyncio.Future[None]:
        if self._ended is None:
            self._ended = asyncio.get_running_loop().create_future()
        return self._ended

    async def _wait_for_presence(self) -> None:
        if self.presence is Presence.DOWN:
            raise Cut
        if self._there is not None:
            await self._there.wait()


async def _lifespan(receive: Receive, send: Send) -> None:
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return


def _request(call: Call, agent: str) -> Request:
    try:
        body = json.loads(call.raw) if call.raw else None
    except ValueError:
        body = None
    document = body if isinstance(body, dict) else None
    return Request(call.id, call.at / SECOND, call.method, call.path, call.who, agent, document)
