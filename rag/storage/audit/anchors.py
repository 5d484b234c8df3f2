"""Anchors: signed words on where a chain ended, kept where the database's owner cannot reach.

A chain alone shows that its entries fit together; that its end was not cut off, or all of it
written anew, only an anchor kept elsewhere can show.
"""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError
from sqlalchemy import select

from rag.access import TenantId
from rag.errors import InvalidRequest, StorageUnavailable
from rag.storage.audit.chain import canonical
from rag.storage.audit.ledger import Audit
from rag.storage.audit.sealing import is_signed
from rag.storage.tables import AuditHeadRow


@dataclass(frozen=True, slots=True, kw_only=True)
class Anchor:
    """That entry `sequence` of a tenant had this hash."""

    tenant: TenantId
    sequence: int
    hash: str
    at: str
    """ISO 8601, when it was signed."""
    public_key: str
    signature: str

    @property
    def is_genuine(self) -> bool:
        """Whether its signature is by the key that it names."""
        return is_signed(_signed_part(self), self.signature, self.public_key)


async def current_anchors(audit: Audit, tenant: TenantId | None = None) -> list[Anchor]:
    """One for the end of each chain, or of one tenant's."""
    heads = select(AuditHeadRow.tenant, AuditHeadRow.sequence, AuditHeadRow.hash).where(
        AuditHeadRow.sequence > 0
    )
    if tenant is not None:
        heads = heads.where(AuditHeadRow.tenant == tenant)
    at = audit.clock()
    return [
        _signed(audit, TenantId(row.tenant), row.sequence, row.hash, at)
        for row in await audit.database.rows(heads.order_by(AuditHeadRow.tenant))
    ]


def append_anchors(file: Path, anchors: Iterable[Anchor]) -> None:
    """One JSON object a line. Errors: `StorageUnavailable`."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("a", encoding="utf-8") as target:
            target.writelines(json.dumps(asdict(anchor)) + "\n" for anchor in anchors)
    except OSError as error:
        raise StorageUnavailable(f"anchors cannot be written: {error.strerror}") from error


def anchors_in(text: str) -> list[Anchor]:
    """The anchors of a file's text. Raises `InvalidRequest` for a line that is none."""
    anchors: list[Anchor] = []
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        try:
            anchors.append(_Line.model_validate_json(line).anchor)
        except ValidationError as error:
            raise InvalidRequest(f"line {number} of the anchors is no anchor") from error
    return anchors


class _Line(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    tenant: str
    sequence: int
    hash: str
    at: str
    public_key: str
    signature: str

    @property
    def anchor(self) -> Anchor:
        return Anchor(
            tenant=TenantId(self.tenant),
            sequence=self.sequence,
            hash=self.hash,
            at=self.at,
            public_key=self.public_key,
            signature=self.signature,
        )


def _signed(audit: Audit, tenant: TenantId, sequence: int, digest: str, at: datetime) -> Anchor:
    key = audit.writing.key
    unsigned = Anchor(
        tenant=tenant,
        sequence=sequence,
        hash=digest,
        at=at.isoformat(),
        public_key=key.public_key(),
        signature="",
    )
    return replace(unsigned, signature=key.sign(_signed_part(unsigned)))


def _signed_part(anchor: Anchor) -> bytes:
    part = asdict(anchor)
    del part["signature"]
    return canonical(part)
