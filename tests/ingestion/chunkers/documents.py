"""Documents for chunker tests, and Hypothesis strategies of them."""

from hypothesis import strategies as st

from rag.access import NOBODY, TenantId
from rag.types import (
    Block,
    Code,
    Document,
    DocumentId,
    DocumentRef,
    Prose,
    Section,
    SourceId,
    Table,
    VersionId,
)


def document(*sections: Section, title: str = "Handbook", name: str = "handbook") -> Document:
    ref = DocumentRef(
        DocumentId(name), TenantId("acme"), SourceId("files"), f"file:///{name}", title
    )
    return Document(ref=ref, version=VersionId("1"), sections=sections, access=NOBODY)


def prose(*paragraphs: str, heading: tuple[str, ...] = ()) -> Document:
    return document(*(Section(heading, Prose(text)) for text in paragraphs))


_WORDS = (
    "the pump AP-450X is serviced every 6 months e.g. Nr. 7 Leitung z. B. valve | pressure: 价格"
    " Kündigungsfrist, 0.25 mm (see) …"
)
_words = st.sampled_from([*_WORDS.split(), "x" * 150, "overtemperature" * 4])
_sentence = st.lists(_words, min_size=1, max_size=40).map(lambda words: " ".join(words) + ".")
_paragraph = st.lists(_sentence, max_size=25).map(" ".join)
_prose = st.lists(
    _paragraph | st.text(max_size=60).map(lambda text: f"- {text}"), max_size=4
).flatmap(lambda lines: st.sampled_from(["\n", "\n\n", " "]).map(lambda gap: gap.join(lines)))
_cell = st.text(max_size=8) | _sentence


@st.composite
def _table(draw: st.DrawFn) -> Table:
    width = draw(st.integers(1, 12))
    row = st.lists(_cell, min_size=width, max_size=width).map(tuple)
    caption = draw(st.just("") | _sentence | _paragraph.map(str.strip))
    return Table(caption, draw(row), tuple(draw(st.lists(row, max_size=12))))


_block: st.SearchStrategy[Block] = st.one_of(_prose.map(Prose), _prose.map(Code), _table())
_heading = st.sampled_from(["Leave", "Pay", "Maintenance " * 60, "价格" * 90])
_section = st.builds(Section, st.lists(_heading, max_size=3).map(tuple), _block)


@st.composite
def documents(draw: st.DrawFn) -> Document:
    sections = draw(st.lists(_section, max_size=6))
    title = draw(st.sampled_from(["Handbook", "", "A very long title " * 40]))
    return document(*sections, title=title)
