"""Earlier messages of a chat, which an app sends along with each new one: what a check flags in them is
looked at once, however often they come."""

import hashlib
import secrets
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from rag.guardrails.checks import Scanned
from rag.guardrails.flow import Guardrails
from rag.trail import Account, GuardVerdict, Trail

_MOST_DROPPED = 32


@dataclass(frozen=True, slots=True)
class SaidBefore:
    """Remembers, in this process, whose messages were flagged by which checks: by a keyed hash of
    them, and what was used longest ago is forgotten first. What is not known is new."""

    most: int = 16_384
    _key: bytes = field(default_factory=lambda: secrets.token_bytes(32), init=False, repr=False)
    _flagged: OrderedDict[bytes, frozenset[str]] = field(
        default_factory=OrderedDict[bytes, frozenset[str]], init=False, repr=False
    )

    async def mark(
        self, messages: Sequence[str], scanned: Scanned, guardrails: Guardrails, trail: Trail
    ) -> None:
        """Mark those flags on `trail` as repeated that the messages before the last one had raised
        when they were sent, and that the last does not raise by itself. `scanned` is all of them."""
        flagged = _flagging(trail.verdicts)
        if not flagged:
            return
        *earlier, last = messages
        known = self._flagged.get(self._name(trail.account, earlier), frozenset()) & flagged
        if known:
            alone = replace(trail, verdicts=[])
            await guardrails.check(replace(scanned, text=last, question=last), alone)
            known -= _flagging(alone.verdicts)
        trail.verdicts[:] = [
            replace(each, repeated=True) if _flags(each) and each.check in known else each
            for each in trail.verdicts
        ]
        # An app may send the latest messages alone: those after the first are a chat's, too.
        for at in range(min(len(messages), _MOST_DROPPED)):
            name = self._name(trail.account, messages[at:])
            self._flagged[name] = flagged
            self._flagged.move_to_end(name)
        while len(self._flagged) > self.most:
            self._flagged.popitem(last=False)

    def _name(self, account: Account, messages: Sequence[str]) -> bytes:
        digest = hashlib.blake2b(key=self._key, digest_size=16)
        for part in (account.tenant, account.user, account.application or "", *messages):
            said = part.encode(errors="surrogatepass")
            digest.update(len(said).to_bytes(8) + said)
        return digest.digest()


def _flags(verdict: GuardVerdict) -> bool:
    return verdict.direction == "input" and verdict.standing == "flagged"


def _flagging(verdicts: Sequence[GuardVerdict]) -> frozenset[str]:
    return frozenset(each.check for each in verdicts if _flags(each))
