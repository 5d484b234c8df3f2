"""The oldest Python that a fresh machine may have: Ubuntu 22.04 brings 3.11.0, Debian 12 3.11.2."""

import re
from importlib.metadata import distributions
from pathlib import Path

import pytest
from packaging.specifiers import SpecifierSet

OLDEST = "3.11.0"
ROOT = Path(__file__).parents[2]
POSSESSIVE_GROUP = re.compile(r"(?<!\\)\)(?:[*+?]|\{{1,2}[\d,]+\}{1,2})\+|\(\?>")
"""As it is written in a pattern, or in one that is an f-string."""


def test_every_pinned_package_admits_it() -> None:
    demands = {each.name: each.metadata["Requires-Python"] for each in distributions()}

    too_new = [
        f"{name} {demand}"
        for name, demand in demands.items()
        if demand and not SpecifierSet(demand).contains(OLDEST)
    ]
    assert too_new == []


@pytest.mark.parametrize("package", ["rag", "ingestion", "connectors", "api"])
def test_no_pattern_repeats_a_group_possessively(package: str) -> None:
    """Before 3.11.5 such a pattern misses what it should find, and says nothing (CPython 106052)."""
    found = [
        f"{file.relative_to(ROOT)}: {line.strip()}"
        for file in (ROOT / package).rglob("*.py")
        for line in file.read_text(encoding="utf-8").splitlines()
        if POSSESSIVE_GROUP.search(line)
    ]
    assert found == []


@pytest.mark.parametrize("risky", ["a.(?:b|cd)*+", "(?:ab|c){1,9}+", "(?:ab|c){{1,9}}+", "(?>a|b)"])
def test_a_possessive_group_would_be_noticed(risky: str) -> None:
    assert POSSESSIVE_GROUP.search(risky)
    assert not POSSESSIVE_GROUP.search(r"a[bc]*+\)++(?:[d-f]++x)*")
