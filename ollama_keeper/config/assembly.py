"""Checked layers into the one `Config`, or all that does not go together in them."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from ollama_keeper.config import places
from ollama_keeper.config.alerting import alert_settings
from ollama_keeper.config.effective import Config, LogSettings, MetricsSettings, Server, WebSettings
from ollama_keeper.config.layer import COMMAND_LINE, Place
from ollama_keeper.config.layer import Path as KeyPath
from ollama_keeper.config.merged import Merged
from ollama_keeper.config.servers import find_sites
from ollama_keeper.config.wanted import Asked, chosen, listed_wishes, mistakes_of, policies, short_leases
from ollama_keeper.errors import Mistake


def assembled(
    merged: Merged, asked: Sequence[Asked], environ: Mapping[str, str], *, path: Path | None
) -> tuple[Config, list[Mistake]]:
    """The configuration, good where there are no mistakes beside it."""
    mistakes: list[Mistake] = []
    sites = find_sites(merged, environ, mistakes)
    wishes = listed_wishes(merged)
    mistakes.extend(mistakes_of(merged, wishes, sites))
    if asked:
        wishes = chosen(merged, wishes, asked, mistakes)
        mistakes.extend(short_leases(wishes))
    settings = merged.settings
    servers = tuple(Server(site.address, policies(wishes, site, sites), site.budget) for site in sites.sites)
    log = LogSettings(settings.log.level, settings.log.format)
    listen_is_chosen = "listen" in settings.web.model_fields_set
    web = WebSettings(
        listen=settings.web.listen,
        allowed_hosts=tuple(settings.web.allowed_hosts),
        chosen=listen_is_chosen,
        socket=_socket(merged, environ),
        token_file=_file(merged, ("web", "token_file"), settings.web.token_file, environ),
    )
    alerts = alert_settings(merged, environ, mistakes)
    metrics = MetricsSettings(settings.metrics.model_labels)
    state_dir = _state_dir(merged, environ)
    return Config(servers, settings.shutdown_grace, state_dir, log, path, web, alerts, metrics), mistakes


def nothing_to_keep(merged: Merged, config: Config, mistakes: Sequence[Mistake]) -> tuple[Mistake, ...]:
    """Why no server has a model to keep, unless that follows from the other mistakes."""
    if not config.servers or any("models" in mistake.key + mistake.hint for mistake in mistakes):
        return ()
    if config.path is None:
        hint = "name one as for ollama-keeper run qwen3:8b, or begin a file: ollama-keeper config init"
        return (Place(COMMAND_LINE, "MODEL").mistake("is missing, and there is no configuration file", hint),)
    file = merged.layers.file
    place = file.values.get(("models",), Place(file.source, "models"))
    if merged.settings.models:
        names = ", ".join(server.address.name for server in config.servers)
        return (place.mistake(f"none of them is for {names}", "name one, ollama-keeper run qwen3:8b"),)
    return (place.mistake("names no model", "write models: [qwen3:8b], or ollama-keeper run qwen3:8b"),)


def _socket(merged: Merged, environ: Mapping[str, str]) -> Path | None:
    """Where commands are taken: as written, else beside what systemd, the session or the state file lies in."""
    if "socket" in merged.settings.web.model_fields_set:
        text = merged.settings.web.socket
        return places.expanded(text, merged.folder_of(("web", "socket")), environ) if text else None
    return places.control_socket(environ, _state_dir(merged, environ))


def _file(merged: Merged, key: KeyPath, text: str | None, environ: Mapping[str, str]) -> Path | None:
    return places.expanded(text, merged.folder_of(key), environ) if text else None


def _state_dir(merged: Merged, environ: Mapping[str, str]) -> Path | None:
    if "state_dir" not in merged.settings.model_fields_set:
        return places.state_dir(environ)
    text = merged.settings.state_dir
    return places.expanded(text, merged.folder_of(("state_dir",)), environ) if text else None
