"""How deep the queue is, for whoever decides how many workers there should be."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select

from rag.storage.database import Database
from rag.storage.jobs.records import JobState, Urgency, urgency_of
from rag.storage.sources.records import SourceState
from rag.storage.tables import JobRow, SourceRow, UtcDateTime

_LIVE = (JobState.QUEUED.value, JobState.WAITING.value, JobState.RUNNING.value)


@dataclass(frozen=True, slots=True, kw_only=True)
class Depth:
    """The jobs of a state and an urgency."""

    state: JobState
    urgency: Urgency
    paused: bool
    """Their source is: no number of workers would begin them."""
    jobs: int
    oldest: datetime
    """When the first of them came into that state."""


async def queue_depth(database: Database) -> list[Depth]:
    """Of all tenants, what is not over. Errors: `StorageUnavailable`."""
    paused = JobRow.source.in_(
        select(SourceRow.id).where(SourceRow.state == SourceState.PAUSED.value)
    ).label("paused")
    statement = (
        select(
            JobRow.state,
            JobRow.priority,
            paused,
            func.count().label("jobs"),
            func.min(JobRow.since, type_=UtcDateTime).label("oldest"),
        )
        .where(JobRow.state.in_(_LIVE))
        .group_by(JobRow.state, JobRow.priority, paused)
    )
    return [
        Depth(
            state=JobState(row.state),
            urgency=urgency_of(row.priority),
            paused=bool(row.paused),
            jobs=row.jobs,
            oldest=row.oldest,
        )
        for row in await database.rows(statement)
    ]
