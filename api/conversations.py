"""Conversations of a process: each answer is kept in the one it was asked in, for a time."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from datetime import datetime, timedelta

from api.auditing import redacted
from api.settings_gateway import ConversationSettings
from rag.access import Principal
from rag.asking import Ask
from rag.conversation.turns import ConversationId, History, Turn
from rag.errors import Error, NotFound
from rag.storage.conversations import Conversations
from rag.storage.database import Database
from rag.storage.moments import now
from rag.types import Answer, Refusal, RefusalReason

log = logging.getLogger(__name__)

NEW = "new"
_FORGET_EVERY_S = 3_600.0


@asynccontextmanager
async def open_conversations(
    settings: ConversationSettings, database: Database
) -> AsyncGenerator[Conversations]:
    """The conversations; in the background, those that nobody uses any more are forgotten."""
    conversations = build_conversations(settings, database)
    upkeep = asyncio.create_task(_forget_unused(conversations))
    try:
        yield conversations
    finally:
        upkeep.cancel()
        await asyncio.gather(upkeep, return_exceptions=True)


def build_conversations(
    settings: ConversationSettings, database: Database, clock: Callable[[], datetime] = now
) -> Conversations:
    return Conversations(database, kept_for=timedelta(days=settings.kept_days), clock=clock)


async def joined(
    conversations: Conversations, wanted: str | None, owner: Principal
) -> tuple[ConversationId | None, History]:
    """The conversation that a question is asked in, and what was said there; none where none is
    wanted.

    Errors: `NotFound` for somebody else's as for one that is not there, `StorageUnavailable`.
    """
    if wanted is None:
        return None, History()
    if wanted == NEW:
        return await conversations.begin(owner), History()
    conversation = ConversationId(wanted)
    return conversation, await conversations.history(conversation, owner)


async def keep_turn(conversations: Conversations, asked: Ask, outcome: Answer | Refusal) -> None:
    """Add what was asked and answered to its conversation, if it stands in one.

    Personal data and secrets are left out of the texts. A blocked question is not kept: with the
    next one it would reach a model after all. Errors: `StorageUnavailable`.
    """
    if asked.conversation is None:
        return
    if isinstance(outcome, Refusal) and outcome.reason is RefusalReason.BLOCKED:
        return
    turn = Turn(
        question=redacted(asked.question),
        standalone=redacted(asked.trail.searched or asked.question),
        answer=redacted(outcome.text) if isinstance(outcome, Answer) else "",
        at=asked.trail.started_at,
    )
    try:
        await conversations.add(asked.conversation, asked.principal, turn)
    except NotFound:
        log.info("a conversation was forgotten while a question of it was answered")


async def _forget_unused(conversations: Conversations) -> None:
    while True:
        try:
            await conversations.forget_unused()
        except Error as error:
            # It is tried again at the next round; what is due cannot be read meanwhile.
            log.warning("conversations' upkeep failed", extra={"cause": type(error).__name__})
        await asyncio.sleep(_FORGET_EVERY_S)
