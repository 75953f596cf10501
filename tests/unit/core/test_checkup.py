"""What `check` finds on a server: each kind of finding, with why it matters and what to do."""

from dataclasses import replace

import pytest

from ollama_keeper.core.checkup import checkup
from ollama_keeper.core.facts import Kind, Looked, Shown
from ollama_keeper.core.finding import Finding, Severity
from ollama_keeper.core.policy import Budget, PullRule
from ollama_keeper.core.view import model_rows
from tests.kit.story import GIB, PIN_S, Story, listed, wanted


def found(story: Story) -> dict[str, Finding]:
    return {finding.code: finding for finding in checkup(story.memory, story.now)}


def test_a_server_with_all_as_wanted_has_no_finding() -> None:
    story = Story((wanted("a"),)).begins().warms("a")
    assert found(story) == {}


def test_of_a_server_that_does_not_answer_only_that_is_told() -> None:
    story = Story((wanted("a"),)).fails_to_look(times=3)
    finding = found(story)["unreachable"]
    assert (finding.severity, finding.server) == (Severity.ERROR, "gpu")
    assert "connect_refused" in finding.what
    assert len(found(story)) == 1


@pytest.mark.parametrize(
    ("version", "codes"),
    [
        ("0.11.4", {"old_version", "vulnerable_version"}),
        ("0.17.0", {"old_version", "vulnerable_version"}),
        ("0.30.0", {"old_version"}),
        ("0.32.4", set()),
        ("0.0.0", set()),
    ],
)
def test_a_version_is_told_by_its_known_faults(version: str, codes: set[str]) -> None:
    assert set(found(Story((wanted("a"),), version=version).begins(listed("a")))) - {"pinned_by_client"} == codes


def test_a_model_that_is_not_pulled_is_an_error_unless_it_will_be() -> None:
    story = Story((wanted("a"), wanted("b", pull=PullRule.IF_MISSING))).begins()
    story.learns_what_is_pulled("a", "b")
    severities = {finding.model: (finding.severity, finding.do) for finding in checkup(story.memory, story.now)}
    assert severities["a"] == (Severity.ERROR, "ollama pull a; or set pull: if_missing")
    assert severities["b"][0] is Severity.NOTE


def test_models_that_can_never_be_kept_are_errors() -> None:
    kinds = {"image": Shown(Kind.IMAGE, "i"), "a": Shown(Kind.COMPLETION, "w"), "b": Shown(Kind.COMPLETION, "w")}
    policies = (wanted("image"), wanted("a"), wanted("b", options=(("num_gpu", 1),)), wanted("x:cloud"))
    codes = found(Story(policies, kinds=kinds).begins())
    assert {"image_model", "same_weights", "cloud_model"} <= set(codes)
    assert "weights of a" in codes["same_weights"].what


@pytest.mark.parametrize(
    ("context", "shown", "code"),
    [
        (65_536, Shown(Kind.COMPLETION, "w", trained_context=32_768), "context_too_long"),
        (8_192, Shown(Kind.COMPLETION, "w", trained_context=32_768), "context_disagrees"),
        (8_192, Shown(Kind.COMPLETION, "w", trained_context=32_768, own_context=8_192), None),
        (8_192, Shown(Kind.EMBEDDER, "w", trained_context=32_768), None),
    ],
    ids=["longer-than-trained", "other-than-the-modelfile", "as-the-modelfile", "of-an-embedder"],
)
def test_a_context_is_held_against_the_model(context: int, shown: Shown, code: str | None) -> None:
    codes = found(Story((wanted("a", context=context),), kinds={"a": shown}).begins())
    assert set(codes) == ({code} if code else set())


def test_a_model_on_the_cpu_is_told_with_its_size_and_share() -> None:
    story = Story((wanted("a", min_gpu_fraction=1.0),)).begins()
    story.warms("a", 4.0, listed("a", size=5 * GIB, vram=0))
    assert found(story)["on_cpu"].what == "it is resident, but not as wanted: 5.0 GiB, 0% on the GPU, context 4096"


def test_what_has_no_place_in_the_budget_is_a_warning() -> None:
    story = Story((wanted("a"), wanted("b"))).begins()
    story.memory = replace(story.memory, budget=Budget(models=1))
    assert found(story)["over_budget"].model == "b"


def contended() -> Story:
    """The load of b cost a its place; b is displaced by a in its turn."""
    story = Story((wanted("a"), wanted("b"))).begins()
    return story.warms("a", 4.0, listed("a", size=5 * GIB)).warms("b", 4.0, listed("b")).warms("a", 4.0, listed("a"))


def test_what_cannot_be_kept_beside_a_better_one_is_a_warning_that_names_it() -> None:
    finding = found(contended())["contended"]
    assert (finding.severity, finding.model) == (Severity.WARNING, "b")
    assert finding.what.startswith("it cannot be kept beside a (5.0 GiB): loading it pushed that one out")
    assert "OLLAMA_MAX_LOADED_MODELS" in finding.do


def test_what_others_have_pinned_is_noted() -> None:
    story = Story((wanted("a"),)).begins().warms("a", 4.0, listed("a"), listed("g", PIN_S))
    assert found(story)["pinned_by_others"].what == "g:latest is pinned, and not by us"
    assert found(story)["pinned_by_others"].why.startswith("another keeper ")


def test_where_all_that_others_loaded_is_pinned_it_is_a_setting_of_the_server() -> None:
    story = Story((wanted("a"),)).begins().warms("a", 4.0, listed("a"), listed("g", PIN_S), listed("h", PIN_S))
    assert set(found(story)) == {"keep_alive_forever"}
    assert "OLLAMA_KEEP_ALIVE is likely -1" in found(story)["keep_alive_forever"].why
    story.looks(listed("a"), listed("g", PIN_S), listed("h", PIN_S), listed("i", 290))
    assert set(found(story)) == {"pinned_by_others"}


@pytest.mark.parametrize(
    ("guests", "said"),
    [
        pytest.param({"g": 304.0}, None, id="the usual five minutes"),
        pytest.param({"g": 1_800.0}, "a client asks for it", id="half an hour, one model"),
        pytest.param({"g": 1_700.0, "h": 900.0}, "OLLAMA_KEEP_ALIVE is likely longer", id="all of several"),
        pytest.param({"g": 1_700.0, "h": 200.0}, "a client asks for it", id="one of several"),
    ],
)
def test_how_long_loads_of_others_are_kept_is_held_against_the_usual_time(
    guests: dict[str, float], said: str | None
) -> None:
    entries = [listed(name, seconds) for name, seconds in guests.items()]
    codes = found(Story((wanted("a"),)).begins().warms("a", 4.0, listed("a"), *entries))
    assert set(codes) == ({"long_keep_alive"} if said else set())
    assert said is None or said in codes["long_keep_alive"].why


def test_the_time_of_a_load_counts_from_its_last_use() -> None:
    story = Story((wanted("a"),)).begins().warms("a", 4.0, listed("a"), listed("g", 604))
    story.at(500).looks(listed("a"), listed("g", 604))
    assert "g:latest: loaded by others, and kept for 10m or more" in found(story)["long_keep_alive"].what


def test_many_models_are_noted_with_the_limit_of_the_server() -> None:
    codes = found(Story(tuple(wanted(name) for name in "abcd")).begins())
    assert "OLLAMA_MAX_LOADED_MODELS=4" in codes["many_models"].do


def test_as_many_as_are_loaded_at_once_are_not_too_many() -> None:
    story = Story(tuple(wanted(name) for name in "abcd")).begins(*(listed(name) for name in "abcd"))
    assert "many_models" not in found(story)


@pytest.mark.parametrize(
    ("guests", "memory", "loaded"),
    [
        pytest.param((), 22 * GIB, 1, id="the budget has room"),
        pytest.param((), 8 * GIB, None, id="it has none"),
        pytest.param((), None, None, id="nothing is known of the room"),
        pytest.param(("g", "h"), None, 3, id="as many as one GPU holds"),
    ],
)
def test_a_limit_on_their_number_is_told_from_a_lack_of_memory(
    guests: tuple[str, ...], memory: int | None, loaded: int | None
) -> None:
    others = [listed(name, 290) for name in guests]
    story = Story((wanted("a"), wanted("b"))).begins(listed("a"), *others)
    story.at(10).warms("b", 4.0, listed("b"), *others)
    story.at(30).warms("a", 4.0, listed("a"), *others)
    story.at(60).warms("b", 4.0, listed("b"), *others)
    assert story.memory.full is not None, story.memory
    story.memory = replace(story.memory, budget=Budget(memory=memory))
    limited = found(story).get("loaded_limit")
    assert (limited is not None) == (loaded is not None)
    assert limited is None or f"OLLAMA_MAX_LOADED_MODELS is likely {loaded} " in limited.why


def test_clocks_that_differ_by_more_than_a_minute_are_told() -> None:
    story = Story((wanted("a"),)).begins().warms("a")
    story.at(15).learns(Looked((listed("a"),), asked=story.now, skew_s=-3_600.0))
    assert "-3600 s" in found(story)["clock_skew"].what


def test_a_model_that_two_requests_of_ours_loaded_anew_is_told_to_be_left_alone() -> None:
    story = Story((wanted("a"),)).begins().warms("a", 4.0, listed("a"))
    for seconds in (360, 720):
        request = story.looks_until(seconds, listed("a")).decides("a").request
        assert request is not None
        story.sends(request, took_s=3.0).looks(listed("a", seconds + 300))
    assert found(story)["left_alone"].severity is Severity.WARNING
    assert next(model_rows(story.memory, story.now)).left_alone
