"""Every metric: its name without the prefix, what it is, its labels, and a sentence on it (CONTRACT 6)."""

from dataclasses import dataclass
from typing import Literal

PREFIX = "ollama_keeper_"
SERVER = ("server",)
MODEL = ("server", "model")

Kind = Literal["gauge", "counter", "histogram", "info"]


@dataclass(frozen=True, slots=True)
class Family:
    """All series of one name."""

    name: str
    kind: Kind
    labels: tuple[str, ...]
    text: str

    def head(self, *, openmetrics: bool) -> str:
        """What stands above its series; OpenMetrics leaves out what the kind appends to the name."""
        name, kind = PREFIX + self.name, self.kind
        if openmetrics:
            name = name.removesuffix(_SUFFIX.get(kind, ""))
        elif kind == "info":
            kind = "gauge"
        return f"# HELP {name} {self.text}\n# TYPE {name} {kind}\n"


_SUFFIX = {"counter": "_total", "info": "_info"}


FAMILIES = (
    Family("build_info", "info", ("version", "python_version"), "Version of ollama-keeper and of its Python."),
    Family("config_last_reload_successful", "gauge", (), "Whether the configuration was taken when it was last read."),
    Family("config_last_reload_success_timestamp_seconds", "gauge", (), "When the configuration was last taken."),
    Family("config_reloads_total", "counter", (), "How often the configuration was read anew, good or not."),
    Family("config_reload_failures_total", "counter", (), "How often it was read anew and not taken."),
    Family("server_up", "gauge", SERVER, "Whether the server answers looks; 0 while waiting, busy or down."),
    Family("server_info", "info", (*SERVER, "version"), "Version of Ollama, as it last told."),
    Family("server_state", "gauge", (*SERVER, "state"), "1 for the state that it is in: waiting, up, busy or down."),
    Family("server_clock_skew_seconds", "gauge", SERVER, "The server's clock less ours, by its Date header."),
    Family("last_look_success_timestamp_seconds", "gauge", SERVER, "When a look was last answered well."),
    Family("looks_total", "counter", SERVER, "Requests of /api/ps."),
    Family("look_failures_total", "counter", (*SERVER, "reason"), "Looks without a good answer, or not sent."),
    Family("look_duration_seconds", "histogram", SERVER, "How long looks took that were answered."),
    Family("pings_total", "counter", SERVER, "Load-only requests to listed models."),
    Family("loads_in_flight", "gauge", SERVER, "Requests of ours that may load and are not answered yet."),
    Family("load_age_seconds", "gauge", SERVER, "Age of the oldest of them; 0 without one."),
    Family("load_duration_seconds", "histogram", SERVER, "How long loads of ours took that brought a model back."),
    Family("outage_duration_seconds", "histogram", SERVER, "How long models were away that have come back."),
    Family(
        "model_wanted", "gauge", MODEL, "Whether it is to be resident: not refused, paused, off hours or over budget."
    ),
    Family("model_resident", "gauge", MODEL, "Whether it is known to be resident; 0 also while nothing is known."),
    Family("model_state", "gauge", (*MODEL, "state"), "1 for the state that it is in."),
    Family("model_size_bytes", "gauge", MODEL, "Memory that it takes in all, as listed; 0 while not resident."),
    Family("model_vram_bytes", "gauge", MODEL, "GPU memory that it takes, as listed; 0 while not resident."),
    Family("model_wanted_seconds_total", "counter", MODEL, "Seconds in which it was wanted, as far as known."),
    Family("model_warm_seconds_total", "counter", MODEL, "Seconds of those in which it was ready or degraded."),
    Family("model_losses_total", "counter", (*MODEL, "cause"), "How often it left without being given back."),
    Family("warms_total", "counter", (*MODEL, "cause"), "Loads of it that were begun."),
    Family("warm_failures_total", "counter", (*MODEL, "reason"), "Loads of it that failed."),
    Family("ping_failures_total", "counter", (*MODEL, "reason"), "Pings of it that failed."),
    Family("model_reloads_total", "counter", (*MODEL, "by"), "How often it was loaded anew while resident."),
    Family("repins_total", "counter", MODEL, "How often its keep_alive was set again after a client's request."),
    Family("breaker_open", "gauge", MODEL, "Whether its breaker holds loads off."),
    Family("alerts_firing", "gauge", ("alert",), "Alerts of the keeper that fire."),
    Family("notifications_total", "counter", ("sink",), "Messages that the sink took."),
    Family("notification_failures_total", "counter", ("sink", "reason"), "Attempts that the sink did not take."),
    Family("notification_queue_length", "gauge", ("sink",), "Alerts that the sink has not been told of yet."),
    Family("notification_last_success_timestamp_seconds", "gauge", ("sink",), "When the sink last took a message."),
    Family("schedule_lag_seconds", "histogram", (), "How late jobs of the schedule began."),
    Family("schedule_missed_total", "counter", (), "Jobs not begun because it was time for the next one already."),
    Family("event_loop_lag_seconds", "gauge", (), "How late the event loop was at most, within the last minute."),
    Family("log_records_dropped_total", "counter", (), "Lines of the log that could not be written."),
    Family("clock_jumps_total", "counter", ("kind",), "How often the wall clock was set: forward (or sleep) or back."),
)
