"""Probes, repair, GPUs that are gone, and clients that quarrel over options."""

from dataclasses import replace

import pytest

from ollama_keeper.core.changes import ServerGpuMissing
from ollama_keeper.core.decide import Act, Why
from ollama_keeper.core.facts import Probed, ProbeFailed, Send
from ollama_keeper.core.policy import Policy, Repair
from ollama_keeper.core.reasons import Failure
from tests.kit.story import PIN_S, Story, listed, wanted

GIB = 2**30


def warm(*policies: Policy, vram: int | None = None) -> Story:
    story = Story(policies).begins()
    entries = []
    for policy in policies:
        entries.append(listed(policy.model, story.seconds + 4 + PIN_S, vram=vram))
        story.warms(policy.model, 4.0, *entries)
    return story


# --- probes -----------------------------------------------------------------------------------------------------------


def test_no_probe_is_sent_unless_asked_for() -> None:
    story = warm(wanted("a")).looks_until(250, listed("a", 4 + PIN_S))
    assert story.decides("a").act is Act.NOTHING


def test_a_probe_needs_the_idle_test_and_carries_the_options_of_our_load() -> None:
    story = warm(wanted("a", probe_every_s=120.0, context=8_192)).looks_until(
        130, listed("a", 4 + PIN_S, context=4_096)
    )
    decision = story.decides("a")
    assert (decision.act, decision.why) == (Act.IDLE_TEST, Why.PROBE_DUE)
    decision = story.finds_idle("a").decides("a")
    assert decision.act is Act.PROBE
    assert decision.probe is not None
    assert dict(decision.probe.options) == {"num_ctx": 8_192}


def test_no_probe_goes_behind_a_user() -> None:
    story = warm(wanted("a", probe_every_s=120.0)).looks_until(130, listed("a", 4 + PIN_S))
    assert story.finds_idle("a", idle=False).decides("a").act is Act.NOTHING


def test_a_slow_probe_is_told_once_until_it_is_quick_again() -> None:
    story = warm(wanted("a", probe_every_s=60.0))
    for took_s in (12.0, 15.0, 1.0, 20.0):
        story.learns(Probed("a", took_s, first_token_s=took_s / 2))
    assert [change.took_s for change in story.told if change.event == "model.slow"] == [12.0, 20.0]


def test_two_failed_probes_make_it_stuck_and_one_answer_mends_it() -> None:
    story = warm(wanted("a", probe_every_s=600.0))
    story.learns(ProbeFailed("a", Failure.READ_TIMEOUT, 60.0))
    assert story.state("a")[0] == "ready"
    story.looks_until(120, listed("a", 4 + PIN_S))
    assert story.decides("a").why is Why.PROBE_DUE, "a failure is made sure of after a minute"
    story.learns(ProbeFailed("a", Failure.READ_TIMEOUT, 60.0))
    assert story.state("a") == ("stuck", "probe_failed")
    assert story.events("model.stuck") == ["model.stuck"]
    story.learns(Probed("a", 0.4))
    assert story.state("a")[0] == "ready"


def test_what_failed_on_the_way_is_no_failure_of_the_model() -> None:
    story = warm(wanted("a", probe_every_s=600.0))
    for _ in range(3):
        story.learns(ProbeFailed("a", Failure.CONNECT_REFUSED, 0.1))
    assert story.state("a")[0] == "ready"


# --- repair -----------------------------------------------------------------------------------------------------------


def on_cpu(repair: Repair = Repair.RELOAD) -> Story:
    """A GPU model that our last warm got onto the CPU, while another one is on the GPU."""
    story = warm(wanted("a", repair=repair), wanted("b"))
    both = [listed("a", 20 + PIN_S), listed("b", 20 + PIN_S)]
    story.looks(*both).at(15).looks(both[1])
    cpu = replace(listed("a", 200 + PIN_S), size_vram=0)
    story.at(100).looks(both[1])
    return story.warms("a", 4.0, cpu, both[1])


def test_a_degraded_model_is_unloaded_once_it_was_idle_for_a_minute_and_warmed_at_once() -> None:
    story = on_cpu()
    cpu, other = (present.listed for present in story.memory.present)
    assert story.state("a") == ("degraded", "on_cpu")
    story.looks_until(150, cpu, other)
    assert story.decides("a").act is Act.NOTHING, "a minute is not over"
    story.looks_until(170, cpu, other)
    assert story.decides("a").act is Act.IDLE_TEST
    decision = story.finds_idle("a").decides("a")
    assert decision.act is Act.UNLOAD
    assert decision.request is not None
    assert decision.request.send is Send.UNLOAD
    story.sends(decision.request).looks(other)
    assert "model.lost" not in [change.event for change in story.told if change.model == "a"][-2:]
    assert story.loads_next() == "a"
    story.warms("a", 4.0, cpu, other).looks_until(1_000, cpu, other)
    assert story.decides("a").act is not Act.UNLOAD
    assert story.decides("a").why is not Why.REPAIR, "once an hour at most"


def test_nothing_is_repaired_unless_asked_for() -> None:
    story = on_cpu(Repair.NONE)
    story.looks_until(400, *(present.listed for present in story.memory.present))
    assert story.decides("a").why is not Why.REPAIR


def test_a_gpu_that_is_gone_since_the_start_is_told_once_a_server_and_not_repaired() -> None:
    story = warm(wanted("a", repair=Repair.RELOAD), wanted("b"))
    story.at(15).looks(reconnected=True)
    assert story.events("server.restarted") == ["server.restarted"]
    entries = []
    for name in ("a", "b"):
        entries.append(replace(listed(name, story.seconds + 4 + PIN_S), size_vram=0))
        story.warms(name, 4.0, *entries)
    assert [change.models for change in story.told if isinstance(change, ServerGpuMissing)] == [1]
    assert "model.degraded" not in story.events()
    story.looks_until(400, *entries)
    assert story.decides("a").why is not Why.REPAIR


def test_a_hung_scheduler_is_freed_once_by_our_least_important_idle_model() -> None:
    story = warm(wanted("a", repair=Repair.RELOAD), wanted("b", repair=Repair.RELOAD), wanted("c"))
    here = [listed("a", 20 + PIN_S), listed("b", 20 + PIN_S)]
    story.looks(*here, listed("c", 20 + PIN_S)).at(15).looks(*here).at(100).looks(*here)
    story.opens_warm("c")
    story.looks_until(800, *here)
    assert story.events("server.scheduler_hung") == ["server.scheduler_hung"]
    assert story.decides("a").act is not Act.UNLOAD
    decision = story.finds_idle("b").decides("b")
    assert decision.act is Act.UNLOAD
    assert decision.request is not None
    story.sends(decision.request)
    assert story.finds_idle("a").decides("a").act is not Act.UNLOAD
    assert story.memory.full is None


def test_a_hung_scheduler_is_never_fed_a_keep_alive() -> None:
    story = warm(wanted("a"), wanted("c"))
    here = listed("a", 20 + PIN_S)
    story.looks(here, listed("c", 20 + PIN_S)).at(15).looks(here).at(100).looks(here)
    story.opens_warm("c")
    shortened = listed("a", 1_100)
    story.looks_until(800, here).looks(shortened)
    assert story.memory.hung is not None
    assert story.finds_idle("a").decides("a").act is Act.NOTHING


# --- quarrels ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("contexts", [(8_192, 32_768)], ids=["two-contexts"])
def test_the_third_reload_by_clients_in_an_hour_is_told_with_what_would_end_it(contexts: tuple[int, int]) -> None:
    story = warm(wanted("a"))
    for number in range(6):
        context = contexts[number % 2]
        story.at(story.seconds + 15).looks(listed("a", story.seconds + 300, context=context, size=(5 + number) * GIB))
    (told,) = (change for change in story.told if change.event == "model.options_disagree")
    assert {told.context_length, told.context_length_before} == set(contexts)
    assert "num_ctx 32768" in str(told.hint)
    assert len(story.events("model.reloaded")) == 6
