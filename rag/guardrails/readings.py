"""What a text may be meant to be read as: folded to plain letters, and with disguises undone.

A disguise is only undone where the text bears its mark, so an ordinary question costs one pass.
"""

import base64
import binascii
import codecs
import html
import re
import unicodedata
import urllib.parse
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

Disguise = Literal[
    "none", "leet", "spacing", "base64", "hex", "url", "rot13", "reversed", "tags", "joined"
]

_INVISIBLE = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f"
    "\ufe00-\ufe0f\ufeff\ufff9-\ufffb\U000e0000-\U000e0fff]"
)
_TAGS = re.compile("[\U000e0020-\U000e007e]{6,}")
_ALIKE = str.maketrans(
    "аеорсхуіјѕһԁԛԝвкмнтгαεορυνικτχηωıøłđð’‘‚“”„«»–—‐‑−·•",
    "aeopcxyijshdqwbkmhtraeopuviktxnwioldd''''''''-----..",
) | {ord("ß"): "ss", ord("æ"): "ae", ord("œ"): "oe", ord("þ"): "th"}
"""Letters of other scripts that look like ours, and signs that have a plain twin."""
_FOREIGN_LETTER = re.compile("[^\x00-\x7f]")
_LEET = str.maketrans("01345789@$!|", "oieastbgasil")
_LEET_MARK = re.compile(r"[a-z][013457@$!|]+[a-z]|\b[013457@$!|]+[a-z]+[013457@$!|]")
_LEET_WORD = re.compile(r"[\w.+-]{1,64}@[\w-]{1,64}(?:\.[\w-]{1,24}){1,4}|[a-z013457@$!|]{3,24}")
"""An e-mail address stands as it is: its `@` is no letter. Bounded, so that no text is slow to read."""
_SPACED = re.compile(r"(?:\b\w[ ._\-*|/+]{1,2}){5,}\w\b")
_HYPHEN_MARK = re.compile(r"[a-z][-_.*][a-z]{1,5}[-_.*][a-z]")
_HYPHENED = re.compile(r"\b[a-z]{1,5}(?:[-_.*][a-z]{1,5})+\b")
_BASE64 = re.compile(r"[A-Za-z0-9+/_-]{16,}={0,2}")
_HEX = re.compile(r"(?:[2-7][0-9a-fA-F](?:[ :]|0x|\\x){0,3}){10,}")
_URL = re.compile(r"(?:%[0-9A-Fa-f]{2}[^\s%]{0,40}){3,}")
_ENTITY = re.compile(r"&#x?[0-9a-fA-F]{2,6};")
_ESCAPE = re.compile(r"(?:\\u00[0-9a-fA-F]{2}){3,}")
_JOINS = re.compile(r"[\"']\s*(?:\+|&|,|\.|\|\||and)\s*[\"']")
_ROT13 = ("vtaber", "vafgehpgvba", "cebzcg", "erirny", "sbetrg", " gur ", " lbhe ", " naq ", " nyy ", " lbh ")  # fmt: skip
_BACKWARDS = ("erongi", "snoitcurtsni", "tpmorp", "laever", "tegrof", " eht ", " ruoy ", " lla ", " uoy ", " llet ")  # fmt: skip
"""Words of attacks, and the commonest of all, rotated by 13 letters, and backwards."""
_FEW_BLOBS = 8
"""So many encoded parts are each read alone besides. All are read together, however many."""
_LEAST_READABLE = 0.85


@dataclass(frozen=True, slots=True)
class Reading:
    """Lower-case, white space folded, letters plain; `how` it was hidden."""

    text: str
    how: Disguise = "none"


def folded(text: str) -> str:
    """`text` in plain lower-case letters: compatibility forms, look-alikes, accents and invisible
    characters undone, white space made single spaces."""
    if not text.isascii():
        text = _INVISIBLE.sub("", text)
        text = unicodedata.normalize("NFKC", text).lower().translate(_ALIKE)
        if _FOREIGN_LETTER.search(text):
            decomposed = unicodedata.normalize("NFKD", text)
            text = "".join(each for each in decomposed if not unicodedata.combining(each))
    return " ".join(text.lower().split())


def readings(text: str) -> Iterator[Reading]:
    """`text` folded, then every other way it can be read. Each stands for itself."""
    plain = folded(text)
    yield Reading(plain)
    if _LEET_MARK.search(plain) and (leet := _unleeted(plain)) != plain:
        yield Reading(leet, "leet")
    if _SPACED.search(text) or _HYPHEN_MARK.search(plain):
        yield Reading(_closed_up(text), "spacing")
    if ('"' in text or "'" in text) and _JOINS.search(text):
        yield Reading(folded(_JOINS.sub("", text)), "joined")
    if any(word in plain for word in _ROT13):
        yield Reading(codecs.encode(plain, "rot13"), "rot13")
    if any(word in plain for word in _BACKWARDS):
        yield Reading(plain[::-1], "reversed")
    if not text.isascii() and (tags := _TAGS.findall(text)):
        hidden = " ".join("".join(chr(ord(each) - 0xE0000) for each in run) for run in tags)
        yield Reading(folded(hidden), "tags")
    yield from _decoded(text)


def _decoded(text: str) -> Iterator[Reading]:
    if "%" in text and _URL.search(text):
        yield Reading(folded(urllib.parse.unquote(text)), "url")
    if ("&#" in text and _ENTITY.search(text)) or ("\\u00" in text and _ESCAPE.search(text)):
        unescaped = _ESCAPE.sub(
            lambda run: bytes.fromhex(run[0].replace("\\u00", "")).decode("latin-1"), text
        )
        yield Reading(folded(html.unescape(unescaped)), "url")
    for said in _together([_read(_base64_bytes(blob)) for blob in _BASE64.findall(text)]):
        yield Reading(folded(said), "base64")
    for said in _together([_read(_hex_bytes(digits)) for digits in _HEX.findall(text)]):
        yield Reading(folded(said), "hex")


def _together(read: list[str]) -> Iterator[str]:
    """What the encoded parts of a text say: as sentences of one text, and as one text that was cut
    up; where they are few, each alone too. No part is left out, and all of it together is never
    longer than three times the text."""
    said = [each for each in read if each]
    if len(said) <= _FEW_BLOBS:
        yield from said
    if len(said) > 1:
        yield ". ".join(said)
        yield "".join(said)


def _unleeted(plain: str) -> str:
    return _LEET_WORD.sub(lambda word: _letters_of(word[0]), plain)


def _letters_of(word: str) -> str:
    if "." in word or not any("a" <= letter <= "z" for letter in word):
        return word
    return word.translate(_LEET)


def _closed_up(text: str) -> str:
    """`i g n o r e` and `ig-no-re` as words; two gaps are a space."""
    closed = _SPACED.sub(
        lambda run: re.sub(
            r"([^\W_])[ ._\-*|/+]{1,2}", lambda pair: pair[1] + (" " * (len(pair[0]) > 2)), run[0]
        ),
        re.sub(r" {3,}", "  ", text),
    )
    return _HYPHENED.sub(lambda word: re.sub(r"[-_.*]", "", word[0]), folded(closed))


def _hex_bytes(digits: str) -> bytes:
    return bytes.fromhex(re.sub(r"0x|\\x|[ :]", "", digits))


def _base64_bytes(blob: str) -> bytes:
    bare = blob.rstrip("=").replace("-", "+").replace("_", "/")
    try:
        return base64.b64decode(bare + "=" * (-len(bare) % 4))
    except (binascii.Error, ValueError):
        return b""


def _read(data: bytes) -> str:
    """The text that `data` is; empty where it is none."""
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return ""
    letters = sum(each.isalpha() or each.isspace() for each in text)
    return text if len(text) >= 10 and letters >= _LEAST_READABLE * len(text) else ""
