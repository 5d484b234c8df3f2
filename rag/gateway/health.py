"""Active health checks: deployments are asked in the background whether they answer at all.

One that does not is called last of its model's deployments. It is never left out: whether calls
reach it is for the circuit breaker to say, which learns from the calls themselves.
"""

import asyncio
import logging
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from rag.gateway.upstreams import Upstream

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Health:
    """What the last checks found. A deployment that was never checked is well."""

    failures_until_down: int = 2
    """Checks in a row; one may be lost on the way."""
    _failures: dict[str, int] = field(default_factory=dict[str, int])

    def is_down(self, deployment: str) -> bool:
        return self._failures.get(deployment, 0) >= self.failures_until_down

    def note(self, deployment: str, *, alive: bool) -> None:
        was_down = self.is_down(deployment)
        self._failures[deployment] = 0 if alive else self._failures.get(deployment, 0) + 1
        if self.is_down(deployment) and not was_down:
            log.warning("%s does not answer health checks", deployment)
        if was_down and alive:
            log.warning("%s answers health checks again", deployment)


async def check_all(health: Health, upstreams: Mapping[str, Upstream], *, within_s: float) -> None:
    """Ask every deployment once, all at the same time."""

    async def check(name: str, upstream: Upstream) -> None:
        try:
            alive = await upstream.is_alive(within_s=within_s)
        except Exception:
            # The checks of all the others go on, and so does the next round.
            log.exception("the health check of %s failed", name)
            alive = False
        health.note(name, alive=alive)

    await asyncio.gather(*(check(name, upstream) for name, upstream in upstreams.items()))


@asynccontextmanager
async def checking_health(
    health: Health, upstreams: Mapping[str, Upstream], *, every_s: float, within_s: float = 5.0
) -> AsyncGenerator[None]:
    """Deployments are checked every so often while the block runs."""

    async def keep_checking() -> None:
        while True:
            await check_all(health, upstreams, within_s=within_s)
            await asyncio.sleep(every_s)

    task = asyncio.create_task(keep_checking(), name="health checks")
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
