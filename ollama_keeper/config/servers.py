"""Which servers there are, out of `ollama`, `servers` and `OLLAMA_HOST`."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePath

from ollama_keeper.config.layer import Path, Place
from ollama_keeper.config.merged import Merged
from ollama_keeper.config.places import expanded
from ollama_keeper.config.schema import ServerEntry
from ollama_keeper.config.urls import DEFAULT_URL, default_name, host_url, is_loopback
from ollama_keeper.config.values import Wrong
from ollama_keeper.core.address import DNS, Address
from ollama_keeper.core.policy import Budget
from ollama_keeper.errors import Mistake


@dataclass(frozen=True, slots=True)
class Site:
    """A server, and where it was written; the path is empty for one that is no item of `servers`."""

    address: Address
    at: Path
    budget: Budget | None = None


@dataclass(frozen=True, slots=True)
class Sites:
    """The servers of a configuration.

    Attributes:
        names: what `servers` of a model may name; None where anything may stand there, since a flag or variable named
            another server, or the list itself has mistakes.
    """

    sites: tuple[Site, ...]
    names: frozenset[str] | None


def find_sites(merged: Merged, environ: Mapping[str, str], mistakes: list[Mistake]) -> Sites:
    """The servers; what is wrong with them is added to the mistakes."""
    listed = tuple(
        _site(merged, entry, ("servers", index), environ)
        for index, entry in enumerate(merged.settings.servers or ())
        if ("servers", index) not in merged.unusable
    )
    mistakes.extend(_mistakes(merged, listed))
    names = frozenset(site.address.name for site in listed)
    source = _source(merged)
    if source == "servers":
        whole = not any(path[0] == "servers" for path in merged.unusable)
        return Sites(listed, names if whole else None)
    url = merged.settings.ollama if source == "ollama" else _host(environ, mistakes)
    url = url or DEFAULT_URL
    described = tuple(site for site in listed if site.address.url == url)
    if described:
        return Sites(described, names)
    alone = _site(merged, ServerEntry(url=url), (), environ)
    mistakes.extend(_token_mistakes(merged, (alone,)))
    return Sites((alone,), None if listed else frozenset({alone.address.name}))


def _source(merged: Merged) -> str:
    """Which key says where the servers are: that of the layer that holds first."""
    for layer in merged.layers:
        for key in ("ollama", "servers"):
            if key in layer.data:
                return key
    return ""


def _host(environ: Mapping[str, str], mistakes: list[Mistake]) -> str | None:
    try:
        return host_url(environ.get("OLLAMA_HOST", ""))
    except Wrong as wrong:
        mistakes.append(Place("environment", "OLLAMA_HOST").mistake(wrong.what, wrong.hint))
        return None


def _site(merged: Merged, entry: ServerEntry, at: Path, environ: Mapping[str, str]) -> Site:
    told = merged.get("budget", entry, at)
    budget = None if told.memory is None and told.models is None else Budget(told.memory, told.models)
    return Site(_address(merged, entry, at, environ), at, budget)


def _address(merged: Merged, entry: ServerEntry, at: Path, environ: Mapping[str, str]) -> Address:
    def file(key: str) -> PurePath | None:
        text = merged.get(key, entry, at)
        return expanded(text, merged.folder_of(merged.where(key, entry, at)), environ) if text else None

    return Address(
        name=entry.name or default_name(entry.url),
        url=entry.url,
        token_file=file("token_file"),
        ca_file=file("ca_file"),
        headers=tuple((merged.get("headers", entry, at) or {}).items()),
        proxy=merged.get("proxy", entry, at),
        look_timeout_s=merged.get("look_timeout", entry, at),
    )


def _mistakes(merged: Merged, sites: tuple[Site, ...]) -> Iterator[Mistake]:
    file = merged.layers.file.data
    if "ollama" in file and "servers" in file:
        yield merged.layers.key_place(("ollama",)).mistake("stands beside servers", "keep one of the two")
    if merged.settings.servers is not None and not merged.settings.servers:
        yield merged.layers.place(("servers",)).mistake("is empty", "list a server, or take it out for the one at hand")
    yield from _twins(merged, sites)
    yield from _token_mistakes(merged, sites)


def _twins(merged: Merged, sites: tuple[Site, ...]) -> Iterator[Mistake]:
    names: dict[str, int] = {}
    urls: dict[str, int] = {}
    for site in sites:
        index, address = int(site.at[1]), site.address
        if address.url in urls:
            what = f"{address.url} is servers[{urls[address.url]}] already"
            yield merged.layers.place((*site.at, "url")).mistake(what, "keep one of the two")
        elif address.name in names:
            what = f"{address.name} is the name of servers[{names[address.name]}] already"
            yield merged.layers.place((*site.at, "name")).mistake(what, "give each its own name")
        urls.setdefault(address.url, index)
        names.setdefault(address.name, index)


def _token_mistakes(merged: Merged, sites: tuple[Site, ...]) -> Iterator[Mistake]:
    """A token that would travel in the open (OPERATIONS.md 7)."""
    for site in sites:
        address = site.address
        if address.token_file and address.url.removeprefix(DNS).startswith("http://") and not is_loopback(address.url):
            entry = merged.settings.servers[int(site.at[1])] if site.at and merged.settings.servers else None
            path = merged.where("token_file", entry, site.at) if entry else ("token_file",)
            what = f"the token would be readable on the way to {address.url}"
            yield merged.layers.place(path).mistake(what, "write an https URL, or take the token out")
