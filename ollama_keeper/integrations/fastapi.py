"""For FastAPI: a lifespan, a dependency that answers 503 while a model is cold, and readiness routes.

    app = FastAPI(lifespan=keep_warm(["qwen3:8b"]))
    app.include_router(readiness_router())

    @app.post("/ask", dependencies=[Depends(warm_model("qwen3:8b"))])
    async def ask(...): ...

Needs the extra: `pip install "ollama-keeper[fastapi]"`.
"""

from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import JSONResponse

from ollama_keeper.core.readiness import Unready
from ollama_keeper.integrations.embedded import STATE, Kept, keep_warm

MISSING = "no keeper in this application: FastAPI(lifespan=keep_warm([...])) puts one there"


def kept_of(request: Request) -> Kept:
    """The keeper of the application; also a dependency.

    Raises:
        RuntimeError: the application has none.
    """
    kept = getattr(request.app.state, STATE, None)
    if not isinstance(kept, Kept):
        raise RuntimeError(MISSING)
    return kept


def warm_model(model: str) -> Callable[[Request], Kept]:
    """A dependency: goes on when a model is ready, and answers 503 with `Retry-After` while it is not.

    Raises (at the request):
        KeyError: the model is not kept, which is a mistake of the application.
    """

    def dependency(request: Request) -> Kept:
        kept = kept_of(request)
        if not kept.is_ready(model):
            retry_after_s = kept.retry_after_s(model)
            detail = {"error": f"{model} is not ready", "model": model, "retry_after_s": retry_after_s}
            raise HTTPException(503, detail, headers={"Retry-After": str(retry_after_s)})
        return kept

    return dependency


def readiness_router(prefix: str = "") -> APIRouter:
    """`GET /readyz` and `/readyz/MODEL`, answered as the daemon answers them."""
    router = APIRouter(prefix=prefix, tags=["readiness"])

    @router.get("/readyz", response_model=None)
    def readyz(request: Request) -> JSONResponse:
        """Whether every required model can serve."""
        return _answer(kept_of(request).unready())

    @router.get("/readyz/{model:path}", response_model=None)
    def readyz_of(request: Request, model: str) -> JSONResponse:
        """Whether one model can serve."""
        kept = kept_of(request)
        found = kept.unready_of(model)
        if found is None:
            return JSONResponse({"error": "no such model is kept here"}, 404)
        return _answer(found)

    return router


def _answer(unready: tuple[Unready, ...]) -> JSONResponse:
    content: dict[str, Any] = {"ready": not unready, "unready": [asdict(one) for one in unready]}
    return JSONResponse(content, 503 if unready else 200)


__all__ = ["keep_warm", "kept_of", "readiness_router", "warm_model"]
