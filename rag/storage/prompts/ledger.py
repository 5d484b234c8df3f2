"""The ledger of prompts: versions that never change, and the labels that choose among them.

A version or a label is a tenant's own, or every tenant's (`EVERY_TENANT`). Each change is one
transaction and has a number; a process that knows the highest number knows what serves.
How it is read stands in `rag.storage.prompts.reads`; here it is written.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, func, select, update

from rag.access import TenantId
from rag.errors import Conflict
from rag.prompts.choosing import PRODUCTION
from rag.prompts.versions import EVERY_TENANT, Content, PromptVersion, VersionKey
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
from rag.storage.prompts.reads import PromptReads
from rag.storage.prompts.records import ChangeKind, RolledBack
from rag.storage.prompts.rollouts import stop_those
from rag.storage.tables import PromptVersionRow

_SHIPPED = "shipped"


@dataclass(frozen=True, slots=True)
class Prompts(PromptReads):
    """Errors: `StorageUnavailable`."""

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
