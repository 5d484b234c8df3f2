"""A question as the answer cache knows it, and what two must share before their words count."""

import hashlib
import json
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from rag.access import PrincipalId, TenantId
from rag.gateway.answer_cache.wording import MIXED_NAMES, MIXED_UNITS, MIXED_UP
from rag.types import AnyOf, Between, Filters, no_filters

_LONGEST = 500
"""Characters. What is longer is hardly asked twice."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CachePartition:
    """Answers of one partition are never given in another, however alike the questions are."""

    tenant: TenantId
    generation: int
    prompt: str
    """The prompt's name, version and content: what an answer made of it says in `Answer.prompt`."""
    model_class: str
    """What the asker chose of models: the quality, with the tenant's own catalogue if it has one."""
    guard_policy: str
    """Name and version of the policy that checked the answer."""
    locale: str = ""
    filters: Filters = field(default_factory=no_filters)
    profile: str = ""
    """Whatever else shapes an answer, such as the retrieval settings."""

    @property
    def key(self) -> str:
        """64 hexadecimal digits; equal exactly for equal partitions."""
        parts: list[Any] = [
            self.tenant,
            self.generation,
            self.prompt,
            self.model_class,
            self.guard_policy,
            self.locale,
            _plain(self.filters),
            self.profile,
        ]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def _plain(filters: Filters) -> list[Any]:
    return [
        [
            name,
            sorted([type(value).__name__, str(value)] for value in condition.values)
            if isinstance(condition, AnyOf)
            else _bounds(condition),
        ]
        for name, condition in sorted(filters.items())
    ]


def _bounds(condition: Between) -> Mapping[str, Any]:
    return {
        "gte": condition.gte,
        "lte": condition.lte,
        "gt": condition.gt,
        "lt": condition.lt,
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheQuestion:
    """A question that may have been answered before."""

    text: str
    partition: CachePartition
    asker: PrincipalId
    stands_alone: bool = True
    """Whether no turn before it was needed to understand it. Others are neither looked up nor kept."""

    @property
    def normalised(self) -> str:
        return normalised(self.text)

    @property
    def is_open_to_caching(self) -> bool:
        return self.stands_alone and 0 < len(self.text) <= _LONGEST


@lru_cache(maxsize=4_096)
def normalised(text: str) -> str:
    """`text` without what never changes a question: case, white space, and marks at its end.

    `IT` and `US` stay apart from `it` and `us`, `Polish` from `polish` and `MB` from `Mb`, unless
    everything is written in capitals.
    """
    spaced = " ".join(unicodedata.normalize("NFKC", text).split()).rstrip(" ?!.")
    if spaced.isupper():
        return spaced.casefold()
    return re.sub(r"[^\W_]+", _folded, spaced)


def _folded(word: re.Match[str]) -> str:
    small = word[0].casefold()
    if word[0].isupper() and len(small) > 1 and small in MIXED_UP:
        return word[0]
    if small.lstrip("0123456789") in MIXED_UNITS:
        return word[0]
    if word[0].istitle() and small in MIXED_NAMES and word.start() and not _is_beside_digits(word):
        return word[0]
    return small


def _is_beside_digits(word: re.Match[str]) -> bool:
    """As the month of a date, which people write either way."""
    beside = word.string[max(0, word.start() - 4) : word.end() + 4]
    return any(each.isdigit() for each in beside)
