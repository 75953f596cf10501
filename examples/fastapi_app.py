"""An application that keeps its model warm and answers at once: `uvicorn fastapi_app:app --workers 4`."""

import os

import httpx
from fastapi import Depends, FastAPI

from ollama_keeper.integrations.fastapi import keep_warm, readiness_router, warm_model

OLLAMA = os.environ.get("OLLAMA_URL", "http://127.0.0.1:11434")
MODEL = "qwen3:8b"

app = FastAPI(lifespan=keep_warm([MODEL], ollama=OLLAMA))
app.include_router(readiness_router())


@app.get("/")
def hello() -> dict[str, str]:
    """Works from the first moment on, warm or not."""
    return {"hello": "world"}


@app.post("/ask", dependencies=[Depends(warm_model(MODEL))])
async def ask(question: str) -> dict[str, str]:
    """503 with Retry-After while the model is cold, instead of a minute of silence."""
    async with httpx.AsyncClient(base_url=OLLAMA, timeout=120) as client:
        answer = await client.post("/api/generate", json={"model": MODEL, "prompt": question, "stream": False})
    return {"answer": answer.json()["response"]}
