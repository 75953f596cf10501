"""Alerts in English."""

from collections.abc import Callable, Mapping, Sequence

from ollama_keeper.core.alerting import Incident, lasted_s
from ollama_keeper.core.reasons import Alert, Reason
from ollama_keeper.core.units import show_duration, show_size
from ollama_keeper.report.notify.language import FIRST_NAMES, Language, Told, clock, number_of, told
from ollama_keeper.report.phrases import REASONS, number, on_gpu

EXPLAIN = "ollama-keeper status tells more"


# --- what happened ----------------------------------------------------------------------------------------------------


def _who(incident: Incident) -> str:
    subject = incident.subject
    return f"{subject.model} on {subject.server}" if subject.model else subject.server


def _reason(incident: Incident) -> str:
    return f": {REASONS[incident.reason]}" if incident.reason else ""


def _lost(incident: Incident) -> str:
    facts = told(incident)
    if "failure" in facts:
        return f"{_who(incident)} is not resident: its load failed, {_phrase(facts['failure'])}"
    if "displaced_by" in facts:
        return f"{_who(incident)} is not resident: displaced by {facts['displaced_by']}"
    why = facts.get("cause")
    return f"{_who(incident)} is not resident" + (f": {_phrase(why)}" if why else _reason(incident))


def _cold(incident: Incident) -> str:
    took = number_of(told(incident), "load_s")
    return f"{_who(incident)} had a cold start" + (f" of {show_duration(took)}" if took else "")


def _contended(incident: Incident) -> str:
    facts = told(incident)
    own, other = _sized(facts, "size_bytes"), _sized(facts, "with_size_bytes")
    beside = f" beside {facts['with']}{other}" if "with" in facts else ""
    return f"{incident.subject.model}{own} does not fit{beside} on {incident.subject.server}"


def _sized(facts: Told, name: str) -> str:
    size = number_of(facts, name)
    return f" ({show_size(size)})" if size else ""


def _degraded(incident: Incident) -> str:
    share, models = number_of(told(incident), "gpu_fraction"), number_of(told(incident), "models")
    if not incident.subject.model:
        return f"{incident.subject.server} has lost its GPU since it started: {models or 0:.0f} models run on the CPU"
    if incident.reason == Reason.PARTLY_ON_CPU and share is not None:
        return f"{_who(incident)} is only {on_gpu(share)}"
    if incident.reason == Reason.ON_CPU:
        return f"{_who(incident)} runs on the CPU"
    return f"{_who(incident)} is not as wanted{_reason(incident)}"


def _breaker(incident: Incident) -> str:
    facts = told(incident)
    failed = f": {_phrase(facts['failure'])}" if "failure" in facts else _reason(incident)
    return f"{_who(incident)} is not loaded any more for a while{failed}"


def _disagree(incident: Incident) -> str:
    reloads = number_of(told(incident), "reloads")
    times = f"{reloads:.0f} times within an hour" if reloads else "again and again"
    contexts = _contexts(told(incident))
    return f"clients reload {_who(incident)} {times}: they disagree about {contexts or 'its options'}"


def _contexts(facts: Told) -> str:
    found = sorted({int(value) for key, value in facts.items() if key.startswith("context_length")})
    return f"the context, {' and '.join(map(str, found))} tokens" if len(found) > 1 else ""


def _down(incident: Incident) -> str:
    return f"{_who(incident)} does not answer{_reason(incident)}"


def _hung(incident: Incident) -> str:
    facts = told(incident)
    loading = f", {facts['loading']} has been loading" if "loading" in facts else ""
    opened = number_of(facts, "open_s")
    return f"Ollama on {incident.subject.server} hangs{loading}" + (f" for {show_duration(opened)}" if opened else "")


def _skew(incident: Incident) -> str:
    skew = number_of(told(incident), "skew_s") or 0.0
    way = "ahead of" if skew > 0 else "behind"
    return f"the clock of {incident.subject.server} is {show_duration(abs(skew))} {way} the keeper's"


def _rejected(incident: Incident) -> str:
    facts = told(incident)
    place = ":".join(str(facts[key]) for key in ("path", "line", "column") if key in facts)
    key = f", at {facts['key']}" if "key" in facts else ""
    return f"the new configuration is not used: a mistake in {place or 'it'}{key}"


def _unhealthy(incident: Incident) -> str:
    return "the keeper is in trouble: " + ", ".join(_fault(name, value) for name, value in incident.details)


def _fault(name: str, value: object) -> str:
    match name:
        case "notification.failed":
            return f"messages to {value} do not arrive"
        case "state.failed":
            return f"its state file {value} cannot be used"
        case "web.failed":
            return f"nothing is answered on {value}"
        case "loop.stalled":
            return f"it could not run {value} times"
        case "log.dropped":
            return f"lines of its log were lost {value} times"
    return "a fault of its own, which its log tells"


WHAT: Mapping[Alert, Callable[[Incident], str]] = {
    Alert.MODEL_LOST: _lost,
    Alert.COLD_START: _cold,
    Alert.CONTENDED: _contended,
    Alert.DEGRADED: _degraded,
    Alert.STUCK: lambda incident: f"{_who(incident)} is stuck{_reason(incident)}",
    Alert.MISSING: lambda incident: f"{_who(incident)} is not pulled",
    Alert.BREAKER_OPEN: _breaker,
    Alert.OPTIONS_DISAGREE: _disagree,
    Alert.SERVER_DOWN: _down,
    Alert.SERVER_BUSY: lambda incident: f"{_who(incident)} is too busy to tell what is loaded",
    Alert.SCHEDULER_HUNG: _hung,
    Alert.CLOCK_SKEW: _skew,
    Alert.CONFIG_REJECTED: _rejected,
    Alert.KEEPER_UNHEALTHY: _unhealthy,
}
MANY: Mapping[Alert, str] = {
    Alert.MODEL_LOST: "are not resident",
    Alert.COLD_START: "had a cold start",
    Alert.CONTENDED: "do not fit",
    Alert.DEGRADED: "are not as wanted",
    Alert.STUCK: "are stuck",
    Alert.MISSING: "are not pulled",
    Alert.BREAKER_OPEN: "are not loaded any more for a while",
    Alert.OPTIONS_DISAGREE: "are reloaded again and again by clients that disagree",
}


# --- what the keeper does ---------------------------------------------------------------------------------------------


def _doing(incident: Incident) -> str:
    if incident.alert is Alert.DEGRADED and not incident.subject.model:
        return "reloads nothing for it, since Ollama looks for GPUs only when it starts"
    fixed = DOING.get(incident.alert)
    return _keeping(incident) if fixed is None else fixed


def _keeping(incident: Incident) -> str:
    facts = told(incident)
    left = number_of(facts, "next_s")
    when = f" in {show_duration(left)}" if left else " as soon as it can"
    match facts.get("state"):
        case "loading":
            return "is loading it now"
        case "queued":
            return "loads it after the load that is under way"
        case "yielding":
            return f"waits until {facts.get('displaced_by', 'the other model')} is idle or gone, then loads it again"
        case "backing_off":
            return f"tries again{when}"
        case "contended":
            return f"keeps {facts.get('with', 'the model of higher rank')}, and does not try again by itself"
        case "refused":
            return "does not try again: Ollama called the request wrong"
    if incident.reason == Reason.OBSERVED_ONLY:
        return "only watches, as contention: observe says"
    return f"leaves it alone for now, and loads it again{when}"


DOING: Mapping[Alert, str] = {
    Alert.COLD_START: "has loaded it again",
    Alert.DEGRADED: "does not reload it by itself; repair: reload would, once an hour",
    Alert.STUCK: "sends nothing more to it; it restarts nothing",
    Alert.MISSING: "looks once a minute whether it is there, and loads it then",
    Alert.OPTIONS_DISAGREE: "adds no options of its own, and only watches",
    Alert.SERVER_DOWN: "asks again every 30s at the latest, and loads the models by rank once it answers",
    Alert.SERVER_BUSY: "waits for it, and loads nothing meanwhile",
    Alert.SCHEDULER_HUNG: "waits, and sends no other load",
    Alert.CLOCK_SKEW: "goes on, and trusts no date of that server",
    Alert.CONFIG_REJECTED: "goes on with the configuration before",
    Alert.KEEPER_UNHEALTHY: "goes on without what fails",
}


# --- what the reader can do -------------------------------------------------------------------------------------------


def _advice(incident: Incident) -> str:
    facts, model = told(incident), incident.subject.model
    match incident.alert:
        case Alert.MODEL_LOST if "displaced_by" in facts:
            return "if both are to stay: a smaller model or context_length, or a higher priority and contention: insist"
        case Alert.BREAKER_OPEN if "displaced_by" in facts:
            return ADVICE[Alert.CONTENDED]
        case Alert.MODEL_LOST if facts.get("cause") == "unloaded":
            return f"if somebody unloaded it on purpose: ollama-keeper pause {model}"
        case Alert.MISSING:
            return f"ollama pull {model}"
        case Alert.DEGRADED:
            return DEGRADED.get(str(incident.reason or ""), EXPLAIN)
    return ADVICE.get(incident.alert, EXPLAIN)


DEGRADED = {
    Reason.ON_CPU.value: "see that Ollama finds its GPU (nvidia-smi, also inside its container), then restart Ollama",
    Reason.PARTLY_ON_CPU.value: "free GPU memory, or take a smaller model or context_length; then: ollama stop MODEL",
    Reason.OTHER_CONTEXT.value: "a client loaded it so: send the same num_ctx from all, or set it in the Modelfile",
    Reason.OTHER_DIGEST.value: "it was pulled anew: ollama stop MODEL, and its next load has the new weights",
}
ADVICE: Mapping[Alert, str] = {
    Alert.CONTENDED: "a smaller model or context_length, or keep only one; a second keeper with other models does this",
    Alert.STUCK: "ollama stop MODEL, or restart Ollama",
    Alert.BREAKER_OPEN: "see the log of Ollama; a smaller model or context_length where memory is short",
    Alert.OPTIONS_DISAGREE: "set num_ctx in the Modelfile, or OLLAMA_CONTEXT_LENGTH on the server, and none in clients",
    Alert.SERVER_DOWN: "see whether Ollama runs there, and its log",
    Alert.SERVER_BUSY: "see the log of Ollama; a load or an unload may hold its locks",
    Alert.SCHEDULER_HUNG: "unload any model, ollama stop MODEL, or restart Ollama (ollama/ollama#17408)",
    Alert.CLOCK_SKEW: "set the clocks by NTP",
    Alert.CONFIG_REJECTED: "mend the place; ollama-keeper config show tells every mistake",
    Alert.KEEPER_UNHEALTHY: "see the log of ollama-keeper",
    Alert.COLD_START: "nothing; if it happens often, see what pushes it out",
}


# --- what has ended ---------------------------------------------------------------------------------------------------


def _over(incident: Incident) -> str:
    lasted = f"the trouble lasted {show_duration(lasted_s(incident, incident.since))}"
    reason = HOW.get(incident.how)
    if reason is not None:
        return f"{_topic(incident)}: {reason}; {lasted}"
    return f"{_topic(incident)}: {ENDED[incident.alert]}; {lasted}"


def _topic(incident: Incident) -> str:
    return _who(incident) or "ollama-keeper"


HOW = {
    "not_wanted": "no longer wanted, so this alert is over",
    "paused": "paused by command, so this alert is over",
    "off_hours": "outside its hours, so this alert is over",
    "over_budget": "not kept any more for want of budget, so this alert is over",
}
ENDED: Mapping[Alert, str] = {
    Alert.MODEL_LOST: "resident again",
    Alert.COLD_START: "no further cold start",
    Alert.CONTENDED: "resident again",
    Alert.DEGRADED: "as wanted again",
    Alert.STUCK: "answers again",
    Alert.MISSING: "pulled, and resident again",
    Alert.BREAKER_OPEN: "resident again",
    Alert.OPTIONS_DISAGREE: "no longer reloaded by clients",
    Alert.SERVER_DOWN: "answers again",
    Alert.SERVER_BUSY: "answers in time again",
    Alert.SCHEDULER_HUNG: "loads again",
    Alert.CLOCK_SKEW: "its clock is right again",
    Alert.CONFIG_REJECTED: "the configuration is taken again",
    Alert.KEEPER_UNHEALTHY: "healthy again",
}


# --- frames -----------------------------------------------------------------------------------------------------------


def _phrase(value: object) -> str:
    return REASONS.get(str(value), str(value).replace("_", " "))


def _many(incident: Incident, count: int) -> str:
    return f"{number(count, 'model')} on {incident.subject.server} {MANY.get(incident.alert, 'are in trouble')}"


def _many_over(incident: Incident, count: int) -> str:
    how = HOW.get(incident.how) or ENDED[incident.alert]
    return f"{number(count, 'model')} on {incident.subject.server}: {how}"


def _since(incident: Incident) -> str:
    return f"since {clock(incident.since)}"


def _title(firing: int, resolved: int, places: Sequence[str]) -> str:
    where = f" on {places[0]}" if len(places) == 1 and places[0] else f" on {len(places)} servers" if places[1:] else ""
    told = [f"{number(firing, 'alert')}"] if firing else []
    told += [f"{resolved} over"] if resolved else []
    return ", ".join(told) + where


def _names(names: Sequence[str]) -> str:
    rest = len(names) - FIRST_NAMES
    return ", ".join(names[:FIRST_NAMES]) + (f" and {rest} more" if rest > 0 else "")


ENGLISH = Language(
    what=lambda incident: WHAT[incident.alert](incident),
    doing=_doing,
    advice=_advice,
    over=_over,
    many=_many,
    many_over=_many_over,
    since=_since,
    title=_title,
    names=_names,
    labels=("The keeper ", "What you can do: "),
    more="… and {count} more, not shown here: ollama-keeper status",
    again="(still)",
    flapping="It comes and goes: {count} times since then",
    test=("a test message", "Sent by ollama-keeper test-alert: alerts of this keeper arrive here."),
)
