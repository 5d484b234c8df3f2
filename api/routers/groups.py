"""Groups: who belongs to which, as administrators and sources say."""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Path, Query, Response
from pydantic import AwareDatetime, ConfigDict, Field

from api.auth import Caller
from api.deps import PlatformDep, requires
from api.errors import PROBLEMS, problems
from api.permissions import Permission
from api.platform import Platform
from api.shapes import PrincipalText, Schema
from rag.access import Membership, PrincipalId, TenantId
from rag.errors import NotFound
from rag.storage.access.groups import BY_ADMINS, SaidMembership

router = APIRouter(prefix="/v1/admin/groups", tags=["administration"], responses=PROBLEMS)

GroupPath = Annotated[str, Path(pattern=r"^group:[!-.0-~]{1,249}$", examples=["group:finance"])]
"""A group that a path can name: its id holds no slash."""


class MemberIn(Schema):
    id: PrincipalText
    until: AwareDatetime | None = Field(
        default=None, description="From then on it is no member any more."
    )


class MembersRequest(Schema):
    members: list[MemberIn] = Field(max_length=10_000)

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "members": [
                        {"id": "user:1042"},
                        {"id": "group:auditors", "until": "2027-01-01T00:00:00Z"},
                    ]
                }
            ]
        }
    )


class MemberOut(Schema):
    id: str
    until: datetime | None
    source: str = Field(description="Who says so: a connector, or `admins`.")
    counts: bool = Field(description="Whether its membership has not ended.")

    @classmethod
    def of(cls, said: SaidMembership, moment: datetime) -> "MemberOut":
        until = said.membership.until
        return cls(
            id=said.membership.member,
            until=until,
            source=said.source,
            counts=until is None or until > moment,
        )


class GroupOut(Schema):
    id: str
    members: list[MemberOut]


class GroupSummary(Schema):
    id: str
    members: int
    sources: int = Field(description="How many say something of it.")


class GroupsOut(Schema):
    groups: list[GroupSummary]
    next: str | None = Field(description="Where the next page begins: send it as `after`.")


@router.get("")
async def list_groups(
    caller: Annotated[Caller, requires(Permission.ADMIN)],
    platform: PlatformDep,
    limit: Annotated[int, Query(ge=1, le=500)] = 100,
    after: Annotated[str, Query(max_length=255)] = "",
) -> GroupsOut:
    """The groups that have members, by their ids."""
    found = await platform.groups.listed(caller.principal.tenant, limit=limit, after=after)
    return GroupsOut(
        groups=[
            GroupSummary(id=each.id, members=each.members, sources=each.sources) for each in found
        ],
        next=found[-1].id if len(found) == limit else None,
    )


@router.get("/{group_id}", responses=problems(404))
async def show_group(
    group_id: GroupPath,
    caller: Annotated[Caller, requires(Permission.ADMIN)],
    platform: PlatformDep,
) -> GroupOut:
    """Its direct members, and who says so."""
    return await _shown(platform, caller.principal.tenant, PrincipalId(group_id))


@router.put("/{group_id}")
async def put_members(
    group_id: GroupPath,
    request: MembersRequest,
    caller: Annotated[Caller, requires(Permission.ADMIN)],
    platform: PlatformDep,
) -> GroupOut:
    """Make these the members that administrators give the group, in place of earlier ones.

    It counts in the next question. What connectors say of the group stays as it is.
    """
    tenant, group = caller.principal.tenant, PrincipalId(group_id)
    memberships = [
        Membership(PrincipalId(member.id), group, member.until) for member in request.members
    ]
    await platform.groups.put_members(tenant, group, memberships)
    try:
        return await _shown(platform, tenant, group)
    except NotFound:
        return GroupOut(id=group_id, members=[])


@router.delete("/{group_id}", status_code=204, responses=problems(404))
async def remove_group(
    group_id: GroupPath,
    caller: Annotated[Caller, requires(Permission.ADMIN)],
    platform: PlatformDep,
) -> Response:
    """Take back all that administrators said of the group's members."""
    tenant, group = caller.principal.tenant, PrincipalId(group_id)
    told = await platform.groups.members(tenant, group)
    if all(each.source != BY_ADMINS for each in told):
        raise NotFound("there is no such group")
    await platform.groups.put_members(tenant, group, [])
    return Response(status_code=204)


async def _shown(platform: Platform, tenant: TenantId, group: PrincipalId) -> GroupOut:
    told, moment = await platform.groups.members(tenant, group), platform.groups.clock()
    return GroupOut(id=group, members=[MemberOut.of(each, moment) for each in told])
