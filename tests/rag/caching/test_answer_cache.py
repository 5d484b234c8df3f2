"""An answer is given again only to who may read what it was made of, as long as that stands."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

import pytest

from rag.errors import StorageUnavailable
from rag.gateway.answer_cache.cache import AnswerCache, CacheLimits
from rag.gateway.answer_cache.entries import KeptQuestion
from rag.gateway.answer_cache.keeping import NotKept
from rag.gateway.answer_cache.vectors import PartitionsInMemory
from rag.storage.answers.ledger import KeptAnswers
from rag.storage.database import Database
from rag.types import AnyOf, ChunkId
from tests.rag.caching.company import ACME, OTHER, Company, principal

ANNA = principal("user:anna", "group:finance")
BEN = principal("user:ben", "group:finance")
EVE = principal("user:eve")
QUESTION = "What is the limit for hotel costs?"
REWORDED = "Could you tell me what's the limit for hotel costs, please?"
LIMIT = "The hotel limit is 140 euros."


@pytest.fixture
async def company(database: Database) -> Company:
    company = Company(database)
    await company.open()
    return company


async def published(
    company: Company, *, readers: tuple[str, ...] = ("group:finance",)
) -> list[ChunkId]:
    chunks = await company.publish("travel", [LIMIT], readers=readers)
    company.clock.passes(minutes=1)
    return chunks


async def test_the_same_question_gets_the_same_answer_with_its_evidence_as_the_ledger_has_it(
    company: Company,
) -> None:
    chunks = await published(company)
    assert await company.ask(QUESTION, ANNA, chunks) is None
    found = await company.ask("what is  the LIMIT for hotel costs", ANNA, chunks)
    assert found is not None and found.how == "exact"
    assert found.answer.text == f"{LIMIT} [1]"
    [citation] = found.answer.citations
    assert citation.quote == LIMIT and citation.chunk.document.uri == "travel"
    [passage] = found.evidence
    assert passage.text == LIMIT and passage.hit.chunk.id == chunks[0]


async def test_a_question_in_other_words_shares_the_answer(company: Company) -> None:
    chunks = await published(company)
    await company.ask(QUESTION, ANNA, chunks)
    found = await company.look_up(REWORDED, BEN)
    assert found is not None and found.how == "semantic"
    assert company.cache.tally.outcomes == {"miss": 1, "semantic": 1}


async def test_who_may_not_read_all_of_the_evidence_is_given_nothing_of_it(
    company: Company,
) -> None:
    chunks = await published(company)
    public = await company.publish("notice", ["Hotels are booked early."])
    company.clock.passes(minutes=1)
    await company.ask(QUESTION, ANNA, [*chunks, *public])
    assert await company.look_up(QUESTION, EVE) is None
    assert await company.look_up(REWORDED, EVE) is None
    # It was not hers, and is still there for those who may read it.
    assert await company.look_up(QUESTION, BEN) is not None


async def test_a_revoked_right_counts_at_once_even_for_who_asked_first(company: Company) -> None:
    company.cache = replace(company.cache, limits=replace(company.limits, changes_ignored_s=1e9))
    chunks = await published(company)
    await company.ask(QUESTION, ANNA, chunks)
    assert await company.look_up(QUESTION, BEN) is not None
    await company.permit("travel", ["user:ben"])
    assert await company.look_up(QUESTION, BEN) is not None, "he may still read it"
    assert await company.look_up(QUESTION, ANNA) is None
    assert await company.answers.count(ACME) == 0, "what its asker may not have is forgotten"


async def test_a_lost_group_counts_at_once(company: Company) -> None:
    chunks = await published(company)
    await company.ask(QUESTION, ANNA, chunks)
    assert await company.look_up(QUESTION, principal("user:anna")) is None


async def test_an_answer_kept_after_its_evidence_was_taken_away_is_not_given(
    company: Company,
) -> None:
    chunks = await published(company)
    made = await company.make(QUESTION, ANNA, chunks)
    assert made is not None
    await company.permit("travel", ["user:ceo"])
    company.clock.passes(minutes=1)
    assert await company.keep(made) is None
    for someone in (ANNA, BEN, EVE):
        assert await company.look_up(QUESTION, someone) is None


@pytest.mark.parametrize("noticed", [True, False], ids=["at once", "by the evidence alone"])
async def test_an_edited_deleted_or_redescribed_document_ends_its_answers(
    company: Company, *, noticed: bool
) -> None:
    if not noticed:
        far = replace(company.limits, changes_ignored_s=1e9)
        company.cache = replace(company.cache, limits=far)

    async def ends(change: str) -> bool:
        chunks = await published(company)
        await company.ask(QUESTION, ANNA, chunks)
        assert await company.look_up(QUESTION, BEN) is not None
        company.clock.passes(minutes=1)
        match change:
            case "edit":
                await company.publish("travel", [LIMIT, "More."], readers=["group:finance"])
            case "delete":
                await company.delete("travel")
            case "metadata":
                described = {"department": "hr"}
                await company.permit("travel", ["group:finance"], metadata=described)
            case _:
                old = company.ref("travel").id
                await company.publish("travel 2", ["Now 160."], supersedes=old)
        return await company.look_up(QUESTION, BEN) is None

    for change in ("edit", "delete", "metadata", "successor"):
        assert await ends(change), change


async def test_a_new_document_ends_all_answers_of_its_tenant_and_no_other(
    company: Company,
) -> None:
    chunks = await published(company)
    await company.ask(QUESTION, ANNA, chunks)
    await company.publish("elsewhere", ["x"], tenant=OTHER)
    assert await company.look_up(QUESTION, ANNA) is not None
    await company.publish("better", ["The hotel limit is 160 euros."])
    assert await company.look_up(QUESTION, ANNA) is None
    assert await company.answers.count(ACME) == 0


async def test_an_answer_made_while_a_document_changed_is_not_taken_for_newer(
    company: Company,
) -> None:
    chunks = await published(company)
    await company.publish("better", ["The hotel limit is 160 euros."])
    company.clock.passes(seconds=1)
    await company.ask(QUESTION, ANNA, chunks)
    assert await company.look_up(QUESTION, ANNA) is None


async def test_no_answer_outlives_its_time(company: Company) -> None:
    chunks = await published(company)
    await company.ask(QUESTION, ANNA, chunks)
    company.clock.passes(minutes=59)
    assert await company.look_up(QUESTION, ANNA) is not None
    company.clock.passes(minutes=2)
    assert await company.look_up(QUESTION, ANNA) is None


async def test_partitions_share_nothing(company: Company) -> None:
    chunks = await published(company, readers=("everyone",))
    here = company.partition()
    await company.ask(QUESTION, ANNA, chunks, partition=here)
    others = [
        replace(here, generation=2),
        replace(here, prompt="answer/v2"),
        replace(here, model_class="best"),
        replace(here, guard_policy="default/2"),
        replace(here, locale="de"),
        replace(here, filters={"department": AnyOf(("hr",))}),
        replace(here, filters={"year": AnyOf((2026,))}),
        replace(here, filters={"year": AnyOf(("2026",))}),
        replace(here, profile="rerank"),
    ]
    assert len({each.key for each in (here, *others)}) == 10
    for other in others:
        assert await company.look_up(QUESTION, ANNA, partition=other) is None
    stranger = principal("user:anna", "group:finance", tenant=OTHER)
    assert await company.look_up(QUESTION, stranger) is None
    # Not even where a caller mixes up whose partition it is.
    assert await company.look_up(QUESTION, stranger, partition=here) is None
    assert await company.look_up(QUESTION, ANNA, partition=here) is not None


async def test_two_audiences_of_one_question_each_have_their_answer(company: Company) -> None:
    secret = await company.publish("secret", ["The board may spend 400."], readers=["user:anna"])
    public = await company.publish("public", ["Anyone may spend 140."])
    company.clock.passes(minutes=1)
    await company.ask(QUESTION, ANNA, [*secret, *public])
    await company.ask(QUESTION, EVE, [*secret, *public])
    for_eve = await company.look_up(QUESTION, EVE)
    assert for_eve is not None and "400" not in for_eve.answer.text
    assert await company.look_up(QUESTION, ANNA) is not None


async def test_where_nothing_is_shared_only_the_asker_is_answered(company: Company) -> None:
    company.cache = replace(company.cache, limits=replace(company.limits, shared=False))
    chunks = await published(company)
    await company.ask(QUESTION, ANNA, chunks)
    assert await company.look_up(QUESTION, BEN) is None
    assert await company.look_up(QUESTION, ANNA) is not None


async def test_a_restart_and_another_process_find_what_was_kept(company: Company) -> None:
    other = replace(company.another_process(), limits=replace(company.limits, refresh_s=0))
    chunks = await published(company)
    assert await company.look_up(REWORDED, BEN, cache=other) is None
    await company.ask(QUESTION, ANNA, chunks)
    for cache in (other, company.another_process()):
        found = await company.look_up(REWORDED, BEN, cache=cache)
        assert found is not None and found.how == "semantic"
    assert await company.cache.clear(ACME) == 1
    assert await company.look_up(REWORDED, BEN, cache=other) is None


@dataclass(frozen=True, slots=True)
class AwayAtFirst(KeptAnswers):
    """The answers on disk, which cannot be reached once."""

    looks: list[str] = field(default_factory=list[str])

    async def questions(self, partition: str, *, since: datetime | None) -> Sequence[KeptQuestion]:
        self.looks.append(partition)
        if len(self.looks) == 1:
            raise StorageUnavailable("the disk is away")
        # Named, for a dataclass with slots is made anew, and `super()` would mean the first one.
        return await KeptAnswers.questions(self, partition, since=since)


async def test_a_look_that_failed_was_none_and_the_next_finds_what_is_there(
    company: Company,
) -> None:
    await company.ask(QUESTION, ANNA, await published(company))
    away = AwayAtFirst(company.database, company.clock)
    other = replace(company.another_process(), store=away)
    with pytest.raises(StorageUnavailable):
        await company.look_up(REWORDED, BEN, cache=other)
    found = await company.look_up(REWORDED, BEN, cache=other)
    assert found is not None and found.how == "semantic"


async def test_what_has_expired_is_not_held_in_memory_for_ever(company: Company) -> None:
    held = PartitionsInMemory()
    cache = AnswerCache(
        store=company.answers,
        limits=replace(company.limits, refresh_s=0),
        clock=company.clock,
        _partitions=held,
    )
    chunks = await published(company)
    for day in range(5):
        made = await company.make(f"What is the hotel limit on day {day}?", ANNA, chunks)
        assert made is not None and await company.keep(made, cache=cache) is None
        await company.look_up(REWORDED, BEN, cache=cache)
        company.clock.passes(days=1)
    assert len(held.of(company.partition().key).rows) == 1


async def test_answers_are_forgotten_by_tenant_document_prompt_and_generation(
    company: Company,
) -> None:
    chunks = await published(company)
    travel, clear = company.ref("travel").id, company.cache.clear
    await company.ask(QUESTION, ANNA, chunks)
    assert await clear(OTHER) == 0
    assert await clear(ACME, document=company.ref("other").id) == 0
    assert await clear(ACME, prompt="answer/v2") == await clear(ACME, generation=2) == 0
    assert await clear(ACME, document=travel, prompt="answer/v1", generation=1) == 1
    await company.ask(QUESTION, ANNA, chunks)
    assert await clear(None, prompt="answer/v1") == 1
    assert await company.look_up(QUESTION, ANNA) is None


async def test_nothing_of_a_deleted_document_is_left(company: Company) -> None:
    chunks = await published(company)
    await company.ask(QUESTION, ANNA, chunks)
    await company.delete("travel")
    assert await company.answers.count(ACME) == 0


async def test_what_was_unused_for_longest_makes_room(database: Database) -> None:
    company = Company(database, limits=CacheLimits(threshold=0.99, max_answers=3))
    await company.open()
    chunks = await published(company)
    for city in ("Bonn", "Graz", "Linz"):
        await company.ask(f"What is the limit in {city}?", ANNA, chunks)
        company.clock.passes(minutes=11)
    assert await company.look_up("What is the limit in Bonn?", ANNA) is not None
    await company.ask("What is the limit in Wien?", ANNA, chunks)
    assert await company.answers.count(ACME) == 3
    found = {
        city
        for city in ("Bonn", "Graz", "Linz", "Wien")
        if await company.look_up(f"What is the limit in {city}?", ANNA)
    }
    assert found == {"Bonn", "Linz", "Wien"}


async def test_what_has_expired_is_not_kept_on_disk_for_ever(company: Company) -> None:
    chunks = await published(company)
    await company.ask(QUESTION, ANNA, chunks)
    company.clock.passes(hours=2)
    await company.ask("Where is the parking deck?", ANNA, chunks)
    assert await company.answers.count(ACME) == 1


async def test_an_answer_that_cites_what_the_model_was_not_shown_is_not_kept(
    company: Company,
) -> None:
    chunks = await published(company)
    made = await company.make(QUESTION, ANNA, chunks)
    assert made is not None
    made.evidence = ()
    assert await company.keep(made) is NotKept.UNGROUNDED


def test_a_share_of_hits_is_asked_anew_and_the_errors_are_counted(company: Company) -> None:
    drawn = iter([0.0, 0.5, 0.01, 0.99])
    tally = replace(company.cache.tally, drawn=lambda: next(drawn), recheck_share=0.02)
    assert [tally.should_recheck() for _ in range(4)] == [True, False, True, False]
    for number in range(200):
        assert tally.false_hit_rate is None
        tally.record_recheck(agreed=number > 0)
    assert tally.false_hit_rate == 1 / 200
