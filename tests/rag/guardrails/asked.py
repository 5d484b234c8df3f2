"""Checks that behave, and what they are asked about."""

import asyncio
import re
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from rag.access import PrincipalId, TenantId
from rag.guardrails.checks import Check, Finding, NotRun, Report, Said, Scanned
from rag.guardrails.flow import Guardrails
from rag.guardrails.policy import Policies, Policy, Rule
from rag.trail import Account, Direction, GuardVerdict, RequestId, Trail, UseCase
from rag.types import Span

ACME = TenantId("acme")


@dataclass(frozen=True, slots=True)
class Forbids:
    """Finds a word, every time it stands there."""

    word: str
    name: str = "words"
    kind: str = "word"
    at_once: bool = False

    def scan(self, scanned: Scanned) -> Said | Coroutine[Any, Any, Said]:
        return self._report(scanned) if self.at_once else self._later(scanned)

    async def _later(self, scanned: Scanned) -> Said:
        return self._report(scanned)

    def _report(self, scanned: Scanned) -> Report:
        found = tuple(
            Finding(self.kind, 1.0, Span(match.start(), match.end()))
            for match in re.finditer(re.escape(self.word), scanned.text)
        )
        return Report(1.0 if found else 0.0, found)


@dataclass(frozen=True, slots=True)
class Scores:
    """Says the same of every text, and where it is asked to, not before."""

    score: float
    name: str = "scores"
    gate: asyncio.Event | None = None
    findings: tuple[Finding, ...] = ()

    async def scan(self, scanned: Scanned) -> Report | NotRun:
        _ = scanned
        if self.gate is not None:
            await self.gate.wait()
        return Report(self.score, self.findings)


@dataclass(frozen=True, slots=True)
class Fails:
    name: str = "fails"

    async def scan(self, scanned: Scanned) -> Report | NotRun:
        raise ValueError(f"cannot read {scanned.text}")


@dataclass(frozen=True, slots=True)
class Blind:
    name: str = "blind"

    async def scan(self, scanned: Scanned) -> Report | NotRun:
        _ = scanned
        return NotRun("there is nothing to compare with")


@dataclass(slots=True)
class Notes:
    """Finds nothing, and remembers what it was shown."""

    name: str = "notes"
    seen: list[str] = field(default_factory=list[str])

    async def scan(self, scanned: Scanned) -> Report | NotRun:
        self.seen.append(scanned.text)
        return Report(0.0)


def trail(use_case: UseCase = UseCase.ASK) -> Trail:
    account = Account(tenant=ACME, user=PrincipalId("user:1"))
    return Trail(request=RequestId("r1"), account=account, use_case=use_case, endpoint="/v1/ask")


def scanned(text: str = "", direction: Direction = "input") -> Scanned:
    return Scanned(text=text, direction=direction, tenant=ACME, use_case=UseCase.ASK)


def policy(
    *,
    input: Mapping[str, Rule] = MappingProxyType({}),  # noqa: A002 - a direction's name
    evidence: Mapping[str, Rule] = MappingProxyType({}),
    output: Mapping[str, Rule] = MappingProxyType({}),
    dry_run: bool = False,
    strict: bool = False,
    hold_back: int = 0,
) -> Policy:
    return Policy(
        input=input,
        evidence=evidence,
        output=output,
        dry_run=dry_run,
        strict=strict,
        hold_back=hold_back,
    )


def guardrails(checks: list[Check], default: Policy) -> Guardrails:
    return Guardrails(checks=checks, policies=Policies(default=default))


def told(verdicts: list[GuardVerdict]) -> dict[str, str]:
    return {verdict.check: verdict.standing for verdict in verdicts}
