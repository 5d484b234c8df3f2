"""What every part of the ledger shares: ids, and access lists and text as they are kept."""

import hashlib
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, NewType

from rag.access import AccessList, Expiry, PrincipalId, TenantId
from rag.types import (
    DocumentId,
    SourceId,
)

Digest = NewType("Digest", str)
"""SHA-256 of some bytes, in hexadecimal."""


def document_id_of(tenant: TenantId, source: SourceId, uri: str) -> DocumentId:
    """A document is known by where it lives, so the same resource is the same document."""
    return DocumentId(fingerprint_of(tenant, source, uri))


def fingerprint_of(*parts: str) -> str:
    """32 hexadecimal digits that stand for `parts`; no two lists of parts run together."""
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:32]


def json_of_access(access: AccessList) -> dict[str, list[Any]]:
    """Equal lists give equal JSON. `expiries` is there only where a grant ends."""
    told: dict[str, list[Any]] = {
        "clauses": [sorted(clause) for clause in access.clauses],
        "denied": sorted(access.denied),
    }
    if access.expiries:
        told["expiries"] = sorted(
            [expiry.clause, expiry.principal, expiry.at.astimezone(UTC).isoformat()]
            for expiry in access.expiries
        )
    return told


def access_of_json(value: Mapping[str, Any]) -> AccessList:
    return AccessList(
        tuple(frozenset(map(PrincipalId, clause)) for clause in value["clauses"]),
        frozenset(map(PrincipalId, value["denied"])),
        frozenset(
            Expiry(clause, PrincipalId(one), datetime.fromisoformat(at))
            for clause, one, at in value.get("expiries", ())
        ),
    )


# --- text ---------------------------------------------------------------------------------------


def storable(value: str) -> str:
    """`value` as every database, index and model takes it: NUL and lone surrogates become U+FFFD,
    and each character stays in its place."""
    if "\0" not in value and value.isascii():
        return value
    value = value.replace("\0", "\ufffd")
    try:
        value.encode()
    except UnicodeEncodeError:
        return "".join("\ufffd" if "\ud800" <= char <= "\udfff" else char for char in value)
    return value
