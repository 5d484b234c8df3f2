"""Conversations are their owner's alone, and are forgotten in time."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select

from rag.access import Principal, PrincipalId, TenantId
from rag.conversation.turns import ConversationId, History, Summary, Turn
from rag.errors import NotFound
from rag.storage.conversations import MOST_TURNS, Conversations
from rag.storage.database import Database
from rag.storage.tables import SummaryRow

ADA = Principal(TenantId("acme"), PrincipalId("user:ada"))
BOB = Principal(TenantId("acme"), PrincipalId("user:bob"))
OTHER_ADA = Principal(TenantId("globex"), PrincipalId("user:ada"))
NOON = datetime(2026, 5, 4, 12, tzinfo=UTC)


class Clock:
    def __init__(self) -> None:
        self.moment = NOON

    def __call__(self) -> datetime:
        return self.moment


def turn(question: str, answer: str = "Yes.") -> Turn:
    return Turn(question=question, standalone=f"{question} (AP-300)", answer=answer, at=NOON)


def store(database: Database, clock: Clock | None = None) -> Conversations:
    return Conversations(database, kept_for=timedelta(days=30), clock=clock or Clock())


async def test_the_owner_reads_the_latest_turns_oldest_first(database: Database) -> None:
    conversations = store(database)
    mine = await conversations.begin(ADA)
    for number in range(5):
        await conversations.add(mine, ADA, turn(f"Question {number}?"))
    found = await conversations.turns(mine, ADA, latest=3)
    assert found == tuple(turn(f"Question {number}?") for number in (2, 3, 4))


@pytest.mark.parametrize("stranger", [BOB, OTHER_ADA])
async def test_nobody_else_reads_writes_or_forgets_it_and_cannot_tell_it_is_there(
    database: Database, stranger: Principal
) -> None:
    conversations = store(database)
    mine = await conversations.begin(ADA)
    await conversations.add(mine, ADA, turn("What is my salary?"))
    for wanted in (mine, ConversationId("0" * 32)):
        with pytest.raises(NotFound, match="there is no such conversation"):
            await conversations.turns(wanted, stranger)
        with pytest.raises(NotFound, match="there is no such conversation"):
            await conversations.add(wanted, stranger, turn("And mine?"))
        with pytest.raises(NotFound, match="there is no such conversation"):
            await conversations.forget(wanted, stranger)
    assert await conversations.forget_all_of(stranger) == 0
    assert len(await conversations.turns(mine, ADA)) == 1


async def test_turns_added_at_once_are_all_kept(database: Database) -> None:
    conversations = store(database)
    mine = await conversations.begin(ADA)
    await asyncio.gather(*(conversations.add(mine, ADA, turn(f"{n}?")) for n in range(8)))
    found = await conversations.turns(mine, ADA)
    assert sorted(each.question for each in found) == sorted(f"{n}?" for n in range(8))


async def test_only_so_many_turns_are_kept(database: Database) -> None:
    conversations = store(database)
    mine = await conversations.begin(ADA)
    for number in range(MOST_TURNS + 2):
        await conversations.add(mine, ADA, turn(f"{number}?"))
    found = await conversations.turns(mine, ADA, latest=2 * MOST_TURNS)
    assert len(found) == MOST_TURNS
    assert found[0].question == "2?"


async def test_what_is_not_used_is_forgotten_and_cannot_be_read_before_it_is(
    database: Database,
) -> None:
    clock = Clock()
    conversations = store(database, clock)
    old, used = await conversations.begin(ADA), await conversations.begin(ADA)
    clock.moment += timedelta(days=20)
    await conversations.add(used, ADA, turn("Still there?"))
    clock.moment += timedelta(days=11)
    with pytest.raises(NotFound):
        await conversations.turns(old, ADA)
    assert await conversations.forget_unused() == 1
    assert len(await conversations.turns(used, ADA)) == 1


async def test_its_owner_may_have_it_forgotten(database: Database) -> None:
    conversations = store(database)
    one, other = await conversations.begin(ADA), await conversations.begin(ADA)
    await conversations.forget(one, ADA)
    with pytest.raises(NotFound):
        await conversations.turns(one, ADA)
    assert await conversations.forget_all_of(ADA) == 1
    with pytest.raises(NotFound):
        await conversations.turns(other, ADA)


async def test_a_summary_stands_beside_the_turns_and_only_a_longer_one_takes_its_place(
    database: Database,
) -> None:
    conversations = store(database)
    mine = await conversations.begin(ADA)
    assert await conversations.history(mine, ADA) == History()
    for number in range(5):
        await conversations.add(mine, ADA, turn(f"Question {number}?"))
    for told in (Summary("Two.", 2), Summary("Three.", 3), Summary("Late.", 2), Summary("So.", 3)):
        await conversations.sum_up(mine, ADA, told)
    history = await conversations.history(mine, ADA, latest=3)
    assert history.summary == Summary("Three.", 3)
    assert history.first == 3
    assert [each.question for each in history.untold] == ["Question 3?", "Question 4?"]


@pytest.mark.parametrize("stranger", [BOB, OTHER_ADA])
async def test_nobody_else_sums_it_up(database: Database, stranger: Principal) -> None:
    conversations = store(database)
    mine = await conversations.begin(ADA)
    with pytest.raises(NotFound):
        await conversations.sum_up(mine, stranger, Summary("Lies.", 1))
    assert (await conversations.history(mine, ADA)).summary is None


async def test_a_summary_goes_with_its_conversation_and_none_comes_after(
    database: Database,
) -> None:
    clock = Clock()
    conversations = store(database, clock)
    forgotten, erased, unused = [await conversations.begin(ADA) for _ in range(3)]
    for each in (forgotten, erased, unused):
        await conversations.sum_up(each, ADA, Summary("Secret.", 1))
    await conversations.forget(forgotten, ADA)
    with pytest.raises(NotFound):
        await conversations.sum_up(forgotten, ADA, Summary("Secret.", 2))
    assert await summaries_in(database) == 2
    clock.moment += timedelta(days=31)
    assert await conversations.forget_unused() == 2
    assert await summaries_in(database) == 0


async def test_erasing_a_person_takes_their_summaries(database: Database) -> None:
    conversations = store(database)
    for owner in (ADA, BOB):
        mine = await conversations.begin(owner)
        await conversations.sum_up(mine, owner, Summary("Secret.", 1))
    await conversations.forget_all_of(ADA)
    assert await summaries_in(database) == 1


async def summaries_in(database: Database) -> int:
    return len(await database.rows(select(SummaryRow.conversation)))
