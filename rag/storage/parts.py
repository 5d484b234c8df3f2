"""Long lists in parts, for statements that name each of their members."""

from collections.abc import Iterator, Sequence
from typing import TypeVar

_T = TypeVar("_T")
AT_ONCE = 500
"""Well below what SQLite and PostgreSQL let one statement name."""


def in_parts(ordered: Sequence[_T]) -> Iterator[Sequence[_T]]:
    """As many at a time as one statement may name."""
    for start in range(0, len(ordered), AT_ONCE):
        yield ordered[start : start + AT_ONCE]
