"""Markers, sentences as they stream, and the citation that a sentence ends up with."""

from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from rag.citation import Sentence, SentenceStream, Supported, Unsupported, sentence_of, verify
from rag.grounding import GroundingCheck
from rag.statements import Statement, statements_of
from rag.testing import HashEmbedder
from rag.types import Evidence
from tests.values import hit

CHECK = GroundingCheck(embedder=HashEmbedder())
SEAL = "Wear gloves. The pump seal is replaced every 12 months."
LEAVE = "Staff have thirty days of leave. Unused leave lapses in March."


def shown(*texts: str) -> tuple[Statement, ...]:
    hits = [hit(text, document=f"doc{at}") for at, text in enumerate(texts, start=1)]
    return statements_of(
        [
            Evidence(number=number, hit=found, text=found.chunk.text, parts=(found,))
            for number, found in enumerate(hits, start=1)
        ]
    )


def streamed(*pieces: str) -> list[Sentence]:
    stream = SentenceStream()
    found = [sentence for piece in pieces for sentence in stream.push(piece)]
    return found + stream.end()


@pytest.mark.parametrize(
    ("written", "text", "numbers"),
    [
        ("It is 12 bar [2].", "It is 12 bar.", (2,)),
        ("It is 12 bar. [1, 3]", "It is 12 bar.", (1, 3)),
        ("It is 12 bar [1][2].", "It is 12 bar.", (1, 2)),
        ("It is 12 bar [2] and hot [2].", "It is 12 bar and hot.", (2,)),
        ("It is 12 bar 【3】.", "It is 12 bar.", (3,)),
        ("It is 12 bar [source 2].", "It is 12 bar.", (2,)),
        ("The array is a[i] long.", "The array is a[i] long.", ()),
        ("It is 12 bar.", "It is 12 bar.", ()),
    ],
)
def test_markers_are_read_and_taken_out(written: str, text: str, numbers: tuple[int, ...]) -> None:
    assert sentence_of(written) == Sentence(text, numbers)


def test_a_marker_belongs_to_the_sentence_that_it_stands_in_or_follows() -> None:
    text = "The seal lasts [1]. It is changed yearly. [2] Wear gloves [3]."
    assert streamed(text) == [
        Sentence("The seal lasts.", (1,)),
        Sentence("It is changed yearly.", (2,)),
        Sentence("Wear gloves.", (3,)),
    ]


def test_a_marker_that_comes_in_pieces_still_belongs_to_what_it_follows() -> None:
    pieces = ("It", " is", " changed", " yearly", ".", " [", "2", "]", " Wear", " gloves", ".")
    assert streamed(*pieces) == [
        Sentence("It is changed yearly.", (2,)),
        Sentence("Wear gloves.", ()),
    ]


def test_a_sentence_is_given_out_while_the_next_is_still_being_written() -> None:
    stream = SentenceStream()
    assert stream.push("The seal lasts a year [1]. Wear") == []
    assert stream.push(" gloves") == [Sentence("The seal lasts a year.", (1,))]


def test_what_is_only_markers_and_white_space_is_no_sentence() -> None:
    assert streamed(" [1] \n", "[2]") == []


fragments = st.lists(
    st.sampled_from(
        [
            *("The seal lasts", "Wear gloves", "a year", "Dr", "Smith", "J", "A", "No", "5", "z.B"),
            *(".", ".", ".", "!", "?", ":", ",", " ", " ", " ", "\n", "\n\n", "- ", "1. ", "| a |"),
            *("[1]", " [2, 3]", "[", "]", "【4】", "Januar", "etc", "The", "and", "ü", "“", "。"),
        ]
    ),
    max_size=25,
).map("".join)


@given(text=fragments, cuts=st.lists(st.integers(0, 200), max_size=30))
@example(text="Done. [1] Next. [2]", cuts=[6, 7, 8])
@example(text="Er kommt 5. Januar zu uns. Gut.", cuts=[13])
@example(text="Ask J. Adams for it. Then go.", cuts=[8])
@example(
    text="Wear gloves. Then the pump seal has to be taken out by the\nEngineer.", cuts=[14, 20]
)
def test_however_a_text_is_cut_into_pieces_its_sentences_are_the_same(
    text: str, cuts: list[int]
) -> None:
    at = [0, *sorted(min(cut, len(text)) for cut in cuts), len(text)]
    pieces = [text[start:end] for start, end in pairwise(at)]
    assert streamed(*pieces) == streamed(text)
    assert streamed(*text) == streamed(text)


async def test_the_quote_is_the_supporting_statement_in_its_place_in_the_cited_chunk() -> None:
    judged = await verify(
        Sentence("The pump seal is replaced every 12 months.", (1,)), shown(SEAL, LEAVE), CHECK
    )
    assert isinstance(judged, Supported)
    citation = judged.citation
    assert citation.number == 1
    assert citation.quote == "The pump seal is replaced every 12 months."
    assert citation.chunk.text[citation.span.start : citation.span.end] == citation.quote
    assert citation.verified


@pytest.mark.parametrize("numbers", [(), (9,), (2,), (2, 9)])
async def test_a_sentence_without_the_right_marker_is_given_it(numbers: tuple[int, ...]) -> None:
    sentence = Sentence("The pump seal is replaced every 12 months.", numbers)
    judged = await verify(sentence, shown(SEAL, LEAVE), CHECK)
    assert isinstance(judged, Supported)
    assert judged.citation.number == 1


async def test_a_right_marker_does_not_carry_a_wrong_number() -> None:
    sentence = Sentence("The pump seal is replaced every 18 months.", (1,))
    assert await verify(sentence, shown(SEAL, LEAVE), CHECK) == Unsupported("numbers")


async def test_where_nothing_was_shown_nothing_is_supported() -> None:
    assert isinstance(await verify(Sentence("Anything.", (1,)), (), CHECK), Unsupported)
