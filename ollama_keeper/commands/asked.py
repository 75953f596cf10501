"""What the daemon of this machine says, asked before Ollama is: only it knows what it keeps, since when and why not.

It is asked at its control socket, else at the address that its page has; a daemon without a configuration file has both
at the same places as one with a file that does not name them.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar, get_type_hints

from ollama_keeper.commands.start import configuration
from ollama_keeper.config import Config
from ollama_keeper.config.places import control_socket
from ollama_keeper.core.address import DNS
from ollama_keeper.core.names import is_name, parse_name
from ollama_keeper.core.view import GUEST, ModelRow, ServerRow, Status, written
from ollama_keeper.errors import printable
from ollama_keeper.web.asking import NoDaemon
from ollama_keeper.web.asking import status as status_at

SERVICE = Path("/run/ollama-keeper/control.sock")
MOMENTS = ("since", "looked", "paused_until")
Row = TypeVar("Row", ServerRow, ModelRow)


@dataclass(frozen=True, slots=True)
class Answer:
    """What a daemon told.

    Attributes:
        where: it was asked: a socket or HOST:PORT.
    """

    status: Status
    where: Path | str

    @property
    def at(self) -> datetime:
        """When it was so."""
        return datetime.fromisoformat(self.status.at)


def sockets(config: Config) -> tuple[Path, ...]:
    """Where a daemon may take commands, to be tried in turn; that of the system's service, where nothing else was said.

    Its folder is open to its own user and to root alone.
    """
    chosen = config.web.socket
    if chosen is None:
        return ()
    by_default = chosen == control_socket(os.environ, config.state_dir)
    return (chosen, SERVICE) if by_default and chosen != SERVICE else (chosen,)


def asked(config: Config) -> Answer | None:
    """What the daemon of this machine tells; None where none answers."""
    for where in _places(config):
        try:
            return Answer(_status(status_at(where)), where)
        except NoDaemon:
            continue
    return None


def can_be_asked(config: Config) -> bool:
    """Whether there is a place at which a daemon could answer."""
    return any(_places(config))


def about(answer: Answer, config: Config) -> Answer | None:
    """The same, of the servers of a configuration alone; None where the daemon has none of them."""
    names = server_names(answer, config)
    if not names:
        return None
    status = answer.status
    servers = tuple(row for row in status.servers if row.name in names)
    models = tuple(row for row in status.models if row.server in names)
    return replace(answer, status=replace(status, servers=servers, models=models))


def with_kept(
    path: Path | None, models: Sequence[str], flags: Mapping[str, object], *, models_required: bool = True
) -> Config:
    """The configuration of this call; where it names no model, with those that a daemon keeps on its servers.

    Such a daemon was started without a file.

    Args:
        path, models, flags: as for a configuration.
        models_required: whether it is a mistake that nobody names one; in a file it is.

    Raises:
        Unusable: the configuration holds mistakes, or no model is named by anybody.
    """
    if models:
        return configuration(path, models, flags)
    config = configuration(path, (), flags, models_required=False)
    if any(server.policies for server in config.servers):
        return config
    answer = asked(config)
    found = about(answer, config) if answer else None
    kept = [row.model for row in found.status.models if row.state != GUEST] if found else []
    required = models_required or config.path is not None
    return configuration(path, tuple(dict.fromkeys(kept)), flags, models_required=required)


def means(name: str, model: str) -> bool:
    """Whether a name that somebody wrote means a model, as the daemon or the configuration calls it."""
    return name == model or (is_name(name) and is_name(model) and parse_name(name) == parse_name(model))


def server_names(answer: Answer, config: Config) -> frozenset[str]:
    """The servers of the daemon that a configuration has as well."""
    return frozenset(row.name for row in answer.status.servers if any(_same(row.name, one) for one in _known(config)))


def _known(config: Config) -> list[tuple[str, bool]]:
    """The name of each server, and whether it stands for several that the daemon names otherwise."""
    return [(server.address.name, server.address.url.startswith(DNS)) for server in config.servers]


def _same(name: str, known: tuple[str, bool]) -> bool:
    return name == known[0] or (known[1] and (name.startswith(f"{known[0]}@") or "@" not in name))


def _places(config: Config) -> tuple[Path | str, ...]:
    return (*sockets(config), *([config.web.listen] if config.web.listen else []))


# --- from JSON --------------------------------------------------------------------------------------------------------


def _status(document: Mapping[str, Any]) -> Status:
    """The status as it was told; keys that are not known here are left out.

    Raises:
        NoDaemon: it makes no sense.
    """
    try:
        servers = tuple(_row(ServerRow, row) for row in document["servers"])
        models = tuple(_row(ModelRow, row) for row in document["models"])
        return Status(int(document["version"]), _moment(document["at"]), servers, models)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        msg = "it is no ollama-keeper that answers"
        raise NoDaemon(msg) from error


def _row(kind: type[Row], told: Mapping[str, Any]) -> Row:
    known = {name: fits(told[name]) for name, fits in _FITS[kind].items() if name in told}
    return kind(**known | {name: _moment(known[name]) for name in MOMENTS if known.get(name) is not None})


def _moment(text: str) -> str:
    return written(datetime.fromisoformat(text).astimezone(UTC))


def _fits(hint: Any) -> Callable[[Any], Any]:
    """Takes a value of a type, makes text safe to print, and refuses all else."""

    def taken(value: Any) -> Any:
        if isinstance(value, int) and hint in {float, float | None}:
            return float(value)
        if not isinstance(value, hint):
            msg = f"not a {hint}"
            raise TypeError(msg)
        return printable(value) if isinstance(value, str) else value

    return taken


_FITS: dict[type[Any], dict[str, Callable[[Any], Any]]] = {
    kind: {field.name: _fits(get_type_hints(kind)[field.name]) for field in fields(kind)}
    for kind in (ServerRow, ModelRow)
}
