"""Bytes to text without mojibake: what the file declares, then UTF-8, then the likeliest legacy."""

import codecs
import re

from charset_normalizer import from_bytes

from rag.errors import ParseError

_BOMS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_NOT_WESTERN = re.compile(
    "[A-Za-z\u00c0-\u00ff][\u00a2-\u00a9\u00ab-\u00ae\u00b0-\u00b6\u00b8\u00b9\u00bb-\u00be\u00d7\u00f7"
    "\u0192\u2020\u2021\u2030][a-z\u00e0-\u00ff]|[\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u00ff]{4}"
)
"""What shows that a text read as Windows-1252 was not: signs inside words, rows of accents."""
_CONTROL = re.compile("[\x00-\x08\x0e-\x1a\x1c-\x1f]")
_SAMPLE = 65_536


def decoded(body: bytes, *, declared: str | None = None) -> tuple[str, str]:
    """The text of `body`, line ends as `\\n`, and the encoding it was read in.

    Raises `ParseError` where the bytes are no text in any encoding that we know.
    """
    for encoding in (*_marked(body), *_known(declared), "utf-8"):
        try:
            return _clean(body.decode(encoding)), encoding
        except UnicodeError:
            continue
    encoding = _guess(body)
    try:
        return _clean(body.decode(encoding)), encoding
    except UnicodeError as error:
        raise ParseError("the bytes are not text in any encoding known here") from error


def _marked(body: bytes) -> tuple[str, ...]:
    """The encoding that a byte-order mark, or the pattern of zero bytes, gives away."""
    for bom, encoding in _BOMS:
        if body.startswith(bom):
            return (encoding,)
    sample = body[: _SAMPLE // 16]
    if len(sample) >= 4 and len(body) % 2 == 0:
        even, odd = sample[0::2].count(0), sample[1::2].count(0)
        pairs = len(sample) // 2
        if odd > 0.4 * pairs and even < 0.1 * pairs:
            return ("utf-16-le",)
        if even > 0.4 * pairs and odd < 0.1 * pairs:
            return ("utf-16-be",)
    return ()


def _known(declared: str | None) -> tuple[str, ...]:
    if not declared:
        return ()
    try:
        name = codecs.lookup(declared).name
    except (LookupError, ValueError):
        return ()
    # What calls itself Latin-1 or ASCII is Windows-1252 in practice; browsers read it so too.
    return ("utf-8", "cp1252") if name in {"iso8859-1", "ascii"} else (name,)


def _guess(body: bytes) -> str:
    try:
        if not _NOT_WESTERN.search(body.decode("cp1252")):
            return "cp1252"
    except UnicodeError:
        pass
    best = from_bytes(body[:_SAMPLE]).best()
    return "cp1252" if best is None else best.encoding


def _clean(text: str) -> str:
    if len(_CONTROL.findall(text[:_SAMPLE])) > max(2, len(text[:_SAMPLE]) // 200):
        raise ParseError("the bytes are not text")
    text = text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    return _CONTROL.sub("", text)
