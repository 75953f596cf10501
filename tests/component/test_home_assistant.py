"""The examples of docs/home-assistant.md do what they say, on the real routes over the real daemon."""

import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from ollama_keeper.config import load
from ollama_keeper.simulator import Simulator
from ollama_keeper.web.app import web_app
from ollama_keeper.web.control import command_routes
from ollama_keeper.web.gate import Gate
from ollama_keeper.web.hosts import Hosts
from ollama_keeper.web.token import LEAST_BITS, bits
from tests.component.test_keeping import QWEN
from tests.component.test_reload import settled
from tests.kit.keeper import Keeper, keeping, until
from tests.kit.virtual import LoopClock

TEXT = (Path(__file__).parents[2] / "docs/home-assistant.md").read_text(encoding="utf-8")
HOST = "keeper.lan"


class Secrets(yaml.SafeLoader):
    """YAML as Home Assistant reads it: `!secret NAME` stands for a value of secrets.yaml."""


def blocks(language: str) -> list[str]:
    """The examples in a language."""
    return re.findall(rf"^```{language}\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)


def example(key: str) -> Any:
    """What stands below a key in one of the YAML examples."""
    Secrets.add_constructor("!secret", lambda loader, node: SECRETS[loader.construct_scalar(node)])
    documents = [yaml.load(block, Secrets) for block in blocks("yaml")]
    return next(document[key] for document in documents if isinstance(document, dict) and key in document)


SECRETS: dict[str, str] = yaml.safe_load(next(block for block in blocks("yaml") if block.startswith("# secrets.yaml")))
TOKEN = SECRETS["ollama_keeper_token"].removeprefix("Bearer ")


def surface(keeper: Keeper) -> httpx.AsyncClient:
    clock = LoopClock()
    gate = Gate(TOKEN.encode(), now=clock.now, tell=lambda change: None)
    app: Any = web_app(
        lambda: [server.memory for server in keeper.daemon.servers],
        clock.now,
        Hosts("0.0.0.0", example("web")["allowed_hosts"]),
        more=command_routes(keeper.daemon, below="/control"),
        gate=gate,
    )
    return httpx.AsyncClient(transport=httpx.ASGITransport(app))


async def commanded(web: httpx.AsyncClient, command: dict[str, Any]) -> dict[str, Any]:
    """The answer to a `rest_command`."""
    headers = {**command["headers"], "Content-Type": command["content_type"]}
    answer = await web.request(command["method"].upper(), command["url"], headers=headers, content=command["payload"])
    assert answer.status_code == 200, answer.text
    document: dict[str, Any] = answer.json()
    return document


def paths(template: str) -> Iterator[list[str]]:
    """The keys that a template reads of the document: `value_json.unready[0].reason` is unready, reason."""
    for chain in re.findall(r"value_json\.([\w.\[\]0-9]+)", template):
        yield re.findall(r"[a-z_]+", chain)


def test_the_configuration_of_the_keeper_is_one(tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    file.write_text(next(block for block in blocks("yaml") if "config.yaml of ollama-keeper" in block))
    assert load(path=file, environ={}).web.token_file == Path("/etc/ollama-keeper/control-token")
    assert bits(TOKEN.encode()) >= LEAST_BITS


async def test_the_sensors_read_what_is_there_before_and_after_the_load(sim: Simulator) -> None:
    async with keeping(sim, QWEN) as keeper, surface(keeper) as web:
        before = {one["resource"]: (await web.get(one["resource"])).json() for one in example("rest")}
        await settled(sim, keeper, QWEN)
        for one in example("rest"):
            after = (await web.get(one["resource"])).json()
            for sensor in one.get("sensor", []) + one.get("binary_sensor", []):
                for keys in paths(sensor["value_template"]):
                    assert found(before[one["resource"]], keys) or found(after, keys), keys
            rows = after.get("models", [{}])
            attributes = re.findall(r"(?:selectattr\(|attribute=)'(\w+)'", str(one))
            assert set(attributes) <= set(rows[0])
        ready = (await web.get(f"http://{HOST}:11480/readyz/{QWEN}")).json()
        assert ready == {"ready": True, "unready": []}


def found(document: Any, keys: list[str]) -> bool:
    """Whether a document has that key; of a list its first item is meant."""
    for key in keys:
        document = document[0] if isinstance(document, list) and document else document
        if not isinstance(document, dict) or key not in document:
            return False
        document = document[key]
    return True


async def test_the_commands_pause_resume_and_warm(sim: Simulator) -> None:
    commands = example("rest_command")
    async with keeping(sim, QWEN) as keeper, surface(keeper) as web:
        await settled(sim, keeper, QWEN)
        meant = {"models": [QWEN], "unknown": []}
        assert await commanded(web, commands["ollama_pause"]) == meant
        await until(lambda: not sim.is_resident(QWEN))
        assert keeper.last("model.paused").by == "home assistant"
        assert await commanded(web, commands["ollama_resume"]) == meant
        await until(lambda: sim.is_resident(QWEN))
        await settled(sim, keeper, QWEN)
        sim.unload(QWEN)
        await until(lambda: keeper.state(QWEN) == "cold")
        assert await commanded(web, commands["ollama_warm"]) == {**meant, "held": []}
        assert await until(lambda: sim.is_resident(QWEN)) < 10
        await settled(sim, keeper, QWEN)


async def test_the_line_for_a_shell_is_taken(sim: Simulator) -> None:
    words = shlex.split(blocks("sh")[0].replace("$(cat /etc/ollama-keeper/control-token)", TOKEN))
    headers = dict(words[place + 1].split(": ", 1) for place, word in enumerate(words) if word == "-H")
    body = words[words.index("-d") + 1]
    async with keeping(sim, QWEN) as keeper, surface(keeper) as web:
        await settled(sim, keeper, QWEN)
        answer = await web.post(words[2], headers=headers, content=body)
        assert (answer.status_code, answer.json()["models"]) == (200, json.loads(body)["models"])


def test_the_automations_call_commands_and_read_sensors_that_there_are() -> None:
    automations = next(yaml.safe_load(block) for block in blocks("yaml") if block.startswith("# automations.yaml"))
    called = {action["action"] for one in automations for action in one["actions"]}
    assert {name for name in called if name.startswith("rest_command.")} <= {
        f"rest_command.{name}" for name in example("rest_command")
    }
    names = {
        sensor["name"].lower().replace(" ", "_")
        for one in example("rest")
        for sensor in one.get("sensor", []) + one.get("binary_sensor", [])
    }
    read = set(re.findall(r"sensor\.(qwen3\w+)", str(automations)))
    assert read
    assert read <= names


@pytest.mark.parametrize("path", sorted(set(re.findall(r"`(/[a-z]+)(?:/MODEL)?`", TEXT))))
def test_every_address_that_is_named_is_a_route(path: str) -> None:
    assert path in {"/readyz", "/status"}
