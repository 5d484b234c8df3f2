"""On a public set of personal data: nothing of it reaches the model, and nothing is lost on the way."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from rag.guardrails.placeholders import any_placeholder
from tests.gateways import received
from tests.rag.guardrails.maskers import Echo, calling, everything_sent, masked

SET = Path(__file__).parents[4] / "shared" / "data" / "guardrails" / "pii_synth_half.json"

pytestmark = pytest.mark.skipif(not SET.exists(), reason=f"{SET} is not there")


def holds(text: str, value: str) -> bool:
    return re.search(rf"(?<!\w){re.escape(value)}(?!\w)", text) is not None


async def test_no_value_of_it_is_sent_and_every_text_comes_back_as_it_was() -> None:
    rows: list[dict[str, Any]] = json.loads(SET.read_text("utf-8"))
    leaked: list[str] = []
    echo = Echo(size=5)
    gateway = masked(echo)
    for row in rows:
        text: str = row["full_text"]
        echo.sent.clear()
        said = await received(gateway, calling(text))
        assert any_placeholder().search(said.text) is None
        assert " ".join(said.text.casefold().split()) == " ".join(text.casefold().split())
        sent = everything_sent(echo.sent)
        leaked += [
            span["entity_type"] for span in row["spans"] if holds(sent, span["entity_value"])
        ]
    assert leaked == []
