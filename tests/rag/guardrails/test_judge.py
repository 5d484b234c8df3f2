"""A model's opinion, and what becomes of it where it is none."""

from collections.abc import AsyncGenerator
from dataclasses import dataclass, field

import pytest

from rag.errors import ModelUnavailable
from rag.gateway.calls import ModelCall, Restarted
from rag.guardrails.checks import NotRun, Report, Scanned
from rag.guardrails.judge import ModelJudge
from rag.protocols import Completion
from rag.trail import Account, Trail
from rag.types import Usage
from tests.rag.guardrails.asked import scanned, trail


@dataclass(slots=True)
class Says:
    """A gateway whose model says the same to everybody."""

    pieces: tuple[str | Restarted, ...]
    error: Exception | None = None
    calls: list[ModelCall] = field(default_factory=list[ModelCall])

    async def stream(
        self, call: ModelCall, trail: Trail
    ) -> AsyncGenerator[str | Restarted | Completion]:
        _ = trail
        self.calls.append(call)
        for piece in self.pieces:
            yield piece
        if self.error is not None:
            raise self.error
        yield Completion(model="judge", usage=Usage(), finish_reason="stop")


def account_of(scanned: Scanned) -> Account:
    _ = scanned
    return trail().account


def judge(*pieces: str | Restarted, error: Exception | None = None) -> tuple[ModelJudge, Says]:
    gateway = Says(pieces, error)
    return ModelJudge(gateway=gateway, account_of=account_of), gateway


@pytest.mark.parametrize(("said", "score"), [("true", 1.0), ("false", 0.0)])
async def test_what_the_model_says_is_the_report(said: str, score: float) -> None:
    check, _ = judge('{"attack": not', Restarted("gap"), '{"attack": ', said + "}")
    report = await check.scan(scanned("text"))
    assert isinstance(report, Report) and report.score == score


@pytest.mark.parametrize("said", ["", "yes", "[]", '{"attack": "maybe"}', "null"])
async def test_what_cannot_be_read_is_not_run(said: str) -> None:
    check, _ = judge(said)
    assert isinstance(await check.scan(scanned("text")), NotRun)


async def test_a_model_that_is_not_there_is_not_run() -> None:
    check, _ = judge(error=ModelUnavailable("no model answers"))
    assert isinstance(await check.scan(scanned("text")), NotRun)


async def test_the_text_stands_between_marks_that_it_cannot_know() -> None:
    check, gateway = judge('{"attack": false}')
    await check.scan(scanned("first"))
    await check.scan(scanned("second"))
    marks = [call.prompt.messages[1].content.split("\n")[0] for call in gateway.calls]
    assert marks[0] != marks[1]
    for call, mark in zip(gateway.calls, marks, strict=True):
        assert mark in call.prompt.messages[0].content
        assert call.prompt.messages[1].content.endswith(mark)
