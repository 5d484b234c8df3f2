"""Reads guardrail policies from a YAML file, over the ones we ship. Every mistake is named."""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, Literal, Self, TypeVar, cast

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from rag.access import TenantId
from rag.adapters.strict_yaml import parse_yaml
from rag.errors import ConfigurationError, ParseError
from rag.guardrails.default_policy import DEFAULT
from rag.guardrails.policy import (
    Action,
    Classification,
    Passages,
    Policies,
    Policy,
    Rule,
    Stage,
    TopicRules,
)
from rag.trail import UseCase

Score = Annotated[float, Field(ge=0, le=1)]
Named = Annotated[str, Field(min_length=1, max_length=64)]
Sentence = Annotated[str, Field(min_length=1, max_length=500)]
PartT = TypeVar("PartT", bound=BaseModel)


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _RulePart(_Part):
    action: Action = Action.BLOCK
    threshold: Score = 0.5
    flag_from: Score | None = None
    kinds: dict[Named, Action] = Field(default_factory=dict)
    on_error: Literal["open", "closed"] = "open"
    timeout_s: float = Field(default=2.0, gt=0, le=60)
    stage: Stage = Stage.ANSWER
    dry_run: bool = False
    enabled: bool = True

    def rule(self) -> Rule:
        return Rule(
            action=self.action,
            threshold=self.threshold,
            flag_from=self.flag_from,
            kinds=MappingProxyType(dict(self.kinds)),
            on_error=self.on_error,
            timeout_s=self.timeout_s,
            stage=self.stage,
            dry_run=self.dry_run,
        )


class _ClassificationPart(_Part):
    levels: tuple[Named, ...] = Field(min_length=1)
    unknown: Named
    actions: dict[Named, Action] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _levels_are_known(self) -> Self:
        for level in (self.unknown, *self.actions):
            if level not in self.levels:
                raise ValueError(f"{level!r} is none of the levels {', '.join(self.levels)}")
        if Action.MASK in self.actions.values():
            raise ValueError("a level is allowed, flagged or blocked; personal data is masked")
        return self


class _TopicsPart(_Part):
    allowed: tuple[Named, ...] = ()
    denied: tuple[Named, ...] = ()


class _PolicyPart(_Part):
    input: dict[Named, _RulePart] = Field(default_factory=dict)
    evidence: dict[Named, _RulePart] = Field(default_factory=dict)
    output: dict[Named, _RulePart] = Field(default_factory=dict)
    dry_run: bool = False
    strict: bool = False
    hold_back: int = Field(default=16, ge=0, le=2_000)
    passages: Passages = Passages.DROP
    max_characters: int = Field(default=16_000, ge=1)
    classification: _ClassificationPart
    topics: _TopicsPart = Field(default_factory=_TopicsPart)
    languages: tuple[Annotated[str, Field(pattern=r"^[a-z]{2,3}$")], ...] = ()

    @model_validator(mode="after")
    def _only_an_output_is_masked(self) -> Self:
        for where, rules in (("input", self.input), ("evidence", self.evidence)):
            for name, rule in rules.items():
                if Action.MASK in {rule.action, *rule.kinds.values()}:
                    raise ValueError(
                        f"{where}.{name}: `mask` is for outputs; what goes to a model outside is"
                        " masked by `masking`"
                    )
        return self

    def policy(self, described: Mapping[str, tuple[str, ...]]) -> Policy:
        topics = self.topics
        return Policy(
            input=_rules(self.input),
            evidence=_rules(self.evidence),
            output=_rules(self.output),
            dry_run=self.dry_run,
            strict=self.strict,
            hold_back=self.hold_back,
            passages=self.passages,
            max_characters=self.max_characters,
            classification=Classification(
                levels=self.classification.levels,
                unknown=self.classification.unknown,
                actions=MappingProxyType(dict(self.classification.actions)),
            ),
            topics=TopicRules(
                allowed=topics.allowed,
                denied=topics.denied,
                described=MappingProxyType(
                    {
                        name: tuple(described[name])
                        for name in (*topics.allowed, *topics.denied)
                        if name in described
                    }
                ),
            ),
            languages=self.languages,
        )


class _TenantPart(_Part):
    all: dict[str, Any] = Field(default_factory=dict)
    use_cases: dict[UseCase, dict[str, Any]] = Field(default_factory=dict[UseCase, dict[str, Any]])


class _FilePart(_Part):
    default: dict[str, Any] = Field(default_factory=dict)
    use_cases: dict[UseCase, dict[str, Any]] = Field(default_factory=dict[UseCase, dict[str, Any]])
    tenants: dict[Named, _TenantPart] = Field(default_factory=dict)
    topics: dict[Named, tuple[Sentence, ...]] = Field(default_factory=dict)


def read_policies(path: Path | None) -> Policies:
    """The policies of the file at `path`; without one, those that we ship.

    A policy says only what is different: of a tenant's use case over the tenant's, over the use
    case's, over the default's, over the shipped one. Raises `ConfigurationError`, one line for
    each mistake.
    """
    if path is None:
        return policies_of({}, name="guardrails")
    try:
        written = parse_yaml(path.read_bytes())
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read: {error.strerror}") from error
    except ParseError as error:
        raise ConfigurationError(f"{path}: {error}") from error
    if written is not None and not isinstance(written, dict):
        raise ConfigurationError(f"{path}: a mapping is expected, such as `default:`")
    return policies_of(cast("dict[str, Any]", written or {}), name=str(path))


def policies_of(written: Mapping[str, Any], *, name: str) -> Policies:
    """The same from what the file holds; `name` is what mistakes are told of."""
    file = _validated(_FilePart, written, (name,))
    default = _merged(DEFAULT, file.default)
    use_cases = {use: _merged(default, part) for use, part in file.use_cases.items()}

    def policy(merged: Mapping[str, Any], *where: str) -> Policy:
        return _validated(_PolicyPart, merged, (name, *where)).policy(file.topics)

    tenants: dict[TenantId, Policy] = {}
    tenant_use_cases: dict[tuple[TenantId, UseCase], Policy] = {}
    for tenant, part in file.tenants.items():
        tenants[TenantId(tenant)] = policy(_merged(default, part.all), "tenants", tenant, "all")
        for use in UseCase:
            own = part.use_cases.get(use, {})
            if own or use in use_cases:
                merged = _merged(_merged(use_cases.get(use, default), part.all), own)
                where = ("tenants", tenant, "use_cases", use)
                tenant_use_cases[TenantId(tenant), use] = policy(merged, *where)
    return Policies(
        default=policy(default, "default"),
        use_cases=MappingProxyType(
            {use: policy(merged, "use_cases", use) for use, merged in use_cases.items()}
        ),
        tenants=MappingProxyType(tenants),
        tenant_use_cases=MappingProxyType(tenant_use_cases),
        topics=MappingProxyType(dict(file.topics)),
    )


def _rules(parts: Mapping[str, _RulePart]) -> Mapping[str, Rule]:
    return MappingProxyType({name: part.rule() for name, part in parts.items() if part.enabled})


def _merged(under: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """`over` laid on `under`: mappings into one another, everything else in its place."""
    merged = dict(under)
    for name, value in over.items():
        below = merged.get(name)
        both = isinstance(below, Mapping) and isinstance(value, Mapping)
        merged[name] = (
            _merged(cast("Mapping[str, Any]", below), cast("Mapping[str, Any]", value))
            if both
            else value
        )
    return merged


def _validated(part: type[PartT], written: Mapping[str, Any], where: tuple[str, ...]) -> PartT:
    try:
        return part.model_validate(written)
    except ValidationError as error:
        lines = [
            f"{': '.join((where[0], '.'.join((*where[1:], *map(str, each['loc'])))))}: {each['msg']}"
            for each in error.errors(include_input=False, include_url=False, include_context=False)
        ]
        raise ConfigurationError("\n".join(lines)) from None
