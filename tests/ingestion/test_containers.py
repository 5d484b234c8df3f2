"""Documents inside documents: who reads them, when they come, change and go."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.containers import Room
from connectors.protocols import AccessChanged, Deleted, Upserted
from ingestion.changes import reindex_job
from ingestion.describing import ref_of
from ingestion.jobs import run_job, sync_job
from ingestion.members import MEMBER_MARK, member_uri
from rag.access import AccessList, readable_by
from rag.errors import PermanentError
from rag.storage.database import Database
from rag.storage.documents.records import DocumentState, StoredDocument
from rag.storage.jobs.records import Job, JobState
from rag.storage.originals import Originals
from tests.ingestion.boxes import Box, BoxParser, packed
from tests.ingestion.platform import SOURCE, TENANT, Platform, platform_over

SALES = readable_by(["group:sales"])


@pytest.fixture
async def platform(database: Database, tmp_path: Path) -> Platform:
    parser = BoxParser(Originals(tmp_path / "originals"))
    return await platform_over(database, tmp_path, parser=parser)


async def put(platform: Platform, box: Box, *, access: AccessList | None = None) -> None:
    """The box as the source has it now, and all that follows from it."""
    await put_alone(platform, box, access=access)
    await run_all(platform)


async def put_alone(platform: Platform, box: Box, *, access: AccessList | None = None) -> None:
    readers = access or readable_by(["group:finance"])
    platform.folder.put("box", packed(box), access=readers)
    change = Upserted("box", platform.folder.files["box"].seen)
    await platform.pipeline.ingest(change, platform.folder, tenant=TENANT)


async def change_access(platform: Platform, access: AccessList) -> None:
    file = platform.folder.files["box"]
    platform.folder.put("box", file.body.read(), access=access)
    seen = platform.folder.files["box"].seen
    change = AccessChanged("box", seen, access, {})
    await platform.pipeline.ingest(change, platform.folder, tenant=TENANT)


async def run_all(platform: Platform) -> list[Job]:
    """Run jobs until none is due; those that were run."""
    done: list[Job] = []
    while job := await platform.leases.claim("a worker", lease=timedelta(seconds=60)):
        await run_job(job, platform.work)
        done.append(await platform.jobs.get(TENANT, job.id))
    return done


async def found(platform: Platform, uri: str) -> StoredDocument | None:
    return await platform.documents.find(TENANT, ref_of(TENANT, SOURCE, uri).id)


async def test_what_lies_in_a_document_is_found_by_the_documents_readers(
    platform: Platform,
) -> None:
    await put(platform, {"a.txt": "first", "deep": {"b.txt": "second"}})
    texts = ["A box of 2", "first", "A box of 1", "second"]
    assert sorted(await platform.texts_seen_by("group:finance")) == sorted(texts)
    assert await platform.texts_seen_by("group:sales") == []
    member = await found(platform, "box!/deep!/b.txt")
    assert member is not None and member.state is DocumentState.ACTIVE and member.settled
    assert member.metadata["container"] == "box!/deep"
    box = await found(platform, "box")
    assert box is not None and box.settled and box.metadata["members"] == 2
    assert member.original is not None
    assert (await platform.originals.body_of(member.original)).read() == b"second"


async def test_a_file_that_cannot_be_read_fails_alone(platform: Platform) -> None:
    await put_alone(platform, {"good.txt": "good", "bad.txt": "!broken"})
    jobs = {job.uri: job for job in await run_all(platform)}
    assert jobs["box!/bad.txt"].state is JobState.FAILED
    bad, box = await found(platform, "box!/bad.txt"), await found(platform, "box")
    assert bad is not None and box is not None
    assert (bad.state, bad.error_class) == (DocumentState.FAILED, "ParseError")
    assert (box.state, box.error) == (DocumentState.ACTIVE, None)
    assert await platform.texts_seen_by("group:finance") == ["A box of 2", "good"]


async def test_a_file_that_never_could_be_read_is_settled_under_the_new_readers_too(
    platform: Platform,
) -> None:
    await put(platform, {"bad.txt": "!broken"})
    await change_access(platform, SALES)
    assert [job.state for job in await run_all(platform)] == [JobState.DONE]
    bad = await found(platform, "box!/bad.txt")
    assert bad is not None and bad.settled
    assert (bad.state, bad.error_class) == (DocumentState.FAILED, "ParseError")
    assert SALES.clauses[0] in bad.access.clauses


async def test_a_new_version_embeds_what_is_new_and_takes_away_what_is_gone(
    platform: Platform,
) -> None:
    await put(platform, {"same.txt": "same", "changed.txt": "old", "gone": {"x.txt": "gone"}})
    platform.embedder.embedded.clear()
    await put_alone(platform, {"same.txt": "same", "changed.txt": "new", "added.txt": "added"})
    assert "gone" not in await platform.texts_seen_by("group:finance")  # before any job has run
    assert "old" in await platform.texts_seen_by("group:finance")
    await run_all(platform)
    seen = sorted(await platform.texts_seen_by("group:finance"))
    assert seen == sorted(["A box of 3", "same", "new", "added"])
    embedded = "".join(platform.embedder.embedded)
    assert "new" in embedded and "added" in embedded and "same" not in embedded
    for uri in ("box!/gone", "box!/gone!/x.txt"):
        gone = await found(platform, uri)
        assert gone is not None and gone.state is DocumentState.DELETED and gone.settled
        assert await platform.index.chunk_ids(TENANT, gone.ref.id) == set()


async def test_who_is_shut_out_of_a_box_is_shut_out_of_all_in_it_at_once(
    platform: Platform,
) -> None:
    await put(platform, {"a.txt": "first", "deep": {"b.txt": "second"}})
    platform.embedder.embedded.clear()
    await change_access(platform, SALES)
    assert await platform.texts_seen_by("group:finance") == []  # before any job has run
    await run_all(platform)
    assert len(await platform.texts_seen_by("group:sales")) == 4
    assert platform.embedder.embedded == []
    for uri in ("box!/a.txt", "box!/deep!/b.txt"):
        member = await found(platform, uri)
        assert member is not None and member.access == SALES and member.settled


async def test_a_deleted_box_takes_all_in_it_away_at_once(platform: Platform) -> None:
    await put(platform, {"a.txt": "first", "deep": {"b.txt": "second"}})
    await platform.pipeline.ingest(Deleted("box"), platform.folder, tenant=TENANT)
    assert await platform.texts_seen_by("group:finance") == []
    await run_all(platform)
    assert platform.index.points == {}
    kept = [path for path in platform.originals.root.rglob("*") if path.is_file()]
    assert kept == []


async def test_new_content_for_new_readers_never_shows_them_the_old(platform: Platform) -> None:
    await put(platform, {"a.txt": "secret of before", "b.txt": "same"})
    await put_alone(platform, {"a.txt": "public now", "b.txt": "same"}, access=SALES)
    assert await platform.texts_seen_by("group:finance") == []
    assert "secret of before" not in await platform.texts_seen_by("group:sales")
    await run_all(platform)
    seen = sorted(await platform.texts_seen_by("group:sales"))
    assert seen == sorted(["A box of 2", "public now", "same"])


async def test_a_job_that_comes_too_late_brings_nothing_back(platform: Platform) -> None:
    await put_alone(platform, {"a.txt": "first"})
    late = await platform.leases.claim("slow", lease=timedelta(seconds=60))
    assert late is not None and late.uri == "box!/a.txt"
    await put_alone(platform, {"b.txt": "second"})
    await run_job(late, platform.work)
    await run_all(platform)
    seen = sorted(await platform.texts_seen_by("group:finance"))
    assert seen == sorted(["A box of 1", "second"])
    assert await found(platform, "box!/a.txt") is None


async def test_access_that_changes_before_a_file_is_taken_in_is_the_files_too(
    platform: Platform,
) -> None:
    await put_alone(platform, {"a.txt": "first"})
    await change_access(platform, SALES)
    await run_all(platform)
    assert await platform.texts_seen_by("group:finance") == []
    assert "first" in await platform.texts_seen_by("group:sales")


async def test_an_ingest_cut_short_before_its_files_had_jobs_is_made_good(
    platform: Platform,
) -> None:
    lost = replace(platform.pipeline, jobs=_Lost())
    platform.folder.put("box", packed({"a.txt": "first"}))
    change = Upserted("box", platform.folder.files["box"].seen)
    with pytest.raises(ConnectionError):
        await lost.ingest(change, platform.folder, tenant=TENANT)
    assert await platform.texts_seen_by("group:finance") == ["A box of 1"]
    await platform.pipeline.ingest(change, platform.folder, tenant=TENANT)
    await run_all(platform)
    assert "first" in await platform.texts_seen_by("group:finance")


class _Lost:
    """A queue that is gone just when it is needed."""

    async def enqueue(self, jobs: object) -> object:
        raise ConnectionError(jobs)


async def test_indexing_a_file_of_a_box_anew_leaves_it_where_it_is(platform: Platform) -> None:
    await put(platform, {"deep": {"b.txt": "second"}})
    platform.index.points.clear()
    for uri in ("box", "box!/deep", "box!/deep!/b.txt"):
        await platform.jobs.enqueue([reindex_job(TENANT, SOURCE, uri=uri)])
    await run_all(platform)
    assert len(platform.index.points) == 3
    assert "second" in await platform.texts_seen_by("group:finance")


async def test_a_source_cannot_take_a_files_place_nor_a_file_a_sources(platform: Platform) -> None:
    await put(platform, {"a.txt": "inside"})
    platform.folder.put("box!/a.txt", "an impostor", access=SALES)
    change = Upserted("box!/a.txt", platform.folder.files["box!/a.txt"].seen)
    with pytest.raises(PermanentError, match="has this URI"):
        await platform.pipeline.ingest(change, platform.folder, tenant=TENANT)
    assert await platform.texts_seen_by("group:sales") == []

    platform.folder.put("other!/a.txt", "a source's own")
    change = Upserted("other!/a.txt", platform.folder.files["other!/a.txt"].seen)
    await platform.pipeline.ingest(change, platform.folder, tenant=TENANT)
    platform.folder.put("other", packed({"a.txt": "inside"}), access=SALES)
    change = Upserted("other", platform.folder.files["other"].seen)
    await platform.pipeline.ingest(change, platform.folder, tenant=TENANT)
    [job] = await run_all(platform)
    assert job.state is JobState.FAILED
    assert await platform.texts_seen_by("group:sales") == ["A box of 1"]


async def test_a_listing_of_the_source_takes_no_file_of_a_box_for_deleted(
    platform: Platform,
) -> None:
    await put(platform, {"a.txt": "first"})
    await platform.jobs.enqueue([sync_job(TENANT, SOURCE)])
    await run_all(platform)
    assert "first" in await platform.texts_seen_by("group:finance")


PATHS = st.lists(st.text(min_size=1), min_size=1, max_size=3).map("/".join)


def container_and_path(uri: str) -> tuple[str, str]:
    container, _, path = uri.rpartition(MEMBER_MARK)
    return container, "/".join(unquote(part, errors="surrogatepass") for part in path.split("/"))


@given(st.text(min_size=1), PATHS, st.text(min_size=1), PATHS)
def test_no_two_files_share_a_uri(box: str, path: str, other: str, other_path: str) -> None:
    uri = member_uri(box, path)
    assert (uri == member_uri(other, other_path)) <= ((box, path) == (other, other_path))
    assert container_and_path(uri) == (box, path)


@given(
    st.integers(1, 10**9),
    st.lists(st.integers(0, 10**6), min_size=1, max_size=20),
)
def test_shares_of_the_room_never_add_up_to_more_than_the_room(
    total: int, sizes: list[int]
) -> None:
    room = Room(levels=3, files=1_000, bytes=total)
    taken = sum(sizes)
    shares = [room.share(size, taken=taken, files=len(sizes)) for size in sizes]
    assert sum(share.bytes for share in shares) <= max(0, total - taken)
    assert sum(share.files for share in shares) <= 1_000 - len(sizes)
    assert {share.levels for share in shares} == {2}


async def test_while_a_new_file_of_a_box_is_waited_for_those_whom_both_admit_read_the_old(
    platform: Platform,
) -> None:
    await put(platform, {"a.txt": "the old", "deep": {"b.txt": "the old below"}})
    await put_alone(platform, {"a.txt": "the new", "deep": {"b.txt": "the new below"}})
    await change_access(platform, readable_by(["group:finance", "group:sales"]))
    old, new = ["the old", "the old below"], ["the new", "the new below"]
    boxes = {"A box of 1", "A box of 2"}
    seen = await platform.texts_seen_by("group:finance")
    assert sorted(text for text in seen if text not in boxes) == old
    assert not boxes.issuperset(seen)
    assert boxes.issuperset(await platform.texts_seen_by("group:sales"))
    await run_all(platform)
    for group in ("group:finance", "group:sales"):
        texts = await platform.texts_seen_by(group)
        assert sorted(text for text in texts if text not in boxes) == new
