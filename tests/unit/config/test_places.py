"""Where things lie, on each platform."""

from pathlib import Path

import pytest

from ollama_keeper.config.places import expanded, state_dir, system_file, user_file

HOME = {"HOME": "/home/me"}


@pytest.mark.parametrize(
    ("platform", "environ", "config", "state"),
    [
        pytest.param("linux", {}, ".config/ollama-keeper/config.yaml", ".local/state/ollama-keeper", id="linux"),
        pytest.param(
            "darwin",
            {},
            "Library/Application Support/ollama-keeper/config.yaml",
            "Library/Application Support/ollama-keeper",
            id="macos",
        ),
        pytest.param(
            "win32", {}, "AppData/Roaming/ollama-keeper/config.yaml", "AppData/Local/ollama-keeper", id="windows"
        ),
    ],
)
def test_each_platform_has_its_own_places(platform: str, environ: dict[str, str], config: str, state: str) -> None:
    assert user_file(HOME | environ, platform=platform) == Path("/home/me") / config
    assert state_dir(HOME | environ, platform=platform) == Path("/home/me") / state


@pytest.mark.parametrize("platform", ["linux", "darwin", "win32"])
def test_xdg_holds_on_every_platform(platform: str) -> None:
    environ = HOME | {"XDG_CONFIG_HOME": "/c", "XDG_STATE_HOME": "/s"}
    assert user_file(environ, platform=platform) == Path("/c/ollama-keeper/config.yaml")
    assert state_dir(environ, platform=platform) == Path("/s/ollama-keeper")


def test_windows_says_where_its_folders_are() -> None:
    environ = {"APPDATA": "/r", "LOCALAPPDATA": "/l", "PROGRAMDATA": "/p"}
    assert user_file(environ, platform="win32") == Path("/r/ollama-keeper/config.yaml")
    assert state_dir(environ, platform="win32") == Path("/l/ollama-keeper")
    assert system_file(environ, platform="win32") == Path("/p/ollama-keeper/config.yaml")


def test_the_machine_has_a_file_of_its_own() -> None:
    assert system_file({}, platform="linux") == Path("/etc/ollama-keeper/config.yaml")


def test_a_relative_xdg_folder_is_ignored_as_its_rules_say() -> None:
    assert user_file(HOME | {"XDG_CONFIG_HOME": "here"}, platform="linux") == Path(
        "/home/me/.config/ollama-keeper/config.yaml"
    )


def test_systemd_gives_the_state_folder_first_of_several() -> None:
    assert state_dir(HOME | {"STATE_DIRECTORY": "/var/lib/a:/var/lib/b"}, platform="linux") == Path("/var/lib/a")


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("/etc/token", "/etc/token"),
        ("token", "/base/token"),
        ("~/token", "/home/me/token"),
        ("~", "/home/me"),
        ("~x", "/base/~x"),
    ],
)
def test_a_path_begins_at_home_at_the_root_or_at_its_folder(text: str, path: str) -> None:
    assert expanded(text, Path("/base"), HOME) == Path(path)
