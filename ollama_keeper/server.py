"""The shell of one server: looks (single flight), touches, the load lane. It decides nothing.

Data flows one way: what a request showed is a fact, `learn` folds it and tells the changes, `decide` and `next_load`
say what to send. Every task belongs to the group of `run`, and ends with it.
"""

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from copy import copy
from functools import partial
from typing import Protocol

from ollama_keeper.clock import Clock
from ollama_keeper.core.announce import announce
from ollama_keeper.core.changes import Change, CheckFailed
from ollama_keeper.core.counts import Counts
from ollama_keeper.core.decide import Act, Decision, any_ping_due, decide
from ollama_keeper.core.facts import (
    Answered,
    Described,
    DescribeFailed,
    Fact,
    Failed,
    IdleTested,
    InquiryFailed,
    LoadRequest,
    Looked,
    LookFailed,
    LookSilent,
    Opened,
    Probed,
    ProbeFailed,
    ProbeRequest,
    PullEnded,
    PullFailed,
    PullOpened,
    PullProgressed,
    Send,
    Shown,
    Tagged,
    Versioned,
    VersionFailed,
)
from ollama_keeper.core.instant import Instant
from ollama_keeper.core.learn import learn
from ollama_keeper.core.makeway import costly, makes_way
from ollama_keeper.core.memory import ModelMemory, ServerMemory
from ollama_keeper.core.names import parse_name
from ollama_keeper.core.numbers import IDLE_FOR_S, RECHECK_S, SUSPECT_AFTER_S
from ollama_keeper.core.pace import fresh_for_s, look_after_s, tags_due, to_describe
from ollama_keeper.core.pulls import may_go_on, next_pull, next_try
from ollama_keeper.core.reasons import Cause, Failure, ServerState
from ollama_keeper.core.record import replace
from ollama_keeper.core.requests import warm_request
from ollama_keeper.core.turn import next_hold_ends, next_load
from ollama_keeper.errors import OllamaError, Unreachable

EDGES_EVERY_S = 0.5
SHORTEST_WAIT_S = 0.001  # a hold may end within the rounding of its own end: without this the lane would spin
PROGRESS_EVERY_S = 1.0  # a server tells each 60 ms how far a pull is
IDLE_TEST_GAP_S = 0.02
OWN_USE_WITHIN_S = 6.0  # of our answer: its end is counted behind an unload under way, 5 s at most (OLLAMA.md 4)
ANSWERED_GAPS_S = (0.006, 0.05)
"""Until the looks behind an answer: the end moves the expiry 1.3 ms later (OLLAMA.md 1), or more on a busy machine."""
PLEASE_REPORT = "a fault of ollama-keeper: please report it with this line"


class Client(Protocol):
    """The calls that the shell makes of a server; all raise `OllamaError` and nothing else."""

    async def look(self) -> Looked:
        """`GET /api/ps`."""
        ...

    async def version(self) -> str:
        """`GET /api/version`."""
        ...

    async def tags(self) -> Tagged:
        """`GET /api/tags`."""
        ...

    async def show(self, name: str) -> Shown:
        """`POST /api/show`."""
        ...

    async def load(self, request: LoadRequest) -> None:
        """A load-only request, however long it takes."""
        ...

    async def pull(self, model: str, report: Callable[[int, int], None]) -> PullEnded | PullFailed:
        """`POST /api/pull`, however long it takes; `report` is told bytes, those that are there and all."""
        ...

    async def probe(self, request: ProbeRequest, seconds: float) -> float | None:
        """One token within so many seconds; how long it took by the server's own clock, where it tells."""
        ...


class Server:
    """One Ollama server and the models kept there."""

    def __init__(
        self,
        memory: ServerMemory,
        client: Client,
        *,
        clock: Clock,
        report: Callable[[Change], None],
        keep: Callable[[ServerMemory], None] = lambda _: None,
        dry_run: bool = False,
    ) -> None:
        self.memory = memory
        self.counts = Counts()
        self._taken = Counts()
        self._client = client
        self._clock = clock
        self._report = report
        self._keep = keep
        self._dry_run = dry_run
        self._looking: asyncio.Task[None] | None = None
        self._looked = -float("inf")
        self._announced = -float("inf")
        self._changed = asyncio.Event()
        self._due: set[str] = set()
        self._checking: asyncio.Task[None] | None = None
        self._testing: set[str] = set()
        self._one_test = asyncio.Lock()
        self._pulling: asyncio.Task[None] | None = None
        self._progressed = -float("inf")
        self._tasks: set[asyncio.Task[None]] = set()
        self._stopping = False

    # --- life ---------------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Watches and loads until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._watch(), name=f"watch {self.memory.server}")
            group.create_task(self._serve_loads(), name=f"loads {self.memory.server}")
            group.create_task(self._serve_pulls(), name=f"pulls {self.memory.server}")

    def touch_from_now(self) -> None:
        """Ends a dry run: what is due is sent from now on."""
        self._dry_run = False
        self._changed.set()

    def use(self, client: Client) -> None:
        """Asks by another client from now on; what is under way ends as it began."""
        self._client = client

    async def drain(self, grace_s: float) -> int:
        """Starts nothing new, waits up to `grace_s` for what is open, then ends it.

        Returns:
            How many loads were abandoned.
        """
        self._stopping = True
        self._changed.set()
        if self._pulling is not None:  # nothing is lost by that: the server keeps what has come
            self._pulling.cancel()
        if self._tasks:
            await asyncio.wait(set(self._tasks), timeout=grace_s if self.memory.open else 0)
        abandoned = len(self.memory.open)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        return abandoned

    @property
    def asking(self) -> bool:
        """Whether a look, or what is asked after it, is under way."""
        return self._looking is not None and not self._looking.done()

    def now(self) -> Instant:
        """The present moment of this server's clock."""
        return self._clock.now()

    def look_soon(self) -> None:
        """Looks now, whatever the job says: what was seen before the machine slept is old."""
        if not self._stopping:
            self._start(self.look(), "look after a gap")

    def take_counts(self) -> Counts:
        """What was done since the last call: checks, looks and pings."""
        before, self._taken = self._taken, copy(self.counts)
        now = self._taken
        return Counts(now.checks - before.checks, now.looks - before.looks, now.pings - before.pings)

    def learn(self, fact: Fact) -> None:
        """Folds a fact and tells what it changed."""
        now = self._clock.now()
        self.memory, changes = learn(self.memory, fact, now)
        self._announced = now.mono
        self._tell(changes)

    def _tell(self, changes: tuple[Change, ...]) -> None:
        for change in changes:
            self._report(change)
        self._keep(self.memory)
        self._changed.set()

    # --- checks and looks ---------------------------------------------------------------------------------------------

    def start_check(self, name: str) -> None:
        """Begins one run of a model's job; those that fall due together share one look."""
        if self._stopping or self.memory.get(name) is None:
            return
        self._due.add(name)
        if self._checking is None or self._checking.done():
            self._checking = self._start(self._check(), "checks")

    async def _check(self) -> None:
        """Looks at the shared `/api/ps`, and sends what is due; what falls due meanwhile is looked at anew."""
        while self._due:
            names, self._due = self._due, set()
            self.counts.checks += len(names)
            if self.memory.state in {ServerState.UP, ServerState.BUSY} and not self.memory.failures:
                await self.look()
            self._tell_edges()
            for name in names:
                with self._told(f"check {name}"):
                    self._touch(name)

    async def look(self) -> None:
        """Looks unless a look is young enough; all who ask at once share one request."""
        if self.asking or self._clock.now().mono - self._looked >= fresh_for_s(self.memory):
            await self._shared_look()

    async def look_anew(self) -> None:
        """Looks, and takes no look that was asked before now for an answer."""
        if self.asking:
            await self._shared_look()
        await self._shared_look()

    async def _shared_look(self) -> None:
        if self._looking is None or self._looking.done():
            self._looking = self._start(self._look(), "look")
        await asyncio.shield(self._looking)

    async def _look(self) -> None:
        asked = self._clock.now()
        try:
            if self._must_ask_version() and not await self._ask_version():
                self.counts.look_failed(self.memory.failure or Failure.UNREACHABLE)
                return
            self.counts.looks += 1
            looked = replace(await self._answer_of_ps(), asked=asked)
            if looked.reconnected:
                await self._ask_version()
            self.learn(looked)
            await self._inquire()
            for model in self._to_go():
                self._touch(model.model)
        except OllamaError as error:
            self.counts.look_failed(error.reason)
            self.learn(_look_failed(error))
        finally:
            self._looked = self._clock.now().mono

    def _to_go(self) -> Iterator[ModelMemory]:
        """What is to go soon, so that it is not left to its own check: what is given back, and what makes way."""
        yield from self.memory.leaving
        model = costly(self.memory)
        if model is not None and makes_way(model, self.memory, self._clock.now()) is not None:
            yield model

    async def _answer_of_ps(self) -> Looked:
        """The answer of `/api/ps`; while it is silent, `/api/version` is asked beside it to tell busy from down."""
        began = self._clock.now()
        look = asyncio.ensure_future(self._client.look())
        try:
            await asyncio.wait({look}, timeout=SUSPECT_AFTER_S)
            if not look.done():
                self.learn(LookSilent())
            while not look.done():
                await self._ask_version()
                await asyncio.wait({look}, timeout=RECHECK_S)
            answer = look.result()
            self.counts.look_s.take(self._clock.now().since(began))
            return answer
        finally:
            look.cancel()

    def _must_ask_version(self) -> bool:
        memory = self.memory
        return memory.version is None or memory.disturbed or memory.state is not ServerState.UP

    async def _ask_version(self) -> bool:
        try:
            self.learn(Versioned(await self._client.version()))
        except OllamaError as error:
            self.learn(VersionFailed(error.reason, _detail(error)))
            return False
        return True

    async def _inquire(self) -> None:
        """Asks what the next step needs to know: what is pulled, and what kind it is."""
        now = self._clock.now()
        try:
            if tags_due(self.memory, now, ping_due=lambda: any_ping_due(self.memory, now)):
                self.learn(await self._client.tags())
            while (asked := to_describe(self.memory, now)) is not None:
                await self._describe(*asked)
        except OllamaError as error:
            self.learn(InquiryFailed(error.reason, _detail(error)))

    async def _describe(self, name: str, digest: str) -> None:
        try:
            self.learn(Described(parse_name(name), digest, await self._client.show(name)))
        except OllamaError as error:
            self.learn(DescribeFailed(parse_name(name), digest, error.reason, error.status, error.detail))

    async def _watch(self) -> None:
        """Looks sooner than the jobs do while it matters: no answer, or a wanted model absent, loading or held."""
        while True:
            wait_s = self._looked + look_after_s(self.memory) - self._clock.now().mono
            if self._stopping:  # nothing is begun that nobody would end
                await self.changed(None)
            elif wait_s <= 0:
                await self._shared_look()
                self._tell_edges()
            else:
                await self.changed(wait_s)

    def _tell_edges(self) -> None:
        """What has become of models by the mere passing of time; all checks of one look need that once."""
        now = self._clock.now()
        if now.mono - self._announced < EDGES_EVERY_S:
            return
        self._announced = now.mono
        self.memory, changes = announce(self.memory, now)
        if changes:
            self._tell(changes)

    async def changed(self, timeout_s: float | None) -> bool:
        """Waits until something is learnt, or told; False when nothing was for `timeout_s`."""
        self._changed.clear()
        try:
            async with asyncio.timeout(timeout_s):
                await self._changed.wait()
        except TimeoutError:
            return False
        return True

    # --- touches ------------------------------------------------------------------------------------------------------

    def _touch(self, name: str) -> None:
        """Starts what is due for a listed model."""
        if self._stopping or self._dry_run or name in self._testing:
            return
        decision = self._decision(name)
        if decision is None or decision.request is None:
            return
        if decision.act is Act.PING:
            self._start(self._send(decision.request), f"ping {name}")
        elif decision.act is Act.UNLOAD:
            self._start(self._unload(decision.request), f"unload {name}")
        elif decision.act is Act.IDLE_TEST:
            self._testing.add(name)
            self._start(self._test_and_keep(name, decision.request), f"idle test {name}")

    def _decision(self, name: str) -> Decision | None:
        """What is to be done for a model now; None for one that is known no more."""
        model = self.memory.get(name)
        return None if model is None else decide(model, self.memory, self._clock.now())

    async def _test_and_keep(self, name: str, ping: LoadRequest) -> None:
        """The idle test, and what it allows at once (CONTRACT 1; OLLAMA.md 5.1)."""
        try:
            async with self._one_test:  # what one test allows would stand in the way of another
                await self._test(name, ping)
        finally:
            self._testing.discard(name)

    async def _test(self, name: str, ping: LoadRequest) -> None:
        idle = await self._idle(name, ping)
        if idle is None:
            return
        self.learn(IdleTested(name, idle=idle))
        decision = self._decision(name)
        if decision is not None and not self._stopping:
            await self._once_idle(decision)

    async def _once_idle(self, decision: Decision) -> None:
        """What the idle test allows, at once: in a second somebody may be using the model again."""
        if decision.probe is not None:
            await self._probe(decision.probe)
        elif decision.request is not None and decision.act is Act.KEEP:
            await self._send(decision.request)
        elif decision.request is not None and decision.act is Act.UNLOAD:
            await self._unload(decision.request)

    async def _probe(self, request: ProbeRequest) -> None:
        """One token. Cancelled when it takes too long: that hurts no request that runs already (OLLAMA.md 13)."""
        model = self.memory.get(request.model)
        if model is None:
            return
        began = self._clock.now()
        try:
            first_token_s = await self._client.probe(request, model.policy.probe_timeout_s)
            ended: Fact = Probed(request.model, self._clock.now().since(began), first_token_s)
        except OllamaError as error:
            took_s = self._clock.now().since(began)
            ended = ProbeFailed(request.model, error.reason, took_s, error.status, _detail(error))
        self.learn(ended)

    async def _unload(self, request: LoadRequest) -> None:
        """An unload, and a look that shows whether the model is gone; a busy one goes when its request has ended."""
        await self._send(request)
        await self.look_anew()

    async def _idle(self, name: str, ping: LoadRequest) -> bool | None:
        """Whether nobody uses the model; None when the test could not be ended."""
        before = await self._expiry(name)
        await asyncio.sleep(IDLE_TEST_GAP_S)
        if before is None or await self._expiry(name) != before:
            return None if self._just_touched(name) else False
        decision = self._decision(name)
        if decision is None or decision.act is not Act.IDLE_TEST:
            return None
        await self._send(ping)
        answered = self._clock.now()
        after = before
        for gap_s in ANSWERED_GAPS_S:
            if after == before:
                await asyncio.sleep(gap_s)
                after = await self._expiry(name)
        late = self._clock.now().since(answered) > IDLE_FOR_S  # who came meanwhile, a slow look may not show
        return after is not None and after != before and not late

    def _just_touched(self, name: str) -> bool:
        """Whether it may be our own request that the server still counts as one."""
        model = self.memory.get(name)
        touched = model.touched if model else None
        return touched is not None and self._clock.now().since(touched) < OWN_USE_WITHIN_S

    async def _expiry(self, name: str) -> object:
        await self.look_anew()
        model = self.memory.get(name)
        return model.listed.expires_at if model and model.listed and not self.memory.failures else None

    # --- loads --------------------------------------------------------------------------------------------------------

    async def _serve_loads(self) -> None:
        """One warm at a time, the best rank first; asked anew before each."""
        while True:
            now = self._clock.now()
            name = None if self._stopping or self._dry_run else next_load(self.memory, now)
            if name is not None:
                await self._warm(name)
                continue
            ends = next_hold_ends(self.memory, now)
            if not await self.changed(None if ends is None else max(ends - now.mono, SHORTEST_WAIT_S)):
                self._tell_edges()

    async def _warm(self, name: str) -> None:
        model = self.memory.model(name)
        cause = model.departure.cause if model.departure else Cause.FIRST_SEEN
        await asyncio.shield(self._start(self._send(warm_request(model), cause), f"warm {name}"))

    async def _send(self, request: LoadRequest, cause: Cause | None = None) -> None:
        """Sends a load, and learns of its beginning and its end. Nothing but `load_timeout` or a stop ends it early."""
        self.counts.pings += request.send is Send.PING
        self.learn(Opened(request, cause))
        try:
            async with asyncio.timeout(self.memory.model(request.model).policy.load_timeout_s):
                await self._client.load(request)
            ended: Fact = Answered(request)
        except asyncio.CancelledError:
            self.learn(Failed(request, Failure.LOAD_FAILED, detail="the keeper stops", stopping=True))
            raise
        except TimeoutError:
            ended = Failed(request, Failure.LOAD_TIMEOUT)
        except OllamaError as error:
            ended = Failed(request, error.reason, error.status, _detail(error), error.retry_after_s)
        await self._end(request, ended)

    async def _end(self, request: LoadRequest, ended: Fact) -> None:
        """A failed warm is looked at first, so that what it cost is known; an answered load is proven by a look."""
        if isinstance(ended, Failed) and request.send is Send.WARM and not self._stopping:
            await self.look_anew()
        self.learn(ended)
        model = self.memory.get(request.model)
        if model is not None and model.pending is not None:
            await self.look_anew()

    # --- pulls --------------------------------------------------------------------------------------------------------

    async def _serve_pulls(self) -> None:
        """One pull at a time, the best rank first, beside the loads."""
        while True:
            now = self._clock.now()
            name = None if self._stopping or self._dry_run else next_pull(self.memory, now)
            if name is not None:
                self._pulling = self._start(self._pull(name), f"pull {name}")
                await asyncio.wait({self._pulling})
                continue
            again = next_try(self.memory, now)
            await self.changed(None if again is None else max(again - now.mono, SHORTEST_WAIT_S))

    async def _pull(self, name: str) -> None:
        """A pull, and a look that shows what has come of it; a stop, or a wish that ends, ends it early."""
        self.learn(PullOpened(name))
        try:
            ended: Fact = await self._client.pull(name, partial(self._pulled, name))
        except asyncio.CancelledError:
            self.learn(PullFailed(name, Failure.RESET, stopping=True))
            raise
        except OllamaError as error:
            ended = PullFailed(name, error.reason, _detail(error))
        self.learn(ended)
        await self.look_anew()

    def _pulled(self, name: str, completed: int, total: int) -> None:
        now = self._clock.now()
        if not may_go_on(name, self.memory, now) and self._pulling is not None:
            self._pulling.cancel()
        if now.mono - self._progressed >= PROGRESS_EVERY_S or completed == total:
            self._progressed = now.mono
            self.learn(PullProgressed(name, completed, total))

    def _start(self, work: Coroutine[None, None, None], name: str) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(self._guard(work, name), name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _guard(self, work: Coroutine[None, None, None], name: str) -> None:
        with self._told(name):
            await work

    @contextmanager
    def _told(self, name: str) -> Iterator[None]:
        """One model's trouble is told and counted, and stops nothing else."""
        try:
            yield
        except Exception as error:  # noqa: BLE001 - the one guard around a check's work (DESIGN 3.4)
            self._report(CheckFailed(server=self.memory.server, error=f"{name}: {error!r}", hint=PLEASE_REPORT))


def _look_failed(error: OllamaError) -> LookFailed:
    return LookFailed(error.reason, _detail(error), error.status, error.retry_after_s)


def _detail(error: OllamaError) -> str:
    """What the server said, and what can be done about it; the words of a socket tell no more than the hint."""
    words_of_a_socket = isinstance(error, Unreachable) and error.hint
    said = "" if words_of_a_socket or error.detail in error.hint else error.detail
    return "; ".join(part for part in (said, error.hint) if part)
