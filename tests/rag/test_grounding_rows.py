"""A row of a table supports what it says of each column, and nothing that another cell denies."""

import pytest

from rag.grounding import GroundingCheck
from rag.statements import statements_of
from rag.testing import HashEmbedder
from rag.types import Evidence
from tests.values import hit

PAY = """Salary by grade

| Grade | Midpoint | Overtime paid |
| --- | --- | --- |
| G5 | 45200 | yes |
| G6 | 54900 | no |"""


@pytest.mark.parametrize(
    ("sentence", "disagreement"),
    [
        ("G6 - Midpoint: 54900", None),
        ("G6 - Overtime paid: no", None),
        ("Grade G6 is paid overtime.", "negation"),
        ("G6 - Midpoint: 45900", "numbers"),
    ],
)
async def test_a_no_in_one_column_denies_that_column_alone(
    sentence: str, disagreement: str | None
) -> None:
    found = hit(PAY, table=True)
    statements = statements_of([Evidence(number=1, hit=found, text=PAY, parts=(found,))])
    support = await GroundingCheck(embedder=HashEmbedder()).support(sentence, statements)
    assert support is not None
    assert support.disagreement == disagreement
