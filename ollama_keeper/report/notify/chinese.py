"""Alerts in Simplified Chinese, with full-width punctuation."""

from collections.abc import Callable, Mapping, Sequence

from ollama_keeper.core.alerting import Incident, lasted_s
from ollama_keeper.core.reasons import Alert, Cause, Failure, Reason, Undelivered
from ollama_keeper.core.units import show_size
from ollama_keeper.report.notify.language import FIRST_NAMES, Language, Told, clock, number_of, told

EXPLAIN = "运行 ollama-keeper status 查看详情"

REASONS: Mapping[str, str] = {
    Cause.SERVER_RESTARTED: "服务器重启过",
    Cause.UNOBSERVED: "在无人观察时被卸载",
    Cause.EXPIRED: "驻留时间已到",
    Cause.DISPLACED: "被另一个模型挤出",
    Cause.MEMORY_SWEEP: "与其他模型一起被清出",
    Cause.UNLOADED: "被卸载",
    Cause.FIRST_SEEN: "启动时未驻留",
    Cause.BY_COMMAND: "按命令加载",
    Cause.AHEAD_OF_HOURS: "驻留时段即将开始",
    Reason.CLOUD_MODEL: "在云端运行",
    Reason.IMAGE_MODEL: "图像模型，无法驻留",
    Reason.SAME_WEIGHTS: "与另一个模型权重相同",
    Reason.BAD_REQUEST: "Ollama 认为请求有误",
    Reason.NOT_PULLED: "尚未拉取",
    Reason.BEING_PULLED: "正在拉取",
    Reason.FIRST_LOOK: "尚未查看",
    Reason.STALE: "最近一次有效查看已过期",
    Reason.SERVER_DOWN: "服务器无响应",
    Reason.OUTSIDE_HOURS: "不在驻留时段内",
    Reason.MEMORY_BUDGET: "显存预算已分给更高优先级的模型",
    Reason.MODEL_BUDGET: "模型数量预算已分给更高优先级的模型",
    Reason.ON_CPU: "在 CPU 上运行",
    Reason.PARTLY_ON_CPU: "部分在 CPU 上运行",
    Reason.OTHER_CONTEXT: "上下文长度不符",
    Reason.OTHER_DIGEST: "加载的是旧版本",
    Reason.PROBE_FAILED: "探测失败",
    Reason.NEVER_ANSWERS: "已列出，但从不应答",
    Reason.EVICTS_WANTED: "加载它会挤出优先级更高的模型",
    Reason.SWEEPS_WANTED: "加载它会清出所有其他模型",
    Reason.SERVER_FULL: "服务器已满",
    Reason.GUEST_ACTIVE: "另一个模型正在使用",
    Reason.BREAKER_OPEN: "加载失败次数过多",
    Reason.HOUR_LIMIT: "一小时内加载失败次数过多",
    Reason.UNLOAD_GRACE: "暂时不作处理",
    Reason.RELEASED: "已归还",
    Reason.SERVER_BUSY: "服务器繁忙",
    Reason.SCHEDULER_HUNG: "Ollama 的调度器卡死",
    Reason.OBSERVED_ONLY: "只观察，不加载",
    Reason.BEHIND_LOAD: "等待另一次加载完成",
    Failure.DNS: "域名无法解析",
    Failure.CONNECT_REFUSED: "连接被拒绝",
    Failure.UNREACHABLE: "网络不可达",
    Failure.CONNECT_TIMEOUT: "连接超时",
    Failure.RESET: "连接被中断",
    Failure.TLS: "TLS 证书不可信",
    Failure.READ_TIMEOUT: "应答超时",
    Failure.HTTP_4XX: "请求被拒绝（如令牌错误）",
    Failure.HTTP_429: "请求过多",
    Failure.HTTP_5XX: "服务器内部错误",
    Failure.REDIRECT: "被重定向到别处",
    Failure.NOT_JSON: "应答不是 JSON",
    Failure.BAD_SHAPE: "应答不像是 Ollama 的",
    Failure.TOO_LARGE: "应答过大",
    Failure.HOST_REJECTED: "不接受该主机名",
    Failure.NOT_FOUND: "服务器上没有该模型",
    Failure.OUT_OF_MEMORY: "显存或内存不足",
    Failure.RUNNER_DIED: "运行进程已退出",
    Failure.LOAD_STALLED: "加载没有进展",
    Failure.LOAD_FAILED: "加载失败",
    Failure.LOAD_TIMEOUT: "加载超过 load_timeout",
    Undelivered.CLIENT_ERROR: "地址或消息有误",
    Undelivered.AUTH: "未通过验证",
    Undelivered.RATE_LIMITED: "发送过于频繁",
    Undelivered.SERVER_ERROR: "对方服务出错",
    Undelivered.REJECTED: "对方拒收",
    Undelivered.TIMEOUT: "应答超时",
}


# --- what happened ----------------------------------------------------------------------------------------------------


def _who(incident: Incident) -> str:
    subject = incident.subject
    return f"{subject.server} 上的 {subject.model}" if subject.model else subject.server


def _phrase(value: object) -> str:
    return REASONS.get(str(value), str(value).replace("_", " "))


def _reason(incident: Incident) -> str:
    return f"：{REASONS[incident.reason]}" if incident.reason else ""


def _lost(incident: Incident) -> str:
    facts = told(incident)
    if "failure" in facts:
        return f"{_who(incident)} 未驻留：加载失败，{_phrase(facts['failure'])}"
    if "displaced_by" in facts:
        return f"{_who(incident)} 未驻留：被 {facts['displaced_by']} 挤出"
    why = facts.get("cause")
    return f"{_who(incident)} 未驻留" + (f"：{_phrase(why)}" if why else _reason(incident))


def _cold(incident: Incident) -> str:
    took = number_of(told(incident), "load_s")
    return f"{_who(incident)} 经历了一次冷启动" + (f"，耗时 {span(took)}" if took else "")


def _contended(incident: Incident) -> str:
    facts = told(incident)
    own, other = _sized(facts, "size_bytes"), _sized(facts, "with_size_bytes")
    beside = f"与 {facts['with']}{other} " if "with" in facts else ""
    return f"{_who(incident)}{own}{beside}无法同时驻留"


def _sized(facts: Told, name: str) -> str:
    size = number_of(facts, name)
    return f"（{show_size(size)}）" if size else ""


def _degraded(incident: Incident) -> str:
    share, models = number_of(told(incident), "gpu_fraction"), number_of(told(incident), "models")
    if not incident.subject.model:
        return f"{incident.subject.server} 启动后失去了 GPU：{models or 0:.0f} 个模型在 CPU 上运行"
    if incident.reason == Reason.PARTLY_ON_CPU and share is not None:
        return f"{_who(incident)} 只有 {min(share * 100, 99):.0f}% 在 GPU 上"
    if incident.reason == Reason.ON_CPU:
        return f"{_who(incident)} 在 CPU 上运行"
    return f"{_who(incident)} 状态不符合要求{_reason(incident)}"


def _breaker(incident: Incident) -> str:
    facts = told(incident)
    failed = f"：{_phrase(facts['failure'])}" if "failure" in facts else _reason(incident)
    return f"{_who(incident)} 暂停加载{failed}"


def _disagree(incident: Incident) -> str:
    facts = told(incident)
    reloads = number_of(facts, "reloads")
    times = f"一小时内被客户端重新加载 {reloads:.0f} 次" if reloads else "被客户端反复重新加载"
    contexts = sorted({int(value) for key, value in facts.items() if key.startswith("context_length")})
    about = f"上下文长度不一致（{'、'.join(map(str, contexts))}）" if len(contexts) > 1 else "参数不一致"
    return f"{_who(incident)} {times}：{about}"


def _hung(incident: Incident) -> str:
    facts = told(incident)
    opened = number_of(facts, "open_s")
    for_s = f" {span(opened)}" if opened else ""
    loading = f"，{facts['loading']} 已加载{for_s}仍未完成" if "loading" in facts else ""
    return f"{incident.subject.server} 上的 Ollama 卡死{loading}"


def _skew(incident: Incident) -> str:
    skew = number_of(told(incident), "skew_s") or 0.0
    return f"{incident.subject.server} 的时钟比本机{'快' if skew > 0 else '慢'} {span(abs(skew))}"


def _rejected(incident: Incident) -> str:
    facts = told(incident)
    place = ":".join(str(facts[key]) for key in ("path", "line", "column") if key in facts)
    key = f"（{facts['key']}）" if "key" in facts else ""
    return f"新配置有误，未生效：{place}{key}"


def _unhealthy(incident: Incident) -> str:
    return "ollama-keeper 自身出现问题：" + "；".join(_fault(name, value) for name, value in incident.details)


def _fault(name: str, value: object) -> str:
    match name:
        case "notification.failed":
            return f"发往 {value} 的消息未送达"
        case "state.failed":
            return f"状态文件 {value} 无法使用"
        case "web.failed":
            return f"{value} 无法提供服务"
        case "loop.stalled":
            return f"{value} 次长时间未能运行"
        case "log.dropped":
            return f"{value} 次丢失日志"
    return "内部错误，详见日志"


WHAT: Mapping[Alert, Callable[[Incident], str]] = {
    Alert.MODEL_LOST: _lost,
    Alert.COLD_START: _cold,
    Alert.CONTENDED: _contended,
    Alert.DEGRADED: _degraded,
    Alert.STUCK: lambda incident: f"{_who(incident)} 卡住{_reason(incident)}",
    Alert.MISSING: lambda incident: f"{_who(incident)} 尚未拉取",
    Alert.BREAKER_OPEN: _breaker,
    Alert.OPTIONS_DISAGREE: _disagree,
    Alert.SERVER_DOWN: lambda incident: f"{_who(incident)} 无响应{_reason(incident)}",
    Alert.SERVER_BUSY: lambda incident: f"{_who(incident)} 过于繁忙，无法得知已加载的模型",
    Alert.SCHEDULER_HUNG: _hung,
    Alert.CLOCK_SKEW: _skew,
    Alert.CONFIG_REJECTED: _rejected,
    Alert.KEEPER_UNHEALTHY: _unhealthy,
}
MANY: Mapping[Alert, str] = {
    Alert.MODEL_LOST: "未驻留",
    Alert.COLD_START: "经历了冷启动",
    Alert.CONTENDED: "无法同时驻留",
    Alert.DEGRADED: "状态不符合要求",
    Alert.STUCK: "卡住",
    Alert.MISSING: "尚未拉取",
    Alert.BREAKER_OPEN: "暂停加载",
    Alert.OPTIONS_DISAGREE: "被客户端反复重新加载",
}


# --- what the keeper does ---------------------------------------------------------------------------------------------


def _doing(incident: Incident) -> str:
    if incident.alert is Alert.DEGRADED and not incident.subject.model:
        return "不会为此重新加载：Ollama 只在启动时查找 GPU"
    fixed = DOING.get(incident.alert)
    return _keeping(incident) if fixed is None else fixed


def _keeping(incident: Incident) -> str:
    facts = told(incident)
    left = number_of(facts, "next_s")
    when = f"{span(left)}后" if left else "条件允许时"
    match facts.get("state"):
        case "loading":
            return "正在重新加载"
        case "queued":
            return "将在当前加载完成后加载"
        case "yielding":
            return f"等待 {facts.get('displaced_by', '另一个模型')} 空闲或离开，然后重新加载"
        case "backing_off":
            return f"{when}重试"
        case "contended":
            return f"保留 {facts.get('with', '优先级更高的模型')}，不再自动重试"
        case "refused":
            return "不再重试：Ollama 认为请求有误"
    if incident.reason == Reason.OBSERVED_ONLY:
        return "按 contention: observe 的设置只观察"
    return f"暂不处理，{when}重新加载"


DOING: Mapping[Alert, str] = {
    Alert.COLD_START: "已重新加载",
    Alert.DEGRADED: "不会自动重新加载；设置 repair: reload 后每小时最多重新加载一次",
    Alert.STUCK: "不再向它发送请求，也不会重启任何服务",
    Alert.MISSING: "每分钟查看一次，拉取后立即加载",
    Alert.OPTIONS_DISAGREE: "不添加自己的参数，只观察",
    Alert.SERVER_DOWN: "最迟每 30 秒重试一次，恢复后按优先级加载模型",
    Alert.SERVER_BUSY: "等待其恢复，期间不加载任何模型",
    Alert.SCHEDULER_HUNG: "等待，不再发起其他加载",
    Alert.CLOCK_SKEW: "继续运行，不依据该服务器的时间作判断",
    Alert.CONFIG_REJECTED: "继续使用之前的配置",
    Alert.KEEPER_UNHEALTHY: "其余功能继续运行",
}


# --- what the reader can do -------------------------------------------------------------------------------------------


def _advice(incident: Incident) -> str:
    facts, model = told(incident), incident.subject.model
    match incident.alert:
        case Alert.MODEL_LOST if "displaced_by" in facts:
            return "若两者都要驻留，请换用更小的模型或 context_length，或提高优先级并设置 contention: insist"
        case Alert.BREAKER_OPEN if "displaced_by" in facts:
            return ADVICE[Alert.CONTENDED]
        case Alert.MODEL_LOST if facts.get("cause") == "unloaded":
            return f"若是有意卸载，请运行 ollama-keeper pause {model}"
        case Alert.MISSING:
            return f"ollama pull {model}"
        case Alert.DEGRADED:
            return DEGRADED.get(str(incident.reason or ""), EXPLAIN)
    return ADVICE.get(incident.alert, EXPLAIN)


DEGRADED = {
    Reason.ON_CPU.value: "确认 Ollama 能找到 GPU（nvidia-smi，容器内也要检查），然后重启 Ollama",
    Reason.PARTLY_ON_CPU.value: "释放显存，或换用更小的模型或 context_length，然后运行 ollama stop MODEL",
    Reason.OTHER_CONTEXT.value: "由客户端如此加载：请让所有客户端使用相同的 num_ctx，或写入 Modelfile",
    Reason.OTHER_DIGEST.value: "模型已重新拉取：运行 ollama stop MODEL，下次加载即为新版本",
}
ADVICE: Mapping[Alert, str] = {
    Alert.CONTENDED: "换用更小的模型或 context_length，或只保留一个；另一个 ollama-keeper 使用不同配置时也会如此",
    Alert.STUCK: "运行 ollama stop MODEL，或重启 Ollama",
    Alert.BREAKER_OPEN: "查看 Ollama 日志；显存不足时请换用更小的模型或 context_length",
    Alert.OPTIONS_DISAGREE: "在 Modelfile 中设置 num_ctx，或在服务器上设置 OLLAMA_CONTEXT_LENGTH，客户端不要再设置",
    Alert.SERVER_DOWN: "检查 Ollama 是否在运行，并查看其日志",
    Alert.SERVER_BUSY: "查看 Ollama 日志；可能有加载或卸载占用了锁",
    Alert.SCHEDULER_HUNG: "卸载任意一个模型（ollama stop MODEL），或重启 Ollama（ollama/ollama#17408）",
    Alert.CLOCK_SKEW: "用 NTP 校准时钟",
    Alert.CONFIG_REJECTED: "修改该处；运行 ollama-keeper config show 查看所有错误",
    Alert.KEEPER_UNHEALTHY: "查看 ollama-keeper 的日志",
    Alert.COLD_START: "无需处理；若经常发生，请查明是什么把它挤出",
}


# --- what has ended ---------------------------------------------------------------------------------------------------


def _over(incident: Incident) -> str:
    lasted = f"故障持续 {span(lasted_s(incident, incident.since))}"
    how = HOW.get(incident.how) or ENDED[incident.alert]
    return f"{_who(incident) or 'ollama-keeper'} {how}，{lasted}"


HOW = {
    "not_wanted": "不再需要驻留，告警解除",
    "paused": "已按命令暂停，告警解除",
    "off_hours": "已不在驻留时段，告警解除",
    "over_budget": "因预算不足不再驻留，告警解除",
}
ENDED: Mapping[Alert, str] = {
    Alert.MODEL_LOST: "已恢复驻留",
    Alert.COLD_START: "未再发生冷启动",
    Alert.CONTENDED: "已恢复驻留",
    Alert.DEGRADED: "已恢复正常",
    Alert.STUCK: "已恢复应答",
    Alert.MISSING: "已拉取并驻留",
    Alert.BREAKER_OPEN: "已恢复驻留",
    Alert.OPTIONS_DISAGREE: "不再被客户端反复重新加载",
    Alert.SERVER_DOWN: "已恢复响应",
    Alert.SERVER_BUSY: "已恢复及时应答",
    Alert.SCHEDULER_HUNG: "已恢复加载",
    Alert.CLOCK_SKEW: "时钟已恢复准确",
    Alert.CONFIG_REJECTED: "配置已恢复正常",
    Alert.KEEPER_UNHEALTHY: "已恢复正常",
}


# --- frames -----------------------------------------------------------------------------------------------------------


def span(seconds: float) -> str:
    """A span of at most two units: `1 小时 30 分钟`, `45 秒`."""
    left, parts = round(seconds), list[str]()
    for size, unit in ((86_400, "天"), (3_600, "小时"), (60, "分钟"), (1, "秒")):
        if left >= size and len(parts) < 2:
            parts.append(f"{left // size} {unit}")
            left %= size
    return " ".join(parts) or "0 秒"


def _many(incident: Incident, count: int) -> str:
    return f"{incident.subject.server} 上有 {count} 个模型{MANY.get(incident.alert, '异常')}"


def _many_over(incident: Incident, count: int) -> str:
    return f"{incident.subject.server} 上的 {count} 个模型{HOW.get(incident.how) or ENDED[incident.alert]}"


def _title(firing: int, resolved: int, places: Sequence[str]) -> str:
    where = f"{places[0]}：" if len(places) == 1 and places[0] else f"{len(places)} 台服务器：" if places[1:] else ""
    parts = [f"{firing} 条告警"] if firing else []
    parts += [f"{resolved} 条已解除"] if resolved else []
    return where + "，".join(parts)


def _names(names: Sequence[str]) -> str:
    rest = len(names) - FIRST_NAMES
    return "、".join(names[:FIRST_NAMES]) + (f"，另有 {rest} 个" if rest > 0 else "")


CHINESE = Language(
    what=lambda incident: WHAT[incident.alert](incident),
    doing=_doing,
    advice=_advice,
    over=_over,
    many=_many,
    many_over=_many_over,
    since=lambda incident: f"自 {clock(incident.since)} 起",
    title=_title,
    names=_names,
    labels=("ollama-keeper：", "建议："),
    more="……另有 {count} 条未显示，请运行 ollama-keeper status 查看",
    again="（仍未恢复）",
    flapping="期间反复出现 {count} 次",
    test=("测试消息", "由 ollama-keeper test-alert 发送：此 ollama-keeper 的告警可以送达这里。"),
)
