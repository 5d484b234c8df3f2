"""Another index, built beside the one that serves, proven, switched to, and back, under readers."""

import asyncio
import itertools
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio
from sqlalchemy import select

from api.platform import Platform
from api.settings import Settings
from api.wiring import open_platform
from rag.access import TenantId
from rag.storage.generations.records import GenerationId, Standing
from rag.storage.tables import ChunkRow
from tests.acceptance.site import TENANT, Site, open_site
from tests.ingestion.validation.inputs import GARBLED
from tests.syncing import sync

pytestmark = pytest.mark.asyncio(loop_scope="module")

GENERATIONS = "/v1/admin/generations"
SUBJECTS = ("boiler", "crane", "forklift", "lathe", "press", "pump", "turbine", "valve")
ASKERS = 8


def manual(subject: str, number: int) -> str:
    sections = "\n\n".join(
        f"## Part {part}\n\n"
        f"The {subject} of hall {number} has its part {part} serviced every {number + part} weeks. "
        f"Whoever services the {subject} writes the pressure, the temperature and the hours into "
        f"book {part} before leaving hall {number}. Worn bolts of the {subject} are replaced by "
        f"bolts of grade {part + 8}, and never by those of another machine."
        for part in range(1, 7)
    )
    return f"# The {subject} of hall {number}\n\n{sections}\n"


def write_manuals(folder: Path) -> None:
    folder.mkdir()
    (folder / ".access.yaml").write_text(
        "readers: [everyone]\nfiles:\n  secret.md: {readers: [group:board]}\n"
    )
    for number, subject in enumerate(SUBJECTS, start=1):
        (folder / f"{subject}.md").write_text(manual(subject, number))
    (folder / "secret.md").write_text("# Sale\n\nThe turbine is sold to Harbour Heating in May.\n")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def site(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[Site]:
    root = tmp_path_factory.mktemp("generations")
    write_manuals(root / "documents")
    # How fast this machine is at this moment is no matter here.
    patient = {"gate": {"latency_slack_ms": 60_000}}
    async with open_site(root, root / "documents", settings=patient) as site:
        yield site


def case(subject: str, number: int, **more: Any) -> dict[str, Any]:
    return {
        "id": subject,
        "question": f"How often is part 1 of the {subject} serviced?",
        "as": "user:7",
        "expected_documents": [f"{subject}.md"],
        "answer_contains": [f"every {number + 1} weeks"],
        **more,
    }


CASES = [case(subject, number) for number, subject in enumerate(SUBJECTS, start=1)]
FORBIDDEN = {
    "id": "sale",
    "question": "To whom is the turbine sold?",
    "as": "user:7",
    "forbidden_documents": ["secret.md"],
    "refuses": True,
}


def golden(site: Site, *cases: dict[str, Any]) -> dict[str, Any]:
    return {"cases": cases, "documents_uri": site.folder.as_uri()}


async def built(site: Site, **recipe: Any) -> int:
    begun = await site.post(GENERATIONS, recipe)
    assert begun.status_code == 202, begun.text
    generation = GenerationId(begun.json()["generation"]["id"])
    await complete(site.platform, generation)
    return generation


async def complete(platform: Platform, generation: GenerationId) -> Standing:
    async with asyncio.timeout(120):
        while (standing := await platform.generation_ledger.standing(generation)).lacking:
            await asyncio.sleep(0.05)
    return standing


async def dropped(site: Site, generation: int) -> httpx.Response:
    """Once its last readers have left it."""
    while True:
        response = await site.http.delete(f"{GENERATIONS}/{generation}")
        if response.status_code != 409 or "a moment ago" not in response.text:
            return response
        await asyncio.sleep(0.2)


async def serving(site: Site) -> int:
    listed = (await site.http.get(GENERATIONS)).json()["generations"]
    [one] = [each["id"] for each in listed if each["state"] == "serving"]
    return one


@dataclass(slots=True)
class Asked:
    """What searches without pause were answered."""

    answers: list[list[str]] = field(default_factory=list[list[str]])
    """The ids of the chunks of each."""
    failed: list[str] = field(default_factory=list[str])

    async def more(self, number: int) -> None:
        wanted = len(self.answers) + number
        while len(self.answers) < wanted and not self.failed:
            await asyncio.sleep(0.01)


@asynccontextmanager
async def asking(site: Site) -> AsyncGenerator[Asked]:
    asked = Asked()

    async def ask(words: itertools.cycle[str]) -> None:
        for subject in words:
            query = {"query": f"bolts of the {subject}", "limit": 20}
            response = await site.post("/v1/search", query)
            if response.status_code != 200:
                asked.failed.append(response.text)
                return
            asked.answers.append([hit["chunk_id"] for hit in response.json()["hits"]])

    tasks = [
        asyncio.create_task(ask(itertools.cycle((*SUBJECTS[n:], *SUBJECTS[:n]))))
        for n in range(ASKERS)
    ]
    try:
        yield asked
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def chunks_of(site: Site, generation: int) -> set[str]:
    statement = select(ChunkRow.id).where(ChunkRow.generation == generation)
    return {row.id for row in await site.platform.database.rows(statement)}


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
    assert not made[first] & made[second]
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
    assert {any(set(answer) <= ids for answer in asked.answers) for ids in made.values()} == {True}

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
        body = {} if method == "POST" else None
        response = await site.http.request(method, f"{GENERATIONS}/{path}", json=body)
        assert response.status_code == 404, path
    compared = await site.post(f"{GENERATIONS}/99/compare", golden(site, *CASES))
    assert compared.status_code == 404


async def test_the_one_that_serves_is_neither_compared_nor_dropped(site: Site) -> None:
    one = await serving(site)
    assert (await site.post(f"{GENERATIONS}/{one}/compare", golden(site, *CASES))).status_code == 409
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
    for wrong in (
        {"cases": [], "documents_uri": "file:///x"},
        golden(site, case("pump", 6), case("pump", 6)),
        {"cases": CASES, "documents_uri": "documents"},
        golden(site, case("pump", 6, asker="user:1")),
        golden(site, case("pump", 6, **{"as": "everyone"})),
    ):
        assert (await site.post(compare, wrong)).status_code == 422

    elsewhere = {"cases": CASES, "documents_uri": "file:///elsewhere"}
    proves_nothing = (await site.post(compare, elsewhere)).json()
    assert proves_nothing["verdict"] == "refused"
    refused = await site.post(switch, {})
    assert (refused.status_code, "not those of what was ingested" in refused.text) == (409, True)

    told = await site.post(compare, golden(site, *CASES, {**FORBIDDEN, "groups": ["group:board"]}))
    assert (told.json()["verdict"], told.json()["new"]["forbidden_leaks"] > 0) == ("refused", True)
    assert "Harbour" not in told.text and "turbine" not in told.text.replace('"turbine"', "")
    leaks = await site.post(switch, {"force": True})
    assert (leaks.status_code, "cannot be forced" in leaks.text) == (409, True)

    assert (await site.post(compare, elsewhere)).json()["verdict"] == "refused"
    forced = (await site.post(switch, {"force": True})).json()
    assert forced["serving"] == new and len(forced["forced"]) == 1
    shown = (await site.http.get(f"{GENERATIONS}/{new}")).json()
    assert (shown["forced"]["by"], shown["forced"]["against"]) == ("user:1", forced["forced"])
    assert shown["verdict"] == "refused"

    assert (await site.post(f"{GENERATIONS}/{old}/switch", {})).json()["lacking"] == 0
    assert (await dropped(site, new)).status_code == 204


async def test_a_comparison_with_one_that_serves_no_more_does_not_count(site: Site) -> None:
    first, second = await serving(site), await built(site, chunk_tokens=72)
    assert (await site.post(f"{GENERATIONS}/{second}/switch", {"force": True})).status_code == 200
    third = await built(site, chunk_tokens=56)
    compared = await site.post(f"{GENERATIONS}/{third}/compare", golden(site, *CASES))
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
    other = site.folder / "notes"
    other.mkdir()
    (other / "odd.txt").write_text(f"The zirkonium report. {GARBLED} {GARBLED}")
    source = await site.register(other)
    await sync(site.platform, source)
    [odd] = await waiting(site)
    released = await site.post(f"/v1/admin/quarantine/{odd}/release", {"accept": "version"})
    assert released.status_code == 202
    old = await serving(site)
    await until_shown(site, "odd.txt", source.id)
    original = (await site.platform.documents.find(TENANT, odd)).original  # type: ignore[union-attr]
    await site.platform.originals.remove(original)

    begun = await site.post(GENERATIONS, {"chunk_tokens": 80})
    new = GenerationId(begun.json()["generation"]["id"])
    async with asyncio.timeout(120):
        while True:
            standing = await site.platform.generation_ledger.standing(new)
            if standing.lacking == standing.failed == 1:
                break
            await asyncio.sleep(0.05)
    shown = (await site.http.get(f"{GENERATIONS}/{new}")).json()
    [failure] = shown["failures"]
    assert (failure["jobs"], failure["example_uri"].endswith("odd.txt")) == (1, True)
    assert failure["example_error"]
    held = await site.post(f"{GENERATIONS}/{new}/switch", {})
    assert (held.status_code, "lacks 1 of" in held.text, "failed" in held.text) == (409, True, True)
    assert (await site.http.delete(f"{GENERATIONS}/{new}")).status_code == 204
    assert await serving(site) == old


async def test_a_build_that_is_interrupted_goes_on_with_what_it_lacks(tmp_path: Path) -> None:
    write_manuals(tmp_path / "documents")
    one_at_a_time = {"ingestion": {"workers": 1}}
    async with open_site(tmp_path, tmp_path / "documents", settings=one_at_a_time) as site:
        begun = await site.post(GENERATIONS, {"chunk_tokens": 48})
        generation = GenerationId(begun.json()["generation"]["id"])
        while (await site.platform.generation_ledger.standing(generation)).lacking > 4:
            await asyncio.sleep(0)
        left = (await site.platform.generation_ledger.standing(generation)).lacking
    settings = Settings.model_validate({"data_dir": tmp_path / "data", "tenant": TENANT})
    async with open_platform(settings) as platform:
        standing = await complete(platform, generation)
        second = await platform.generations.get(generation)
        assert await second.index.count(TenantId(TENANT)) == standing.chunks > standing.documents
    assert 0 < left <= 4
