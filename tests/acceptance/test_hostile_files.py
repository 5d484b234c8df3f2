"""Every hostile file at once on the platform as it is set up, while people go on searching."""

import asyncio
from pathlib import Path

from rag.storage.documents.records import DocumentState, StoredDocument
from rag.storage.jobs.records import JobState
from rag.storage.sources.records import Source
from tests.acceptance.site import TENANT, Site, open_site
from tests.ingestion.parsers.hostile import HOSTILE, READ, SECRET, write_hostile
from tests.syncing import sync

GOOD = "The barrier of the north gate opens at 05:30 on working days."
UNFINISHED = (JobState.QUEUED, JobState.WAITING, JobState.RUNNING)


async def test_every_hostile_file_is_recorded_while_the_service_answers(tmp_path: Path) -> None:
    good, hostile = tmp_path / "good", tmp_path / "hostile"
    good.mkdir()
    (good / "gate.txt").write_text(GOOD)
    write_hostile(hostile)
    for folder in (good, hostile):
        (folder / ".access.yaml").write_text("readers: [everyone]\n")
    async with open_site(tmp_path, good) as site:
        source = await site.register(hostile)
        syncing = asyncio.create_task(sync(site.platform, source))
        answered = await searched_until_done(site, syncing)
        assert answered > 20
        await syncing
        assert await unfinished(site) == 0
        documents = await all_documents(site, source)
        ends = {name: end_of(documents.get(name)) for name in HOSTILE}
        wrong = {name: end for name, end in ends.items() if not HOSTILE[name].ends & end}
        assert wrong == {}
        assert not any(SECRET in text for text in await site.texts_found("root passwd"))
        members = [one for one in documents.values() if one.parent is not None]
        assert {one.state for one in members} <= {DocumentState.ACTIVE, DocumentState.FAILED}
        assert any(one.error_class == "LimitExceeded" for one in members)
        assert not any(
            "out of the box" in text for text in await site.texts_found("out of the box")
        )


async def searched_until_done(site: Site, syncing: "asyncio.Task[object]") -> int:
    """How many searches were answered, rightly, before nothing was left to do."""
    answered = 0
    while not syncing.done() or await unfinished(site):
        assert GOOD in await site.texts_found("When does the north gate open?")
        answered += 1
        await asyncio.sleep(0.1)
    return answered


async def all_documents(site: Site, source: Source) -> dict[str, StoredDocument]:
    listed = await site.platform.documents.listed(
        TENANT, source=source.id, states=list(DocumentState), limit=1_000
    )
    return {document.ref.uri.rpartition("/")[2]: document for document in listed}


async def unfinished(site: Site) -> int:
    counts = await site.platform.jobs.counts(TENANT)
    return sum(counts.get(state, 0) for state in UNFINISHED)


def end_of(document: StoredDocument | None) -> set[str]:
    if document is None:
        return set()
    match document.state:
        case DocumentState.ACTIVE:
            return {READ}
        case DocumentState.FAILED:
            return {document.error_class or ""}
        case _:
            return {document.state.value}
