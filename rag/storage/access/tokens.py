"""The text of an API key. Apart from the keys' store, so that a client needs no database to read it."""

from dataclasses import dataclass
from typing import NewType

KeyId = NewType("KeyId", str)

SCHEME = "rag"
SECRET_BYTES = 32


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
