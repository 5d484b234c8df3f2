"""Generations of the index: built beside the one that serves, followed by every change."""

import asyncio
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from connectors.protocols import AccessChanged, Change, Deleted, Resource, Upserted
from ingestion.changes import job_of_rendering, reindex_job, restoring_job
from ingestion.describing import ref_of
from ingestion.dispatch import running
from ingestion.jobs import sync_job
from ingestion.outcomes import Failed, Indexed, Outcome, Unchanged
from ingestion.protocols import ParsedDocument
from ingestion.upkeep import enqueue_rendering, tidy
from rag.access import Principal, PrincipalId, readable_by, scope_of
from rag.errors import InvalidRequest, ModelUnavailable, NotFound
from rag.storage.database import Database
from rag.storage.documents.ledger import Overtaken
from rag.storage.documents.passages import Passages
from rag.storage.documents.records import StoredDocument
from rag.storage.generations.ledger import Generations
from rag.storage.generations.records import FIRST, GenerationId, GenerationState, Lacking, Standing
from rag.storage.jobs.failures import Failures
from rag.storage.jobs.records import JobKind, JobState, NewJob
from tests.generations import one_generation
from tests.ingestion.platform import SOURCE, TENANT, Platform, platform_over
from tests.ingestion.standins import DictIndex, LineParser
from tests.ingestion.two_generations import (
    RECIPE,
    SECOND,
    ByLedger,
    OtherEmbedder,
    second_generation,
)

LEAVE = "# Leave\nStaff have 25 days.\nCarry over 5 days."


@dataclass(frozen=True, slots=True)
class Two:
    platform: Platform
    ledger: Generations
    first: DictIndex
    second: DictIndex
    embedder: OtherEmbedder

    async def begin(self) -> None:
        assert (await self.ledger.begin(RECIPE)).id == SECOND

    async def put(self, uri: str, text: str, *groups: str) -> Outcome:
        self.platform.folder.put(uri, text, access=readable_by(list(groups) or ["group:finance"]))
        seen = self.platform.folder.files[uri].seen
        return await self.platform.pipeline.ingest(
            Upserted(uri, seen), self.platform.folder, tenant=TENANT
        )

    async def seen_in(self, generation: GenerationId, group: str = "group:finance") -> list[str]:
        """What a person of `group` finds in a generation's index and the ledger lets pass."""
        index = self.first if generation == FIRST else self.second
        scope = scope_of(Principal(TENANT, PrincipalId("user:1"), frozenset({PrincipalId(group)})))
        hits = await index.search_sparse("", scope=scope, filters={}, limit=1_000)
        passages = Passages(self.platform.database, generation=generation)
        found = await passages.readable([hit.chunk for hit in hits], scope=scope)
        in_order = sorted(
            found.values(), key=lambda hit: (hit.chunk.document.uri, hit.chunk.ordinal)
        )
        return [hit.chunk.text for hit in in_order]

    async def document(self, uri: str) -> StoredDocument:
        found = await self.platform.documents.find(TENANT, ref_of(TENANT, SOURCE, uri).id)
        assert found is not None
        return found

    async def catch_up(self) -> None:
        """What upkeep does until there is nothing left to do."""
        await tidy(self.platform.work)
        async with running(self.platform.dispatcher(), sole=True) as dispatcher:
            async with asyncio.timeout(60):
                await dispatcher.idle()

    async def lacking(self, generation: GenerationId = SECOND) -> int:
        return (await self.ledger.standing(generation)).lacking


class BetterParser(LineParser):
    """It knows that only the first section counts."""

    async def parse(self, resource: Resource) -> ParsedDocument:
        parsed = await super().parse(resource)
        return replace(parsed, sections=parsed.sections[:1])


@pytest.fixture
async def two(database: Database, tmp_path: Path) -> Two:
    first, second, embedder = DictIndex(), DictIndex(), OtherEmbedder()
    platform = await platform_over(database, tmp_path, index=first)
    ledger = Generations(database)
    parts = {
        FIRST: one_generation(first, platform.embedder).only,
        SECOND: second_generation(second, embedder),
    }
    platform.pipeline = replace(platform.pipeline, generations=ByLedger(ledger, parts))
    platform.work = replace(platform.work, pipeline=platform.pipeline)
    return Two(platform, ledger, first, second, embedder)


async def test_a_ledger_begins_with_one_generation_that_serves(database: Database) -> None:
    ledger = Generations(database)
    [only] = await ledger.listed()
    assert (only.id, only.state, only.recipe) == (FIRST, GenerationState.SERVING, None)
    await ledger.adopt(RECIPE)
    await ledger.adopt(replace(RECIPE, chunk_tokens=50))
    assert (await ledger.get(FIRST)).recipe == RECIPE


async def test_what_is_written_goes_to_both(two: Two) -> None:
    await two.begin()
    assert await two.put("leave", LEAVE) == Indexed(2, embedded=2, kept=0, removed=0)
    assert await two.seen_in(FIRST) == ["Staff have 25 days.", "Carry over 5 days."]
    assert await two.seen_in(SECOND) == ["STAFF HAVE 25 DAYS.", "CARRY OVER 5 DAYS."]

    await two.put("leave", LEAVE.replace("25", "28"))
    assert await two.seen_in(FIRST) == ["Staff have 28 days.", "Carry over 5 days."]
    assert await two.seen_in(SECOND) == ["STAFF HAVE 28 DAYS.", "CARRY OVER 5 DAYS."]
    assert len(two.first.points) == len(two.second.points) == 2
    assert await two.put("leave", LEAVE.replace("25", "28")) == Unchanged()


async def test_access_and_deletion_reach_both(two: Two) -> None:
    await two.begin()
    await two.put("leave", LEAVE)
    await two.put("pay", "Pay day is the 25th.")
    folder = two.platform.folder
    folder.put("leave", LEAVE, access=readable_by(["group:board"]))
    file = folder.files["leave"]
    await two.platform.pipeline.ingest(
        AccessChanged("leave", file.seen, file.access, file.metadata), folder, tenant=TENANT
    )
    for index in (two.first, two.second):
        readers = {p.access for p in index.points.values() if p.chunk.document.uri == "leave"}
        assert readers == {readable_by(["group:board"])}
    assert await two.seen_in(SECOND) == ["PAY DAY IS THE 25TH."]
    assert await two.seen_in(SECOND, "group:board") == ["STAFF HAVE 25 DAYS.", "CARRY OVER 5 DAYS."]

    await two.platform.pipeline.ingest(Deleted("leave"), folder, tenant=TENANT)
    for index in (two.first, two.second):
        assert {p.chunk.document.uri for p in index.points.values()} == {"pay"}
    assert await two.platform.documents.renditions((await two.document("leave")).ref.id) == {}


async def test_a_new_one_is_filled_from_what_is_kept_and_nothing_else_is_touched(two: Two) -> None:
    for number in range(5):
        await two.put(f"paper {number}", f"Paper {number}.")
    await two.put("gone", "It goes.")
    await two.platform.pipeline.ingest(Deleted("gone"), two.platform.folder, tenant=TENANT)
    before = dict(two.first.points)
    two.platform.folder.files.clear()
    two.platform.folder.fetched.clear()
    two.platform.embedder.embedded.clear()
    await two.begin()
    assert await two.ledger.standing(SECOND) == Standing(documents=5, lacking=5, failed=0, chunks=0)

    await two.catch_up()

    assert await two.seen_in(SECOND) == [f"PAPER {number}." for number in range(5)]
    assert await two.ledger.standing(SECOND) == Standing(documents=5, lacking=0, failed=0, chunks=5)
    assert two.first.points == before
    assert two.platform.embedder.embedded == [] and two.platform.folder.fetched == []
    for number in range(5):
        assert (await two.document(f"paper {number}")).settled
    await two.catch_up()
    jobs = await two.platform.jobs.listed(TENANT)
    assert [job.kind for job in jobs] == [JobKind.RENDER] * 5


async def test_a_parser_that_reads_better_is_seen_in_the_new_one_alone(two: Two) -> None:
    await two.put("leave", LEAVE)
    await two.begin()

    pipeline = replace(two.platform.pipeline, parser=BetterParser("lines 2"))
    two.platform.work = replace(two.platform.work, pipeline=pipeline)
    await two.catch_up()
    assert await two.seen_in(SECOND) == ["STAFF HAVE 25 DAYS."]
    assert await two.seen_in(FIRST) == ["Staff have 25 days.", "Carry over 5 days."]
    renditions = await two.platform.documents.renditions((await two.document("leave")).ref.id)
    assert {g: r.parser for g, r in renditions.items()} == {FIRST: "lines 1", SECOND: "lines 2"}


async def test_an_experiment_that_fails_does_not_stop_what_readers_see(two: Two) -> None:
    await two.begin()
    await two.put("leave", LEAVE)
    two.embedder.away = True
    assert await two.put("leave", LEAVE.replace("25", "28"), "group:board") == Indexed(
        2, embedded=1, kept=1, removed=1
    )
    await two.put("pay", "Pay day is the 25th.")
    assert await two.seen_in(FIRST, "group:board") == ["Staff have 28 days.", "Carry over 5 days."]
    # Old content is shown to nobody: its new readers were not meant for it.
    assert await two.seen_in(SECOND, "group:board") == await two.seen_in(SECOND) == []
    assert await two.lacking() == 2
    assert await two.lacking(FIRST) == 0

    two.embedder.away = False
    await two.catch_up()
    assert await two.lacking() == 0
    assert await two.seen_in(SECOND, "group:board") == ["STAFF HAVE 28 DAYS.", "CARRY OVER 5 DAYS."]
    assert await two.seen_in(SECOND) == ["PAY DAY IS THE 25TH."]
    assert len(two.second.points) == 3


async def test_the_one_that_serves_must_hold_what_is_shown(two: Two) -> None:
    await two.put("leave", LEAVE)
    await two.begin()
    await two.catch_up()
    await two.ledger.switch(SECOND)
    two.embedder.away = True
    with pytest.raises(ModelUnavailable):
        await two.put("leave", LEAVE.replace("25", "28"))
    assert await two.seen_in(SECOND) == ["STAFF HAVE 25 DAYS.", "CARRY OVER 5 DAYS."]


async def test_a_switch_in_the_middle_of_an_ingest_is_noticed(two: Two) -> None:
    await two.put("leave", LEAVE)
    await two.begin()
    await two.catch_up()
    stale = replace(
        two.platform.pipeline, generations=one_generation(two.first, two.platform.embedder)
    )
    await two.ledger.switch(SECOND)
    two.platform.folder.put("leave", LEAVE.replace("25", "28"))
    seen = two.platform.folder.files["leave"].seen
    with pytest.raises(Overtaken):
        await stale.ingest(Upserted("leave", seen), two.platform.folder, tenant=TENANT)
    assert await two.seen_in(SECOND) == ["STAFF HAVE 25 DAYS.", "CARRY OVER 5 DAYS."]


async def test_readers_go_to_the_new_one_and_back_and_neither_is_ever_behind(two: Two) -> None:
    await two.put("leave", LEAVE)
    await two.begin()
    await two.catch_up()
    await two.ledger.switch(SECOND)
    states = [each.state for each in await two.ledger.listed()]
    assert states == [GenerationState.KEPT, GenerationState.SERVING]
    assert [each.id for each in await two.ledger.live()] == [SECOND, FIRST]

    await two.put("leave", LEAVE.replace("25", "28"))
    await two.ledger.switch(FIRST)
    assert await two.lacking(FIRST) == await two.lacking(SECOND) == 0
    assert await two.seen_in(FIRST) == ["Staff have 28 days.", "Carry over 5 days."]
    assert [each.id for each in await two.ledger.live()] == [FIRST, SECOND]


async def test_what_cannot_be_rendered_waits_for_somebody_and_is_not_tried_for_ever(
    two: Two,
) -> None:
    await two.put("leave", LEAVE)
    await two.put("pay", "Pay day is the 25th.")
    lost = (await two.document("pay")).original
    assert lost is not None
    await two.platform.originals.remove(lost)
    await two.begin()
    for _ in range(3):
        await two.catch_up()
    assert await two.ledger.standing(SECOND) == Standing(documents=2, lacking=1, failed=1, chunks=2)
    failed = await two.platform.jobs.listed(TENANT, state=JobState.FAILED)
    assert [(job.kind, job.uri) for job in failed] == [(JobKind.RENDER, "pay")]
    assert await two.seen_in(FIRST) == [
        "Staff have 25 days.",
        "Carry over 5 days.",
        "Pay day is the 25th.",
    ]
    assert (await two.document("pay")).settled
    await two.put("pay", "Pay day is the 26th.")  # a later version makes up for it
    assert await two.ledger.standing(SECOND) == Standing(documents=2, lacking=0, failed=0, chunks=3)


async def test_a_broken_document_is_broken_in_neither(two: Two) -> None:
    await two.begin()
    await two.put("leave", LEAVE)
    assert isinstance(await two.put("leave", "!broken"), Failed)
    assert await two.seen_in(FIRST) == ["Staff have 25 days.", "Carry over 5 days."]
    assert await two.seen_in(SECOND) == ["STAFF HAVE 25 DAYS.", "CARRY OVER 5 DAYS."]
    assert await two.lacking() == 0


async def test_filling_takes_no_change_from_those_who_wait(two: Two) -> None:
    await two.put("leave", LEAVE)
    await two.begin()
    await two.platform.jobs.enqueue([reindex_job(TENANT, SOURCE, uri="leave")])
    assert await two.ledger.lacking([SECOND], limit=10) == []
    document = (await two.document("leave")).ref
    await two.platform.jobs.enqueue(
        [job_of_rendering(Lacking(TENANT, SOURCE, document.id, document.uri))]
    )
    [waiting] = await two.platform.jobs.listed(TENANT)
    assert (waiting.kind, waiting.payload) == (JobKind.REINDEX, {"anew": True})


async def test_a_dropped_one_is_written_no_more_and_forgotten(two: Two) -> None:
    await two.begin()
    await two.put("leave", LEAVE)
    await two.ledger.drop(SECOND)
    await two.put("pay", "Pay day is the 25th.")
    assert len(two.second.points) == 2
    await tidy(two.platform.work)
    assert (await two.ledger.standing(SECOND)).chunks == 0
    assert set(await two.platform.documents.renditions((await two.document("leave")).ref.id)) == {
        FIRST
    }
    assert len(await two.seen_in(FIRST)) == 3


async def test_what_makes_no_sense_is_refused(two: Two) -> None:
    await two.begin()
    with pytest.raises(InvalidRequest, match="generation 2 is being built"):
        await two.ledger.begin(RECIPE)
    with pytest.raises(InvalidRequest, match="generation 1 serves"):
        await two.ledger.drop(FIRST)
    await two.ledger.drop(SECOND)
    with pytest.raises(InvalidRequest, match="was dropped"):
        await two.ledger.switch(SECOND)
    for ask in (two.ledger.get, two.ledger.switch, two.ledger.drop):
        with pytest.raises(NotFound):
            await ask(GenerationId(7))
    assert (await two.ledger.begin(RECIPE)).id == 3


async def test_a_report_is_kept_with_its_generation(two: Two) -> None:
    await two.begin()
    await two.ledger.note_report(SECOND, {"ndcg": 0.5})
    generation = await two.ledger.get(SECOND)
    assert generation.report == {"ndcg": 0.5} and generation.recipe == RECIPE
    assert generation.created_at <= datetime.now(UTC)


def points_of(two: Two) -> list[list[tuple[object, ...]]]:
    return [
        sorted(
            (point.chunk.id, point.chunk.text, str(point.access), *point.vector.tolist())
            for point in index.points.values()
        )
        for index in (two.first, two.second)
    ]


async def test_an_index_that_is_lost_comes_back_from_the_ledger_alone(two: Two) -> None:
    await two.begin()
    await two.put("leave", LEAVE)
    await two.put("pay", "Pay day is the 25th.", "group:board")
    before = points_of(two)
    two.first.points.clear()
    del two.second.points[next(iter(two.second.points))]
    two.platform.folder.files.clear()
    for file in two.platform.originals.root.rglob("*"):
        if file.is_file():
            file.unlink()
    await two.platform.jobs.enqueue([restoring_job(TENANT, SOURCE)])
    await two.catch_up()
    assert points_of(two) == before
    assert await two.seen_in(FIRST) == ["Staff have 25 days.", "Carry over 5 days."]
    assert all([(await two.document(uri)).settled for uri in ("leave", "pay")])


async def test_one_that_was_behind_knows_the_readers_of_what_it_kept(two: Two) -> None:
    await two.begin()
    await two.put("leave", LEAVE)
    await two.put("pay", LEAVE)
    two.embedder.away = True
    await two.put("leave", "All of it is new.", "group:board")
    await two.put("pay", "All of it is new.", "group:board")
    await two.put("pay", LEAVE, "group:board")
    two.embedder.away = False
    await two.put("leave", LEAVE, "group:board")
    await two.catch_up()
    assert len(await two.seen_in(FIRST, "group:board")) == 4
    assert len(await two.seen_in(SECOND, "group:board")) == 4
    assert {point.access for point in two.second.points.values()} == {readable_by(["group:board"])}


@pytest.mark.parametrize("change", ["access", "deletion", "content"])
async def test_what_a_process_wrote_that_does_not_know_of_it_yet_is_made_up_for(
    two: Two, change: str
) -> None:
    await two.begin()
    await two.put("leave", LEAVE)
    folder = two.platform.folder
    stale = replace(
        two.platform.pipeline, generations=one_generation(two.first, two.platform.embedder)
    )
    board = readable_by(["group:board"])
    match change:
        case "access":
            folder.put("leave", LEAVE, access=board)
            file = folder.files["leave"]
            made: Change = AccessChanged("leave", file.seen, file.access, file.metadata)
        case "deletion":
            del folder.files["leave"]
            made = Deleted("leave")
        case _:
            folder.put("leave", "All of it is new.", access=board)
            made = Upserted("leave", folder.files["leave"].seen)
    await stale.ingest(made, folder, tenant=TENANT)
    assert not (await two.document("leave")).settled

    await two.platform.jobs.enqueue([sync_job(TENANT, SOURCE, confirm_deletions=True)])
    await two.catch_up()
    assert (await two.document("leave")).settled
    assert {point.access for point in two.second.points.values()} <= {board}
    assert len(two.second.points) == len(two.first.points)
    shown = [text.upper() for text in await two.seen_in(FIRST, "group:board")]
    assert await two.seen_in(SECOND, "group:board") == shown


async def test_what_goes_while_it_waits_to_be_filled_in_leaves_no_index_behind(two: Two) -> None:
    await two.put("leave", LEAVE)
    await two.begin()
    await enqueue_rendering(two.ledger, two.platform.jobs)
    # As with what lies in a container that is deleted: a job of its own is to tell the index.
    await two.platform.documents.tombstone(TENANT, (await two.document("leave")).ref.id)
    await two.catch_up()
    assert two.first.points == two.second.points == {}
    assert (await two.document("leave")).settled


async def test_filling_a_document_in_puts_no_change_of_it_out_of_date(two: Two) -> None:
    await two.put("leave", LEAVE)
    folder, jobs = two.platform.folder, two.platform.jobs
    folder.put("leave", "!bug")
    seen = asdict(folder.files["leave"].seen)
    upsert = NewJob(
        tenant=TENANT,
        source=SOURCE,
        kind=JobKind.UPSERT,
        uri="leave",
        payload={"seen": seen},
        max_attempts=1,
    )
    await jobs.enqueue([upsert])
    async with running(two.platform.dispatcher(), sole=True) as dispatcher:
        await dispatcher.idle()
    assert [job.state for job in await jobs.listed(TENANT)] == [JobState.DEAD]
    await two.begin()
    await two.catch_up()
    assert await two.lacking() == 0

    folder.put("leave", LEAVE.replace("25", "28"))
    failures = Failures(two.platform.database)
    assert await failures.retry_all(jobs, TENANT, states=[JobState.DEAD]) == 1
    await two.catch_up()
    assert await two.seen_in(SECOND) == ["STAFF HAVE 28 DAYS.", "CARRY OVER 5 DAYS."]
