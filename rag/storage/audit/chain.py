"""How an event becomes an entry: canonical JSON, and a hash over it and the entry before it."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import rfc8785

from rag.audit import AuditEvent, TextPolicy
from rag.storage.audit.sealing import MasterKey, PersonKey
from rag.trail import Sent

FORM = 1
"""Version of the body's shape."""
NOTHING_BEFORE = "0" * 64

Redact = Callable[[str], str]


def hash_of(previous: str, body: bytes) -> str:
    """SHA-256 over the hash before and the canonical body, as hexadecimal digits."""
    return hashlib.sha256(previous.encode() + b"\n" + body).hexdigest()


def canonical(value: Mapping[str, Any]) -> bytes:
    """RFC 8785: one way to write a JSON value, so that a hash over it means something."""
    return rfc8785.dumps(dict(value))


def segment_of(at: datetime) -> str:
    """The month, in UTC."""
    return at.astimezone(UTC).strftime("%Y-%m")


@dataclass(frozen=True, slots=True, kw_only=True)
class Writing:
    """How much of what people write is kept, and by what."""

    key: MasterKey
    text: TextPolicy
    redact: Redact

    def pseudonym(self, event: AuditEvent) -> str:
        return self.key.pseudonym(event.tenant, event.principal)

    def body(self, event: AuditEvent, person: PersonKey, *, sequence: int, at: datetime) -> bytes:
        """The entry's canonical JSON. What tells of the person is sealed with their key."""
        return canonical(
            {
                "form": FORM,
                "tenant": event.tenant,
                "sequence": sequence,
                "at": at.isoformat(),
                "action": event.action,
                "decision": event.decision,
                "who": {"pseudonym": self.pseudonym(event), "sealed": person.seal(event.principal)},
                "application": event.application,
                "on_behalf_of": event.on_behalf_of,
                "trace": event.trace,
                "text": self._text(event, person),
                "versions": dict(event.versions),
                "shown": _listed(event.shown),
                "sent": _listed(event.sent),
                "classification": event.classification,
                "cost": event.cost,
                "tokens": [
                    event.usage.input_tokens,
                    event.usage.output_tokens,
                    event.usage.cached_tokens,
                ],
                "verdicts": [list(verdict) for verdict in event.verdicts],
            }
        )

    def _text(self, event: AuditEvent, person: PersonKey) -> Mapping[str, str]:
        texts = {"question": event.question, "answer": event.answer}
        kept = {"policy": self.text}
        for name, text in texts.items():
            if not text or self.text == "none":
                continue
            if self.text == "hashes":
                kept[name] = self.key.keyed_hash(event.tenant, text)
            else:
                kept[name] = person.seal(self.redact(text) if self.text == "redacted" else text)
        return kept


def _listed(passages: Sequence[Sent]) -> list[list[str]]:
    return [[each.document, each.version, each.chunk] for each in passages]
