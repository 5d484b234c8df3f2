"""Calls that no budget has room for."""

from collections.abc import AsyncGenerator
from dataclasses import dataclass, field, replace

import pytest

from rag.errors import OverBudget, PolicyForbids
from rag.gateway.calls import ModelCall, Restarted
from rag.gateway.when_spent import QuotingWhenSpent
from rag.protocols import Completion
from rag.trail import Trail
from rag.types import Usage
from tests.gateways import a_call, a_trail, received
from tests.routes import evidence

WITH_EVIDENCE = replace(a_call(), prompt=replace(a_call().prompt, evidence=evidence()))


@dataclass(slots=True)
class Broke:
    """A gateway that has no money, and quotes if it may."""

    money: bool = False
    quotes: bool = True
    calls: list[ModelCall] = field(default_factory=list[ModelCall])

    async def stream(
        self, call: ModelCall, trail: Trail
    ) -> AsyncGenerator[str | Restarted | Completion]:
        _ = trail
        self.calls.append(call)
        if not (self.money or call.unpaid):
            raise OverBudget("this request may not spend so much", retry_after_s=60)
        if call.unpaid and not self.quotes:
            raise PolicyForbids("no model is left that may be asked")
        yield "“Quoted.”" if call.unpaid else "Written."
        yield Completion(model="m", usage=Usage(), finish_reason="stop")


async def test_what_was_found_is_quoted_and_the_trail_says_why() -> None:
    trail, broke = a_trail(), Broke()
    answer = await received(QuotingWhenSpent(broke), WITH_EVIDENCE, trail)
    assert answer.text == "“Quoted.”"
    assert trail.budget_spent
    assert [call.unpaid for call in broke.calls] == [False, True]


async def test_while_there_is_money_nothing_is_different() -> None:
    trail, rich = a_trail(), Broke(money=True)
    answer = await received(QuotingWhenSpent(rich), WITH_EVIDENCE, trail)
    assert answer.text == "Written."
    assert not trail.budget_spent
    assert len(rich.calls) == 1


async def test_with_nothing_to_quote_the_budget_is_said_to_be_spent() -> None:
    for broke, call in ((Broke(), a_call()), (Broke(quotes=False), WITH_EVIDENCE)):
        with pytest.raises(OverBudget) as caught:
            await received(QuotingWhenSpent(broke), call)
        assert caught.value.retry_after_s == 60
