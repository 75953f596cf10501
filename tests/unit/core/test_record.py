"""Records behave as the frozen dataclasses that they stand for."""

import copy
import pickle
from dataclasses import FrozenInstanceError, dataclass
from dataclasses import replace as stdlib_replace

import pytest

from ollama_keeper.core.record import keyword_record, record, replace


@dataclass(frozen=True, slots=True)
class Slotted:
    size: int


@record
class Point:
    x: int
    y: int = 0


@record
class Nothing:
    """Without a field."""


@keyword_record
class Base:
    name: str | None = None


@keyword_record
class Further(Base):
    size: int


@pytest.mark.parametrize("made", [Point(1), Point(x=1), Point(1, 0), Point(1, y=0), Point(y=0, x=1)])
def test_values_are_given_by_place_or_by_name(made):
    assert made == Point(1, 0)
    assert hash(made) == hash(Point(1, 0))
    assert repr(made) == "Point(x=1, y=0)"


@pytest.mark.parametrize(
    "make",
    [
        pytest.param(Point, id="missing"),
        pytest.param(lambda: Point(1, z=2), id="unknown"),
        pytest.param(lambda: Point(1, 2, 3), id="one-too-many"),
        pytest.param(lambda: Point(z=2), id="unknown-in-place-of-a-missing-one"),
        pytest.param(lambda: replace(Point(1), z=2), id="unknown-in-a-copy"),
        pytest.param(lambda: Further("gpu", size=1), id="by-place-where-names-are-wanted"),
    ],
)
def test_values_that_do_not_fit_are_refused(make):
    with pytest.raises(TypeError, match=r"has no .*, and lacks"):
        make()


def test_a_record_cannot_be_changed():
    point = Point(1)
    with pytest.raises(FrozenInstanceError):
        point.x = 2
    with pytest.raises(FrozenInstanceError):
        del point.x
    assert point == Point(1)


def test_a_copy_differs_where_that_was_asked_for():
    point = Point(1, 2)
    assert replace(point, y=3) == stdlib_replace(point, y=3) == Point(1, 3)
    assert point == Point(1, 2)


def test_records_of_different_kinds_are_never_equal():
    assert Base(name="gpu") != Further(name="gpu", size=1)
    assert Nothing() == Nothing()
    assert hash(Nothing()) == hash(Nothing())


def test_a_subclass_may_ask_for_more_than_its_base():
    assert Further(size=1) == Further(name=None, size=1)


@pytest.mark.parametrize("again", [copy.copy, copy.deepcopy, lambda made: pickle.loads(pickle.dumps(made))])
def test_copies_of_other_makers_are_equal(again):
    assert again(Point(1, 2)) == Point(1, 2)


def test_a_record_is_matched_by_place():
    match Point(1, 2):
        case Point(x, y):
            assert (x, y) == (1, 2)


def test_replace_takes_a_dataclass_that_is_no_record_too():
    assert replace(Slotted(1), size=2) == Slotted(2)
