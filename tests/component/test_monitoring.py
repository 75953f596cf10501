"""What ships for Prometheus and Grafana uses only metrics that there are, holds its own tests, and is well formed."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
import yaml

from ollama_keeper.core.reasons import Alert
from ollama_keeper.report.metrics.families import FAMILIES
from ollama_keeper.simulator import Simulator
from tests.component.test_keeping import QWEN
from tests.component.test_metrics import scraped
from tests.component.test_reload import settled
from tests.kit.metrics import PREFIX, Page

ROOT = Path(__file__).parents[2]
RULES = ROOT / "deploy" / "prometheus" / "alerts.yml"
TESTS = RULES.with_name("alerts_test.yml")
SCRAPE = RULES.with_name("scrape.yml")
DASHBOARD: dict[str, Any] = json.loads((ROOT / "deploy" / "grafana" / "ollama-keeper.json").read_text(encoding="utf-8"))
RUNBOOK = (ROOT / "docs" / "runbook.md").read_text(encoding="utf-8")
MONITORING = (ROOT / "docs" / "monitoring.md").read_text(encoding="utf-8")
PANELS: list[dict[str, Any]] = DASHBOARD["panels"]
ALERTS: list[dict[str, Any]] = yaml.safe_load(RULES.read_text(encoding="utf-8"))["groups"][0]["rules"]
LABELS = {family.name: {*family.labels, "instance", "job", "le"} for family in FAMILIES}
BY_PROMETHEUS = {"up"}
PROMTOOL = shutil.which("promtool")
needs_promtool = pytest.mark.skipif(PROMTOOL is None, reason="promtool is not installed: apt-get install prometheus")


def promtool(*arguments: object, text: str | None = None) -> None:
    command = [str(PROMTOOL), *map(str, arguments)]
    ran = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr


def expressions() -> Iterator[str]:
    """Every expression of the rules, the dashboard's panels and its variables."""
    yield from (alert["expr"] for alert in ALERTS)
    yield from (target["expr"] for panel in PANELS for target in panel.get("targets", ()))
    yield from (one["definition"] for one in DASHBOARD["templating"]["list"] if one["type"] == "query")


def used(expression: str) -> set[str]:
    """The metrics of an expression, by the names of the contract; those of a process with their own."""
    names = re.findall(rf"\b{PREFIX}(\w+)|\b(process_\w+)", expression)
    return {re.sub(r"_(bucket|count|sum)$", "", ours) if ours else process for ours, process in names}


def unknown(expression: str, page: Page) -> set[str]:
    """The metrics of an expression that a page does not tell of."""
    process = {name for name in page.families if name.startswith("process_")}
    return used(expression) - page.names() - process


# --- names ------------------------------------------------------------------------------------------------------------


async def test_every_metric_that_is_used_is_on_the_page_of_a_daemon(sim: Simulator) -> None:
    async with scraped(sim, QWEN) as daemon:
        await settled(sim, daemon.keeper, QWEN)
        page = await daemon.page()
    for expression in expressions():
        assert used(expression) or "up{" in expression
        assert unknown(expression, page) == set(), expression


async def test_a_metric_that_is_not_there_would_be_found(sim: Simulator) -> None:
    async with scraped(sim, QWEN) as daemon:
        page = await daemon.page()
    assert unknown("sum(ollama_keeper_model_residnt) > process_memory_bytes", page) == {
        "model_residnt",
        "process_memory_bytes",
    }
    assert unknown("rate(ollama_keeper_look_duration_seconds_bucket[5m])", page) == set()


def test_every_metric_of_ours_is_used_somewhere() -> None:
    everywhere = {name for expression in expressions() for name in used(expression)}
    seldom = {"model_state", "server_state", "notification_last_success_timestamp_seconds"}
    seldom |= {"config_last_reload_success_timestamp_seconds", "config_reloads_total", "looks_total"}
    assert {family.name for family in FAMILIES} - everywhere == seldom


@pytest.mark.parametrize("expression", list(expressions()))
def test_only_labels_that_a_metric_has_are_matched(expression: str) -> None:
    for name, matchers in re.findall(rf"\b{PREFIX}(\w+?)(?:_bucket)?{{([^}}]*)}}", expression):
        assert set(re.findall(r"(\w+)\s*(?:=~|!=|!~|=)", matchers)) <= LABELS[name], name


# --- rules ------------------------------------------------------------------------------------------------------------


@needs_promtool
def test_promtool_finds_the_rules_and_the_scrape_configuration_good() -> None:
    promtool("check", "rules", RULES)
    promtool("check", "config", SCRAPE)


@needs_promtool
def test_the_rules_do_what_their_tests_say() -> None:
    promtool("test", "rules", TESTS)


def test_every_alert_has_a_test() -> None:
    tested = re.findall(r"alertname: (\w+)", TESTS.read_text(encoding="utf-8"))
    assert set(tested) == {alert["alert"] for alert in ALERTS}


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert["alert"])
def test_an_alert_says_what_it_is_and_where_to_read_on(alert: dict[str, Any]) -> None:
    told = alert["annotations"]
    assert set(told) == {"summary", "description", "runbook"}
    assert told["runbook"] == f"docs/runbook.md#{alert['alert'].lower()}"
    assert alert["labels"]["severity"] in {"warning", "critical"}
    assert f"\n## {alert['alert']}\n" in RUNBOOK


def test_every_alert_of_the_keeper_itself_has_its_entry_too() -> None:
    entries = re.findall(r"^## (\w+)$", RUNBOOK, re.MULTILINE)
    assert entries == [alert["alert"] for alert in ALERTS] + [alert.value for alert in Alert]


def test_links_within_the_runbook_lead_somewhere() -> None:
    entries = {entry.lower() for entry in re.findall(r"^## (\w+)$", RUNBOOK, re.MULTILINE)}
    assert set(re.findall(r"\]\(#(\w+)\)", RUNBOOK)) <= entries


@needs_promtool
def test_promtool_can_read_every_query_that_is_told_of(tmp_path: Path) -> None:
    queries = re.findall(r"^\| .* \| `(.+)` \|$", MONITORING, re.MULTILINE)
    assert len(queries) >= 8
    promtool("check", "rules", recorded(queries, tmp_path))


async def test_the_queries_that_are_told_of_use_what_there_is(sim: Simulator) -> None:
    async with scraped(sim, QWEN) as daemon:
        page = await daemon.page()
    assert unknown(MONITORING, page) == set()


def test_the_job_that_is_scraped_is_that_of_the_rules() -> None:
    jobs = [job["job_name"] for job in yaml.safe_load(SCRAPE.read_text(encoding="utf-8"))["scrape_configs"]]
    assert jobs == ["ollama-keeper"]
    assert 'up{job="ollama-keeper"}' in ALERTS[0]["expr"]


# --- the dashboard ----------------------------------------------------------------------------------------------------


def test_the_dashboard_imports_without_a_question() -> None:
    assert not {"__inputs", "__requires"} & DASHBOARD.keys()
    assert DASHBOARD["schemaVersion"] >= 36
    assert (DASHBOARD["id"], DASHBOARD["uid"]) == (None, "ollama-keeper")
    first, *others = DASHBOARD["templating"]["list"]
    assert (first["type"], first["query"], first["name"]) == ("datasource", "prometheus", "datasource")
    source = {"type": "prometheus", "uid": "${datasource}"}
    drawn = [panel for panel in PANELS if panel["type"] != "row"]
    assert [one["datasource"] for one in (*others, *drawn)] == [source] * (len(others) + len(drawn))
    assert all(target["datasource"] == source for panel in drawn for target in panel["targets"])


def test_panels_have_numbers_of_their_own_and_a_place_that_nobody_else_has() -> None:
    assert len({panel["id"] for panel in PANELS}) == len(PANELS)
    places = [panel["gridPos"] for panel in PANELS]
    assert all(place["x"] >= 0 and place["x"] + place["w"] <= 24 for place in places)
    assert [pair for pair in combinations(places, 2) if overlap(*pair)] == []
    assert overlap({"x": 0, "y": 0, "w": 12, "h": 4}, {"x": 11, "y": 3, "w": 1, "h": 1})


def overlap(one: dict[str, int], other: dict[str, int]) -> bool:
    """Whether two places have a cell in common."""
    beside = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
    below = one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]
    return not beside and not below


def test_every_panel_says_what_it_shows_and_letters_its_queries() -> None:
    for panel in (panel for panel in PANELS if panel["type"] != "row"):
        assert panel["title"]
        letters = [target["refId"] for target in panel["targets"]]
        assert letters == list("ABCDEFGH")[: len(letters)]


def test_there_is_a_row_a_server_with_residency_as_a_state_timeline() -> None:
    rows = {panel["title"]: panel for panel in PANELS if panel["type"] == "row"}
    assert rows["$server"]["repeat"] == "server"
    (residency,) = (panel for panel in PANELS if panel["title"] == "Residency")
    assert residency["type"] == "state-timeline"
    assert set(residency["fieldConfig"]["defaults"]["mappings"][0]["options"]) == {"1", "0", "-1", "-2"}


@needs_promtool
def test_promtool_can_read_every_query_of_the_dashboard(tmp_path: Path) -> None:
    """As recording rules, with Grafana's variables filled in."""
    queries = [target["expr"] for panel in PANELS for target in panel.get("targets", ())]
    filled = [re.sub(r"\$(instance|server)", ".*", re.sub(r"\$__(rate_interval|range)", "5m", one)) for one in queries]
    promtool("check", "rules", recorded(filled, tmp_path))


def recorded(queries: list[str], folder: Path) -> Path:
    """A file of recording rules, one a query."""
    rules = [{"record": f"query:{number}", "expr": expr} for number, expr in enumerate(queries)]
    file = folder / "queries.yml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "queries", "rules": rules}]}), encoding="utf-8")
    return file
