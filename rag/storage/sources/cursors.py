"""How far a source's own word on its changes was followed: cursors, and which to go on from."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, select, update

from rag.access import TenantId
from rag.storage.tables import SourceRow
from rag.types import DocumentId, SourceId


@dataclass(frozen=True, slots=True)
class Followed:
    """A cursor of the source, and when it was handed out."""

    cursor: str
    at: datetime
    ended: bool
    """Whether the run that got so far came to its end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncState:
    followed: tuple[Followed, ...]
    """The latest last."""
    reconciled_at: datetime | None
    rechecked_to: DocumentId | None
    held_back: int

    def resumed_from(self, *, overlap: timedelta) -> str | None:
        """The cursor to go on from: that of a run that was cut short, or else the latest one that
        is older than the last by `overlap`, so that what came late to the feed is met once more."""
        if not self.followed:
            return None
        last = self.followed[-1]
        if not last.ended:
            return last.cursor
        old = [each for each in self.followed if each.ended and last.at - each.at >= overlap]
        return (old or self.followed)[-1 if old else 0].cursor


def follow(
    connection: Connection,
    tenant: TenantId,
    source: SourceId,
    change: Callable[[list[Followed]], list[Followed]],
    **values: Any,
) -> None:
    is_it = (SourceRow.id == source, SourceRow.tenant == tenant)
    before = connection.execute(select(SourceRow.cursors).where(*is_it).with_for_update())
    followed = [followed_of(each) for each in before.scalar_one()]
    after = [
        {"cursor": each.cursor, "at": each.at.isoformat(), "ended": each.ended}
        for each in change(followed)
    ]
    connection.execute(update(SourceRow).where(*is_it).values(cursors=after, **values))


def followed_of(value: Any) -> Followed:
    return Followed(value["cursor"], datetime.fromisoformat(value["at"]), value["ended"])


def ended_ones(followed: Iterable[Followed]) -> list[Followed]:
    return [each for each in followed if each.ended]


def needed(followed: Sequence[Followed], overlap: timedelta) -> list[Followed]:
    """The last cursor, those within `overlap` before it, and the one before them."""
    if not followed:
        return []
    last = followed[-1].at
    young = [each for each in followed if last - each.at < overlap]
    old = [each for each in followed if last - each.at >= overlap]
    return [*old[-1:], *young]
