"""`check` as a user sees it: what is wrong, why, what to do, and an exit code for scripts."""

import json

import pytest

from tests.kit.proc import World

pytestmark = pytest.mark.process


def test_a_clean_configuration_a_missing_model_and_a_dead_server(world: World) -> None:
    server = world.simulate()
    clean = world.do("check", "qwen3:8b", "--ollama", server.url)
    assert (clean.code, clean.out) == (0, "1 model on 1 server: no findings\n")
    missing = world.do("check", "qwen3:8b", "nope", "--ollama", server.url, "--json")
    (finding,) = json.loads(missing.out)["findings"]
    assert missing.code == 2
    assert (finding["code"], finding["model"]) == ("missing", "nope")
    assert {request["path"] for request in server.history()["requests"]} <= {
        "/api/ps",
        "/api/version",
        "/api/tags",
        "/api/show",
    }
    dead = world.do("check", "qwen3:8b", "--ollama", "http://127.0.0.1:9")
    assert dead.code == 2
    assert "✗ 127.0.0.1:9: the server does not answer (connect_refused)" in dead.out


def test_a_secret_that_others_can_read_is_a_warning(world: World) -> None:
    server = world.simulate()
    token = world.home / "token"
    token.write_text("a-token-that-nobody-guesses-0123456789\n")
    token.chmod(0o644)
    config = world.home / "keeper.yaml"
    config.write_text(f"servers: [{{url: '{server.url}', token_file: {token}}}]\nmodels: [qwen3:8b]\n")
    done = world.do("check", "-c", str(config))
    assert done.code == 1
    assert f"do:  chmod 600 {token}" in done.out
    assert "nobody-guesses" not in done.out + done.err
