"""The ledger of prompts as it is read: what there is, what serves, and what was changed."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Select, func, select

from rag.access import TenantId
from rag.errors import NotFound
from rag.prompts.choosing import PRODUCTION, PromptBook
from rag.prompts.rollouts import PromptCandidate, Rollout
from rag.prompts.versions import EVERY_TENANT, PromptVersion, VersionKey
from rag.storage.database import Database
from rag.storage.moments import now
from rag.storage.prompts.labels import seen_by
from rag.storage.prompts.records import Change, ChangeKind, change_of, rollout_of, version_of
from rag.storage.tables import PromptChangeRow, PromptLabelRow, PromptRolloutRow, PromptVersionRow

_NEWEST_CHANGES = 50


@dataclass(frozen=True, slots=True)
class PromptReads:
    """Errors: `StorageUnavailable`."""

    database: Database
    clock: Callable[[], datetime] = now

    async def revision(self) -> int:
        """The number of the last change; 0 where there was none."""
        [row] = await self.database.rows(select(func.max(PromptChangeRow.revision)))
        return row[0] or 0

    async def book(
        self, pinned: Mapping[str, str] | None = None, *, pinned_of: TenantId = EVERY_TENANT
    ) -> PromptBook:
        """What serves now. `pinned` names versions, of `pinned_of` or of every tenant, that this
        process uses whatever the labels say.

        Raises `NotFound` where there is no such version.
        """
        revision = await self.revision()
        labels = await self.database.rows(
            select(PromptLabelRow).where(PromptLabelRow.label == PRODUCTION)
        )
        running = select(PromptRolloutRow).where(PromptRolloutRow.stopped_at.is_(None))
        rollouts = [
            rollout_of(row)
            for row in await self.database.rows(running.order_by(PromptRolloutRow.id))
        ]
        tried = [
            each.candidate.version
            for each in rollouts
            if isinstance(each.candidate, PromptCandidate)
        ]
        keys = {*tried, *(row.version for row in labels)}
        rows = await self.database.rows(
            select(PromptVersionRow).where(PromptVersionRow.key.in_(keys))
        )
        versions = [version_of(row) for row in rows]
        by_name: dict[tuple[TenantId, str], tuple[Rollout, ...]] = {}
        for each in rollouts:
            by_name[each.tenant, each.name] = (*by_name.get((each.tenant, each.name), ()), each)
        return PromptBook(
            revision=revision,
            versions={(each.tenant, each.key): each for each in versions},
            production={
                (TenantId(row.tenant), row.name): VersionKey(row.version) for row in labels
            },
            rollouts=by_name,
            pinned={
                name: await self.get(pinned_of, name, version)
                for name, version in (pinned or {}).items()
            },
        )

    async def listed(self, tenant: TenantId, name: str | None = None) -> list[PromptVersion]:
        """The tenant's and every tenant's, oldest first."""
        statement = select(PromptVersionRow).where(seen_by(tenant))
        if name is not None:
            statement = statement.where(PromptVersionRow.name == name)
        ordered = statement.order_by(
            PromptVersionRow.name, PromptVersionRow.created_at, PromptVersionRow.key
        )
        return [version_of(row) for row in await self.database.rows(ordered)]

    async def get(self, tenant: TenantId, name: str, version: str) -> PromptVersion:
        """By its version, such as `v2`, or with its content, `v2@0f3c9a71`; of several that an edit
        of a shipped file left, the newest. Raises `NotFound`."""
        for each in reversed(await self.listed(tenant, name)):
            if version in {each.version, each.key.partition("/")[2]}:
                return each
        raise NotFound(f"there is no prompt {name}/{version}")

    async def labels(self, tenant: TenantId, name: str) -> dict[str, tuple[TenantId, VersionKey]]:
        """What each label names for the tenant, and whose label it is."""
        rows = await self.database.rows(
            select(PromptLabelRow).where(
                PromptLabelRow.name == name, PromptLabelRow.tenant.in_((EVERY_TENANT, tenant))
            )
        )
        # Every tenant's first: the tenant's own take their place.
        ordered = sorted(rows, key=lambda row: row.tenant != EVERY_TENANT)
        return {row.label: (TenantId(row.tenant), VersionKey(row.version)) for row in ordered}

    async def changes(self, tenant: TenantId, name: str) -> list[Change]:
        """The newest, the last one first: the tenant's and every tenant's."""
        statement = (
            select(PromptChangeRow)
            .where(PromptChangeRow.name == name, PromptChangeRow.tenant.in_((EVERY_TENANT, tenant)))
            .order_by(PromptChangeRow.revision.desc())
            .limit(_NEWEST_CHANGES)
        )
        return [change_of(row) for row in await self.database.rows(statement)]

    async def since(self, revision: int, *kinds: ChangeKind) -> list[Change]:
        """Changes after that number, of every tenant, in order."""
        statement = select(PromptChangeRow).where(PromptChangeRow.revision > revision)
        rows = await self.database.rows(_of_kinds(statement, kinds))
        return [change_of(row) for row in rows]

    async def made_after(self, moment: datetime, *kinds: ChangeKind) -> list[Change]:
        """Changes since then, of every tenant, in order."""
        statement = select(PromptChangeRow).where(PromptChangeRow.made_at > moment)
        rows = await self.database.rows(_of_kinds(statement, kinds))
        return [change_of(row) for row in rows]

    async def version(self, tenant: TenantId, key: VersionKey) -> PromptVersion:
        """The tenant's own, or every tenant's. Raises `NotFound`."""
        name, _, version = key.partition("/")
        return await self.get(tenant, name, version)


def _of_kinds(
    statement: Select[PromptChangeRow], kinds: Collection[ChangeKind]
) -> Select[PromptChangeRow]:
    return statement.where(PromptChangeRow.kind.in_([kind.value for kind in kinds])).order_by(
        PromptChangeRow.revision
    )
