"""Rollouts in the ledger: begun, listed, and ended by somebody or by what they showed."""

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, func, insert, select, update

from rag.access import TenantId
from rag.errors import Conflict, NotFound
from rag.gateway.money import Micro
from rag.prompts.rollouts import (
    Candidate,
    Plan,
    PromptCandidate,
    Rollout,
    RolloutId,
    candidate_of,
    lane_of,
    told_of,
)
from rag.prompts.versions import EVERY_TENANT, VersionKey
from rag.storage.database import Database
from rag.storage.moments import now
from rag.storage.prompts.changes import lock_prompts, note_change
from rag.storage.prompts.records import ChangeKind, rollout_of
from rag.storage.tables import PromptRolloutRow


@dataclass(frozen=True, slots=True)
class Rollouts:
    """Errors: `StorageUnavailable`."""

    database: Database
    clock: Callable[[], datetime] = now

    async def running(self) -> list[Rollout]:
        statement = select(PromptRolloutRow).where(PromptRolloutRow.stopped_at.is_(None))
        rows = await self.database.rows(statement.order_by(PromptRolloutRow.id))
        return [rollout_of(row) for row in rows]

    async def listed(self, tenant: TenantId, name: str | None = None) -> list[Rollout]:
        """The tenant's and every tenant's, the last one first."""
        statement = select(PromptRolloutRow).where(
            PromptRolloutRow.tenant.in_((tenant, EVERY_TENANT))
        )
        if name is not None:
            statement = statement.where(PromptRolloutRow.name == name)
        rows = await self.database.rows(statement.order_by(PromptRolloutRow.id.desc()))
        return [rollout_of(row) for row in rows]

    async def get(self, tenant: TenantId, name: str, rollout: RolloutId) -> Rollout:
        """Raises `NotFound`, also for another tenant's."""
        for each in await self.listed(tenant, name):
            if each.id == rollout:
                return each
        raise NotFound("there is no such rollout")

    async def start(
        self,
        tenant: TenantId,
        name: str,
        plan: Plan,
        candidate: Candidate,
        *,
        share: float,
        budget: Micro | None,
        by: str,
    ) -> Rollout:
        """Raises `Conflict` while another runs that it would get in the way of. Whether it is one
        that may be begun is `check_rollout`'s to say."""
        lane = lane_of(plan, candidate)

        def work(connection: Connection) -> Rollout:
            lock_prompts(connection)
            taken = connection.execute(
                select(PromptRolloutRow.id).where(
                    PromptRolloutRow.tenant == tenant,
                    PromptRolloutRow.name == name,
                    PromptRolloutRow.lane == lane,
                    PromptRolloutRow.stopped_at.is_(None),
                )
            ).scalar()
            if taken is not None:
                raise Conflict(f"rollout {taken} runs: stop it first")
            newest = connection.execute(select(func.max(PromptRolloutRow.id))).scalar_one()
            rollout = Rollout(
                id=RolloutId((newest or 0) + 1),
                tenant=tenant,
                name=name,
                plan=plan,
                candidate=candidate,
                share=share,
                salt=secrets.token_hex(16),
                budget=budget,
                started_at=self.clock(),
                started_by=by,
            )
            connection.execute(
                insert(PromptRolloutRow),
                {
                    "id": rollout.id,
                    "tenant": tenant,
                    "name": name,
                    "plan": plan.value,
                    "lane": lane,
                    "candidate": told_of(candidate),
                    "share": share,
                    "salt": rollout.salt,
                    "budget": budget,
                    "started_at": rollout.started_at,
                    "started_by": by,
                    "stopped_at": None,
                    "stopped_by": "",
                    "reason": "",
                },
            )
            note_change(
                connection,
                ChangeKind.STARTED,
                tenant=tenant,
                name=name,
                version=_version_tried(candidate),
                reason=f"rollout {rollout.id}: {plan}",
                moment=rollout.started_at,
                by=by,
            )
            return rollout

        return await self.database.write(work)

    async def stop(self, rollout: Rollout, *, by: str, reason: str) -> bool:
        """Whether it ran until now. Everyone gets what the control arm got."""

        def work(connection: Connection) -> bool:
            lock_prompts(connection)
            return _stop(connection, rollout, moment=self.clock(), by=by, reason=reason)

        return await self.database.write(work)


def stop_those(
    connection: Connection,
    tenant: TenantId,
    name: str,
    *,
    moment: datetime,
    by: str,
    reason: str,
    trying: VersionKey | None = None,
) -> None:
    """End the tenant's rollouts that try the version `trying`; without one, that of a prompt that
    runs on people. The transaction holds the lock."""
    rows = connection.execute(
        select(PromptRolloutRow).where(
            PromptRolloutRow.tenant == tenant,
            PromptRolloutRow.name == name,
            PromptRolloutRow.stopped_at.is_(None),
        )
    ).all()
    for row in rows:
        version = _version_tried(candidate_of(row.candidate))
        if version == trying if trying is not None else row.lane == "prompt":
            _stop(connection, rollout_of(row), moment=moment, by=by, reason=reason)


def _stop(
    connection: Connection, rollout: Rollout, *, moment: datetime, by: str, reason: str
) -> bool:
    statement = (
        update(PromptRolloutRow)
        .where(PromptRolloutRow.id == rollout.id, PromptRolloutRow.stopped_at.is_(None))
        .values(stopped_at=moment, stopped_by=by, reason=reason)
    )
    if connection.execute(statement).rowcount == 0:
        return False
    note_change(
        connection,
        ChangeKind.STOPPED,
        tenant=rollout.tenant,
        name=rollout.name,
        version=_version_tried(rollout.candidate),
        reason=f"rollout {rollout.id}: {reason}",
        moment=moment,
        by=by,
    )
    return True


def _version_tried(candidate: Candidate) -> VersionKey | None:
    return candidate.version if isinstance(candidate, PromptCandidate) else None
