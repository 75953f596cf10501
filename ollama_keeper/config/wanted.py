"""Which models are wanted, and how: the entries of `models`, or those that the command line names."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from ollama_keeper.config.layer import Path, Place
from ollama_keeper.config.merged import Merged
from ollama_keeper.config.schema import ModelEntry
from ollama_keeper.config.servers import Site, Sites
from ollama_keeper.config.values import Wrong, model_name, shown
from ollama_keeper.core.calendar import Window
from ollama_keeper.core.names import ModelName, parse_name
from ollama_keeper.core.policy import Policy, ranked
from ollama_keeper.core.units import config_duration
from ollama_keeper.errors import Mistake


@dataclass(frozen=True, slots=True)
class Asked:
    """A model that an argument or a variable names."""

    name: str
    place: Place


@dataclass(frozen=True, slots=True)
class Wish:
    """What is wanted of one model, and where that stands; `at` is empty for one that the file does not describe."""

    policy: Policy
    servers: tuple[str, ...] | None
    at: Path
    place: Place
    lease_place: Place


def listed_wishes(merged: Merged) -> tuple[Wish, ...]:
    """The entries of `models`, but those with mistakes that leave no name."""
    return tuple(
        _wish(merged, entry, ("models", index), merged.layers.place(("models", index, "name")))
        for index, entry in enumerate(merged.settings.models or ())
        if ("models", index) not in merged.unusable
    )


def chosen(merged: Merged, listed: Sequence[Wish], asked: Sequence[Asked], mistakes: list[Mistake]) -> tuple[Wish, ...]:
    """The models that were asked for, as the file describes them where it does; adds bad names to the mistakes."""
    wishes: dict[ModelName, list[Wish]] = {}
    for one in asked:
        try:
            name = model_name(one.name)
        except Wrong as wrong:
            mistakes.append(one.place.mistake(wrong.what, wrong.hint))
            continue
        described = [wish for wish in listed if wish.policy.name == parse_name(name)]
        wishes.setdefault(parse_name(name), described or [_wish(merged, ModelEntry(name=name), (), one.place)])
    return tuple(wish for same in wishes.values() for wish in same)


def short_leases(wishes: Sequence[Wish]) -> Iterator[Mistake]:
    """Of models that the file does not describe, flags and defaults that do not go together."""
    for wish in wishes:
        if not wish.at:
            yield from _lease_mistakes(wish)


def mistakes_of(merged: Merged, listed: Sequence[Wish], sites: Sites) -> Iterator[Mistake]:
    """Entries that do not go together, with each other, with the servers, or in themselves."""
    for wish in listed:
        yield from _lease_mistakes(wish)
        yield from _server_mistakes(merged, wish, sites)
    for number, wish in enumerate(listed):
        if first := next((other for other in listed[:number] if _overlap(other, wish)), None):
            what = f"{wish.policy.model!r} is the model of models[{first.at[1]}]"
            yield wish.place.mistake(what, "keep one of the two, or give them different servers")


def policies(wishes: Sequence[Wish], site: Site, sites: Sites) -> tuple[Policy, ...]:
    """The policies of one server by rank; lists of servers say nothing of one that the file does not have."""
    name = site.address.name
    return ranked(wish.policy for wish in wishes if wish.servers is None or sites.names is None or name in wish.servers)


def _wish(merged: Merged, entry: ModelEntry, at: Path, place: Place) -> Wish:
    servers = None if entry.servers is None else tuple(entry.servers)
    lease_place = merged.layers.place(merged.where("keep_alive", entry, at))
    return Wish(_policy(merged, entry, at), servers, at, place, lease_place)


def _policy(merged: Merged, entry: ModelEntry, at: Path) -> Policy:
    get = partial(merged.get, entry=entry, at=at)
    lease_s = get("keep_alive")
    options = get("options").model_dump(exclude_none=True)
    return Policy(
        model=entry.name,
        name=parse_name(entry.name),
        lease_s=None if lease_s < 0 else lease_s,
        priority=get("priority"),
        on_expire=get("on_expire"),
        interval_s=get("interval"),
        interval_configured=merged.given("interval", entry),
        ping_every_s=get("ping_every"),
        required=get("required"),
        context=get("context_length"),
        options=tuple(sorted(options.items())),
        load_timeout_s=get("load_timeout"),
        slow_load_s=get("slow_load"),
        contention=get("contention"),
        yield_for_s=get("yield_for"),
        unload_grace_s=get("unload_grace"),
        min_gpu_fraction=get("min_gpu_fraction"),
        release=get("release"),
        active=tuple(Window(one.days, one.hours[0], one.hours[1], one.timezone) for one in get("active")),
        ahead_s=get("ahead"),
        repair=get("repair"),
        pull=get("pull"),
        probe_every_s=get("probe").every,
        probe_timeout_s=get("probe").timeout,
        probe_slow_after_s=get("probe").slow_after,
    )


def _lease_mistakes(wish: Wish) -> Iterator[Mistake]:
    lease_s, interval_s = wish.policy.lease_s, wish.policy.interval_s
    if lease_s is None or lease_s >= 2 * interval_s:
        return
    what = f"{config_duration(lease_s)} is less than two intervals of {config_duration(interval_s)}"
    yield wish.lease_place.mistake(what, f"write {config_duration(2 * interval_s)} or more, or a shorter interval")


def _server_mistakes(merged: Merged, wish: Wish, sites: Sites) -> Iterator[Mistake]:
    path = (*wish.at, "servers")
    if wish.servers is not None and not wish.servers:
        yield merged.layers.place(path).mistake("is empty", "take it out for all servers")
    for index, name in enumerate(wish.servers or ()):
        if sites.names is not None and name not in sites.names:
            what = f"no server is named {shown(name)}"
            yield merged.layers.place((*path, index)).mistake(what, f"write one of {', '.join(sorted(sites.names))}")


def _overlap(one: Wish, other: Wish) -> bool:
    """Whether two entries are about one model on one server."""
    if one.policy.name != other.policy.name:
        return False
    return one.servers is None or other.servers is None or not set(one.servers).isdisjoint(other.servers)
