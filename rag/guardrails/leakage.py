"""What an answer must not tell: secrets, the system prompt, personal data that nobody gave it.

The check `leakage`. Personal data may be said where the asker wrote it or the evidence has it:
whoever reads the answer may read the evidence. Secrets may not, wherever they come from. All of it
is found by form; names are left to the check of the answer against its evidence.
"""

import asyncio
import re
from collections.abc import Coroutine, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Protocol

from rag.guardrails.checks import Finding, NotRun, Report, Said, Scanned
from rag.guardrails.hits import Hit, apart
from rag.guardrails.personal_data import IDENTIFYING, patterns_in
from rag.guardrails.secrets import secrets_in
from rag.types import Span

_AT_ONCE_CHARACTERS = 4_000
_WORD = re.compile(r"\w+")
_RUN = 12
"""Words that an answer and the system prompt share by accident only where both quote the same."""
_PART = 8
"""Characters of the canary that no text has in a row by accident, a digit among them."""
_DIGIT = re.compile(r"\d")
_NO_SIGN = re.compile(r"[\W_]+")
"""What is neither a letter nor a digit."""


class CanaryOf(Protocol):
    def __call__(self) -> str:
        """The canary in the system prompts of this process; empty where there is none."""
        ...


def no_canary() -> str:
    return ""


@dataclass(frozen=True, slots=True, kw_only=True)
class LeakageCheck:
    canary: CanaryOf = no_canary

    @property
    def name(self) -> str:
        return "leakage"

    def scan(self, scanned: Scanned) -> Said | Coroutine[Any, Any, Said]:
        if not scanned.text.strip():
            return NotRun("there is no text")
        if len(scanned.text) <= _AT_ONCE_CHARACTERS:
            return self.look(scanned)
        return asyncio.to_thread(self.look, scanned)

    def look(self, scanned: Scanned) -> Report:
        findings = tuple(self._findings(scanned))
        return Report(max((finding.score for finding in findings), default=0.0), findings)

    def _findings(self, scanned: Scanned) -> Iterator[Finding]:
        text = scanned.text
        yield from _finding_of(apart(secrets_in(text)))
        yield from _finding_of(_canaries(text, self.canary()))
        if scanned.system:
            yield from _finding_of(_quotes(text, scanned))
        yield from _finding_of(_foreign(text, scanned))


def _finding_of(hits: Iterator[Hit] | list[Hit]) -> Iterator[Finding]:
    for hit in hits:
        yield Finding(hit.kind, 1.0, Span(hit.start, hit.end))


# --- the system prompt ----------------------------------------------------------------------------


def _canaries(text: str, canary: str) -> Iterator[Hit]:
    """The canary or a part of it, forwards or backwards, whatever stands between its characters."""
    parts = _parts_of(canary)
    # Nearly no text holds one: then nobody needs to know where its letters stand.
    letters = _NO_SIGN.sub("", text.lower())
    if not any(part in letters for part in parts):
        return
    places = [at for at, sign in enumerate(text) if sign.isalnum()]
    # Of a letter that is longer when it is small, the first sign: places stay places.
    bare = "".join(text[at].lower()[0] for at in places)
    for part in parts:
        if (at := bare.find(part)) >= 0:
            yield Hit(places[at], places[at + _PART - 1] + 1, "canary")
            return


@lru_cache(maxsize=16)
def _parts_of(canary: str) -> tuple[str, ...]:
    wanted = "".join(filter(str.isalnum, canary)).lower()
    return tuple(
        told[start : start + _PART]
        for told in (wanted, wanted[::-1])
        for start in range(len(told) - _PART + 1)
        if _DIGIT.search(told, start, start + _PART)
    )


def _quotes(text: str, scanned: Scanned) -> Iterator[Hit]:
    """Runs of `_RUN` words that stand in the system prompt and in nothing that may be quoted."""
    runs = _runs_of(scanned.system)
    words = [(match[0].lower(), match.start(), match.end()) for match in _WORD.finditer(text)]
    may_be_quoted: str | None = None
    for at in range(len(words) - _RUN + 1):
        run = " ".join(word for word, _, _ in words[at : at + _RUN])
        if run not in runs:
            continue
        if may_be_quoted is None:
            may_be_quoted = _words_of("\n".join((scanned.question, *_of_evidence(scanned))))
        if f" {run} " not in f" {may_be_quoted} ":
            yield Hit(words[at][1], words[at + _RUN - 1][2], "system_prompt")


@lru_cache(maxsize=64)
def _runs_of(system: str) -> frozenset[str]:
    """A system prompt is the same for thousands of pieces of answers."""
    words = _words_of(system).split()
    return frozenset(" ".join(words[at : at + _RUN]) for at in range(len(words) - _RUN + 1))


def _words_of(text: str) -> str:
    """In lower case, with single spaces between them."""
    return " ".join(_WORD.findall(text.lower()))


# --- personal data --------------------------------------------------------------------------------


def _foreign(text: str, scanned: Scanned) -> Iterator[Hit]:
    """Personal data that stands neither in the question nor in the evidence."""
    known: str | None = None
    for hit in apart(patterns_in(text)):
        if hit.kind not in IDENTIFYING:
            continue
        value = _bare(text[hit.start : hit.end])
        if known is None:
            known = _bare("\n".join((scanned.question, *_of_evidence(scanned))))
        if value and value not in known:
            yield hit


def _of_evidence(scanned: Scanned) -> Iterator[str]:
    for each in scanned.evidence:
        yield each.hit.chunk.header
        yield each.text


def _bare(text: str) -> str:
    """Letters and digits alone, in lower case: a number is the same however it is grouped."""
    return "".join(filter(str.isalnum, text.lower()))
