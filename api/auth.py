"""Who is calling: an API key, a person's token, or an app that speaks for a person."""

import re
from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Literal, Protocol, cast

import jwt

from api.assertions import ON_BEHALF_AUDIENCE
from api.oidc import MALFORMED, OidcTokens
from api.permissions import EVERY_PERMISSION, NEVER_ON_BEHALF, Permission
from api.settings_server import OidcSettings
from rag.access import Principal, PrincipalId, TenantId
from rag.errors import Forbidden, Unauthenticated
from rag.storage.access.expansion import Expansion
from rag.storage.access.groups import NO_EPOCH, Epoch
from rag.storage.access.keys import ApiKey
from rag.storage.access.tokens import KeyId, parse_token

ON_BEHALF_MAX_AGE_S = 300
ON_BEHALF_LEEWAY_S = 10
MAX_HEADER_CHARACTERS = 16_384
MAX_GROUPS = 1_000
USER_ID = re.compile(r"user:[!-~]{1,249}")
GROUP_ID = re.compile(r"group:[!-~]{1,249}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """A principal, and what it may do over this connection."""

    principal: Principal
    """With every group it belongs to, those of the ledger too."""
    permissions: frozenset[Permission]
    via: Literal["key", "oidc", "on_behalf_of"]
    key: KeyId | None = None
    epoch: Epoch = NO_EPOCH
    """What may be remembered of this caller's groups holds while this stays the same."""

    @property
    def rate_identity(self) -> str:
        """What is counted: a person, whichever way they come, or else the key."""
        return self.principal.id if self.via != "key" else f"key:{self.key}"


class KeyStore(Protocol):
    async def authenticate(self, token: str) -> ApiKey | None:
        """The key that `token` proves, if it is known, not revoked and not expired."""
        ...


class StandingStore(Protocol):
    async def of(self, principal: Principal) -> Expansion:
        """`principal` with all its groups. Raises rather than leave one out."""
        ...


class Authenticator:
    """The one maker of callers, and the one place where a principal gets its stored groups."""

    def __init__(
        self,
        *,
        keys: KeyStore,
        expansions: StandingStore,
        oidc: OidcTokens | None,
        oidc_settings: OidcSettings,
        oidc_tenant: TenantId,
    ) -> None:
        self._keys = keys
        self._standings = expansions
        self._oidc = oidc
        self._settings = oidc_settings
        self._tenant = oidc_tenant
        self._person = _known(oidc_settings.permissions)

    async def caller(self, authorization: str | None, on_behalf_of: str | None) -> Caller:
        """Who the two headers prove is calling. Raises `Unauthenticated` or `Forbidden`, and
        `StorageUnavailable` where its groups cannot be had: without them a deny might not hold."""
        proven = await self._proven(authorization, on_behalf_of)
        expansion = await self._standings.of(proven.principal)
        # Groups of the ledger open documents; what one may do comes with the key or the token.
        return replace(proven, principal=expansion.principal, epoch=expansion.epoch)

    async def _proven(self, authorization: str | None, on_behalf_of: str | None) -> Caller:
        token = _bearer(authorization)
        parsed = parse_token(token)
        if parsed is None:
            if on_behalf_of is not None:
                raise Forbidden("only an app's key may speak for somebody")
            return await self._signed_in(token)
        key = await self._keys.authenticate(token)
        if key is None:
            raise Unauthenticated("the key is not valid")
        caller = Caller(
            principal=key.principal,
            permissions=_known(key.permissions),
            via="key",
            key=key.id,
        )
        if on_behalf_of is None:
            return caller
        return _on_behalf(caller, on_behalf_of, secret=parsed.secret)

    async def _signed_in(self, token: str) -> Caller:
        if self._oidc is None:
            raise Unauthenticated("the key is not valid")
        identity = await self._oidc.verify(token)
        may_administrate = not identity.groups.isdisjoint(self._settings.admin_groups)
        extra = {Permission.ADMIN} if may_administrate else set[Permission]()
        return Caller(
            principal=Principal(self._tenant, identity.user, identity.groups),
            permissions=self._person | extra,
            via="oidc",
        )


def _bearer(authorization: str | None) -> str:
    scheme, _, token = (authorization or "").strip().partition(" ")
    token = token.strip()
    if scheme.lower() != "bearer" or not token:
        raise Unauthenticated("send `Authorization: Bearer <API key or token>`")
    if len(token) > MAX_HEADER_CHARACTERS or not token.isascii():
        raise Unauthenticated("the token is not valid")
    return token


def _known(permissions: Collection[str]) -> frozenset[Permission]:
    """A permission that this version does not know is none."""
    return frozenset(known for known in EVERY_PERMISSION if known in permissions)


def _on_behalf(app: Caller, assertion: str, *, secret: str) -> Caller:
    """The person whom an app vouches for. They have nothing of the app's own identity."""
    if Permission.IMPERSONATE not in app.permissions:
        raise Forbidden("this key may not speak for somebody")
    claims = _asserted(assertion, secret)
    user, groups = claims.get("sub"), claims.get("groups", [])
    if not _all_match(USER_ID, [user]) or not _all_match(GROUP_ID, groups):
        raise Unauthenticated("the assertion names no user:… with groups group:…")
    return Caller(
        principal=Principal(
            app.principal.tenant,
            PrincipalId(cast("str", user)),
            frozenset(map(PrincipalId, cast("list[str]", groups))),
        ),
        permissions=app.permissions - NEVER_ON_BEHALF,
        via="on_behalf_of",
        key=app.key,
    )


def _asserted(assertion: str, secret: str) -> dict[str, Any]:
    if len(assertion) > MAX_HEADER_CHARACTERS:
        raise Unauthenticated("the assertion is too long")
    try:
        claims = jwt.decode(
            assertion,
            key=secret.encode(),
            algorithms=["HS256"],
            audience=ON_BEHALF_AUDIENCE,
            leeway=ON_BEHALF_LEEWAY_S,
            options={"require": ["exp", "aud", "sub"], "enforce_minimum_key_length": True},
        )
    except MALFORMED as error:
        raise Unauthenticated("the assertion is not valid") from error
    latest = datetime.now(UTC).timestamp() + ON_BEHALF_MAX_AGE_S + ON_BEHALF_LEEWAY_S
    if float(claims["exp"]) > latest:
        raise Unauthenticated(f"the assertion holds for more than {ON_BEHALF_MAX_AGE_S} seconds")
    return claims


def _all_match(pattern: re.Pattern[str], values: object) -> bool:
    if not isinstance(values, list):
        return False
    listed = cast("list[object]", values)
    return len(listed) <= MAX_GROUPS and all(
        isinstance(value, str) and pattern.fullmatch(value) is not None for value in listed
    )
