"""How documents are cut: the laws that hold for any, and what readers see."""

import asyncio
from dataclasses import replace
from itertools import pairwise
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings

from ingestion.chunkers.structural import StructuralChunker
from rag.adapters.onnx_embedder import OnnxEmbedder
from rag.sentences import split_sentences
from rag.types import Chunk, Code, Document, Prose, Section, Table
from tests.benchmarks.embedded_breakpoints import EmbeddedBreakpoints
from tests.ingestion.chunkers.documents import document, documents, prose

TOPICS = ("pump", "invoice", "holiday", "server", "forklift", "audit", "recipe", "contract")
MANY = [
    f"Sentence {n} says that the {TOPICS[n // 9 % 8]} of plant {n % 7} is checked on day {n * 37 % 101}"
    f" by crew {n * 13 % 17}, who write down what they find."
    for n in range(300)
]


@pytest.fixture
def chunker(minilm: OnnxEmbedder) -> StructuralChunker:
    return StructuralChunker(minilm)


def chunks_of(chunker: StructuralChunker, of: Document) -> list[Chunk]:
    return list(asyncio.run(chunker.chunk(of)))


@settings(
    deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(documents())
def test_whatever_the_document_the_laws_of_chunks_hold(
    minilm: OnnxEmbedder, chunker: StructuralChunker, given_document: Document
) -> None:
    chunks = chunks_of(chunker, given_document)
    text = given_document.text

    # Prose and code are exact slices of the document; everything visible is in some chunk.
    covered = bytearray(len(text))
    for chunk in chunks:
        if chunk.kind != "table":
            assert text[chunk.span.start : chunk.span.end] == chunk.text
        covered[chunk.span.start : chunk.span.end] = b"\1" * (chunk.span.end - chunk.span.start)
    assert all(seen or char.isspace() for seen, char in zip(covered, text, strict=True))

    # The embedder sees every chunk whole.
    sizes = minilm.count_tokens([chunk.embedded_text for chunk in chunks])
    assert all(size <= minilm.max_tokens - 2 for size in sizes)

    # Ids are distinct, places count up, and no chunk is blank.
    assert len({chunk.id for chunk in chunks}) == len(chunks)
    assert [chunk.ordinal for chunk in chunks] == list(range(len(chunks)))
    assert all(chunk.text.strip() for chunk in chunks)

    # The same document is cut the same way.
    assert chunks_of(chunker, given_document) == chunks


async def test_a_chunk_never_leaves_its_heading(chunker: StructuralChunker) -> None:
    chunks = await chunker.chunk(
        document(
            Section(("Leave",), Prose("You have 26 days.")),
            Section(("Leave", "Carry over"), Prose("Five days.")),
            Section(("Pay",), Prose("On the 25th.")),
            Section(("Pay",), Prose("By transfer.")),
        )
    )

    assert [(chunk.header, chunk.text) for chunk in chunks] == [
        ("Handbook > Leave", "You have 26 days."),
        ("Handbook > Leave > Carry over", "Five days."),
        ("Handbook > Pay", "On the 25th.\n\nBy transfer."),
    ]


async def test_long_text_is_cut_between_sentences_with_whole_ones_shared(
    chunker: StructuralChunker, minilm: OnnxEmbedder
) -> None:
    text = " ".join(MANY)
    chunks = await chunker.chunk(prose(text))

    sentences = [text[span.start : span.end] for span in split_sentences(text)]
    assert sentences == MANY
    for before, after in pairwise(chunks):
        assert after.text.startswith("Sentence") and after.text.endswith("find.")
        shared = text[after.span.start : before.span.end]
        assert minilm.count_tokens([shared])[0] <= 30
    sizes = minilm.count_tokens([chunk.embedded_text for chunk in chunks])
    assert max(sizes) <= 230
    assert sum(sizes) / len(sizes) > 120


async def test_a_section_does_not_share_sentences_with_the_next(
    chunker: StructuralChunker,
) -> None:
    text = " ".join(MANY[:30])
    chunks = await chunker.chunk(
        document(Section(("A",), Prose(text)), Section(("B",), Prose(text)))
    )

    for before, after in pairwise(chunks):
        if before.heading_path != after.heading_path:
            assert before.span.end <= after.span.start
    assert {chunk.heading_path for chunk in chunks} == {("A",), ("B",)}


@pytest.mark.parametrize("place", [3, 120, 200, 297])
async def test_a_sentence_put_in_renews_only_the_chunks_around_it(
    chunker: StructuralChunker, place: int
) -> None:
    edited = [*MANY[:place], "Everyone must now wear a blue helmet.", *MANY[place:]]

    before = {chunk.id for chunk in await chunker.chunk(prose(" ".join(MANY)))}
    after = {chunk.id for chunk in await chunker.chunk(prose(" ".join(edited)))}

    assert len(before) > 40
    assert 1 <= len(after - before) <= 4


async def test_a_sentence_changed_renews_two_chunks_at_most_nine_times_in_ten(
    chunker: StructuralChunker,
) -> None:
    random_ = Random(7)
    words = [f"{start}{end}" for start in TOPICS for end in ("", "line", "room", "date", "note")]

    def sentence() -> str:
        return " ".join(random_.choices(words, k=random_.randrange(8, 18))).capitalize() + "."

    paragraphs = [[sentence() for _ in range(random_.randrange(2, 10))] for _ in range(80)]

    async def ids() -> set[str]:
        text = "\n\n".join(" ".join(paragraph) for paragraph in paragraphs)
        return {chunk.id for chunk in await chunker.chunk(prose(text))}

    before = await ids()
    renewed: list[int] = []
    for paragraph in paragraphs:
        place = random_.randrange(len(paragraph))
        kept = paragraph[place]
        paragraph[place] = sentence()
        renewed.append(len(await ids() - before))
        paragraph[place] = kept

    assert sum(count <= 2 for count in renewed) / len(renewed) >= 0.9
    assert min(renewed) == 1


async def test_an_id_comes_from_the_document_and_the_embedded_text_alone(
    chunker: StructuralChunker,
) -> None:
    first = prose("Same words.", "And more.")
    [chunk] = await chunker.chunk(first)
    [renewed] = await chunker.chunk(replace(first, version=type(first.version)("2")))
    [elsewhere] = await chunker.chunk(
        replace(first, ref=replace(first.ref, id=type(first.ref.id)("other")))
    )

    assert chunk.id == renewed.id != elsewhere.id
    assert len(chunk.id) == 32


async def test_a_passage_that_occurs_twice_has_two_ids(chunker: StructuralChunker) -> None:
    chunks = await chunker.chunk(
        document(
            Section(("Note",), Prose("See the manual.")),
            Section(("Other",), Prose("Something else.")),
            Section(("Note",), Prose("See the manual.")),
        )
    )

    assert chunks[0].embedded_text == chunks[2].embedded_text
    assert chunks[0].id != chunks[2].id


async def test_a_title_and_headings_beyond_the_budget_are_shortened(
    chunker: StructuralChunker, minilm: OnnxEmbedder
) -> None:
    given_document = document(
        Section(("Chapter " * 200, "Middle " * 200, "Innermost"), Prose("The one fact.")),
        title="Title " * 300,
    )

    [chunk] = await chunker.chunk(given_document)

    assert chunk.text == "The one fact."
    assert chunk.document.title.endswith("…")
    assert chunk.heading_path[-1] == "Innermost"
    assert minilm.count_tokens([chunk.header])[0] < 100


async def test_code_keeps_its_indentation_and_its_kind(chunker: StructuralChunker) -> None:
    code = "    def area(r):\n        return 3 * r**2"
    chunks = await chunker.chunk(
        document(Section(("A",), Code(code)), Section(("B",), Prose("Text.")))
    )

    assert [(chunk.kind, chunk.text) for chunk in chunks] == [("code", code), ("prose", "Text.")]


async def test_a_chunk_carries_the_page_it_begins_on(chunker: StructuralChunker) -> None:
    chunks = await chunker.chunk(
        document(
            Section((), Prose(" ".join(MANY[:12])), page=1),
            Section((), Prose(" ".join(MANY[12:24])), page=2),
            Section((), Table("", ("a",), (("b",),)), page=3),
        )
    )

    assert [chunk.page for chunk in chunks] == sorted(chunk.page or 0 for chunk in chunks)
    assert {chunk.page for chunk in chunks} == {1, 2, 3}


@pytest.mark.parametrize("text", ["", " ", "\n\n"])
async def test_a_blank_document_has_no_chunk(chunker: StructuralChunker, text: str) -> None:
    assert list(await chunker.chunk(prose(text))) == []
    assert list(await chunker.chunk(document())) == []


async def test_text_without_any_sentence_end_still_fits(
    chunker: StructuralChunker, minilm: OnnxEmbedder
) -> None:
    chunks = await chunker.chunk(prose("word " * 3_000, "价" * 3_000, "0x" + "9af3 " * 2_000))

    sizes = minilm.count_tokens([chunk.embedded_text for chunk in chunks])
    assert max(sizes) <= minilm.max_tokens - 2


async def test_sentence_embeddings_can_choose_the_cuts(minilm: OnnxEmbedder) -> None:
    chunker = StructuralChunker(minilm, breakpoints=EmbeddedBreakpoints(minilm))
    seals = [f"The rubber seal of valve {n} is greased before it is fitted." for n in range(9)]
    leave = [f"Employees in group {n} may take their annual leave in summer." for n in range(9)]

    chunks = await chunker.chunk(prose(" ".join(seals + leave)))

    assert any(chunk.text.endswith(seals[-1]) for chunk in chunks)
    assert chunker.name != StructuralChunker(minilm).name
