"""What an operator sees and does on the page, in a real browser."""

import re
from typing import Any

import pytest

from tests.e2e.conftest import DESK, PHONE, TOKEN, Kept, Opened, Window
from tests.e2e.documents import HOSTILE, fleet, history, status

playwright = pytest.importorskip("playwright.sync_api", reason="Playwright is missing: make e2e installs it")
expect = playwright.expect
QWEN = "qwen3:8b"


def row(window: Window, model: str) -> Any:
    return window.page.locator("tbody.model").filter(
        has=window.page.get_by_role("rowheader", name=re.compile(re.escape(model)))
    )


def unlock(window: Window) -> None:
    window.page.get_by_role("button", name="Unlock control").click()
    window.page.get_by_label("Token").fill(TOKEN)
    window.page.get_by_role("button", name="Unlock", exact=True).click()


def sideways(window: Window) -> int:
    """Pixels by which the page is wider than the window."""
    return int(window.page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth"))


def axe(window: Window) -> list[str]:
    """What axe-core finds wrong, all of its rules on."""
    axe_core = pytest.importorskip(
        "axe_playwright_python.sync_playwright", reason="axe is missing: make e2e installs it"
    )
    found = axe_core.Axe().run(
        window.page, options={"runOnly": ["wcag2a", "wcag2aa", "wcag21aa", "wcag22aa", "best-practice"]}
    )
    return [
        f"{one['id']}: {node['html'][:120]}: {node.get('failureSummary', '')}"
        for one in found.response["violations"]
        for node in one["nodes"]
    ]


# --- what it shows ----------------------------------------------------------------------------------------------------


def test_it_shows_models_servers_memory_and_what_comes_next(kept: Kept, opened: Opened) -> None:
    window = opened(kept.url)
    expect(window.page.locator("#summary")).to_have_text("2 of 2 models ready")
    shown = row(window, QWEN)
    expect(shown.locator(".tag")).to_have_text("ready")
    for cell, text in (
        ("Until", "forever"),
        ("Context", "32,768"),
        ("On GPU", "100 %"),
        ("Next", re.compile("ping in 4m")),
    ):
        expect(shown.locator(f"td[data-label='{cell}']")).to_have_text(text)
    expect(window.page.locator(".memory")).to_contain_text(re.compile(r"ours [\d.]+ GiB.*free of 22.0 GiB"))
    expect(window.page.locator("#next")).to_contain_text(f"ping {QWEN}")
    expect(window.page.locator("#link-text")).to_have_text(re.compile("live, "))


def test_it_follows_a_loss_as_it_happens_and_tells_its_cause_in_the_strip(kept: Kept, opened: Opened) -> None:
    window = opened(kept.url)
    shown = row(window, QWEN)
    expect(shown.locator(".tag")).to_have_text("ready")
    kept.server.befalls("unload", model=QWEN)
    expect(shown.locator(".tag")).to_have_text("cold")
    expect(shown.locator(".why")).to_have_text("left alone for a while")
    expect(window.page.locator("#summary")).to_contain_text("1 required not ready")
    expect(window.page.locator("#events li").first).to_contain_text(f"{QWEN} on")
    loss = shown.locator(".loss")
    expect(loss).to_have_attribute("aria-label", re.compile("lost: it was unloaded"))
    loss.hover()
    expect(window.page.locator("#tip")).to_contain_text("lost: it was unloaded")
    window.page.mouse.move(0, 0)
    expect(window.page.locator("#tip")).to_be_hidden()
    loss.focus()
    expect(window.page.locator("#tip")).to_be_visible()
    expect(shown.locator(".tag")).to_have_text("ready", timeout=40_000)


def test_what_is_old_looks_old_and_what_is_back_looks_new(kept: Kept, opened: Opened) -> None:
    window = opened(kept.url, expected=("ERR_", "Failed to load resource"))
    expect(row(window, QWEN).locator(".tag")).to_have_text("ready")
    kept.keeper.close()
    expect(window.page.locator("#notice")).to_contain_text("The keeper does not answer", timeout=60_000)
    expect(window.page.locator("body")).to_have_class("stale")
    expect(window.page.locator("#link-text")).to_have_text("no answer")


def test_without_live_events_it_asks_again_and_again(kept: Kept, opened: Opened) -> None:
    window = opened(kept.url, answers={"events": lambda route: route.fulfill(status=503)}, expected=("503",))
    expect(window.page.locator("#link-text")).to_have_text(re.compile("polling, "))
    kept.server.befalls("unload", model=QWEN)
    expect(row(window, QWEN).locator(".tag")).to_have_text("cold")


# --- what others call their models ------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [DESK, PHONE], ids=["desk", "phone"])
def test_a_hostile_name_is_text_wherever_it_stands(kept: Kept, opened: Opened, size: dict[str, int]) -> None:
    window = opened(kept.url, size=size, answers={"status": status(HOSTILE)})
    expect(window.page.locator("tbody.model")).to_have_count(len(HOSTILE))
    assert window.page.locator("tbody.model img, tbody.model script, aside img").count() == 0
    text = window.page.locator("main").inner_text()
    assert "<img src=x onerror=alert(1)>" in text
    assert not re.search("[\u0000-\u0008\u001b\u202e\u2028]", text)
    assert len(text) < 20_000
    assert sideways(window) <= 0


def test_a_paused_model_tells_who_asked_for_it_and_why(kept: Kept, opened: Opened) -> None:
    window = opened(kept.url, answers={"status": status()})
    expect(row(window, "deepseek-r1:14b").locator(".why")).to_have_text("by anna: a game")


def test_the_strips_of_all_models_end_at_one_place_whatever_can_be_done_with_them(kept: Kept, opened: Opened) -> None:
    window = opened(kept.url, answers={"status": status(), "history": history(status())})
    unlock(window)
    expect(row(window, "qwen3:8b").get_by_role("button", name="Pause")).to_be_visible()
    ends = "parts => parts.map((part) => part.getBoundingClientRect().right)"
    assert len(set(window.page.locator(".strip").evaluate_all(ends))) == 1


# --- many, none -------------------------------------------------------------------------------------------------------


def test_a_hundred_servers_are_folded_but_for_those_in_trouble_and_can_be_searched(kept: Kept, opened: Opened) -> None:
    window = opened(kept.url, answers={"status": fleet(servers=100, models=10, down={7}, cold={(42, 3)})})
    expect(window.page.locator("details.server")).to_have_count(100)
    expect(window.page.locator("details.server[open]")).to_have_count(2)
    names = window.page.locator("details.server h2").all_inner_texts()
    assert names[:3] == ["node-007", "node-042", "node-000"]
    expect(window.page.locator(".memory").first).to_be_hidden()
    window.page.get_by_role("searchbox").fill("node-042")
    expect(window.page.locator("details.server")).to_have_count(1)
    window.page.get_by_role("searchbox").fill("")
    window.page.get_by_label("only what is not ready").check()
    expect(window.page.locator("details.server")).to_have_count(2)
    window.page.get_by_role("searchbox").fill("nothing of that name")
    expect(window.page.locator("#blank")).to_contain_text("Nothing is called that")


def test_without_a_server_it_says_so(kept: Kept, opened: Opened) -> None:
    window = opened(kept.url, answers={"status": fleet(servers=0)})
    expect(window.page.locator("#blank")).to_contain_text("No server is known yet")
    expect(window.page.locator("#summary")).to_have_text("No model is wanted yet")


# --- for everybody ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [DESK, PHONE], ids=["desk", "phone"])
def test_axe_finds_nothing(kept: Kept, opened: Opened, size: dict[str, int], scheme: str) -> None:
    window = opened(kept.url, size=size, scheme=scheme, answers={"status": status(), "history": history(status())})
    expect(window.page.locator(".loss").first).to_be_visible()
    assert axe(window) == []
    unlock(window)
    assert axe(window) == []
    window.page.get_by_role("button", name="Pause all").click()
    assert axe(window) == []


@pytest.mark.parametrize("width", [320, 390, 768, 1024, 1240, 1920])
def test_it_never_scrolls_sideways(kept: Kept, opened: Opened, width: int) -> None:
    window = opened(
        kept.url, size={"width": width, "height": 800}, answers={"status": status(), "history": history(status())}
    )
    expect(window.page.locator(".loss").first).to_be_visible()
    unlock(window)
    assert sideways(window) <= 0


def test_all_can_be_done_by_keyboard(kept: Kept, opened: Opened) -> None:
    window = opened(kept.url)
    page = window.page
    expect(row(window, QWEN).locator(".tag")).to_have_text("ready")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the models")).to_be_focused()
    reach(page, page.get_by_role("button", name="Unlock control"))
    page.keyboard.press("Enter")
    expect(page.get_by_label("Token")).to_be_focused()
    page.keyboard.type(TOKEN)
    page.keyboard.press("Enter")
    reach(page, page.get_by_role("button", name=f"Pause {QWEN}"))
    page.keyboard.press("Enter")
    expect(page.get_by_label("For how long")).to_be_focused()
    reach(page, page.locator("#pause-dialog .main"))
    page.keyboard.press("Enter")
    expect(row(window, QWEN).locator(".tag")).to_have_text("paused")
    reach(page, page.get_by_role("button", name=f"Resume {QWEN}"))
    page.keyboard.press("Enter")
    expect(row(window, QWEN).locator(".tag")).to_have_text("ready")


def reach(page: Any, wanted: Any) -> None:
    """Goes on by Tab until it is there."""
    for _ in range(60):
        if wanted.evaluate("one => one === document.activeElement"):
            return
        page.keyboard.press("Tab")
    pytest.fail(f"no Tab leads to {wanted}")


# --- commands ---------------------------------------------------------------------------------------------------------


def test_pause_resume_and_warm_do_what_they_say(kept: Kept, opened: Opened) -> None:
    window = opened(kept.url)
    page, shown = window.page, row(window, QWEN)
    expect(shown.locator(".tag")).to_have_text("ready")
    expect(shown.locator("button:not(.loss)")).to_have_count(0)
    unlock(window)
    shown.get_by_role("button", name="Pause").click()
    page.get_by_label("take it out of memory now").check()
    page.get_by_label("Why").fill("a game")
    page.locator("#pause-dialog .main").click()
    expect(shown.locator(".tag")).to_have_text("paused")
    assert kept.keeper.until("model.paused")["note"] == "a game"
    kept.keeper.until("model.released")
    shown.get_by_role("button", name="Resume").click()
    kept.keeper.until("model.ready", model=QWEN)
    kept.server.befalls("unload", model=QWEN)
    shown.get_by_role("button", name="Warm").click()
    assert kept.keeper.until("warm.started", model=QWEN)["cause"] == "by_command"
    expect(shown.locator(".tag")).to_have_text("ready")


def test_warming_a_model_that_stays_absent_says_why(kept: Kept, opened: Opened) -> None:
    held = {"server": "gpu", "model": "big:120b", "text": "over budget: the memory is full; a larger budget makes room"}
    told = {"models": ["big:120b"], "unknown": [], "held": [held]}
    window = opened(kept.url, answers={"status": status(), "control/warm": told})
    unlock(window)
    row(window, "big:120b").get_by_role("button", name="Warm").click()
    expect(window.page.locator("#notice")).to_have_text(f"big:120b on gpu stays as it is: {held['text']}.")
    expect(window.page.locator("#notice")).to_have_attribute("data-kind", "held")
    expect(window.page.locator("#notice")).to_be_in_viewport()


def test_a_wrong_token_is_told_and_forgotten(kept: Kept, opened: Opened) -> None:
    window = opened(kept.url, expected=("401",))
    page = window.page
    page.get_by_role("button", name="Unlock control").click()
    page.get_by_label("Token").fill("wrong")
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Reload configuration").click()
    expect(page.locator("#notice")).to_contain_text("was refused: no such token")
    expect(page.get_by_role("button", name="Unlock control")).to_be_visible()
    assert page.evaluate("sessionStorage.length + localStorage.length + document.cookie.length") == 0


def test_a_token_stays_in_its_tab_and_is_sent_with_commands_only(kept: Kept, opened: Opened) -> None:
    window = opened(kept.url)
    sent: list[tuple[str, str | None]] = []
    window.page.on("request", lambda request: sent.append((request.method, request.headers.get("authorization"))))
    unlock(window)
    window.page.get_by_role("button", name="Reload configuration").click()
    expect(window.page.locator("#notice")).to_have_text("Done: reload.")
    assert {method for method, token in sent if token} == {"POST"}
    window.page.reload()
    expect(window.page.get_by_role("button", name="Lock control")).to_be_visible()
    window.page.get_by_role("button", name="Lock control").click()
    assert window.page.evaluate("sessionStorage.length") == 0
    assert window.page.context.cookies() == []
