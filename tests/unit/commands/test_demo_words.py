"""Short lines for the demo: one model, one event, one ending."""

import pytest

from ollama_keeper.commands.demo_tally import Tally
from ollama_keeper.commands.demo_view import News, Row, Side
from ollama_keeper.commands.demo_words import closing, news_of, rows_of, side_of
from ollama_keeper.core import changes as of
from ollama_keeper.core.changes import Change
from ollama_keeper.core.reasons import By, Cause, Failure, Reason, Reloaded, State
from tests.kit.story import NOON, Story, listed, wanted

KEPT = Tally(watched_s=170.0, losses=8, healed=7, cold_s=40.8, asked=5, waited=1)
ALONE = Tally(watched_s=170.0, losses=9, healed=7, cold_s=88.4, asked=5, waited=4)


def said(change: Change) -> tuple[str, str] | None:
    news = news_of(change, 3.0)
    return (news.kind, news.text) if news else None


@pytest.mark.parametrize(
    ("change", "line"),
    [
        pytest.param(
            of.ModelLost(
                server="s",
                model="a",
                state=State.COLD,
                cause=Cause.UNLOADED,
                expires_at=NOON,
                last_seen_s=1.0,
                grace_s=3.0,
            ),
            ("bad", "a was lost: it was unloaded"),
            id="lost",
        ),
        pytest.param(
            of.ModelReady(
                server="s", model="a", cause=Cause.UNLOADED, by=By.KEEPER, load_s=1.5, outage_s=4.6, size_bytes=5
            ),
            ("good", "a is ready: loaded in 1.5s, absent for 4.6s"),
            id="back",
        ),
        pytest.param(
            of.ModelReady(server="s", model="a", cause=Cause.FIRST_SEEN, by=By.KEEPER, load_s=1.5, outage_s=1.6),
            ("good", "a is ready: loaded in 1.5s"),
            id="first-load-is-no-absence",
        ),
        pytest.param(
            of.ModelYielding(server="s", model="a", to="guest", since_s=0.0),
            ("note", "a waits for guest to be idle or gone"),
            id="yielding",
        ),
        pytest.param(
            of.ModelReloaded(
                server="s",
                model="a",
                by=By.KEEPER,
                reason=Reloaded.RUNNER_DIED,
                context_length=1,
                context_length_before=1,
            ),
            ("bad", "a was loaded anew by a ping of ours: its runner died"),
            id="runner-died",
        ),
        pytest.param(
            of.WarmStarted(server="s", model="a", cause=Cause.SERVER_RESTARTED, attempt=1),
            ("note", "loading a: the server was restarted"),
            id="loading",
        ),
        pytest.param(
            of.ServerRestarted(server="s", version="0.33.0"), ("bad", "s was restarted: Ollama 0.33.0"), id="server"
        ),
        pytest.param(
            of.ServerDown(server="s", failures=3, reason=Failure.CONNECT_REFUSED),
            ("bad", "s is down: connection refused, 3 failures in a row"),
            id="server-down",
        ),
        pytest.param(of.ModelRenewed(server="s", model="a", took_s=0.1), None, id="a-quiet-ping-is-nothing-to-see"),
        pytest.param(of.ConfigLoaded(added=3), None, id="nor-is-the-configuration"),
    ],
)
def test_an_event_is_one_short_line(change: Change, line: tuple[str, str] | None) -> None:
    assert said(change) == line


def test_news_have_the_time_they_were_given() -> None:
    assert news_of(of.ServerUp(server="s", version="1.2.3"), 3.0) == News(3.0, "good", "s is up: Ollama 1.2.3")


def kept(*entries: object) -> Story:
    return Story((wanted("a"),)).begins(*entries)  # type: ignore[arg-type]


def test_a_pinned_model_is_there_for_ever() -> None:
    story = kept().warms("a", 2.0, listed("a"))
    assert rows_of(story.memory, story.now) == (Row("a", "ready", "", "forever"),)


def test_a_clients_load_is_called_so_and_its_end_counted_down() -> None:
    story = kept(listed("a", 60.0)).at(10).looks(listed("a", 60.0))
    assert rows_of(story.memory, story.now) == (Row("a", "ready", "a client loaded it", "50s"),)


def test_a_load_under_way_says_why_and_how_long_it_should_still_take() -> None:
    story = kept()
    story.opens_warm("a")
    assert rows_of(story.memory, story.now) == (Row("a", "loading", "it was not resident at the start", ""),)
    known = kept().warms("a", 4.0, listed("a")).at(15).looks().at(80).looks()
    known.opens_warm("a")
    known.at(81)
    assert rows_of(known.memory, known.now) == (Row("a", "loading", "it was unloaded", "~3s"),)


def test_a_displaced_model_names_its_guest_and_when_it_is_tried_again() -> None:
    story = kept().warms("a", 2.0, listed("a")).at(15).looks(listed("guest", 300.0)).at(20)
    own, guest = rows_of(story.memory, story.now)
    assert own == Row("a", "yielding", "guest:latest is in use", "55s")
    assert guest == Row("guest:latest", "guest", "somebody else's", "280s")


def test_a_model_left_alone_says_until_when() -> None:
    story = kept().warms("a", 2.0, listed("a")).at(15).looks().at(20)
    assert story.state("a") == ("cold", Reason.UNLOAD_GRACE)
    assert rows_of(story.memory, story.now) == (Row("a", "cold", "left alone for a while", "55s"),)


def test_before_the_first_answer_the_server_is_waited_for() -> None:
    story = Story((wanted("a"),))
    assert rows_of(story.memory, story.now) == (Row("a", "unknown", "waiting for the server", ""),)


def test_figures_have_the_order_of_their_labels_and_none_before_they_count() -> None:
    assert side_of(KEPT, (3, 2)) == Side(("8 / 7", "24%  (41s)", "1 of 5"), (3, 2))
    assert side_of(Tally(), ()) == Side()


def test_the_ending_is_two_lines_that_fit_eighty_columns() -> None:
    lines = closing(KEPT, ALONE)
    assert lines[0] == "with ollama-keeper  8 lost, 7 back; cold 24% of the time; 1 of 5 users waited"
    assert max(map(len, lines)) <= 80
