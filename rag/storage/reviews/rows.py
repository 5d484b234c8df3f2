"""What a flag is as a row of the queue."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from rag.audit import AuditEvent
from rag.storage.tables import ID_LENGTH

OPEN = "open"


def flag_rows(event: AuditEvent, *, sequence: int, at: datetime) -> Sequence[dict[str, Any]]:
    """Those of the entry `sequence`, to be inserted with it."""
    return [
        {
            "tenant": event.tenant,
            "sequence": sequence,
            "ordinal": ordinal,
            "at": at,
            "trace": event.trace,
            "use_case": flag.use_case.value,
            "check_name": flag.check[:ID_LENGTH],
            "direction": flag.direction,
            "score": flag.score,
            "kinds": list(flag.kinds),
            "policy": flag.policy,
            "state": OPEN,
        }
        for ordinal, flag in enumerate(event.flags, start=1)
    ]
