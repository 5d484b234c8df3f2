"""API keys of the administrator's own tenant."""

from datetime import UTC, datetime
from typing import Annotated, Self

from fastapi import APIRouter, Response
from pydantic import AwareDatetime, ConfigDict, Field, StringConstraints

from api.auth import Caller
from api.deps import PlatformDep, requires
from api.errors import PROBLEMS, problems
from api.permissions import Permission
from api.shapes import GroupText, Schema, ShortText
from rag.access import Principal, PrincipalId
from rag.errors import Forbidden, InvalidRequest
from rag.storage.access.keys import ApiKey, KeyId

router = APIRouter(prefix="/v1/admin/keys", tags=["administration"], responses=PROBLEMS)

KeyPrincipal = Annotated[str, StringConstraints(pattern=r"^(user|app):[!-~]{1,249}$")]


class KeyRequest(Schema):
    name: ShortText = Field(min_length=1)
    principal: KeyPrincipal
    groups: list[GroupText] = Field(default_factory=list, max_length=1_000)
    permissions: list[Permission] = Field(min_length=1)
    expires_at: AwareDatetime | None = None

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "name": "intranet search box",
                    "principal": "app:intranet",
                    "groups": [],
                    "permissions": ["search", "ask", "impersonate"],
                    "expires_at": "2027-11-01T00:00:00Z",
                }
            ]
        }
    )


class KeyOut(Schema):
    id: str
    name: str
    principal: str
    groups: list[str]
    permissions: list[str]
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None

    @classmethod
    def of(cls, key: ApiKey) -> Self:
        return cls(
            id=key.id,
            name=key.name,
            principal=key.principal.id,
            groups=sorted(key.principal.groups),
            permissions=sorted(key.permissions),
            created_at=key.created_at,
            expires_at=key.expires_at,
            revoked_at=key.revoked_at,
            last_used_at=key.last_used_at,
        )


class NewKeyOut(Schema):
    key: KeyOut
    token: str = Field(description="Shown this once.")


class KeysOut(Schema):
    keys: list[KeyOut]


@router.get("")
async def list_keys(
    caller: Annotated[Caller, requires(Permission.ADMIN)], platform: PlatformDep
) -> KeysOut:
    """Every key of the tenant, revoked ones too."""
    keys = await platform.keys.listed(caller.principal.tenant)
    return KeysOut(keys=[KeyOut.of(key) for key in keys])


@router.post("", status_code=201)
async def create_key(
    request: KeyRequest,
    caller: Annotated[Caller, requires(Permission.ADMIN)],
    platform: PlatformDep,
) -> NewKeyOut:
    """A new key. Who makes it can give away only what they may do themselves."""
    beyond = sorted(set(request.permissions) - caller.permissions)
    if beyond:
        raise Forbidden(f"you cannot give what you do not have: {', '.join(beyond)}")
    if request.expires_at is not None and request.expires_at <= datetime.now(UTC):
        raise InvalidRequest("expires_at is in the past")
    made = await platform.keys.create(
        name=request.name,
        principal=Principal(
            caller.principal.tenant,
            PrincipalId(request.principal),
            frozenset(map(PrincipalId, request.groups)),
        ),
        permissions=request.permissions,
        expires_at=request.expires_at,
    )
    return NewKeyOut(key=KeyOut.of(made.key), token=made.token)


@router.delete("/{key_id}", status_code=204, responses=problems(404))
async def revoke_key(
    key_id: str, caller: Annotated[Caller, requires(Permission.ADMIN)], platform: PlatformDep
) -> Response:
    """From now on the key opens nothing."""
    await platform.keys.revoke(caller.principal.tenant, KeyId(key_id))
    return Response(status_code=204)
