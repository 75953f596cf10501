"""`load`: flags over environment over file over defaults, checked as a whole; all mistakes at once."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from pydantic import ValidationError

from ollama_keeper.config.environment import Environment, ollama_host, read_environment
from ollama_keeper.config.mistakes import Origins, mistake_of
from ollama_keeper.config.places import candidates, state_dir
from ollama_keeper.config.schema import ModelEntry, ModelKeys, ServerEntry, ServerKeys, Settings
from ollama_keeper.config.yaml import BadFile, Document, Path_, plain, read_file
from ollama_keeper.core.address import Address
from ollama_keeper.core.names import parse_name
from ollama_keeper.core.policy import ContextRule, Contention, OnExpire, Policy, ranked
from ollama_keeper.errors import ConfigError, Mistake

DEFAULT_URL = "http://127.0.0.1:11434"
DEFAULT_GRACE_S = 20.0

LogLevel = Literal["debug", "info", "warning", "error"]
LogFormat = Literal["auto", "json", "console"]


@dataclass(frozen=True, slots=True)
class LogSettings:
    """What is logged, and how."""

    level: LogLevel = "info"
    format: LogFormat = "auto"


@dataclass(frozen=True, slots=True)
class Server:
    """One server, and what is wanted of it, in the order of loads."""

    address: Address
    policies: tuple[Policy, ...]


@dataclass(frozen=True, slots=True)
class Config:
    """Everything the operator said, with the defaults put in.

    Attributes:
        shutdown_grace_s: a stop waits so long for an open load, seconds.
        state_dir: None keeps nothing.
        path: the file that was taken; None for none.
    """

    servers: tuple[Server, ...]
    shutdown_grace_s: float
    state_dir: Path | None
    log: LogSettings
    path: Path | None


def load(
    *,
    path: Path | None,
    models: Sequence[str] = (),
    flags: Mapping[str, object] | None = None,
    environ: Mapping[str, str],
    models_required: bool = True,
) -> Config:
    """The configuration of a call.

    Args:
        path: the file named by the operator; without it the usual places are looked at.
        models: names that replace `models`; what the file says of them stays.
        flags: dotted keys and what the command line said of them.
        environ: the environment.
        models_required: whether a configuration without a model is a mistake.

    Raises:
        ConfigError: there are mistakes; all that were found.
    """
    document, taken = _document(path, environ)
    environment = read_environment(environ)
    given: dict[Path_, object] = {tuple(key.split(".")): value for key, value in (flags or {}).items()}
    origins = Origins(document, environment, {key: f"--{'-'.join(map(str, key)).replace('_', '-')}" for key in given})
    raw = _merged(document, environment, given)
    if models:
        raw["models"], renumbered = _chosen(models, raw.get("models"))
        origins = replace(origins, renumbered=renumbered)
    settings = _validated(raw, origins)
    mistakes = list(_mistakes(settings, origins, models_required=models_required))
    if mistakes:
        raise ConfigError(tuple(mistakes))
    return _built(settings, taken, environ)


# --- what was written -------------------------------------------------------------------------------------------------


def _document(path: Path | None, environ: Mapping[str, str]) -> tuple[Document, Path | None]:
    named = path or (Path(environ["OLLAMA_KEEPER_CONFIG"]) if environ.get("OLLAMA_KEEPER_CONFIG") else None)
    taken = named or next((found for found in candidates(environ) if found.is_file()), None)
    if taken is None:
        return Document(""), None
    try:
        return read_file(taken), taken
    except BadFile as error:
        raise ConfigError(error.mistakes) from error


def _merged(document: Document, environment: Environment, flags: Mapping[Path_, object]) -> dict[str, Any]:
    """What was written, the nearer source over the farther one; `ollama` named nearer than `servers` replaces them."""
    raw: dict[str, Any] = _without_nothing(document.values)
    layers = [environment.values, _nested(flags)]
    for layer in layers:
        if "ollama" in layer:
            raw.pop("servers", None)
        raw = _over(raw, layer)
    return raw


def _nested(flags: Mapping[Path_, object]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for path, value in flags.items():
        place = values
        for part in path[:-1]:
            place = place.setdefault(str(part), {})
        place[str(path[-1])] = plain(value) if isinstance(value, str) else value
    return values


def _over(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(below)
    for key, value in above.items():
        old = merged.get(key)
        merged[key] = _over(old, value) if isinstance(old, dict) and isinstance(value, dict) else value
    return merged


def _without_nothing(value: Any) -> Any:
    """Keys with nothing behind them count as not written."""
    if isinstance(value, dict):
        return {key: _without_nothing(inner) for key, inner in value.items() if inner is not None}
    return [_without_nothing(inner) for inner in value] if isinstance(value, list) else value


def _chosen(models: Sequence[str], written: object) -> tuple[list[dict[str, Any]], dict[int, int | None]]:
    """The models of the command line, each with what the file says of it; and which item of the file that is."""
    items = (
        [item if isinstance(item, dict) else {"name": item} for item in written] if isinstance(written, list) else []
    )
    described = {_same(item.get("name")): index for index, item in enumerate(items)}
    names = list({_same(name): name for name in reversed(models)}.items())[::-1]
    origin = {number: described.get(same) for number, (same, _) in enumerate(names)}
    chosen = []
    for number, (_, name) in enumerate(names):
        index = origin[number]
        chosen.append({**(items[index] if index is not None else {}), "name": name})
    return chosen, origin


def _same(name: object) -> object:
    """A name as Ollama means it, or itself where it is none; bad ones are told of later."""
    try:
        return parse_name(str(name))
    except ValueError:
        return name


def _validated(raw: Mapping[str, Any], origins: Origins) -> Settings:
    try:
        return Settings(**raw)
    except ValidationError as error:
        found = error.errors(include_url=False, include_input=False)
        raise ConfigError(tuple(mistake_of(detail, origins) for detail in found)) from None


# --- what does not go together ----------------------------------------------------------------------------------------


def _mistakes(settings: Settings, origins: Origins, *, models_required: bool) -> Iterator[Mistake]:
    if settings.ollama and settings.servers:
        yield origins.mistake(("ollama",), "both ollama and servers are given", "keep one of them", at_key=True)
    if settings.servers is not None and not settings.servers:
        yield origins.mistake(("servers",), "an empty list", "name at least one server, or leave it out")
    if models_required and not settings.models:
        hint = "name them: ollama-keeper run MODEL, or models: in the file"
        yield origins.mistake(("models",), "no model to keep", hint, at_key=True)
    yield from _server_mistakes(settings, origins)
    yield from _model_mistakes(settings, origins)


def _server_mistakes(settings: Settings, origins: Origins) -> Iterator[Mistake]:
    names: dict[str, int] = {}
    urls: dict[str, int] = {}
    for index, server in enumerate(settings.servers or ()):
        name = server.name or _name_of(server.url)
        if name in names:
            what = f"two servers have the name {name}"
            yield origins.mistake(("servers", index, "name"), what, "give each its own name")
        elif server.url in urls:
            yield origins.mistake(
                ("servers", index, "url"), f"the same server as servers[{urls[server.url]}]", "keep one"
            )
        names.setdefault(name, index)
        urls.setdefault(server.url, index)


def _model_mistakes(settings: Settings, origins: Origins) -> Iterator[Mistake]:
    known = [server.name or _name_of(server.url) for server in settings.servers or ()]
    seen: list[tuple[int, ModelEntry]] = []
    for index, model in enumerate(settings.models or ()):
        for place, server in enumerate(model.servers or () if settings.servers else ()):
            if server not in known:
                hint = f"write one of {', '.join(known)}"
                yield origins.mistake(("models", index, "servers", place), f"no server is named {server!r}", hint)
        twin = next((i for i, other in seen if _overlap(model, other)), None)
        if twin is not None:
            yield origins.mistake(("models", index, "name"), f"the same model as models[{twin}]", "keep one of them")
        seen.append((index, model))
        yield from _lease_mistakes(settings, model, index, origins)


def _overlap(one: ModelEntry, other: ModelEntry) -> bool:
    if _same(one.name) != _same(other.name):
        return False
    return one.servers is None or other.servers is None or bool(set(one.servers) & set(other.servers))


def _lease_mistakes(settings: Settings, model: ModelEntry, index: int, origins: Origins) -> Iterator[Mistake]:
    policy = _policy(model, settings)
    if policy.lease_s is None or policy.lease_s >= 2 * policy.interval_s:
        return
    own = "keep_alive" in model.model_fields_set
    path: Path_ = ("models", index, "keep_alive") if own else ("keep_alive",)
    hint = f"write at least {2 * policy.interval_s:g}s, or a shorter interval"
    yield origins.mistake(path, "a lease shorter than two intervals would run out between looks", hint)


# --- into records -----------------------------------------------------------------------------------------------------


def _built(settings: Settings, path: Path | None, environ: Mapping[str, str]) -> Config:
    log = settings.log
    return Config(
        servers=tuple(_servers(settings, environ)),
        shutdown_grace_s=DEFAULT_GRACE_S if settings.shutdown_grace is None else settings.shutdown_grace,
        state_dir=settings.state_dir if "state_dir" in settings.model_fields_set else state_dir(environ),
        log=LogSettings((log and log.level) or "info", (log and log.format) or "auto"),  # type: ignore[arg-type]
        path=path,
    )


def _servers(settings: Settings, environ: Mapping[str, str]) -> Iterator[Server]:
    several = settings.servers is not None
    url = settings.ollama or ollama_host(environ.get("OLLAMA_HOST")) or DEFAULT_URL
    for entry in settings.servers or [ServerEntry(url=url)]:
        address = _address(entry, settings)
        wanted = [
            model
            for model in settings.models or ()
            if not several or model.servers is None or address.name in model.servers
        ]
        yield Server(address, ranked(_policy(model, settings) for model in wanted))


def _address(entry: ServerEntry, settings: Settings) -> Address:
    said = _said(entry, settings, ServerKeys)
    said = {"look_timeout_s" if key == "look_timeout" else key: value for key, value in said.items()}
    return Address(name=entry.name or _name_of(entry.url), url=entry.url, **said)


def _policy(model: ModelEntry, settings: Settings) -> Policy:
    """The policy of a model: what its entry says, else the top level, else the defaults of `Policy`."""
    policy = Policy(model=model.name, name=parse_name(model.name))
    said = _said(model, settings, ModelKeys)
    return replace(
        policy,
        **{_FIELDS.get(key, key): _use(key, value) for key, value in said.items()},
        interval_configured="interval" in said,
    )


_FIELDS = {
    "keep_alive": "lease_s",
    "interval": "interval_s",
    "ping_every": "ping_every_s",
    "context_length": "context",
    "load_timeout": "load_timeout_s",
    "slow_load": "slow_load_s",
    "yield_for": "yield_for_s",
    "unload_grace": "unload_grace_s",
}


def _use(key: str, value: Any) -> Any:
    match key:
        case "options":
            return tuple(sorted((name, inner) for name, inner in value.model_dump().items() if inner is not None))
        case "on_expire":
            return OnExpire(value)
        case "contention":
            return Contention(value)
        case "context_length":
            return ContextRule(value) if isinstance(value, str) else value
        case _:
            return value


def _said(entry: ServerEntry | ModelEntry, settings: Settings, keys: type[ServerKeys | ModelKeys]) -> dict[str, Any]:
    said = {}
    for key in keys.model_fields:
        if key in entry.model_fields_set:
            said[key] = getattr(entry, key)
        elif key in settings.model_fields_set:
            said[key] = getattr(settings, key)
    return said


def _name_of(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.hostname}:{parts.port or (443 if parts.scheme == 'https' else 80)}"
