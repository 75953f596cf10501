"""What `check` finds in addresses, files and the page without asking anybody (OPERATIONS 7)."""

from collections.abc import Iterable
from pathlib import Path

import pytest

from ollama_keeper.commands import check
from ollama_keeper.config import Config, load
from ollama_keeper.core.finding import Finding


def configured(folder: Path, text: str) -> Config:
    file = folder / "keeper.yaml"
    file.write_text(f"models: [qwen3:8b]\nstate_dir: off\n{text}\n")
    file.chmod(0o644)
    return load(path=file, environ={})


def codes(found: Iterable[Finding]) -> list[str]:
    return [finding.code for finding in found]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        pytest.param("ollama: http://127.0.0.1:11434", [], id="loopback"),
        pytest.param("ollama: http://gpu-box:11434", ["open_server"], id="open"),
        pytest.param("ollama: https://gpu-box\ntoken_file: token", [], id="token-over-tls"),
        pytest.param(
            "ollama: http://gpu-box:11434\nheaders: {Authorization: Basic x}", ["token_in_clear"], id="header-in-clear"
        ),
    ],
)
def test_a_server_that_is_open_to_all_and_a_token_that_all_can_read_are_told(
    text: str, found: list[str], tmp_path: Path
) -> None:
    (server,) = configured(tmp_path, text).servers
    assert codes(check._of_address(server, {})) == found


def test_a_proxy_of_the_environment_that_is_not_used_is_told(tmp_path: Path) -> None:
    (server,) = configured(tmp_path, "ollama: https://gpu-box\ntoken_file: token").servers
    assert codes(check._of_address(server, {"https_proxy": "http://proxy:3128"})) == ["proxy_ignored"]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        pytest.param("headers: {X-Key: hunter2}", ["readable_secret"], id="header"),
        pytest.param("proxy: http://me:hunter2@proxy:3128", ["readable_secret"], id="password-of-a-proxy"),
        pytest.param("proxy: http://proxy:3128", [], id="nothing-secret"),
    ],
)
def test_a_file_that_holds_a_secret_and_that_others_can_read_is_told(
    text: str, found: list[str], tmp_path: Path
) -> None:
    told = list(check._of_files(configured(tmp_path, text)))
    assert codes(told) == found
    assert "hunter2" not in repr(told)


@pytest.mark.parametrize(
    ("listen", "found"), [("127.0.0.1:11480", []), ("0.0.0.0:11480", ["page_for_all"]), ("'off'", [])]
)
def test_a_page_that_all_can_reach_is_told(listen: str, found: list[str], tmp_path: Path) -> None:
    assert codes(check._of_page(configured(tmp_path, f"web: {{listen: {listen}}}"))) == found
