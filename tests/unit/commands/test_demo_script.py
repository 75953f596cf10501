"""What goes wrong in the demo follows from the seed, and from nothing else."""

from itertools import islice, pairwise, takewhile

import pytest

from ollama_keeper.commands.demo_script import GUEST_EVERY_S, SECONDS, WANTED, Mishap, mishaps, questions, script

SEEDS = range(40)


def until(seconds: float, seed: int) -> list[Mishap]:
    return [turn.mishap for turn in takewhile(lambda turn: turn.at_s < seconds, mishaps(seed))]


def test_the_same_seed_is_the_same_script() -> None:
    assert list(islice(script(7), 500)) == list(islice(script(7), 500))


def test_another_seed_is_another_script() -> None:
    assert len({tuple(islice(script(seed), 10)) for seed in SEEDS}) == len(SEEDS)


@pytest.mark.parametrize("seed", SEEDS)
def test_everything_goes_wrong_once_in_the_first_round(seed: int) -> None:
    first = [turn.mishap for turn in islice(mishaps(seed), len(SECONDS))]
    assert sorted(first) == sorted(SECONDS)


@pytest.mark.parametrize("seed", SEEDS)
def test_six_mishaps_or_more_in_the_first_minute(seed: int) -> None:
    assert len(until(55, seed)) >= 6


@pytest.mark.parametrize("seed", SEEDS)
def test_a_guest_comes_no_oftener_than_the_keeper_forgives(seed: int) -> None:
    hour = takewhile(lambda turn: turn.at_s < 3_600, mishaps(seed))
    came = [turn.at_s for turn in hour if turn.mishap is Mishap.GUEST]
    assert len(came) >= 5
    assert min(later - earlier for earlier, later in pairwise(came)) >= GUEST_EVERY_S


@pytest.mark.parametrize("seed", SEEDS)
def test_the_runner_of_a_model_dies_once(seed: int) -> None:
    hour = takewhile(lambda turn: turn.at_s < 3_600, mishaps(seed))
    killed = [turn.model for turn in hour if turn.mishap is Mishap.KILL]
    assert sorted(killed) == sorted(WANTED)


def test_turns_come_in_order_of_time() -> None:
    turns = list(islice(script(3), 500))
    assert turns == sorted(turns, key=lambda turn: turn.at_s)
    assert turns[0].at_s > 0


def test_people_ask_for_wanted_models_only() -> None:
    assert {turn.model for turn in islice(questions(1), 200)} == set(WANTED)


def test_every_turn_is_told_in_words_with_the_model_it_concerns() -> None:
    for turn in islice(script(5), 200):
        assert turn.model in turn.words
        assert "{" not in turn.words
        assert turn.troubles is (turn.mishap is not Mishap.QUESTION)
