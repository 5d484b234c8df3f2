"""CSV files and lines of JSON that are too long for one document, read piece by piece.

Each piece becomes a document of its own, with the header on top, so that memory holds one piece
and not the file. Where a piece ends depends on its rows (content-defined cuts, as LBFS makes
them: Muthitacharoen et al., SOSP 2001), and so does its name: rows put in near the top change the
piece they stand in and no later one.
"""

import codecs
import csv
import io
import zlib
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import cast

from ingestion.parsers.decoding import decoded
from ingestion.parsers.model import Extracted, Limits, Member, RawFile
from ingestion.parsers.outline import Outline
from ingestion.parsers.sheets import FIELD_CHARACTERS, check_columns, dialect_of
from rag.errors import LimitExceeded, ParseError
from rag.types import MetadataValue, Section

_SAMPLE_BYTES = 65_536
_READ_AT_ONCE = 1024 * 1024
_LINES_A_CUT = 256
"""One line in so many ends a piece that is at least half full."""


def parse_long_csv(file: RawFile, limits: Limits) -> Extracted:
    """The names of the columns. The rows are members: CSV files under the same header."""
    path, encoding = _opened(file)
    csv.field_size_limit(FIELD_CHARACTERS)
    with path.open(encoding=encoding, errors="replace", newline="") as stream:
        sample = stream.read(_SAMPLE_BYTES)
    delimiter, skipped = dialect_of(sample, file.name)
    rows = _rows_of(path, encoding, delimiter, skipped)
    header = next(rows, list[str]())
    check_columns(len(header), limits)
    [(head, _)] = lines_of([header])
    members = pieces_of(lines_of(rows), head=head, kind="csv", limits=limits)
    return _in_parts(f"A long table in parts, with these columns: {named(header)}", members,
                     encoding, {"document_type": "spreadsheet"})  # fmt: skip


def parse_long_records(file: RawFile, limits: Limits) -> Extracted:
    """The members are files of some thousand lines each."""
    path, encoding = _opened(file)

    def lines() -> Iterator[tuple[str, int]]:
        with path.open(encoding=encoding, errors="replace") as stream:
            for line in stream:
                if line.strip():
                    yield line if line.endswith("\n") else f"{line}\n", line.count(":")

    members = pieces_of(lines(), head="", kind="jsonl", limits=limits)
    return _in_parts("A long list of records in parts", members, encoding,
                     {"document_type": "data"})  # fmt: skip


def _opened(file: RawFile) -> tuple[Path, str]:
    """Where the file lies, and its encoding. Raises as `decoded` does."""
    if file.path is None:
        raise ValueError("only a file on disk is read in parts")
    check_room(file)
    with file.path.open("rb") as stream:
        sample = stream.read(_SAMPLE_BYTES)
        encoding = decoded(sample[: sample.rfind(b"\n") + 1] or sample)[1]
        if encoding.startswith("utf-8") and not _is_utf8(chain([sample], _blocks(stream))):
            encoding = "cp1252"  # what is UTF-8 at first and not later was patched together
    return file.path, encoding


def check_room(file: RawFile) -> None:
    if file.room.levels < 1:
        raise LimitExceeded(
            "it is too long, and lies too deep inside other files to be taken apart"
        )


def named(header: Iterable[str]) -> str:
    return ", ".join(filter(None, (" ".join(name.split()) for name in header)))


def _blocks(stream: io.BufferedReader) -> Iterator[bytes]:
    while block := stream.read(_READ_AT_ONCE):
        yield block


def _is_utf8(blocks: Iterable[bytes]) -> bool:
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        for block in blocks:
            decoder.decode(block)
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return True


def _rows_of(path: Path, encoding: str, delimiter: str, skipped: int) -> Iterator[list[str]]:
    """The rows that are not blank."""
    with path.open(encoding=encoding, errors="replace", newline="") as stream:
        for _ in range(skipped):
            stream.readline()
        try:
            yield from (row for row in csv.reader(stream, delimiter=delimiter) if any(row))
        except csv.Error as error:
            raise ParseError(f"it is not a table of separated values: {error}") from error


class _Returned:
    """A file that hands back what is written to it: `csv.writer` passes that on."""

    def write(self, line: str) -> str:
        return line


def lines_of(rows: Iterable[list[str]]) -> Iterator[tuple[str, int]]:
    """Each row as a line of CSV, with how many cells it has."""
    writer = csv.writer(_Returned(), lineterminator="\n")
    for row in rows:
        yield cast("str", writer.writerow(row)), len(row)


def pieces_of(
    lines: Iterable[tuple[str, int]], *, head: str, kind: str, limits: Limits, folder: str = ""
) -> Iterator[Member]:
    """`lines`, each with how many cells it has, as files of about `max_part_bytes` in `folder`."""
    media_type = "text/csv" if kind == "csv" else "application/x-ndjson"
    taken: dict[str, int] = {}
    held: list[str] = []
    size = cells = 0

    def piece() -> Member:
        name = f"{folder}part-{zlib.crc32(held[0].encode('utf-8', 'replace')):08x}"
        taken[name] = taken.get(name, 0) + 1
        number = f"-{taken[name]}" if taken[name] > 1 else ""
        body = "".join((head, *held)).encode("utf-8", "replace")
        return Member(path=f"{name}{number}.{kind}", media_type=media_type, body=body, is_part=True)

    for line, width in lines:
        held.append(line)
        size += len(line)
        cells += width
        half_full = 2 * size >= limits.max_part_bytes or 2 * cells >= limits.max_part_cells
        full = size >= limits.max_part_bytes or cells >= limits.max_part_cells
        if full or (half_full and zlib.crc32(line.encode("utf-8", "replace")) % _LINES_A_CUT == 0):
            yield piece()
            held.clear()
            size = cells = 0
    if held:
        yield piece()


def _in_parts(
    text: str, members: Iterator[Member], encoding: str, metadata: dict[str, MetadataValue]
) -> Extracted:
    outline = Outline()
    outline.prose(text)
    sections: tuple[Section, ...] = outline.finished()
    warnings = () if encoding.startswith("utf-8") else (f"read as {encoding}",)
    return Extracted(sections=sections, metadata=metadata, warnings=warnings, members=members)
