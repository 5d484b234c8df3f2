"""Health checks: what the last ones found, whatever becomes of one of them."""

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field

import pytest

from rag.gateway.health import Health, check_all, checking_health
from rag.gateway.patience import Patience
from rag.protocols import Completion, ModelPrompt
from rag.types import Usage


@dataclass
class Told:
    """An upstream whose health is what the test says; None: its check fails in its own way."""

    alive: bool | None = True
    asked: int = 0
    asked_thrice: asyncio.Event = field(default_factory=asyncio.Event)

    async def stream(
        self, prompt: ModelPrompt, patience: Patience | None = None
    ) -> AsyncGenerator[str | Completion]:
        _ = prompt, patience
        yield Completion(model="m", usage=Usage(), finish_reason="stop")

    async def is_alive(self, *, within_s: float) -> bool:
        _ = within_s
        self.asked += 1
        if self.asked == 3:
            self.asked_thrice.set()
        if self.alive is None:
            raise RuntimeError("nobody thought of this")
        return self.alive

    async def aclose(self) -> None:
        pass


async def test_a_deployment_is_down_after_two_checks_in_a_row_and_up_after_one() -> None:
    health, upstream = Health(), Told(alive=False)
    await check_all(health, {"one": upstream}, within_s=1.0)
    assert not health.is_down("one")
    await check_all(health, {"one": upstream}, within_s=1.0)
    assert health.is_down("one")
    upstream.alive = True
    await check_all(health, {"one": upstream}, within_s=1.0)
    assert not health.is_down("one")


async def test_a_check_that_breaks_counts_as_failed_and_ends_no_others(
    caplog: pytest.LogCaptureFixture,
) -> None:
    health, broken, well = Health(), Told(alive=None), Told()
    async with checking_health(health, {"broken": broken, "well": well}, every_s=0.001):
        await asyncio.wait_for(broken.asked_thrice.wait(), 60)
        await asyncio.wait_for(well.asked_thrice.wait(), 60)
    assert health.is_down("broken") and not health.is_down("well")
    assert "broken" in caplog.text
