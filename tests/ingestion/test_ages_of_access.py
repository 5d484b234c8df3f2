"""Grants that end, and how long a source's word on who may read counts."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from connectors.protocols import AccessChanged, Upserted
from ingestion.changes import reindex_job
from ingestion.describing import ref_of
from ingestion.expiring import drop_ended_grants
from ingestion.jobs import run_job
from rag.access import AccessList, AccessScope, Principal, PrincipalId, readable_by, scope_of
from rag.errors import IndexUnavailable, NotFound
from rag.storage.database import Database
from rag.storage.documents.admission import AgeLimit
from rag.storage.documents.ended_grants import EndedGrants
from rag.storage.documents.ledger import Documents
from rag.storage.documents.passages import Passages
from rag.storage.documents.records import StoredDocument
from rag.storage.jobs.records import JobKind, NewJob
from rag.storage.records import json_of_access
from rag.storage.sources.ledger import Sources
from rag.storage.sources.records import PUSH
from tests.clock import Clock
from tests.ingestion.platform import SOURCE, TENANT, Platform, platform_over

HOUR = timedelta(hours=1)
STAFF = readable_by(["group:staff"])


@pytest.fixture
async def platform(database: Database, tmp_path: Path) -> Platform:
    return await platform_over(database, tmp_path)


def scope(user: str = "user:1", *groups: str) -> AccessScope:
    return scope_of(Principal(TENANT, PrincipalId(user), frozenset(map(PrincipalId, groups))))


async def publish(platform: Platform, uri: str, access: AccessList) -> StoredDocument:
    platform.folder.put(uri, f"All about {uri}.", access=access)
    change = Upserted(uri, platform.folder.files[uri].seen)
    await platform.pipeline.ingest(change, platform.folder, tenant=TENANT)
    return await stored(platform, uri)


async def dropped(platform: Platform, documents: Documents | None = None) -> int:
    documents = documents or platform.documents
    grants = EndedGrants(documents.database, documents.clock)
    live = await platform.pipeline.generations.live()
    return await drop_ended_grants(grants, documents, live)


async def stored(platform: Platform, uri: str) -> StoredDocument:
    found = await platform.documents.find(TENANT, ref_of(TENANT, SOURCE, uri).id)
    assert found is not None
    return found


@dataclass
class Looking:
    """Readers at some moment, under some limit of ages."""

    database: Database
    clock: Clock
    max_age: timedelta | None = None

    async def finds(self, document: StoredDocument, asker: AccessScope) -> datetime | None:
        """The `acl_as_of` that every read path gives; None where every one hides it."""
        limit = AgeLimit(self.max_age)
        documents = Documents(self.database, limit, self.clock)
        chunks = await documents.chunks(TENANT, document.ref.id)
        hits = await Passages(self.database, limit, self.clock).readable(chunks, scope=asker)
        try:
            shown = await documents.readable(document.ref.id, scope=asker)
        except NotFound:
            assert not hits
            return None
        assert {hit.acl_as_of for hit in hits.values()} == {shown.acl_as_of}
        return shown.acl_as_of


# --- grants that end ------------------------------------------------------------------------------


async def test_a_grant_ends_by_the_clock_alone(platform: Platform) -> None:
    end = datetime.now(UTC) + HOUR
    access = readable_by(["user:1", "user:2"], until={"user:1": end})
    document = await publish(platform, "plan", access)
    assert document.access == access
    looking = Looking(platform.database, Clock(end - timedelta(microseconds=1)))
    assert await looking.finds(document, scope("user:1"))
    looking.clock.now = end
    assert not await looking.finds(document, scope("user:1"))
    assert await looking.finds(document, scope("user:2"))


async def test_the_index_is_brought_in_line_and_nothing_else_is_touched(
    platform: Platform,
) -> None:
    now = datetime.now(UTC)
    ends = {"user:1": now - HOUR, "user:2": now + HOUR}
    document = await publish(platform, "plan", readable_by([*ends, "user:3"], until=ends))
    lasting = await publish(platform, "other", readable_by(["user:1"]))

    assert await dropped(platform) == 1
    held = {p.chunk.document.uri: p.access.clauses for p in platform.index.points.values()}
    assert held == {
        "plan": (frozenset({"user:2", "user:3"}),),
        "other": (frozenset({"user:1"}),),
    }
    assert await dropped(platform) == 0
    after = await stored(platform, "plan")
    assert (after.access, after.acl_as_of) == (document.access, document.acl_as_of)
    assert after.settled
    assert (await stored(platform, "other")).fence == lasting.fence

    later = Documents(platform.database, clock=Clock(now + 2 * HOUR))
    assert await dropped(platform, later) == 1
    held = {p.chunk.document.uri: p.access.clauses for p in platform.index.points.values()}
    assert held["plan"] == (frozenset({"user:3"}),)
    assert await dropped(platform, later) == 0


async def test_an_index_that_is_away_is_brought_in_line_later(platform: Platform) -> None:
    ended = {"user:1": datetime.now(UTC) - HOUR}
    await publish(platform, "plan", readable_by(["user:1", "user:2"], until=ended))
    platform.index.down = True
    with pytest.raises(IndexUnavailable):
        await dropped(platform)
    platform.index.down = False
    assert await dropped(platform) == 1
    [point] = platform.index.points.values()
    assert point.access.clauses == (frozenset({"user:2"}),)


async def test_a_new_access_list_brings_ends_of_its_own(platform: Platform) -> None:
    ended = {"user:1": datetime.now(UTC) - HOUR}
    document = await publish(platform, "plan", readable_by(["user:1"], until=ended))
    looking = Looking(platform.database, Clock(datetime.now(UTC)))
    assert not await looking.finds(document, scope("user:1"))
    seen = platform.folder.files["plan"].seen
    change = AccessChanged("plan", seen, readable_by(["user:1"]), {})
    await platform.pipeline.ingest(change, platform.folder, tenant=TENANT)
    looking.clock.now = datetime.now(UTC)
    assert await looking.finds(document, scope("user:1"))
    assert await dropped(platform) == 0


async def test_a_deleted_document_is_left_alone(platform: Platform) -> None:
    ended = {"user:1": datetime.now(UTC) - HOUR}
    document = await publish(platform, "plan", readable_by(["user:1"], until=ended))
    await platform.documents.tombstone(TENANT, document.ref.id)
    assert await dropped(platform) == 0
    assert await platform.documents.take(TENANT, document.ref.id) is None


# --- how fresh the source's word is -----------------------------------------------------------------


async def listed(
    platform: Platform,
    *,
    at: datetime,
    problems: tuple[str, ...] = (),
    complete: bool = True,
    batch: str = "b",
    changes: tuple[NewJob, ...] = (),
) -> None:
    """A listing of the source that began at `at`."""
    sources = Sources(platform.database, clock=Clock(at))
    await sources.sync_began(TENANT, SOURCE, batch=batch)
    await platform.jobs.enqueue(changes)
    told = [(uri, "it cannot be read") for uri in problems]
    await sources.sync_ended(TENANT, SOURCE, error=None, problems=told, complete=complete)


def access_job(uri: str, access: AccessList, batch: str = "b") -> NewJob:
    payload = {
        "seen": {"revision": "1", "access": "2", "identity": None},
        "access": json_of_access(access),
        "metadata": {},
    }
    kind = JobKind.ACCESS
    return NewJob(tenant=TENANT, source=SOURCE, kind=kind, uri=uri, payload=payload, batch=batch)


async def test_a_complete_listing_confirms_what_it_saw_unchanged(platform: Platform) -> None:
    document = await publish(platform, "plan", STAFF)
    changing = await publish(platform, "pay", STAFF)
    unread = await publish(platform, "torn", STAFF)
    read_at = document.acl_as_of
    looking = Looking(platform.database, Clock(datetime.now(UTC) + 5 * HOUR))
    staff = scope("user:1", "group:staff")
    assert await looking.finds(document, staff) == read_at

    began = read_at + HOUR
    change = access_job("pay", readable_by(["user:2"]))
    await listed(platform, at=began, problems=("torn",), changes=(change,))
    assert await looking.finds(document, staff) == began
    assert await looking.finds(changing, staff) == changing.acl_as_of
    assert await looking.finds(unread, staff) == unread.acl_as_of

    await listed(platform, at=began + HOUR, complete=False)
    assert await looking.finds(document, staff) == began


async def test_what_a_listing_saw_changed_is_confirmed_once_it_is_taken_in(
    platform: Platform,
) -> None:
    document = await publish(platform, "plan", STAFF)
    staff = scope("user:1", "group:staff")
    looking = Looking(platform.database, Clock(datetime.now(UTC) + 5 * HOUR))
    began = document.acl_as_of + HOUR
    change = access_job("plan", readable_by(["group:staff", "user:2"]))
    await listed(platform, at=began, changes=(change,))
    assert await looking.finds(document, staff) == document.acl_as_of
    [job] = [await platform.leases.claim("me", lease=HOUR)]
    assert job is not None
    await run_job(job, platform.work)
    assert await looking.finds(document, staff) == began  # read while it listed, which began then
    await listed(platform, at=began + HOUR)
    assert await looking.finds(document, staff) == began + HOUR


async def test_indexing_anew_confirms_nothing(platform: Platform) -> None:
    document = await publish(platform, "plan", STAFF)
    for anew in (False, True):
        payload = {"anew": anew}
        job = reindex_job(TENANT, SOURCE, uri="plan")
        await platform.jobs.enqueue(
            [NewJob(tenant=TENANT, source=SOURCE, kind=job.kind, uri="plan", payload=payload)]
        )
        claimed = await platform.leases.claim("me", lease=HOUR)
        assert claimed is not None
        await run_job(claimed, platform.work)
        assert (await stored(platform, "plan")).acl_as_of == document.acl_as_of


@pytest.mark.parametrize(
    ("platform_hours", "own_hours", "hides"),
    [
        (None, None, False),
        (2, None, True),
        (2, 0, False),
        (None, 2, True),
        (2, 9, False),
        (9, 2, True),
    ],
)
async def test_old_access_hides_a_document_where_a_limit_says_so(
    *, platform_hours: int | None, own_hours: int | None, hides: bool, platform: Platform
) -> None:
    document = await publish(platform, "plan", STAFF)
    staff = scope("user:1", "group:staff")
    own = None if own_hours is None else own_hours * HOUR
    await platform.sources.set_access_max_age(TENANT, SOURCE, own)
    max_age = None if platform_hours is None else platform_hours * HOUR
    looking = Looking(platform.database, Clock(document.acl_as_of + 3 * HOUR), max_age)
    assert (await looking.finds(document, staff) is None) == hides
    # A word from the source brings it back.
    await listed(platform, at=document.acl_as_of + 2 * HOUR)
    assert await looking.finds(document, staff) == document.acl_as_of + 2 * HOUR


async def test_an_old_document_does_not_supersede_for_those_it_is_hidden_from(
    platform: Platform,
) -> None:
    old = await publish(platform, "old", STAFF)
    platform.folder.put("new", "All new.", access=STAFF, metadata={"supersedes": "old"})
    change = Upserted("new", platform.folder.files["new"].seen)
    await platform.pipeline.ingest(change, platform.folder, tenant=TENANT)
    new = await stored(platform, "new")
    staff = scope("user:1", "group:staff")
    # The newer of the two was read first: only it is too old.
    documents = Documents(platform.database, clock=Clock(old.acl_as_of + HOUR))
    begun = await documents.begin(old.ref, access=STAFF)
    await documents.describe(TENANT, old.ref.id, fence=begun.fence, access=STAFF)
    looking = Clock(new.acl_as_of + timedelta(minutes=50))
    for minutes, shown in ((55, new.ref.id), (45, None)):
        limit = AgeLimit(timedelta(minutes=minutes))
        reading = Documents(platform.database, limit, looking)
        assert (await reading.readable(old.ref.id, scope=staff)).superseded_by == shown
        chunks = await reading.chunks(TENANT, old.ref.id)
        hits = await Passages(platform.database, limit, looking).readable(chunks, scope=staff)
        assert {hit.superseded_by for hit in hits.values()} == {shown}


async def test_what_an_app_pushed_is_never_too_old(platform: Platform) -> None:
    document = await publish(platform, "note", STAFF)
    await platform.sources.register(TENANT, kind=PUSH, name="App", settings={}, source=SOURCE)
    await platform.sources.set_access_max_age(TENANT, SOURCE, HOUR)
    looking = Looking(platform.database, Clock(document.acl_as_of + 100 * HOUR), HOUR)
    assert await looking.finds(document, scope("user:1", "group:staff"))
