"""`changes(old, new)`: what a new configuration asks of a running daemon, and nothing more."""

from dataclasses import dataclass, replace

from ollama_keeper.config.effective import Config, Server
from ollama_keeper.core.policy import Policy


def _later(config: Config) -> dict[str, object]:
    """Settings that only a restart can change."""
    return {
        "state_dir": config.state_dir,
        "log.format": config.log.format,
        "web": config.web,
        "metrics": config.metrics,
    }


@dataclass(frozen=True, slots=True)
class Changes:
    """The difference of two configurations.

    Attributes:
        begun: servers that are new, or that lie at another URL than before.
        ended: names of the servers that are gone, or whose URL is another now.
        reached: servers that are the same, but asked in another way: token, headers, certificates, proxy, time limit.
        wished: servers that are the same, with other wishes for their models.
        added, removed, changed: models, counted once a server.
        later: names of settings that take effect only at the next start.
    """

    begun: tuple[Server, ...] = ()
    ended: tuple[str, ...] = ()
    reached: tuple[Server, ...] = ()
    wished: tuple[Server, ...] = ()
    added: int = 0
    removed: int = 0
    changed: int = 0
    later: tuple[str, ...] = ()


def changes(old: Config, new: Config) -> Changes:
    """What is to be done so that a daemon of `old` becomes one of `new`."""
    before = {server.address.name: server for server in old.servers}
    after = {server.address.name: server for server in new.servers}
    same = {name for name in before.keys() & after.keys() if before[name].address.url == after[name].address.url}
    stays = [server for server in new.servers if server.address.name in same]
    added, removed, changed = _counts(old, new)
    return Changes(
        begun=tuple(server for server in new.servers if server.address.name not in same),
        ended=tuple(name for name in before if name not in same),
        reached=tuple(server for server in stays if server.address != before[server.address.name].address),
        wished=tuple(server for server in stays if _wishes_differ(server, before[server.address.name])),
        added=added,
        removed=removed,
        changed=changed,
        later=tuple(name for name, value in _later(new).items() if _later(old)[name] != value),
    )


def _wishes_differ(one: Server, other: Server) -> bool:
    return (one.policies, one.budget) != (other.policies, other.budget)


def _counts(old: Config, new: Config) -> tuple[int, int, int]:
    before, after = _wishes(old), _wishes(new)
    both = before.keys() & after.keys()
    changed = sum(not _alike(before[key], after[key]) for key in both)
    return len(after.keys() - both), len(before.keys() - both), changed


def _wishes(config: Config) -> dict[tuple[str, str], Policy]:
    return {(server.address.url, str(policy.name)): policy for server in config.servers for policy in server.policies}


def _alike(one: Policy, other: Policy) -> bool:
    """Whether the operator wrote the same of a model; what follows from its neighbours may differ."""
    return replace(one, rank=other.rank, keep_alive=other.keep_alive) == other
