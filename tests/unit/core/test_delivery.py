"""Who is told what, and when: a sink of which everything is known, on a clock of seconds."""

from dataclasses import dataclass, field, replace
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from ollama_keeper.core.alert_notes import documents, recalled
from ollama_keeper.core.alerting import Book, Incident, opened
from ollama_keeper.core.changes import Change
from ollama_keeper.core.conditions import Aspect, Subject
from ollama_keeper.core.delivery import (
    Delivered,
    Item,
    Kind,
    Lane,
    Manners,
    Outcome,
    Refused,
    after,
    owed,
    planned,
    pruned,
    trimmed,
)
from ollama_keeper.core.reasons import Alert, Undelivered
from tests.kit.examples import examples
from tests.kit.story import instant

DOWN = Refused(Undelivered.UNREACHABLE)


@dataclass
class Post:
    """One sink, alone with a book of alerts."""

    manners: Manners = field(default_factory=Manners)
    outcome: Outcome = field(default_factory=Delivered)
    seconds: float = 0.0
    book: Book = field(default_factory=lambda: opened(instant(0)))
    lane: Lane = field(default_factory=lambda: Lane("team"))
    attempts: list[tuple[float, tuple[Item, ...]]] = field(default_factory=list)
    taken: list[tuple[float, tuple[Item, ...]]] = field(default_factory=list)
    told: list[Change] = field(default_factory=list)

    def fires(self, model: str = "a") -> None:
        number = self.book.rounds + 1
        incident = Incident(
            Subject("gpu", model, Aspect.ABSENT),
            Alert.MODEL_LOST,
            instant(self.seconds).wall,
            instant(self.seconds),
            fired=instant(self.seconds).wall,
            round=number,
        )
        self.book = replace(self.book, open=(*self.book.open, incident), rounds=number)

    def ends(self, model: str = "a") -> None:
        (over,) = [one for one in self.book.open if one.subject.model == model]
        still = tuple(one for one in self.book.open if one is not over)
        over = replace(over, ended=instant(self.seconds).wall, how="recovered")
        others = tuple(one for one in self.book.over if one.fingerprint != over.fingerprint)
        self.book = replace(self.book, open=still, over=(*others, over))

    def restarts(self) -> None:
        """Forgets everything but what was kept."""
        self.book, (self.lane,) = recalled(documents(self.book, [self.lane]), instant(self.seconds))

    def until(self, seconds: float) -> "Post":
        """Lets time pass, with an attempt whenever one is due."""
        while True:
            now = instant(self.seconds)
            self.book = pruned(self.book, [self.lane], self.manners)
            items = owed(self.lane, self.book, self.manners, now)
            self.lane, wait_s = planned(self.lane, items, now)
            if wait_s == 0:
                self.tries(items)
            step = 5.0 if wait_s is None else max(min(wait_s, 5.0), 0.001)
            if self.seconds + step > seconds:
                self.seconds = seconds
                return self
            self.seconds += step

    def tries(self, items: tuple[Item, ...]) -> None:
        self.attempts.append((self.seconds, items))
        if isinstance(self.outcome, Delivered):
            self.taken.append((self.seconds, items))
        self.lane, changes = after(self.lane, items, self.outcome, instant(self.seconds))
        self.told += changes
        self.lane = trimmed(self.lane, self.book)

    @property
    def said(self) -> list[list[str]]:
        """Each message that arrived, as `firing a`."""
        return [[f"{item.kind.value} {item.incident.subject.model}" for item in items] for _, items in self.taken]

    @property
    def events(self) -> list[str]:
        return [change.event for change in self.told]


# --- gathering and folding --------------------------------------------------------------------------------------------


def test_a_sink_is_told_after_ten_seconds_in_which_more_may_come() -> None:
    post = Post()
    post.fires("a")
    post.until(9).fires("b")
    assert post.until(60).said == [["firing a", "firing b"]]
    assert post.taken[0][0] == 10


def test_at_most_one_message_a_minute_with_the_rest_folded_in() -> None:
    post = Post()
    for number in range(60):
        post.fires(f"m{number}")
        post.until(post.seconds + 5)
    times = [at for at, _ in post.until(600).taken]
    assert min(later - earlier for earlier, later in pairwise(times)) > 59.9
    assert sum(len(items) for _, items in post.taken) == 60


def test_what_has_ended_is_told_before_what_fires() -> None:
    post = Post()
    post.fires("a")
    post.until(30).ends("a")
    post.fires("b")
    assert post.until(100).said == [["firing a"], ["resolved a", "firing b"]]


def test_what_lasts_is_told_again_and_takes_along_what_would_be_soon() -> None:
    post = Post()
    post.fires("a")
    post.until(200).fires("b")
    post.until(4 * 3_600 + 300)
    assert post.said == [["firing a"], ["firing b"], ["repeat a", "repeat b"]]


def test_ends_are_not_told_where_nobody_wants_them() -> None:
    post = Post(Manners(send_resolved=False))
    post.fires("a")
    post.until(30).ends("a")
    assert post.until(300).said == [["firing a"]]
    assert post.book.over == ()


def test_a_new_sink_is_told_what_fires_and_not_what_was_over_before_it_came() -> None:
    post = Post()
    post.fires("a")
    post.fires("b")
    post.ends("a")
    post.lane = Lane("new", born=post.book.rounds)
    assert post.until(100).said == [["firing b"]]


# --- failures ---------------------------------------------------------------------------------------------------------


def test_a_sink_that_is_away_is_asked_more_and_more_rarely_and_told_the_present_once() -> None:
    post = Post(outcome=DOWN)
    post.fires("a")
    post.until(60).fires("b")
    post.until(4 * 3_600).ends("a")
    post.until(8 * 3_600)
    waits = [later - earlier for (earlier, _), (later, _) in pairwise(post.attempts)]
    assert min(waits) > 0.99
    assert max(waits) <= 305
    assert len(post.attempts) < 400
    post.outcome = Delivered()
    assert post.until(9 * 3_600).said == [["resolved a", "firing b"]]
    assert post.events == ["notification.delayed", "notification.sent"]


def test_a_message_is_given_up_after_a_day() -> None:
    post = Post(outcome=DOWN)
    post.fires("a")
    post.until(86_000)
    assert post.events == ["notification.delayed"]
    post.until(86_400 + 400)
    assert post.events == ["notification.delayed", "notification.failed"]


def test_what_can_never_succeed_is_given_up_at_once_and_the_next_is_tried() -> None:
    post = Post(outcome=Refused(Undelivered.CLIENT_ERROR, final=True))
    post.fires("a")
    post.until(3_600)
    assert [len(items) for _, items in post.attempts] == [1]
    assert post.events == ["notification.failed"]
    post.outcome = Delivered()
    post.fires("b")
    assert post.until(3_700).said == [["firing b"]]


def test_a_service_that_says_no_is_not_asked_again_within_a_minute() -> None:
    post = Post(outcome=Refused(Undelivered.REJECTED))
    post.fires("a")
    times = [at for at, _ in post.until(1_000).attempts]
    assert min(later - earlier for earlier, later in pairwise(times)) > 59.9


def test_a_service_is_given_the_time_that_it_asks_for_and_then_told_once() -> None:
    post = Post(outcome=Refused(Undelivered.RATE_LIMITED, retry_after_s=600.0))
    post.fires("a")
    post.until(100).fires("b")
    assert len(post.until(609).attempts) == 1
    post.outcome = Delivered()
    assert post.until(700).said == [["firing a", "firing b"]]


# --- restarts ---------------------------------------------------------------------------------------------------------


def test_a_restart_forgets_neither_what_fires_nor_what_was_told() -> None:
    post = Post()
    post.fires("a")
    post.fires("b")
    post.until(30).ends("a")
    post.restarts()
    assert post.until(200).said == [["firing a", "firing b"], ["resolved a"]]


def test_documents_that_make_no_sense_are_left_out() -> None:
    post = Post()
    post.fires("a")
    kept = documents(post.book, [post.lane])
    wrong = {key: {**document, "aspect": "?", "born": "?"} for key, document in kept.items()}
    book, lanes = recalled(wrong, instant(0))
    assert (book.open, lanes) == ((), ())


# --- for all ----------------------------------------------------------------------------------------------------------

ACTS = st.lists(
    st.tuples(
        st.sampled_from(["fires", "ends", "restart", "down", "up", "rejects", "gone"]),
        st.sampled_from(["a", "b", "c"]),
        st.integers(1, 2_000),
    ),
    max_size=40,
)
OUTCOMES: dict[str, Outcome] = {
    "down": DOWN,
    "up": Delivered("ok"),
    "rejects": Refused(Undelivered.REJECTED),
    "gone": Refused(Undelivered.CLIENT_ERROR, final=True),
}


def play(post: Post, act: str, model: str, seconds: int) -> None:
    firing = {one.subject.model for one in post.book.open}
    if act == "fires" and model not in firing:
        post.fires(model)
    elif act == "ends" and model in firing:
        post.ends(model)
    elif act == "restart":
        post.restarts()
    elif act in OUTCOMES:
        post.outcome = OUTCOMES[act]
    post.until(post.seconds + seconds)


@examples(80)
@given(ACTS)
def test_no_alert_is_told_twice_without_its_end_between(acts: list[tuple[str, str, int]]) -> None:
    post = Post()
    for act in acts:
        play(post, *act)
    known: set[str] = set()
    for item in (item for _, items in post.taken for item in items):
        name = item.incident.fingerprint
        assert item.kind is not Kind.FIRING or name not in known or gave_up(acts)
        known = known - {name} if item.kind is Kind.RESOLVED else known | {name}


def gave_up(acts: list[tuple[str, str, int]]) -> bool:
    """Whether a message was given up, so that its end may be missing."""
    return any(act == "gone" for act, *_ in acts)


@examples(80)
@given(ACTS)
def test_nothing_is_lost_that_a_working_sink_could_be_told(acts: list[tuple[str, str, int]]) -> None:
    post = Post()
    for act in (one for one in acts if one[0] != "gone"):
        play(post, *act)
    post.outcome = Delivered()
    post.until(post.seconds + 4_000)
    last = {item.incident.fingerprint: item for _, items in post.taken for item in items}
    firing = {one.fingerprint for one in post.book.firing}
    assert {name for name, item in last.items() if item.kind is not Kind.RESOLVED} == firing
    assert post.book.over == ()
