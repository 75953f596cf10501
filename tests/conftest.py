"""What every test obeys: no task outlives it."""

import asyncio
from collections.abc import AsyncIterator

import pytest


@pytest.fixture(autouse=True)
def refuse_leftover_tasks(request: pytest.FixtureRequest) -> None:
    """Watches the loop of an asynchronous test; it is set up first, so it looks after all other fixtures are gone."""
    if request.node.get_closest_marker("asyncio"):
        request.getfixturevalue("leftover_tasks_refused")


@pytest.fixture
async def leftover_tasks_refused() -> AsyncIterator[None]:
    """Fails a test whose tasks still run after it, a turn of the loop granted to those that are ending."""
    before = asyncio.all_tasks()
    yield
    await asyncio.sleep(0)
    current = asyncio.current_task()
    left = sorted(repr(task.get_coro()) for task in asyncio.all_tasks() - before if task is not current)
    if left:
        pytest.fail(f"tasks outlive the test: {', '.join(left)}", pytrace=False)
