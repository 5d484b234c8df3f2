"""Personal data in a text, found as thoroughly as a policy asks, and the check that reports it."""

import asyncio
import re
from collections import OrderedDict
from collections.abc import Coroutine, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from hashlib import blake2b
from secrets import token_bytes
from threading import Lock
from typing import Any, Protocol

from rag.errors import ConfigurationError
from rag.guardrails.checks import Finding, NotRun, Report, Said, Scanned
from rag.guardrails.hits import Hit, covering
from rag.guardrails.likely_names import likely_names_in
from rag.guardrails.personal_data import IDENTIFYING, patterns_in
from rag.guardrails.secrets import secrets_in
from rag.types import Span

_AT_ONCE_CHARACTERS = 1_500
"""Longer texts are looked through in a thread: the event loop waits for nobody over 2 ms."""

_NUMBERED = re.compile(r"^(?=\[\d{1,3}\] )", re.MULTILINE)


class Depth(StrEnum):
    """How hard personal data is looked for, each with all that the ones above it find."""

    PATTERNS = "patterns"
    """What has a form: numbers, addresses, dates of birth. Names are not found."""
    LIKELY = "likely"
    """And whatever may be a name, a place or a number: false alarms, but hardly a miss."""
    THOROUGH = "thorough"
    """And what a named-entity model finds, which also tells people from places."""


class NameFinder(Protocol):
    async def find(self, text: str) -> Sequence[Hit]:
        """Names of people, places and organisations in `text`. Never blocks the event loop.

        Errors: `ModelUnavailable` where it cannot look.
        """
        ...


class Places:
    """Where something was found in passages that were looked through before.

    The same evidence is sent again and again: for a retry, for a judge, for the next question. It
    keeps keyed hashes of passages and places in them, and no text.
    """

    def __init__(self, *, most: int = 8_192) -> None:
        self._most = most
        self._key = token_bytes(32)
        self._kept: OrderedDict[bytes, tuple[Hit, ...]] = OrderedDict()
        self._lock = Lock()

    def key(self, text: str, how: str) -> bytes:
        said = f"{how} {text}".encode("utf-8", "surrogatepass")
        return blake2b(said, key=self._key, digest_size=16).digest()

    def get(self, key: bytes) -> tuple[Hit, ...] | None:
        with self._lock:
            if (hits := self._kept.get(key)) is not None:
                self._kept.move_to_end(key)
            return hits

    def put(self, key: bytes, hits: tuple[Hit, ...]) -> None:
        with self._lock:
            self._kept[key] = hits
            while len(self._kept) > self._most:
                self._kept.popitem(last=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonalData:
    """Finds personal data, and where it is asked to, secrets."""

    names: NameFinder | None = None
    """Needed for `Depth.THOROUGH` alone."""
    public: frozenset[str] = frozenset()
    """Words, in lower case, that name nobody here: the operator's own firm, products and sites."""
    places: Places = field(default_factory=Places, repr=False)

    async def find(self, text: str, *, depth: Depth, secrets: bool = False) -> list[Hit]:
        """In order and apart; what overlaps is one hit, of the kind that says most.

        Errors: those of the name finder, and `ConfigurationError` where one is needed and missing.
        """
        if (at_once := self.at_once(text, depth=depth, secrets=secrets)) is not None:
            return at_once
        how = f"{depth} {secrets}"
        hits: list[Hit] = []
        for start, passage in _passages(text):
            key = self.places.key(passage, how)
            found = self.places.get(key)
            if found is None:
                found = tuple(covering(await self._look(passage, depth, secrets=secrets)))
                self.places.put(key, found)
                await asyncio.sleep(0)  # a prompt has many passages: others come in between
            hits += _moved(found, start)
        return hits

    def at_once(self, text: str, *, depth: Depth, secrets: bool = False) -> list[Hit] | None:
        """The same, for texts so short that nobody needs to wait; None for others.

        Errors: `ConfigurationError`, as `find`.
        """
        if depth is Depth.THOROUGH:
            if self.names is None:
                raise ConfigurationError("thorough masking needs a name finder")
            return None
        if len(text) > _AT_ONCE_CHARACTERS:
            return None
        key = self.places.key(text, f"{depth} {secrets}")
        found = self.places.get(key)
        if found is None:
            found = tuple(
                covering(
                    hit
                    for start, passage in _passages(text)
                    for hit in _moved(self._found(passage, depth, secrets=secrets), start)
                )
            )
            self.places.put(key, found)
        return list(found)

    async def _look(self, passage: str, depth: Depth, *, secrets: bool) -> list[Hit]:
        if len(passage) <= _AT_ONCE_CHARACTERS:
            hits = self._found(passage, depth, secrets=secrets)
        else:
            hits = await asyncio.to_thread(self._found, passage, depth, secrets=secrets)
        if depth is Depth.THOROUGH and self.names is not None:
            named = await self.names.find(passage)
            hits += (hit for hit in named if not self._is_public(passage[hit.start : hit.end]))
        return hits

    def _found(self, text: str, depth: Depth, *, secrets: bool) -> list[Hit]:
        hits: list[Hit] = list(patterns_in(text))
        if secrets:
            hits += secrets_in(text)
        if depth is not Depth.PATTERNS:
            hits += likely_names_in(text, public=self.public)
        return hits

    def _is_public(self, value: str) -> bool:
        return bool(self.public) and self.public.issuperset(value.lower().split())


def _moved(hits: Iterable[Hit], by: int) -> Iterator[Hit]:
    for hit in hits:
        yield Hit(by + hit.start, by + hit.end, hit.kind) if by else hit


def _passages(text: str) -> Iterator[tuple[int, str]]:
    """Each numbered passage of `text` and where it starts, and what stands before the first."""
    starts = [match.start() for match in _NUMBERED.finditer(text)]
    if not starts or starts[0] > 0:
        starts.insert(0, 0)
    for start, end in zip(starts, [*starts[1:], len(text)], strict=True):
        yield start, text[start:end]


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonalDataCheck:
    """The check `pii`: what has a form.

    What a deeper look would find is left to masking: as a check it would be an alarm a sentence.
    """

    finder: PersonalData
    depth: Depth = Depth.PATTERNS

    @property
    def name(self) -> str:
        return "pii"

    def scan(self, scanned: Scanned) -> Said | Coroutine[Any, Any, Said]:
        if not scanned.text.strip():
            return NotRun("there is no text")
        hits = self.finder.at_once(scanned.text, depth=self.depth)
        return self._looked(scanned.text) if hits is None else self._report(hits)

    async def _looked(self, text: str) -> Report:
        return self._report(await self.finder.find(text, depth=self.depth))

    def _report(self, hits: Iterable[Hit]) -> Report:
        return report_of(hit for hit in hits if self._counts(hit))

    def _counts(self, hit: Hit) -> bool:
        return self.depth is not Depth.PATTERNS or hit.kind in IDENTIFYING


def report_of(hits: Iterable[Hit]) -> Report:
    """A hit is certain: what was found is of that form, whoever it belongs to."""
    findings = tuple(Finding(hit.kind, 1.0, Span(hit.start, hit.end)) for hit in hits)
    return Report(1.0 if findings else 0.0, findings)
