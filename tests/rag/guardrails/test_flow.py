"""What follows from what checks say, and that all of it is written down."""

import asyncio
from collections.abc import AsyncGenerator

import pytest

from rag.errors import ConfigurationError
from rag.guardrails.checks import Check, Finding, Said, Scanned
from rag.guardrails.judging import Cleared, Stopped
from rag.guardrails.policy import Action, Rule, Stage
from rag.guardrails.streaming import Released
from tests.rag.guardrails.asked import (
    Blind,
    Fails,
    Forbids,
    Notes,
    Scores,
    guardrails,
    policy,
    scanned,
    told,
    trail,
)


async def test_a_finding_blocks_and_the_verdict_repeats_nothing_of_the_text() -> None:
    written = trail()
    guards = guardrails([Forbids("moonstone")], policy(input={"words": Rule()}))
    outcome = await guards.check(scanned("where is the moonstone?"), written)
    assert isinstance(outcome, Stopped) and outcome.check == "words"
    verdict = written.verdicts[0]
    assert (verdict.standing, verdict.score, verdict.kinds) == ("blocked", 1.0, ("word",))
    assert verdict.policy == guards.policy_for(written).version
    assert verdict.took_ms > 0
    assert "moonstone" not in f"{outcome} {verdict}"


async def test_what_is_to_be_masked_is_taken_out_and_the_rest_goes_on() -> None:
    guards = guardrails([Forbids("7788")], policy(input={"words": Rule(action=Action.MASK)}))
    outcome = await guards.check(scanned("pin 7788 and 7788."), trail())
    assert outcome == Cleared("pin [removed] and [removed].")


async def test_what_has_no_place_in_the_text_cannot_be_masked_and_is_blocked() -> None:
    vague = Scores(1.0, findings=(Finding("tone", 1.0),))
    guards = guardrails([vague], policy(input={"scores": Rule(action=Action.MASK)}))
    assert isinstance(await guards.check(scanned("text"), trail()), Stopped)


@pytest.mark.parametrize(
    ("score", "standing"), [(0.2, "passed"), (0.4, "flagged"), (0.6, "blocked")]
)
async def test_a_score_passes_is_flagged_or_blocks(score: float, standing: str) -> None:
    written = trail()
    guards = guardrails([Scores(score)], policy(input={"scores": Rule(flag_from=0.3)}))
    outcome = await guards.check(scanned("text"), written)
    assert told(written.verdicts) == {"scores": standing}
    assert isinstance(outcome, Stopped) == (standing == "blocked")
    if isinstance(outcome, Cleared):
        assert outcome.flagged == (("scores",) if standing == "flagged" else ())


async def test_a_kind_may_have_an_action_of_its_own() -> None:
    found = Scores(1.0, findings=(Finding("mild", 1.0),))
    rule = Rule(action=Action.BLOCK, kinds={"mild": Action.FLAG})
    written = trail()
    outcome = await guardrails([found], policy(input={"scores": rule})).check(
        scanned("text"), written
    )
    assert outcome == Cleared("text", flagged=("scores",))


@pytest.mark.parametrize(
    "check", [Fails(), Blind(), Scores(0.0, name="slow", gate=asyncio.Event())]
)
@pytest.mark.parametrize("on_error", ["open", "closed"])
async def test_a_check_that_cannot_look_never_passes(check: Check, on_error: str) -> None:
    rule = Rule(on_error="closed" if on_error == "closed" else "open", timeout_s=0.01)
    written = trail()
    guards = guardrails([check], policy(input={check.name: rule}))
    outcome = await guards.check(scanned("a secret question"), written)
    assert isinstance(outcome, Stopped) == (on_error == "closed")
    verdict = written.verdicts[0]
    assert verdict.standing == ("blocked" if on_error == "closed" else "not_run")
    assert verdict.reason
    assert "secret" not in verdict.reason


@pytest.mark.parametrize("on_error", ["open", "closed"])
async def test_an_empty_text_is_not_run_and_blocks_nothing(on_error: str) -> None:
    rule = Rule(on_error="closed" if on_error == "closed" else "open")
    written = trail()
    guards = guardrails([Scores(1.0)], policy(input={"scores": rule}))
    assert await guards.check(scanned(" \n"), written) == Cleared(" \n")
    assert told(written.verdicts) == {"scores": "not_run"}


@pytest.mark.parametrize("whole", [True, False])
async def test_a_dry_run_writes_down_what_it_would_have_done_and_does_nothing(
    *, whole: bool
) -> None:
    written = trail()
    rules = {
        "words": Rule(action=Action.MASK, dry_run=not whole),
        "scores": Rule(dry_run=not whole),
        "fails": Rule(on_error="closed", dry_run=not whole),
    }
    guards = guardrails([Forbids("7788"), Scores(1.0), Fails()], policy(input=rules, dry_run=whole))
    assert await guards.check(scanned("pin 7788"), written) == Cleared("pin 7788")
    assert told(written.verdicts) == {"words": "masked", "scores": "blocked", "fails": "blocked"}
    assert all(verdict.dry_run for verdict in written.verdicts)


async def test_a_check_that_itself_ran_out_of_time_did_not_take_too_long() -> None:
    class Unreached:
        name = "far"

        async def scan(self, scanned: Scanned) -> Said:
            raise TimeoutError(f"nobody answers for {scanned.text}")

    written = trail()
    await guardrails([Unreached()], policy(input={"far": Rule()})).check(scanned("text"), written)
    assert written.verdicts[0].reason == "it failed (TimeoutError)"


async def test_a_policy_that_names_a_check_that_is_not_there_is_no_policy() -> None:
    with pytest.raises(ConfigurationError, match="no check is called words"):
        guardrails([Scores(0)], policy(output={"words": Rule()}))


# --- beside other work -------------------------------------------------------------------------


async def test_work_is_given_up_when_a_check_fires_though_another_still_looks() -> None:
    never, given_up = asyncio.Event(), asyncio.Event()

    async def work() -> str:
        try:
            await never.wait()
        finally:
            given_up.set()
        return "found"

    written = trail()
    rules = {"words": Rule(), "slow": Rule(timeout_s=60)}
    guards = guardrails([Forbids("bad"), Scores(0, "slow", never)], policy(input=rules))
    async with guards.watching(scanned("bad"), written) as watch:
        stopped = await watch.unless_stopped(work())
        assert isinstance(stopped, Stopped)
        assert given_up.is_set()
        assert await watch.verdict() == stopped
    assert told(written.verdicts) == {"words": "blocked", "slow": "not_run"}


async def test_work_goes_on_while_checks_look_and_the_verdict_waits_for_all() -> None:
    gate = asyncio.Event()

    async def work() -> str:
        gate.set()
        return "found"

    written = trail()
    guards = guardrails([Scores(0.1, gate=gate)], policy(input={"scores": Rule()}))
    async with guards.watching(scanned("text"), written) as watch:
        assert await watch.unless_stopped(work()) == "found"
        assert await watch.verdict() == Cleared("text")
        assert not watch.blocked.done()
    assert told(written.verdicts) == {"scores": "passed"}


async def test_an_error_of_the_work_is_the_works_own() -> None:
    async def work() -> str:
        raise LookupError("not there")

    guards = guardrails([Scores(0.1)], policy(input={"scores": Rule()}))
    async with guards.watching(scanned("text"), trail()) as watch:
        with pytest.raises(LookupError):
            await watch.unless_stopped(work())


async def test_pieces_end_where_a_check_fires_and_their_source_is_closed() -> None:
    gate, closed = asyncio.Event(), asyncio.Event()

    async def pieces() -> AsyncGenerator[str]:
        try:
            yield "one"
            gate.set()
            await asyncio.Event().wait()
        finally:
            closed.set()

    guards = guardrails([Scores(1.0, gate=gate)], policy(input={"scores": Rule()}))
    async with (
        guards.watching(scanned("text"), trail()) as watch,
        watch.begun(pieces()) as watched,
    ):
        got = [piece async for piece in watched]
    assert got[0] == "one" and isinstance(got[1], Stopped) and len(got) == 2
    assert closed.is_set()


async def test_what_a_check_stops_at_once_is_not_even_begun() -> None:
    begun: list[str] = []

    async def work() -> str:
        begun.append("work")
        return "found"

    async def pieces() -> AsyncGenerator[str]:
        begun.append("pieces")
        yield "one"

    written, never = trail(), asyncio.Event()
    rules = {"words": Rule(), "slow": Rule(timeout_s=60)}
    guards = guardrails(
        [Forbids("bad", at_once=True), Scores(0, "slow", never)], policy(input=rules)
    )
    async with (
        guards.watching(scanned("bad"), written) as watch,
        watch.begun(pieces()) as watched,
    ):
        stopped = await watch.unless_stopped(work())
        assert isinstance(stopped, Stopped)
        assert [piece async for piece in watched] == [stopped]
        assert watch.blocked.result() == stopped
    assert begun == []
    assert told(written.verdicts) == {"words": "blocked", "slow": "not_run"}


async def test_checks_that_answer_at_once_let_work_through_without_a_task() -> None:
    tasks: list[asyncio.Task[object] | None] = []

    async def work() -> str:
        tasks.append(asyncio.current_task())
        return "found"

    guards = guardrails([Forbids("bad", at_once=True)], policy(input={"words": Rule()}))
    async with guards.watching(scanned("text"), trail()) as watch:
        assert await watch.unless_stopped(work()) == "found"
        assert await watch.verdict() == Cleared("text")
    assert tasks == [asyncio.current_task()]


async def test_an_output_that_nobody_sees_before_its_end_is_checked_once() -> None:
    notes, written = Notes(), trail()
    guards = guardrails([notes], policy(output={"notes": Rule(stage=Stage.PIECE)}))
    async with guards.output(scanned(direction="output"), written, in_pieces=False) as output:
        assert await output.push("One. ") == []
        assert await output.push("Two.") == []
        assert await output.end() == [Released("One. Two.")]
    assert notes.seen == ["One. Two."]


async def test_a_request_that_ends_early_leaves_no_check_behind_and_no_pass() -> None:
    before = asyncio.all_tasks()
    written = trail()
    guards = guardrails(
        [Scores(0, gate=asyncio.Event())], policy(input={"scores": Rule(on_error="closed")})
    )
    async with guards.watching(scanned("text"), written):
        await asyncio.sleep(0)
    assert told(written.verdicts) == {"scores": "not_run"}
    assert asyncio.all_tasks() == before
