"""After an answer: the older turns of its conversation are summed up, for the questions to come."""

import logging
from dataclasses import dataclass
from typing import assert_never

from api.auditing import redacted
from api.metrics import Metrics
from api.platform import Platform
from rag.asking import Ask
from rag.audit import event_of
from rag.conversation.turns import ConversationId, Summary
from rag.errors import NotFound
from rag.storage.conversations import MOST_TURNS
from rag.summarising import LeftOut, NotDue, Summarising
from rag.trail import RequestId, Trail, UseCase

log = logging.getLogger(__name__)

_ID_LENGTH = 56
"""What is left of a request's id, so that it can be told apart and still be stored."""


def sum_up_later(platform: Platform, metrics: Metrics, asked: Ask) -> None:
    """Where a model is there that writes, and the conversation has become long enough. Nobody waits
    for it; what is left undone is done after a later answer."""
    if asked.conversation is None or platform.summarising is None:
        return
    work = _Work(platform, metrics, platform.summarising)
    platform.background(work.sum_up(asked.conversation, asked))


@dataclass(frozen=True, slots=True)
class _Work:
    platform: Platform
    metrics: Metrics
    summarising: Summarising

    async def sum_up(self, conversation: ConversationId, asked: Ask) -> None:
        """Make a summary if one is due, keep it, and tell the audit of it. After one that another
        answer began: of what that tells none is due any more."""
        async with self.platform.summing_up.of(conversation):
            await self._sum_up(conversation, asked)

    async def _sum_up(self, conversation: ConversationId, asked: Ask) -> None:
        history = await self.platform.conversations.history(
            conversation, asked.principal, latest=MOST_TURNS
        )
        trail = Trail(
            request=RequestId(f"{asked.trail.request[:_ID_LENGTH]}-summary"),
            after=asked.trail.request,
            account=asked.trail.account,
            use_case=UseCase.SUMMARISE,
            endpoint="summary",
            on_behalf_of=asked.trail.on_behalf_of,
        )
        decision, text = "broken_off", ""
        try:
            made = await self.summarising.summarised(history, trail)
            match made:
                case NotDue():
                    decision = ""
                case LeftOut():
                    decision = f"left_out:{made.why}"
                    log.info("older turns were not summed up", extra={"cause": made.why})
                case Summary():
                    decision, text = await self._kept(conversation, asked, made)
                case _:
                    assert_never(made)
        finally:
            if decision:
                await self._tell(trail, decision, text)

    async def _tell(self, trail: Trail, decision: str, text: str) -> None:
        """The log of routes, the metrics and the audit. In the ledger of usage its calls stand
        already; nobody asked for it, so it counts as no request there."""
        self.platform.route_recorder.record(trail, None, quality="fast")
        self.metrics.trail(trail)
        event = event_of(trail, action=trail.use_case.value, decision=decision, answer=text)
        await self.platform.audit.record(event)

    async def _kept(
        self, conversation: ConversationId, asked: Ask, made: Summary
    ) -> tuple[str, str]:
        """How it ended, and the text that is kept."""
        kept = Summary(redacted(made.text), made.through)
        try:
            await self.platform.conversations.sum_up(conversation, asked.principal, kept)
        except NotFound:
            return "left_out:forgotten", ""
        return "done", kept.text
