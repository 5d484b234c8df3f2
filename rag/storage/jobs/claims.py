"""Claiming: which of the queued jobs begin now, in one short transaction.

It looks at the head of each source's line alone, so 100,000 jobs of one source cost what three do.
Claims take turns (on PostgreSQL by an advisory lock): the limits of the sources and the shares of
all of them are counted by one claimer at a time.
"""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Executable,
    bindparam,
    exists,
    func,
    select,
    text,
    update,
)
from sqlalchemy.orm import aliased

from rag.access import TenantId
from rag.storage.database import Dialect, insert_for
from rag.storage.jobs.fairness import Flow, Share, ShareKey, Turns
from rag.storage.jobs.records import Job, JobId, JobState, Urgency, urgency_of
from rag.storage.jobs.rows import COLUMNS, job_of
from rag.storage.sources.records import SourceState
from rag.storage.tables import JobRow, QueueShareRow, SourceRow
from rag.types import SourceId

WOKEN_AT_ONCE = 500
"""Jobs whose time has come that one claim puts back into line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """Who wants how many jobs, and until when they are leased."""

    owner: str
    number: int
    moment: datetime
    leased_until: datetime
    tenant_weights: Mapping[TenantId, float]


def claim_jobs(connection: Connection, dialect: Dialect, claim: Claim) -> list[Job]:
    """The jobs that are begun, the first in line first."""
    if dialect == "postgresql":
        connection.execute(_ONE_CLAIMER)
    connection.execute(_WAKE, {"moment": claim.moment})
    lines = _lines(connection, claim.number)
    if not lines:
        return []
    # Whoever is alone is served uncounted: there is nobody to be fair to.
    counted = len(lines) > 1
    turns = Turns(_shares(connection) if counted else {}, claim.tenant_weights)
    before = dict(turns.shares)
    chosen = _choose(connection, lines, turns, claim.number)
    if not chosen:
        return []
    taken = {
        "chosen": chosen,
        "leased_to": claim.owner,
        "leased_until": claim.leased_until,
        "moment": claim.moment,
    }
    begun = {row.id: job_of(row) for row in connection.execute(_TAKE, taken)}
    if counted:
        changed = [key for key, share in turns.shares.items() if before.get(key) != share]
        rows = [_row_of(key, turns.shares[key]) for key in changed]
        connection.execute(_keep_shares(dialect), rows)
    return [begun[job] for job in chosen]


@dataclass(slots=True)
class _Line:
    """The queued jobs of a source, of which the first may be begun."""

    flow: Flow
    room: int
    """How many more of it may run, as far as this claim is concerned."""
    jobs: deque[tuple[JobId, Urgency]] | None = None
    """The first of them, once they were looked at."""


def _lines(connection: Connection, number: int) -> dict[SourceId, _Line]:
    lines: dict[SourceId, _Line] = {}
    for row in connection.execute(_HEADS):
        room = number if row.max_running is None else min(number, row.max_running - row.running)
        if row.head is not None and room > 0:
            source = SourceId(row.id)
            flow = Flow(urgency_of(row.head), TenantId(row.tenant), source, row.weight)
            lines[source] = _Line(flow, room)
    return lines


def _choose(
    connection: Connection, lines: dict[SourceId, _Line], turns: Turns, number: int
) -> list[JobId]:
    chosen: list[JobId] = []
    while lines and len(chosen) < number:
        flow = turns.next_of(line.flow for line in lines.values())
        line = lines[flow.source]
        if line.jobs is None:
            asked = {"source": flow.source, "room": line.room}
            rows = connection.execute(_FIRST_IN_LINE, asked)
            line.jobs = deque((JobId(row.id), urgency_of(row.priority)) for row in rows)
        if not line.jobs:
            del lines[flow.source]
            continue
        job, urgency = line.jobs[0]
        if urgency is not flow.urgency:  # the next job of the source is of another class
            line.flow = replace(flow, urgency=urgency)
            continue
        line.jobs.popleft()
        turns.serve(flow)
        chosen.append(job)
    return chosen


# --- shares as rows ------------------------------------------------------------------------------


def _shares(connection: Connection) -> dict[ShareKey, Share]:
    return {
        (
            Urgency(row.urgency),
            TenantId(row.tenant) if row.tenant else None,
            SourceId(row.source) if row.source else None,
        ): Share(row.finish, row.clock)
        for row in connection.execute(_SHARES)
    }


def _row_of(key: ShareKey, share: Share) -> dict[str, Any]:
    urgency, tenant, source = key
    return {
        "urgency": int(urgency),
        "tenant": tenant or "",
        "source": source or "",
        "finish": share.finish,
        "clock": share.clock,
    }


# --- statements, built once: building one costs more than asking it -------------------------------

# Any number that nobody else locks: it stands for "claiming jobs".
_ONE_CLAIMER = text("SELECT pg_advisory_xact_lock(72616701)")

_queued, _running, _same, _waiting = (
    aliased(JobRow, name=name) for name in ("queued", "running", "same", "waiting")
)
# Written out, not bound: only then does a database see that its partial index holds the answer.
_IS_QUEUED = text("queued.state = 'queued'")
_IS_RUNNING = text("running.state = 'running'")


_NOBODY_IS_AT_IT: ColumnElement[bool] = ~exists().where(
    _same.source == _queued.source,
    _same.subject == _queued.subject,
    text("same.state = 'running'"),
)


_HEADS = select(
    SourceRow.id,
    SourceRow.tenant,
    SourceRow.weight,
    SourceRow.max_running,
    select(func.count())
    .select_from(_running)
    .where(_running.source == SourceRow.id, _IS_RUNNING)
    .scalar_subquery()
    .label("running"),
    select(_queued.priority)
    .where(_queued.source == SourceRow.id, _IS_QUEUED, _NOBODY_IS_AT_IT)
    .order_by(_queued.priority, _queued.created_at)
    .limit(1)
    .scalar_subquery()
    .label("head"),
).where(SourceRow.state != SourceState.PAUSED.value)

_FIRST_IN_LINE = (
    select(_queued.id, _queued.priority)
    .where(_queued.source == bindparam("source"), _IS_QUEUED, _NOBODY_IS_AT_IT)
    .order_by(_queued.priority, _queued.created_at)
    .limit(bindparam("room"))
    # What somebody is just replacing is left for the next claim.
    .with_for_update(of=_queued, skip_locked=True)
)

_TAKE = (
    update(JobRow)
    .where(JobRow.id.in_(bindparam("chosen", expanding=True)))
    .values(
        state=JobState.RUNNING.value,
        attempts=JobRow.attempts + 1,
        lease_owner=bindparam("leased_to"),
        lease_until=bindparam("leased_until"),
        started_at=bindparam("moment"),
        since=bindparam("moment"),
        heartbeat_at=bindparam("moment"),
    )
    .returning(*COLUMNS)
)

_WAKE = (
    update(JobRow)
    .where(
        JobRow.id.in_(
            select(_waiting.id)
            .where(text("waiting.state = 'waiting'"), _waiting.not_before <= bindparam("moment"))
            .order_by(_waiting.not_before)
            .limit(WOKEN_AT_ONCE)
            .with_for_update(of=_waiting, skip_locked=True)
        )
    )
    .values(state=JobState.QUEUED.value, since=bindparam("moment"))
)

_SHARES = select(
    QueueShareRow.urgency,
    QueueShareRow.tenant,
    QueueShareRow.source,
    QueueShareRow.finish,
    QueueShareRow.clock,
)


@cache
def _keep_shares(dialect: Dialect) -> Executable:
    new = insert_for(dialect, QueueShareRow)
    return new.on_conflict_do_update(
        index_elements=["urgency", "tenant", "source"],
        set_={"finish": new.excluded.finish, "clock": new.excluded.clock},
    )
