"""A check that remembers what it said: passages come back with every question that they answer."""

import hashlib
from collections import OrderedDict
from dataclasses import dataclass, field

from rag.guardrails.checks import Check, NotRun, Report, Scanned


@dataclass(frozen=True, slots=True)
class Remembering:
    """Wraps a `Check` that goes by the text alone. Only evidence is remembered, by its hash, and
    what was used longest ago is forgotten first."""

    inner: Check
    most: int = 16_384
    _said: OrderedDict[bytes, Report] = field(
        default_factory=OrderedDict[bytes, Report], init=False, repr=False
    )

    @property
    def name(self) -> str:
        return self.inner.name

    async def scan(self, scanned: Scanned) -> Report | NotRun:
        if scanned.direction != "evidence":
            return await self.inner.scan(scanned)
        key = hashlib.blake2b(scanned.text.encode(errors="surrogatepass"), digest_size=16).digest()
        known = self._said.get(key)
        if known is not None:
            self._said.move_to_end(key)
            return known
        said = await self.inner.scan(scanned)
        if isinstance(said, Report):
            self._said[key] = said
            while len(self._said) > self.most:
                self._said.popitem(last=False)
        return said
