"""What validation says of many kinds of file."""

import pytest

from tests.ingestion.validation.checked import Remembered, checked
from tests.ingestion.validation.inputs import INPUTS


@pytest.mark.parametrize("name", INPUTS)
async def test_each_input_gets_its_verdicts(name: str) -> None:
    given, ledger = INPUTS[name], Remembered()
    if given.before is not None:
        await checked(given.before, name=given.name, ledger=ledger)
    found = await checked(
        given.body,
        name=given.name,
        media_type=given.media_type,
        settings=given.settings,
        ledger=ledger,
    )
    assert (found.validation.standing, found.reasons) == (given.standing, given.reasons)
    assert {kind: found.counts.get(kind) for kind in given.counts} == given.counts
    if given.standing.value in {"quarantined", "failed"}:
        assert found.validation.reason in given.reasons


def test_there_are_enough_of_them() -> None:
    assert len(INPUTS) >= 60
