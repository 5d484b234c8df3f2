"""Ingests that meet each other, a full disk or a kill: each document ends up in, once, and whole."""

import asyncio
import random
import resource
import signal
import sys
from collections.abc import AsyncGenerator, Generator
from contextlib import contextmanager
from pathlib import Path

import pytest
import pytest_asyncio

from api.wiring import open_platform
from ingestion.jobs import sync_job
from rag.storage.documents.records import DocumentState
from rag.storage.jobs.records import Job, JobState
from rag.storage.sources.records import Source
from tests.acceptance.bad_files import (
    READABLE,
    pdf,
)
from tests.acceptance.ingesting import settings_of
from tests.acceptance.site import TENANT, Site, open_site
from tests.syncing import end_of, sync

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def site(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[Site]:
    root = tmp_path_factory.mktemp("interrupted")
    folder = root / "documents"
    folder.mkdir()
    (folder / ".access.yaml").write_text("readers: [everyone]\n")
    (folder / "gate.md").write_bytes(READABLE["good.md"][0])
    async with open_site(root, folder) as site:
        yield site


async def test_two_syncs_at_once_take_a_file_in_once(site: Site, tmp_path: Path) -> None:
    folder = tmp_path / "twice"
    folder.mkdir()
    (folder / ".access.yaml").write_text("readers: [everyone]\n")
    for number in range(4):
        (folder / f"note-{number}.txt").write_text(f"Locker {number} in room R5 is blue.")
    source = await site.register(folder)
    listings = await site.platform.jobs.enqueue([sync_job(TENANT, source.id) for _ in range(2)])
    for listing in listings:
        assert (await end_of(site.platform, source, listing)).state is JobState.DONE
    await sync(site.platform, source)

    assert len(await site.documents(source)) == 4
    for document in (await site.documents(source)).values():
        held = await site.platform.documents.chunks(TENANT, document.ref.id)
        assert len(held) == 1 and document.settled
        assert await (await site.platform.generations.serving()).index.chunk_ids(
            TENANT, document.ref.id
        ) == set(held)
    texts = [text for text in await site.texts_found("Locker in room R5") if "R5" in text]
    assert len(texts) == 4


@contextmanager
def no_file_longer_than(limit: int) -> Generator[None]:
    """A disk that is full: the kernel refuses what this process writes beyond `limit`."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


async def test_a_full_disk_delays_a_document_and_loses_nothing(site: Site, tmp_path: Path) -> None:
    folder = tmp_path / "long"
    folder.mkdir()
    (folder / ".access.yaml").write_text("readers: [everyone]\n")
    noise = random.Random(1).randbytes(5_000_000)
    body = pdf("The spare rotor of pump P9 lies in rack C3.", padding=noise)
    (folder / "spare.pdf").write_bytes(body)
    source = await site.register(folder)
    with no_file_longer_than(len(body) - 1):
        [listing] = await site.platform.jobs.enqueue([sync_job(TENANT, source.id)])
        await end_of(site.platform, source, listing)
        waiting = await first_setback(site, source)
        assert waiting.error_class == "StorageUnavailable"
        assert (
            waiting.error is not None
            and "no room for a large file while it is worked on: File too large" in waiting.error
        )
        assert (await site.documents(source)) == {}
        assert not any("rack C3" in text for text in await site.texts_found("spare rotor P9"))
        assert any("05:30" in text for text in await site.texts_found("north gate"))

    while (await site.platform.sources.progress(TENANT, source.id)).pending:  # noqa: ASYNC110
        await asyncio.sleep(0.05)
    assert (await site.documents(source))["spare.pdf"].state is DocumentState.ACTIVE
    assert any("rack C3" in text for text in await site.texts_found("spare rotor of pump P9"))


async def first_setback(site: Site, source: Source) -> Job:
    """The first job of the source that waits to be tried again."""
    while True:
        waiting = await site.platform.jobs.listed(TENANT, source=source.id, state=JobState.WAITING)
        if waiting:
            return waiting[0]
        await asyncio.sleep(0.02)


async def test_a_process_killed_while_it_ingests_goes_on_where_it_was(
    site: Site, tmp_path: Path
) -> None:
    del site  # its model is warm, and its index another one
    folder, data = tmp_path / "many", tmp_path / "data"
    folder.mkdir()
    (folder / ".access.yaml").write_text("readers: [everyone]\n")
    for number in range(12):
        text = "\n\n".join(f"Shelf {number}-{row} holds part {number * row}." for row in range(9))
        (folder / f"shelf-{number}.md").write_text(f"# Shelf {number}\n\n{text}\n")
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.acceptance.ingesting", str(data), str(folder)),
        stdout=asyncio.subprocess.PIPE,
    )
    assert child.stdout is not None
    while int((await child.stdout.readline()).strip() or b"12") < 3:
        pass
    child.kill()
    assert await child.wait() == -signal.SIGKILL

    async with open_platform(settings_of(data)) as platform:
        [source] = await platform.sources.listed(TENANT)
        began_with = await platform.sources.progress(TENANT, source.id)
        await sync(platform, source)
        counts = await platform.jobs.counts(TENANT)
        assert {state for state, number in counts.items() if number} == {JobState.DONE}
        listed = await platform.documents.listed(TENANT)
        assert len(listed) == 12
        for document in listed:
            held = await platform.documents.chunks(TENANT, document.ref.id)
            assert document.state is DocumentState.ACTIVE and document.settled and held
            assert await (await platform.generations.serving()).index.chunk_ids(
                TENANT, document.ref.id
            ) == set(held)
        assert began_with.done < 12, "the kill came too late to say anything"
