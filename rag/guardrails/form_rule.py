"""A pattern for one kind of personal data, and what a text must hold for the pattern to run."""

import re
from collections.abc import Callable
from dataclasses import dataclass


def always(_value: str) -> bool:
    return True


def has_digit(value: str) -> bool:
    return any(map(str.isdigit, value))


@dataclass(frozen=True, slots=True, kw_only=True)
class FormRule:
    kind: str
    pattern: re.Pattern[str]
    """Its last group, where it has one, is the value."""
    shapes: tuple[bytes, ...] = ()
    words: tuple[str, ...] = ()
    """One of these, or of the shapes, must be there for the pattern to run."""
    may_hold: Callable[[str], bool] | None = None
    """Whether the pattern may be in a text, where no word and no shape tells."""
    ignores_case: bool = False
    holds: Callable[[str], bool] = always
