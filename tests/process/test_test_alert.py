"""`test-alert` and `run` with sinks, as processes: what the service answered, exit codes, and no secret anywhere."""

from pathlib import Path

import pytest

from tests.kit.checks import CANARY
from tests.kit.proc import World
from tests.kit.receiver import Receiver, receiving
from tests.kit.services import said

pytestmark = pytest.mark.process


def configured(world: World, kind: str, receiver: Receiver, more: str = "") -> list[str]:
    (world.home / "team-url").write_text(receiver.url)
    file = world.home / "config.yaml"
    file.write_text(f"models: [a]\nalerts: {{sinks: [{{name: team, type: {kind}, url_file: team-url{more}}}]}}\n")
    return ["test-alert", "--config", str(file)]


def test_a_message_that_was_taken_is_told_with_the_answer(world: World) -> None:
    with receiving("feishu") as receiver:
        done = world.do(*configured(world, "feishu", receiver), "team")
    assert (done.code, done.out) == (0, "team (feishu): delivered: code 0: success\n")
    assert len(receiver.service.taken) == 1


def test_a_200_that_says_no_is_told_with_its_code(world: World) -> None:
    with receiving("feishu") as receiver:
        receiver.service.always = said(19024, f"Key Words Not Found {CANARY}-of-a-hook", key="code", words="msg")
        done = world.do(*configured(world, "feishu", receiver))
    assert done.code == 1
    assert done.out == "team (feishu): not delivered: rejected: code 19024: Key Words Not Found [hidden]\n"
    assert done.err == "Try: where the robot asks for a keyword, give it: ollama-keeper\n"


def test_a_sink_that_is_not_there_is_a_wrong_command_line(world: World) -> None:
    with receiving("wecom") as receiver:
        done = world.do(*configured(world, "wecom", receiver), "nobody")
    assert (done.code, done.err) == (64, "ollama-keeper: SINK: no sink is named nobody; there are team\n")


def test_a_sink_that_is_not_there_is_told_before_the_missing_file_of_another(world: World) -> None:
    with receiving("feishu") as receiver:
        done = world.do(*configured(world, "feishu", receiver, ", secret_file: none"), "nobody")
    assert (done.code, done.err) == (64, "ollama-keeper: SINK: no sink is named nobody; there are team\n")


def test_a_file_that_cannot_be_read_is_a_mistake_of_the_configuration(world: World) -> None:
    with receiving("feishu") as receiver:
        command = configured(world, "feishu", receiver, ", secret_file: none")
        done, run = world.do(*command), world.do("run", *command[1:])
    told = f"alerts.sinks[0].secret_file: {world.home}/none cannot be read: no such file or directory; "
    assert (done.code, run.code) == (78, 78)
    assert told in done.err
    assert told in run.err


def test_without_sinks_there_is_nothing_to_try(world: World) -> None:
    file = Path(world.home / "config.yaml")
    file.write_text("models: [a]\n")
    done = world.do("test-alert", "--config", str(file))
    assert (done.code, done.err) == (78, "ollama-keeper: alerts.sinks names none; write one in the configuration\n")


def test_a_service_that_is_not_there_is_unreachable(world: World) -> None:
    with receiving("dingtalk") as receiver:
        command = configured(world, "dingtalk", receiver)
    done = world.do(*command)
    assert (done.code, done.out) == (1, "team (dingtalk): not delivered: unreachable: no connection\n")
