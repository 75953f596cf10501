"""With how many examples a property is tried: a quarter of them in `make test`, all of them in `make test ALL=1`."""

import os
from typing import Any

from hypothesis import settings

ALL = os.environ.get("EXAMPLES") == "all"


def examples(number: int, **given: Any) -> settings:
    """The settings of a property that is tried with so many examples, without a limit of time for one."""
    return settings(max_examples=number if ALL else number // 4, deadline=None, **given)
