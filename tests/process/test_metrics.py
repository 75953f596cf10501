"""Metrics of a real keeper, as its reader gets them."""

import shutil
import subprocess
from urllib.request import ProxyHandler, Request, build_opener

import pytest

from tests.kit.metrics import OPENMETRICS, Page
from tests.kit.proc import World, free_port

pytestmark = pytest.mark.process
PROMTOOL = shutil.which("promtool")


def scraped(address: str, accept: str = "") -> Page:
    asked = Request(f"http://{address}/metrics", headers={"Accept": accept} if accept else {})
    with build_opener(ProxyHandler({})).open(asked, timeout=10) as answer:
        return Page(answer.read().decode(), openmetrics="openmetrics" in answer.headers["content-type"])


def test_a_keeper_tells_its_numbers_in_both_formats(world: World) -> None:
    server, address = world.simulate("--load-time", "0.1s"), f"127.0.0.1:{free_port()}"
    keeper = world.run("qwen3:8b", "--ollama", server.url, OLLAMA_KEEPER_WEB__LISTEN=address)
    keeper.until("model.ready")
    for accept in ("", OPENMETRICS):
        page = scraped(address, accept)
        assert page.one("model_resident", model="qwen3:8b") == 1
        assert page.one("warms_total", cause="first_seen") == 1
        assert page.one("log_records_dropped_total") == 0
        assert "process_resident_memory_bytes" in page.families
    if PROMTOOL:
        text = scraped(address).text
        subprocess.run([PROMTOOL, "check", "metrics"], input=text, text=True, check=True, capture_output=True)


def test_a_keeper_of_very_many_models_may_sum_them_up(world: World) -> None:
    server, address = world.simulate("--load-time", "0.1s"), f"127.0.0.1:{free_port()}"
    wishes = {"OLLAMA_KEEPER_WEB__LISTEN": address, "OLLAMA_KEEPER_METRICS__MODEL_LABELS": "false"}
    keeper = world.run("qwen3:8b", "llama3.2:3b", "--ollama", server.url, **wishes)
    for _ in range(2):
        keeper.until("model.ready")
    page = scraped(address)
    assert page.one("model_resident") == 2
    assert "qwen3" not in page.text
