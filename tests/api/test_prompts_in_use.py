"""Prompts in processes: what one changes the others take up, and what does badly is taken back."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta

import pytest

from api.prompts import PromptsInUse, open_prompts
from api.settings_gateway import PromptSettings
from rag.access import TenantId
from rag.errors import ConfigurationError, StorageUnavailable
from rag.gateway.money import Micro
from rag.prompts.choosing import PRODUCTION, Outcome
from rag.prompts.experiments import Winner, compare
from rag.prompts.registry import load_version
from rag.prompts.rollouts import ModelCandidate, Plan, PromptCandidate, Rollout
from rag.prompts.versions import EVERY_TENANT, PromptVersion
from rag.storage.database import Database, open_database
from rag.storage.prompts.records import PLATFORM
from tests.clock import Clock
from tests.rag.prompts.values import ACME, OTHER, account, content

PATIENCE_S = 30.0
ADMIN = "user:admin"
V2 = load_version("answer", "v2")


@dataclass
class Graveyard:
    """Hears which answers are dead."""

    told: list[tuple[TenantId, tuple[str, ...]]] = field(
        default_factory=list[tuple[TenantId, tuple[str, ...]]]
    )

    async def bury(self, tenant: TenantId, ids: Sequence[str]) -> None:
        self.told.append((tenant, tuple(ids)))


@asynccontextmanager
async def process(
    database: Database, graveyard: Graveyard | None = None, **settings: object
) -> AsyncGenerator[PromptsInUse]:
    chosen = PromptSettings.model_validate(settings)
    dead = (graveyard or Graveyard()).bury
    async with open_prompts(database, chosen, tenant=ACME, dead=dead) as prompts:
        yield prompts


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def prompts(sqlite_database: Database, clock: Clock) -> AsyncGenerator[PromptsInUse]:
    """One process, whose clock stands still."""
    settings = PromptSettings()
    async with open_prompts(sqlite_database, settings, tenant=ACME, clock=clock) as opened:
        yield opened


async def promoted(prompts: PromptsInUse, words: str = "New.") -> PromptVersion:
    made = await prompts.ledger.create(ACME, "answer", content(words), rationale="", by=ADMIN)
    await prompts.ledger.set_label(made, PRODUCTION, tenant=ACME, by=ADMIN)
    await prompts.look()
    return made


async def begun(
    prompts: PromptsInUse, plan: Plan = Plan.AB, *, share: float = 0.5, budget: int | None = None
) -> tuple[Rollout, PromptVersion]:
    made = await prompts.ledger.create(ACME, "answer", content("Tried."), rationale="", by=ADMIN)
    rollout = await prompts.rollouts.start(
        ACME,
        "answer",
        plan,
        PromptCandidate(made.key),
        share=share,
        budget=None if budget is None else Micro(budget),
        by=ADMIN,
    )
    await prompts.look()
    return rollout, made


def served(prompts: PromptsInUse, tenant: TenantId = ACME) -> str:
    return prompts.choose("answer", account(tenant=tenant)).prompt.key


def asked(
    prompts: PromptsInUse,
    times: int,
    *,
    good: Callable[[str, int], bool] = lambda _key, _number: True,
) -> None:
    """Questions of many people; `good` says by the prompt's key and a number how each went."""
    for number in range(times):
        chosen = prompts.choose("answer", account(f"person{number}"))
        grounded = good(chosen.prompt.key, number)
        prompts.record(Outcome(chosen=chosen, ok=True, grounded=grounded, latency_ms=50))


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not holds():  # noqa: ASYNC110 - a book tells nobody that it was taken up
            await asyncio.sleep(0.02)


# --- processes over one database ---------------------------------------------------------------


async def test_what_is_rolled_back_in_one_process_is_gone_in_the_other(database_url: str) -> None:
    """Each process has connections of its own, and nothing but the database tells them."""
    graves = Graveyard(), Graveyard()
    async with (
        open_database(database_url) as one,
        open_database(database_url) as two,
        process(one, graves[0]) as here,
        process(two, graves[1]) as there,
    ):
        made = await promoted(here)
        assert served(here) == made.key
        await until(lambda: served(there) == made.key)
        await here.ledger.roll_back(ACME, "answer", by=ADMIN, reason="worse")
        await here.look()
        assert served(here) == V2.key
        await until(lambda: served(there) == V2.key)
        await until(lambda: all(grave.told for grave in graves))
        assert [grave.told for grave in graves] == [[(ACME, made.ids)]] * 2
        assert served(there, OTHER) == V2.key


async def test_processes_count_together(database_url: str) -> None:
    async with open_database(database_url) as one, open_database(database_url) as two:
        async with process(one) as here, process(two) as there:
            rollout, made = await begun(here)
            await there.look()
            asked(here, 30)
            asked(there, 30)
        # Both were closed: nothing that they counted is lost.
        async with process(one) as again:
            arms = await again.outcomes.of_arms(rollout.id)
            assert arms["control"].asked + arms["candidate"].asked == 60
            assert arms["candidate"].asked > 10
            of_version = await again.outcomes.of_version(
                ACME,
                "answer",
                made.key,
                since=rollout.started_at - timedelta(hours=1),
                until=rollout.started_at + timedelta(hours=1),
            )
            assert of_version.asked == 0


async def test_a_person_gets_the_same_arm_in_every_process(database_url: str) -> None:
    async with (
        open_database(database_url) as one,
        open_database(database_url) as two,
        process(one) as here,
        process(two) as there,
    ):
        await begun(here)
        await there.look()
        people = [account(f"person{number}") for number in range(50)]
        arms = [here.choose("answer", each).rollout for each in people]
        assert arms == [there.choose("answer", each).rollout for each in people]
        assert len(set(arms)) == 2


async def test_every_process_has_a_canary_of_its_own(sqlite_database: Database) -> None:
    async with process(sqlite_database) as here, process(sqlite_database) as there:
        assert here.canary != there.canary


async def test_a_pinned_version_that_is_not_there_is_told_at_the_start(
    sqlite_database: Database,
) -> None:
    with pytest.raises(ConfigurationError, match=r"prompts\.pinned"):
        async with process(sqlite_database, pinned={"answer": "own-9"}):
            pass
    async with process(sqlite_database, pinned={"answer": "v1"}) as pinned:
        assert served(pinned) == load_version("answer", "v1").key


async def test_while_the_database_is_away_questions_go_on_and_counts_wait(
    prompts: PromptsInUse, sqlite_database: Database
) -> None:
    asked(prompts, 5)
    async with sqlite_database.writing() as connection:
        await connection.exec_driver_sql("ALTER TABLE prompt_outcomes RENAME TO gone")
    with pytest.raises(StorageUnavailable):
        await prompts.write()
    asked(prompts, 5)
    async with sqlite_database.writing() as connection:
        await connection.exec_driver_sql("ALTER TABLE gone RENAME TO prompt_outcomes")
    await prompts.write()
    tally = await prompts.outcomes.of_version(
        ACME,
        "answer",
        V2.key,
        since=prompts.clock() - timedelta(hours=1),
        until=prompts.clock() + timedelta(hours=1),
    )
    assert tally.asked == 10


# --- what does badly ---------------------------------------------------------------------------


@pytest.mark.parametrize(("plan", "share"), [(Plan.AB, 0.5), (Plan.CANARY, 0.1)])
async def test_a_candidate_that_does_badly_is_ended(
    prompts: PromptsInUse, plan: Plan, share: float
) -> None:
    rollout, made = await begun(prompts, plan, share=share)
    asked(prompts, 600, good=lambda key, number: key != made.key or number % 2 == 0)
    await prompts.write()
    await prompts.judge()
    ended = await prompts.rollouts.get(ACME, "answer", rollout.id)
    assert not ended.runs
    assert ended.stopped_by == PLATFORM
    assert "unsupported answers" in ended.reason
    assert prompts.choose("answer", account()).rollout == ""


async def test_a_candidate_that_does_as_well_goes_on(prompts: PromptsInUse) -> None:
    rollout, _ = await begun(prompts)
    asked(prompts, 300, good=lambda _key, number: number % 10 > 0)
    await prompts.write()
    await prompts.judge()
    assert (await prompts.rollouts.get(ACME, "answer", rollout.id)).runs


@pytest.mark.parametrize("figure", ["errors", "unsupported answers", "slow answers"])
async def test_a_promotion_that_does_badly_is_taken_back(
    prompts: PromptsInUse, clock: Clock, figure: str
) -> None:
    asked(prompts, 200)
    clock.advance(minutes=5)
    made = await promoted(prompts)
    clock.advance(minutes=1)
    for number in range(100):
        bad = number % 3 == 0
        chosen = prompts.choose("answer", account(f"person{number}"))
        prompts.record(
            Outcome(
                chosen=chosen,
                ok=not (bad and figure == "errors"),
                grounded=not (bad and figure == "unsupported answers"),
                latency_ms=60_000 if bad and figure == "slow answers" else 50,
            )
        )
    await prompts.write()
    await prompts.judge()
    assert served(prompts) == V2.key
    [last, *_] = await prompts.ledger.changes(ACME, "answer")
    assert (last.made_by, last.before) == (PLATFORM, made.key)
    assert figure in last.reason


async def test_a_promotion_that_does_as_well_stays(prompts: PromptsInUse, clock: Clock) -> None:
    asked(prompts, 200, good=lambda _key, number: number % 10 > 0)
    clock.advance(minutes=5)
    made = await promoted(prompts)
    asked(prompts, 200, good=lambda _key, number: number % 10 > 0)
    await prompts.write()
    await prompts.judge()
    assert served(prompts) == made.key


async def test_what_was_promoted_long_ago_is_left_alone(
    prompts: PromptsInUse, clock: Clock
) -> None:
    made = await promoted(prompts)
    clock.advance(days=2)
    asked(prompts, 100, good=lambda _key, _number: False)
    await prompts.write()
    await prompts.judge()
    assert served(prompts) == made.key


async def test_what_is_shipped_is_never_taken_back_to_nothing(prompts: PromptsInUse) -> None:
    asked(prompts, 200, good=lambda _key, _number: False)
    await prompts.write()
    await prompts.judge()
    assert served(prompts) == V2.key


async def test_every_tenants_promotion_is_judged_by_all_their_questions(
    prompts: PromptsInUse,
) -> None:
    made = await prompts.ledger.create(
        EVERY_TENANT, "answer", content("All."), rationale="", by=ADMIN
    )
    await prompts.ledger.set_label(made, PRODUCTION, tenant=EVERY_TENANT, by=ADMIN)
    await prompts.look()
    for tenant in (ACME, OTHER):
        chosen = prompts.choose("answer", account(tenant=tenant))
        for _ in range(25):
            prompts.record(Outcome(chosen=chosen, ok=False, grounded=None, latency_ms=5))
    await prompts.write()
    await prompts.judge()
    assert served(prompts) == V2.key


async def test_two_processes_that_judge_at_once_take_back_one_version(
    database_url: str,
) -> None:
    async with (
        open_database(database_url) as one,
        open_database(database_url) as two,
        process(one) as here,
        process(two) as there,
    ):
        first, second = await promoted(here, "First."), await promoted(here, "Second.")
        await there.look()
        asked(here, 100, good=lambda _key, _number: False)
        await here.write()
        await asyncio.gather(here.judge(), there.judge())
        assert served(here) == served(there) == first.key != second.key


async def test_a_shadow_ends_with_its_budget(prompts: PromptsInUse) -> None:
    rollout, _ = await begun(prompts, Plan.SHADOW, share=1.0, budget=1_000)
    for cost in (600, 600):
        await prompts.write()
        await prompts.judge()
        chosen = prompts.choose("answer", account())
        assert chosen.shadow is not None
        prompts.record(
            Outcome(
                chosen=chosen, ok=True, grounded=True, latency_ms=9, cost=Micro(cost), shadow=True
            )
        )
    await prompts.write()
    await prompts.judge()
    ended = await prompts.rollouts.get(ACME, "answer", rollout.id)
    assert ended.reason == "its budget is spent"
    assert prompts.choose("answer", account()).shadow is None


async def test_a_better_arm_wins_once_its_minutes_are_over(
    prompts: PromptsInUse, clock: Clock
) -> None:
    rollout = await prompts.rollouts.start(
        ACME, "answer", Plan.AB, ModelCandidate("large"), share=0.5, budget=None, by=ADMIN
    )
    await prompts.look()
    for minute in range(30):
        for number in range(10):
            chosen = prompts.choose("answer", account(f"person{number}-{minute}"))
            good = chosen.model == "large" or number % 3 > 0
            prompts.record(Outcome(chosen=chosen, ok=True, grounded=good, latency_ms=5))
        clock.advance(minutes=1)
    await prompts.write()
    blocks = await prompts.outcomes.blocks(rollout.id, until=clock() - timedelta(minutes=1))
    assert len(blocks) == 29
    result = compare(blocks)
    assert isinstance(result, Winner)
    assert result.arm == "candidate"


async def test_old_outcomes_are_forgotten(prompts: PromptsInUse, clock: Clock) -> None:
    asked(prompts, 3)
    await prompts.write()
    clock.advance(days=91)
    await prompts.forget()
    assert await prompts.outcomes.forget(before=clock()) == 0
