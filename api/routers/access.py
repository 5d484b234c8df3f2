"""Why somebody may or may not read a document."""

from typing import Annotated

from fastapi import APIRouter, Query

from api.auth import Caller
from api.deps import PlatformDep, requires
from api.errors import PROBLEMS, problems
from api.permissions import Permission
from api.shapes import GroupText, Schema
from rag.access import AccessList, Principal, PrincipalId, scope_of
from rag.errors import NotFound
from rag.storage.records import DocumentState
from rag.types import DocumentId

router = APIRouter(prefix="/v1/admin/access", tags=["administration"], responses=PROBLEMS)

UserText = Annotated[str, Query(pattern=r"^(user|app):[!-~]{1,249}$", examples=["user:1042"])]


class ClauseOut(Schema):
    """One of the groups of principals of which a reader must hold at least one."""

    any_of: list[str]
    held: list[str]


class ExplanationOut(Schema):
    document_id: str
    user: str
    readable: bool
    reason: str
    clauses: list[ClauseOut]
    denied: list[str]
    """Those denied identities that the user holds."""


@router.get("/explain", responses=problems(404))
async def explain(
    caller: Annotated[Caller, requires(Permission.ADMIN)],
    platform: PlatformDep,
    user: UserText,
    document: Annotated[str, Query(max_length=64)],
    groups: Annotated[list[GroupText] | None, Query(max_length=1_000)] = None,
) -> ExplanationOut:
    """What the ledger says about one person and one document. It shows no content."""
    tenant = caller.principal.tenant
    stored = await platform.documents.find(tenant, DocumentId(document))
    if stored is None:
        raise NotFound("there is no such document")
    scope = scope_of(
        Principal(tenant, PrincipalId(user), frozenset(map(PrincipalId, groups or ())))
    )
    is_alive = stored.state is DocumentState.ACTIVE
    return ExplanationOut(
        document_id=stored.ref.id,
        user=user,
        readable=is_alive and scope.admits(tenant, stored.access),
        reason=_reason(stored.state, stored.access, scope.identities),
        clauses=[
            ClauseOut(any_of=sorted(clause), held=sorted(clause & scope.identities))
            for clause in stored.access.clauses
        ],
        denied=sorted(stored.access.denied & scope.identities),
    )


def _reason(state: DocumentState, access: AccessList, identities: frozenset[PrincipalId]) -> str:
    if state is not DocumentState.ACTIVE:
        return f"the document is {state.value}: nobody reads it"
    if not access.clauses or not all(access.clauses):
        return "its access list names nobody"
    if not access.denied.isdisjoint(identities):
        return "its access list denies an identity of the user"
    if any(clause.isdisjoint(identities) for clause in access.clauses):
        return "the user holds none of the identities that a clause asks for"
    return "the user holds an identity of every clause"
