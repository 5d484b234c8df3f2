"""Plain text: paragraphs, the headings people type, columns drawn with spaces."""

import re
from collections.abc import Sequence

from ingestion.parsers.decoding import decoded
from ingestion.parsers.lines import unwrapped
from ingestion.parsers.model import Extracted, Limits, RawFile
from ingestion.parsers.outline import Outline, titled

_RULE = re.compile(r"\s*([=\-_*~#])\1{2,}\s*")
_UNDERLINE = re.compile(r"\s*(={3,}|-{3,}|~{3,}|\*{3,})\s*")
_NUMBERED = re.compile(r"\s*(\d{1,2}(?:\.\d{1,2}){0,3})[.)]?\s+\S.{0,78}")
_INNER_GAP = re.compile(r"\S {2,}\S|\t")
_ITEM = re.compile(r"\s*[-*•‣▪\u2013]\s+")
_MAX_HEADING = 80


def parse_text(file: RawFile, limits: Limits) -> Extracted:
    del limits  # text is never larger than its file
    text, encoding = decoded(file.body)
    outline = Outline()
    add_text(outline, text)
    title, sections = titled(outline.finished())
    warnings = () if encoding.startswith("utf-8") else (f"read as {encoding}",)
    metadata = {"document_type": "document"}
    return Extracted(title=title, sections=sections, metadata=metadata, warnings=warnings)


def add_text(
    outline: Outline, text: str, *, page: int | None = None, headings: bool = True
) -> None:
    """Add plain text to `outline`; `headings` says whether to look for headings in it."""
    for lines in _paragraphs(text):
        rest = _take_heading(outline, lines, page) if headings else lines
        while rest and _RULE.fullmatch(rest[-1]):
            rest = rest[:-1]
        if not rest:
            continue
        if _is_tabular(rest):
            outline.code("\n".join(line.rstrip() for line in rest), page=page)
        else:
            outline.prose("\n".join(line.strip() for line in unwrapped(rest)), page=page)


def _paragraphs(text: str) -> list[list[str]]:
    paragraphs: list[list[str]] = [[]]
    for line in text.replace("\f", "\n\n").split("\n"):
        if line.strip():
            paragraphs[-1].append(line)
        elif paragraphs[-1]:
            paragraphs.append([])
    return [lines for lines in paragraphs if lines]


def _take_heading(outline: Outline, lines: Sequence[str], page: int | None) -> Sequence[str]:
    """Open the headings that `lines` start with; what is left of them."""
    while lines and _RULE.fullmatch(lines[0]):
        lines = lines[1:]
    while lines:
        first = lines[0].strip()
        if (
            len(lines) > 1
            and (line := _UNDERLINE.fullmatch(lines[1]))
            and len(first) <= _MAX_HEADING
        ):
            outline.heading(first, 1 if line[1][0] == "=" else 2, page=page)
            lines = lines[2:]
        elif _is_shouted(first) and not _INNER_GAP.search(first):
            outline.heading(
                first, 1 if outline.is_empty else _depth(first, shallowest=2), page=page
            )
            lines = lines[1:]
        elif _is_numbered_heading(first, lines[1:]):
            outline.heading(first, _depth(first, shallowest=3), page=page)
            lines = lines[1:]
        else:
            break
    return lines


def _is_numbered_heading(line: str, rest: Sequence[str]) -> bool:
    """Whether `line` is a heading such as `2.1 Evidence`, alone or right above its text."""
    if not _NUMBERED.fullmatch(line) or line[-1] in ".,;:" or _INNER_GAP.search(line):
        return False
    if not rest:
        return True
    return (
        len(line) <= 50
        and not _NUMBERED.fullmatch(rest[0].strip())
        and not _ITEM.match(rest[0])
        and len(unwrapped([line, *rest])) > len(unwrapped(rest))
    )


def _is_shouted(line: str) -> bool:
    """Whether `line` is a heading in capitals, such as `3. WHAT THEY SAID`."""
    letters = [sign for sign in line if sign.isalpha()]
    words = [word for word in line.split() if any(map(str.isalpha, word))]
    has_code = len(words) == 1 and any(map(str.isdigit, words[0]))
    return (
        len(line) <= _MAX_HEADING
        and len(letters) >= 4
        and all(map(str.isupper, letters))
        and not has_code
        and line[-1] not in ".,;"
        and not _ITEM.match(line)
    )


def _depth(line: str, *, shallowest: int) -> int:
    number = _NUMBERED.fullmatch(line)
    return shallowest + (number[1].count(".") if number else 0)


def _is_tabular(lines: Sequence[str]) -> bool:
    """Whether white space draws columns that joining the lines would destroy."""
    gaps = sum(_INNER_GAP.search(line.strip()) is not None for line in lines)
    return len(lines) >= 2 and gaps >= 2 and gaps * 2 > len(lines)
