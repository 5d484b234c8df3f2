"""API keys: who holds one, what it may do, and until when. Only a hash of the secret is kept."""

import hashlib
import hmac
import secrets
from dataclasses import dataclass
from datetime import datetime
from typing import NewType

from rag.access import Principal

KeyId = NewType("KeyId", str)

SCHEME = "rag"
ID_BYTES = 9
SECRET_BYTES = 32
NO_HASH = "0" * 64


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


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key just made. `token` is shown this once and stored nowhere."""

    key: ApiKey
    token: str


@dataclass(frozen=True, slots=True)
class KeyToken:
    """`rag_<id>_<secret>`, taken apart."""

    id: KeyId
    secret: str

    def __repr__(self) -> str:
        return f"KeyToken(id={self.id!r})"


def parse_token(token: str) -> KeyToken | None:
    """The parts of a key's token, or None for anything that is not shaped like one."""
    scheme, _, rest = token.partition("_")
    key_id, _, secret = rest.partition("_")
    if scheme != SCHEME or not key_id.isalnum() or not key_id.isascii() or not secret.isascii():
        return None
    return KeyToken(KeyId(key_id), secret) if len(secret) >= SECRET_BYTES else None


def hash_of(secret: str) -> str:
    """SHA-256 is enough: the secret has 256 random bits, so there is no list to try."""
    return hashlib.sha256(secret.encode()).hexdigest()
