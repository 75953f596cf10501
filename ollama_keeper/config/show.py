"""The configuration as text: what is in effect, its JSON schema, and a first file for a server."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import yaml
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from ollama_keeper.config.load import DEFAULT_URL, Config, Server
from ollama_keeper.config.schema import Settings
from ollama_keeper.core.policy import ContextRule, Policy
from ollama_keeper.core.units import config_duration

REDACTED = "[not shown]"


@dataclass(frozen=True, slots=True)
class Found:
    """A model that a server has, for a first configuration."""

    name: str
    resident: bool
    remote: bool = False


class _Lenient(GenerateJsonSchema):
    """Leaves the types of values open: durations and sizes are texts that a schema would call strings or numbers."""

    def float_schema(self, schema: core_schema.FloatSchema) -> JsonSchemaValue:
        return {}

    def str_schema(self, schema: core_schema.StringSchema) -> JsonSchemaValue:
        return {}


def show(config: Config) -> str:
    """The configuration in effect as YAML, every key written out; secrets only as the files they are read from."""
    document: dict[str, Any] = {
        "servers": [_server(server) for server in config.servers],
        "models": [_model(policy) for policy in _policies(config)],
        "shutdown_grace": config_duration(config.shutdown_grace_s),
        "state_dir": str(config.state_dir) if config.state_dir else "off",
        "log": {"level": config.log.level, "format": config.log.format},
    }
    source = f"# from {config.path}" if config.path else "# from defaults, environment and command line"
    return f"{source}\n{yaml.safe_dump(document, sort_keys=False, allow_unicode=True)}"


def json_schema() -> dict[str, Any]:
    """JSON schema of the file: which keys there are; for completion in editors.

    Values are checked by the program alone, which says more than a schema can.
    """
    schema = Settings.model_json_schema(schema_generator=_Lenient)
    schema["title"] = "ollama-keeper configuration"
    return schema


def initial(*, url: str, version: str, found: Sequence[Found]) -> str:
    """A commented file for a server: what is resident is wanted, the rest is there to choose from."""
    return "\n".join(_initial(url, version, found)) + "\n"


def _initial(url: str, version: str, found: Sequence[Found]) -> Iterator[str]:
    yield "# Configuration of ollama-keeper; every key is described in config.example.yaml."
    yield f"# Read from Ollama {version}."
    yield "" if url == DEFAULT_URL else f"\nollama: {url}\n"
    yield "# What is to stay resident, the most important first. Take the '#' away to choose."
    local = [model for model in found if not model.remote]
    wanted = [model for model in local if model.resident]
    yield "models:" if wanted else "models: []  # choose below, and take this [] away"
    yield from (f"  - {_quoted(model.name)}" for model in wanted)
    yield from (f"  # - {_quoted(model.name)}" for model in local if not model.resident)
    if not local:
        yield "  # - qwen3:8b  # nothing is pulled there yet: ollama pull qwen3:8b"
    yield ""
    yield "# Defaults for all of them, as they are:"
    yield "# keep_alive: -1          # pin; or a lease such as 30m"
    yield "# context_length: adopt   # as clients load it; or a number of tokens"
    yield "# contention: yield       # to a guest that needs the room, until it is idle for yield_for"


def _quoted(name: str) -> str:
    return str(yaml.safe_dump(name, default_flow_style=True, allow_unicode=True)).splitlines()[0]


def _policies(config: Config) -> list[Policy]:
    """The policies, each once: a model on several servers is one entry."""
    return list({policy.name: policy for server in config.servers for policy in server.policies}.values())


def _server(server: Server) -> dict[str, Any]:
    address = server.address
    told: dict[str, Any] = {
        "name": address.name,
        "url": address.url,
        "look_timeout": config_duration(address.look_timeout_s),
    }
    for key in ("token_file", "ca_file"):
        if (value := getattr(address, key)) is not None:
            told[key] = str(value)
    if address.headers:
        told["headers"] = {name: REDACTED for name, _ in address.headers}
    if address.proxy:
        told["proxy"] = REDACTED
    return told


def _model(policy: Policy) -> dict[str, Any]:
    return {
        "name": policy.model,
        "keep_alive": -1 if policy.lease_s is None else config_duration(policy.lease_s),
        "on_expire": policy.on_expire.value,
        "interval": config_duration(policy.interval_s),
        "ping_every": "off" if policy.ping_every_s is None else config_duration(policy.ping_every_s),
        "priority": policy.priority,
        "required": policy.required,
        "context_length": policy.context.value if isinstance(policy.context, ContextRule) else policy.context,
        "options": dict(policy.options),
        "load_timeout": config_duration(policy.load_timeout_s),
        "slow_load": config_duration(policy.slow_load_s),
        "contention": policy.contention.value,
        "yield_for": config_duration(policy.yield_for_s),
        "unload_grace": config_duration(policy.unload_grace_s),
        "min_gpu_fraction": "auto" if policy.min_gpu_fraction is None else policy.min_gpu_fraction,
    }
