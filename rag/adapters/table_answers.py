"""One row of a table as a sentence that a person can read: its name, and the cells asked for."""

import re
from collections.abc import Sequence

from rag.adapters.wording import Wording
from rag.statements import TableRow
from rag.terms import codes_of, content_words, stem

_CELLS_SHOWN = 8
_CELLS_ASKED = 3
_COMPOUND = 5
_UNITS = frozenset(
    stem(unit)
    for unit in "bar mm cm m kg g kw rpm gbp eur pcs db hours days weeks percent l".split()
)


def row_answer(asked_for: Wording, row: TableRow) -> str:
    """`AP-450X - Max pressure: 16 bar`, or the row's first cells where no column is asked for."""
    filled = [at for at, cell in enumerate(row.cells) if cell.strip()]
    if not filled:
        return ""
    label = filled[0]
    others = [at for at in filled if at != label]
    named = [at for at in others if _names(row.cells[at], asked_for)]
    asked = _asked_columns(asked_for, row, [at for at in others if at not in named])
    shown = sorted({*named[:1], *asked}) if asked else others[:_CELLS_SHOWN]
    cells = "; ".join(_cell(row, at) for at in shown)
    first = row.cells[label]
    return f"{first} - {cells}" if cells else _cell(row, label)


def _names(cell: str, asked_for: Wording) -> bool:
    """Whether the question names the row by this cell."""
    codes = codes_of(cell)
    words = content_words(cell)
    return bool(codes and codes & asked_for.asked.codes) or bool(
        words and all(map(asked_for.said_by, words))
    )


def _asked_columns(asked_for: Wording, row: TableRow, at: Sequence[int]) -> list[int]:
    """The columns whose name says most of what the question says; none where no name does."""
    shares = {column: _share(row.columns[column], asked_for) for column in at}
    best = max(shares.values(), default=0.0)
    if best == 0:
        return []
    return [column for column, share in shares.items() if share >= best * 0.99][:_CELLS_ASKED]


def _share(column: str, asked_for: Wording) -> float:
    """How much of a column's name the question says; nothing where it leaves out the last word.

    `order date` is not asked for by a question about a purchase order. A unit is no last word.
    """
    words = [word for word in content_words(re.sub(r"[(\[].*", "", column)) if word not in _UNITS]
    said = [
        word for word in words if asked_for.said_by(word) or _is_part(word, asked_for.asked.terms)
    ]
    return len(said) / len(words) ** 0.5 if said and words[-1] in said else 0.0


def _is_part(word: str, terms: frozenset[str]) -> bool:
    """`Bereich` is asked for by `Messbereich`."""
    return len(word) >= _COMPOUND and any(term.endswith(word) for term in terms)


def _cell(row: TableRow, at: int) -> str:
    return f"{row.columns[at]}: {row.cells[at]}" if row.columns[at] else row.cells[at]
