"""What follows an answer in a long conversation: one summary, however many answers it follows."""

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from api.metrics import Metrics
from api.summaries import sum_up_later
from rag.access import Principal, PrincipalId
from rag.conversation.turns import Turn
from rag.gateway.calls import ModelCall, Restarted
from rag.protocols import Completion
from rag.summarising import Summarising
from rag.trail import Trail
from rag.types import Usage
from tests.api.platform import ACME, Site, open_site
from tests.asking import ShippedPrompts, asked, guardrails_of
from tests.rag.test_summarising import words

GIST = "The pump weighs 80 kg."
ANNA = Principal(ACME, PrincipalId("user:anna"))


@dataclass(slots=True)
class Writes:
    """A gateway to a model that begins to write when it is let."""

    begun: asyncio.Event = field(default_factory=asyncio.Event)
    may_end: asyncio.Event = field(default_factory=asyncio.Event)
    calls: list[ModelCall] = field(default_factory=list[ModelCall])

    async def stream(
        self, call: ModelCall, trail: Trail
    ) -> AsyncGenerator[str | Restarted | Completion]:
        _ = trail
        self.calls.append(call)
        self.begun.set()
        await self.may_end.wait()
        yield GIST
        yield Completion(model="cheap", usage=Usage(10, 5), finish_reason="stop")


@pytest.fixture
async def site(tmp_path: Path) -> AsyncGenerator[Site]:
    async with open_site(tmp_path) as running:
        yield running


async def test_two_answers_at_once_pay_for_one_summary(site: Site) -> None:
    writes = Writes()
    summarising = Summarising(
        gateway=writes,
        prompts=ShippedPrompts(),
        guardrails=guardrails_of(),
        count_tokens=words,
        history_tokens=60,
    )
    platform = replace(site.platform, summarising=summarising)
    kept = platform.conversations
    mine = await kept.begin(ANNA)
    at = datetime(2026, 11, 21, tzinfo=UTC)
    for number in range(1, 7):
        question = f"What is known of pump {number}?"
        turn = Turn(question=question, standalone=question, answer=f"{GIST} It is blue.", at=at)
        await kept.add(mine, ANNA, turn)
    answered = [
        replace(asked("And what else?", ANNA), conversation=mine),
        replace(asked("And how much is it?", ANNA), conversation=mine),
    ]
    for each in answered:
        sum_up_later(platform, Metrics(), each)
    await writes.begun.wait()
    for _ in range(50):  # the other one may go as far as it gets
        await asyncio.sleep(0.002)
    writes.may_end.set()
    await platform.background.idle()

    [call] = writes.calls
    assert call.request == answered[0].trail.request
    history = await kept.history(mine, ANNA)
    assert history.summary is not None and history.summary.text == GIST
