"""The metadata fields that a filter may name."""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Text, bindparam, select, type_coerce

from rag.access import AccessScope
from rag.storage.database import Database
from rag.storage.documents.passages import access_of
from rag.storage.moments import now
from rag.storage.tables import MetadataFieldRow
from rag.types import BUILT_IN_FIELDS


@dataclass(frozen=True, slots=True)
class FilterFields:
    """Errors: `StorageUnavailable`."""

    database: Database
    clock: Callable[[], datetime] = now

    async def known(self, names: Collection[str], *, scope: AccessScope) -> frozenset[str]:
        """Those of `names` that a filter may name: the fields that every document may have, and
        those that documents for this scope have had. A field of other documents is unknown."""
        asked = frozenset(names)
        known = asked.intersection(BUILT_IN_FIELDS)
        if known == asked:
            return known
        named = {"tenant": scope.tenant, "names": sorted(asked - known)}
        moment = self.clock()
        return known.union(
            row.name
            for row in await self.database.rows(_FIELDS, named)
            if scope.admits(scope.tenant, access_of(row.access), at=moment)
        )


_FIELDS = select(
    MetadataFieldRow.name, type_coerce(MetadataFieldRow.access, Text).label("access")
).where(
    MetadataFieldRow.tenant == bindparam("tenant"),
    MetadataFieldRow.name.in_(bindparam("names", expanding=True)),
)
