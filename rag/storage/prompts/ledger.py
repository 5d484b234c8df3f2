"""The ledger of prompts: versions that never change, and the labels that choose among them.

A version or a label is a tenant's own, or every tenant's (`EVERY_TENANT`). Each change is one
transaction and has a number; a process that knows the highest number knows what serves.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Select, func, select, update

from rag.access import TenantId
from rag.errors import Conflict, NotFound
from rag.prompts.choosing import PRODUCTION, PromptBook
from rag.prompts.rollouts import PromptCandidate, Rollout
from rag.prompts.versions import (
    EVERY_TENANT,
    Content,
    PromptVersion,
    VersionKey,
)
from rag.storage.database import Database
from rag.storage.moments import now
from rag.storage.prompts.changes import lock_prompts, note_change
from rag.storage.prompts.labels import (
    changed_by,
    insert_version,
    label_before,
    label_of,
    put_label,
    seen_by,
    version_named,
    write_label,
)
from rag.storage.prompts.records import (
    Change,
    ChangeKind,
    RolledBack,
    change_of,
    rollout_of,
    version_of,
)
from rag.storage.prompts.rollouts import stop_those
from rag.storage.tables import (
    PromptChangeRow,
    PromptLabelRow,
    PromptRolloutRow,
    PromptVersionRow,
)

_SHIPPED = "shipped"
_NEWEST_CHANGES = 50


@dataclass(frozen=True, slots=True)
class Prompts:
    """Errors: `StorageUnavailable`."""

    database: Database
    clock: Callable[[], datetime] = now

    # --- what there is --------------------------------------------------------------------------

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

    # --- what is done ---------------------------------------------------------------------------

    async def seed(self, shipped: Sequence[PromptVersion], production: Mapping[str, str]) -> None:
        """Every tenant's versions, as they come with the platform; those that `production` names
        serve, unless an operator chose otherwise. Doing it again changes nothing."""
        rows = await self.database.rows(
            select(PromptVersionRow.key).where(PromptVersionRow.tenant == EVERY_TENANT)
        )
        known = {row.key for row in rows}
        if all(each.key in known for each in shipped):
            return

        def work(connection: Connection) -> None:
            lock_prompts(connection)
            for each in shipped:
                if not insert_version(connection, each, moment=self.clock()):
                    continue
                self._note(connection, ChangeKind.CREATED, each, by=_SHIPPED)
                # A version that was known before is left alone: this may be an old process.
                if production.get(each.name) == each.version:
                    label = label_of(connection, EVERY_TENANT, each.name, PRODUCTION)
                    if label is None or changed_by(connection, label.revision) == _SHIPPED:
                        put_label(
                            connection,
                            each,
                            PRODUCTION,
                            tenant=EVERY_TENANT,
                            moment=self.clock(),
                            by=_SHIPPED,
                        )

        await self.database.write(work)

    async def create(
        self, tenant: TenantId, name: str, content: Content, *, rationale: str, by: str
    ) -> PromptVersion:
        """A new version of the tenant's, or of every tenant. Raises `Conflict` where the same
        content is a version already. Whether it may be kept is `check_draft`'s to say."""
        prefix = "all" if tenant == EVERY_TENANT else "own"

        def work(connection: Connection) -> PromptVersion:
            lock_prompts(connection)
            same = select(PromptVersionRow.key).where(
                PromptVersionRow.name == name,
                PromptVersionRow.digest == content.digest,
                seen_by(tenant),
            )
            if existing := connection.execute(same).scalars().first():
                raise Conflict(f"this is {existing} word for word")
            like = select(func.count()).where(
                PromptVersionRow.name == name,
                PromptVersionRow.tenant == tenant,
                PromptVersionRow.created_by != _SHIPPED,
            )
            number = connection.execute(like).scalar_one() + 1
            made = PromptVersion(
                name=name,
                version=f"{prefix}-{number}",
                content=content,
                tenant=tenant,
                rationale=rationale,
                created_at=self.clock(),
                created_by=by,
            )
            insert_version(connection, made, moment=self.clock())
            self._note(connection, ChangeKind.CREATED, made, by=by, reason=rationale)
            return made

        return await self.database.write(work)

    async def note_report(self, version: PromptVersion, report: Mapping[str, Any], by: str) -> None:
        """What an evaluation with this version found."""

        def work(connection: Connection) -> None:
            lock_prompts(connection)
            connection.execute(
                update(PromptVersionRow)
                .where(
                    PromptVersionRow.tenant == version.tenant, PromptVersionRow.key == version.key
                )
                .values(report=dict(report))
            )
            self._note(connection, ChangeKind.REPORTED, version, by=by)

        await self.database.write(work)

    async def set_label(
        self,
        version: PromptVersion,
        label: str,
        *,
        tenant: TenantId,
        by: str,
        reason: str = "",
        against: Sequence[str] = (),
    ) -> None:
        """`label` names `version` for `tenant` from now on. A promotion to production ends the
        rollout of a prompt that ran beside it. Whether the gate is open is the caller's to know."""

        def work(connection: Connection) -> None:
            lock_prompts(connection)
            put_label(
                connection,
                version,
                label,
                tenant=tenant,
                moment=self.clock(),
                by=by,
                reason=reason,
                against=against,
            )
            if label == PRODUCTION:
                why = f"{version.key} was promoted"
                stop_those(connection, tenant, version.name, moment=self.clock(), by=by, reason=why)

        await self.database.write(work)

    async def roll_back(
        self,
        tenant: TenantId,
        name: str,
        *,
        by: str,
        reason: str,
        label: str = PRODUCTION,
        only: VersionKey | None = None,
    ) -> RolledBack:
        """`label` names again what it named before its present version was promoted, and rollouts
        that try the present version end. `only` says which version is meant: another is left alone.

        Raises `Conflict` where there is nothing to go back to, or `only` is not what it names.
        """

        def work(connection: Connection) -> RolledBack:
            lock_prompts(connection)
            now_named = label_of(connection, tenant, name, label)
            if now_named is None:
                raise Conflict(f"{name} has no label {label} of its own here")
            if only is not None and now_named.version != only:
                raise Conflict(f"{label} names {now_named.version} and not {only}")
            gone = VersionKey(now_named.version)
            before = label_before(connection, tenant, name, label, gone)
            if before is None and tenant == EVERY_TENANT:
                raise Conflict(f"there is nothing before {gone}")
            back = before or _of_every_tenant(connection, name, label)
            note_change(
                connection,
                ChangeKind.ROLLED_BACK,
                tenant=tenant,
                name=name,
                label=label,
                version=before,
                before=gone,
                reason=reason,
                moment=self.clock(),
                by=by,
            )
            write_label(connection, tenant, name, label, before)
            stop_those(
                connection,
                tenant,
                name,
                moment=self.clock(),
                by=by,
                reason=f"{gone} was rolled back",
                trying=gone,
            )
            return RolledBack(
                gone=version_named(connection, tenant, gone),
                now=version_named(connection, tenant, back),
            )

        return await self.database.write(work)

    def _note(
        self,
        connection: Connection,
        kind: ChangeKind,
        version: PromptVersion,
        *,
        by: str,
        reason: str = "",
    ) -> None:
        note_change(
            connection,
            kind,
            tenant=version.tenant,
            name=version.name,
            version=version.key,
            reason=reason,
            moment=self.clock(),
            by=by,
        )


def _of_every_tenant(connection: Connection, name: str, label: str) -> VersionKey:
    default = label_of(connection, EVERY_TENANT, name, label)
    if default is None:
        raise Conflict(f"there is no {label} of {name} to go back to")
    return VersionKey(default.version)


def _of_kinds(
    statement: Select[PromptChangeRow], kinds: Collection[ChangeKind]
) -> Select[PromptChangeRow]:
    return statement.where(PromptChangeRow.kind.in_([kind.value for kind in kinds])).order_by(
        PromptChangeRow.revision
    )
