"""Text that people never see, taken out before it can reach a model, and counted."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

INVISIBLE = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180e\u200b\u200c\u200e\u200f\u202a-\u202e"
    "\u2060-\u206f\ufe00-\ufe0e\ufeff\ufff9-\ufffb\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)
"""Zero-width, bidirectional-control, tag and filler characters. The zero-width joiner (U+200D) and
the emoji variation selector (U+FE0F) stay: emoji and Indic scripts are written with them."""
_SMUGGLED = re.compile("[\u202a-\u202e\u2066-\u2069\U000e0000-\U000e0fff]")
"""What is never there by accident: overrides of the reading direction, and tag characters."""

_INVISIBLE_STYLE = re.compile(
    r"display\s*:\s*none|visibility\s*:\s*(?:hidden|collapse)|mso-hide\s*:\s*all"
    r"|opacity\s*:\s*0*(?:\.0+)?\s*(?:;|!|$)|text-indent\s*:\s*-\d{3,}"
    r"|(?:left|top)\s*:\s*-\d{4,}px",
    re.IGNORECASE,
)
_FONT_SIZE = re.compile(r"font-size\s*:\s*([\d.]+)\s*(px|pt|em|rem|%|)", re.IGNORECASE)
_UNREADABLE = MappingProxyType({"px": 1.0, "pt": 1.0, "em": 0.1, "rem": 0.1, "%": 10.0, "": 0.0})
"""Font sizes, by unit, at and below which nobody reads."""
_MEDIA = re.compile(r"@[\w-]+[^{;]*\{(?:[^{}]*\{[^{}]*\})*[^{}]*\}")
_COLOUR = re.compile(r"(?<![-\w])color\s*:\s*([^;!]+)", re.IGNORECASE)
_BACKGROUND = re.compile(r"background(?:-color)?\s*:\s*([^;!]+)", re.IGNORECASE)
_RULE = re.compile(r"([^{}@;]+)\{([^{}]*)\}")
_SIMPLE_SELECTOR = re.compile(r"([a-z][\w-]*)?(?:\.([\w-]+)|#([\w-]+))?", re.IGNORECASE)
_WHITE = re.compile(r"white|#fff(?:fff)?|rgba?\(\s*255\s*,\s*255\s*,\s*255\b.*|#fefefe|#fdfdfd", re.IGNORECASE)  # fmt: skip
_UNSEEN = re.compile(r"transparent|rgba\(.*,\s*0?(?:\.0+)?\s*\)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Visible:
    """A text without its invisible characters."""

    text: str
    stripped: int
    smuggled: bool
    """Whether some were of the kind that is only ever there to deceive."""


def visible(text: str) -> Visible:
    """`text` as it is seen."""
    if not INVISIBLE.search(text):
        return Visible(text, 0, smuggled=False)
    seen, count = INVISIBLE.subn("", text)
    return Visible(seen, count, smuggled=_SMUGGLED.search(text) is not None)


def remove_hidden(root: Any) -> int:
    """Take the elements that no browser shows out of an lxml tree; how many characters they held.

    Understood are the `hidden` and `aria-hidden` attributes, inline styles, and style sheets in
    the document whose selectors name one tag, class or id.
    """
    rules = list(_style_rules(root))
    removed = 0
    waiting = list(root)
    while waiting:
        element = waiting.pop()
        if not _is_hidden(element, rules):
            waiting.extend(element)
            continue
        text = " ".join("".join(element.itertext()).split())
        if element.tag not in {"script", "style", "template", "noscript"}:
            removed += len(text)
        _drop(element)
    return removed


def _is_hidden(element: Any, rules: list[tuple[str, str, str, str]]) -> bool:
    if element.get("hidden") is not None or element.get("aria-hidden", "").lower() == "true":
        return True
    style = _style_of(element, rules)
    if not style:
        return False
    if _INVISIBLE_STYLE.search(style) or _is_unreadable(style):
        return True
    colour = _COLOUR.search(style)
    return colour is not None and _is_drowned(colour[1].strip(), element, rules)


def _is_drowned(shade: str, element: Any, rules: list[tuple[str, str, str, str]]) -> bool:
    """Whether text of the colour `shade` cannot be told from what is behind it."""
    if _UNSEEN.fullmatch(shade):
        return True
    background = _background_of(element, rules)
    if _WHITE.fullmatch(shade):
        return _WHITE.fullmatch(background) is not None
    return _normal(shade) == _normal(background)


def _is_unreadable(style: str) -> bool:
    for size, unit in _FONT_SIZE.findall(style):
        try:
            if float(size) <= _UNREADABLE[unit.lower()]:
                return True
        except ValueError:  # 1.2.3
            continue
    return False


def _background_of(element: Any, rules: list[tuple[str, str, str, str]]) -> str:
    """The colour behind `element`: its own or the nearest ancestor's; a page is white."""
    node = element
    while node is not None:
        found = _BACKGROUND.search(_style_of(node, rules))
        shade = found[1].strip() if found else node.get("bgcolor", "")
        if shade and not _UNSEEN.fullmatch(shade):
            return shade.split()[0] if "(" not in shade else shade
        node = node.getparent()
    return "white"


def _style_of(element: Any, rules: list[tuple[str, str, str, str]]) -> str:
    styles = [
        body
        for tag, name, identifier, body in rules
        if (not tag or tag == element.tag)
        and (not name or name in element.get("class", "").split())
        and (not identifier or identifier == element.get("id"))
    ]
    own = element.get("style", "")
    if element.tag == "font" and element.get("color"):
        own = f"color:{element.get('color')};{own}"
    return ";".join([own, *styles]) if styles else own


def _style_rules(root: Any) -> Iterator[tuple[str, str, str, str]]:
    for sheet in root.iter("style"):
        style = re.sub(r"/\*.*?\*/", "", sheet.text or "", flags=re.DOTALL)
        for selectors, body in _RULE.findall(_MEDIA.sub("", style)):
            for selector in selectors.split(","):
                match = _SIMPLE_SELECTOR.fullmatch(selector.strip())
                if match and any(match.groups()):
                    tag, name, identifier = match.groups(default="")
                    yield tag.lower(), name, identifier, body


def _normal(shade: str) -> str:
    return re.sub(r"#(.)(.)(.)$", r"#\1\1\2\2\3\3", shade.lower().replace(" ", ""))


def _drop(element: Any) -> None:
    """Take `element` out and leave the text that follows it where it is."""
    parent, tail = element.getparent(), element.tail or ""
    before = element.getprevious()
    if before is not None:
        before.tail = (before.tail or "") + tail
    else:
        parent.text = (parent.text or "") + tail
    parent.remove(element)
