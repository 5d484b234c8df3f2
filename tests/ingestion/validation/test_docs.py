"""`docs/validation.md` says what the code does."""

import re
from dataclasses import fields
from pathlib import Path

from ingestion.validation.policy import Policy
from ingestion.validation.reasons import EXPLAINED, HIDING, Reason

DOCUMENT = (Path(__file__).parents[3] / "docs" / "validation.md").read_text()


def test_every_reason_is_listed_with_what_it_says() -> None:
    rows = re.findall(r"^\| `(\w+)` \| (yes|) \| (.+) \|$", DOCUMENT, re.MULTILINE)
    listed = {name: (hides == "yes", text) for name, hides, text in rows}
    assert listed == {reason.value: (reason in HIDING, EXPLAINED[reason]) for reason in Reason}


def test_every_setting_of_a_policy_is_explained() -> None:
    for each in fields(Policy):
        assert f"`{each.name}`" in DOCUMENT
