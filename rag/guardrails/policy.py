"""What is done about what the checks find: by tenant and use case, each policy with a version."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Literal

from rag.access import TenantId
from rag.errors import ConfigurationError
from rag.trail import Direction, UseCase


class Action(StrEnum):
    """What follows where a check finds something, mildest first."""

    ALLOW = "allow"
    """Nothing; the verdict tells of it all the same."""
    FLAG = "flag"
    """It goes on, and a person may look at it later."""
    MASK = "mask"
    """What was found is taken out of the text, and the rest goes on."""
    BLOCK = "block"


class Stage(StrEnum):
    """When an output is checked. Input and evidence are always checked whole."""

    PIECE = "piece"
    """Before every piece that is released: for what is cheap and sees a few words at a time."""
    SENTENCE = "sentence"
    ANSWER = "answer"
    """When all of it is there. What was released by then is retracted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """What a policy wants of one check in one direction."""

    action: Action = Action.BLOCK
    threshold: float = 0.5
    """From this score on, `action`."""
    flag_from: float | None = None
    """From this score on, a flag, where `threshold` is not reached."""
    kinds: Mapping[str, Action] = field(default_factory=lambda: MappingProxyType({}))
    """Another action for findings of these kinds."""
    on_error: Literal["open", "closed"] = "open"
    """What follows where the check could not look: `closed` blocks."""
    timeout_s: float = 2.0
    stage: Stage = Stage.ANSWER
    dry_run: bool = False
    """Only watch: the verdict is written down, and nothing is done."""


class Passages(StrEnum):
    """What becomes of a passage that a check of the evidence blocks."""

    DROP = "drop"
    QUOTE = "quote"
    """It stays as evidence, its hostile sentences taken out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Classification:
    """Which documents may be sent to a model at all, by their `access_level`."""

    levels: tuple[str, ...] = ("public", "internal", "confidential", "restricted")
    """Least confidential first."""
    unknown: str = "confidential"
    """What a document without a level, or with one that is not listed, counts as."""
    actions: Mapping[str, Action] = field(default_factory=lambda: MappingProxyType({}))
    """By level; `allow` where nothing is said."""

    def level_of(self, level: object) -> str:
        return level if isinstance(level, str) and level in self.levels else self.unknown

    def rank_of(self, level: str) -> int:
        return self.levels.index(self.level_of(level))

    def action_on(self, level: str) -> Action:
        return self.actions.get(self.level_of(level), Action.ALLOW)


@dataclass(frozen=True, slots=True, kw_only=True)
class TopicRules:
    """What may be talked of. Topics are those that the file describes, and the ones we ship."""

    allowed: tuple[str, ...] = ()
    """Nothing but these, where there are any."""
    denied: tuple[str, ...] = ()
    described: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: MappingProxyType({}))
    """How the file describes those of them that it does: other words make another policy."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """What holds for one tenant and one use case."""

    input: Mapping[str, Rule]
    """Check name to rule; a check that is not named is not asked."""
    evidence: Mapping[str, Rule]
    output: Mapping[str, Rule]
    dry_run: bool = False
    """Only watch, whatever the rules say."""
    strict: bool = False
    """Release nothing of an output before all of it was checked."""
    hold_back: int = 16
    """Characters of an output that wait for what comes after them."""
    passages: Passages = Passages.DROP
    max_characters: int = 16_000
    """Of an input, for the `length` check."""
    classification: Classification = field(default_factory=Classification)
    topics: TopicRules = field(default_factory=TopicRules)
    languages: tuple[str, ...] = ()
    """ISO 639-1 codes that may be asked in; empty: any."""
    version: str = field(default="", compare=False)
    """Hash of everything above: a cache may keep what it judged for as long as this stays."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "version", _version_of(self))

    def rules(self, direction: Direction) -> Mapping[str, Rule]:
        match direction:
            case "input":
                return self.input
            case "evidence":
                return self.evidence
            case "output":
                return self.output


@dataclass(frozen=True, slots=True, kw_only=True)
class Policies:
    """The policy for each tenant and use case. The most particular that is there holds."""

    default: Policy
    use_cases: Mapping[UseCase, Policy] = field(default_factory=lambda: MappingProxyType({}))
    tenants: Mapping[TenantId, Policy] = field(default_factory=lambda: MappingProxyType({}))
    tenant_use_cases: Mapping[tuple[TenantId, UseCase], Policy] = field(
        default_factory=lambda: MappingProxyType({})
    )
    topics: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: MappingProxyType({}))
    """Topic to the words and short sentences that describe it, beside the topics we ship."""

    def of(self, tenant: TenantId, use_case: UseCase) -> Policy:
        particular = self.tenant_use_cases.get((tenant, use_case)) or self.tenants.get(tenant)
        return particular or self.use_cases.get(use_case) or self.default

    def all(self) -> tuple[Policy, ...]:
        return (
            self.default,
            *self.use_cases.values(),
            *self.tenants.values(),
            *self.tenant_use_cases.values(),
        )

    def require(self, checks: set[str]) -> None:
        """Raises `ConfigurationError` where a policy names a check that is not among `checks`."""
        named = {
            name
            for policy in self.all()
            for rules in (policy.input, policy.evidence, policy.output)
            for name in rules
        }
        if unknown := named - checks:
            raise ConfigurationError(
                f"guardrails: no check is called {', '.join(sorted(unknown))};"
                f" there are {', '.join(sorted(checks))}"
            )


def _version_of(policy: Policy) -> str:
    written = json.dumps(_plain(policy), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(written.encode()).hexdigest()[:12]


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(name): _plain(each) for name, each in value.items()}  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
    if isinstance(value, tuple):
        return [_plain(each) for each in value]  # pyright: ignore[reportUnknownVariableType]
    if isinstance(value, Rule | Classification | TopicRules | Policy):
        return {
            each.name: _plain(getattr(value, each.name))
            for each in fields(value)
            if each.name != "version"
        }
    return value
