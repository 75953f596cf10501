"""What may never happen, by the server's own state and the text of CONTRACT 1, and never by the keeper's memory."""

from ollama_keeper.core.facts import Answered, Failed, Listed, LoadRequest, Send
from ollama_keeper.simulator.effects import LoadEnded, LoadStarted, Unloaded
from ollama_keeper.simulator.state import SECOND
from tests.worlds.scene import MODELS, NAMES, WANTED, wall
from tests.worlds.world import KEEPS, Seen, Task, World

PING_IS_LOAD = 5 * SECOND
YOUNG = 30 * SECOND
UNMOVED = 60 * SECOND
GOING_S = 60.0
INTERVALS_S = 30.0
PINNED_S = 20 * 365 * 86_400.0
SLACK_S = 2.0
RELOADS_A_DAY = 2
REPAIRS = frozenset({"child_dead", "child_wedged"})
OURS = "ours "
NOBODY_ASKED = "nothing that nobody asked for"


class Violation(Exception):
    """A rule is broken.

    Attributes:
        rule: which.
        what: how, in words.
    """

    def __init__(self, rule: str, what: str) -> None:
        super().__init__(f"{rule}: {what}")
        self.rule, self.what = rule, what


def judge_request(world: World, task: Task, request: LoadRequest) -> None:
    """Whether CONTRACT 1 allows this request now, by what the keeper has been shown.

    Raises:
        Violation: it does not.
    """
    loads = [other for other in world.open_requests() if _counts(other, world.now)]
    seen = world.last_seen(request.model)
    paused = dict(world.paused)
    keeps = request.send in {Send.WARM, Send.REPIN, Send.TAKEOVER}
    _forbid(keeps and request.model in paused, "nothing that is paused is kept", _said(request))
    match request.send:
        case Send.WARM:
            _forbid(loads, "never two open loads of ours", f"a warm of {request.model} beside {_names(loads)}")
            _forbid(seen, "never a warm for a listed model", f"the last look listed {request.model}")
        case Send.PING:
            young = [other for other in loads if world.now - other.opened < YOUNG]
            _forbid(young, "no ping beside a young load", f"a ping of {request.model} beside {_names(young)}")
            _forbid(not _may_be_pinged(world, seen), "nothing that CONTRACT 1 forbids", f"a ping of {request.model}")
        case Send.REPIN | Send.TAKEOVER:
            _forbid(loads, "no re-pin while a load is open", f"{request.send} of {request.model} by {_names(loads)}")
            _forbid(not task.idle, "no keep_alive without the idle test", f"{request.send} of {request.model}")
            _forbid(not _may_be_kept(world, request, seen), "nothing that CONTRACT 1 forbids", _said(request))
        case Send.RELEASE:
            _forbid(paused.get(request.model) is not False or not task.idle, NOBODY_ASKED, _said(request))
        case _:
            _forbid(paused.get(request.model) is not True, NOBODY_ASKED, _said(request))


def judge_arrival(world: World, request: LoadRequest, tested: int) -> None:
    """Whether this request may reach the server as it truly is now.

    Who began after the ping of the idle test, at `tested`, cannot be seen by any test: 20 ms in which a model may
    become busy, and only if it is condemned in them too does the scheduler hang.

    Raises:
        Violation: it carries a keep_alive to a model that is busy, expired or condemned.
    """
    runner = world.server.runner(MODELS[request.model].key)
    if runner is None or request.send not in KEEPS or request.send is Send.UNLOAD:  # which waits for who uses it
        return
    _forbid(runner.doom and runner.uses > 0, "no keep_alive to a condemned model", _said(request))
    if request.send is Send.WARM:
        return
    before = any(client.model == request.model and client.since < tested for client in world.clients)
    _forbid(runner.uses > 0 and before, "no keep_alive to a busy model", _said(request))
    past = runner.expires_at is not None and runner.expires_at <= world.now + world.server.wall_offset
    _forbid(past or runner.expiring, "no keep_alive to an expired model", _said(request))


def judge_start(world: World, started: LoadStarted) -> World:
    """Counts the reloads of live runners that our requests bring about.

    Raises:
        Violation: the third, or the first that a look had shown to be one.
    """
    if not started.who.startswith(OURS):
        return world
    model = NAMES[started.key]
    world = world.but(began=tuple(sorted({*world.began, model})))
    if not started.reload or started.reload in REPAIRS:
        return world
    times = dict(world.reloads).get(model, 0) + 1
    _forbid(times > RELOADS_A_DAY, "no reload of a live runner by us", f"{model} for the third time: {started.reload}")
    return world.but(reloads=tuple(sorted({**dict(world.reloads), model: times}.items())))


def judge_end(world: World, ended: LoadEnded, ours: bool) -> None:
    """No load of ours is aborted; those that outlast load_timeout do not get here.

    Raises:
        Violation: one was.
    """
    _forbid(ours and ended.outcome == "aborted", "no load is aborted", f"request {ended.id}")


def judge_unload(world: World, gone: Unloaded) -> World:
    """Counts the evictions of a wanted model by our load of a lesser one, until a model leaves otherwise.

    One that the last look showed to end within a minute is not counted: it has gone as foretold.

    Raises:
        Violation: the second.
    """
    winner, loser = gone.by.removeprefix(OURS), NAMES[gone.key]
    if not gone.by.startswith(OURS) or gone.cause not in {"evicted", "memory_sweep"}:
        return world.but(costs=())
    seen = world.last_seen(loser)
    if seen is not None and _remaining_s(world, seen) < GOING_S:
        return world
    if loser not in WANTED or loser in dict(world.paused):
        return world
    if world.scene.policy(loser).rank > world.scene.policy(winner).rank:
        return world
    times = next((times for one, other, times in world.costs if (one, other) == (winner, loser)), 0) + 1
    _forbid(times > 1, "no better model is evicted twice", f"{loser} by the load of {winner}")
    return world.but(costs=(*world.costs, (winner, loser, times)))


def shown(world: World, models: tuple[Listed, ...], asked: int) -> World:
    """The rules' own view after a good look: what is listed since when, and which of it is ours."""
    before = {(seen.listed.name, seen.listed.digest): seen for seen in world.seen}
    seen = []
    for listed in models:
        old = before.get((listed.name, listed.digest))
        same = old is not None and old.listed.expires_at == listed.expires_at
        seen.append(Seen(listed, old.moved if old and same else world.now))
    mine = dict(world.mine)
    unproven = {model for model, at in world.proving if at > asked}
    for model in set(WANTED) - unproven:
        here = next((listed for listed in models if listed.name.model == model), None)
        if here is not None and model in {name for name, _ in world.proving}:
            mine[model] = here
        elif model in mine and not _still_mine(world, mine[model], here):
            del mine[model]
    proving = tuple(proof for proof in world.proving if proof[0] in unproven)
    return world.but(seen=tuple(seen), mine=tuple(sorted(mine.items())), proving=proving)


def _still_mine(world: World, mine: Listed, here: Listed | None) -> bool:
    """Listed as our load was; a request of ours that is open may be loading it anew."""
    if here is not None:
        return _same(mine, here)
    return any(task.request and task.request.model == mine.name.model for task in world.open_requests())


def proven_by_next_look(world: World, outcome: Answered | Failed) -> World:
    """A look that is asked from now on shows how our load is listed at its end; a ping's only where it loaded."""
    model = outcome.request.model
    loaded, world = model in world.began, world.but(began=tuple(name for name in world.began if name != model))
    if isinstance(outcome, Failed) or (outcome.request.send is Send.PING and not loaded):
        return world
    return world.but(proving=(*world.proving, (model, world.now)))


def _may_be_pinged(world: World, seen: Seen | None) -> bool:
    """Ours, with time left; or a client's lease that nobody uses, whose idle test this is."""
    if seen is None or _remaining_s(world, seen) <= 0:
        return False
    return _is_mine(world, seen) or _idle_lease(world, seen)


def _may_be_kept(world: World, request: LoadRequest, seen: Seen | None) -> bool:
    """Ours and shortened, or a client's lease; the idle test has moved its date itself."""
    if seen is None or _remaining_s(world, seen) <= 0:
        return False
    lease_s = world.scene.policy(request.model).lease_s
    shortened = _is_mine(world, seen) and _remaining_s(world, seen) < (lease_s or PINNED_S) + SLACK_S
    return shortened or _remaining_s(world, seen) < PINNED_S


def _idle_lease(world: World, seen: Seen) -> bool:
    remaining_s = _remaining_s(world, seen)
    return remaining_s < PINNED_S and (world.now - seen.moved >= UNMOVED or 0 < remaining_s < INTERVALS_S)


def _is_mine(world: World, seen: Seen) -> bool:
    return seen.listed.name.model in dict(world.mine)


def _same(old: Listed, new: Listed) -> bool:
    return (old.digest, old.context_length, old.size, old.size_vram) == (
        new.digest,
        new.context_length,
        new.size,
        new.size_vram,
    )


def _remaining_s(world: World, seen: Seen) -> float:
    return (seen.listed.expires_at - wall(world.now + world.server.wall_offset)).total_seconds()


def _counts(task: Task, now: int) -> bool:
    request = task.request
    return request is not None and (request.send is not Send.PING or now - task.opened >= PING_IS_LOAD)


def _said(request: LoadRequest) -> str:
    return f"{request.send} of {request.model} with keep_alive {request.keep_alive}"


def _names(tasks: list[Task]) -> str:
    return ", ".join(f"{task.request.send} of {task.request.model}" for task in tasks if task.request)


def _forbid(broken: object, rule: str, what: str) -> None:
    if broken:
        raise Violation(rule, what)
