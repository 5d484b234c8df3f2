"""A version of a prompt: what it says, in which variants, and what names it. It never changes."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from typing import Any, NewType

from rag.access import TenantId

VersionKey = NewType("VersionKey", str)
"""Name, version and content: `answer/v1@0f3c9a71`."""

EVERY_TENANT = TenantId("")
"""Whose prompts those are that serve every tenant which has none of its own."""

NAME = re.compile(r"[a-z][a-z0-9_-]*")
PLACEHOLDER = re.compile(r"\{\{(\w+)\}\}")
_HEADING = re.compile(r"^# ([A-Z]+)\s*$", re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompt:
    """One variant of a version, in its four sections: what a model is given."""

    name: str
    version: str
    digest: str
    """The first 8 hex digits of the sha256 of the version's content."""
    system: str
    context: str
    instruction: str
    format: str
    locale: str = ""
    audience: str = ""
    temperature: float = 0.0
    max_output_tokens: int = 512

    @property
    def key(self) -> VersionKey:
        """The version, whatever the variant: what labels, rollouts and outcomes name."""
        return VersionKey(f"{self.name}/{self.version}@{self.digest}")

    @property
    def id(self) -> str:
        """As answers record it and caches keep them apart: `answer/v1@0f3c9a71`, and for a variant
        `answer/v1@0f3c9a71+de` or `answer/v1@0f3c9a71+de+staff`."""
        variant = [self.locale or "any"] * bool(self.locale or self.audience)
        return "+".join((self.key, *variant, *[self.audience] * bool(self.audience)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """The four sections, for a locale and an audience; empty is for any."""

    system: str
    context: str
    instruction: str
    format: str
    locale: str = ""
    """An ISO 639-1 code, such as `de`."""
    audience: str = ""

    @property
    def placeholders(self) -> frozenset[str]:
        texts = (self.system, self.context, self.instruction, self.format)
        return frozenset(str(name) for text in texts for name in PLACEHOLDER.findall(text))


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameters:
    """How a model is to be run with it."""

    temperature: float = 0.0
    max_output_tokens: int = 512


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """What makes a version this one and no other."""

    variants: tuple[Variant, ...]
    """The first is for any locale and audience."""
    parameters: Parameters = field(default_factory=Parameters)
    digest: str = field(init=False, repr=False, compare=False)
    """SHA-256 over all of it. Told once: every question asks for it."""

    def __post_init__(self) -> None:
        told = json.dumps(json_of_content(self), sort_keys=True)
        object.__setattr__(self, "digest", sha256(told.encode()).hexdigest())


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptVersion:
    """A version, whose it is, and what is known of it."""

    name: str
    version: str
    content: Content
    tenant: TenantId = EVERY_TENANT
    rationale: str = ""
    report: Mapping[str, Any] | None = None
    """What an evaluation with it found, as `rag eval golden --json` tells it."""
    created_at: datetime | None = None
    created_by: str = "shipped"

    @property
    def key(self) -> VersionKey:
        return VersionKey(f"{self.name}/{self.version}@{self.content.digest[:8]}")

    @property
    def ids(self) -> tuple[str, ...]:
        """`Prompt.id` of every variant."""
        return tuple(prompt.id for prompt in self.prompts())

    def prompts(self) -> tuple[Prompt, ...]:
        """Every variant."""
        return tuple(self._prompt(variant) for variant in self.content.variants)

    def prompt(self, *, locale: str = "", audience: str = "") -> Prompt:
        """The variant that fits best: for this locale and audience, else for this audience in any
        locale, else for this locale, else for anyone. `de-AT` counts as `de`."""
        language = locale.replace("_", "-").partition("-")[0].lower()
        by_kind = {(each.locale, each.audience): each for each in self.content.variants}
        for kind in ((language, audience), ("", audience), (language, "")):
            if kind in by_kind:
                return self._prompt(by_kind[kind])
        return self._prompt(by_kind["", ""])

    def _prompt(self, variant: Variant) -> Prompt:
        return Prompt(
            name=self.name,
            version=self.version,
            digest=self.content.digest[:8],
            system=variant.system,
            context=variant.context,
            instruction=variant.instruction,
            format=variant.format,
            locale=variant.locale,
            audience=variant.audience,
            temperature=self.content.parameters.temperature,
            max_output_tokens=self.content.parameters.max_output_tokens,
        )


_VARIANT_FIELDS = ("locale", "audience", "system", "context", "instruction", "format")


def json_of_content(content: Content) -> dict[str, Any]:
    """Equal contents give equal JSON."""
    return {
        "variants": [
            {name: getattr(variant, name) for name in _VARIANT_FIELDS}
            for variant in content.variants
        ],
        "temperature": content.parameters.temperature,
        "max_output_tokens": content.parameters.max_output_tokens,
    }


def content_of_json(value: Mapping[str, Any]) -> Content:
    return Content(
        variants=tuple(Variant(**variant) for variant in value["variants"]),
        parameters=Parameters(
            temperature=value["temperature"], max_output_tokens=value["max_output_tokens"]
        ),
    )


def read_file(text: str) -> tuple[Mapping[str, str], Mapping[str, str]]:
    """The `key: value` lines above the first heading, and the text below each heading."""
    head, *rest = _HEADING.split(text)
    header = {
        key.strip(): value.strip()
        for key, colon, value in (line.partition(":") for line in head.splitlines())
        if colon
    }
    sections = dict(zip(rest[::2], (body.strip() for body in rest[1::2]), strict=True))
    return header, sections
