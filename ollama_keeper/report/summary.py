"""What `keeper.summary` counts: an hour of health in one line."""

from collections.abc import Mapping

from ollama_keeper.core.changes import Change, KeeperSummary, ModelLost, WarmStarted
from ollama_keeper.core.reasons import Reason


class Summary:
    """Counts since the last summary."""

    def __init__(self) -> None:
        self._begin()

    def take(self, change: Change) -> None:
        """Counts a change; a model that we gave back is no loss."""
        self._warms += isinstance(change, WarmStarted)
        self._losses += isinstance(change, ModelLost) and change.reason is not Reason.RELEASED

    def count(self, *, checks: int, looks: int, pings: int) -> None:
        """Adds what the shells did."""
        self._checks += checks
        self._looks += looks
        self._pings += pings

    def cold(self, seconds: float) -> None:
        """Adds seconds during which wanted models were not resident, summed over models."""
        self._cold_s += seconds

    def summary(self, states: Mapping[str, int]) -> KeeperSummary:
        """The line of this hour; counting begins anew."""
        line = KeeperSummary(
            states=dict(states),
            checks=self._checks,
            looks=self._looks,
            pings=self._pings,
            warms=self._warms,
            losses=self._losses,
            cold_s=round(self._cold_s, 1),
        )
        self._begin()
        return line

    def _begin(self) -> None:
        self._checks = self._looks = self._pings = self._warms = self._losses = 0
        self._cold_s = 0.0
