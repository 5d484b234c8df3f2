"""One row of a table as a sentence that a person can read: its name, and the cells asked for."""

from collections.abc import Sequence

from rag.adapters.glossary import ENGLISH_GERMAN
from rag.statements import TableRow
from rag.terms import codes_of, content_words, stem, words_of

_CELLS_SHOWN = 8
_CELLS_ASKED = 3


def row_answer(question: str, row: TableRow) -> str:
    """`AP-450X - Max pressure: 16 bar`, or the row's first cells where no column is asked for."""
    terms = _terms(question)
    filled = [at for at, cell in enumerate(row.cells) if cell.strip()]
    if not filled:
        return ""
    label = filled[0]
    others = [at for at in filled if at != label]
    named = [at for at in others if _names(row.cells[at], terms, question)]
    asked = _asked_columns(terms, row, [at for at in others if at not in named])
    shown = sorted({*named[:1], *asked}) if asked else others[:_CELLS_SHOWN]
    cells = "; ".join(_cell(row, at) for at in shown)
    first = row.cells[label]
    return f"{first} - {cells}" if cells else _cell(row, label)


def _terms(text: str) -> frozenset[str]:
    stems = frozenset(content_words(text)) | {stem(word) for word in words_of(text)}
    return stems.union(*(ENGLISH_GERMAN.get(each, frozenset[str]()) for each in stems))


def _names(cell: str, terms: frozenset[str], question: str) -> bool:
    """Whether the question names the row by this cell."""
    codes = codes_of(cell)
    words = frozenset(content_words(cell))
    return bool(codes and codes & codes_of(question)) or bool(words and words <= terms)


def _asked_columns(terms: frozenset[str], row: TableRow, at: Sequence[int]) -> list[int]:
    """The columns whose name says most of what the question says; none where no name does."""
    shares = {column: _share(row.columns[column], terms) for column in at}
    best = max(shares.values(), default=0.0)
    if best == 0:
        return []
    return [column for column, share in shares.items() if share >= best * 0.99][:_CELLS_ASKED]


def _share(column: str, terms: frozenset[str]) -> float:
    words = frozenset(content_words(column))
    return len(words & terms) / len(words) ** 0.5 if words else 0.0


def _cell(row: TableRow, at: int) -> str:
    return f"{row.columns[at]}: {row.cells[at]}" if row.columns[at] else row.cells[at]
