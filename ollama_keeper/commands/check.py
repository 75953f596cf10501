"""`check`: the configuration against the live servers; each finding with what, why it matters, and what to do."""

import asyncio
import json
import os
import stat
from collections import Counter
from collections.abc import Container, Iterator, Mapping, Sequence
from contextlib import aclosing, suppress
from dataclasses import asdict, replace
from pathlib import Path, PurePath
from urllib.parse import urlsplit

import click

from ollama_keeper.commands.asked import with_kept
from ollama_keeper.commands.check_past import of_history, of_state
from ollama_keeper.commands.guess import near
from ollama_keeper.commands.once import watching
from ollama_keeper.commands.past import state_seen
from ollama_keeper.commands.start import EXIT_NOBODY, EXIT_OK, EXIT_SOME_NOT, Unusable, client, complain
from ollama_keeper.config import Config
from ollama_keeper.config import Server as ServerConfig
from ollama_keeper.core.checkup import checkup
from ollama_keeper.core.finding import Finding, Severity
from ollama_keeper.core.reasons import Failure
from ollama_keeper.errors import ConfigError, OllamaError
from ollama_keeper.ollama.classify import hint_for
from ollama_keeper.report.phrases import number
from ollama_keeper.store import open_store
from ollama_keeper.web.hosts import is_loopback
from ollama_keeper.web.token import control_token

VERSION = 1
"""Of the document: raised when a key is taken away or comes to mean something else; keys may be added."""

EXIT_ERRORS = EXIT_NOBODY
ANSWER_WITHIN_S = 20.0  # longer than one look may take; servers that answer are done in a second
MISSING = "missing"
MARKS = {Severity.ERROR: "✗", Severity.WARNING: "!", Severity.NOTE: "·"}
PROXIES = ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy")
OTHERS = stat.S_IRWXG | stat.S_IRWXO


def check(path: Path | None, models: Sequence[str], flags: Mapping[str, object], *, as_json: bool) -> int:
    """Tells what is wrong; see `ollama-keeper check --help`."""
    try:
        config = with_kept(path, models, flags, models_required=False)
        _read_token(config)
        found = asyncio.run(_found(config))
    except Unusable as unusable:
        return unusable.code
    click.echo(_document(found) if as_json else _text(config, found))
    if any(finding.severity is Severity.ERROR for finding in found):
        return EXIT_ERRORS
    return EXIT_SOME_NOT if any(finding.severity is Severity.WARNING for finding in found) else EXIT_OK


def _read_token(config: Config) -> None:
    """Sees that `run` would take the token.

    Raises:
        Unusable: it would not; why is on stderr.
    """
    if config.web.token_file is None:
        return
    try:
        control_token(config.web.token_file, str(config.path or "configuration"))
    except ConfigError as error:
        complain(error)
        raise Unusable(error) from error


async def _found(config: Config) -> list[Finding]:
    store = open_store(state_seen(config), report=lambda _: None, read_only=True)
    found = [*_of_models(config), *_of_files(config), *of_state(config), *_of_page(config)]
    async with watching(config, store, say=lambda _: None, dry_run=True) as watch:
        await watch.until(watch.all_told, timeout_s=ANSWER_WITHIN_S)
        for server in watch.servers:
            found += (_hinted(one, server.memory.failure) for one in checkup(server.memory, watch.clock.now()))
        found += of_history(config, watch.clock.now().wall.astimezone())
    for each in config.servers:
        found += _of_address(each, os.environ)
    pulled = await _pulled(config, {one.server for one in found if one.code == MISSING})
    return [_meant(one, pulled.get(one.server, ())) for one in found]


def _hinted(finding: Finding, failure: Failure | None) -> Finding:
    """What to do about this very failure of a server that does not answer."""
    hint = hint_for(failure) if failure and finding.code == "unreachable" else ""
    return replace(finding, do=hint) if hint else finding


async def _pulled(config: Config, servers: Container[str | None]) -> dict[str | None, list[str]]:
    """What is pulled on some of the servers, as far as they say so."""
    pulled: dict[str | None, list[str]] = {}
    for server in config.servers:
        if server.address.name in servers:
            with suppress(OllamaError):
                async with aclosing(client(server)) as asked:
                    pulled[server.address.name] = [str(entry.name) for entry in (await asked.tags()).models]
    return pulled


def _meant(finding: Finding, pulled: Sequence[str]) -> Finding:
    """What is probably meant by a model that is not pulled."""
    if finding.code != MISSING or finding.model is None:
        return finding
    alike = near(finding.model, pulled)
    return replace(finding, do=f"did you mean {' or '.join(alike)}? else {finding.do}") if alike else finding


# --- what only the machine knows --------------------------------------------------------------------------------------


def _of_address(server: ServerConfig, environ: Mapping[str, str]) -> Iterator[Finding]:
    address = server.address
    parts = urlsplit(address.url)
    local = is_loopback(parts.hostname or "")
    secured = address.token_file is not None or any(name.lower() == "authorization" for name, _ in address.headers)
    if not local and not secured:
        yield Finding(
            Severity.WARNING,
            "open_server",
            f"{address.url} is asked without a token",
            "Ollama has no access control of its own: whoever reaches it can use, pull and delete models",
            "let it listen on loopback, or put a proxy with a token before it (token_file)",
            address.name,
        )
    if secured and parts.scheme.endswith("http") and not local:
        yield Finding(
            Severity.WARNING,
            "token_in_clear",
            f"a token is sent to {address.url} without TLS",
            "whoever is on the way can read it",
            "use https://",
            address.name,
        )
    named = [name for name in PROXIES if environ.get(name)]
    if named and not local and address.proxy is None:
        yield Finding(
            Severity.NOTE,
            "proxy_ignored",
            f"{', '.join(named)} in the environment is not used",
            "Ollama is asked directly, so that no proxy stands between by accident",
            "if it can only be reached by a proxy: the key proxy",
            address.name,
        )


def _of_models(config: Config) -> Iterator[Finding]:
    if not any(server.policies for server in config.servers):
        yield Finding(
            Severity.NOTE,
            "no_models",
            "no model is named, and there is no configuration file",
            "so only what concerns no model was looked at",
            "ollama-keeper check qwen3:8b, or begin a file: ollama-keeper config init",
        )


def _of_files(config: Config) -> Iterator[Finding]:
    """Secrets that others can read, and a state directory that cannot be used."""
    for path in dict.fromkeys(_secret_files(config)):
        try:
            mode = Path(path).stat().st_mode
        except OSError:
            continue  # told by whoever needs the file
        if os.name != "nt" and mode & OTHERS:
            yield Finding(
                Severity.WARNING,
                "readable_secret",
                f"{path} can be read by others (mode {stat.S_IMODE(mode):04o})",
                "it holds a secret",
                f"chmod 600 {path}, owned by the user of ollama-keeper; under systemd: LoadCredential= in its unit",
            )
    for missing in config.alerts.without_url:
        yield Finding(
            Severity.WARNING,
            "sink_without_url",
            str(missing),
            "this command is handed no credentials of systemd; ollama-keeper run, without them, does not start",
            "nothing, where its unit has that LoadCredential=; else name the file",
        )
    state = config.state_dir
    if state is not None and not _writable(state):
        yield Finding(
            Severity.WARNING,
            "state_not_writable",
            f"{state} cannot be written",
            "what was loaded, learned and paused is forgotten at each restart, and no command reaches the keeper",
            "let its owner be the user of ollama-keeper, or name another state_dir",
        )


def _writable(path: Path) -> bool:
    """Whether a folder can be written, or made."""
    for folder in (path, *path.parents):
        try:
            if folder.exists():
                return os.access(folder, os.W_OK)
        except OSError:  # in a folder that cannot be entered
            return False
    return False


def _secret_files(config: Config) -> Iterator[PurePath]:
    yield from (server.address.token_file for server in config.servers if server.address.token_file)
    for sink in config.alerts.sinks:
        yield sink.url_file
        if sink.secret_file is not None:
            yield sink.secret_file
    yield from (path for path in (config.web.token_file, config.alerts.heartbeat_url_file) if path)
    if config.path is not None and any(_holds_secret(server) for server in config.servers):
        yield config.path


def _holds_secret(server: ServerConfig) -> bool:
    """Whether a secret of a server stands in the configuration itself."""
    return bool(server.address.headers) or "@" in (server.address.proxy or "")


def _of_page(config: Config) -> Iterator[Finding]:
    listen = config.web.listen
    host = (listen or "").rpartition(":")[0].strip("[]")
    if listen is not None and not is_loopback(host):
        yield Finding(
            Severity.NOTE,
            "page_for_all",
            f"the page listens on {listen}",
            "whoever reaches it sees the names of models and servers; nothing can be changed there without the token",
            "web.listen: 127.0.0.1:11480, where that is not wanted",
        )


# --- told -------------------------------------------------------------------------------------------------------------


def _text(config: Config, found: Sequence[Finding]) -> str:
    ordered = sorted(found, key=lambda finding: list(Severity).index(finding.severity))
    lines = [line for finding in ordered for line in _lines(finding)]
    models = sum(len(server.policies) for server in config.servers)
    tally = Counter(finding.severity for finding in found)
    counts = ", ".join(number(tally[kind], kind.value) for kind in Severity if tally[kind])
    where = f"{number(models, 'model')} on {number(len(config.servers), 'server')}"
    lines.append(f"{where}: {counts or 'no findings'}")
    return "\n".join(lines)


def _lines(finding: Finding) -> Iterator[str]:
    place = ": ".join(part for part in (finding.server, finding.model) if part)
    yield f"{MARKS[finding.severity]} {f'{place}: ' if place else ''}{finding.what}"
    yield f"    why: {finding.why}"
    yield f"    do:  {finding.do}"


def _document(found: Sequence[Finding]) -> str:
    return json.dumps({"version": VERSION, "findings": [asdict(finding) for finding in found]}, indent=2)
