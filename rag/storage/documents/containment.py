"""Documents inside documents: what becomes of a container reaches what lies in it, in the same
transaction.

A member (a zip's file, a mail's attachment) is read by whom its container is read by. It has a row
like any document, with its container as `parent`, and its own members may lie in it. Every write
here raises a member's fence, so that an ingest of it that is under way is overtaken.
"""

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, bindparam, exists, select

from rag.access import AccessList
from rag.errors import PermanentError
from rag.narrowing import narrowed
from rag.storage.database import Database
from rag.storage.documents.contents import forget_contents
from rag.storage.documents.records import DocumentState, HeldIn, NewVersion, inherited
from rag.storage.documents.rows import (
    COLUMNS,
    OF_DOCUMENT,
    VALUES_OF_DELETED,
    Overtaken,
    note_fields,
    values_of_access,
    values_of_metadata,
    write_document,
)
from rag.storage.jobs.records import JobKind
from rag.storage.records import access_of_json, json_of_access
from rag.storage.tables import DocumentRow, JobRow
from rag.types import DocumentId, Metadata

_IS_BEING_CHANGED = exists().where(
    OF_DOCUMENT,
    JobRow.kind == JobKind.UPSERT.value,
    JobRow.state.in_(("queued", "waiting", "running")),
)
_MEMBERS = (
    select(*COLUMNS, _IS_BEING_CHANGED.label("is_being_changed"))
    .where(
        DocumentRow.parent == bindparam("container"),
        DocumentRow.state != DocumentState.DELETED.value,
    )
    .order_by(DocumentRow.id)
    .with_for_update(of=DocumentRow)
)
_CONTAINER = (
    select(DocumentRow.state, DocumentRow.version, DocumentRow.access)
    .where(DocumentRow.id == bindparam("container"))
    .with_for_update(of=DocumentRow, read=True)
)


def check_place(known: Any | None, parent: DocumentId | None) -> None:
    """Raises `PermanentError` where the URI is taken: a source's document and a file inside one
    are never the same document."""
    if known is None or known.state == DocumentState.DELETED.value:
        return
    if known.parent != parent:
        raise PermanentError("another document, which lies elsewhere, has this URI")


def locked_container(connection: Connection, held_in: HeldIn) -> Any | None:
    """The container's row, which stays as it is until the transaction ends."""
    return connection.execute(_CONTAINER, {"container": held_in.document}).one_or_none()


def check_container(
    container: Any | None, held_in: HeldIn, access: AccessList, *, member: Any | None
) -> None:
    """Raises `Overtaken` where the container, or the member itself, is not what it was when it was
    looked up. `access` is what the member is to be read under."""
    if container is None or container.state != DocumentState.ACTIVE.value:
        is_same = False
    elif held_in.version is not None:
        readers = container.access == json_of_access(access)
        is_same = readers and container.version == held_in.version
    else:
        is_same = member is not None and member.fence == held_in.fence
    if not is_same:
        raise Overtaken("the document that it lies in has changed since")


def tell_members(
    connection: Connection,
    database: Database,
    container: DocumentId,
    *,
    access: AccessList,
    source_metadata: Metadata | None,
    confirmed_at: datetime | None,
    moment: datetime,
) -> None:
    """The container's access, and what its source says of it, is its members' too.

    A member of which newer content is waited for, or could not be read, is read until it is there
    by those alone whom its own readers and the container's now both admit: whom the container now
    admits, it may admit for what the newer content leaves out.
    """
    for row in connection.execute(_MEMBERS, {"container": container}).all():
        stale = row.is_being_changed or row.error_class is not None
        own = access_of_json(row.access)
        is_new = own != access
        _describe(
            connection,
            database,
            row,
            access=narrowed(own, access) if stale and is_new else access,
            source_metadata=source_metadata,
            confirmed_at=confirmed_at,
            moment=moment,
        )


def shut_out_members(
    connection: Connection, container: DocumentId, *, before: AccessList, access: AccessList
) -> None:
    """The container is read by fewer than `before` from now on, and so is what lies in it. A member
    with readers of its own waits for newer content: until that is there, those alone read it whom
    both admit."""
    for row in connection.execute(_MEMBERS, {"container": container}).all():
        own = access_of_json(row.access)
        narrower = access if own == before else narrowed(own, access)
        if narrower != own:
            document = DocumentId(row.id)
            values = {
                "access": json_of_access(narrower),
                "settled": False,
                "fence": row.fence + 1,
            }
            write_document(connection, document, row.fence, values)
            shut_out_members(connection, document, before=own, access=narrower)


def switch_members(
    connection: Connection, database: Database, new: NewVersion, *, moment: datetime
) -> None:
    """The container shows another version, in which other documents may lie.

    What is gone is shown to nobody. What has other bytes keeps the readers that it has, whom both
    versions admit, until those bytes are taken in.
    """
    if new.held is None:
        return
    for row in connection.execute(_MEMBERS, {"container": new.ref.id}).all():
        document = DocumentId(row.id)
        if document not in new.held:
            _take_away(connection, row, moment)
        elif row.original == new.held[document]:
            _describe(
                connection,
                database,
                row,
                access=new.access,
                source_metadata=new.source_metadata,
                confirmed_at=new.confirmed_at,
                moment=moment,
            )


def take_members_away(connection: Connection, container: DocumentId, moment: datetime) -> None:
    """The container is deleted, and so is what lies in it."""
    for row in connection.execute(_MEMBERS, {"container": container}).all():
        _take_away(connection, row, moment)


def _describe(
    connection: Connection,
    database: Database,
    row: Any,
    *,
    access: AccessList,
    source_metadata: Metadata | None,
    confirmed_at: datetime | None,
    moment: datetime,
) -> None:
    values: dict[str, Any] = {
        **values_of_access(access, confirmed_at=confirmed_at, moment=moment),
        "updated_at": moment,
        "settled": False,
        "fence": row.fence + 1,
    }
    own: Metadata | None = None
    if source_metadata is not None:
        own = inherited(source_metadata, container=str(row.source_fields.get("container", "")))
        metadata = {**row.parsed_fields, **own, "source": row.source}
        values |= {"source_fields": dict(own)} | values_of_metadata(metadata)
        note_fields(connection, database, row.tenant, metadata, access)
    else:
        note_fields(connection, database, row.tenant, row.fields, access)
    before = access_of_json(row.access)
    unchanged = before == access and (own is None or dict(own) == row.source_fields)
    write_document(
        connection,
        DocumentId(row.id),
        row.fence,
        # Where nothing changes, the index need not be told, nor an ingest be overtaken.
        {"acl_as_of": values["acl_as_of"]} if unchanged else values,
    )
    tell_members(
        connection,
        database,
        DocumentId(row.id),
        access=access,
        source_metadata=own,
        confirmed_at=confirmed_at,
        moment=moment,
    )


def _take_away(connection: Connection, row: Any, moment: datetime) -> None:
    values = VALUES_OF_DELETED | {"updated_at": moment, "fence": row.fence + 1}
    write_document(connection, DocumentId(row.id), row.fence, values)
    forget_contents(connection, DocumentId(row.id))
    take_members_away(connection, DocumentId(row.id), moment)
