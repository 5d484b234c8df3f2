"""The ledger of prompts, on both databases: versions, labels, going back, rollouts."""

import asyncio
from dataclasses import replace

import pytest

from rag.errors import Conflict, NotFound
from rag.gateway.money import Micro
from rag.prompts.choosing import PRODUCTION
from rag.prompts.registry import SHIPPED, load_version, shipped_versions
from rag.prompts.rollouts import (
    Candidate,
    ModelCandidate,
    Plan,
    ProfileCandidate,
    PromptCandidate,
)
from rag.prompts.versions import EVERY_TENANT, PromptVersion
from rag.storage.database import Database
from rag.storage.prompts.ledger import Prompts
from rag.storage.prompts.records import ChangeKind
from rag.storage.prompts.rollouts import Rollouts
from tests.clock import Clock
from tests.rag.prompts.values import ACME, OTHER, account, content, report, variant

ANNA = "user:anna"
V1, V2 = load_version("answer", "v1"), load_version("answer", "v2")


@pytest.fixture
async def prompts(database: Database) -> Prompts:
    prompts = Prompts(database, Clock())
    await prompts.seed(shipped_versions(), SHIPPED)
    return prompts


@pytest.fixture
def rollouts(database: Database) -> Rollouts:
    return Rollouts(database, Clock())


async def new(prompts: Prompts, words: str = "Be brief.", *, tenant: str = ACME) -> PromptVersion:
    made = content(words)
    return await prompts.create(
        EVERY_TENANT if not tenant else ACME, "answer", made, rationale="shorter", by=ANNA
    )


async def chosen(prompts: Prompts, user: str = "anna", tenant: str = ACME) -> str:
    book = await prompts.book()
    who = account(user, OTHER if tenant == OTHER else ACME)
    return book.choose("answer", who, locale="", audience="").prompt.key


async def promote(prompts: Prompts, version: PromptVersion, *, reason: str = "better") -> None:
    await prompts.set_label(version, PRODUCTION, tenant=ACME, by=ANNA, reason=reason)


# --- seeding -----------------------------------------------------------------------------------


async def test_what_is_shipped_serves_where_nobody_chose_anything(prompts: Prompts) -> None:
    book = await prompts.book()
    for name, version in SHIPPED.items():
        prompt = book.choose(name, account(), locale="", audience="").prompt
        assert prompt == load_version(name, version).prompt()


async def test_seeding_again_changes_nothing(prompts: Prompts) -> None:
    before = await prompts.revision(), await prompts.listed(ACME)
    await prompts.seed(shipped_versions(), SHIPPED)
    assert (await prompts.revision(), await prompts.listed(ACME)) == before


async def test_processes_that_start_together_seed_once(database: Database) -> None:
    together = [Prompts(database, Clock()).seed(shipped_versions(), SHIPPED) for _ in range(4)]
    await asyncio.gather(*together)
    listed = await Prompts(database).listed(ACME)
    assert sorted(each.key for each in listed) == sorted(each.key for each in shipped_versions())
    assert await Prompts(database).revision() == len(listed) + len(SHIPPED)


async def test_a_newer_release_brings_its_version_to_all_and_an_older_process_takes_none_back(
    database: Database,
) -> None:
    prompts = Prompts(database, Clock())
    old, new_release = [V1], [V1, V2]
    await prompts.seed(old, {"answer": "v1"})
    assert await chosen(prompts) == V1.key
    await prompts.seed(new_release, {"answer": "v2"})
    assert await chosen(prompts) == V2.key
    await prompts.seed(old, {"answer": "v1"})
    assert await chosen(prompts) == V2.key


async def test_a_newer_release_leaves_alone_what_an_operator_chose(database: Database) -> None:
    prompts = Prompts(database, Clock())
    await prompts.seed([V1], {"answer": "v1"})
    mine = await new(prompts, tenant=EVERY_TENANT)
    await prompts.set_label(mine, PRODUCTION, tenant=EVERY_TENANT, by=ANNA)
    await prompts.seed([V1, V2], {"answer": "v2"})
    assert await chosen(prompts) == mine.key


# --- versions ----------------------------------------------------------------------------------


async def test_a_version_is_kept_as_it_was_made(prompts: Prompts) -> None:
    german = variant("Kurz.", locale="de", audience="staff")
    made = await prompts.create(
        ACME, "answer", content("Be brief.", german), rationale="wie für uns", by=ANNA
    )
    assert (made.version, made.created_by, made.rationale) == ("own-1", ANNA, "wie für uns")
    assert await prompts.get(ACME, "answer", "own-1") == made
    assert await prompts.version(ACME, made.key) == made


async def test_the_same_words_are_no_second_version(prompts: Prompts) -> None:
    first = await new(prompts)
    with pytest.raises(Conflict, match=first.key):
        await new(prompts)
    assert (await new(prompts, "Be exact.")).version == "own-2"


async def test_another_temperature_is_another_version(prompts: Prompts) -> None:
    await new(prompts)
    warmer = content(temperature=0.7)
    made = await prompts.create(ACME, "answer", warmer, rationale="", by=ANNA)
    assert made.prompt().temperature == 0.7


async def test_nobody_sees_or_gets_the_versions_of_another_tenant(prompts: Prompts) -> None:
    made = await new(prompts)
    await promote(prompts, made)
    assert await chosen(prompts, tenant=OTHER) == V2.key
    assert made not in await prompts.listed(OTHER)
    assert all(change.version != made.key for change in await prompts.changes(OTHER, "answer"))
    with pytest.raises(NotFound):
        await prompts.get(OTHER, "answer", "own-1")


async def test_a_report_may_come_later_and_changes_nothing_else(prompts: Prompts) -> None:
    made = await new(prompts)
    await prompts.note_report(made, report(answer_accuracy=0.95), ANNA)
    kept = await prompts.get(ACME, "answer", "own-1")
    assert kept.report is not None
    assert kept.report["answer_accuracy"] == 0.95
    assert replace(kept, report=None) == made


async def test_a_pinned_version_is_for_its_tenant_whatever_the_labels_say(
    prompts: Prompts,
) -> None:
    made = await new(prompts)
    book = await prompts.book({"answer": "own-1"}, pinned_of=ACME)
    for who, key in ((account(), made.key), (account(tenant=OTHER), V2.key)):
        assert book.choose("answer", who, locale="", audience="").prompt.key == key
    with pytest.raises(NotFound):
        await prompts.book({"answer": "own-7"})


# --- labels ------------------------------------------------------------------------------------


async def test_a_label_of_the_tenant_wins_over_every_tenants(prompts: Prompts) -> None:
    mine = await new(prompts)
    await promote(prompts, mine)
    await prompts.set_label(V1, PRODUCTION, tenant=EVERY_TENANT, by=ANNA)
    assert await chosen(prompts) == mine.key
    assert await chosen(prompts, tenant=OTHER) == V1.key
    labels = await prompts.labels(ACME, "answer")
    assert labels[PRODUCTION] == (ACME, mine.key)


async def test_any_label_may_be_set_and_only_production_serves(prompts: Prompts) -> None:
    made = await new(prompts)
    await prompts.set_label(made, "candidate", tenant=ACME, by=ANNA)
    assert (await prompts.labels(ACME, "answer"))["candidate"] == (ACME, made.key)
    assert await chosen(prompts) == V2.key


async def test_going_back_takes_each_promotion_back_in_turn(prompts: Prompts) -> None:
    first, second = await new(prompts, "One."), await new(prompts, "Two.")
    await promote(prompts, first)
    await promote(prompts, second)
    back = await prompts.roll_back(ACME, "answer", by=ANNA, reason="worse")
    assert (back.gone, back.now) == (second, first)
    assert await chosen(prompts) == first.key
    back = await prompts.roll_back(ACME, "answer", by=ANNA, reason="worse still")
    assert back.gone == first
    assert back.now.key == await chosen(prompts) == V2.key
    with pytest.raises(Conflict):
        await prompts.roll_back(ACME, "answer", by=ANNA, reason="further")


async def test_every_tenants_goes_back_to_what_came_before(prompts: Prompts) -> None:
    with pytest.raises(Conflict, match="nothing before"):
        await prompts.roll_back(EVERY_TENANT, "answer", by=ANNA, reason="")
    await prompts.set_label(V1, PRODUCTION, tenant=EVERY_TENANT, by=ANNA)
    await prompts.roll_back(EVERY_TENANT, "answer", by=ANNA, reason="")
    assert await chosen(prompts) == V2.key


async def test_going_back_only_from_one_version_leaves_another_alone(prompts: Prompts) -> None:
    first, second = await new(prompts, "One."), await new(prompts, "Two.")
    await promote(prompts, first)
    await promote(prompts, second)
    with pytest.raises(Conflict):
        await prompts.roll_back(ACME, "answer", by="platform", reason="", only=first.key)
    assert await chosen(prompts) == second.key


async def test_two_who_take_back_the_same_version_take_back_one(prompts: Prompts) -> None:
    first, second = await new(prompts, "One."), await new(prompts, "Two.")
    await promote(prompts, first)
    await promote(prompts, second)
    both = [
        prompts.roll_back(ACME, "answer", by="platform", reason="", only=second.key)
        for _ in range(2)
    ]
    results = await asyncio.gather(*both, return_exceptions=True)
    assert sorted(type(result).__name__ for result in results) == ["Conflict", "RolledBack"]
    assert await chosen(prompts) == first.key


async def test_every_change_says_what_who_and_why(prompts: Prompts) -> None:
    before = await prompts.revision()
    made = await new(prompts)
    await prompts.set_label(
        made, PRODUCTION, tenant=ACME, by=ANNA, reason="now", against=["recall falls"]
    )
    await prompts.roll_back(ACME, "answer", by="user:ben", reason="it lied")
    told = [
        (each.kind, each.made_by, each.reason, each.against)
        for each in await prompts.since(
            before, ChangeKind.CREATED, ChangeKind.PROMOTED, ChangeKind.ROLLED_BACK
        )
    ]
    assert told == [
        ("created", ANNA, "shorter", ()),
        ("promoted", ANNA, "now", ("recall falls",)),
        ("rolled_back", "user:ben", "it lied", ()),
    ]
    assert await prompts.revision() == before + 3


# --- rollouts ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("candidate", "budget"),
    [
        (ModelCandidate("large"), None),
        (ProfileCandidate({"candidates": 60, "rerank": False}), None),
        (ModelCandidate("large"), Micro(5_000_000)),
    ],
)
async def test_a_rollout_is_kept_as_it_was_begun(
    rollouts: Rollouts, prompts: Prompts, candidate: Candidate, budget: Micro | None
) -> None:
    plan = Plan.CANARY if budget is None else Plan.SHADOW
    begun = await rollouts.start(
        ACME, "answer", plan, candidate, share=0.05, budget=budget, by=ANNA
    )
    assert await rollouts.get(ACME, "answer", begun.id) == begun
    assert (await prompts.book()).rollouts[ACME, "answer"] == (begun,)


async def test_one_rollout_of_a_kind_runs_at_a_time(prompts: Prompts, rollouts: Rollouts) -> None:
    one, two = await new(prompts, "One."), await new(prompts, "Two.")

    async def start(candidate: Candidate, plan: Plan = Plan.CANARY) -> int:
        budget = Micro(1) if plan is Plan.SHADOW else None
        begun = await rollouts.start(
            ACME, "answer", plan, candidate, share=0.05, budget=budget, by=ANNA
        )
        return begun.id

    first = await start(PromptCandidate(one.key))
    with pytest.raises(Conflict, match=str(first)):
        await start(PromptCandidate(two.key), Plan.AB)
    await start(ModelCandidate("large"))
    await start(PromptCandidate(two.key), Plan.SHADOW)
    running = await rollouts.get(ACME, "answer", (await rollouts.running())[0].id)
    assert await rollouts.stop(running, by=ANNA, reason="enough")
    assert not await rollouts.stop(running, by=ANNA, reason="again")
    await start(PromptCandidate(two.key), Plan.AB)


async def test_going_back_and_promoting_end_the_rollouts_that_they_overtake(
    prompts: Prompts, rollouts: Rollouts
) -> None:
    one = await new(prompts, "One.")
    canary = await rollouts.start(
        ACME, "answer", Plan.CANARY, PromptCandidate(one.key), share=0.1, budget=None, by=ANNA
    )
    model = await rollouts.start(
        ACME, "answer", Plan.AB, ModelCandidate("large"), share=0.5, budget=None, by=ANNA
    )
    await promote(prompts, one)
    assert [each.id for each in await rollouts.running()] == [model.id]
    shadow = await rollouts.start(
        ACME, "answer", Plan.SHADOW, PromptCandidate(one.key), share=0.1, budget=Micro(9), by=ANNA
    )
    await prompts.roll_back(ACME, "answer", by=ANNA, reason="")
    assert [each.id for each in await rollouts.running()] == [model.id]
    ended = {each.id: each.reason for each in await rollouts.listed(ACME) if not each.runs}
    assert "promoted" in ended[canary.id] and "rolled back" in ended[shadow.id]


async def test_nobody_sees_the_rollouts_of_another_tenant(
    prompts: Prompts, rollouts: Rollouts
) -> None:
    begun = await rollouts.start(
        ACME, "answer", Plan.AB, ModelCandidate("large"), share=0.5, budget=None, by=ANNA
    )
    assert await rollouts.listed(OTHER) == []
    with pytest.raises(NotFound):
        await rollouts.get(OTHER, "answer", begun.id)
    choice = (await prompts.book()).choose("answer", account(tenant=OTHER), locale="", audience="")
    assert choice.assignments == ()
