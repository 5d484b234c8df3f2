"""Tables in chunks: whole rows under their header, however long or wide."""

import pytest

from ingestion.chunkers.structural import StructuralChunker
from rag.adapters.onnx_embedder import OnnxEmbedder
from rag.types import Section, Table, markdown_row
from tests.ingestion.chunkers.documents import document

HEADER = ("Part", "Price", "Note")
ROWS = tuple((f"AP-{n}X", f"{n}.50 EUR", "fits the old pump " * (n % 5)) for n in range(400))


@pytest.fixture
def chunker(minilm: OnnxEmbedder) -> StructuralChunker:
    return StructuralChunker(minilm)


async def test_a_short_table_is_one_chunk_as_it_stands(chunker: StructuralChunker) -> None:
    table = Table("Prices 2026", HEADER, ROWS[:4])

    [chunk] = await chunker.chunk(document(Section(("Sales",), table)))

    assert (chunk.kind, chunk.text) == ("table", table.text)


async def test_each_part_of_a_long_table_repeats_caption_and_header(
    chunker: StructuralChunker, minilm: OnnxEmbedder
) -> None:
    given_document = document(Section(("Sales",), Table("Prices 2026", HEADER, ROWS)))
    chunks = await chunker.chunk(given_document)

    top = f"Prices 2026\n\n{markdown_row(HEADER)}\n{markdown_row(('---',) * 3)}\n"
    assert len(chunks) > 20
    assert all(chunk.text.startswith(top) for chunk in chunks)
    rows = [line for chunk in chunks for line in chunk.text.removeprefix(top).split("\n")]
    assert rows == [markdown_row(row) for row in ROWS]
    assert max(minilm.count_tokens([chunk.embedded_text for chunk in chunks])) <= 254


async def test_the_span_of_a_part_is_where_its_rows_stand(chunker: StructuralChunker) -> None:
    given_document = document(Section(("Sales",), Table("Prices 2026", HEADER, ROWS)))
    first, *rest = await chunker.chunk(given_document)

    assert given_document.text[first.span.start : first.span.end] == first.text
    for chunk in rest:
        slice_ = given_document.text[chunk.span.start : chunk.span.end]
        assert chunk.text.endswith("\n" + slice_)


async def test_a_row_put_in_renews_few_parts(chunker: StructuralChunker) -> None:
    edited = (*ROWS[:200], ("NEW-1", "1.00 EUR", ""), *ROWS[200:])

    before = await chunker.chunk(document(Section((), Table("", HEADER, ROWS))))
    after = await chunker.chunk(document(Section((), Table("", HEADER, edited))))

    assert 1 <= len({chunk.id for chunk in after} - {chunk.id for chunk in before}) <= 4


@pytest.mark.parametrize("place", range(0, 400, 50))
async def test_a_cell_changed_renews_its_part_alone(chunker: StructuralChunker, place: int) -> None:
    name, _, note = ROWS[place]
    edited = (*ROWS[:place], (name, "0.99 EUR", note), *ROWS[place + 1 :])

    before = await chunker.chunk(document(Section((), Table("", HEADER, ROWS))))
    after = await chunker.chunk(document(Section((), Table("", HEADER, edited))))

    assert len({chunk.id for chunk in after} - {chunk.id for chunk in before}) == 1


async def test_a_row_wider_than_a_chunk_is_shown_cell_by_cell_under_its_header_names(
    chunker: StructuralChunker, minilm: OnnxEmbedder
) -> None:
    names = tuple(f"column {n}" for n in range(80))
    row = ("Pump 7", *(f"value {n} bar" for n in range(1, 80)))
    chunks = await chunker.chunk(document(Section((), Table("Readings", names, (row,)))))

    assert len(chunks) > 3
    for chunk in chunks:
        caption, _, header, rule, values = chunk.text.split("\n")
        assert caption == "Readings" and set(rule) <= set("| -")
        shown = dict(zip(header.split(" | "), values.split(" | "), strict=True))
        assert shown.pop("| column 0") == "| Pump 7"
        for name, value in shown.items():
            assert value.strip(" |").split()[1] == name.strip(" |").split()[1]
    assert max(minilm.count_tokens([chunk.embedded_text for chunk in chunks])) <= 254
    everything = "\n".join(chunk.text for chunk in chunks)
    assert all(cell in everything for cell in row)


async def test_a_cell_longer_than_a_chunk_is_shown_in_pieces(
    chunker: StructuralChunker, minilm: OnnxEmbedder
) -> None:
    words = [f"finding{n}" for n in range(600)]
    table = Table("", ("Machine", "Report"), (("Press 3", " ".join(words)),))

    chunks = await chunker.chunk(document(Section((), table)))

    assert len(chunks) > 3
    assert all("Machine" in chunk.text and "Press 3" in chunk.text for chunk in chunks)
    seen = {word for chunk in chunks for word in chunk.text.split()}
    assert set(words) <= seen
    assert max(minilm.count_tokens([chunk.embedded_text for chunk in chunks])) <= 254


async def test_a_caption_longer_than_a_chunk_is_kept_and_shortened_where_repeated(
    chunker: StructuralChunker,
) -> None:
    caption = " ".join(f"remark{n}" for n in range(300))
    chunks = await chunker.chunk(document(Section((), Table(caption, HEADER, ROWS[:30]))))

    seen = {word for chunk in chunks for word in chunk.text.split()}
    assert set(caption.split()) <= seen
    assert all("remark0" in chunk.text for chunk in chunks if "EUR" in chunk.text)


async def test_tables_and_text_do_not_share_a_chunk(chunker: StructuralChunker) -> None:
    table = Section(("A",), Table("", ("a", "b"), (("1", "2"),)))
    chunks = await chunker.chunk(document(table, table))

    assert [chunk.kind for chunk in chunks] == ["table", "table"]
    assert chunks[0].id != chunks[1].id
