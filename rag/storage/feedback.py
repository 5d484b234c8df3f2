"""What people said about an answer."""

import uuid
from datetime import UTC, datetime
from enum import StrEnum

from sqlalchemy import insert
from sqlalchemy.exc import IntegrityError

from rag.access import Principal
from rag.errors import NotFound
from rag.storage.database import Database
from rag.storage.tables import FeedbackRow


class Rating(StrEnum):
    UP = "up"
    DOWN = "down"
    REGENERATE = "regenerate"
    """They asked for another answer."""
    CORRECTION = "correction"
    """They wrote what it should have said."""


class Feedback:
    """Errors: `StorageUnavailable`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def record(
        self,
        principal: Principal,
        *,
        trace_id: str,
        rating: Rating,
        comment: str | None,
        prompt: str | None = None,
    ) -> str:
        """Keep it, and return its id; `prompt` made the answer, where that is known.

        Raises `NotFound` where there is no such tenant.
        """
        feedback = uuid.uuid4().hex
        row = insert(FeedbackRow).values(
            id=feedback,
            tenant=principal.tenant,
            trace_id=trace_id,
            principal=principal.id,
            rating=rating.value,
            comment=comment,
            prompt=prompt,
            created_at=datetime.now(UTC),
        )
        try:
            async with self._database.writing() as connection:
                await connection.execute(row)
        except IntegrityError as error:
            raise NotFound("there is no such tenant") from error
        return feedback
