"""The command line: arguments in, exit code out. A command's own imports sit in its body, so that help is quick."""

import errno
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import click

from ollama_keeper import __version__
from ollama_keeper.core.units import BadUnit, parse_duration

EXIT_USAGE = 64
EXIT_INTERRUPTED = 130
EXIT_UNWRITTEN = 1
EXIT_UNREAD = 141  # 128 and SIGPIPE, as a shell tells it
UNWRITABLE = frozenset({errno.ENOSPC, errno.EIO, errno.EDQUOT})
"""A full disk, or a terminal that is gone."""
WRONG = "64 wrong command line; 78 wrong configuration."
LONGEST_SHOWN = 60
LONGEST_S = 366 * 86_400.0  # as for durations of the configuration
MEANT = {
    "check": ("doctor", "diagnose", "lint", "test", "validate", "verify"),
    "events": ("history", "log", "logs"),
    "explain": ("why",),
    "pause MODEL --unload": ("evict", "stop", "unload"),
    "release --all": ("free", "uninstall"),
    "run": ("daemon", "keep", "pin", "serve", "start", "up"),
    "status": ("list", "ls", "models", "ps", "show", "top"),
    "warm": ("load", "preload", "pull", "warmup"),
    "config init": ("init", "setup"),
}
"""What is likely meant by words that other tools have, and that are like none of ours or like the wrong one."""

Command = TypeVar("Command", bound=Callable[..., Any])


class Duration(click.ParamType[float]):
    """A duration with a unit, at least so long; seconds."""

    name = "duration"

    def __init__(self, least_s: float = 0.0) -> None:
        self._least_s = least_s

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Seconds of what was written."""
        if isinstance(value, float):
            return value
        try:
            seconds = parse_duration(str(value))
        except BadUnit:
            self.fail(f"{_short(value)} is not a duration; write for example 90s, 5m or 1h30m", param, ctx)
        if seconds < self._least_s:
            self.fail(f"{_short(value)} is too short; write {self._least_s:g}s or more", param, ctx)
        if seconds > LONGEST_S:
            self.fail(f"{_short(value)} is longer than a year; write less", param, ctx)
        return seconds


class File(click.Path):
    """A path that says something."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The path."""
        if not str(value).strip():
            self.fail(f"{str(value)!r} is not a path; write that of a file", param, ctx)
        return super().convert(value, param, ctx)


FILE = File(path_type=Path, readable=False)  # what cannot be read is told with its place, as all that is wrong in it
DURATION, A_WHILE = Duration(), Duration(least_s=1.0)
HELP = {"help_option_names": ["-h", "--help"], "max_content_width": 100}


@contextmanager
def read() -> Iterator[None]:
    """Ends the process once nobody reads what it shows; click, and Rich, would make an exit with 1 of it."""
    try:
        yield
    except BrokenPipeError:
        _unread()
    except SystemExit as end:
        if isinstance(end.__context__, BrokenPipeError):
            _unread()
        raise


def _unread() -> NoReturn:
    """Ends as any Unix tool does: by SIGPIPE, which is ignored until then, for a server may close a connection."""
    if hasattr(signal, "SIGPIPE"):
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGPIPE)
    os._exit(EXIT_UNREAD)


class Program(click.Group):
    """All commands; whoever stops reading ends any of them."""

    def make_context(self, *args: Any, **extra: Any) -> click.Context:
        """Reads the command line, and shows help."""
        with read():
            return super().make_context(*args, **extra)

    def invoke(self, ctx: click.Context) -> Any:
        """Runs a command."""
        with read():
            return super().invoke(ctx)

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        """Finds a command."""
        for command, words in MEANT.items():
            if args[0].lower() in words:
                ctx.fail(f"No such command {args[0]!r}. Did you mean 'ollama-keeper {command}'?")
        return super().resolve_command(ctx, args)


START = "Start with: ollama-keeper run MODEL, or without Ollama: ollama-keeper demo"


@click.group(cls=Program, context_settings=HELP, epilog=START)
@click.version_option(__version__, "-V", "--version", message="ollama-keeper %(version)s")
def cli() -> None:
    """Keeps chosen Ollama models resident, without spending a token, and says why when they are not.

    \b
    Examples:
      ollama-keeper run qwen3:8b                 keep one model of this machine
      ollama-keeper run qwen3:8b llama3.2:3b     two, in this order of importance
      ollama-keeper run --config keeper.yaml     everything from a file
      ollama-keeper warm qwen3:8b                load once, at boot
      ollama-keeper wait qwen3:8b && ./my-app    go on when the model is ready
      ollama-keeper status                       what is resident, until when
    """


def configured(command: Command) -> Command:
    """The options that say where the configuration and the server are."""
    for option in (
        click.option("--ollama", metavar="URL", help="The server, instead of OLLAMA_HOST or http://127.0.0.1:11434."),
        click.option("-c", "--config", type=FILE, metavar="FILE", help="Configuration file."),
        click.argument("models", nargs=-1, metavar="[MODEL]..."),
    ):
        command = option(command)
    return command


def kept(command: Command) -> Command:
    """The options that say how models are loaded."""
    for option in (
        click.option("--context-length", metavar="N", help="Context to load with: tokens, 'server' or 'adopt'."),
        click.option("--keep-alive", metavar="DURATION", help="-1 to pin (the default), or a lease such as 30m."),
    ):
        command = option(command)
    return command


@cli.command(
    epilog=f"Exit codes: 0 stopped by a signal; 1 a chosen address is taken; 70 a fault of ours; {WRONG} "
    "With --dry-run: 1 some servers did not answer; 2 none did.",
    short_help="Keep MODELs resident until stopped.",
)
@configured
@kept
@click.option("--interval", metavar="DURATION", help="Time between two looks (15s).")
@click.option("--log-level", metavar="LEVEL", help="debug, info, warning or error (info).")
@click.option("--log-format", metavar="FORMAT", help="auto, json or console (auto: JSON unless a terminal).")
@click.option("--dry-run", is_flag=True, help="Say what would be sent, send nothing but looks, and end.")
def run(models: tuple[str, ...], config: Path | None, dry_run: bool, **flags: str | None) -> None:  # noqa: FBT001
    """Keep MODELs resident until stopped.

    Looks at the server every 15 s, warms what is absent, one load at a time, pings each model of ours every 5 min
    without a token, and logs one line a change. MODELs replace those of the configuration file.

    \b
    Examples:
      ollama-keeper run qwen3:8b
      ollama-keeper run qwen3:8b --keep-alive 30m --ollama http://gpu-box:11434
      ollama-keeper run --config /etc/ollama-keeper/config.yaml --dry-run
    """
    from ollama_keeper.lean import lean_imports, settle_what_is_absent

    with lean_imports():
        from ollama_keeper.commands import run as command
    settle_what_is_absent()

    sys.exit(command.run(config, models, _dotted(flags), dry_run=dry_run))


@cli.command(
    epilog=f"Exit codes: 0 all resident; 1 some not; 2 no server answered; {WRONG}",
    short_help="Load MODELs once, in order of importance, and end.",
)
@configured
@kept
@click.option("--wait-server", type=DURATION, default="60s", show_default=True, help="Wait so long for the server.")
@click.option("--timeout", type=DURATION, default="15m", show_default=True, help="Give up after so long in all.")
def warm(models: tuple[str, ...], config: Path | None, wait_server: float, timeout: float, **flags: str | None) -> None:
    """Load MODELs once, one at a time, in order of importance, and end.

    What a running keeper keeps is loaded by it; of a model that it holds back, such as a paused one, it says why.

    \b
    Examples:
      ollama-keeper warm qwen3:8b nomic-embed-text
      ollama-keeper warm --wait-server 2m --timeout 30m
    """
    from ollama_keeper.commands import warm as command

    sys.exit(command.warm(config, models, _dotted(flags), wait_server_s=wait_server, timeout_s=timeout))


@cli.command(
    epilog=f"Exit codes: 0 all ready; 1 not in time; 2 no server answered; {WRONG}",
    short_help="Block until MODELs are resident, and load nothing.",
)
@configured
@click.option("--timeout", type=DURATION, default="15m", show_default=True, help="Give up after so long.")
def wait(models: tuple[str, ...], config: Path | None, timeout: float, **flags: str | None) -> None:
    """Block until MODELs are resident, and load nothing: for the start-up scripts of others.

    \b
    Examples:
      ollama-keeper wait qwen3:8b --timeout 10m && exec ./my-app
    """
    from ollama_keeper.commands import wait as command

    sys.exit(command.wait(config, models, _dotted(flags), timeout_s=timeout))


@cli.command(
    epilog=f"Exit codes: 0 all required models ready; 1 some not; 2 no server answered; {WRONG}",
    short_help="Show models with state, time left and size.",
)
@configured
@click.option("--json", "as_json", is_flag=True, help="For programs: one JSON document.")
@click.option("--watch", is_flag=True, help="Until Ctrl-C; in a pipe whenever something has changed.")
def status(models: tuple[str, ...], config: Path | None, as_json: bool, watch: bool, **flags: str | None) -> None:  # noqa: FBT001
    """Show models with state, since when, what comes next, time left, context, GPU share and size.

    As the running keeper knows them; where none answers, as Ollama itself shows them.

    \b
    Examples:
      ollama-keeper status
      ollama-keeper status qwen3:8b --json
      ollama-keeper status --watch
    """
    from ollama_keeper.commands import status as command

    sys.exit(command.status(config, models, _dotted(flags), as_json=as_json, again=watch))


@cli.command(
    epilog=f"Exit codes: 0 all required models have or get their place; 1 some not; 2 no server answered; {WRONG}",
    short_help="Show what run would do: places, sizes, order of loads.",
)
@configured
@kept
@click.option("--json", "as_json", is_flag=True, help="For programs: one JSON document.")
def plan(models: tuple[str, ...], config: Path | None, as_json: bool, **flags: str | None) -> None:  # noqa: FBT001
    """Show what run would do: which MODELs have a place, what they take, and what would be loaded in which order.

    Looks at the server once and sends nothing else; needs no running keeper. Sizes are as seen, as learned at the last
    load, or estimated. With a budget: what it leaves out.

    \b
    Examples:
      ollama-keeper plan qwen3:8b llama3.3:70b
      ollama-keeper plan --config keeper.yaml --json
    """
    from ollama_keeper.commands import plan as command

    sys.exit(command.plan(config, models, _dotted(flags), as_json=as_json))


@cli.command(
    epilog=f"Exit codes: 0 clean; 1 warnings; 2 errors; {WRONG}",
    short_help="Check the configuration against the live servers.",
)
@configured
@click.option("--json", "as_json", is_flag=True, help="For programs: one JSON document.")
def check(models: tuple[str, ...], config: Path | None, as_json: bool, **flags: str | None) -> None:  # noqa: FBT001
    """Check the configuration against the live servers: what is wrong or will be, why it matters, what to do.

    It only looks. Reachable, version, pulled, kind, budget, context against the Modelfile, clocks, secrets, proxies,
    what others have pinned.

    \b
    Examples:
      ollama-keeper check
      ollama-keeper check qwen3:8b --ollama http://gpu-box:11434 --json
    """
    from ollama_keeper.lean import lean_imports

    with lean_imports():
        from ollama_keeper.commands.check import check as command

    sys.exit(command(config, models, _dotted(flags), as_json=as_json))


@cli.command(
    epilog=f"Exit codes: 0 done; 1 some names are not kept here; 2 no daemon; {WRONG}",
    short_help="Have the running keeper leave MODELs alone.",
)
@click.argument("models", nargs=-1, metavar="[MODEL]...")
@click.option("--all", "everything", is_flag=True, help="All models.")
@click.option("--for", "for_s", type=A_WHILE, help="So long, such as 2h (until resume).")
@click.option("--unload", is_flag=True, help="Take them out of memory now; else the pin is lowered to 5m.")
@click.option("--reason", "note", metavar="TEXT", help="Why; shown by status and in the log.")
@click.option("-c", "--config", type=FILE, metavar="FILE", help="Configuration of the daemon.")
def pause(models: tuple[str, ...], config: Path | None, **wishes: Any) -> None:
    """Have the running keeper leave MODELs alone: to free the GPU for a game, or for good.

    It survives a restart of the keeper, and ends by itself with --for.

    \b
    Examples:
      ollama-keeper pause qwen3:8b --for 2h --unload --reason "a game"
      ollama-keeper pause --all
    """
    from ollama_keeper.commands import control as command

    sys.exit(command.pause(config, models, **wishes))


@cli.command(
    epilog=f"Exit codes: 0 done; 1 some names are not kept here; 2 no daemon; {WRONG}",
    short_help="Have the running keeper keep MODELs again.",
)
@click.argument("models", nargs=-1, metavar="[MODEL]...")
@click.option("--all", "everything", is_flag=True, help="All models, as without MODEL.")
@click.option("-c", "--config", type=FILE, metavar="FILE", help="Configuration of the daemon.")
def resume(models: tuple[str, ...], config: Path | None, *, everything: bool) -> None:
    """Have the running keeper keep MODELs again; all, where none is named.

    \b
    Examples:
      ollama-keeper resume qwen3:8b
      ollama-keeper resume
    """
    from ollama_keeper.commands import control as command

    sys.exit(command.resume(config, models, everything=everything))


@cli.command(
    epilog=f"Exit codes: 0 given back; 1 some not; 2 no server answered; {WRONG}",
    short_help="Give pins back, before uninstalling or moving.",
)
@click.argument("models", nargs=-1, metavar="[MODEL]...")
@click.option("--all", "everything", is_flag=True, help="All models.")
@click.option("--unload", is_flag=True, help="Take them out of memory now; else the pin is lowered to 5m.")
@click.option("-c", "--config", type=FILE, metavar="FILE", help="Configuration.")
def release(models: tuple[str, ...], config: Path | None, everything: bool, unload: bool) -> None:  # noqa: FBT001
    """Give pins back: before uninstalling, or to leave a server as it was found.

    By the daemon where one runs, which then leaves those models alone until resume; else from here, also without a
    configuration. Only what ollama-keeper itself has pinned is touched, and a model in use only once it is idle.

    \b
    Examples:
      ollama-keeper release --all
      ollama-keeper release qwen3:8b --unload
    """
    from ollama_keeper.commands.release import release as command

    sys.exit(command(config, models, everything=everything, unload=unload))


@cli.command(
    epilog=f"Exit codes: 0 asked; 2 no daemon; {WRONG}",
    short_help="Have the running keeper read its configuration anew.",
)
@click.option("-c", "--config", type=FILE, metavar="FILE", help="Configuration of the daemon.")
def reload(config: Path | None) -> None:
    """Have the running keeper read its configuration anew, as SIGHUP does.

    All of it is taken, or none: after a mistake the one before stays.

    \b
    Examples:
      ollama-keeper check --config keeper.yaml && ollama-keeper reload
    """
    from ollama_keeper.commands import control as command

    sys.exit(command.reload(config))


@cli.command(
    "test-alert",
    epilog=f"Exit codes: 0 delivered; 1 some refused; {WRONG}",
    short_help="Send one message to SINK, or to all sinks.",
)
@click.argument("sink", required=False)
@click.option("-c", "--config", type=FILE, metavar="FILE", help="Configuration file.")
def test_alert(sink: str | None, config: Path | None) -> None:
    """Send one message to SINK, or to all sinks, and say exactly what its service answered.

    \b
    Examples:
      ollama-keeper test-alert
      ollama-keeper test-alert team --config /etc/ollama-keeper/config.yaml
    """
    from ollama_keeper.commands import test_alert as command

    sys.exit(command.test_alert(config, sink))


@cli.command(epilog=f"Exit codes: 0 shown; 1 no history; {WRONG}", short_help="Show what happened in the last 30 days.")
@click.option("--since", "since_s", type=DURATION, default="24h", show_default=True, help="How far back.")
@click.option("--model", metavar="MODEL", help="Only of this model.")
@click.option("--server", metavar="NAME", help="Only of this server.")
@click.option("--json", "as_json", is_flag=True, help="Lines of JSON, as in the log.")
@click.option("--follow", is_flag=True, help="And what happens from now on, until Ctrl-C.")
@click.option("-c", "--config", type=FILE, metavar="FILE", help="Configuration of the daemon.")
def events(config: Path | None, **wishes: Any) -> None:
    """Show what happened in the last 30 days, in the words of the log. Needs no running keeper.

    \b
    Examples:
      ollama-keeper events --since 2h
      ollama-keeper events --model qwen3:8b --follow
      ollama-keeper events --json | jq 'select(.event == "model.lost")'
    """
    from ollama_keeper.commands import events as command

    sys.exit(command.events(config, **wishes))


@cli.command(
    epilog=f"Exit codes: 0 told; 1 nothing is recorded of it; {WRONG}",
    short_help="Say why MODEL is as it is, and what comes next.",
)
@click.argument("model")
@click.option("--since", "since_s", type=DURATION, default="24h", show_default=True, help="How far back.")
@click.option("--json", "as_json", is_flag=True, help="For programs: one JSON document.")
@click.option("-c", "--config", type=FILE, metavar="FILE", help="Configuration of the daemon.")
def explain(model: str, config: Path | None, **wishes: Any) -> None:
    """Say why MODEL is as it is: since when, what happened before, what comes next, and the sums.

    Works while the keeper is down too, with what it last recorded.

    \b
    Examples:
      ollama-keeper explain qwen3:8b
      ollama-keeper explain qwen3:8b --since 2h
    """
    from ollama_keeper.commands import explain as command

    sys.exit(command.explain(config, model, **wishes))


@cli.command(
    epilog=f"Exit codes: 0 shown; 1 nothing is recorded; {WRONG}",
    short_help="Show when models were used, by day and hour.",
)
@click.argument("model", required=False)
@click.option("--days", type=click.IntRange(1, 30), default=14, show_default=True, metavar="N", help="How far back.")
@click.option("--json", "as_json", is_flag=True, help="For programs: one JSON document.")
@click.option("-c", "--config", type=FILE, metavar="FILE", help="Configuration of the daemon.")
def usage(model: str | None, config: Path | None, **wishes: Any) -> None:
    """Show when models were used, by day and hour, as far as Ollama shows it; and what could be kept otherwise.

    \b
    Examples:
      ollama-keeper usage
      ollama-keeper usage qwen3:8b --days 7
    """
    from ollama_keeper.commands import usage as command

    sys.exit(command.usage(config, model, **wishes))


@cli.command(epilog=f"Exit codes: 0 live; 1 not; {WRONG}", short_help="Ask a running keeper whether it is live.")
@click.option(
    "--url",
    metavar="URL",
    help="Where it listens (OLLAMA_KEEPER_WEB__LISTEN, else 127.0.0.1:11480; a file is not read).",
)
def healthcheck(url: str | None) -> None:
    """Ask a running keeper whether it is live: for HEALTHCHECK of a container. Says nothing of Ollama.

    \b
    Examples:
      ollama-keeper healthcheck
    """
    from ollama_keeper.commands import healthcheck as command

    sys.exit(command.healthcheck(url))


@cli.command(
    epilog="Exit codes: 0 over, or stopped; 64 wrong command line; 70 a fault of ours.",
    short_help="Watch the keeper at work, without Ollama or a GPU.",
)
@click.option("--for", "seconds", type=A_WHILE, help="How long (until Ctrl-C; in a pipe 60s).")
@click.option("--seed", type=click.IntRange(min=0), metavar="N", help="The same mishaps again.")
@click.option("--json", "as_json", is_flag=True, help="Lines of JSON, also on a terminal.")
def demo(seconds: float | None, seed: int | None, as_json: bool) -> None:  # noqa: FBT001
    """Watch the keeper at work on a simulated Ollama: no Ollama, no GPU, no models needed.

    Every few seconds something goes wrong, on it and on a second server that nobody keeps: a guest takes the memory,
    somebody types ollama stop, a runner dies, the server restarts. Nothing is written, and nothing of yours is touched.

    In a pipe: the events of run as JSON, and demo.started, demo.mishap, and at the end demo.tally, which counts from
    when all models are there.

    \b
    Examples:
      ollama-keeper demo
      ollama-keeper demo --for 60s --seed 7
      ollama-keeper demo --for 30s --json | jq .event
    """
    from ollama_keeper.commands import demo as command

    sys.exit(command.demo(seconds=seconds, seed=seed, as_json=as_json))


@cli.command(
    short_help="Play an Ollama server, to try things on.",
    epilog=f"Exit codes: 0 stopped; 1 the address is taken; {WRONG}",
)
@click.option("--listen", default="127.0.0.1:11999", show_default=True, metavar="HOST:PORT", help="Where to listen.")
@click.option("--models", "catalogue", type=FILE, metavar="FILE", help="Models to play, YAML or JSON.")
@click.option("--version", default="0.33.0", show_default=True, metavar="VERSION", help="Version of Ollama to play.")
@click.option(
    "--max-loaded", type=click.IntRange(min=0), default=0, metavar="N", help="OLLAMA_MAX_LOADED_MODELS (0: 3)."
)
@click.option("--memory", metavar="SIZE", help="GPU memory, such as 24GiB.")
@click.option("--load-time", type=DURATION, help="Time that every load takes.")
def simulate(listen: str, catalogue: Path | None, **settings: Any) -> None:
    """Play an Ollama server without models or a GPU, to try the keeper and your clients on.

    It follows a real server in scheduling, evictions, keep_alive and answers. Mishaps and its history: /-/ of its
    address.

    \b
    Examples:
      ollama-keeper simulate &
      ollama-keeper run qwen3:8b --ollama http://127.0.0.1:11999
    """
    from ollama_keeper.commands import simulate as command

    sys.exit(command.simulate(listen, catalogue, **settings))


@cli.group()
def config() -> None:
    """Show, describe or begin a configuration file."""


@config.command("show", short_help="Print the configuration in effect.", epilog=f"Exit codes: 0 shown; {WRONG}")
@configured
def config_show(models: tuple[str, ...], config: Path | None, **flags: str | None) -> None:
    """Print the configuration in effect: defaults, file, environment and flags put together; secrets are not read.

    \b
    Examples:
      ollama-keeper config show
      ollama-keeper config show --config keeper.yaml
    """
    from ollama_keeper.commands import config as command

    sys.exit(command.show(config, models, _dotted(flags)))


@config.command("schema", short_help="Print the JSON schema of the file, for editors.")
def config_schema() -> None:
    """Print the JSON schema of the configuration file, for editors.

    \b
    Examples:
      ollama-keeper config schema > keeper.schema.json
    """
    from ollama_keeper.commands import config as command

    sys.exit(command.schema())


@config.command(
    "init",
    short_help="Write a commented configuration file.",
    epilog=f"Exit codes: 0 written; 1 the file is there, or cannot be written; 2 no server answered; {WRONG}",
)
@click.option("-o", "--output", type=FILE, metavar="FILE", help="Where to write; '-' prints it.")
@click.option("--ollama", metavar="URL", help="The server to read, instead of OLLAMA_HOST or http://127.0.0.1:11434.")
@click.option("--force", is_flag=True, help="Write over a file that is there.")
def config_init(output: Path | None, ollama: str | None, force: bool) -> None:  # noqa: FBT001
    """Write a commented configuration file: the server's resident models wanted, the rest of it to choose from.

    \b
    Examples:
      ollama-keeper config init
      ollama-keeper config init -o keeper.yaml --ollama http://gpu-box:11434
    """
    from ollama_keeper.commands import config as command

    sys.exit(command.init(output, ollama, force=force))


@cli.group()
def install() -> None:
    """Write what this machine needs to run it."""


@install.command(
    "systemd",
    short_help="Write the units of systemd; nothing is started.",
    epilog="Exit codes: 0 written; 1 cannot be written; 64 wrong command line.",
)
@click.option("--user", is_flag=True, help="For this user only, in ~/.config/systemd/user.")
@click.option("--dry-run", is_flag=True, help="Print the units, write nothing.")
@click.option("-c", "--config", type=FILE, metavar="FILE", help="Configuration that they read.")
def install_systemd(user: bool, dry_run: bool, config: Path | None) -> None:  # noqa: FBT001
    """Write the units of systemd and say what to do with them; nothing is started.

    The daemon, sandboxed under a user of its own; a unit that only warms at boot; a timer for those who want cron.

    \b
    Examples:
      sudo ollama-keeper install systemd
      ollama-keeper install systemd --user --dry-run
    """
    from ollama_keeper.commands.install import install_systemd as command

    sys.exit(command(user=user, dry_run=dry_run, config=config))


@cli.command(short_help="Print the completion script of a SHELL.")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print the completion script of a SHELL.

    \b
    Examples:
      eval "$(ollama-keeper completion bash)"
      ollama-keeper completion fish >~/.config/fish/completions/ollama-keeper.fish
    """
    from click.shell_completion import get_completion_class

    completer = get_completion_class(shell)
    if completer is None:
        raise click.UsageError(f"no completion for {shell}")
    click.echo(completer(cli, {}, "ollama-keeper", "_OLLAMA_KEEPER_COMPLETE").source())


def main() -> NoReturn:
    """Runs the command line and ends the process with the exit code of CONTRACT 7."""
    try:
        code = cli.main(prog_name="ollama-keeper", standalone_mode=False)
    except click.UsageError as error:
        error.show()
        sys.exit(EXIT_USAGE)
    except click.ClickException as error:
        error.show()
        sys.exit(EXIT_USAGE)
    except (click.Abort, KeyboardInterrupt):
        sys.exit(EXIT_INTERRUPTED)
    except OSError as error:
        if error.errno not in UNWRITABLE:
            raise
        click.echo(f"ollama-keeper: what is shown cannot be written: {str(error.strerror).lower()}", err=True)
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # for the flush at the end of the process
        sys.exit(EXIT_UNWRITTEN)
    sys.exit(code if isinstance(code, int) else 0)


def _short(value: object) -> str:
    """What was written, cut where it is long."""
    text = str(value)
    return repr(text) if len(text) <= LONGEST_SHOWN else f"{text[:LONGEST_SHOWN]!r}…"


def _dotted(flags: dict[str, str | None]) -> dict[str, object]:
    """Flags as keys of the configuration: `log_level` is `log.level`."""
    names = {"log_level": "log.level", "log_format": "log.format"}
    return {names.get(name, name): value for name, value in flags.items() if value is not None}
