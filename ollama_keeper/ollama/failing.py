"""What went wrong, made into the one error that leaves: with a reason, words, a hint, and without our secrets."""

from collections.abc import Callable
from datetime import datetime
from typing import Any, Protocol, TypeVar

from ollama_keeper.clock import Clock
from ollama_keeper.core.address import Address
from ollama_keeper.core.reasons import Failure
from ollama_keeper.errors import BadAnswer, OllamaError, Refused, Unreachable, printable
from ollama_keeper.ollama.certificate import end_date, has_expired
from ollama_keeper.ollama.classify import causes, hint_for, look_failure, transport_failure, tunnel_status
from ollama_keeper.ollama.credentials import hide, trusted_file
from ollama_keeper.ollama.exchange import Answer, Question
from ollama_keeper.ollama.headers import redirect_host, retry_after_s
from ollama_keeper.ollama.wire import BadShape, error_text
from ollama_keeper.ollama.wording import refusal_text, transport_text

T = TypeVar("T")
SAID_BY_OLLAMA = frozenset({Failure.HTTP_4XX, Failure.HTTP_5XX})


class Classify(Protocol):
    """The reason of a refusal, by its status and body."""

    def __call__(self, status: int, body: bytes, *, asked_to_wait: bool) -> Failure:
        """Why; `asked_to_wait` when there was a `Retry-After`."""


class Failing:
    """Words the failures of one server.

    Args:
        address: of the server.
        secrets: what no message may show.
        clock: what a `Retry-After` that is a date is compared with.
        connect_s: the limit for connecting.
    """

    def __init__(self, address: Address, secrets: tuple[str, ...], *, clock: Clock, connect_s: float) -> None:
        self._address = address
        self._secrets = secrets
        self._clock = clock
        self._connect_s = connect_s

    def parsed(self, question: Question, answer: Answer, parse: Callable[[], T]) -> T:
        """What `parse` makes of a good answer.

        Raises:
            OllamaError: it is not JSON, or not what this endpoint answers.
        """
        try:
            return parse()
        except BadShape as error:
            raise self.error(question, Failure.BAD_SHAPE, detail=str(error), status=answer.status) from None
        except ValueError:
            detail = refusal_text(answer.status, answer.body, self._secrets)
            raise self.error(question, Failure.NOT_JSON, detail=detail, status=answer.status) from None

    def shown(self, said: str) -> str:
        """What the server said, as it may be shown: one line, without our secrets."""
        return printable(hide(said, self._secrets))

    def refused(self, question: Question, answer: Answer, why: Classify) -> OllamaError:
        """The error of an answer with a status other than 2xx, for the reason that `why` finds."""
        waits_s = retry_after_s(answer.headers, self._clock.now().wall)
        reason = why(answer.status, answer.body, asked_to_wait=waits_s is not None)
        if reason is Failure.REDIRECT:
            detail = f"HTTP {answer.status} to {redirect_host(answer.headers)}"
        else:
            detail = refusal_text(answer.status, answer.body, self._secrets)
        told: dict[str, Any] = {"detail": detail, "status": answer.status, "retry_after_s": waits_s}
        if reason in SAID_BY_OLLAMA and answer.status != 401 and error_text(answer.body):
            told["hint"] = ""  # ours would speak of a proxy
        return self.error(question, reason, **told)

    async def unreachable(self, question: Question, error: Exception) -> OllamaError:
        """The error of an exchange without an answer."""
        status = tunnel_status(error)
        reason = transport_failure(error) if status is None else look_failure(status, str(error).encode())
        if reason is Failure.TLS and self._address.proxy is None and has_expired(causes(error)):
            ended = await end_date(self._address.url, trusted_file(self._address)[1])
            if ended is not None:
                return self._expired(question, ended)
        detail = transport_text(reason, error, connect_s=self._connect_s, seconds=question.seconds)
        return self.error(question, reason, Unreachable, detail=detail, status=status)

    def error(
        self, question: Question, reason: Failure, kind: type[OllamaError] | None = None, **told: Any
    ) -> OllamaError:
        """The error, with the hint that belongs to its reason unless `told` brings a better one."""
        kind = kind or (Refused if reason in {Failure.NOT_FOUND, Failure.BAD_REQUEST} else BadAnswer)
        told["detail"] = hide(told.get("detail", ""), self._secrets)
        told.setdefault("hint", hint_for(reason, told.get("status")))
        return kind(self._address.name, question.operation, reason=reason, **told)

    def _expired(self, question: Question, ended: datetime) -> OllamaError:
        detail = f"the certificate ended at {ended:%Y-%m-%dT%H:%M:%SZ}"
        hint = f"{detail}; renew it, or set the clock of this machine"
        return self.error(question, Failure.TLS, Unreachable, detail=detail, hint=hint)
