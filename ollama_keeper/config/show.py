"""The configuration as text: what is in effect, its JSON schema, and a first file for a server."""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import yaml

from ollama_keeper.config.effective import AlertSettings, Config, Server, SinkSettings, WebSettings
from ollama_keeper.config.hours import written
from ollama_keeper.config.schema import Settings
from ollama_keeper.config.urls import DEFAULT_URL, default_name
from ollama_keeper.core.policy import Budget, ContextRule, Policy
from ollama_keeper.core.units import config_duration, config_size
from ollama_keeper.errors import printable

HIDDEN = "[not shown]"

_PLAIN_NAME = re.compile(r"(?!(?:true|false|null|yes|no|on|off|y|n)$)[a-z][a-z0-9_./-]*(:[a-z0-9_.-]+)?", re.IGNORECASE)
_USERINFO = re.compile(r"(?<=//)[^/]*@")


@dataclass(frozen=True, slots=True)
class Found:
    """A model that a server has, for a first configuration."""

    name: str
    resident: bool
    remote: bool = False


def show(config: Config) -> str:
    """The configuration in effect as YAML, every key written out.

    Secrets are shown only as the files that they are read from; values of headers and the user of a proxy are hidden.
    """
    document = {
        "servers": [_server(server) for server in config.servers],
        "models": [_model(policy, servers, of=len(config.servers)) for policy, servers in _wanted(config)],
        "shutdown_grace": config_duration(config.shutdown_grace_s),
        "state_dir": str(config.state_dir) if config.state_dir else "off",
        "web": _web(config.web),
        "log": {"level": config.log.level, "format": config.log.format},
        "metrics": {"model_labels": config.metrics.model_labels},
        "alerts": _alerts(config.alerts),
    }
    source = f"# from {config.path}" if config.path else "# from defaults, variables and flags, without a file"
    return f"{source}\n{yaml.safe_dump(document, sort_keys=False, allow_unicode=True)}"


def json_schema() -> dict[str, Any]:
    """JSON schema of the file, for editors; the program checks more, and says more, than a schema can."""
    schema = Settings.model_json_schema()
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    schema["title"] = "ollama-keeper configuration"
    schema["description"] = "What ollama-keeper keeps resident, on which Ollama servers, and how."
    items = schema["properties"]["models"]["anyOf"][0]
    items["items"] = {"anyOf": [{"type": "string"}, items["items"]]}
    return schema


def initial(*, url: str, version: str, found: Sequence[Found]) -> str:
    """A commented file for a server: what is resident is wanted, the rest is there to choose from.

    Args:
        url: where the server is.
        version: of the server.
        found: the models that it has; those that run elsewhere cannot be kept, and are left out.
    """
    return "\n".join(_initial(url, version, [model for model in found if not model.remote])) + "\n"


def _initial(url: str, version: str, found: Sequence[Found]) -> Iterator[str]:
    wanted = [model for model in found if model.resident]
    yield "# What ollama-keeper keeps resident. Every key and its default: config.example.yaml."
    yield f"# Written for Ollama {printable(version)}."
    yield ""
    yield f"ollama: {json.dumps(url)}" if url != DEFAULT_URL else f"# ollama: {DEFAULT_URL}"
    yield ""
    yield "# The most important first. What was resident is wanted; take a '#' away to keep more."
    yield "models:" if wanted else "models:  # nothing was resident: take the '#' of at least one away"
    yield from (f"  - {_name(model.name)}" for model in wanted)
    yield from (f"  # - {_name(model.name)}" for model in found if not model.resident)
    if not found:
        yield "  # - qwen3:8b   # nothing is pulled there yet: ollama pull qwen3:8b"
    yield ""
    yield "# Defaults of all models, as they are; a model that needs another is written as"
    yield "#   - name: qwen3:8b"
    yield "#     keep_alive: 30m"
    yield "# keep_alive: -1          # pin; or a lease such as 30m"
    yield "# context_length: adopt   # as clients load it; or a number of tokens, or server"
    yield "# contention: yield       # to a guest that displaced it, until that is idle for yield_for"
    yield "# interval: 15s           # time between two looks"


def _name(name: str) -> str:
    """A model's name as YAML; names come from the server, and most need no quotes."""
    return name if _PLAIN_NAME.fullmatch(name) else json.dumps(name)


def _wanted(config: Config) -> list[tuple[Policy, list[str]]]:
    """Each policy once, with the names of its servers; rank and what is sent belong to a server, and do not count."""
    wanted: dict[Policy, list[str]] = {}
    for server in config.servers:
        for policy in server.policies:
            wanted.setdefault(replace(policy, rank=0, keep_alive=-1), []).append(server.address.name)
    return sorted(wanted.items(), key=lambda item: -item[0].priority)


def _server(server: Server) -> dict[str, Any]:
    address = server.address
    told = {
        "name": address.name if address.name != default_name(address.url) else None,
        "url": address.url,
        "token_file": address.token_file and str(address.token_file),
        "ca_file": address.ca_file and str(address.ca_file),
        "headers": {name: HIDDEN for name, _ in address.headers},
        "proxy": address.proxy and _USERINFO.sub(f"{HIDDEN}@", address.proxy),
        "look_timeout": config_duration(address.look_timeout_s),
        "budget": _budget(server.budget),
    }
    return {key: value for key, value in told.items() if value}


def _web(web: WebSettings) -> dict[str, Any]:
    token = {"token_file": str(web.token_file)} if web.token_file else {}
    socket = str(web.socket or "off")
    return {"listen": web.listen or "off", "socket": socket, **token, "allowed_hosts": list(web.allowed_hosts)}


def _alerts(alerts: AlertSettings) -> dict[str, Any]:
    """Of secrets only the files that they are read from."""
    told = {alert.value: after_s for alert, after_s in alerts.rules.for_s.items()}
    beat = alerts.heartbeat_url_file
    return {
        "sinks": [_sink(sink) for sink in alerts.sinks],
        "for": {alert: "off" if after_s is None else config_duration(after_s) for alert, after_s in told.items()},
        "repeat_interval": config_duration(alerts.repeat_s),
        "send_resolved": alerts.send_resolved,
        "language": alerts.language,
        **({"heartbeat_url_file": str(beat)} if beat else {}),
        "heartbeat_every": config_duration(alerts.heartbeat_every_s),
    }


def _sink(sink: SinkSettings) -> dict[str, Any]:
    told = {
        "name": sink.name,
        "type": sink.type,
        "url_file": str(sink.url_file),
        "secret_file": sink.secret_file and str(sink.secret_file),
        "template": sink.template,
    }
    return {key: value for key, value in told.items() if value}


def _budget(budget: Budget | None) -> dict[str, Any]:
    told = {"memory": budget and budget.memory and config_size(budget.memory), "models": budget and budget.models}
    return {key: value for key, value in told.items() if value}


def _model(policy: Policy, servers: list[str], *, of: int) -> dict[str, Any]:
    return {
        "name": policy.model,
        **({"servers": servers} if len(servers) < of else {}),
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
        "release": policy.release.value,
        "active": [written(window) for window in policy.active],
        "repair": policy.repair.value,
        "pull": policy.pull.value,
        "probe": {
            "every": "off" if policy.probe_every_s is None else config_duration(policy.probe_every_s),
            "timeout": config_duration(policy.probe_timeout_s),
            "slow_after": config_duration(policy.probe_slow_after_s),
        },
        "ahead": "auto" if policy.ahead_s is None else config_duration(policy.ahead_s),
    }
