"""A model's opinion, and what becomes of it where it is none."""

from collections.abc import AsyncGenerator
from dataclasses import dataclass, field, replace

import pytest

from rag.errors import ModelUnavailable
from rag.gateway.allowance import at_most
from rag.gateway.budgets import Level
from rag.gateway.calls import ModelCall, Restarted
from rag.guardrails.checks import NotRun, Report, Scanned
from rag.guardrails.judge import ModelJudge
from rag.guardrails.policy import Rule
from rag.protocols import Completion
from rag.storage.database import Database
from rag.trail import RequestId, Trail
from rag.types import Usage
from tests.accounting import DEAR, DEAREST, Bench, attempt
from tests.budgets import ACME
from tests.rag.guardrails.asked import guardrails, policy, scanned, told, trail


@dataclass(slots=True)
class Says:
    """A gateway whose model says the same to everybody."""

    pieces: tuple[str | Restarted, ...]
    error: Exception | None = None
    calls: list[ModelCall] = field(default_factory=list[ModelCall])
    trails: list[Trail] = field(default_factory=list[Trail])

    async def stream(
        self, call: ModelCall, trail: Trail
    ) -> AsyncGenerator[str | Restarted | Completion]:
        self.calls.append(call)
        self.trails.append(trail)
        for piece in self.pieces:
            yield piece
        if self.error is not None:
            raise self.error
        yield Completion(model="judge", usage=Usage(), finish_reason="stop")


def asked_about(text: str) -> Scanned:
    return replace(scanned(text), trail=trail())


def judge(*pieces: str | Restarted, error: Exception | None = None) -> tuple[ModelJudge, Says]:
    gateway = Says(pieces, error)
    return ModelJudge(gateway=gateway), gateway


@pytest.mark.parametrize(("said", "score"), [("true", 1.0), ("false", 0.0)])
async def test_what_the_model_says_is_the_report(said: str, score: float) -> None:
    check, _ = judge('{"attack": not', Restarted("gap"), '{"attack": ', said + "}")
    report = await check.scan(asked_about("text"))
    assert isinstance(report, Report) and report.score == score


@pytest.mark.parametrize("said", ["", "yes", "[]", '{"attack": "maybe"}', "null"])
async def test_what_cannot_be_read_is_not_run(said: str) -> None:
    check, _ = judge(said)
    assert isinstance(await check.scan(asked_about("text")), NotRun)


async def test_a_model_that_is_not_there_is_not_run() -> None:
    check, _ = judge(error=ModelUnavailable("no model answers"))
    assert isinstance(await check.scan(asked_about("text")), NotRun)


async def test_the_text_stands_between_marks_that_it_cannot_know() -> None:
    check, gateway = judge('{"attack": false}')
    await check.scan(asked_about("first"))
    await check.scan(asked_about("second"))
    marks = [call.prompt.messages[1].content.split("\n")[0] for call in gateway.calls]
    assert marks[0] != marks[1]
    for call, mark in zip(gateway.calls, marks, strict=True):
        assert mark in call.prompt.messages[0].content
        assert call.prompt.messages[1].content.endswith(mark)


async def test_what_belongs_to_no_request_is_not_judged() -> None:
    check, gateway = judge('{"attack": false}')
    assert isinstance(await check.scan(scanned("text")), NotRun)
    assert gateway.calls == []


async def test_it_is_asked_for_the_request_that_the_text_belongs_to() -> None:
    check, gateway = judge('{"attack": false}')
    rails = guardrails([check], policy(input={"judge": Rule()}))
    mine, behind = trail(), replace(trail(), request=RequestId("r1-summary"), after=RequestId("r1"))
    await rails.check(scanned("text"), mine)
    async with rails.watching(scanned("text"), behind) as watch:
        await watch.verdict()
    assert [call.request for call in gateway.calls] == ["r1", "r1"]
    assert {call.account for call in gateway.calls} == {mine.account}
    assert [id(each) for each in gateway.trails] == [id(mine), id(behind)]
    assert told(mine.verdicts) == told(behind.verdicts) == {"judge": "passed"}


async def test_a_budget_of_each_request_holds_for_its_judging_too(
    sqlite_database: Database,
) -> None:
    bench = Bench(sqlite_database)
    check = ModelJudge(gateway=bench.gateway)
    about = replace(scanned("How deep is the sea?"), tenant=ACME)
    await check.scan(replace(about, trail=bench.trail()))
    [judging] = bench.inner.calls
    # Room for judging alone, not for judging after anything else.
    room = at_most(judging.prompt, DEAR).money
    limit = await bench.allow(money=max(room, DEAREST.money), level=Level.REQUEST)
    spent = max(room, DEAREST.money) - room + 1
    bench.inner.attempts = (attempt(spent),)

    request = bench.trail()
    await bench.ask(trail=request)
    said = await check.scan(replace(about, trail=request))
    assert said == NotRun("no model could be asked (OverBudget)")
    assert (await bench.standing(limit))[0].money == request.cost == spent

    another = replace(bench.trail(), request=RequestId("request-2"))
    await check.scan(replace(about, trail=another))
    assert another.cost == spent, "what judging costs stands on the request's own trail"
