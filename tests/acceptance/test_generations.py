"""Another index, built beside the one that serves, proven, switched to, and back, under readers."""

import asyncio
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from api.settings import Settings
from api.wiring import open_platform
from rag.access import TenantId
from rag.bodies import Body
from rag.storage.generations.records import GenerationId
from tests.acceptance.manuals import (
    ASKERS,
    CASES,
    FORBIDDEN,
    GENERATIONS,
    SUBJECTS,
    asking,
    built,
    case,
    chunks_of,
    complete,
    dropped,
    golden,
    serving,
    write_manuals,
)
from tests.acceptance.site import TENANT, Site, open_site

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def site(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[Site]:
    root = tmp_path_factory.mktemp("generations")
    write_manuals(root / "documents")
    # How fast this machine is at this moment is no matter here.
    patient = {"gate": {"latency_slack_ms": 60_000}}
    async with open_site(root, root / "documents", settings=patient) as site:
        yield site


async def test_readers_are_sent_over_and_back_without_a_failed_or_a_mixed_answer(
    site: Site,
) -> None:
    first = await serving(site)
    second = await built(site, chunk_tokens=100)
    compared = await site.post(f"{GENERATIONS}/{second}/compare", golden(site, *CASES, FORBIDDEN))
    assert compared.status_code == 200, compared.text
    assert compared.json()["verdict"] == "passed", compared.text
    assert compared.json()["new"]["forbidden_leaks"] == 0

    made = {generation: await chunks_of(site, generation) for generation in (first, second)}
    both = made[first] & made[second]  # a section that one chunk holds in either
    async with asking(site) as asked:
        for to, before in ((second, first), (first, second), (second, first)):
            await asked.more(3 * ASKERS)
            switched = await site.post(f"{GENERATIONS}/{to}/switch", {})
            assert switched.status_code == 200, switched.text
            assert switched.json() == {"serving": to, "before": before, "lacking": 0, "forced": []}
            assert await serving(site) == to
        await asked.more(3 * ASKERS)
        gone = await dropped(site, first)
        assert gone.status_code == 204, gone.text
        await asked.more(3 * ASKERS)

    assert asked.failed == []
    assert all(asked.answers)
    mixed = [
        answer for answer in asked.answers if not any(set(answer) <= ids for ids in made.values())
    ]
    assert mixed == []
    for ids in made.values():
        assert any(set(answer) & (ids - both) for answer in asked.answers)

    data = site.platform.settings.data_dir
    assert not (data / "index").exists() and (data / f"index-{second}").exists()
    assert (await site.post(f"{GENERATIONS}/{first}/switch", {})).status_code == 409
    shown = (await site.http.get(f"{GENERATIONS}/{first}")).json()
    assert (shown["state"], shown["standing"]) == ("dropped", None)


async def test_a_dry_run_tells_how_much_it_is_and_begins_nothing(site: Site) -> None:
    before = (await site.http.get(GENERATIONS)).json()
    told = (await site.post(GENERATIONS, {"chunk_tokens": 300, "dry_run": True})).json()
    assert told["recipe"]["chunk_tokens"] == 300
    assert told["documents"] == len(SUBJECTS) + 1
    assert told["bytes"] == sum(path.stat().st_size for path in site.folder.glob("*.md"))
    assert told["chunks"] > told["documents"] and told["tokens"] > 100
    assert told["seconds"] > 0 and told["cost"] == 0
    assert told["generation"] is None
    assert (await site.http.get(GENERATIONS)).json() == before


@pytest.mark.parametrize(
    "body",
    [
        {"chunk_tokens": 3},
        {"overlap": 0.9},
        {"embedder": "word2vec"},
        {"model": "some/model"},
        {"token_dimensions": None},
        {"embedder": "sentence_transformers"},
        {"chunk_token": 100},
    ],
    ids=str,
)
async def test_a_recipe_that_could_not_be_served_is_refused(
    site: Site, body: dict[str, Any]
) -> None:
    before = (await site.http.get(GENERATIONS)).json()
    refused = await site.post(GENERATIONS, body)
    assert refused.status_code == 422, refused.text
    assert refused.json()["detail"]
    assert (await site.http.get(GENERATIONS)).json() == before


async def test_what_is_not_there_is_404(site: Site) -> None:
    for method, path in (("GET", "99"), ("POST", "99/switch"), ("DELETE", "99")):
        body: dict[str, Any] | None = {} if method == "POST" else None
        response = await site.http.request(method, f"{GENERATIONS}/{path}", json=body)
        assert response.status_code == 404, path
    compared = await site.post(f"{GENERATIONS}/99/compare", golden(site, CASES[0]))
    assert compared.status_code == 404


async def test_the_one_that_serves_is_neither_compared_nor_dropped(site: Site) -> None:
    one = await serving(site)
    assert (
        await site.post(f"{GENERATIONS}/{one}/compare", golden(site, *CASES))
    ).status_code == 409
    kept = await site.http.delete(f"{GENERATIONS}/{one}")
    assert (kept.status_code, "switch to another first" in kept.text) == (409, True)
    again = await site.post(f"{GENERATIONS}/{one}/switch", {})
    assert again.json()["before"] == again.json()["serving"] == one


async def test_one_that_is_not_proven_waits_and_a_forced_switch_says_who_forced_it(
    site: Site,
) -> None:
    old, new = await serving(site), await built(site, chunk_tokens=64)
    switch, compare = f"{GENERATIONS}/{new}/switch", f"{GENERATIONS}/{new}/compare"
    second = await site.post(GENERATIONS, {})
    assert (second.status_code, "is being built" in second.text) == (409, True)

    unproven = await site.post(switch, {})
    assert (unproven.status_code, "not compared" in unproven.text) == (409, True)
    wrong: list[dict[str, Any]] = [
        {"cases": [], "documents_uri": "file:///x"},
        golden(site, case("pump", 6), case("pump", 6)),
        {"cases": CASES, "documents_uri": "documents"},
        golden(site, case("pump", 6, asker="user:1")),
        golden(site, case("pump", 6, **{"as": "everyone"})),
    ]
    for body in wrong:
        assert (await site.post(compare, body)).status_code == 422

    elsewhere = {"cases": CASES[:1], "documents_uri": "file:///elsewhere"}
    proves_nothing = (await site.post(compare, elsewhere)).json()
    assert proves_nothing["verdict"] == "refused"
    refused = await site.post(switch, {})
    assert (refused.status_code, "not those of what was ingested" in refused.text) == (409, True)

    told = await site.post(
        compare, golden(site, CASES[0], {**FORBIDDEN, "groups": ["group:board"]})
    )
    assert (told.json()["verdict"], told.json()["new"]["forbidden_leaks"] > 0) == ("refused", True)
    assert "Harbour" not in told.text and "turbine" not in told.text.replace('"turbine"', "")
    leaks = await site.post(switch, {"force": True})
    assert (leaks.status_code, "cannot be forced" in leaks.text) == (409, True)

    assert (await site.post(compare, elsewhere)).json()["verdict"] == "refused"
    forced = (await site.post(switch, {"force": True})).json()
    assert forced["serving"] == new
    assert any("not those of what was ingested" in against for against in forced["forced"])
    shown = (await site.http.get(f"{GENERATIONS}/{new}")).json()
    assert (shown["forced"]["by"], shown["forced"]["against"]) == ("user:1", forced["forced"])
    assert shown["verdict"] == "refused"

    assert (await site.post(f"{GENERATIONS}/{old}/switch", {})).json()["lacking"] == 0
    assert (await dropped(site, new)).status_code == 204


async def test_a_comparison_with_one_that_serves_no_more_does_not_count(site: Site) -> None:
    first, second = await serving(site), await built(site, chunk_tokens=72)
    assert (await site.post(f"{GENERATIONS}/{second}/switch", {"force": True})).status_code == 200
    third = await built(site, chunk_tokens=56)
    compared = await site.post(f"{GENERATIONS}/{third}/compare", golden(site, CASES[0]))
    assert compared.json()["against"] == second
    assert (await site.post(f"{GENERATIONS}/{first}/switch", {})).status_code == 200
    switched = await site.post(f"{GENERATIONS}/{third}/switch", {})
    assert (switched.status_code, f"compared with generation {second}" in switched.text) == (
        409,
        True,
    )
    for generation in (second, third):
        assert (await dropped(site, generation)).status_code == 204


async def test_documents_that_fail_to_come_over_are_told_by_reason_and_hold_the_switch(
    site: Site,
) -> None:
    valve = (await site.documents())["valve.md"]
    assert valve.original is not None
    await site.platform.originals.remove(valve.original)
    begun = await site.post(GENERATIONS, {"chunk_tokens": 80})
    new = GenerationId(begun.json()["generation"]["id"])
    await complete(site.platform, new, failed=1)
    [failure] = (await site.http.get(f"{GENERATIONS}/{new}")).json()["failures"]
    assert (failure["jobs"], failure["example_uri"].endswith("valve.md")) == (1, True)
    assert failure["error_class"] and failure["example_error"]
    held = await site.post(f"{GENERATIONS}/{new}/switch", {})
    assert (held.status_code, "lacks 1 of" in held.text, "failed" in held.text) == (409, True, True)

    await site.platform.originals.store(Body.of((site.folder / "valve.md").read_bytes()))
    again = {"error_class": failure["error_class"]}
    assert (await site.post("/v1/admin/jobs/retry", again)).json() == {"retried": 1}
    assert (await complete(site.platform, new)).failed == 0
    assert (await site.http.get(f"{GENERATIONS}/{new}")).json()["failures"] == []
    assert (await site.http.delete(f"{GENERATIONS}/{new}")).status_code == 204


async def test_what_failed_in_a_dropped_one_is_tried_in_the_next(site: Site) -> None:
    valve = (await site.documents())["valve.md"]
    assert valve.original is not None
    await site.platform.originals.remove(valve.original)
    begun = await site.post(GENERATIONS, {"chunk_tokens": 80})
    failing = GenerationId(begun.json()["generation"]["id"])
    await complete(site.platform, failing, failed=1)
    assert (await site.http.delete(f"{GENERATIONS}/{failing}")).status_code == 204

    await site.platform.originals.store(Body.of((site.folder / "valve.md").read_bytes()))
    new = await built(site, chunk_tokens=80)
    assert (await site.http.get(f"{GENERATIONS}/{new}")).json()["failures"] == []
    assert (await site.http.delete(f"{GENERATIONS}/{new}")).status_code == 204


async def test_a_build_that_is_interrupted_goes_on_with_what_it_lacks(tmp_path: Path) -> None:
    write_manuals(tmp_path / "documents")
    one_at_a_time = {"ingestion": {"workers": 1}}
    async with open_site(tmp_path, tmp_path / "documents", settings=one_at_a_time) as site:
        begun = await site.post(GENERATIONS, {"chunk_tokens": 100})
        generation = GenerationId(begun.json()["generation"]["id"])
        while True:
            left = (await site.platform.generation_ledger.standing(generation)).lacking
            if left <= 4:
                break
            await asyncio.sleep(0.01)
    settings = Settings.model_validate({"data_dir": tmp_path / "data", "tenant": TENANT})
    async with open_platform(settings) as platform:
        standing = await complete(platform, generation)
        second = await platform.generations.get(generation)
        assert await second.index.count(TenantId(TENANT)) == standing.chunks > standing.documents
    assert 0 < left <= 4
