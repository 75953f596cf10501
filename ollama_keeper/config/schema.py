"""The keys of the configuration (CONTRACT 2): what may stand where, what it may be, its default and what it is for.

Keys of a server and of a model may stand at the top level too, where they are the defaults of all. Defaults are written
as an operator would write them, so that the JSON schema and the example file show them.
"""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, TypeAlias, get_args

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from ollama_keeper.config import urls, values
from ollama_keeper.config.effective import Language, LogFormat, LogLevel, SinkType
from ollama_keeper.config.hours import days as days_of
from ollama_keeper.config.hours import hours as hours_of
from ollama_keeper.config.hours import zone
from ollama_keeper.core.policy import Contention, ContextRule, OnExpire, PullRule, Release, Repair

_DURATION = {"type": "string", "examples": ["90s", "5m", "1h30m"]}
_URL = {"type": "string", "format": "uri"}


def _text(*words: str) -> WithJsonSchema:
    return WithJsonSchema({"type": "string", "enum": list(words)} if words else {"type": "string"})


def _or_word(kind: Mapping[str, object], *words: str) -> WithJsonSchema:
    return WithJsonSchema({"anyOf": [dict(kind), {"enum": list(words)}]})


Duration: TypeAlias = Annotated[float, BeforeValidator(values.duration()), WithJsonSchema(_DURATION)]
From1s: TypeAlias = Annotated[float, BeforeValidator(values.duration(1.0)), WithJsonSchema(_DURATION)]
From1m: TypeAlias = Annotated[float, BeforeValidator(values.duration(60.0)), WithJsonSchema(_DURATION)]
From5s: TypeAlias = Annotated[float, BeforeValidator(values.duration(5.0)), WithJsonSchema(_DURATION)]
DurationOrOff: TypeAlias = Annotated[
    float | None, BeforeValidator(values.duration_or_off(1.0)), _or_word(_DURATION, "off")
]
KeepAlive: TypeAlias = Annotated[
    float, BeforeValidator(values.keep_alive), WithJsonSchema({"anyOf": [{"type": "number"}, _DURATION]})
]
ContextLength: TypeAlias = Annotated[
    int | ContextRule,
    BeforeValidator(values.context_length),
    _or_word({"type": "integer", "minimum": values.LEAST_CONTEXT}, *ContextRule),
]
Fraction: TypeAlias = Annotated[
    float | None, BeforeValidator(values.fraction), _or_word({"type": "number", "minimum": 0, "maximum": 1}, "auto")
]
Whole: TypeAlias = Annotated[int, BeforeValidator(values.whole)]
Bool: TypeAlias = Annotated[bool, BeforeValidator(values.boolean)]
Path: TypeAlias = Annotated[str, BeforeValidator(values.path), _text()]
SecretFile: TypeAlias = Annotated[str, BeforeValidator(values.secret_file), _text()]
PathOrOff: TypeAlias = Annotated[str | None, BeforeValidator(values.path_or_off), _text()]
Url: TypeAlias = Annotated[str, BeforeValidator(urls.server_url), WithJsonSchema(_URL)]
ProxyUrl: TypeAlias = Annotated[str, BeforeValidator(urls.proxy_url), WithJsonSchema(_URL)]
ModelName: TypeAlias = Annotated[str, BeforeValidator(values.model_name), _text()]
ServerName: TypeAlias = Annotated[str, BeforeValidator(values.server_name), _text()]
SiteName: TypeAlias = Annotated[str, BeforeValidator(values.site_name), _text()]
_DURATIONS = WithJsonSchema({"anyOf": [_DURATION, {"type": "object", "additionalProperties": {"type": "string"}}]})
Headers: TypeAlias = Annotated[
    dict[str, str],
    BeforeValidator(values.headers),
    WithJsonSchema({"type": "object", "additionalProperties": {"type": "string"}}),
]


def _key(default: object, why: str) -> Any:
    """A key with a default, written as in a file."""
    return Field(default=default, validate_default=True, description=why)


def _unset(why: str, example: object) -> Any:
    """A key without a default."""
    return Field(default=None, description=why, examples=[example])


class Table(BaseModel):
    """A table of known keys and no others."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


def _from(least: int) -> BeforeValidator:
    return BeforeValidator(values.whole_from(least))


class Options(Table):
    """Options of the runner; each decides whether a request reloads the model (OLLAMA.md 3)."""

    num_batch: Annotated[int, _from(1)] | None = _unset("tokens that are read at once", 512)
    num_gpu: Annotated[int, _from(-1)] | None = _unset("layers on the GPU; -1 lets Ollama choose", 99)
    main_gpu: Annotated[int, _from(0)] | None = _unset("which GPU holds what cannot be split", 0)
    use_mmap: Bool | None = _unset("whether the weights are mapped instead of read", True)
    num_thread: Annotated[int, _from(0)] | None = _unset("threads on the CPU; 0 lets Ollama choose", 8)
    draft_num_predict: Annotated[int, _from(0)] | None = _unset("tokens that the draft model runs ahead", 4)


class ActiveWindow(Table):
    """Hours of some days in which a model is kept."""

    days: Annotated[frozenset[int], BeforeValidator(days_of), _text()] = _key(
        "all", "mon-fri, or sat,sun, or all; hours over midnight belong to the day on which they begin"
    )
    hours: Annotated[tuple[int, int], BeforeValidator(hours_of), _text()] = _key(
        "00:00-24:00", "from and to, as 08:00-18:00, or 22:00-06:00 over midnight"
    )
    timezone: Annotated[Any, BeforeValidator(zone), _text()] = _key(
        "local", "a name such as Europe/Berlin; local is that of the machine"
    )


class Budget(Table):
    """What the models of one server may take in all."""

    memory: Annotated[int, BeforeValidator(values.size), _text()] | None = _unset(
        "bytes of all resident models, guests included", "22GiB"
    )
    models: Annotated[int, _from(1)] | None = _unset("how many, guests included", 3)


class Probe(Table):
    """Proof by one generated token that a resident model answers; off unless asked for."""

    every: DurationOrOff = _key("off", "time between two probes of one token each, on an idle model; or off")
    timeout: From1s = _key("60s", "a probe that takes longer has failed; two in a row, and the model is stuck")
    slow_after: Duration = _key("10s", "a probe that takes longer is told as slow")


class ServerDefaults(Table):
    """What may be said of one server, or at the top level of all."""

    token_file: SecretFile | None = _unset(
        "a file with a bearer token, for a proxy that asks for one; sent over https or on this machine only",
        "/etc/ollama-keeper/token",
    )
    ca_file: Path | None = _unset("a PEM file with the authority of the server's certificate", "/etc/ssl/our-ca.pem")
    headers: Headers | None = _unset("sent with every request; their values are never shown", {"X-Team": "search"})
    proxy: ProxyUrl | None = _unset("a proxy on the way; those of the environment are not used", "http://proxy:3128")
    look_timeout: From5s = _key(
        "15s", "how long one look may take; from 0.32.4 on Ollama's list waits up to 10s for its own checks"
    )
    budget: Budget = _key({}, "what its models may take in all; what has no room by rank is not loaded. Any of")


class ModelDefaults(Table):
    """What may be said of one model, or at the top level of all."""

    keep_alive: KeepAlive = _key(
        -1, "-1 pins; else a lease such as 30m, of at least two intervals, after which Ollama may unload by itself"
    )
    on_expire: Annotated[OnExpire, BeforeValidator(values.one_of(*OnExpire)), _text(*OnExpire)] = _key(
        "rewarm", "rewarm; or release: the lease is not renewed, and the model stays cold until somebody loads it"
    )
    interval: From1s = _key("15s", "time between two looks; a loss is seen within it")
    ping_every: DurationOrOff = _key(
        "5m", "time between two pings without a token, which find a runner that died; or off"
    )
    priority: Whole = _key(100, "larger is loaded first, and keeps its place when not all fit")
    required: Bool = _key(True, "counts for /readyz and for the exit code of status")
    context_length: ContextLength = _key(
        "adopt", "tokens of context; server: as the server does; adopt: as the server does, until clients use another"
    )
    options: Options = _key(
        {}, "other options of the runner; best left alone: clients without them cause reloads. Any of"
    )
    load_timeout: From1s = _key("30m", "a load older than this is given up; large models from slow disks need it")
    slow_load: Duration = _key("10s", "a load of at least this is logged as a cold start")
    contention: Annotated[Contention, BeforeValidator(values.one_of(*Contention)), _text(*Contention)] = _key(
        "yield",
        "to a model that displaced ours: yield until it is idle, or insist on coming back once it is seen; or observe: "
        "load nothing at all, only look and tell",
    )
    yield_for: Duration = _key("60s", "a guest that nobody has used for so long is idle")
    unload_grace: Duration = _key("60s", "after an unexplained unload the model is left cold for so long")
    min_gpu_fraction: Fraction = _key(
        "auto", "a smaller share on the GPU is degraded: 0.0 to 1.0, or auto, less than the best seen"
    )
    release: Annotated[Release, BeforeValidator(values.one_of(*Release)), _text(*Release)] = _key(
        "expire", "a model that is not to be kept any more, or now: expire lowers its pin to 5m, unload takes it out"
    )
    active: list[ActiveWindow] = _key([], "hours in which it is kept; none are always. Each with any of")
    ahead: Annotated[float | None, BeforeValidator(values.duration_or_auto), _or_word(_DURATION, "auto")] = _key(
        "auto", "so long before its hours it is loaded; auto: its load time and 30s"
    )
    repair: Annotated[Repair, BeforeValidator(values.one_of(*Repair)), _text(*Repair)] = _key(
        "none", "reload: a degraded model of ours is loaded anew, once an hour at most, when nobody uses it"
    )
    pull: Annotated[PullRule, BeforeValidator(values.one_of(*PullRule)), _text(*PullRule)] = _key(
        "never", "if_missing: a model that is not there is pulled, one at a time, and then loaded; never a newer one"
    )
    probe: Probe = _key({}, "proof by one generated token that it answers. Any of")


class ServerEntry(ServerDefaults):
    """One item of `servers`."""

    name: ServerName | None = _unset("what the keeper calls it (host:port of its url)", "gpu")
    url: Url = Field(description="where it is", examples=["http://gpu-box:11434"])


class ModelEntry(ModelDefaults):
    """One item of `models`."""

    name: ModelName = Field(description="as `ollama list` shows it; `:latest` may be left out", examples=["qwen3:8b"])
    servers: list[SiteName] | None = _unset("names of the servers that are to keep it (all)", ["gpu"])


def _named(item: object) -> object:
    """A model that is only named."""
    return {"name": item} if isinstance(item, str | int | float) else item


class Log(Table):
    """What is logged, and how."""

    level: Annotated[LogLevel, BeforeValidator(values.one_of(*get_args(LogLevel)))] = _key(
        "info", "debug, info, warning or error"
    )
    format: Annotated[LogFormat, BeforeValidator(values.one_of(*get_args(LogFormat)))] = _key(
        "auto", "json, console, or auto: JSON unless a terminal reads it"
    )


class Web(Table):
    """The status surface: /livez, /readyz, /readyz/MODEL and /status."""

    listen: Annotated[str | None, BeforeValidator(values.listen_or_off), _text()] = _key(
        "127.0.0.1:11480", "HOST:PORT to answer on, or off; without a token_file it only reads"
    )
    socket: PathOrOff = _unset(
        "the unix socket, mode 0600, that pause, resume and reload use; or off", "/run/ollama-keeper/control.sock"
    )
    token_file: SecretFile | None = _unset(
        "a file with a token (128 bits or more); with it HTTP takes pause, resume, warm and reload too",
        "/etc/ollama-keeper/control-token",
    )
    allowed_hosts: Annotated[list[str], BeforeValidator(values.hosts)] = _key(
        [], "further names that it may be asked by, beside loopback and the address listened on"
    )


class Metrics(Table):
    """The numbers at /metrics, for Prometheus."""

    model_labels: Bool = _key(True, "false: models are summed up by server, for fleets of many thousands")


class Sink(Table):
    """Where alerts are sent."""

    name: Annotated[str, BeforeValidator(values.sink_name), _text()] = Field(
        description="what test-alert, the log and metrics call it", examples=["team"]
    )
    type: Annotated[SinkType, BeforeValidator(values.one_of(*get_args(SinkType))), _text(*get_args(SinkType))] = Field(
        description=f"{', '.join(get_args(SinkType)[:-1])} or {get_args(SinkType)[-1]}", examples=["feishu"]
    )
    url_file: SecretFile | None = _unset(
        "a file with its URL alone ($CREDENTIALS_DIRECTORY/NAME-url)", "/etc/ollama-keeper/team-url"
    )
    secret_file: SecretFile | None = _unset(
        "a file with the key of its signature ($CREDENTIALS_DIRECTORY/NAME-secret)", "/etc/ollama-keeper/team-secret"
    )
    template: Annotated[str, BeforeValidator(values.template), _text()] | None = _unset(
        "the text of a message, with $title, $text and others in it", "$title: $text"
    )


class Alerts(Table):
    """What is told of, when, and to whom."""

    sinks: list[Sink] = _key([], "where alerts are sent; none are sent nowhere, and the log has them all the same")
    for_: Annotated[float | dict[str, float | None], BeforeValidator(values.alert_durations), _DURATIONS] = Field(
        default="5m",
        alias="for",
        validate_default=True,
        description="a trouble that lasts so long is told; 10m for degraded, 90s for a server; or a table: ALERT: 10m",
    )
    repeat_interval: From1m = _key("4h", "what still lasts is told again after this time")
    send_resolved: Bool = _key(True, "tells also that it is over")
    language: Annotated[Language, BeforeValidator(values.one_of(*get_args(Language))), _text(*get_args(Language))] = (
        _key("en", "en or zh")
    )
    heartbeat_url_file: SecretFile | None = _unset(
        "a file with a URL that is called only when all is well", "/etc/ollama-keeper/heartbeat-url"
    )
    heartbeat_every: From1m = _key("5m", "time between two of these calls")


class Settings(ModelDefaults, ServerDefaults, BaseSettings):
    """The whole configuration, merged from the layers that `from_layers` is given."""

    model_config = SettingsConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True, validate_default=False)

    LAYERS: ClassVar[str] = "layers"

    ollama: Url | None = Field(
        default=None, description="the one server; for several write servers instead", examples=[urls.DEFAULT_URL]
    )
    servers: list[ServerEntry] | None = _unset("several servers, instead of ollama", [{"url": "http://gpu-box:11434"}])
    models: list[Annotated[ModelEntry, BeforeValidator(_named)]] | None = _unset(
        "what is to stay resident, the most important first: names, or tables of a name and more", ["qwen3:8b"]
    )
    shutdown_grace: Duration = _key("20s", "a stop waits so long for an open load, which would be lost")
    state_dir: PathOrOff = _unset(
        "where the keeper remembers what it loaded, over its own restarts; or off", "/var/lib/ollama-keeper"
    )
    log: Log = _key({}, "what is logged, and how")
    web: Web = _key({}, "where the keeper tells how it is")
    metrics: Metrics = _key({}, "the numbers at /metrics, for Prometheus")
    alerts: Alerts = _key({}, "what is told of, when, and to whom")

    @classmethod
    def from_layers(cls, layers: list[dict[str, object]]) -> "Settings":
        """The settings of several layers, the one that holds first. Tables are merged, lists replaced.

        Raises:
            pydantic.ValidationError: a value or a key is wrong.
        """
        return cls(**{cls.LAYERS: layers})  # type: ignore[arg-type]

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Our own layers, read and placed by ourselves, in place of pydantic's sources."""
        del env_settings, dotenv_settings, file_secret_settings
        return tuple(_LayerSource(settings_cls, layer) for layer in init_settings()[cls.LAYERS])


class _LayerSource(PydanticBaseSettingsSource):
    """One layer for pydantic-settings."""

    def __init__(self, settings_cls: type[BaseSettings], data: dict[str, Any]) -> None:
        super().__init__(settings_cls)
        self._data = data

    def get_field_value(self, field: object, field_name: str) -> tuple[Any, str, bool]:  # noqa: ARG002 - an interface
        """The value of one field; the interface asks for it, though `__call__` gives all at once."""
        return self._data.get(field_name), field_name, False

    def __call__(self) -> dict[str, Any]:
        """All that the layer says."""
        return self._data


TABLES: dict[str, type[Table]] = {
    "log": Log,
    "web": Web,
    "options": Options,
    "budget": Budget,
    "probe": Probe,
    "metrics": Metrics,
    "alerts": Alerts,
}
"""Keys that are tables."""
LISTS: dict[str, type[Table]] = {"models": ModelEntry, "servers": ServerEntry, "active": ActiveWindow, "sinks": Sink}
"""Keys that are lists of tables."""


def keys_of(table: type[BaseModel]) -> dict[str, str]:
    """The fields of a table by the keys that an operator writes."""
    return {field.alias or name: name for name, field in table.model_fields.items()}
