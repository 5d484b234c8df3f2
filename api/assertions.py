"""The signed assertion by which an app says for whom it speaks: `X-On-Behalf-Of`."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import jwt

from rag.storage.access.tokens import KeyToken

ON_BEHALF_AUDIENCE = "rag-on-behalf-of"


def sign_assertion(
    key: KeyToken, *, user: str, groups: Sequence[str], lifetime: timedelta = timedelta(minutes=4)
) -> str:
    """A JWT, signed with the key's own secret, that holds for `lifetime`."""
    claims = {
        "sub": user,
        "groups": list(groups),
        "aud": ON_BEHALF_AUDIENCE,
        "exp": datetime.now(UTC) + lifetime,
    }
    return jwt.encode(claims, key.secret, algorithm="HS256")
