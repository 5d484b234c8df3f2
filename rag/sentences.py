"""Where a text's sentences begin and end, for English and German prose, lists and tables.

Rules rather than a model: the same text is always cut the same way, a cut depends on the few
characters around it, and a megabyte takes well under a second.
"""

import re
from collections.abc import Iterator

from rag.types import Span

_NEVER_LAST = frozenset(
    # Titles and words that something always follows.
    "mr mrs ms messrs dr prof st rev hon gen col capt lt sgt jr vs cf viz e.g i.e eg ie ca approx resp incl excl"
    " dept ext fig figs eq eqs ref refs"
    # German
    " hr fr dipl ing z.b z bzw d.h d u.a vgl evtl ggf inkl exkl zzgl bspw sog gem geb lt zt z.t z.hd u.u i.d.r m.e"
    " o.g s.o s.u tel str".split()
)
_BEFORE_NUMBER = frozenset(
    "no nos nr nrn p pp s sec sect ch vol art abs ziff kap tab abb bl pos rev ver max min ed par bd rn anm".split()
)
_SOMETIMES_LAST = frozenset(
    "etc usw inc ltd co corp plc llc bros a.m p.m u.s u.k e.u jan feb mar apr jun jul aug sep sept oct nov dec"
    " mio mrd tsd std u.v.m o.ä u.ä al ph.d b.sc m.sc".split()
)
_STARTERS = frozenset(
    # Words that begin a sentence far more often than they follow an abbreviation inside one.
    "the a an this that these those it its they we you he she i in on at for from to if when while as by with after"
    " before however please see there here all each every no not but and or our your their what which who why how"
    " der die das ein eine dieser diese dieses es sie wir ihr er ich im am auf für von zu wenn als bei mit nach vor"
    " bitte siehe hier alle jede jeder jedes kein keine aber und oder unser unsere was wer wie warum".split()
)
_ORDINAL_NOUNS = frozenset(
    "januar jänner februar märz april mai juni juli august september oktober november dezember quartal halbjahr"
    " stock etage stufe mal tag woche monat jahr lebensjahr jahrhundert absatz kapitel abschnitt auflage platz".split()
)
_ORDINAL_LEADS = frozenset(
    "am der die das dem den des im zum vom ab bis jeder jeden jedem zur beim".split()
)

_END = re.compile(r"(?P<mark>[.!?…]+)[\"'”’»)\]*_]*(?=\s+\S)|[。！？]+[」』”’）]*|[।؟۔](?=\s)")
_LAST_WORD = re.compile(r"[^\s(\[\"'„“«]+$")
_MARKER = re.compile(r"[ \t]*(?:[-*+•‣▪–—·]|\(?(?:\d{1,3}|[A-Za-z])[.)]|#{1,6})[ \t]+")
_LINE = re.compile(r"[^\n]*\n?")
_WRAPPED_FROM = 55
"""A line this long that ends in mid-sentence was broken by an editor's margin, not by its author."""


def split_sentences(text: str) -> list[Span]:
    """The sentences of `text` in order, without the white space around them.

    Every character that is not white space lies in exactly one span. A list item and a row of a
    Markdown table begin a sentence of their own, and a row is never split; lines that an editor
    wrapped are one sentence with the next.
    """
    return [
        trimmed
        for start, end, is_row in _runs(text)
        for span in ((Span(start, end),) if is_row else _sentences(text, start, end))
        if (trimmed := _trim(text, span)) is not None
    ]


def _runs(text: str) -> Iterator[tuple[int, int, bool]]:
    """Stretches of lines that belong together, as (start, end, whether it is a table row)."""
    start = previous = 0
    for match in _LINE.finditer(text):
        at = match.start()
        if at > start and _breaks(text, previous, at):
            yield start, at, _is_row(text, start)
            start = at
        previous = at
    yield start, len(text), _is_row(text, start)


def _breaks(text: str, previous: int, at: int) -> bool:
    """Whether the line that starts at `at` starts something new after the one at `previous`."""
    before, line = text[previous:at].strip(), _line_at(text, at).strip()
    if not before or not line:
        return True
    if before.startswith("|") or line.startswith("|") or _MARKER.match(text, at):
        return True
    if line[0].islower():
        return False
    ends = before[-1] in ".!?:;…"
    return ends or len(before) < _WRAPPED_FROM


def _line_at(text: str, at: int) -> str:
    end = text.find("\n", at)
    return text[at : len(text) if end < 0 else end]


def _is_row(text: str, start: int) -> bool:
    return _line_at(text, start).lstrip().startswith("|")


def _sentences(text: str, start: int, end: int) -> Iterator[Span]:
    marker = _MARKER.match(text, start, end)
    search_from = marker.end() if marker else start
    for match in _END.finditer(text, search_from, end):
        if _ends_sentence(text, start, match):
            yield Span(start, match.end())
            start = match.end()
    yield Span(start, end)


def _ends_sentence(text: str, start: int, match: re.Match[str]) -> bool:
    mark = match["mark"]
    if mark is None:
        return True
    following = _word_after(text, match.end())
    first = following.lstrip("\"'„“”‘«»([*_")[:1]
    if first.islower():
        return False
    if mark != ".":
        return True
    found = _LAST_WORD.search(text, max(start, match.start() - 40), match.start())
    return found is None or not _is_abbreviated(text, start, found, following)


def _is_abbreviated(text: str, start: int, word: re.Match[str], following: str) -> bool:
    """Whether the full stop after `word` belongs to it and not to the sentence."""
    key = word[0].lower()
    next_word = following.strip("\"'„“”‘’«»()[]*_.,;:!?").lower()
    if key in _BEFORE_NUMBER and next_word[:1].isdigit():
        return True
    if key in _NEVER_LAST:
        return True
    if key in _SOMETIMES_LAST:
        return next_word not in _STARTERS
    if len(key) == 1 and key.isalpha():
        # "J. Smith", "z. B. Glas"; but "Vitamin C. The …"
        return next_word not in _STARTERS
    if key.isdigit() and len(key) <= 2:
        lead = text[start : word.start()].split()
        return next_word in _ORDINAL_NOUNS or (bool(lead) and lead[-1].lower() in _ORDINAL_LEADS)
    return False


def _word_after(text: str, at: int) -> str:
    words = text[at : at + 60].split(maxsplit=1)
    return words[0] if words else ""


def _trim(text: str, span: Span) -> Span | None:
    piece = text[span.start : span.end]
    left = len(piece) - len(piece.lstrip())
    kept = len(piece.strip())
    return Span(span.start + left, span.start + left + kept) if kept else None
