"""What requests are answered with: status, type, keys and their order, words."""

import httpx
import pytest

from tests.contract.driver import Driver

JSON = "application/json; charset=utf-8"
LOADED = ["model", "created_at", "response", "done", "done_reason"]
CHATTED = ["model", "created_at", "message", "done", "done_reason"]
METRICS = [
    "total_duration",
    "load_duration",
    "prompt_eval_count",
    "prompt_eval_duration",
    "eval_count",
    "eval_duration",
]
PROCESS = ["name", "model", "size", "digest", "details", "expires_at", "size_vram", "context_length"]
DETAILS = ["parent_model", "format", "family", "families", "parameter_size", "quantization_level"]


@pytest.mark.parametrize("path", ["/", "/api/version", "/api/tags"])
async def test_head_is_answered_where_get_is_and_nothing_is_loaded(server: Driver, path: str) -> None:
    assert (await server.http.get(path)).status_code == 200
    head = await server.http.head(path)
    assert (head.status_code, head.content) == (200, b"")


async def test_root_says_that_it_runs(server: Driver) -> None:
    answer = await server.http.get("/")
    assert (answer.text, answer.headers["content-type"]) == ("Ollama is running", "text/plain; charset=utf-8")


async def test_an_unknown_route_is_404_in_plain_text(server: Driver) -> None:
    answer = await server.http.get("/api/nosuch")
    assert (answer.status_code, answer.text) == (404, "404 page not found")
    assert answer.headers["content-type"] == "text/plain"


@pytest.mark.parametrize(("method", "path"), [("POST", "/api/ps"), ("HEAD", "/api/ps"), ("GET", "/api/generate")])
async def test_a_wrong_method_is_405_and_names_the_right_one(server: Driver, method: str, path: str) -> None:
    answer = await server.http.request(method, path)
    assert answer.status_code == 405
    assert answer.headers["allow"] == {"/api/ps": "GET", "/api/generate": "POST"}[path]


async def test_a_foreign_host_header_is_403_without_a_body(server: Driver) -> None:
    answer = await server.http.get("/api/ps", headers={"host": "ollama.example.com"})
    assert (answer.status_code, answer.content) == (403, b"")


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1:11434", "[::1]:80", "10.1.2.3", "box.local", "a.internal:1"])
async def test_a_local_host_header_is_taken(server: Driver, host: str) -> None:
    assert (await server.http.get("/api/version", headers={"host": host})).status_code == 200


async def test_nothing_loaded_is_an_empty_list(server: Driver) -> None:
    answer = await server.http.get("/api/ps")
    assert (answer.text, answer.headers["content-type"]) == ('{"models":[]}', JSON)


async def test_a_loaded_model_is_listed_with_all_its_fields(server: Driver) -> None:
    await server.load(server.model)
    (entry,) = await server.list_running()
    assert list(entry.raw) == PROCESS
    assert list(entry.raw["details"]) == DETAILS  # type: ignore[call-overload]
    assert entry.raw["name"] == entry.raw["model"]
    assert entry.name.endswith(":latest") == (":" not in server.model)


async def test_the_listed_digest_is_that_of_the_tags(server: Driver) -> None:
    await server.load(server.model)
    entry = await server.listed(server.model)
    tags = {tag["name"]: tag for tag in (await server.http.get("/api/tags")).json()["models"]}
    assert tags[entry.name]["digest"] == entry.raw["digest"]
    assert ("capabilities" in tags[entry.name]) == server.since(0, 30, 0)


async def test_show_names_the_blob_the_kind_and_the_trained_context(server: Driver) -> None:
    shown = (await server.post("/api/show", model=server.model)).json()
    first = next(line for line in shown["modelfile"].splitlines() if line.startswith("FROM "))
    assert "sha256-" in first
    assert "completion" in shown["capabilities"]
    family = shown["model_info"]["general.architecture"]
    assert shown["model_info"][f"{family}.context_length"] > 0
    embedder = (await server.post("/api/show", model=server.embedder)).json()
    assert embedder["capabilities"] == ["embedding"]


@pytest.mark.parametrize("extra", [{}, {"stream": False}, {"stream": True}, {"prompt": ""}, {"keep_alive": None}])
async def test_load_only_is_one_object_whatever_stream_says(server: Driver, extra: dict[str, object]) -> None:
    answer = await server.post("/api/generate", model=server.model, **extra)
    assert (answer.status_code, answer.headers["content-type"]) == (200, JSON)
    assert list(answer.json()) == LOADED
    assert (answer.json()["model"], answer.json()["done_reason"]) == (server.model, "load")


@pytest.mark.parametrize("extra", [{}, {"messages": []}])
async def test_chat_without_messages_loads(server: Driver, extra: dict[str, object]) -> None:
    answer = await server.post("/api/chat", model=server.model, **extra)
    assert list(answer.json()) == CHATTED
    assert answer.json()["message"] == {"role": "assistant", "content": ""}
    assert answer.json()["done_reason"] == "load"


@pytest.mark.parametrize("extra", [{}, {"input": []}, {"input": ""}, {"input": None}])
async def test_embed_without_input_loads_and_computes_nothing(server: Driver, extra: dict[str, object]) -> None:
    answer = await server.post("/api/embed", model=server.embedder, **extra)
    assert answer.text == f'{{"model":"{server.embedder}","embeddings":[]}}'
    assert await server.entry(server.embedder) is not None


async def test_embed_without_input_loads_a_completion_model_too(server: Driver) -> None:
    answer = await server.post("/api/embed", model=server.model, input=[])
    assert answer.text == f'{{"model":"{server.model}","embeddings":[]}}'
    assert await server.entry(server.model) is not None


async def test_embeddings_without_a_prompt_loads(server: Driver) -> None:
    assert (await server.post("/api/embeddings", model=server.embedder, prompt="")).text == '{"embedding":[]}'


async def test_embed_with_an_empty_text_computes(server: Driver) -> None:
    answer = (await server.post("/api/embed", model=server.embedder, input=[""])).json()
    assert list(answer) == ["model", "embeddings", "total_duration", "load_duration", "prompt_eval_count"]
    assert len(answer["embeddings"]) == 1


async def test_one_token_has_all_durations(server: Driver) -> None:
    wish = {"prompt": "1", "raw": True, "stream": False, "options": {"num_predict": 1}}
    answer = (await server.post("/api/generate", model=server.model, **wish)).json()
    assert list(answer) == [*LOADED[:3], "done", "done_reason", *METRICS]
    assert (answer["eval_count"], answer["done_reason"]) == (1, "length")
    assert all(isinstance(answer[name], int) and answer[name] > 0 for name in METRICS)


async def test_a_stream_is_lines_of_json_and_the_last_has_the_metrics(server: Driver) -> None:
    wish = {"prompt": "hi", "raw": True, "options": {"num_predict": 3}}
    answer = await server.post("/api/generate", model=server.model, **wish)
    assert answer.headers["content-type"] == "application/x-ndjson"
    *words, last = answer.text.splitlines()
    assert words
    assert all(word.startswith(f'{{"model":"{server.model}","created_at":"') for word in words)
    assert '"done":true,"done_reason":"length"' in last


async def test_v1_chat_is_answered_in_openai_form(server: Driver) -> None:
    wish = {"messages": [{"role": "user", "content": "hi"}], "max_tokens": 2}
    answer = await server.post("/v1/chat/completions", model=server.model, **wish)
    assert answer.headers["content-type"] == "application/json"
    assert list(answer.json()) == ["id", "object", "created", "model", "system_fingerprint", "choices", "usage"]
    assert answer.json()["choices"][0]["finish_reason"] == "length"


NAME = "no-such-model"
UNKNOWN = f"model '{NAME}' not found"
TRY_PULLING = f'model "{NAME}" not found, try pulling it first'


@pytest.mark.parametrize(
    ("path", "body", "status", "text"),
    [
        pytest.param("/api/generate", {"model": NAME}, 404, UNKNOWN, id="generate-unknown"),
        pytest.param("/api/generate", {"model": NAME, "keep_alive": 0}, 404, UNKNOWN, id="unload-unknown"),
        pytest.param("/api/chat", {"model": NAME}, 404, UNKNOWN, id="chat-unknown"),
        pytest.param("/api/show", {"model": NAME}, 404, f"model '{NAME}:latest' not found", id="show-unknown"),
        pytest.param("/api/embed", {"model": NAME}, 404, TRY_PULLING, id="embed-unknown"),
        pytest.param("/api/embeddings", {"model": NAME}, 404, TRY_PULLING, id="embeddings-unknown"),
        pytest.param("/api/generate", {"model": ""}, 404, "model '' not found", id="generate-empty"),
        pytest.param("/api/embed", {"model": ""}, 404, "model '' not found", id="embed-empty"),
        pytest.param("/api/chat", {"model": ""}, 400, "model is required", id="chat-empty"),
        pytest.param("/api/show", {"model": ""}, 400, "model is required", id="show-empty"),
        pytest.param("/api/generate", {"model": "a b/../c"}, 400, "invalid model name", id="no-name"),
        pytest.param("/api/embed", {"model": "a b"}, 400, "invalid model name", id="embed-no-name"),
    ],
)
async def test_an_unknown_name_is_refused(
    server: Driver, path: str, body: dict[str, object], status: int, text: str
) -> None:
    answer = await server.post(path, **body)
    assert (answer.status_code, answer.json(), answer.headers["content-type"]) == (status, {"error": text}, JSON)


@pytest.mark.parametrize(
    ("raw", "text"),
    [("", "missing request body"), ('{"model":', "unexpected EOF"), ('{"model":"x', "unexpected EOF")],
)
@pytest.mark.parametrize("path", ["/api/generate", "/api/chat", "/api/embed", "/api/show"])
async def test_a_body_that_is_no_json_is_400(server: Driver, path: str, raw: str, text: str) -> None:
    answer = await server.http.post(path, content=raw)
    assert (answer.status_code, answer.json()) == (400, {"error": text})


async def test_an_embedder_is_refused_by_generate_and_chat_and_not_loaded(server: Driver) -> None:
    name = server.embedder
    for path, verb in (("/api/generate", "generate"), ("/api/chat", "chat")):
        answer = await server.post(path, model=name, keep_alive=-1)
        assert (answer.status_code, answer.json()) == (400, {"error": f'"{name}" does not support {verb}'})
    assert await server.entry(name) is None


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"num_ctx": "4096"}, 'option "num_ctx" must be of type integer'),
        ({"use_mmap": 1}, 'option "use_mmap" must be of type boolean'),
        ({"temperature": "hot"}, 'option "temperature" must be of type float32'),
        ({"stop": "x"}, 'option "stop" must be of type array'),
    ],
)
async def test_an_option_of_the_wrong_type_is_500(server: Driver, options: dict[str, object], text: str) -> None:
    answer = await server.post("/api/generate", model=server.model, options=options)
    assert (answer.status_code, answer.json()) == (500, {"error": text})


async def test_a_capability_that_is_missing_is_400(server: Driver) -> None:
    answer = await server.post("/api/generate", model=server.model, think=True)
    assert (answer.status_code, answer.json()) == (400, {"error": f'"{server.model}" does not support thinking'})


async def test_v1_without_messages_is_400_in_openai_form(server: Driver) -> None:
    answer = await server.post("/v1/chat/completions", model=server.model, messages=[])
    problem = {"message": "[] is too short - 'messages'", "type": "invalid_request_error", "param": None, "code": None}
    assert (answer.status_code, answer.json()) == (400, {"error": problem})


async def test_an_unknown_name_on_pull_is_a_200_with_an_error_line(server: Driver) -> None:
    answer = await server.post("/api/pull", model=f"127.0.0.1:9/library/{NAME}:x")  # nothing listens there
    assert answer.status_code == 200
    assert answer.text.splitlines()[0] == '{"status":"pulling manifest"}'
    assert answer.text.splitlines()[-1].startswith('{"error":"pull model manifest:')


async def test_delete_of_an_unknown_name_is_404(server: Driver) -> None:
    answer = await server.http.request("DELETE", "/api/delete", json={"model": NAME})
    assert (answer.status_code, answer.json()) == (404, {"error": f"model '{NAME}' not found"})


async def test_a_date_of_the_server_is_sent(server: Driver) -> None:
    assert httpx.Headers((await server.http.get("/api/ps")).headers)["date"].endswith("GMT")
