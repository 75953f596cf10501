"""`alerts` of the configuration: the sinks with their files, and the rules."""

from collections.abc import Iterator, Mapping
from pathlib import Path

from ollama_keeper.config.effective import AlertSettings, SinkSettings
from ollama_keeper.config.layer import Path as KeyPath
from ollama_keeper.config.merged import Merged
from ollama_keeper.config.places import expanded
from ollama_keeper.config.schema import Sink
from ollama_keeper.core.alert_rules import FOR_S, Rules
from ollama_keeper.core.reasons import Alert
from ollama_keeper.errors import Mistake

CREDENTIALS = "CREDENTIALS_DIRECTORY"
SIGNED = frozenset({"webhook", "feishu", "lark", "dingtalk"})


def alert_settings(merged: Merged, environ: Mapping[str, str], mistakes: list[Mistake]) -> AlertSettings:
    """What is told of, when, and to whom; what is wrong is added to the mistakes."""
    told = merged.settings.alerts
    mistakes.extend(_twins(merged))
    places: list[tuple[KeyPath, Sink]] = [(("alerts", "sinks", index), sink) for index, sink in enumerate(told.sinks)]
    files = [_url_file(merged, sink, at, environ) for at, sink in places]
    sinks = [_sink(merged, sink, at, file, environ) for (at, sink), file in zip(places, files, strict=True) if file]
    mistakes.extend(found for found in sinks if isinstance(found, Mistake))
    return AlertSettings(
        sinks=tuple(found for found in sinks if isinstance(found, SinkSettings)),
        without_url=tuple(_without_url(merged, *one) for one, file in zip(places, files, strict=True) if not file),
        rules=_rules(told.for_ if "for_" in told.model_fields_set else {}),
        repeat_s=told.repeat_interval,
        send_resolved=told.send_resolved,
        language=told.language,
        heartbeat_url_file=_file(merged, told.heartbeat_url_file, ("alerts", "heartbeat_url_file"), environ),
        heartbeat_every_s=told.heartbeat_every,
    )


def _rules(told: float | Mapping[str, float | None]) -> Rules:
    """One duration holds for all that last, a table for those that it names; what only happens is told at once."""
    if not isinstance(told, Mapping):
        return Rules({alert: told if after_s else after_s for alert, after_s in FOR_S.items()})
    return Rules({**FOR_S, **{Alert(name): after_s for name, after_s in told.items()}})


def _url_file(merged: Merged, sink: Sink, at: KeyPath, environ: Mapping[str, str]) -> Path | None:
    return _file(merged, sink.url_file, (*at, "url_file"), environ) or _credential(f"{sink.name}-url", environ)


def _without_url(merged: Merged, at: KeyPath, sink: Sink) -> Mistake:
    place = merged.layers.place(at)
    handed = f"in its unit, LoadCredential={sink.name}-url:FILE"
    hint = f"write the path of a file that holds its URL; or, {handed}"
    return Mistake(place.source, f"{place.key}.url_file", "is missing", hint, place.line, place.column)


def _sink(
    merged: Merged, sink: Sink, at: KeyPath, url_file: Path, environ: Mapping[str, str]
) -> SinkSettings | Mistake:
    secret_file = _file(merged, sink.secret_file, (*at, "secret_file"), environ)
    if secret_file is not None and sink.type not in SIGNED:
        place = merged.layers.place((*at, "secret_file"))
        return place.mistake(f"messages of {sink.type} are not signed", "take it out; its URL is all it needs")
    secret_file = secret_file or (_credential(f"{sink.name}-secret", environ) if sink.type in SIGNED else None)
    return SinkSettings(sink.name, sink.type, url_file, secret_file, sink.template)


def _file(merged: Merged, text: str | None, at: KeyPath, environ: Mapping[str, str]) -> Path | None:
    """A path of the configuration; `$CREDENTIALS_DIRECTORY/` before it is where systemd hands secrets over."""
    if text is None:
        return None
    given = environ.get(CREDENTIALS)
    if given and text.startswith(f"${CREDENTIALS}/"):
        return Path(given, text.removeprefix(f"${CREDENTIALS}/"))
    return expanded(text, merged.folder_of(at), environ)


def _credential(name: str, environ: Mapping[str, str]) -> Path | None:
    """What systemd hands over under a name, if it does."""
    given = environ.get(CREDENTIALS)
    path = Path(given, name) if given else None
    try:
        return path if path is not None and path.is_file() else None
    except OSError:  # its folder cannot be entered: whoever reads it tells so
        return path


def _twins(merged: Merged) -> Iterator[Mistake]:
    names: dict[str, int] = {}
    for index, sink in enumerate(merged.settings.alerts.sinks):
        if sink.name in names:
            what = f"{sink.name} is the name of alerts.sinks[{names[sink.name]}] already"
            yield merged.layers.place(("alerts", "sinks", index, "name")).mistake(what, "give each its own name")
        names.setdefault(sink.name, index)
