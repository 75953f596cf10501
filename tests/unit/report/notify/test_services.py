"""Every service takes our messages as its strict stand-in does, and every refusal of it is understood."""

import json
from base64 import b64encode
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from ollama_keeper.core.delivery import Delivered, Kind, Outcome, Refused
from ollama_keeper.core.reasons import Alert, Undelivered
from ollama_keeper.report.notify.compose import compose, trial
from ollama_keeper.report.notify.dispatch import Dispatch
from ollama_keeper.report.notify.letter import Letter
from ollama_keeper.report.notify.postman import Postman
from tests.kit.letters import NOON, item, sink
from tests.kit.services import PATHS, SECRET, TOKEN, Asked, Reply, Service, Services, made, said

KINDS = ["webhook", "feishu", "lark", "wecom", "dingtalk"]
SIGNED = ["webhook", "feishu", "lark", "dingtalk"]
LETTER = compose([item(), item(Kind.RESOLVED, alert=Alert.SERVER_DOWN, model="")], NOON, "en")


def now() -> datetime:
    return datetime.now(UTC)


async def deliver(
    service: Service, kind: str, folder: Path, *, letter: Letter = LETTER, signed: bool = False
) -> Outcome:
    """One letter to one service, over its own form."""
    dispatch = Dispatch(sink(kind, folder, signed=signed), Postman(Services(**{kind: service})), now)
    return await dispatch.deliver(letter)


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("kind", KINDS)
async def test_a_letter_is_taken(kind: str, language: str, tmp_path: Path) -> None:
    service, letter = made(kind), compose([item()], NOON, language)
    assert isinstance(await deliver(service, kind, tmp_path, letter=letter), Delivered)
    assert "qwen3:8b" in service.taken[0].text


async def test_each_alert_of_a_webhook_has_words_of_its_own(tmp_path: Path) -> None:
    service = made("webhook")
    await deliver(service, "webhook", tmp_path)
    lost, over = (alert["annotations"] for alert in service.taken[0].document["alerts"])
    assert lost["summary"] == "qwen3:8b on gpu is not resident"
    assert "What you can do: " in lost["description"]
    assert over["summary"].startswith("gpu: answers again; the trouble lasted ")


@pytest.mark.parametrize("kind", SIGNED)
async def test_a_signature_is_as_the_service_makes_it(kind: str, tmp_path: Path) -> None:
    service = made(kind, secret=SECRET)
    assert isinstance(await deliver(service, kind, tmp_path, signed=True), Delivered)


@pytest.mark.parametrize("kind", SIGNED)
async def test_a_wrong_signature_is_an_auth_failure_that_may_end(kind: str, tmp_path: Path) -> None:
    outcome = await deliver(made(kind, secret="another"), kind, tmp_path, signed=True)
    assert isinstance(outcome, Refused)
    assert (outcome.reason, outcome.final) == (Undelivered.AUTH, False)


@pytest.mark.parametrize("kind", SIGNED)
async def test_a_message_without_its_signature_is_refused(kind: str, tmp_path: Path) -> None:
    outcome = await deliver(made(kind, secret=SECRET), kind, tmp_path)
    assert isinstance(outcome, Refused)
    assert outcome.reason is Undelivered.AUTH


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("kind", KINDS)
async def test_a_storm_fits_into_what_the_service_takes_and_the_rest_is_counted(
    kind: str, language: str, tmp_path: Path
) -> None:
    service = made(kind)
    storm = [item(model=f"model-{number}-{'x' * 40}", server=f"server-{number}") for number in range(1_000)]
    outcome = await deliver(service, kind, tmp_path, letter=compose(storm, NOON, language))
    assert isinstance(outcome, Delivered), outcome
    document = service.taken[0].document
    told = json.dumps(document, ensure_ascii=False)
    assert "1000" in told
    assert ("more, not shown here" in told) or ("条未显示" in told) or document.get("truncatedAlerts") == 800


@pytest.mark.parametrize("kind", KINDS)
async def test_a_letter_of_one_endless_part_is_cut(kind: str, tmp_path: Path) -> None:
    letter = replace(LETTER, parts=('很长的消息<&"' * 9_000,))
    assert isinstance(await deliver(made(kind), kind, tmp_path, letter=letter), Delivered)


@pytest.mark.parametrize("kind", KINDS)
async def test_a_template_is_the_text(kind: str, tmp_path: Path) -> None:
    service = made(kind)
    letter = compose([item()], NOON, "en", "on duty: $models of $servers ($status), $$5")
    await deliver(service, kind, tmp_path, letter=letter)
    assert "on duty: qwen3:8b of gpu (firing), $5" in json.dumps(service.taken[0].document, ensure_ascii=False)


@pytest.mark.parametrize("kind", KINDS)
async def test_the_message_of_test_alert_is_taken(kind: str, tmp_path: Path) -> None:
    assert isinstance(await deliver(made(kind), kind, tmp_path, letter=trial(NOON, "zh", None)), Delivered)


HTML: Reply = (200, {"content-type": "text/html"}, b"<!DOCTYPE html><html>log in</html>")
Row = tuple[str, Reply, Undelivered, bool, float | None]
ANSWERS: list[Row] = [
    ("feishu", said(19024, "Key Words Not Found", key="code", words="msg"), Undelivered.REJECTED, False, None),
    ("feishu", said(19001, "invalid", key="code", words="msg"), Undelivered.CLIENT_ERROR, True, None),
    ("feishu", said(11232, "frequency limited", key="code", words="msg"), Undelivered.RATE_LIMITED, False, 60.0),
    ("feishu", said(9499, "too many request", key="code", words="msg"), Undelivered.RATE_LIMITED, False, 60.0),
    ("feishu", said(9499, "Bad Request", key="code", words="msg"), Undelivered.REJECTED, False, None),
    ("lark", said(19022, "Ip Not Allowed", key="code", words="msg"), Undelivered.AUTH, False, None),
    ("feishu", said(11232, "limited", key="code", words="msg", status=400), Undelivered.RATE_LIMITED, False, 60.0),
    ("wecom", said(45009, "api freq out of limit"), Undelivered.RATE_LIMITED, False, 60.0),
    ("wecom", said(93000, "invalid webhook url"), Undelivered.CLIENT_ERROR, True, None),
    ("wecom", said(40058, "too long"), Undelivered.REJECTED, False, None),
    ("dingtalk", said(130101, "send too fast"), Undelivered.RATE_LIMITED, False, 600.0),
    ("dingtalk", said(660026, "limited"), Undelivered.RATE_LIMITED, False, 600.0),
    ("dingtalk", said(310000, "sign not match"), Undelivered.AUTH, False, None),
    ("dingtalk", said(300005, "token is not exist"), Undelivered.CLIENT_ERROR, True, None),
    *[(kind, HTML, Undelivered.REJECTED, False, None) for kind in KINDS],
    *[(kind, (404, {}, b""), Undelivered.CLIENT_ERROR, True, None) for kind in KINDS],
    *[(kind, (302, {"location": "http://10.0.0.1/"}, b""), Undelivered.CLIENT_ERROR, True, None) for kind in KINDS],
    *[(kind, (503, {}, b""), Undelivered.SERVER_ERROR, False, None) for kind in KINDS],
    *[(kind, (429, {"retry-after": "7"}, b""), Undelivered.RATE_LIMITED, False, 7.0) for kind in KINDS],
    *[(kind, (200, {}, b""), Undelivered.REJECTED, False, None) for kind in KINDS if kind != "webhook"],
    *[(kind, (200, {}, b"{}"), Undelivered.REJECTED, False, None) for kind in KINDS if kind != "webhook"],
]


@pytest.mark.parametrize("row", ANSWERS, ids=lambda row: f"{row[0]}-{row[1][0]}-{row[1][2][:20].decode()}")
async def test_an_answer_means_what_the_service_means_by_it(row: Row, tmp_path: Path) -> None:
    kind, reply, reason, final, wait_s = row
    outcome = await deliver(Service(made(kind).check, always=reply), kind, tmp_path)
    assert isinstance(outcome, Refused)
    assert (outcome.reason, outcome.final, outcome.retry_after_s) == (reason, final, wait_s)
    code = json.loads(reply[2]) if reply[2].startswith(b'{"') else {}
    assert all(str(code[key]) in outcome.detail for key in ("code", "errcode") if key in code)


async def test_an_older_feishu_says_its_code_otherwise(tmp_path: Path) -> None:
    reply = said(0, "success", key="StatusCode", words="StatusMessage")
    assert isinstance(await deliver(Service(made("feishu").check, always=reply), "feishu", tmp_path), Delivered)


async def test_a_rate_limit_of_a_service_is_told(tmp_path: Path) -> None:
    service = made("wecom")
    outcomes = [await deliver(service, "wecom", tmp_path) for _ in range(21)]
    assert all(isinstance(outcome, Delivered) for outcome in outcomes[:20])
    assert outcomes[20] == Refused(Undelivered.RATE_LIMITED, "errcode 45009: api freq out of limit", 60.0)


@pytest.mark.parametrize("kind", KINDS)
async def test_no_answer_in_ten_seconds_is_a_timeout(kind: str, tmp_path: Path) -> None:
    outcome = await deliver(Service(made(kind).check, hangs=True), kind, tmp_path)
    assert outcome == Refused(Undelivered.TIMEOUT, "no answer within 10 s")


async def test_a_service_that_is_not_there_is_unreachable(tmp_path: Path) -> None:
    outcome = await deliver(Service(made("feishu").check, down=True), "feishu", tmp_path)
    assert outcome == Refused(Undelivered.UNREACHABLE, "no connection")


# --- secrets ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
async def test_an_answer_that_shows_the_url_is_told_without_it(kind: str, tmp_path: Path) -> None:
    echo = f"no such thing: https://{kind}.test{PATHS[kind]} {SECRET if kind in SIGNED else ''}"
    for reply in ((404, {}, echo.encode()), said(7, echo), said(7, echo, key="code", words="msg")):
        outcome = await deliver(Service(made(kind).check, always=reply), kind, tmp_path, signed=kind in SIGNED)
        assert TOKEN not in repr(outcome)
        assert SECRET not in repr(outcome)


async def test_words_of_a_path_are_no_secrets(tmp_path: Path) -> None:
    said_no = said(93000, f"invalid webhook url {TOKEN}")
    outcome = await deliver(Service(made("wecom").check, always=said_no), "wecom", tmp_path)
    assert isinstance(outcome, Refused)
    assert outcome.detail == "errcode 93000: invalid webhook url [hidden]"


@pytest.mark.parametrize("before", [150, 185, 200, 210, 500])
@pytest.mark.parametrize("kind", KINDS)
async def test_a_url_at_the_end_of_what_is_told_is_not_told_in_part(kind: str, before: int, tmp_path: Path) -> None:
    text = f"{'x' * before} {TOKEN} {TOKEN} {TOKEN}"
    for reply in ((404, {}, text.encode()), said(7, text), said(7, text, key="code", words="msg")):
        assert TOKEN[:6] not in repr(await deliver(Service(made(kind).check, always=reply), kind, tmp_path))


async def test_name_and_password_of_a_url_are_sent_and_not_told(tmp_path: Path) -> None:
    sent = b64encode(b"me:p@ss-w0rd").decode()

    def check(_: Service, asked: Asked) -> Reply:
        assert (asked.headers["authorization"], asked.headers["host"]) == (f"Basic {sent}", "webhook.test:8443")
        return 403, {}, f"no: {asked.headers['authorization']} p@ss-w0rd p%40ss-w0rd".encode()

    settings = sink("webhook", tmp_path)
    settings.url_file.write_text("https://me:p%40ss-w0rd@webhook.test:8443/")
    outcome = await Dispatch(settings, Postman(Services(webhook=Service(check))), now).deliver(LETTER)
    assert outcome == Refused(
        Undelivered.CLIENT_ERROR, "HTTP 403: no: Basic [hidden] [hidden] [hidden]", None, final=True
    )


async def test_files_are_read_anew_for_each_message(tmp_path: Path) -> None:
    service = made("feishu", secret="another")
    settings = sink("feishu", tmp_path, signed=True)
    dispatch = Dispatch(settings, Postman(Services(feishu=service)), now)
    assert isinstance(await dispatch.deliver(LETTER), Refused)
    (tmp_path / "feishu-secret").write_text("another\n")
    assert isinstance(await dispatch.deliver(LETTER), Delivered)


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("", "is empty"),
        ("a\nb\n", "is not one line of text"),
        ("ftp://x/y", "holds no http(s) URL"),
        ("hunter2", "holds no http(s) URL"),
        ("http://[::1", "holds no http(s) URL"),
    ],
)
async def test_a_file_that_cannot_be_used_is_named_and_not_shown(text: str, what: str, tmp_path: Path) -> None:
    settings = sink("feishu", tmp_path)
    settings.url_file.write_text(text)
    outcome = await Dispatch(settings, Postman(Services()), now).deliver(LETTER)
    assert isinstance(outcome, Refused)
    assert outcome.detail == f"url_file: {settings.url_file} {what}"
    assert not outcome.final


@pytest.mark.parametrize(
    "host",
    ["169.254.169.254", "[fe80::1]", "[::ffff:169.254.169.254]", "0.0.0.0", "[fd00:ec2::254]", "100.100.100.200"],
)
async def test_an_address_that_hands_out_credentials_is_refused(host: str, tmp_path: Path) -> None:
    settings, service = sink("webhook", tmp_path), made("webhook")
    settings.url_file.write_text(f"http://{host}/latest/meta-data")
    outcome = await Dispatch(settings, Postman(Services(**{host: service})), now).deliver(LETTER)
    assert outcome == Refused(Undelivered.CLIENT_ERROR, "its address is link-local, which is refused", None, True)
    assert service.asked == []
