"""Reading the audit, with what is sealed opened for as long as its key is there."""

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select

from rag.access import PrincipalId, TenantId
from rag.audit import AuditEntry
from rag.storage.audit.ledger import Audit
from rag.storage.tables import AuditEntryRow, AuditPersonRow
from rag.trail import RequestId

ERASED = "(erased)"
"""What stands for a person whose key was destroyed, and for what they wrote."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """An entry as an auditor reads it."""

    entry: AuditEntry
    principal: str
    question: str
    answer: str
    body: dict[str, Any]
    """The entry's JSON, sealed as it is stored."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditQuery:
    tenant: TenantId
    principal: PrincipalId | None = None
    trace: RequestId | None = None
    action: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    before: int | None = None
    """Only entries with a smaller sequence: the next page."""
    sequences: Collection[int] | None = None
    """Only these."""
    limit: int = 100


async def entries_of(audit: Audit, query: AuditQuery) -> list[Opened]:
    """The newest first. Errors: `StorageUnavailable`."""
    rows = AuditEntryRow
    wanted = select(
        rows.tenant, rows.sequence, rows.at, rows.previous, rows.hash, rows.body, rows.pseudonym
    ).where(rows.tenant == query.tenant)
    if query.principal is not None:
        pseudonym = audit.writing.key.pseudonym(query.tenant, query.principal)
        wanted = wanted.where(rows.pseudonym == pseudonym)
    for column, value in ((rows.trace, query.trace), (rows.action, query.action)):
        if value is not None:
            wanted = wanted.where(column == value)
    if query.since is not None:
        wanted = wanted.where(rows.at >= query.since)
    if query.until is not None:
        wanted = wanted.where(rows.at < query.until)
    if query.before is not None:
        wanted = wanted.where(rows.sequence < query.before)
    if query.sequences is not None:
        wanted = wanted.where(rows.sequence.in_(query.sequences))
    found = await audit.database.rows(wanted.order_by(rows.sequence.desc()).limit(query.limit))
    wrapped = await _wrapped(audit, query.tenant, sorted({row.pseudonym for row in found}))
    return [
        _opened(
            audit,
            AuditEntry(
                tenant=query.tenant,
                sequence=row.sequence,
                at=row.at,
                previous=row.previous,
                hash=row.hash,
                body=row.body,
            ),
            wrapped.get(row.pseudonym),
        )
        for row in found
    ]


async def _wrapped(audit: Audit, tenant: TenantId, pseudonyms: Sequence[str]) -> dict[str, bytes]:
    query = select(AuditPersonRow.pseudonym, AuditPersonRow.wrapped).where(
        AuditPersonRow.tenant == tenant, AuditPersonRow.pseudonym.in_(pseudonyms)
    )
    return {row.pseudonym: row.wrapped for row in await audit.database.rows(query)}


def _opened(audit: Audit, entry: AuditEntry, wrapped: bytes | None) -> Opened:
    body: dict[str, Any] = json.loads(entry.body)
    person = None if wrapped is None else audit.writing.key.unwrapped(wrapped)

    def text_of(sealed: str) -> str:
        if not sealed:
            return ""
        opened = None if person is None else person.open(sealed)
        return ERASED if opened is None else opened

    text: dict[str, str] = body["text"]
    is_sealed = text["policy"] in {"redacted", "full"}
    return Opened(
        entry=entry,
        principal=text_of(body["who"]["sealed"]),
        question=text_of(text.get("question", "")) if is_sealed else text.get("question", ""),
        answer=text_of(text.get("answer", "")) if is_sealed else text.get("answer", ""),
        body=body,
    )
