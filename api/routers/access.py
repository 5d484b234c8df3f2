"""Why somebody may or may not read a document."""

from datetime import datetime
from typing import Annotated, Self

from fastapi import APIRouter, Query
from pydantic import Field

from api.auth import Caller
from api.deps import PlatformDep, requires
from api.errors import PROBLEMS, problems
from api.explaining import Clause, Explanation, explain
from api.permissions import Permission
from api.shapes import GroupText, Schema
from rag.access import EVERYONE, Membership, Principal, PrincipalId
from rag.errors import NotFound
from rag.storage.documents.admission import StoredAccess
from rag.types import DocumentId

router = APIRouter(prefix="/v1/admin/access", tags=["administration"], responses=PROBLEMS)

UserText = Annotated[str, Query(pattern=r"^(user|app):[!-~]{1,249}$", examples=["user:1042"])]


class EndedGrant(Schema):
    id: str
    until: datetime


class ClauseOut(Schema):
    """One of the groups of principals of which a reader must hold at least one."""

    any_of: list[str]
    held: list[str]
    ended: list[EndedGrant] = Field(description="What the user holds, and counts no more.")

    @classmethod
    def of(cls, clause: Clause) -> Self:
        return cls(
            any_of=list(clause.any_of),
            held=list(clause.held),
            ended=[EndedGrant(id=one, until=at) for one, at in clause.ended],
        )


class EndedMembership(Schema):
    member: str
    group: str
    until: datetime

    @classmethod
    def of(cls, edge: Membership) -> Self:
        if edge.until is None:
            raise ValueError("this membership has no end")
        return cls(member=edge.member, group=edge.group, until=edge.until)


class ExplanationOut(Schema):
    document_id: str
    user: str
    readable: bool
    reason: str
    clauses: list[ClauseOut]
    denied: list[str]
    """Those denied identities that the user holds."""
    paths: dict[str, list[str]] = Field(
        description="How the user holds what the access list names: from them, group by group."
    )
    ended_memberships: list[EndedMembership]
    acl_as_of: datetime = Field(description="When the source last confirmed the access list.")
    max_age_hours: float | None = Field(
        description="After how long unconfirmed nobody reads it; null: never."
    )

    @classmethod
    def of(
        cls, explained: Explanation, stored: StoredAccess, *, document: DocumentId, user: str
    ) -> Self:
        age = stored.max_age
        return cls(
            document_id=document,
            user=user,
            readable=explained.readable,
            reason=explained.reason,
            clauses=[ClauseOut.of(clause) for clause in explained.clauses],
            denied=list(explained.denied),
            paths={one: list(path) for one, path in explained.paths.items()},
            ended_memberships=[EndedMembership.of(edge) for edge in explained.ended],
            acl_as_of=stored.confirmed_at,
            max_age_hours=None if age is None else age.total_seconds() / 3_600,
        )


@router.get("/explain", responses=problems(404))
async def explain_access(
    caller: Annotated[Caller, requires(Permission.ADMIN)],
    platform: PlatformDep,
    user: UserText,
    document: Annotated[str, Query(max_length=64)],
    groups: Annotated[list[GroupText] | None, Query(max_length=1_000)] = None,
) -> ExplanationOut:
    """What the ledger says about one person and one document. It shows no content.

    `groups` are those that would come with the person's token; stored ones are added.
    """
    tenant = caller.principal.tenant
    found = await platform.documents.find(tenant, DocumentId(document))
    if found is None:
        raise NotFound("there is no such document")
    stored = await platform.documents.access_of(tenant, found.ref.id)
    asker = Principal(tenant, PrincipalId(user), frozenset(map(PrincipalId, groups or ())))
    edges = await platform.groups.edges_above(tenant, {asker.id, EVERYONE, *asker.groups})
    explained = explain(asker, stored, found.state, edges=edges, moment=platform.documents.clock())
    return ExplanationOut.of(explained, stored, document=found.ref.id, user=user)
