"""FAULTS F10: every secret is another canary, and whoever is asked sends back all that he was sent: none is told."""

import base64
import json
import signal
import threading
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.kit.checks import CANARY
from tests.kit.living import page, survived
from tests.kit.proc import Child, World, free_port

QWEN = "qwen3:8b"
TOKEN = f"{CANARY}-4f1c0a86e2b97d355c8e0f6a1b3d7942"
TOLD_S = 60.0  # what lasts is gathered for 10 s
SINKS = {
    "webhook": f"/hook/{CANARY}-in-the-path",
    "feishu": f"/open-apis/bot/v2/hook/{CANARY}-of-feishu",
    "lark": f"/open-apis/bot/v2/hook/{CANARY}-of-lark",
    "wecom": f"/cgi-bin/webhook/send?key={CANARY}-of-wecom",
    "dingtalk": f"/robot/send?access_token={CANARY}-of-dingtalk",
}
PROXY = base64.b64encode(f"me:{CANARY}-of-a-proxy".encode()).decode()
SENT = (
    *(f"{CANARY}-{name}" for name in ("of-a-server", "of-a-header", "basic")),
    *(path[path.index(CANARY) :] for path in SINKS.values()),
    PROXY,
)
PAGES = ("/", "/status", "/metrics", "/history", "/about", "/readyz", f"/readyz/{QWEN}", "/livez", f"/{CANARY[:4]}")
MISTAKES = f"""\
token: {CANARY}
headers: {{Authorization Bearer {CANARY}}}
proxy: me:{CANARY}@proxy
ollama: http://me:{CANARY}@127.0.0.1:1
heartbeat_url_file: https://hc-ping.com/{CANARY}
"""
COMMANDS = (
    ("status",),
    ("status", "--json"),
    ("events",),
    ("events", "--json"),
    ("explain", QWEN),
    ("explain", QWEN, "--json"),
    ("usage",),
    ("check", "--json"),
    ("check",),
    ("plan", "--json"),
    ("config", "show"),
    ("warm", QWEN, "--timeout", "1s"),
    ("run", "--dry-run", "--log-level", "wrong"),
    ("test-alert",),
)


class _Echo(BaseHTTPRequestHandler):
    """Refuses everything, and shows in the reason all that was sent: address, headers and body."""

    def answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        told = f"{self.path} {' '.join(f'{name}: {value}' for name, value in self.headers.items())} {body.decode()}"
        self.server.heard.append(told)  # type: ignore[attr-defined]
        content = json.dumps({"error": told, "code": 19001, "msg": told, "errcode": 93000, "errmsg": told}).encode()
        self.send_response(self.server.status)  # type: ignore[attr-defined]
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = do_CONNECT = answer  # noqa: N815 - the names that http.server calls

    def log_message(self, *_: Any) -> None:
        """Says nothing."""


@contextmanager
def echo(status: int) -> Iterator[ThreadingHTTPServer]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Echo)
    server.status, server.heard = status, []  # type: ignore[attr-defined]
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()


@pytest.mark.process
def test_fault_F10_whoever_is_asked_sends_our_secrets_back(world: World) -> None:
    server = world.simulate("--load-time", "100ms")
    address = f"127.0.0.1:{free_port()}"
    with ExitStack() as stack:
        echoes = [stack.enter_context(echo(status)) for status in (500, 400, 200)]
        file = configured(world, server.url, *(f"127.0.0.1:{one.server_port}" for one in echoes))
        keeper = world.run("--config", str(file), OLLAMA_KEEPER_WEB__LISTEN=address)
        keeper.until("model.ready", server="good")
        stream = HTTPConnection(address)
        stack.callback(stream.close)
        stream.request("GET", "/events")
        told = [commanded(address, f"{CANARY}-wrong"), commanded(address, TOKEN)]
        for sink in SINKS:
            wait_for_sink(keeper, sink)
        good = file.read_text()
        file.write_text(good + MISTAKES)
        keeper.until("config.rejected")
        told += [page(address, path)[1] for path in PAGES]
        told += [shown(world, file, *command) for command in COMMANDS]  # each tells all of the mistakes
        file.write_text(good)
        told += [shown(world, file, *command) for command in COMMANDS]
        told += [Path(f"/proc/{keeper.pid}/cmdline").read_text()]
        keeper.signal(signal.SIGTERM)
        assert keeper.ended() == 0
        told += [stream.getresponse().read().decode()]
        heard = "\n".join(text for one in echoes for text in one.heard)  # type: ignore[attr-defined]
    told += [path.read_bytes().decode(errors="replace") for path in (world.home / "state").iterdir()]
    output = "\n".join(told)
    assert [secret for secret in SENT if secret not in heard] == [], "who was not sent it cannot send it back"
    assert [secret for secret in SENT if secret in output + json.dumps(keeper.events)] == []
    survived(server, keeper, told=output)


def configured(world: World, good: str, fails: str, refuses: str, denies: str) -> Path:
    """A configuration in which all that can be secret is, and all but one server and every sink sends it back."""
    files = {"token": f"{CANARY}-of-a-server", "secret": f"{CANARY}-that-signs", "control": TOKEN}
    hosts = dict(zip(SINKS, (fails, refuses, fails, denies, denies), strict=True))
    files |= {f"{kind}-url": f"http://{hosts[kind]}{path}" for kind, path in SINKS.items()}
    for name, text in files.items():
        (world.home / name).write_text(text)
        (world.home / name).chmod(0o600)
    sinks = [f"    - {{name: {kind}, type: {kind}, url_file: {kind}-url{signed(kind)}}}" for kind in SINKS]
    lines = [
        "servers:",
        f"  - {{name: good, url: {good}, token_file: token, headers: {{X-Key: {CANARY}-of-a-header}}}}",
        f"  - {{name: fails, url: 'http://{fails}', token_file: token, headers: {{X-Key: {CANARY}-of-a-header}}}}",
        f"  - {{name: refuses, url: 'http://{refuses}', headers: {{Authorization: Basic {CANARY}-basic}}}}",
        f"  - {{name: far, url: 'http://localhost:1', proxy: 'http://me:{CANARY}-of-a-proxy@{fails}'}}",
        f"models: [{QWEN}]",
        "interval: 1s",
        "state_dir: state",
        "log: {level: debug}",
        "web: {token_file: control}",
        "alerts:",
        "  for: 1s",
        "  sinks:",
        *sinks,
    ]
    file = world.home / "config.yaml"
    file.write_text("\n".join(lines) + "\n")
    return file


def signed(kind: str) -> str:
    return "" if kind == "wecom" else ", secret_file: secret"


def wait_for_sink(keeper: Child, sink: str) -> None:
    """Until a message to it was refused."""
    while not any(one.get("sink") == sink for one in keeper.events):
        line = keeper.line(limit_s=TOLD_S)
        assert line is not None
        keeper.events.append(json.loads(line))


def commanded(address: str, token: str) -> str:
    connection = HTTPConnection(address, timeout=TOLD_S)
    headers = {"authorization": f"Bearer {token}", "content-type": "application/json", "x-ollama-keeper": "1"}
    connection.request("POST", "/control/resume", json.dumps({"by": "a test"}), headers)
    answer = connection.getresponse()
    with closing(connection):
        return f"{answer.status} {answer.headers} {answer.read().decode()}"


def shown(world: World, file: Path, *command: str) -> str:
    done = world.do(*command, "--config", str(file))
    return f"{command} {done.code} {done.out} {done.err}"
