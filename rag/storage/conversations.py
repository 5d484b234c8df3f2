"""Conversations in the ledger: each is its owner's, and is forgotten some time after it was last used."""

import secrets
from collections.abc import Callable
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, delete, insert, select, update

from rag.access import Principal
from rag.conversation.turns import ConversationId, History, Summary, Turn
from rag.errors import NotFound
from rag.storage.database import Database, insert_into
from rag.storage.moments import now
from rag.storage.tables import ConversationRow, SummaryRow, TurnRow

_ID_BYTES = 16
MOST_TURNS = 200
"""The latest of a conversation that are kept."""


class Conversations:
    """Errors: `StorageUnavailable`, and `NotFound` alike for a conversation that is not there and
    for somebody else's."""

    def __init__(
        self, database: Database, *, kept_for: timedelta, clock: Callable[[], datetime] = now
    ) -> None:
        self._database = database
        self._kept_for = kept_for
        self._clock = clock

    async def begin(self, owner: Principal) -> ConversationId:
        """A new conversation of `owner`, with an id that nobody guesses."""
        conversation = ConversationId(secrets.token_hex(_ID_BYTES))
        moment = self._clock()
        row = insert(ConversationRow).values(
            id=conversation,
            tenant=owner.tenant,
            owner=owner.id,
            turns=0,
            began_at=moment,
            used_at=moment,
        )
        async with self._database.writing() as connection:
            await connection.execute(row)
        return conversation

    async def turns(
        self, conversation: ConversationId, owner: Principal, *, latest: int = 20
    ) -> tuple[Turn, ...]:
        """The latest turns, oldest first."""
        return (await self.history(conversation, owner, latest=latest)).turns

    async def history(
        self, conversation: ConversationId, owner: Principal, *, latest: int = 20
    ) -> History:
        """The latest turns, and the summary of older ones where there is one."""
        wanted = (
            select(TurnRow)
            .where(TurnRow.conversation == conversation)
            .order_by(TurnRow.ordinal.desc())
            .limit(latest)
        )
        of_older = select(SummaryRow.text, SummaryRow.through).where(
            SummaryRow.conversation == conversation
        )
        async with self._database.reading() as connection:
            if (
                await connection.execute(
                    select(ConversationRow.id).where(*self._is_mine(conversation, owner))
                )
            ).first() is None:
                raise NotFound("there is no such conversation")
            rows = (await connection.execute(wanted)).all()
            told = (await connection.execute(of_older)).first()
        turns = tuple(
            Turn(
                question=row.question, standalone=row.standalone, answer=row.answer, at=row.asked_at
            )
            for row in reversed(rows)
        )
        return History(
            turns=turns,
            first=rows[-1].ordinal if rows else 1,
            summary=None if told is None else Summary(told.text, told.through),
        )

    async def sum_up(
        self, conversation: ConversationId, owner: Principal, summary: Summary
    ) -> None:
        """Keep `summary` in place of one that tells of less; of one that tells of as much, not.

        It is kept for as long as the conversation, and does not count as using it.
        """
        mine = select(ConversationRow.id).where(*self._is_mine(conversation, owner))
        row = insert_into(self._database, SummaryRow).values(
            conversation=conversation,
            through=summary.through,
            text=summary.text,
            made_at=self._clock(),
        )
        newer = row.on_conflict_do_update(
            index_elements=[SummaryRow.conversation],
            set_={
                "through": row.excluded.through,
                "text": row.excluded.text,
                "made_at": row.excluded.made_at,
            },
            where=SummaryRow.through < row.excluded.through,
        )
        async with self._database.writing() as connection:
            # Held, so that nobody forgets the conversation before its summary is there to go too.
            if (await connection.execute(mine.with_for_update())).first() is None:
                raise NotFound("there is no such conversation")
            await connection.execute(newer)

    async def add(self, conversation: ConversationId, owner: Principal, turn: Turn) -> None:
        """Keep `turn` as the latest; what is beyond `MOST_TURNS` is forgotten."""
        async with self._database.writing() as connection:
            counted = await connection.execute(
                update(ConversationRow)
                .where(*self._is_mine(conversation, owner))
                .values(turns=ConversationRow.turns + 1, used_at=self._clock())
                .returning(ConversationRow.turns)
            )
            ordinal = counted.scalar_one_or_none()
            if ordinal is None:
                raise NotFound("there is no such conversation")
            await connection.execute(
                insert(TurnRow).values(
                    conversation=conversation,
                    ordinal=ordinal,
                    question=turn.question,
                    standalone=turn.standalone,
                    answer=turn.answer,
                    asked_at=turn.at,
                )
            )
            await connection.execute(
                delete(TurnRow).where(
                    TurnRow.conversation == conversation, TurnRow.ordinal <= ordinal - MOST_TURNS
                )
            )

    async def forget(self, conversation: ConversationId, owner: Principal) -> None:
        """Delete it with all its turns."""
        async with self._database.writing() as connection:
            gone = await connection.execute(
                delete(ConversationRow).where(*self._is_mine(conversation, owner))
            )
            if not gone.rowcount:
                raise NotFound("there is no such conversation")

    async def forget_all_of(self, owner: Principal) -> int:
        """Delete everything that `owner` ever asked here, and say how many conversations it was."""
        async with self._database.writing() as connection:
            gone = await connection.execute(
                delete(ConversationRow).where(
                    ConversationRow.tenant == owner.tenant, ConversationRow.owner == owner.id
                )
            )
        return gone.rowcount

    async def forget_unused(self) -> int:
        """Delete what was not used for as long as conversations are kept; run it now and then."""
        async with self._database.writing() as connection:
            gone = await connection.execute(
                delete(ConversationRow).where(
                    ConversationRow.used_at < self._clock() - self._kept_for
                )
            )
        return gone.rowcount

    def _is_mine(
        self, conversation: ConversationId, owner: Principal
    ) -> tuple[ColumnElement[bool], ...]:
        return (
            ConversationRow.id == conversation,
            ConversationRow.tenant == owner.tenant,
            ConversationRow.owner == owner.id,
            ConversationRow.used_at >= self._clock() - self._kept_for,
        )
