"""What a keeper costs while all is well: ten models, a look each 15 s; as it comes, and with everything on."""

import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from http.client import HTTPConnection
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.child import cpu_s, memory_mib
from bench.number import Number
from bench.surface import asked
from tests.kit.proc import Child, Simulated, World, free_port
from tests.kit.receiver import receiving

MODELS = 10
SECONDS = 60.0
SETTLED_S = 3.0
AS_IT_COMES: dict[str, str] = {}  # with its page
TARGET_MIB = 60
TARGET_PERCENT = 0.5
TARGET_ALL_MIB = 65
SINKS = ("feishu", "wecom", "dingtalk", "webhook")
PATHS = ("/", "/status", "/history", "/metrics")
PAGES = 48
TOLD_S = 120.0  # alerts of models wait for 90 s after the first look
ABSENT = "absent:1b"


def measure() -> Iterator[Number]:
    """RSS at the end and CPU over a minute that begins when all models are ready."""
    with TemporaryDirectory() as home, World(Path(home), AS_IT_COMES) as world:
        server, keeper = _kept(world)
        looks, began, used = len(server.requests("/api/ps")), time.monotonic(), cpu_s(keeper.pid)
        time.sleep(SECONDS)
        percent = 100 * (cpu_s(keeper.pid) - used) / (time.monotonic() - began)
        looked = len(server.requests("/api/ps")) - looks
        peak = memory_mib(keeper.pid, "VmHWM")
        yield Number("10 models, RSS", memory_mib(keeper.pid), "MiB", TARGET_MIB, f"{peak:.1f} at its largest")
        yield Number("10 models, CPU", percent, "% of a core", TARGET_PERCENT, f"{looked} looks in {SECONDS:.0f} s")


def everything() -> Iterator[Number]:
    """RSS after a page was open for two minutes, pages were read, and a trouble was told to all sinks."""
    port = free_port()
    listen = {"OLLAMA_KEEPER_WEB__LISTEN": f"127.0.0.1:{port}"}
    with TemporaryDirectory() as home, World(Path(home), listen) as world, ExitStack() as stack:
        hooks = {kind: stack.enter_context(receiving(kind)) for kind in SINKS}
        config = _alerting(world, {kind: hook.url for kind, hook in hooks.items()})
        _, keeper = _kept(world, ABSENT, "--config", str(config))
        page = HTTPConnection("127.0.0.1", port)
        stack.callback(page.close)
        page.request("GET", "/events")
        for number in range(PAGES):
            asked(port, PATHS[number % len(PATHS)])
            time.sleep(TOLD_S / PAGES)
        told = sum(len(hook.service.taken) for hook in hooks.values())
        peak = memory_mib(keeper.pid, "VmHWM")
        note = f"{peak:.1f} at its largest; {PAGES} pages, {told} messages to {len(hooks)} sinks"
        yield Number("10 models, all on, RSS", memory_mib(keeper.pid), "MiB", TARGET_ALL_MIB, note)


def _kept(world: World, *more: str) -> tuple[Simulated, Child]:
    """A keeper whose ten models are ready, and their server."""
    names = [f"model-{number}:8b" for number in range(MODELS)]
    catalogue = world.home / "models.yaml"
    catalogue.write_text("models:\n" + "".join(f"- {{name: '{name}', load_time: 100ms}}\n" for name in names))
    server = world.simulate("--models", str(catalogue), "--max-loaded", str(MODELS))
    keeper = world.run(*names, "--ollama", server.url, *more)
    for _ in names:
        keeper.until("model.ready")
    time.sleep(SETTLED_S)
    return server, keeper


def _alerting(world: World, urls: Mapping[str, str]) -> Path:
    """A configuration in which a model that is not there is told to all sinks within seconds."""
    for kind, url in urls.items():
        (world.home / kind).write_text(url, encoding="utf-8")
    sinks = "".join(f"    - {{name: {kind}, type: {kind}, url_file: {kind}}}\n" for kind in urls)
    config = world.home / "config.yaml"
    config.write_text("alerts:\n  for: {missing: 1s}\n  sinks:\n" + sinks, encoding="utf-8")
    return config
