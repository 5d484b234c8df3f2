"""On sentences of our own with names, addresses and numbers of many countries: next to nothing is sent."""

import pytest

from tests.benchmarks.masking_sentences import Half, sentences_of
from tests.gateways import received
from tests.rag.guardrails.maskers import Echo, calling, everything_sent, masked
from tests.rag.guardrails.test_masking_of_a_public_set import holds

_UNDECIDABLE = 0.004
"""Share of values that nothing tells: a noun that is a family name, after an article."""
_AS_STAFF_WRITE = 0.02
"""The same where every sentence is another: names in small letters that are words, ages without a word."""


@pytest.mark.parametrize(
    ("half", "most"),
    [
        ("development", _UNDECIDABLE),
        ("test", _UNDECIDABLE),
        ("unseen", _UNDECIDABLE),
        ("written", _AS_STAFF_WRITE),
    ],
)
async def test_hardly_a_value_is_sent_and_every_text_comes_back(half: Half, most: float) -> None:
    echo = Echo(size=7)
    gateway = masked(echo)
    values, sent = 0, list[str]()
    for sentence in sentences_of(half, each=6):
        echo.sent.clear()
        said = await received(gateway, calling(sentence.text))
        assert " ".join(said.text.casefold().split()) == " ".join(sentence.text.casefold().split())
        whole = everything_sent(echo.sent)
        for value in sentence.values:
            values += 1
            written = sentence.text[value.start : value.end]
            if holds(whole, written):
                sent.append(f"{value.kind}: {sentence.template}")
    assert len(sent) <= most * values, sent
