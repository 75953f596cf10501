"""What many have in their crontab instead of a keeper, as docs/moving.md shows it."""

import asyncio
from typing import TYPE_CHECKING

from ollama_keeper.simulator.state import Kind

if TYPE_CHECKING:
    from tests.campaign.day import Day

EACH_S = 60.0
GIVES_UP_S = 30.0
CURL = "curl"


async def curl_in_cron(day: "Day") -> None:
    """Each minute, for each wanted model: `curl -m 30 -d '{"model":"M","prompt":"hi","keep_alive":-1}'`."""
    embedders = {model.name for model in day.scene.models if model.kind is Kind.EMBEDDER}
    while True:
        for wish in day.wishes:
            path = "/api/embed" if wish.model in embedders else "/api/generate"
            day.sim.client(wish.model, prompt="hi", keep_alive=-1, path=path, hang_up_s=GIVES_UP_S, who=CURL)
        await asyncio.sleep(EACH_S)
