"""`fold(memory, fact, now)`: the only way in which what is known changes."""

from collections.abc import Callable
from typing import Any

from ollama_keeper.core.changes import Change
from ollama_keeper.core.connection import (
    fold_configured,
    fold_describe_failed,
    fold_described,
    fold_inquiry_failed,
    fold_look_failed,
    fold_look_silent,
    fold_tagged,
    fold_version_failed,
    fold_versioned,
)
from ollama_keeper.core.facts import (
    Answered,
    Configured,
    Described,
    DescribeFailed,
    Fact,
    Failed,
    Hurried,
    IdleTested,
    InquiryFailed,
    Looked,
    LookFailed,
    LookSilent,
    Opened,
    Paused,
    Probed,
    ProbeFailed,
    PullEnded,
    PullFailed,
    PullOpened,
    PullProgressed,
    Resumed,
    Tagged,
    Versioned,
    VersionFailed,
)
from ollama_keeper.core.instant import Instant
from ollama_keeper.core.loads import fold_answered, fold_failed, fold_idle_tested, fold_opened
from ollama_keeper.core.looks import fold_look
from ollama_keeper.core.memory import ServerMemory
from ollama_keeper.core.pauses import fold_hurried, fold_paused, fold_resumed
from ollama_keeper.core.probes import fold_probe_failed, fold_probed
from ollama_keeper.core.pulls import fold_pull_ended, fold_pull_failed, fold_pull_opened, fold_pull_progressed

_FOLDS: dict[type, Callable[[ServerMemory, Any, Instant], tuple[ServerMemory, tuple[Change, ...]]]] = {
    Configured: fold_configured,
    Looked: fold_look,
    LookFailed: fold_look_failed,
    LookSilent: fold_look_silent,
    Versioned: fold_versioned,
    VersionFailed: fold_version_failed,
    Tagged: fold_tagged,
    Described: fold_described,
    DescribeFailed: fold_describe_failed,
    InquiryFailed: fold_inquiry_failed,
    Opened: fold_opened,
    Answered: fold_answered,
    Failed: fold_failed,
    IdleTested: fold_idle_tested,
    Probed: fold_probed,
    ProbeFailed: fold_probe_failed,
    Paused: fold_paused,
    Resumed: fold_resumed,
    PullOpened: fold_pull_opened,
    PullProgressed: fold_pull_progressed,
    PullEnded: fold_pull_ended,
    PullFailed: fold_pull_failed,
    Hurried: fold_hurried,
}


def fold(memory: ServerMemory, fact: Fact, now: Instant) -> tuple[ServerMemory, tuple[Change, ...]]:
    """What is known after a fact, and what that changed. Total: any fact may follow any other."""
    return _FOLDS[type(fact)](memory, fact, now)
