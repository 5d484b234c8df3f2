"""The queue of reviews: it goes with the audit's entries, and keeps nothing of the text itself."""

import asyncio
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from rag.access import PrincipalId, TenantId
from rag.audit import AuditEvent, TextPolicy
from rag.errors import Conflict, NotFound
from rag.reviews import Decision, Flag, Review, ReviewId, ReviewQuery
from rag.storage.audit.chain import Writing
from rag.storage.audit.ledger import Audit
from rag.storage.audit.reading import ERASED, AuditQuery, entries_of
from rag.storage.audit.sealing import MasterKey
from rag.storage.audit.segments import drop_before, seal_what_is_over
from rag.storage.audit.verifying import Intact, verify
from rag.storage.database import Database
from rag.storage.reviews.ledger import Reviews
from rag.trail import RequestId, UseCase

ACME, OTHER = TenantId("acme"), TenantId("other")
FIRST = ReviewId(1, 1)
ANNA, AUDITOR = PrincipalId("user:anna"), PrincipalId("user:auditor")
QUESTION = "What does Miss Zinnober earn?"


@dataclass(slots=True)
class Clock:
    moment: datetime = field(default_factory=lambda: datetime(2026, 11, 21, 12, tzinfo=UTC))

    def __call__(self) -> datetime:
        return self.moment


def reviews_over(
    database: Database, *, policy: TextPolicy = "redacted", clock: Clock | None = None
) -> Reviews:
    writing = Writing(
        key=MasterKey(b"k" * 32),
        text=policy,
        redact=lambda words: words.replace("Zinnober", "[name]"),
    )
    return Reviews(Audit(database, writing, clock=clock or Clock()))


def flag(check: str = "toxicity", *, use_case: UseCase = UseCase.ASK) -> Flag:
    return Flag(
        use_case=use_case,
        check=check,
        direction="input",
        score=0.75,
        kinds=("insult",),
        policy="p1",
    )


def flagged(*flags: Flag, tenant: TenantId = ACME, number: int = 1) -> AuditEvent:
    return AuditEvent(
        tenant=tenant,
        action="ask",
        decision="answered",
        principal=ANNA,
        trace=RequestId(f"trace-{number}"),
        question=QUESTION,
        flags=flags or (flag(),),
    )


def telling(tenant: TenantId = ACME) -> AuditEvent:
    return AuditEvent(
        tenant=tenant,
        action="review.decide",
        decision="confirmed",
        principal=AUDITOR,
        trace=RequestId("trace-of-the-decision"),
    )


async def decide(
    reviews: Reviews,
    decision: Decision = "confirmed",
    *,
    note: str = "",
    review: ReviewId = FIRST,
    tenant: TenantId = ACME,
) -> Review:
    return await reviews.decide(review, decision=decision, note=note, told=telling(tenant))


def every(**wanted: object) -> ReviewQuery:
    return replace(ReviewQuery(tenant=ACME), **wanted)


async def test_a_flagged_request_waits_for_somebody_and_names_its_entry(database: Database) -> None:
    reviews = reviews_over(database)
    await reviews.audit.record(replace(flagged(), flags=()))
    await reviews.audit.record(flagged(flag(), flag("secrets")))
    newest, oldest = await reviews.listed(every())
    assert (newest.id, oldest.id) == (ReviewId(2, 2), ReviewId(2, 1))
    assert (newest.flag.check, oldest.flag) == ("secrets", flag())
    assert (oldest.state, oldest.decided, oldest.trace) == ("open", None, "trace-1")
    entry = await reviews.entry_of(ACME, oldest.id)
    assert entry.question == QUESTION.replace("Zinnober", "[name]")


async def test_what_is_listed_can_be_chosen_and_comes_in_pages(database: Database) -> None:
    clock = Clock()
    reviews = reviews_over(database, clock=clock)
    await reviews.audit.record(flagged(flag(), flag("secrets"), number=1))
    clock.moment += timedelta(days=1)
    await reviews.audit.record(flagged(flag(use_case=UseCase.CHAT), number=2))
    await reviews.audit.record(flagged(tenant=OTHER))
    await decide(reviews, "dismissed")

    async def ids(query: ReviewQuery) -> list[str]:
        return [str(each.id) for each in await reviews.listed(query)]

    assert await ids(every()) == ["2.1", "1.2", "1.1"]
    assert await ids(every(state="open")) == ["2.1", "1.2"]
    assert await ids(every(state="dismissed")) == ["1.1"]
    assert await ids(every(check="secrets")) == ["1.2"]
    assert await ids(every(use_case=UseCase.CHAT)) == ["2.1"]
    assert await ids(every(since=clock.moment)) == ["2.1"]
    assert await ids(every(until=clock.moment)) == ["1.2", "1.1"]
    assert await ids(every(limit=2)) == ["2.1", "1.2"]
    assert await ids(every(limit=2, before=ReviewId(1, 2))) == ["1.1"]
    assert await reviews.open_by_check() == {"secrets": 1, "toxicity": 2}


async def test_a_decision_stands_with_who_made_it_and_the_audit_tells_of_it(
    database: Database,
) -> None:
    reviews = reviews_over(database)
    await reviews.audit.record(flagged())
    decided = await decide(reviews, note="Miss Zinnober was insulted.")
    assert decided.decided is not None
    assert decided.decided.note == "Miss [name] was insulted."
    assert (decided.state, decided.decided.by) == ("confirmed", AUDITOR)
    [told, _] = await entries_of(reviews.audit, AuditQuery(tenant=ACME))
    assert (told.body["action"], told.principal) == ("review.decide", AUDITOR)
    assert isinstance(await verify(reviews.audit, ACME), Intact)


async def test_the_same_decision_again_changes_nothing_and_another_is_a_conflict(
    database: Database,
) -> None:
    reviews = reviews_over(database)
    await reviews.audit.record(flagged())
    first = await decide(reviews, note="Rude.")
    assert await decide(reviews, note="Rude.") == first
    assert await decide(reviews) == first
    for other in (decide(reviews, "dismissed"), decide(reviews, note="Polite.")):
        with pytest.raises(Conflict, match="confirmed already"):
            await other
    assert len(await entries_of(reviews.audit, AuditQuery(tenant=ACME))) == 2
    assert await reviews.get(ACME, ReviewId(1, 1)) == first


async def test_of_two_who_decide_at_once_one_is_told_of_the_other(database: Database) -> None:
    one, two = reviews_over(database), reviews_over(database)
    await one.audit.record(flagged())
    said = await asyncio.gather(
        decide(one, "confirmed"), decide(two, "dismissed"), return_exceptions=True
    )
    assert sorted(type(each).__name__ for each in said) == ["Conflict", "Review"]


async def test_another_tenants_review_is_not_there(database: Database) -> None:
    reviews = reviews_over(database)
    await reviews.audit.record(flagged())
    await reviews.audit.record(flagged(tenant=OTHER))
    assert await reviews.listed(every(before=ReviewId(1, 1))) == []
    for missing in (
        reviews.get(ACME, ReviewId(1, 2)),
        reviews.get(TenantId("nobody"), ReviewId(1, 1)),
        reviews.entry_of(ACME, ReviewId(2, 1)),
        decide(reviews, tenant=TenantId("nobody")),
    ):
        with pytest.raises(NotFound):
            await missing


@pytest.mark.parametrize("policy", ["none", "hashes", "redacted", "full"])
async def test_nothing_of_the_text_stands_in_the_queue(
    database: Database, policy: TextPolicy
) -> None:
    reviews = reviews_over(database, policy=policy)
    await reviews.audit.record(flagged())
    await decide(reviews, note=f"She asked: {QUESTION}")
    async with database.reading() as connection:
        stored = repr((await connection.execute(text("SELECT * FROM reviews"))).all())
    for word in ("Zinnober", "asked", "earn", "user:"):
        assert word not in stored


async def test_an_erased_person_leaves_a_review_that_tells_nothing_of_them(
    database: Database,
) -> None:
    reviews = reviews_over(database)
    await reviews.audit.record(flagged(flag(), flag("secrets")))
    await decide(reviews, note="Rude.")
    await reviews.audit.erase(ACME, ANNA)
    decided = (await reviews.get(ACME, ReviewId(1, 1))).decided
    assert decided is not None
    assert (decided.note, decided.by) == (ERASED, AUDITOR)
    assert (await reviews.entry_of(ACME, ReviewId(1, 1))).question == ERASED
    with pytest.raises(Conflict, match="erased"):
        await decide(reviews, note="Rude.", review=ReviewId(1, 2))
    assert (await decide(reviews, review=ReviewId(1, 2))).state == "confirmed"
    await reviews.audit.erase(ACME, AUDITOR)
    forgotten = (await reviews.get(ACME, ReviewId(1, 1))).decided
    assert forgotten is not None
    assert forgotten.by == ERASED


async def test_a_review_goes_with_the_month_of_its_entry(database: Database) -> None:
    clock = Clock()
    reviews = reviews_over(database, clock=clock)
    await reviews.audit.record(flagged())
    clock.moment += timedelta(days=30)
    await reviews.audit.record(flagged(number=2))
    await decide(reviews)
    await seal_what_is_over(reviews.audit)
    await drop_before(reviews.audit, "2026-12")
    assert [str(each.id) for each in await reviews.listed(every())] == ["2.1"]
