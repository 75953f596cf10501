"""An answer in the making: tokens at the model's pace, on one of the runner's slots."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass

from ollama_keeper.simulator.call import Call
from ollama_keeper.simulator.state import SECOND, StoredModel

_WORDS = (
    *("The", " dragon", " slept", " above", " the", " sleepy", " village", " until", " a", " baker"),
    *(" climbed", " the", " hill", " with", " warm", " bread", ".", " Then", " it", " woke", "."),
)
CHARACTERS_A_TOKEN = 4


def count_tokens(text: str) -> int:
    """Tokens of a text, about."""
    return max(1, -(-len(text) // CHARACTERS_A_TOKEN))


@dataclass(slots=True)
class Generation:
    """One answer; `pieces` makes it, the rest is known when that has ended.

    Attributes:
        load_duration: nanoseconds from the request's start until it had its runner.
        raw: whether the prompt was taken as it is; then the answer carries no context.
    """

    call: Call
    model: StoredModel
    shown_name: str
    prompt: str
    wanted_tokens: int
    stream: bool
    raw: bool
    load_duration: int
    prompt_duration: int = 0
    done_tokens: int = 0
    started: int = 0

    @classmethod
    def of(cls, call: Call, model: StoredModel, body: Mapping[str, object], prompt: str) -> "Generation":
        """The generation that a granted request asks for; `num_predict` 0 is unlimited, as in Ollama (OLLAMA.md 12)."""
        options = body.get("options")
        limit = options.get("num_predict") if isinstance(options, dict) else None
        return cls(
            call=call,
            model=model,
            shown_name=str(body.get("model") or ""),
            prompt=prompt,
            wanted_tokens=int(limit) if isinstance(limit, int | float) else 0,
            stream=body.get("stream") is not False,
            raw=body.get("raw") is True,
            load_duration=call.elapsed(),
        )

    @property
    def length(self) -> int:
        """Tokens it will have."""
        natural = self.model.answer_tokens
        return min(self.wanted_tokens, natural) if self.wanted_tokens > 0 else natural

    @property
    def done_reason(self) -> str:
        """Why it ends."""
        return "length" if 0 < self.wanted_tokens <= self.model.answer_tokens else "stop"

    @property
    def text(self) -> str:
        """What has been said."""
        return "".join(_word(index) for index in range(self.done_tokens))

    @property
    def prompt_tokens(self) -> int:
        """Of the prompt."""
        return count_tokens(self.prompt)

    async def pieces(self) -> AsyncIterator[str]:
        """The answer, token by token.

        Raises:
            RunnerDied: the child died.
        """
        await self._begin()
        for index in range(self.length):
            await self.call.shell.work(self.call.id, self._token_time)
            self._count(1)
            yield _word(index)

    async def whole(self) -> None:
        """The answer at once.

        Raises:
            RunnerDied: the child died.
        """
        await self._begin()
        try:
            await self.call.shell.work(self.call.id, self._token_time * self.length)
        except BaseException:
            self._count(min(self.length, (self.call.shell.now() - self.started) // max(self._token_time, 1)))
            raise
        self._count(self.length)

    def metrics(self) -> dict[str, object]:
        """Durations and counts, in Ollama's order; nanoseconds."""
        body: dict[str, object] = {}
        if not self.raw:
            body["context"] = self._context()
        return {**body, **self.timings()}

    def timings(self) -> dict[str, object]:
        """The same without the context."""
        return {
            "total_duration": max(self.call.elapsed(), 1),
            "load_duration": max(self.load_duration, 1),
            "prompt_eval_count": self.prompt_tokens,
            "prompt_eval_duration": max(self.prompt_duration, 1),
            "eval_count": self.done_tokens,
            "eval_duration": max(self.call.shell.now() - self.started, 1),
        }

    @property
    def _token_time(self) -> int:
        return round(SECOND / self.model.tokens_per_s)

    async def _begin(self) -> None:
        shell = self.call.shell
        await shell.slot(self.call.id)
        self.prompt_duration = shell.state.settings.delays.prompt_token * self.prompt_tokens
        await shell.work(self.call.id, self.prompt_duration)
        self.started = shell.now()

    def _count(self, tokens: int) -> None:
        self.done_tokens += tokens
        self.call.shell.history.generated(self.call.id, tokens)

    def _context(self) -> list[int]:
        return [1 + index * 37 % 49151 for index in range(self.prompt_tokens + self.done_tokens)]


def _word(index: int) -> str:
    return _WORDS[index] if index < len(_WORDS) else _WORDS[1 + (index - 1) % (len(_WORDS) - 1)]
