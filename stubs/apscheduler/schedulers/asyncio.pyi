from collections.abc import Callable
from datetime import tzinfo
from logging import Logger

from apscheduler.executors.debug import DebugExecutor
from apscheduler.triggers.base import BaseTrigger

class AsyncIOScheduler:
    def __init__(self, *, timezone: tzinfo, executors: dict[str, DebugExecutor], logger: Logger) -> None: ...
    def start(self, paused: bool = ...) -> None: ...
    def shutdown(self, wait: bool = ...) -> None: ...
    def add_job(
        self,
        func: Callable[[], object],
        trigger: BaseTrigger,
        *,
        executor: str,
        id: str,
        misfire_grace_time: int | None,
        coalesce: bool,
        max_instances: int,
        replace_existing: bool,
    ) -> object: ...
    def reschedule_job(self, job_id: str, *, trigger: BaseTrigger) -> object: ...
    def remove_job(self, job_id: str) -> None: ...
