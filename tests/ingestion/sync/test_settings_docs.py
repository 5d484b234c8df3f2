"""What docs/sources.md says of a source's settings is what they are."""

from dataclasses import fields
from pathlib import Path

import pytest

from connectors.registry import known_kinds
from ingestion.sync_settings import SyncSettings

DOCUMENT = Path(__file__).parents[3] / "docs" / "sources.md"
ROWS = dict(
    line.strip("| ").split(" | ")[:2] for line in DOCUMENT.read_text().splitlines() if "| `" in line
)


@pytest.mark.parametrize("name", [each.name for each in fields(SyncSettings)])
def test_every_setting_and_its_default_are_told(name: str) -> None:
    default = ROWS[f"`{name}`"].strip("`")
    told: dict[str, object] = {
        name: default if default.endswith(("h", "m", "off")) else float(default)
    }
    if name == "recheck":
        told = {name: int(default)}
    assert SyncSettings.of(told) == SyncSettings()


def test_every_kind_is_told() -> None:
    assert {f"`{kind}`" for kind in known_kinds()} <= ROWS.keys()
