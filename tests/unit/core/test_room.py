"""Room that was seen: a model that was found not to fit is tried again where more was resident at once than is now."""

from ollama_keeper.core.facts import Listed
from ollama_keeper.core.reasons import Reason
from ollama_keeper.core.room import room_seen
from tests.kit.story import GIB, Story, listed, wanted

BEST, LESSER = "a", "b"
CONTENDED = ("contended", Reason.EVICTS_WANTED)


def best(size: int = 5) -> Listed:
    return listed(BEST, size=size * GIB)


def guest(size: int, *, vram: int | None = None) -> Listed:
    return listed("guest", 300, size=size * GIB, vram=vram)


def pushed_out(*seen: Listed, size: int = 3) -> Story:
    """Two of which the lesser one has pushed the better one out once; what was `seen` before has left before."""
    story = Story((wanted(BEST), wanted(LESSER))).begins(*seen)
    story.at(15).looks().at(80)
    story.warms(BEST, 4.0, best())
    story.warms(LESSER, 4.0, listed(LESSER, size=size * GIB))
    return story.warms(BEST, 4.0, best())


def test_a_model_for_which_there_was_room_is_tried_again() -> None:
    story = pushed_out(guest(5), listed("other", 300, size=4 * GIB))
    assert story.state(LESSER)[0] == "queued"
    assert story.loads_next() == LESSER


def test_what_was_seen_must_leave_it_a_third_more_than_it_takes() -> None:
    assert pushed_out(guest(5), listed("other", 300, size=4 * GIB), size=4).state(LESSER) == CONTENDED


def test_a_runner_that_was_loaded_beside_much_tells_the_server_so_as_long_as_it_stays() -> None:
    story = Story((wanted(BEST), wanted(LESSER))).begins(guest(5), listed("other", 300, size=4 * GIB))
    story.warms(LESSER, 4.0, listed(LESSER, size=3 * GIB))
    story.at(60).looks(guest(4)).at(75).looks(best(), guest(4)).at(90).looks(best())
    assert not room_seen(story.model(LESSER), story.memory)
    story.at(105).looks().at(120).looks(best())
    assert room_seen(story.model(LESSER), story.memory)


def test_no_more_models_than_were_ever_listed_at_once() -> None:
    assert pushed_out(guest(9)).state(LESSER) == CONTENDED


def test_nothing_is_concluded_without_a_gpu() -> None:
    assert pushed_out(guest(5, vram=0), listed("other", 300, size=4 * GIB, vram=0)).state(LESSER) == CONTENDED


def test_room_that_somebody_has_just_left_for_no_visible_reason_may_be_taken_already() -> None:
    story = Story((wanted(BEST), wanted(LESSER), wanted("c"))).begins().warms(BEST, 4.0, best())
    story.warms(LESSER, 4.0, listed(LESSER, size=GIB)).warms(BEST, 4.0, best())
    story.looks(best(), listed("c", size=4 * GIB)).at(15).looks(best())
    assert room_seen(story.model(LESSER), story.memory)
    assert story.state(LESSER) == CONTENDED
    assert story.at(46).looks(best()).state(LESSER)[0] == "queued"


def test_what_proved_wrong_is_believed_no_more() -> None:
    story = pushed_out(guest(5), listed("other", 300, size=4 * GIB))
    story.warms(LESSER, 4.0, listed(LESSER, size=3 * GIB)).warms(BEST, 4.0, best())
    assert story.state(LESSER) == CONTENDED
    assert story.loads_next() is None


def test_a_restarted_server_may_have_less() -> None:
    story = pushed_out(guest(5), listed("other", 300, size=4 * GIB))
    story.at(120).looks(reconnected=True)
    story.warms(BEST, 4.0, best())
    story.warms(LESSER, 4.0, listed(LESSER, size=3 * GIB))
    story.warms(BEST, 4.0, best())
    assert story.state(LESSER) == CONTENDED


def test_the_room_is_for_a_better_one_that_is_to_come() -> None:
    story = pushed_out(guest(5), listed("other", 300, size=4 * GIB))
    story.at(120).looks()
    assert story.state(LESSER) == CONTENDED
