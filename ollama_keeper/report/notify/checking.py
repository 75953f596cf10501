"""Whether the files of all sinks can be used, asked at the start and at each reload.

A sink that cannot send is a mistake of the configuration, told at once and not when the first alert does not arrive.
"""

from collections.abc import Iterator

from ollama_keeper.config.effective import Config, SinkSettings
from ollama_keeper.errors import ConfigError, Mistake
from ollama_keeper.report.notify.apprise import INSTALL, installed
from ollama_keeper.report.notify.secrets import Unusable, check_url, line_of, target

HEARTBEAT = "heartbeat_url_file"


def check_sinks(config: Config) -> None:
    """Reads the files of all sinks once.

    Raises:
        ConfigError: some cannot be used; no message shows what stands in them.
    """
    mistakes = tuple(_mistakes(config))
    if mistakes:
        raise ConfigError(mistakes)


def _mistakes(config: Config) -> Iterator[Mistake]:
    source = config.source or "configuration"
    for index, sink in enumerate(config.alerts.sinks):
        if (wrong := _wrong(sink)) is not None:
            key, what, hint = wrong
            yield Mistake(source, f"alerts.sinks[{index}].{key}", what, hint)
    file = config.alerts.heartbeat_url_file
    if file is not None:
        try:
            check_url(line_of(file, HEARTBEAT), file, HEARTBEAT)
        except Unusable as unusable:
            yield Mistake(source, f"alerts.{HEARTBEAT}", str(unusable), "write its URL there, on one line")


def _wrong(sink: SinkSettings) -> tuple[str, str, str] | None:
    """Key, what is wrong with it, and what to do."""
    if sink.type == "apprise" and not installed():
        return "type", "Apprise is not installed", INSTALL
    try:
        target(sink)
    except Unusable as unusable:
        what = "its URL" if unusable.key == "url_file" else "its key"
        return unusable.key, str(unusable), f"write {what} there, on one line, for ollama-keeper to read"
    return None
