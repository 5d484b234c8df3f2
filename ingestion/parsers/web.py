"""HTML and what becomes HTML on the way: Markdown, and through pandoc EPUB, ODT, RTF, rst and org."""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# lxml, unstructured and pypandoc carry no types

import re
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import yaml
from markdown_it import MarkdownIt

from ingestion.parsers.archives import is_junk_title
from ingestion.parsers.dates import iso_date
from ingestion.parsers.decoding import decoded
from ingestion.parsers.elements import (
    LINE_BREAK,
    LIST_END,
    TABLE_MARK,
    add_elements,
    prepare_unstructured,
    table_from_tree,
    without_marks,
)
from ingestion.parsers.hidden import remove_hidden
from ingestion.parsers.lines import unwrapped
from ingestion.parsers.model import Extracted, Limits, RawFile
from ingestion.parsers.outline import Outline, titled
from rag.errors import LimitExceeded, ParseError
from rag.types import MetadataValue, Table

_CHARSET = re.compile(rb"<meta[^>]+charset\s*=\s*[\"']?\s*([\w-]+)", re.IGNORECASE)
_FRONT_MATTER = re.compile(r"---[ \t]*\n(.*?)\n(?:---|\.\.\.)[ \t]*(?:\n|$)", re.DOTALL)
_DATE_META = ("article:modified_time", "last-modified", "dcterms.modified", "dc.date", "dcterms.date",
              "article:published_time", "date", "dcterms.created")  # fmt: skip
_LAYOUT_CELL_CHARACTERS = 1000
_PANDOC_TEMPLATE = """<html><head><title>$title$</title>
<meta name="date" content="$date-meta$"><meta name="author" content="$author-meta$"></head>
<body>$body$</body></html>"""
_PANDOC_FORMATS = {"epub": "epub", "odt": "odt", "rtf": "rtf", "rst": "rst", "org": "org"}


@dataclass(frozen=True, slots=True)
class _Page:
    """An HTML document made ready for unstructured."""

    markup: str
    tables: tuple[Table, ...]
    title: str
    metadata: dict[str, MetadataValue]
    hidden: int


def parse_html(file: RawFile, limits: Limits) -> Extracted:
    declared = _CHARSET.search(file.body[:4096])
    name = declared[1].decode("ascii") if declared else None
    text, encoding = decoded(file.body, declared=name)
    extracted = read_html(text, document_type="web_page", limits=limits)
    return _noting(extracted, encoding)


def parse_markdown(file: RawFile, limits: Limits) -> Extracted:
    text, encoding = decoded(file.body)
    front, text = _front_matter(text)
    markdown = MarkdownIt("commonmark", {"breaks": True}).enable(["table", "strikethrough"])
    markup = markdown.render(_rejoined(text))
    title = str(front.pop("title", ""))
    extracted = read_html(markup, document_type="document", limits=limits, title=title)
    return _noting(replace(extracted, metadata={**extracted.metadata, **front}), encoding)


def parse_with_pandoc(file: RawFile, limits: Limits, *, format_name: str) -> Extracted:
    """EPUB, ODT, RTF, reStructuredText and org, read by pandoc in its sandbox.

    The sandbox keeps an `include` in the file from reading other files of the machine.
    """
    import pypandoc  # noqa: PLC0415 - only for the formats that need it

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, f"document.{format_name}")
        path.write_bytes(file.body)
        template = Path(folder, "template.html")
        template.write_text(_PANDOC_TEMPLATE, encoding="utf-8")
        try:
            markup = pypandoc.convert_file(
                str(path),
                "html",
                format=_PANDOC_FORMATS[format_name],
                sandbox=True,
                extra_args=[f"--template={template}", "--wrap=none", "--quiet"],
            )
        except RuntimeError as error:
            raise ParseError(f"pandoc cannot read it as {format_name}") from error
    return read_html(markup, document_type="document", limits=limits)


def read_html(markup: str, *, document_type: str, limits: Limits, title: str = "") -> Extracted:
    """The sections of an HTML text: hidden text gone, spans filled, headings a path."""
    prepare_unstructured()
    page = _prepared(markup, limits)
    from unstructured.partition.html import partition_html  # noqa: PLC0415 - after the preparation

    outline = Outline()
    try:
        elements = partition_html(text=page.markup, languages=[""]) if page.markup else []
        add_elements(outline, elements, tables=page.tables)
    except RecursionError as error:
        raise LimitExceeded("the elements are nested too deep") from error
    title, sections = titled(outline.finished(), title)
    warnings = (f"hidden text stripped: {page.hidden} characters",) if page.hidden else ()
    return Extracted(
        title=title or page.title,
        sections=sections,
        metadata={"document_type": document_type, **page.metadata},
        warnings=warnings,
    )


def _prepared(markup: str, limits: Limits) -> _Page:
    from lxml import etree, html  # pyright: ignore[reportAttributeAccessIssue] # noqa: PLC0415 - as slow to import as the rest of the family

    parser = html.HTMLParser(
        remove_comments=True, remove_pis=True, encoding="utf-8", no_network=True
    )
    content = without_marks(markup).encode("utf-8", "replace")
    try:
        root = cast("Any", html.document_fromstring(content, parser=parser))
    except etree.ParserError:  # nothing in it
        return _Page("", (), "", {}, 0)
    title = " ".join((root.findtext(".//title") or "").split())
    title = "" if is_junk_title(title) else title
    metadata = _metadata_of(root)
    hidden = remove_hidden(root)
    _unwrap_layout_tables(root)
    _number_lists(root)
    _end_lists(root)
    tables = tuple(_lift_tables(root))
    for line_break in list(root.iter("br")):
        line_break.tail = LINE_BREAK + (line_break.tail or "")
    text = cast("str", html.tostring(root, encoding="unicode"))
    if len(text) > limits.max_characters * 4:
        raise LimitExceeded(f"the page is larger than {limits.max_characters * 4} characters")
    return _Page(text, tables, title, metadata, hidden)


def _metadata_of(root: Any) -> dict[str, MetadataValue]:
    found: dict[str, str] = {}
    for node in root.iter("meta"):
        key = (node.get("name") or node.get("property") or node.get("http-equiv") or "").lower()
        found.setdefault(key, node.get("content") or "")
    metadata: dict[str, MetadataValue] = {}
    for key in _DATE_META:
        if date := iso_date(found.get(key, "")):
            metadata["date"] = date
            break
    if author := found.get("author", "").strip():
        metadata["author"] = author
    return metadata


def _unwrap_layout_tables(root: Any) -> None:
    """Turn tables that only lay a page out into plain blocks, innermost first."""
    layout = [table for table in root.iter("table") if _is_layout(table)]
    for table in reversed(layout):
        for part in list(table.iter("tbody", "thead", "tfoot", "tr", "td", "th", "caption")):
            if next(part.iterancestors("table"), None) is table:
                part.tag = "div"
        table.tag = "div"


def _is_layout(table: Any) -> bool:
    if table.get("role") in {"presentation", "none"}:
        return True
    if next(table.iterdescendants("table"), None) is not None:
        return True
    rows = list(table.iter("tr"))
    widest = max((sum(cell.tag in {"td", "th"} for cell in row) for row in rows), default=0)
    if widest <= 1 and next(table.iter("th"), None) is None:
        return True
    has_blocks = next(table.iter("h1", "h2", "h3", "h4", "pre"), None) is not None
    longest = max((len("".join(cell.itertext())) for cell in table.iter("td")), default=0)
    return has_blocks or longest > _LAYOUT_CELL_CHARACTERS


def _number_lists(root: Any) -> None:
    """Write the numbers of ordered lists out: the text says `step 3`, and so must the list."""
    for ordered in root.iter("ol"):
        start = ordered.get("start", "1")
        number = int(start) if start.isdecimal() else 1
        for entry in ordered.iterchildren("li"):
            holder = entry
            if not (entry.text or "").strip() and len(entry) and entry[0].tag == "p":
                holder = entry[0]
            holder.text = f"{number}. {(holder.text or '').lstrip()}"
            number += 1


def _end_lists(root: Any) -> None:
    """Mark the end of every list that is not part of another."""
    for listed in list(root.iter("ul", "ol")):
        if next(listed.iterancestors("ul", "ol"), None) is None:
            mark = listed.makeelement("p")
            mark.text = LIST_END
            listed.addnext(mark)  # lxml moves the text after the list behind the mark


def _lift_tables(root: Any) -> list[Table]:
    """Take the tables out, leaving a marked paragraph in each one's place.

    unstructured would lose `rowspan` and `colspan`.
    """
    from lxml import etree  # pyright: ignore[reportAttributeAccessIssue] # noqa: PLC0415 - as slow to import as the rest of the family

    tables: list[Table] = []
    for table in list(root.iter("table")):
        mark = etree.Element("p")
        mark.tail = table.tail
        found = table_from_tree(table)
        if found is None:
            mark.text = " ".join(" ".join(table.itertext()).split())
        else:
            mark.text = f"{TABLE_MARK}{len(tables)}"
            tables.append(found)
        table.getparent().replace(table, mark)
    return tables


def _front_matter(text: str) -> tuple[dict[str, MetadataValue], str]:
    """The title, date and other plain values of a YAML block at the top, and the text after it."""
    match = _FRONT_MATTER.match(text)
    if match is None:
        return {}, text
    try:
        parsed = cast("object", yaml.safe_load(match[1]))
    except (yaml.YAMLError, ValueError, RecursionError):
        return {}, text
    if not isinstance(parsed, dict):
        return {}, text
    front = {str(key).lower(): value for key, value in cast("dict[object, object]", parsed).items()}
    metadata: dict[str, MetadataValue] = {}
    if front.get("title"):
        metadata["title"] = " ".join(str(front["title"]).split())
    if date := iso_date(str(front.get("date", ""))):
        metadata["date"] = date
    if isinstance(author := front.get("author"), str):
        metadata["author"] = author
    return metadata, text[match.end() :]


def _rejoined(markdown: str) -> str:
    """Markdown with hard-wrapped prose joined, so that the line breaks left are meant as such."""
    out: list[str] = []
    fenced = False
    paragraph: list[str] = []
    for line in [*markdown.split("\n"), ""]:
        fence = line.lstrip().startswith(("```", "~~~"))
        if fenced or fence or not _is_plain(line):
            out += unwrapped(paragraph)
            paragraph = []
            out.append(line)
            fenced = fenced != fence
        else:
            paragraph.append(line)
    return "\n".join(out + unwrapped(paragraph))


def _is_plain(line: str) -> bool:
    """Whether `line` can be part of a paragraph: no blank, heading, list, quote, table or code."""
    return bool(line.strip()) and not re.match(
        r"(?: {4}|\t)|\s*(?:#{1,6}\s|[-*+]\s|\d+[.)]\s|>|\||<|={3,}\s*$|-{3,}\s*$)", line
    )


def _noting(extracted: Extracted, encoding: str) -> Extracted:
    if encoding.startswith("utf-8"):
        return extracted
    return replace(extracted, warnings=(*extracted.warnings, f"read as {encoding}"))
