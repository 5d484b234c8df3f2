"""A check that remembers what it said: passages come back with every question that they answer."""

import hashlib
from collections import OrderedDict
from collections.abc import Coroutine
from dataclasses import dataclass, field
from typing import Any

from rag.guardrails.checks import Check, NotRun, Report, Said, Scanned


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

    def scan(self, scanned: Scanned) -> Said | Coroutine[Any, Any, Said]:
        if scanned.direction != "evidence":
            return self.inner.scan(scanned)
        key = hashlib.blake2b(scanned.text.encode(errors="surrogatepass"), digest_size=16).digest()
        known = self._said.get(key)
        if known is not None:
            self._said.move_to_end(key)
            return known
        said = self.inner.scan(scanned)
        if isinstance(said, Report | NotRun):
            return self._kept(key, said)
        return self._later(key, said)

    async def _later(self, key: bytes, said: Coroutine[Any, Any, Said]) -> Said:
        return self._kept(key, await said)

    def _kept(self, key: bytes, said: Said) -> Said:
        if isinstance(said, Report):
            self._said[key] = said
            while len(self._said) > self.most:
                self._said.popitem(last=False)
        return said
