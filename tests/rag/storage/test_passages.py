"""What readers get from the ledger, whatever the index says."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy.engine.default import DefaultDialect

from rag.access import (
    EVERYONE,
    NOBODY,
    AccessList,
    AccessScope,
    Expiry,
    Principal,
    PrincipalId,
    TenantId,
    readable_by,
    scope_of,
)
from rag.errors import NotFound
from rag.narrowing import narrowed
from rag.storage.database import Database
from rag.storage.documents.filter_fields import FilterFields
from rag.storage.documents.ledger import Documents, Overtaken
from rag.storage.documents.passages import Passages, access_of
from rag.storage.documents.records import NewVersion, SeenAs
from rag.storage.generations.records import FIRST, NewChunk, NewRendition, Rendition
from rag.storage.records import Digest, document_id_of, json_of_access
from rag.storage.sources.ledger import Sources
from rag.storage.tables import JsonText
from rag.types import (
    Chunk,
    ChunkId,
    DocumentId,
    DocumentRef,
    Metadata,
    SourceId,
    Span,
    VersionId,
)

ACME, OTHER = TenantId("acme"), TenantId("other")
NOW = datetime(2026, 3, 31, tzinfo=UTC)
FINANCE = readable_by(["group:finance"])


def ref(uri: str, tenant: TenantId = ACME) -> DocumentRef:
    source = SourceId(f"files of {tenant}")
    return DocumentRef(document_id_of(tenant, source, uri), tenant, source, uri, uri.title())


def chunk(of: DocumentRef, ordinal: int, version: str) -> Chunk:
    return Chunk(
        id=ChunkId(f"{of.uri}-{of.tenant}-{ordinal}"),
        document=of,
        version=VersionId(version),
        ordinal=ordinal,
        text=f"{of.uri} {ordinal}",
        heading_path=("A", "B"),
        kind="prose",
        span=Span(ordinal, ordinal + 1),
        page=ordinal or None,
    )


class Ledger:
    def __init__(self, database: Database) -> None:
        self.documents = Documents(database)
        self.passages = Passages(database)
        self.fields = FilterFields(database)
        self.sources = Sources(database)

    async def index(
        self,
        of: DocumentRef,
        *,
        version: str = "1",
        chunks: int = 3,
        access: AccessList = FINANCE,
        metadata: Metadata | None = None,
        supersedes: DocumentId | None = None,
        tokens: bool = False,
    ) -> list[ChunkId]:
        known = await self.documents.begin(of, access=access)
        new = NewVersion(
            ref=of,
            source_title=of.title,
            version=VersionId(version),
            revision="1",
            access_fingerprint="1",
            access=access,
            metadata=metadata or {"source": of.source},
            source_metadata={},
            parsed_metadata={},
            content_hash="0" * 64,
            original=Digest("0" * 64),
            media_type="text/plain",
            size=7,
            supersedes=supersedes,
        )
        made = [chunk(of, ordinal, version) for ordinal in range(chunks)]
        vectors = np.arange(12, dtype=np.int8).reshape(3, 4) if tokens else None
        fresh = [NewChunk(chunk=each, tokens=vectors) for each in made]
        rendition = Rendition(
            generation=FIRST,
            content=VersionId(version),
            version=VersionId(version),
            parser="p",
            chunker="c",
            embedder="e",
        )
        made_anew = NewRendition(rendition=rendition, chunks=tuple(made), fresh=tuple(fresh))
        await self.documents.switch(new, [made_anew], fence=known.fence)
        await self.documents.settle(of.id, fence=known.fence, settled_in=[FIRST])
        return [each.id for each in made]


@pytest.fixture
async def ledger(database: Database) -> Ledger:
    ledger = Ledger(database)
    for tenant in (ACME, OTHER):
        await ledger.sources.add_tenant(tenant)
        await ledger.sources.register(
            tenant, kind="memory", name="Files", settings={}, source=ref("", tenant).source
        )
    return ledger


def scope(*groups: str, tenant: TenantId = ACME) -> AccessScope:
    groups_held = frozenset(map(PrincipalId, groups))
    return scope_of(Principal(tenant, PrincipalId("user:1"), groups_held))


async def test_a_passage_carries_all_that_the_ledger_knows_of_it(ledger: Ledger) -> None:
    of = ref("pay")
    [_, second, _] = await ledger.index(of, metadata={"department": "hr", "pages": 3, "ok": True})
    hit = (await ledger.passages.readable([second], scope=scope("group:finance")))[second]
    assert hit.chunk == chunk(of, 1, "1")
    assert hit.metadata == {"department": "hr", "pages": 3, "ok": True}
    assert hit.acl_as_of.tzinfo is not None


async def test_nothing_is_readable_across_tenants_or_without_the_right(ledger: Ledger) -> None:
    everyone = readable_by([EVERYONE])
    ours = await ledger.index(ref("pay"))
    theirs = await ledger.index(ref("pay", OTHER), access=everyone)
    wanted = [*ours, *theirs, ChunkId("no such chunk")]
    assert set(await ledger.passages.readable(wanted, scope=scope("group:finance"))) == set(ours)
    assert await ledger.passages.readable(wanted, scope=scope("group:sales")) == {}
    assert await ledger.passages.readable([], scope=scope("group:finance")) == {}
    other = scope("group:finance", tenant=OTHER)
    assert set(await ledger.passages.readable(wanted, scope=other)) == set(theirs)
    assert await ledger.passages.token_vectors(OTHER, ours) == {}


async def test_only_the_current_version_of_a_living_document_is_readable(ledger: Ledger) -> None:
    of, finance = ref("pay"), scope("group:finance")
    old = await ledger.index(of, version="1", chunks=3)
    new = await ledger.index(of, version="2", chunks=2)
    assert set(await ledger.passages.readable(old, scope=finance)) == set(new)
    known = await ledger.documents.begin(of, access=FINANCE)
    staged = NewChunk(chunk=replace(chunk(of, 9, "3"), id=ChunkId("staged")), tokens=None)
    await ledger.documents.stage([staged], generation=FIRST, fence=known.fence)
    assert await ledger.passages.readable([ChunkId("staged")], scope=finance) == {}
    await ledger.documents.tombstone(ACME, of.id)
    assert await ledger.passages.readable(old, scope=finance) == {}
    with pytest.raises(NotFound):
        await ledger.documents.readable(of.id, scope=finance)


async def test_token_vectors_come_back_as_they_went_in(ledger: Ledger) -> None:
    ids = await ledger.index(ref("pay"), tokens=True)
    bare = await ledger.index(ref("bare"))
    vectors = await ledger.passages.token_vectors(ACME, [*ids, *bare])
    assert set(vectors) == set(ids)
    np.testing.assert_array_equal(vectors[ids[0]], np.arange(12).reshape(3, 4))
    assert vectors[ids[0]].dtype == np.int8
    assert await ledger.passages.token_vectors(ACME, []) == {}


async def test_a_filter_may_name_the_fields_that_the_tenants_documents_have_had(
    ledger: Ledger,
) -> None:
    await ledger.index(ref("pay"), metadata={"project": "x"})
    await ledger.index(ref("pay", OTHER), metadata={"secret_project": "y"})
    asked = {"project", "department", "date", "secret_project", "nonsense"}
    known = await ledger.fields.known(asked, scope=scope("group:finance"))
    assert known == {"project", "department", "date"}


async def test_a_field_that_only_others_documents_have_is_as_unknown_as_none(
    ledger: Ledger,
) -> None:
    asked = {"takeover", "nonsense"}
    await ledger.index(ref("plan"), metadata={"takeover": "x"}, access=readable_by(["group:board"]))
    assert await ledger.fields.known(asked, scope=scope("group:finance")) == set()
    assert await ledger.fields.known(asked, scope=scope("group:board")) == {"takeover"}
    # Who is let in later may name it from then on.
    await ledger.index(ref("plan"), metadata={"takeover": "x"}, access=FINANCE, version="2")
    assert await ledger.fields.known(asked, scope=scope("group:finance")) == {"takeover"}


async def test_two_successors_give_a_passage_once(ledger: Ledger) -> None:
    old = ref("old")
    ids = await ledger.index(old, access=readable_by([EVERYONE]))
    for uri in ("new", "newer"):
        await ledger.index(ref(uri), supersedes=old.id)
    hits = await ledger.passages.readable(ids, scope=scope("group:finance"))
    assert {hit.superseded_by for hit in hits.values()} <= {ref("new").id, ref("newer").id}
    assert len({hit.superseded_by for hit in hits.values()}) == 1
    assert (await ledger.documents.readable(old.id, scope=scope("group:finance"))).superseded_by
    unaware = await ledger.passages.readable(ids, scope=scope())
    assert {hit.superseded_by for hit in unaware.values()} == {None}


async def test_a_document_is_shown_whole_to_those_who_may_read_it(ledger: Ledger) -> None:
    of = ref("pay")
    await ledger.index(of)
    found = await ledger.documents.readable(of.id, scope=scope("group:finance"))
    assert (found.ref, found.chunks, found.size) == (of, 3, 7)
    for wrong in (scope("group:sales"), scope("group:finance", tenant=OTHER)):
        with pytest.raises(NotFound):
            await ledger.documents.readable(of.id, scope=wrong)


async def test_who_was_overtaken_changes_nothing(ledger: Ledger) -> None:
    of = ref("pay")
    await ledger.index(of)
    slow = await ledger.documents.begin(of, access=FINANCE)
    await ledger.documents.begin(of, access=FINANCE)
    with pytest.raises(Overtaken):
        await ledger.documents.describe(ACME, of.id, fence=slow.fence, access=NOBODY)
    with pytest.raises(Overtaken):
        await ledger.documents.fail(
            of.id, fence=slow.fence, seen=SeenAs("2", "2"), error=ValueError("x")
        )
    found = await ledger.documents.readable(of.id, scope=scope("group:finance"))
    assert found.version == "1"


PRINCIPALS = st.sampled_from(["everyone", "user:1", "user:2", "group:a", "group:b"]).map(
    PrincipalId
)
CLAUSES = st.lists(st.frozensets(PRINCIPALS, max_size=3), max_size=4).map(tuple)
MOMENTS = st.integers(-1, 1).map(lambda hours: NOW + timedelta(hours=hours))


@st.composite
def access_lists(draw: st.DrawFn) -> AccessList:
    clauses = draw(CLAUSES)
    granted = [(number, one) for number, clause in enumerate(clauses) for one in sorted(clause)]
    ending = draw(st.sets(st.sampled_from(granted), max_size=3)) if granted else set[Any]()
    expiries = frozenset(Expiry(number, one, draw(MOMENTS)) for number, one in sorted(ending))
    return AccessList(clauses, draw(st.frozensets(PRINCIPALS, max_size=1)), expiries)


ACCESS = access_lists()
GROUPS = st.frozensets(st.sampled_from(["group:a", "group:b"]))


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(lists=st.lists(ACCESS, min_size=1, max_size=6), groups=GROUPS)
async def test_readable_is_what_the_access_lists_say(
    ledger: Ledger, lists: list[AccessList], groups: frozenset[str]
) -> None:
    expected: set[ChunkId] = set()
    wanted: list[ChunkId] = []
    asking = scope(*groups)
    for number, access in enumerate(lists):
        ids = await ledger.index(ref(f"d{number}"), chunks=1, access=access)
        wanted += ids
        if asking.admits(ACME, access, at=NOW):
            expected |= set(ids)
    passages = Passages(ledger.passages.database, clock=lambda: NOW)
    assert set(await passages.readable(wanted, scope=asking)) == expected


@given(first=ACCESS, second=ACCESS, groups=GROUPS, moment=MOMENTS)
def test_a_narrowed_list_never_admits_whom_one_of_the_two_does_not(
    first: AccessList, second: AccessList, groups: frozenset[str], moment: datetime
) -> None:
    asking = scope(*groups)
    both = asking.admits(ACME, first, at=moment) and asking.admits(ACME, second, at=moment)
    admitted = asking.admits(ACME, narrowed(first, second), at=moment)
    assert not admitted or both
    if len({*grants_of(first), *grants_of(second)}) <= 4:
        assert admitted == both


def grants_of(access: AccessList) -> list[object]:
    """Each clause with the ends of its grants."""
    return [
        (clause, frozenset((end.principal, end.at) for end in access.expiries if end.clause == n))
        for n, clause in enumerate(access.clauses)
    ]


@given(access=ACCESS, groups=GROUPS, moment=MOMENTS)
def test_what_is_left_of_an_access_list_admits_whom_it_admits(
    access: AccessList, groups: frozenset[str], moment: datetime
) -> None:
    asking, left = scope(*groups), access.at(moment)
    for later in (moment, moment + timedelta(hours=1)):
        assert asking.admits(ACME, left, at=later) == asking.admits(ACME, access, at=later)
    assert left.next_expiry is None or left.next_expiry > moment
    assert left.at(moment) == left


@pytest.mark.parametrize(
    "expiry",
    [
        Expiry(1, PrincipalId("user:1"), NOW),
        Expiry(-1, PrincipalId("user:1"), NOW),
        Expiry(0, PrincipalId("user:2"), NOW),
        Expiry(0, PrincipalId("user:1"), NOW.replace(tzinfo=None)),
    ],
)
def test_a_grant_that_is_none_cannot_end(expiry: Expiry) -> None:
    with pytest.raises(ValueError, match="a grant"):
        AccessList((frozenset({PrincipalId("user:1")}),), expiries=frozenset({expiry}))


@given(access=ACCESS)
def test_access_lists_survive_the_ledger(access: AccessList) -> None:
    kept = JsonText().process_bind_param(json_of_access(access), DefaultDialect())
    assert access_of(kept) == access


def test_no_two_places_share_a_document_id() -> None:
    parts = ["a", "b", "ab", "", "a\0b", "\0"]
    ids = {
        document_id_of(TenantId(tenant), SourceId(source), uri)
        for tenant, source, uri in product(parts, repeat=3)
    }
    assert len(ids) == len(parts) ** 3
