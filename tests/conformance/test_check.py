"""What holds of every guardrail check, whatever it looks for."""

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from api.guarding import checks_for
from rag.access import TenantId
from rag.adapters.policy_file import policies_of
from rag.guardrails.checks import Check, NotRun, Scanned, asked
from rag.trail import Direction, UseCase

POLICIES = policies_of(
    {"default": {"languages": ["en"], "topics": {"denied": ["politics"]}}}, name="test"
)
NAMES = [check.name for check in checks_for(POLICIES)]
DIRECTIONS: tuple[Direction, ...] = ("input", "evidence", "output")


@pytest.fixture(scope="module")
def checks() -> Sequence[Check]:
    return checks_for(POLICIES)


def test_every_check_has_a_name_of_its_own() -> None:
    assert len(set(NAMES)) == len(NAMES)


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=30, deadline=None)
@given(text=st.text(max_size=300), direction=st.sampled_from(DIRECTIONS))
async def test_every_text_has_a_report_with_places_inside_it(
    checks: Sequence[Check], name: str, text: str, direction: Direction
) -> None:
    check = next(each for each in checks if each.name == name)
    said = await asked(
        check,
        Scanned(text=text, direction=direction, tenant=TenantId("acme"), use_case=UseCase.CHAT),
    )
    if isinstance(said, NotRun):
        assert said.reason
        return
    assert 0 <= said.score <= 1
    for finding in said.findings:
        assert finding.kind
        assert 0 <= finding.score <= said.score + 1e-9
        if finding.span is not None:
            assert 0 <= finding.span.start < finding.span.end <= len(text)
