"""Names as a model finds them, in a process of its own, with no network."""

import asyncio
from collections.abc import AsyncGenerator

import pytest
import pytest_asyncio

from rag.adapters.presidio import PresidioNames
from rag.errors import ModelUnavailable
from rag.guardrails.pii import Depth, PersonalData

TEXT = "Krzysztof Nowak flew to Stockholm for Siemens, and pays with 4111 1111 1111 1111."


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def names() -> AsyncGenerator[PresidioNames]:
    finder = PresidioNames(load_timeout_s=600)
    try:
        await finder.load()
        yield finder
    finally:
        finder.close()


@pytest.mark.asyncio(loop_scope="module")
async def test_people_and_places_are_told_apart(names: PresidioNames) -> None:
    found = {TEXT[hit.start : hit.end]: hit.kind for hit in await names.find(TEXT)}
    assert found["Krzysztof Nowak"] == "person" and found["Stockholm"] == "place"
    assert await names.find("  ") == ()


@pytest.mark.asyncio(loop_scope="module")
async def test_long_texts_are_read_in_pieces_and_places_stay_right(names: PresidioNames) -> None:
    filler = "The pump is checked and the valve is closed. " * 460
    text = f"{filler}Krzysztof Nowak flew to Stockholm."
    found = {text[hit.start : hit.end] for hit in await names.find(text)}
    assert {"Krzysztof Nowak", "Stockholm"} <= found


@pytest.mark.asyncio(loop_scope="module")
async def test_a_thorough_look_finds_what_patterns_find_too(names: PresidioNames) -> None:
    finder = PersonalData(names=names)
    hits = await finder.find(TEXT, depth=Depth.THOROUGH)
    kinds = {TEXT[hit.start : hit.end]: hit.kind for hit in hits}
    assert kinds["4111 1111 1111 1111"] == "credit_card" and kinds["Krzysztof Nowak"] == "person"


@pytest.mark.asyncio(loop_scope="module")
async def test_many_may_ask_at_once(names: PresidioNames) -> None:
    found = await asyncio.gather(*(names.find(f"{TEXT} {n}") for n in range(6)))
    assert all(any(hit.kind == "person" for hit in hits) for hits in found)


async def test_what_takes_too_long_is_an_error_that_tells_nothing() -> None:
    finder = PresidioNames(load_timeout_s=0.01)
    with pytest.raises(ModelUnavailable) as raised:
        await finder.find(TEXT)
    finder.close()
    assert "Nowak" not in str(raised.value)
