"""For all stories: what may never happen, whatever follows whatever (DESIGN 5)."""

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from ollama_keeper.core.decide import Act, decide
from ollama_keeper.core.facts import (
    Answered,
    Fact,
    Failed,
    Hurried,
    IdleTested,
    Listed,
    LoadRequest,
    Looked,
    LookFailed,
    LookSilent,
    Opened,
    Pulled,
    Send,
    Tagged,
    Versioned,
    VersionFailed,
)
from ollama_keeper.core.holds import holds
from ollama_keeper.core.names import parse_name
from ollama_keeper.core.outlook import outlook
from ollama_keeper.core.pace import look_after_s, tags_due, to_describe
from ollama_keeper.core.reasons import REASONS_OF, Failure, State
from ollama_keeper.core.release import owed
from ollama_keeper.core.requests import warm_request
from ollama_keeper.core.states import state_of
from ollama_keeper.core.turn import next_load
from tests.kit.examples import examples
from tests.kit.story import NOON, PIN_S, Story, digest_of, listed, wanted

NAMES = ("a", "b", "guest", "other")

entries = st.builds(
    listed,
    st.sampled_from(NAMES),
    st.one_of(st.just(PIN_S), st.floats(-1_000, 90_000)),
    context=st.sampled_from([None, 512, 4_096, 8_192]),
    size=st.sampled_from([1, 5]),
    vram=st.sampled_from([0, 1, 5]),
    digest=st.sampled_from([None, "new"]),
)
facts = st.one_of(
    st.builds(Looked, st.lists(entries, max_size=4).map(tuple), reconnected=st.booleans()),
    st.builds(LookFailed, st.sampled_from(Failure)),
    st.just(LookSilent()),
    st.builds(Versioned, st.sampled_from(["0.33.0", "0.24.0", "0.11.0", "0.0.0", "nonsense"])),
    st.builds(VersionFailed, st.sampled_from(Failure)),
    st.builds(
        Tagged,
        st.lists(st.sampled_from(["a", "b"]), unique=True).map(
            lambda names: tuple(Pulled(parse_name(name), digest_of(name)) for name in names)
        ),
    ),
    st.builds(IdleTested, st.sampled_from(["a", "b"]), idle=st.booleans()),
    st.just(Hurried(("a", "b"))),
)
OWN = ("load", "touch", "answer", "fail", "stop")
steps = st.lists(
    st.tuples(st.sampled_from([0.001, 1.0, 14.0, 61.0, 700.0]), st.one_of(facts, st.sampled_from(OWN))), max_size=40
)


def begun() -> Story:
    return Story((wanted("a", priority=200), wanted("b", lease_s=120.0))).begins()


def of_ours(story: Story, step: str) -> Fact | None:
    """What the shell would do now, if the core lets it: the only way in which requests of ours come about."""
    if step == "load":
        name = story.loads_next()
        return Opened(warm_request(story.model(name)), None) if name else None
    if step == "touch":
        return _touch(story)
    if not story.memory.open:
        return None
    request = story.memory.open[0].request
    return {"answer": Answered(request), "fail": Failed(request, Failure.OUT_OF_MEMORY, 500)}.get(
        step, Failed(request, Failure.LOAD_FAILED, stopping=True)
    )


def _touch(story: Story) -> Fact | None:
    for model in story.memory.models:
        decision = decide(model, story.memory, story.now)
        if decision.act in {Act.PING, Act.KEEP} and decision.request is not None:
            check_allowed(story, decision.request, model.listed)
            return Opened(decision.request)
    return None


def check_allowed(story: Story, request: LoadRequest, entry: Listed | None) -> None:
    """CONTRACT 1: what a listed model may be sent."""
    assert entry is not None, "a touch goes to a listed model only"
    assert story.memory.opened(request.model) is None, "never two open requests for one model"
    assert story.memory.state == "up"
    if request.send is Send.PING:
        assert request.keep_alive is None, "a ping carries no keep_alive"
        return
    assert not any(load.counts(story.now) for load in story.memory.open), "no re-pin while a load of ours is open"
    assert entry.expires_at > NOON + timedelta(seconds=story.seconds), "never a keep_alive to a past expiry"
    model = story.model(request.model)
    assert model.idle, "never a keep_alive without the idle test"
    assert model.idle_tested is not None
    assert story.now.since(model.idle_tested) <= 1.0, "never on an old idle test"


def walk(story: Story, walked: list[tuple[float, Fact | str]]) -> None:
    for after, step in walked:
        story.at(story.seconds + after)
        fact = of_ours(story, step) if isinstance(step, str) else step
        if isinstance(fact, Opened) and fact.request.send is Send.WARM:
            check_warm(story, fact.request)
        if fact is not None:
            story.learns(fact)
        check_total(story)


def check_warm(story: Story, request: LoadRequest) -> None:
    model = story.model(request.model)
    assert model.listed is None, "never a warm of a listed model"
    assert not any(load.counts(story.now) for load in story.memory.open), "never two open loads"
    assert not holds(model, story.memory, story.now), "never a load in a hold"


def check_total(story: Story) -> None:
    """Every question has an answer in every memory, and every state told has a reason of its list."""
    memory, now = story.memory, story.now
    hash(memory)
    assert look_after_s(memory) > 0
    tags_due(memory, now, ping_due=lambda: True)
    to_describe(memory, now)
    next_load(memory, now)
    for model in memory.models:
        decide(model, memory, now)
        state, reason = state_of(model, memory, now)
        assert reason is None or reason in REASONS_OF[state]
        assert outlook(model, memory, now, state=state) == outlook(model, memory, now)
        assert state is not State.READY or not owed(model, memory, now)


@examples(300)
@given(steps)
def test_for_all_stories_nothing_is_sent_that_may_not_be_sent(walked: list[tuple[float, Fact | str]]) -> None:
    walk(begun(), walked)


@examples(150)
@given(steps, st.floats(1, 100))
def test_for_all_stories_silence_never_tells_of_a_loss(walked: list[tuple[float, Fact | str]], after: float) -> None:
    story = begun()
    walk(story, walked)
    lost = len(story.events("model.lost"))
    story.at(story.seconds + after).fails_to_look().learns(LookSilent()).fails_to_ask_version()
    assert len(story.events("model.lost")) == lost
    assert story.loads_next() is None


def test_the_checker_catches_a_keep_alive_to_a_model_that_was_not_tested() -> None:
    """Negative control."""
    story = begun().warms("a", 4.0, listed("a")).at(20).looks(listed("a", 300))
    model = story.model("a")
    from ollama_keeper.core.requests import keep_request

    try:
        check_allowed(story, keep_request(Send.REPIN, model, ()), model.listed)
    except AssertionError as error:
        assert "idle test" in str(error)  # noqa: PT017
    else:
        raise AssertionError("the checker let it pass")
