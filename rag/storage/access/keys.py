"""API keys: who holds one, what it may do, and until when. Only a hash of the secret is kept."""

import hashlib
import hmac
import logging
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Row, bindparam, insert, select, update
from sqlalchemy.exc import IntegrityError

from rag.access import Principal, PrincipalId, TenantId
from rag.errors import NotFound, StorageUnavailable
from rag.storage.access.tokens import SCHEME, SECRET_BYTES, KeyId, parse_token
from rag.storage.database import Database
from rag.storage.tables import ApiKeyRow

ID_BYTES = 8
NO_HASH = "0" * 64
NOTED_EVERY = timedelta(minutes=5)

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKey:
    """A key as it may be shown: without its secret."""

    id: KeyId
    name: str
    principal: Principal
    permissions: frozenset[str]
    created_at: datetime
    expires_at: datetime | None = None
    revoked_at: datetime | None = None
    last_used_at: datetime | None = None
    """To within `NOTED_EVERY`."""


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key just made. `token` is shown this once and stored nowhere."""

    key: ApiKey
    token: str


def hash_of(secret: str) -> str:
    """SHA-256 is enough: the secret has 256 random bits, so there is no list to try."""
    return hashlib.sha256(secret.encode()).hexdigest()


class Keys:
    """The API keys of every tenant. Errors: `StorageUnavailable`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def create(
        self,
        *,
        name: str,
        principal: Principal,
        permissions: Iterable[str],
        expires_at: datetime | None = None,
    ) -> NewKey:
        """A new key of `principal`'s tenant. Raises `NotFound` where there is no such tenant."""
        key_id, secret = secrets.token_hex(ID_BYTES), secrets.token_urlsafe(SECRET_BYTES)
        key = ApiKey(
            id=KeyId(key_id),
            name=name,
            principal=principal,
            permissions=frozenset(permissions),
            created_at=datetime.now(UTC),
            expires_at=expires_at,
        )
        row = insert(ApiKeyRow).values(
            id=key.id,
            tenant=principal.tenant,
            name=name,
            principal=principal.id,
            groups=sorted(principal.groups),
            secret_hash=hash_of(secret),
            prefix=f"{SCHEME}_{key_id}",
            permissions=sorted(key.permissions),
            created_at=key.created_at,
            expires_at=expires_at,
        )
        try:
            async with self._database.writing() as connection:
                await connection.execute(row)
        except IntegrityError as error:
            raise NotFound("there is no such tenant") from error
        return NewKey(key, f"{SCHEME}_{key_id}_{secret}")

    async def authenticate(self, token: str) -> ApiKey | None:
        """The key that `token` proves, if it is known, not revoked and not expired now."""
        parsed = parse_token(token)
        if parsed is None:
            return None
        [row] = await self._database.rows(_KEY, {"key": parsed.id}, by_key=True) or [None]
        # An unknown id is compared too, so that its answer takes as long as a wrong secret's.
        stored = NO_HASH if row is None else row.secret_hash
        matches = hmac.compare_digest(hash_of(parsed.secret), stored)
        if row is None or not matches:
            return None
        key, now = _key_of(row), datetime.now(UTC)
        if key.revoked_at is not None or (key.expires_at is not None and key.expires_at <= now):
            return None
        await self._note_use(key, now)
        return key

    async def listed(self, tenant: TenantId) -> list[ApiKey]:
        """Every key of `tenant`, revoked ones too, newest first."""
        query = _KEYS.where(_COLUMNS.tenant == tenant).order_by(
            _COLUMNS.created_at.desc(), _COLUMNS.id
        )
        async with self._database.reading() as connection:
            return [_key_of(row) for row in await connection.execute(query)]

    async def permit(self, tenant: TenantId, key: KeyId, permissions: Iterable[str]) -> None:
        """From now on the key may do `permissions` besides. Raises `NotFound`."""
        own = (_COLUMNS.tenant == tenant) & (_COLUMNS.id == key)
        async with self._database.writing() as connection:
            row = (await connection.execute(_KEYS.where(own))).one_or_none()
            if row is None:
                raise NotFound("there is no such key")
            more = sorted({*row.permissions, *permissions})
            if more != row.permissions:
                await connection.execute(update(ApiKeyRow).where(own).values(permissions=more))

    async def revoke(self, tenant: TenantId, key: KeyId) -> None:
        """From now on the key opens nothing; revoking twice changes nothing. Raises `NotFound`."""
        own = (_COLUMNS.tenant == tenant) & (_COLUMNS.id == key)
        async with self._database.writing() as connection:
            if (await connection.execute(select(_COLUMNS.id).where(own))).first() is None:
                raise NotFound("there is no such key")
            await connection.execute(
                update(ApiKeyRow)
                .where(own, _COLUMNS.revoked_at.is_(None))
                .values(revoked_at=datetime.now(UTC))
            )

    async def _note_use(self, key: ApiKey, now: datetime) -> None:
        if key.last_used_at is not None and now - key.last_used_at < NOTED_EVERY:
            return
        try:
            async with self._database.writing() as connection:
                await connection.execute(
                    update(ApiKeyRow).where(_COLUMNS.id == key.id).values(last_used_at=now)
                )
        except StorageUnavailable:
            # Reading must go on while nothing can be written, on a full disk for one.
            log.warning("the use of a key was not noted", extra={"key": key.id})


_COLUMNS = ApiKeyRow.__table__.c
_KEYS = select(ApiKeyRow.__table__)
_KEY = _KEYS.where(_COLUMNS.id == bindparam("key"))
"""Made once: to build a query takes longer than to run it."""


def _key_of(row: Row[Any]) -> ApiKey:
    return ApiKey(
        id=KeyId(row.id),
        name=row.name,
        principal=Principal(
            TenantId(row.tenant),
            PrincipalId(row.principal),
            frozenset(map(PrincipalId, row.groups)),
        ),
        permissions=frozenset(row.permissions),
        created_at=row.created_at,
        expires_at=row.expires_at,
        revoked_at=row.revoked_at,
        last_used_at=row.last_used_at,
    )
