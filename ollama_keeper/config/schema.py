"""The keys of the configuration (CONTRACT 2), for pydantic-settings: what may stand where, and what it may be.

Keys of a server and of a model may stand at top level too, as defaults of all. Nothing has a default here: what was not
written is not set, so that the nearest place that says something wins. The defaults are those of `Policy` and `Address`.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from ollama_keeper.config import values
from ollama_keeper.core.policy import Contention, OnExpire

RUNNER_OPTIONS = ("num_batch", "num_gpu", "main_gpu", "use_mmap", "num_thread", "draft_num_predict")


def _by(check: Callable[[Any], Any]) -> BeforeValidator:
    return BeforeValidator(check)


def _keyed(name: str) -> Callable[[object], object]:
    """A list item that may be written as a bare text: the value of its key `name`."""

    def full(value: object) -> object:
        if isinstance(value, dict):
            return value
        if value is None or isinstance(value, list | bool):
            raise values.Wrong(
                f"{values.shown(value)} is neither a name nor a map", f"write a name, or {name}: and more keys"
            )
        return {name: value}

    return full


def _a_list(value: object) -> object:
    if isinstance(value, str):
        return value.replace(",", " ").split()
    if not isinstance(value, list):
        raise values.Wrong(f"{values.shown(value)} is not a list", "write one item a line, each behind '- '")
    return value


class Keys(BaseModel):
    """A map of known keys and no others."""

    model_config = ConfigDict(extra="forbid", arbitrary_types_allowed=True)


class Options(Keys):
    """Runner options of a load; they decide whether a request reloads (OLLAMA.md 3)."""

    num_batch: Annotated[int, _by(values.whole)] | None = None
    num_gpu: Annotated[int, _by(values.whole)] | None = None
    main_gpu: Annotated[int, _by(values.whole)] | None = None
    use_mmap: Annotated[bool, _by(values.flag)] | None = None
    num_thread: Annotated[int, _by(values.whole)] | None = None
    draft_num_predict: Annotated[int, _by(values.whole)] | None = None


class ServerKeys(Keys):
    """What may be said of one server, or of all."""

    token_file: Annotated[Path, _by(values.path)] | None = Field(default=None, description="file with a bearer token")
    ca_file: Annotated[Path, _by(values.path)] | None = Field(
        default=None, description="PEM file of the authority to trust"
    )
    headers: Annotated[Any, _by(values.headers)] | None = Field(default=None, description="sent with every request")
    proxy: Annotated[str, _by(values.proxy)] | None = Field(default=None, description="URL of a proxy to the server")
    look_timeout: Annotated[float, _by(values.at_least(5, "5s"))] | None = Field(
        default=None, description="how long a look may take; duration of at least 5s (15s)"
    )


class ModelKeys(Keys):
    """What may be said of one model, or of all."""

    keep_alive: Annotated[Any, _by(values.keep_alive)] | None = Field(
        default=None, description="-1 pins; else a lease (-1)"
    )
    on_expire: Annotated[str, _by(values.choice(*OnExpire))] | None = Field(
        default=None, description="rewarm or release (rewarm)"
    )
    interval: Annotated[float, _by(values.at_least(1, "1s"))] | None = Field(
        default=None, description="time between looks (15s)"
    )
    ping_every: Annotated[Any, _by(values.or_off(values.at_least(1, "1s")))] | None = Field(
        default=None, description="time between zero-token pings, or off (5m)"
    )
    priority: Annotated[int, _by(values.whole)] | None = Field(
        default=None, description="larger is more important (100)"
    )
    required: Annotated[bool, _by(values.flag)] | None = Field(
        default=None, description="counts for the exit of status (true)"
    )
    context_length: Annotated[Any, _by(values.context_length)] | None = Field(
        default=None, description="tokens, sent as num_ctx; server: none sent; adopt: as clients load it (adopt)"
    )
    options: Options | None = Field(default=None, description="runner options of the load ({})")
    load_timeout: Annotated[float, _by(values.at_least(1, "1s"))] | None = Field(
        default=None, description="after so long a load is given up (30m)"
    )
    slow_load: Annotated[float, _by(values.duration)] | None = Field(
        default=None, description="a load from here on is a cold start (10s)"
    )
    contention: Annotated[str, _by(values.choice(*Contention))] | None = Field(
        default=None, description="yield to guests, insist, or only observe (yield)"
    )
    yield_for: Annotated[float, _by(values.duration)] | None = Field(
        default=None, description="a guest unmoved for so long may be displaced (60s)"
    )
    unload_grace: Annotated[float, _by(values.duration)] | None = Field(
        default=None, description="an unexplained unload is left alone for so long (60s)"
    )
    min_gpu_fraction: Annotated[Any, _by(values.fraction)] | None = Field(
        default=None, description="below this GPU share it is degraded; auto: the best seen (auto)"
    )


class ServerEntry(ServerKeys):
    """One item of `servers`."""

    name: Annotated[str, _by(values.server_name)] | None = Field(
        default=None, description="unique (host:port of the URL)"
    )
    url: Annotated[str, _by(values.url)] = Field(description="http(s)://HOST:PORT")


class ModelEntry(ModelKeys):
    """One item of `models`."""

    name: Annotated[str, _by(values.model_name)] = Field(description="as ollama list shows it")
    servers: Annotated[list[str], _by(_a_list)] | None = Field(default=None, description="names of servers (all)")


class LogKeys(Keys):
    """What is logged, and how."""

    level: Annotated[str, _by(values.choice("debug", "info", "warning", "error"))] | None = Field(
        default=None, description="debug, info, warning or error (info)"
    )
    format: Annotated[str, _by(values.choice("auto", "json", "console"))] | None = Field(
        default=None, description="auto, json or console (auto: JSON unless a terminal)"
    )


class Settings(ServerKeys, ModelKeys, BaseSettings):
    """The whole configuration. Its sources are given by the caller: flags, environment, file, in this order."""

    model_config = SettingsConfigDict(extra="forbid", arbitrary_types_allowed=True)

    ollama: Annotated[str, _by(values.url)] | None = Field(
        default=None, description="the one server (http://127.0.0.1:11434)"
    )
    servers: Annotated[list[Annotated[ServerEntry, _by(_keyed("url"))]], _by(_a_list)] | None = Field(
        default=None, description="several servers; excludes ollama"
    )
    models: Annotated[list[Annotated[ModelEntry, _by(_keyed("name"))]], _by(_a_list)] | None = Field(
        default=None, description="what is to be kept, the most important first"
    )
    shutdown_grace: Annotated[float, _by(values.duration)] | None = Field(
        default=None, description="a stop waits so long for an open load (20s)"
    )
    state_dir: Annotated[Any, _by(values.path_or_off)] | None = Field(
        default=None, description="where to remember, or off"
    )
    log: LogKeys | None = Field(default=None, description="level and format of the log")

    @classmethod
    def settings_customise_sources(  # noqa: PLR0913, D102 - the signature is pydantic-settings'
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        del settings_cls, env_settings, dotenv_settings, file_secret_settings
        return (init_settings,)


LATER = frozenset({"web", "metrics", "alerts", "budget", "probe", "active", "ahead", "release", "repair", "pull"})
"""Keys that are planned: an early user of them is told so, and not given a wrong neighbour."""
