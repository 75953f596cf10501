"""`load`: where the configuration comes from, and all that is wrong with it."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from ollama_keeper.config import environment
from ollama_keeper.config.assembly import assembled, nothing_to_keep
from ollama_keeper.config.checking import checked
from ollama_keeper.config.effective import Config
from ollama_keeper.config.layer import COMMAND_LINE, Layer, Layers, Place
from ollama_keeper.config.layer import Path as KeyPath
from ollama_keeper.config.merged import Merged
from ollama_keeper.config.places import MAX_BYTES, system_file, user_file
from ollama_keeper.config.wanted import Asked
from ollama_keeper.errors import ConfigError, Mistake

_SOURCES = (COMMAND_LINE, environment.SOURCE)


def load(
    *,
    path: Path | None,
    models: Sequence[str] = (),
    flags: Mapping[str, object] | None = None,
    environ: Mapping[str, str],
    models_required: bool = True,
    sinks_required: bool = True,
) -> Config:
    """The configuration in effect: flags over variables over the file over defaults.

    A key at the top level, and so a variable, is the default of all models or servers; a flag is meant for this run and
    holds over what the file says of a model. `ollama` named by a flag or variable replaces the servers of the file.

    Args:
        path: the file named by the operator; without one the usual places are looked at.
        models: names that replace `models`; one that the file describes keeps its settings there.
        flags: dotted keys, and what the command line said of them.
        environ: the environment.
        models_required: whether it is a mistake to name no model.
        sinks_required: whether it is one that the URL of a sink is named nowhere; it may be a credential that only the
            service is handed.

    Raises:
        ConfigError: there are mistakes: all that can be seen, each with its place.
    """
    flag_layer, variables = _flags(flags or {}), environment.read(environ)
    try:
        file, taken = _file(path, environ)
    except ConfigError as error:
        raise _refused([*variables.mistakes, *error.mistakes]) from None
    layers = Layers(flag_layer, variables, file)
    result = checked(layers)
    mistakes = [mistake for layer in layers for mistake in layer.mistakes] + list(result.mistakes)
    if result.settings is None:
        raise _refused(mistakes)
    merged = Merged(layers, result.settings, taken.parent if taken else Path(), result.unusable)
    asked = _asked(models, environ)
    config, found = assembled(merged, asked, environ, path=taken)
    mistakes += found
    if sinks_required:
        mistakes += config.alerts.without_url
    if models_required and not asked and not any(server.policies for server in config.servers):
        mistakes += nothing_to_keep(merged, config, mistakes)
    if mistakes:
        raise _refused(mistakes)
    return config


def _flags(flags: Mapping[str, object]) -> Layer:
    data: dict[str, object] = {}
    values: dict[KeyPath, Place] = {}
    for key, value in flags.items():
        path = tuple(key.split("."))
        values[path] = Place(COMMAND_LINE, f"--{key.replace('.', '-').replace('_', '-')}")
        inner = data
        for table in path[:-1]:
            inner = inner.setdefault(table, {})  # type: ignore[assignment]
        inner[path[-1]] = value
    return Layer(COMMAND_LINE, data, values, values)


def _asked(models: Sequence[str], environ: Mapping[str, str]) -> list[Asked]:
    """The models named outside the file: by arguments, else by the variable."""
    if models:
        return [Asked(name, Place(COMMAND_LINE, "MODEL")) for name in models]
    return [Asked(name, Place(environment.SOURCE, environment.MODELS)) for name in environment.models(environ)]


def _file(path: Path | None, environ: Mapping[str, str]) -> tuple[Layer, Path | None]:
    """The file named by the operator, else the first of the usual ones; an empty layer where there is none.

    Raises:
        ConfigError: it is missing though it was named, cannot be read, or is no YAML.
    """
    named = environ.get(environment.CONFIG)
    if path is None and named:
        path = Path(named)
    for candidate in [path] if path else [user_file(environ), system_file(environ)]:
        try:
            return read_file(candidate), candidate
        except (FileNotFoundError, NotADirectoryError):
            if path:
                hint = "write its path, or begin one with ollama-keeper config init"
                raise ConfigError((Mistake(str(candidate), "", "does not exist", hint),)) from None
    return Layer(COMMAND_LINE), None


def read_file(path: Path) -> Layer:
    """What a YAML file says, and where.

    Raises:
        FileNotFoundError, NotADirectoryError: there is none.
        ConfigError: it cannot be read, or is no YAML.
    """
    try:
        with path.open("rb") as stream:
            data = stream.read(MAX_BYTES + 1)
    except (FileNotFoundError, NotADirectoryError):
        raise
    except OSError as error:
        raise ConfigError((_unreadable(path, error),)) from None
    from ollama_keeper.config.syntax import decoded  # with yaml 40 ms, which a start without a file does without
    from ollama_keeper.config.yaml import parse

    return parse(decoded(data, str(path)), str(path))


def _unreadable(path: Path, error: OSError) -> Mistake:
    if isinstance(error, IsADirectoryError):
        return Mistake(str(path), "", "is a folder", "name the file in it, such as config.yaml")
    what = f"cannot be read: {(error.strerror or type(error).__name__).lower()}"
    forbidden = isinstance(error, PermissionError)
    hint = "let the user of ollama-keeper read it" if forbidden else "write the path of a file that can be read"
    return Mistake(str(path), "", what, hint)


def _refused(mistakes: Sequence[Mistake]) -> ConfigError:
    """All mistakes, each once, as they stand: command line, variables, then the file from its top."""
    once = {(mistake.source, mistake.line, mistake.column, mistake.key, mistake.what): mistake for mistake in mistakes}
    return ConfigError(tuple(sorted(once.values(), key=_order)))


def _order(mistake: Mistake) -> tuple[int, int, int]:
    rank = _SOURCES.index(mistake.source) if mistake.source in _SOURCES else len(_SOURCES)
    return rank, mistake.line or 0, mistake.column or 0
