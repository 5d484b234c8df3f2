"""The audit's chain: what was recorded cannot be changed, left out or cut off unnoticed."""

import asyncio
import base64
import json
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from rag.access import PrincipalId, TenantId
from rag.audit import AuditEvent, TextPolicy
from rag.errors import ConfigurationError, Error, InvalidRequest
from rag.reviews import Flag, ReviewId
from rag.storage.audit.anchors import Anchor, anchors_in, append_anchors, current_anchors
from rag.storage.audit.chain import Writing
from rag.storage.audit.ledger import Audit
from rag.storage.audit.reading import ERASED, AuditQuery, entries_of
from rag.storage.audit.sealing import MasterKey, master_key_in
from rag.storage.audit.segments import drop_before, seal_what_is_over
from rag.storage.audit.verifying import Broken, Intact, verify
from rag.storage.database import Database, open_database
from rag.storage.reviews.ledger import Reviews
from rag.trail import RequestId, Sent, UseCase
from rag.types import ChunkId, DocumentId, VersionId

ACME, OTHER = TenantId("acme"), TenantId("other")
ANNA, BEN = PrincipalId("user:anna"), PrincipalId("user:ben")
KEY = MasterKey(b"k" * 32)
ROOT = Path(__file__).parents[4]
QUESTION = "What does Miss Zinnober earn?"
FLAG = Flag(
    use_case=UseCase.ASK, check="toxicity", direction="input", score=0.8, kinds=(), policy="p1"
)


@dataclass(slots=True)
class Clock:
    moment: datetime = field(default_factory=lambda: datetime(2026, 11, 21, 12, tzinfo=UTC))

    def __call__(self) -> datetime:
        return self.moment


def audit_over(
    database: Database,
    *,
    policy: TextPolicy = "full",
    clock: Clock | None = None,
    key: MasterKey = KEY,
) -> Audit:
    writing = Writing(key=key, text=policy, redact=lambda text: text.replace("Zinnober", "[name]"))
    return Audit(database, writing, clock=clock or Clock())


def event(number: int = 1, *, tenant: TenantId = ACME, who: PrincipalId = ANNA) -> AuditEvent:
    passage = Sent(DocumentId("d1"), VersionId("v1"), ChunkId("c1"))
    return AuditEvent(
        tenant=tenant,
        action="ask",
        decision="answered",
        principal=who,
        trace=RequestId(f"trace-{number}"),
        question=QUESTION,
        answer="Nobody may know.",
        shown=(passage,),
        sent=(passage,),
    )


async def record(audit: Audit, count: int, *, tenant: TenantId = ACME) -> None:
    await asyncio.gather(*(audit.record(event(each, tenant=tenant)) for each in range(count)))


async def test_entries_are_read_as_they_were_recorded(database: Database) -> None:
    audit = audit_over(database)
    await audit.record(event())
    [entry] = await entries_of(audit, AuditQuery(tenant=ACME, principal=ANNA))
    assert (entry.principal, entry.question, entry.answer) == (ANNA, QUESTION, "Nobody may know.")
    assert entry.body["shown"] == [["d1", "v1", "c1"]]
    assert await entries_of(audit, AuditQuery(tenant=ACME, principal=BEN)) == []
    assert await entries_of(audit, AuditQuery(tenant=OTHER)) == []


async def test_a_chain_of_many_writers_has_no_gap_and_verifies(database: Database) -> None:
    one, two = audit_over(database), audit_over(database)
    await asyncio.gather(record(one, 40), record(two, 40), record(one, 5, tenant=OTHER))
    assert await verify(one, ACME) == Intact(first=1, last=80, entries=80, anchors=0)
    assert await verify(one, OTHER) == Intact(first=1, last=5, entries=5, anchors=0)


@pytest.mark.parametrize("policy", ["none", "hashes", "redacted", "full"])
async def test_what_people_wrote_and_who_they_are_stands_nowhere_in_clear(
    database: Database, policy: TextPolicy
) -> None:
    audit = audit_over(database, policy=policy)
    await audit.record(event())
    async with database.reading() as connection:
        rows = (await connection.execute(text("SELECT * FROM audit_entries"))).all()
    stored = repr(rows)
    assert "Zinnober" not in stored
    assert "user:anna" not in stored
    [entry] = await entries_of(audit, AuditQuery(tenant=ACME))
    expected = {"none": "", "redacted": QUESTION.replace("Zinnober", "[name]"), "full": QUESTION}
    if policy in expected:
        assert entry.question == expected[policy]
    else:
        assert entry.question == KEY.keyed_hash(ACME, QUESTION)


async def test_erasing_a_person_leaves_the_chain_whole_and_nothing_to_read(
    database: Database,
) -> None:
    audit = audit_over(database)
    await audit.record(event())
    await audit.record(event(2, who=BEN))
    assert await audit.erase(ACME, ANNA)
    assert not await audit.erase(ACME, ANNA)
    await audit.record(event(3))
    newest, of_ben, erased = await entries_of(audit, AuditQuery(tenant=ACME))
    assert (erased.principal, erased.question, erased.answer) == (ERASED, ERASED, ERASED)
    assert (of_ben.principal, newest.principal) == (BEN, ANNA)
    assert isinstance(await verify(audit, ACME), Intact)


async def unguarded(database: Database, *statements: str) -> None:
    """As the database's owner may: without the triggers."""
    async with database.writing() as connection:
        if database.dialect == "sqlite":
            for trigger in ("audit_entries_stay", "audit_entries_leave"):
                await connection.execute(text(f"DROP TRIGGER IF EXISTS {trigger}"))
        else:
            await connection.execute(text("ALTER TABLE audit_entries DISABLE TRIGGER ALL"))
        for statement in statements:
            await connection.execute(text(statement))


TAMPERED: Sequence[tuple[str, int]] = (
    ("UPDATE audit_entries SET hash = previous WHERE sequence = 4", 4),
    ("UPDATE audit_entries SET at = '2020-01-01 00:00:00' WHERE sequence = 4", 4),
    ("UPDATE audit_entries SET trace = 'another' WHERE sequence = 4", 4),
    ("DELETE FROM audit_entries WHERE sequence = 4", 4),
    ("DELETE FROM audit_entries WHERE sequence = 1", 1),
    ("DELETE FROM audit_entries WHERE sequence = 9", 9),
)


@pytest.mark.parametrize(("statement", "broken"), TAMPERED)
async def test_the_first_entry_that_was_tampered_with_is_named(
    database: Database, statement: str, broken: int
) -> None:
    audit = audit_over(database)
    await record(audit, 9)
    await unguarded(database, statement)
    verdict = await verify(audit, ACME)
    assert isinstance(verdict, Broken)
    assert verdict.sequence == broken


async def test_a_changed_body_is_found_even_with_its_hash_written_anew(database: Database) -> None:
    audit = audit_over(database)
    await record(audit, 5)
    entries = await entries_of(audit, AuditQuery(tenant=ACME))
    body = json.loads(entries[2].entry.body)
    forged = json.dumps({**body, "decision": "refused"}).encode()
    await unguarded(database)
    async with database.writing() as connection:
        await connection.execute(
            text("UPDATE audit_entries SET body = :body WHERE sequence = 3"), {"body": forged}
        )
    assert await verify(audit, ACME) == Broken(3, "its content has another hash")


async def test_a_chain_cut_off_or_written_anew_is_found_by_an_anchor(database: Database) -> None:
    audit = audit_over(database)
    await record(audit, 6)
    anchors = await current_anchors(audit, ACME)
    await unguarded(
        database,
        "DELETE FROM audit_entries WHERE sequence > 3",
        "UPDATE audit_heads SET sequence = 3, hash ="
        " (SELECT hash FROM audit_entries WHERE sequence = 3)",
    )
    assert isinstance(await verify(audit, ACME), Intact)
    assert await verify(audit, ACME, anchors=anchors) == Broken(
        4, "it is missing: an anchor names a later one"
    )
    await record(audit, 3)
    assert await verify(audit, ACME, anchors=anchors) == Broken(6, "an anchor has another hash")


async def test_anchors_are_read_back_from_their_file_and_forged_ones_are_found(
    database: Database, tmp_path_factory: pytest.TempPathFactory
) -> None:
    audit = audit_over(database)
    await record(audit, 2)
    file = tmp_path_factory.mktemp("anchors") / "deep" / "anchors.jsonl"
    append_anchors(file, await current_anchors(audit))
    [anchor] = anchors_in(file.read_text(encoding="utf-8"))
    assert anchor.is_genuine
    assert await verify(audit, ACME, anchors=[anchor]) == Intact(
        first=1, last=2, entries=2, anchors=1
    )
    strangers = await current_anchors(audit_over(database, key=MasterKey(b"x" * 32)), ACME)
    for forged in (replace(anchor, hash="f" * 64), replace(anchor, sequence=1), *strangers):
        assert isinstance(await verify(audit, ACME, anchors=[forged]), Broken)
    with pytest.raises(InvalidRequest, match="line 2"):
        anchors_in(file.read_text(encoding="utf-8") + '{"tenant": "acme"}\n')


async def test_entries_can_be_neither_changed_nor_deleted(database: Database) -> None:
    audit = audit_over(database)
    await record(audit, 2)
    for statement in (
        "UPDATE audit_entries SET trace = 'another'",
        "DELETE FROM audit_entries",
    ):
        with pytest.raises((Error, DBAPIError)):
            async with database.writing() as connection:
                await connection.execute(text(statement))
    assert await verify(audit, ACME) == Intact(first=1, last=2, entries=2, anchors=0)


async def test_months_are_sealed_and_dropped_as_a_whole(database: Database) -> None:
    clock = Clock()
    audit = audit_over(database, clock=clock)
    await record(audit, 3)
    anchors = await current_anchors(audit, ACME)
    clock.moment += timedelta(days=30)
    await record(audit, 2)
    assert await seal_what_is_over(audit) == 1
    assert await seal_what_is_over(audit) == 0
    clock.moment -= timedelta(days=30)
    await record(audit, 1)
    assert await verify(audit, ACME) == Intact(first=1, last=6, entries=6, anchors=0)
    assert await drop_before(audit, "2026-11") == 0
    assert await drop_before(audit, "2026-12") == 3
    assert await verify(audit, ACME, anchors=anchors) == Intact(
        first=4, last=6, entries=3, anchors=1
    )
    lie = [replace(anchor, hash="0" * 64) for anchor in anchors]
    assert isinstance(await verify(audit, ACME, anchors=lie), Broken)
    await unguarded(database, "UPDATE audit_segments SET hash = previous")
    assert isinstance(await verify(audit, ACME), Broken)


async def test_what_cannot_be_written_is_told_to_whoever_records(database: Database) -> None:
    audit = audit_over(database)
    await audit.record(event())
    async with database.writing() as connection:
        await connection.execute(text("ALTER TABLE audit_entries RENAME TO elsewhere"))
    with pytest.raises((Error, DBAPIError)):
        await audit.record(event(2))
    async with database.writing() as connection:
        await connection.execute(text("ALTER TABLE elsewhere RENAME TO audit_entries"))
    await audit.record(event(3))
    assert await verify(audit, ACME) == Intact(first=1, last=2, entries=2, anchors=0)


def test_a_key_is_made_once_for_its_owner_alone(tmp_path_factory: pytest.TempPathFactory) -> None:
    file = tmp_path_factory.mktemp("keys") / "audit.key"
    made = master_key_in(file)
    assert file.stat().st_mode & 0o077 == 0
    assert master_key_in(file) == made
    assert base64.b64encode(made.secret).decode() not in repr(made)
    file.write_text("short")
    with pytest.raises(ConfigurationError):
        master_key_in(file)


def test_an_anchor_tells_nothing_but_where_the_chain_ended() -> None:
    assert set(Anchor.__dataclass_fields__) == {
        "tenant",
        "sequence",
        "hash",
        "at",
        "public_key",
        "signature",
    }


async def test_a_role_for_the_platform_can_only_add_to_the_audit(
    database: Database, database_url: str
) -> None:
    if database.dialect != "postgresql":
        pytest.skip("SQLite knows no roles")
    audit = audit_over(database)
    await record(audit, 2)
    script = (ROOT / "deploy" / "postgres-audit-role.sql").read_text(encoding="utf-8")
    role = f"app_{uuid.uuid4().hex[:8]}"
    statements = [
        " ".join(part for part in each.splitlines() if not part.startswith("--"))
        for each in script.replace(':"role"', role).split(";")
    ]
    async with database.writing() as connection:
        await connection.execute(text(f"CREATE ROLE {role} LOGIN"))
        for statement in filter(str.strip, statements):
            await connection.execute(text(statement))
    async with open_database(database_url.replace("rag@", f"{role}@")) as restricted:
        await record(audit_over(restricted), 1)
        await audit_over(restricted).record(replace(event(9), flags=(FLAG,)))
        for statement in (
            "UPDATE audit_entries SET trace = 'x'",
            "DELETE FROM audit_entries",
            "DELETE FROM reviews",
        ):
            with pytest.raises((Error, DBAPIError), match="permission denied"):
                async with restricted.writing() as connection:
                    await connection.execute(text(statement))
        assert await verify(audit_over(restricted), ACME) == Intact(
            first=1, last=4, entries=4, anchors=0
        )
        decided = await Reviews(audit_over(restricted)).decide(
            ReviewId(4, 1), decision="confirmed", note="", told=event(10)
        )
        assert decided.state == "confirmed"
