"""The table of states, and which of its edges are told (CONTRACT 3, 5)."""

import pytest

from ollama_keeper.core.facts import LookSilent, Versioned
from ollama_keeper.core.reasons import REASONS_OF, Failure, Reason, State
from tests.kit.story import Story, listed, wanted


def kept(**wishes: object) -> Story:
    return Story((wanted("a", **wishes),)).begins().warms("a", 4.0, listed("a"))


def test_before_the_first_look_a_model_is_unknown() -> None:
    assert Story((wanted("a"),)).state("a") == ("unknown", Reason.FIRST_LOOK)


def test_a_model_found_resident_is_ready_and_said_to_be_found() -> None:
    story = Story((wanted("a"),)).begins(listed("a"))
    ready = story.last("model.ready")
    assert (ready.by, ready.outage_s, ready.cold_start) == ("found", None, None)


def test_a_model_that_we_warmed_is_ready_by_the_keeper_with_what_it_took() -> None:
    ready = kept(slow_load_s=3.0).last("model.ready")
    assert (ready.by, ready.cause, ready.load_s, ready.cold_start) == ("keeper", "first_seen", 4.0, True)


def test_a_warmed_model_is_not_ready_before_a_look_lists_it() -> None:
    from ollama_keeper.core.facts import Answered

    story = Story((wanted("a"),)).begins()
    request = story.opens_warm("a")
    assert story.at(4).learns(Answered(request)).state("a")[0] == "loading"


def test_an_answered_load_that_no_look_lists_has_failed() -> None:
    from ollama_keeper.core.facts import Answered

    story = Story((wanted("a"),)).begins()
    request = story.opens_warm("a")
    story.at(4).learns(Answered(request)).looks()
    assert story.state("a") == ("backing_off", Failure.LOAD_FAILED)
    assert story.events("model.ready") == []


def test_silence_makes_a_model_unknown_and_no_loss() -> None:
    story = kept()
    for second in range(15, 600, 15):
        story.at(second).fails_to_look()
    assert story.state("a") == ("unknown", Reason.SERVER_DOWN)
    assert story.events("model.lost") == []
    story.at(600).looks(listed("a"))
    assert story.state("a") == ("ready", None)
    assert story.events("model.ready") == ["model.ready"]


def test_three_failures_make_the_server_down_once() -> None:
    story = kept().at(15).fails_to_look(times=5)
    assert story.events("server.down") == ["server.down"]


def test_a_server_that_answers_version_but_no_look_is_busy_and_not_down() -> None:
    story = kept().at(15).learns(LookSilent())
    for _ in range(6):
        story.at(story.seconds + 2).learns(Versioned("0.33.0"))
    story.fails_to_look(Failure.READ_TIMEOUT).at(60).fails_to_look(Failure.READ_TIMEOUT, times=4)
    assert story.events("server") == ["server.up", "server.busy"]
    assert story.at(61).looks(listed("a")).memory.state == "up"


def test_waiting_for_a_server_is_said_once_a_minute_at_most() -> None:
    story = Story((wanted("a"),))
    for second in range(0, 300, 10):
        story.at(second).fails_to_ask_version()
    assert len(story.events("server.waiting")) == 5


@pytest.mark.parametrize(
    ("entry", "wishes", "reason"),
    [
        pytest.param({"vram": 0}, {}, Reason.ON_CPU, id="on-the-cpu"),
        pytest.param({"vram": 2**30}, {}, Reason.PARTLY_ON_CPU, id="partly-on-the-cpu"),
        pytest.param({"context": 2_048}, {"context": 8_192}, Reason.OTHER_CONTEXT, id="other-context-than-configured"),
        pytest.param({"digest": "old"}, {}, Reason.OTHER_DIGEST, id="other-weights-than-pulled"),
    ],
)
def test_listed_but_not_as_wanted_is_degraded_and_said_once(
    entry: dict[str, object], wishes: dict[str, object], reason: Reason
) -> None:
    story = Story((wanted("a", **wishes),)).begins(listed("a", context=8_192))
    story.at(15).looks(listed("a", 900, **entry)).at(30).looks(listed("a", 900, **entry))
    assert story.state("a") == ("degraded", reason)
    assert story.events("model.degraded") == ["model.degraded"]


def test_a_model_that_was_never_on_a_gpu_is_not_degraded_by_itself() -> None:
    assert Story((wanted("a"),)).begins(listed("a", vram=0)).state("a") == ("ready", None)


def test_listed_with_an_open_ping_of_ours_and_an_expiry_long_past_is_stuck() -> None:
    from ollama_keeper.core.facts import Opened

    story = kept().looks_until(320, listed("a"))
    request = story.decides("a").request
    assert request is not None
    story.learns(Opened(request)).looks_until(600, listed("a", 330))
    assert story.state("a")[0] == "ready"
    story.looks_until(640, listed("a", 330))
    assert story.state("a") == ("stuck", Reason.NEVER_ANSWERS)


def test_a_model_that_a_client_brought_back_is_told_so() -> None:
    story = kept().at(15).looks().at(25).looks(listed("a", 325))
    ready = story.last("model.ready")
    assert (ready.by, ready.cause, ready.outage_s) == ("client", "unloaded", 10.0)


def test_a_reload_by_a_client_names_both_contexts() -> None:
    story = kept().at(15).looks(listed("a", 315, context=8_192))
    reloaded = story.last("model.reloaded")
    assert (reloaded.by, reloaded.context_length_before, reloaded.context_length) == ("client", 4_096, 8_192)


def test_every_reason_told_belongs_to_its_state() -> None:
    assert set(REASONS_OF) == set(State)


def test_a_memory_is_hashable() -> None:
    assert hash(kept().memory) == hash(kept().memory)
