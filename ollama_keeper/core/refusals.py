"""Which wanted models can never be kept as they are, and which are not there to be kept."""

from ollama_keeper.core.memory import REFUSED_BY_KIND, ModelMemory, ServerMemory
from ollama_keeper.core.names import is_cloud
from ollama_keeper.core.policy import ContextRule
from ollama_keeper.core.reasons import Reason


def refusal(model: ModelMemory, memory: ServerMemory) -> Reason | None:
    """Why a model can never be kept; None when it can."""
    if is_cloud(model.model) or model.remote:
        return Reason.CLOUD_MODEL
    if model.shown is not None and model.shown.kind in REFUSED_BY_KIND:
        return REFUSED_BY_KIND[model.shown.kind]
    if shares_weights_with(model, memory) is not None:
        return Reason.SAME_WEIGHTS
    return Reason.BAD_REQUEST if model.rejected else None


def shares_weights_with(model: ModelMemory, memory: ServerMemory) -> ModelMemory | None:
    """The kept model of higher rank on the same weights that wants other options, if there is one.

    Names of one weights blob are one runner: with other options each request would reload it (OLLAMA.md 5, aliases).
    """
    if model.shown is None or model.shown.weights is None:
        return None
    weights, rank = model.shown.weights, model.policy.rank
    for other in memory.models:
        if other.policy.rank >= rank:  # the rest are of lower rank too
            return None
        if other.shown is not None and other.shown.weights == weights and _options(other) != _options(model):
            return other
    return None


def _options(model: ModelMemory) -> tuple[object, ...]:
    context = model.policy.context
    if isinstance(context, ContextRule):
        context = (model.shown.own_context if model.shown else None) or ContextRule.SERVER
    return (model.policy.options, context)
