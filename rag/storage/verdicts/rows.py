"""Validations and profiles as rows: written in the transaction that decides about the document."""

import struct
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, delete, insert, select

from rag.access import TenantId
from rag.storage.database import Database, insert_into
from rag.storage.tables import ProfileRow, SimilarityBandRow, ValidationRow
from rag.storage.verdicts.records import (
    Profile,
    RecordedValidation,
    Standing,
    Validation,
    json_of_verdicts,
    verdicts_of_json,
)
from rag.types import DocumentId


def write_validation(
    connection: Connection,
    tenant: TenantId,
    document: DocumentId,
    validation: Validation,
    *,
    fence: int,
    moment: datetime,
    kept: int,
) -> None:
    """Add `validation` as that of the document's `fence`; the oldest beyond `kept` go."""
    connection.execute(
        insert(ValidationRow),
        {
            "document": document,
            "fence": fence,
            "tenant": tenant,
            "content_hash": validation.content_hash,
            "media_type": validation.media_type,
            "size": validation.size,
            "revision": validation.revision,
            "standing": validation.standing.value,
            "reason": validation.reason,
            "verdicts": json_of_verdicts(validation.verdicts),
            "recorded_at": moment,
        },
    )
    if fence > kept:  # before that there cannot be too many
        of_this = ValidationRow.document == document
        newest = (
            select(ValidationRow.fence)
            .where(of_this)
            .order_by(ValidationRow.fence.desc())
            .limit(kept)
        )
        connection.execute(delete(ValidationRow).where(of_this, ValidationRow.fence.not_in(newest)))


def write_profile(
    connection: Connection,
    database: Database,
    tenant: TenantId,
    document: DocumentId,
    profile: Profile,
    *,
    is_first: bool,
) -> None:
    """`is_first` says that the document had none before."""
    if not is_first:
        forget_profile(connection, document)
    row = {
        "document": document,
        "signature": packed(profile.signature),
        "columns": dict(profile.columns),
    }
    connection.execute(insert(ProfileRow), row)
    if profile.bands:
        bands = sorted(set(profile.bands))
        connection.execute(
            insert_into(database, SimilarityBandRow),
            [{"tenant": tenant, "band": band, "document": document} for band in bands],
        )


def forget_profile(connection: Connection, document: DocumentId) -> None:
    """From now on the document is compared with nothing."""
    connection.execute(delete(SimilarityBandRow).where(SimilarityBandRow.document == document))
    connection.execute(delete(ProfileRow).where(ProfileRow.document == document))


def forget_verdicts(connection: Connection, document: DocumentId) -> None:
    """Everything that was ever found in the document."""
    forget_profile(connection, document)
    connection.execute(delete(ValidationRow).where(ValidationRow.document == document))


def validation_of(row: Any) -> RecordedValidation:
    return RecordedValidation(
        Validation(
            content_hash=row.content_hash,
            media_type=row.media_type,
            size=row.size,
            revision=row.revision,
            standing=Standing(row.standing),
            reason=row.reason,
            verdicts=verdicts_of_json(row.verdicts),
        ),
        row.recorded_at,
    )


def packed(signature: Sequence[int]) -> bytes:
    return struct.pack(f"<{len(signature)}I", *signature)


def unpacked(signature: bytes) -> tuple[int, ...]:
    return struct.unpack(f"<{len(signature) // 4}I", signature)
