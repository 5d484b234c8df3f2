"""Prompts in this process: chosen from memory, kept up to date, watched, and taken back."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from api.prompt_watch import PromptWatch
from api.settings_gateway import PromptSettings
from rag.access import TenantId
from rag.errors import ConfigurationError, Error, NotFound
from rag.prompts.choosing import Chosen, Outcome, PromptBook, shipped_book
from rag.prompts.counting import Counts
from rag.prompts.registry import SHIPPED, new_canary, shipped_versions
from rag.storage.database import Database
from rag.storage.moments import now
from rag.storage.prompts.ledger import Prompts
from rag.storage.prompts.outcomes import Outcomes
from rag.storage.prompts.records import ChangeKind
from rag.storage.prompts.rollouts import Rollouts
from rag.trail import Account

log = logging.getLogger(__name__)

_LOOKED_EVERY_S = 0.5
"""After so long at most, every process asks whether anything was changed."""
_WRITTEN_EVERY_S = 1.0
_JUDGED_EVERY_S = 10.0
_FORGOTTEN_EVERY_S = 3_600.0

Dead = Callable[[TenantId, Sequence[str]], Awaitable[None]]
"""Told whose label (empty: every tenant's) left a version by a rollback, and the `Prompt.id`s of
that version: what was answered with them is dead."""


async def tell_nobody(_tenant: TenantId, _ids: Sequence[str]) -> None:
    """Where no answers are kept."""


@dataclass(slots=True, kw_only=True)
class PromptsInUse:
    """`PromptChoice` by the ledger. Made by `open_prompts`."""

    ledger: Prompts
    rollouts: Rollouts
    outcomes: Outcomes
    settings: PromptSettings
    tenant: TenantId
    """Whose versions may be pinned, besides every tenant's."""
    dead: Dead = tell_nobody
    clock: Callable[[], datetime] = now
    canary: str = field(default_factory=new_canary)
    book: PromptBook = field(default_factory=shipped_book)
    counts: Counts = field(default_factory=Counts)
    writing: asyncio.Lock = field(default_factory=asyncio.Lock, init=False)
    """Held while counts are on their way to the ledger."""
    _looking: asyncio.Lock = field(default_factory=asyncio.Lock, init=False)

    # --- for each question ----------------------------------------------------------------------

    def choose(
        self, name: str, account: Account, *, locale: str = "", audience: str = ""
    ) -> Chosen:
        """As `PromptChoice` says."""
        return self.book.choose(name, account, locale=locale, audience=audience)

    def record(self, outcome: Outcome) -> None:
        """As `PromptChoice` says. A process that is killed loses what it counted in the last
        second or so."""
        self.counts.add(outcome, moment=self.clock(), slow_ms=self.settings.slow_ms)

    # --- meanwhile ------------------------------------------------------------------------------

    async def load(self) -> None:
        """Make sure of what is shipped, and take up what serves.

        Raises `ConfigurationError` where a pinned version is not there, and `StorageUnavailable`.
        """
        await self.ledger.seed(shipped_versions(), SHIPPED)
        try:
            self.book = await self._book()
        except NotFound as error:
            raise ConfigurationError(f"prompts.pinned: {error}") from error

    async def look(self) -> None:
        """Take up at once what the ledger says now, instead of within a second, and say which
        answers are dead."""
        async with self._looking:
            known = self.book.revision
            if await self.ledger.revision() == known:
                return
            # First the book: until it is taken up, questions would make more answers to forget.
            self.book = await self._book()
            for change in await self.ledger.since(known, ChangeKind.ROLLED_BACK):
                if change.before is not None:
                    gone = await self.ledger.version(change.tenant, change.before)
                    await self.dead(change.tenant, gone.ids)

    async def write(self) -> None:
        """Give the ledger what was counted."""
        async with self.writing:
            taken = self.counts.take()
            try:
                await self.outcomes.add(taken)
            except Error:
                self.counts.give_back(taken)
                raise
            if dropped := self.counts.dropped:
                self.counts.dropped = 0
                log.warning("%s outcomes of prompts were not counted: there were too many", dropped)

    async def judge(self) -> None:
        """End rollouts and take back promotions that do badly."""
        settings = self.settings
        watch = PromptWatch(
            ledger=self.ledger,
            rollouts=self.rollouts,
            outcomes=self.outcomes,
            limits=settings.limits,
            window=timedelta(minutes=settings.window_minutes),
            after_promotion=timedelta(minutes=settings.watched_minutes),
            clock=self.clock,
        )
        for ended in await watch.judge():
            log.warning("%s", ended)
        await self.look()

    async def forget(self) -> None:
        """Drop outcomes that are older than anybody asks for."""
        await self.outcomes.forget(before=self.clock() - timedelta(days=self.settings.kept_days))

    async def _book(self) -> PromptBook:
        return await self.ledger.book(self.settings.pinned, pinned_of=self.tenant)


def prompts_of(
    database: Database,
    settings: PromptSettings,
    *,
    tenant: TenantId,
    dead: Dead = tell_nobody,
    clock: Callable[[], datetime] = now,
) -> PromptsInUse:
    """What comes with the platform, until it is told to `load` or `look`."""
    return PromptsInUse(
        ledger=Prompts(database, clock),
        rollouts=Rollouts(database, clock),
        outcomes=Outcomes(database),
        settings=settings,
        tenant=tenant,
        dead=dead,
        clock=clock,
    )


@asynccontextmanager
async def open_prompts(
    database: Database,
    settings: PromptSettings,
    *,
    tenant: TenantId,
    dead: Dead = tell_nobody,
    clock: Callable[[], datetime] = now,
) -> AsyncGenerator[PromptsInUse]:
    """What the ledger says, and what it comes to say; what was counted is written at the end.

    Errors: those of `PromptsInUse.load`.
    """
    prompts = prompts_of(database, settings, tenant=tenant, dead=dead, clock=clock)
    await prompts.load()
    kept = (
        (prompts.look, _LOOKED_EVERY_S),
        (prompts.write, _WRITTEN_EVERY_S),
        (prompts.judge, _JUDGED_EVERY_S),
        (prompts.forget, _FORGOTTEN_EVERY_S),
    )
    tasks = {asyncio.create_task(_keep(work, every_s=every_s)) for work, every_s in kept}
    try:
        yield prompts
    finally:
        async with prompts.writing:
            for task in tasks:
                task.cancel()
        await asyncio.wait(tasks)
        try:
            await prompts.write()
        except Error as error:
            log.warning("the last outcomes of prompts are lost: %s", error)


async def _keep(work: Callable[[], Awaitable[None]], *, every_s: float) -> None:
    """Until it is cancelled. What serves goes on serving where the ledger does not answer."""
    while True:
        await asyncio.sleep(every_s)
        try:
            await work()
        except Error as error:
            log.warning("prompts cannot be kept up to date: %s", error)
