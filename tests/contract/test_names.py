"""One model under many names: spellings, copies, variants (OLLAMA.md 5)."""

import pytest

from ollama_keeper.core.names import DEFAULT_NAMESPACE, parse_name
from tests.contract.driver import VARIANT_CONTEXT, Driver

ALIAS = "ollama-keeper-contract-alias"


def spellings(name: str) -> list[str]:
    """Other ways to write the name of a model."""
    parsed = parse_name(name)
    found = [name.upper(), str(parsed), parsed.full, f"https://{parsed.full}", f"{name}:local"]
    return (
        [*found, f"{DEFAULT_NAMESPACE}/{name}"] if parsed.namespace == DEFAULT_NAMESPACE and "/" not in name else found
    )


async def test_every_spelling_is_the_same_runner(server: Driver) -> None:
    await server.load(server.model, keep_alive=-1)
    listed = await server.listed(server.model)
    for spelling in spellings(server.model):
        answer = await server.load(spelling)
        assert answer.json()["model"] == spelling
        assert [(entry.name, entry.pinned) for entry in await server.list_running()] == [(listed.name, True)]


async def test_a_model_is_listed_by_its_stored_name(server: Driver) -> None:
    await server.load(server.model)
    stored = (await server.listed(server.model)).name
    await server.unload(server.model)
    for spelling in spellings(server.model):
        await server.load(spelling)
        assert [entry.name for entry in await server.list_running()] == [stored]
        await server.unload(spelling)


async def test_embed_takes_every_spelling(server: Driver) -> None:
    await server.load(server.embedder, keep_alive=-1)
    for spelling in spellings(server.embedder):
        assert (await server.post("/api/embed", model=spelling, input=[])).status_code == 200
    assert len(await server.list_running()) == 1
    assert await server.kept_without_reload(server.embedder)


async def test_the_old_embeddings_want_the_case_of_the_store(server: Driver) -> None:
    name = server.embedder.upper()
    answer = await server.post("/api/embeddings", model=name, prompt="")
    text = f'model "{name}" not found, try pulling it first'
    assert (answer.status_code, answer.json()) == (404, {"error": text})


@pytest.mark.parametrize("path", ["/api/generate", "/api/chat"])
async def test_any_spelling_unloads(server: Driver, path: str) -> None:
    await server.load(server.model, keep_alive=-1)
    await server.post(path, model=server.model.upper(), keep_alive=0)
    await server.until_gone(server.model)


# --- copies -----------------------------------------------------------------------------------------------------------


async def test_a_copy_is_served_by_the_same_runner(server: Driver) -> None:
    await server.copy(server.model, ALIAS)
    await server.load(server.model, keep_alive=-1)
    before = await server.listed(server.model)
    await server.load(ALIAS)
    (entry,) = await server.list_running()
    assert (entry.name, entry.raw["digest"], entry.pinned) == (before.name, before.raw["digest"], True)
    assert entry.expires_at > before.expires_at


async def test_the_runner_has_the_name_that_loaded_it(server: Driver) -> None:
    await server.copy(server.model, ALIAS)
    await server.load(ALIAS, keep_alive=-1)
    await server.load(server.model)
    assert [(entry.name, entry.pinned) for entry in await server.list_running()] == [(f"{ALIAS}:latest", True)]


async def test_a_keep_alive_by_a_copy_is_everybodys(server: Driver) -> None:
    await server.copy(server.model, ALIAS)
    await server.load(server.model, keep_alive=-1)
    await server.load(ALIAS, keep_alive=60)
    assert (await server.listed(server.model)).remaining_s <= 60


async def test_an_unload_by_a_copy_unloads(server: Driver) -> None:
    await server.copy(server.model, ALIAS)
    await server.load(server.model, keep_alive=-1)
    await server.post("/api/generate", model=ALIAS, keep_alive=0)
    await server.until_gone(server.model)


async def test_a_deleted_copy_stays_loaded(server: Driver) -> None:
    await server.copy(server.model, ALIAS)
    await server.load(ALIAS, keep_alive=-1)
    assert (await server.http.request("DELETE", "/api/delete", json={"model": ALIAS})).status_code == 200
    assert (await server.listed(ALIAS)).pinned
    await server.unload(server.model)
    assert await server.list_running() == []


async def test_show_has_one_blob_for_a_model_and_its_copy(server: Driver) -> None:
    await server.copy(server.model, ALIAS)
    assert await server.blob(ALIAS) == await server.blob(server.model)
    assert await server.blob(server.completions[1]) != await server.blob(server.model)


# --- variants ---------------------------------------------------------------------------------------------------------


async def test_a_variant_with_another_context_reloads_and_is_reloaded(server: Driver, variant: str) -> None:
    await server.load(server.model, keep_alive=-1)
    await server.load(variant)
    (entry,) = await server.list_running()
    assert (parse_name(entry.name), entry.pinned) == (parse_name(variant), False)
    assert entry.context == VARIANT_CONTEXT
    await server.load(server.model)
    (entry,) = await server.list_running()
    assert parse_name(entry.name) == parse_name(server.model)
    assert entry.context != VARIANT_CONTEXT


async def test_a_variant_asked_for_with_the_residents_context_is_served_by_it(server: Driver, variant: str) -> None:
    await server.load(server.model, keep_alive=-1)
    context = await server.context(server.model)
    await server.load(variant, options={"num_ctx": context})
    (entry,) = await server.list_running()
    assert (parse_name(entry.name), entry.pinned) == (parse_name(server.model), True)


async def test_show_tells_a_variants_parameters_and_weights(server: Driver, variant: str) -> None:
    shown = (await server.post("/api/show", model=variant)).json()
    lines = [line.split() for line in shown["parameters"].splitlines()]
    assert ["num_ctx", str(VARIANT_CONTEXT)] in lines
    assert await server.blob(variant) == await server.blob(server.model)
