"""The audit of a process: its keys, what is kept of texts, and the upkeep of its chains."""

import asyncio
import logging
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import datetime

from api.settings import Settings
from rag.errors import Error
from rag.guardrails.hits import masked
from rag.guardrails.identifiers import identifiers_in
from rag.guardrails.secrets import secrets_in
from rag.storage.audit.anchors import append_anchors, current_anchors
from rag.storage.audit.chain import Redact, Writing
from rag.storage.audit.ledger import Audit
from rag.storage.audit.sealing import MasterKey, master_key_in, master_key_of
from rag.storage.audit.segments import drop_before, seal_what_is_over
from rag.storage.database import Database

log = logging.getLogger(__name__)


@asynccontextmanager
async def open_audit(
    settings: Settings, database: Database, *, redact: Redact
) -> AsyncGenerator[Audit]:
    """The audit, and in the background its anchors, seals and retention.

    Raises `ConfigurationError` for a key that is none.
    """
    audit = build_audit(settings, database, redact=redact)
    upkeep = asyncio.create_task(_keep(audit, settings))
    try:
        yield audit
    finally:
        upkeep.cancel()
        await asyncio.gather(upkeep, return_exceptions=True)
        await audit.aclose()
        await _keep_once(audit, settings, _Exported())


def build_audit(settings: Settings, database: Database, *, redact: Redact) -> Audit:
    writing = Writing(key=_master_key(settings), text=settings.audit.text, redact=redact)
    return Audit(database, writing)


def redacted(text: str) -> str:
    """`text` without secrets and without personal data that has a form of its own."""
    return masked(masked(text, secrets_in), identifiers_in)


def _master_key(settings: Settings) -> MasterKey:
    if settings.audit.key is not None:
        return master_key_of(settings.audit.key.get_secret_value())
    return master_key_in(settings.data_dir / "keys" / "audit.key")


class _Exported:
    """Where each tenant's chain ended when it was last anchored."""

    def __init__(self) -> None:
        self.sequences: dict[str, int] = {}


async def _keep(audit: Audit, settings: Settings) -> None:
    exported = _Exported()
    while True:
        await asyncio.sleep(settings.audit.anchor_every_s)
        await _keep_once(audit, settings, exported)


async def _keep_once(audit: Audit, settings: Settings, exported: _Exported) -> None:
    try:
        anchors = [
            anchor
            for anchor in await current_anchors(audit)
            if exported.sequences.get(anchor.tenant) != anchor.sequence
        ]
        if anchors:
            await asyncio.to_thread(append_anchors, settings.audit_anchor_file, anchors)
            exported.sequences |= {anchor.tenant: anchor.sequence for anchor in anchors}
        await seal_what_is_over(audit)
        if settings.audit.retention_months is not None:
            await drop_before(audit, month_before(audit.clock(), settings.audit.retention_months))
    except Error as error:
        # It is tried again at the next round: nothing is lost meanwhile.
        log.warning("the audit's upkeep failed", extra={"cause": type(error).__name__})


def month_before(moment: datetime, months: int) -> str:
    """The month that lies `months` before that of `moment`, as segments are named."""
    count = moment.year * 12 + moment.month - 1 - months
    return f"{count // 12:04d}-{count % 12 + 1:02d}"
