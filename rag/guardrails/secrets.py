"""Keys, tokens and passwords: found by their form, never by where they are used.

Every pattern is linear: it starts at a literal, and what follows is bounded or possessive. Most
texts hold none of the literals, and then no pattern runs at all.
"""

import math
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from rag.guardrails.hits import Hit, plain

CUT_KEY = "private_key_cut"
"""A key of which the beginning or the end is elsewhere: what lies between may be anywhere."""
_BEGIN_KEY = re.compile(r"-----(?:BEGIN|END) (?:[A-Z0-9]{1,12} ){0,3}PRIVATE KEY(?: BLOCK)?-----")
_END_OF_KEY = "-----END "
_ASSIGNED = re.compile(
    r"(?:pass(?:word|wort|wd|phrase)|pwd|kennwort|secret|token|zugangsschl.{1,2}ssel"
    r"|(?:api|access|auth|secret|account|private|shared)[_ -]?key)"
    r"\w{0,20}[\"'`*]{0,3}\s{0,3}(?::=|=>|[:=]|\bis\b|\blautet\b)\s{0,3}[\"'`*]{0,3}"
    r"([^\s\"'`<>,;|]{8,200})"
)
"""Over a plain twin of the text, see `plain`."""
_ASSIGNED_NEEDLES = ("passw", "passph", "pwd", "kennwort", "secret", "token", "key", "zugangsschl")
_PLACEHOLDER = re.compile(
    r"\*+|x+|\.+|[$%{<\[(].*|(?:your|my|dein|ihr|some|the|a|example|sample|test|dummy|changeme|change_me"
    r"|placeholder|password|passwort|secret|token|redacted|geheim)\b.*|https?:.*|none|null|true|false",
    re.IGNORECASE,
)
_CONNECTION = re.compile(r"://([^\s:/@\"']{0,64}):([^\s@/\"']{3,128})@[\w\[.-]")


@dataclass(frozen=True, slots=True)
class _Rule:
    kind: str
    needles: tuple[str, ...]
    pattern: re.Pattern[str]


def _rule(kind: str, needles: str, pattern: str) -> _Rule:
    return _Rule(kind, tuple(needles.split()), re.compile(pattern))


_WORD = r"(?<![A-Za-z0-9_-])"
_RULES = (
    _rule("aws_key", "AKIA ASIA", r"(?<![A-Z0-9])(?:AKIA|ASIA)[A-Z2-7]{16}(?![A-Z0-9])"),
    _rule("gcp_key", "AIza", rf"{_WORD}AIza[0-9A-Za-z_-]{{35}}(?![0-9A-Za-z_-])"),
    _rule("gcp_key", "ya29.", rf"{_WORD}ya29\.[0-9A-Za-z_-]{{20,500}}"),
    _rule("github_token", "ghp_ gho_ ghu_ ghs_ ghr_", rf"{_WORD}gh[pousr]_[A-Za-z0-9]{{36,255}}"),
    _rule("github_token", "github_pat_", rf"{_WORD}github_pat_[A-Za-z0-9_]{{36,255}}"),
    _rule("gitlab_token", "glpat-", rf"{_WORD}glpat-[A-Za-z0-9_-]{{20,255}}"),
    _rule("slack_token", "xox", rf"{_WORD}xox[abeoprs]-[A-Za-z0-9-]{{10,255}}"),
    _rule(
        "slack_token",
        "hooks.slack.com/",
        r"hooks\.slack\.com/services/T\w{6,16}/B\w{6,16}/\w{16,48}",
    ),
    _rule("stripe_key", "k_live_", rf"{_WORD}[sr]k_live_[A-Za-z0-9]{{16,255}}"),
    _rule("api_key", "sk-", rf"{_WORD}sk-(?:ant-|proj-)?[A-Za-z0-9_-]{{32,255}}"),
    _rule("jwt", "eyJ", rf"{_WORD}eyJ[\w-]{{8,}}+\.eyJ[\w-]{{8,}}+\.[\w-]{{8,}}+"),
)


def secrets_in(text: str) -> Iterator[Hit]:
    """Where secrets stand. The same place may be named twice."""
    if "PRIVATE KEY" in text:
        yield from _private_keys(text)
    for rule in _RULES:
        if any(needle in text for needle in rule.needles):
            for found in rule.pattern.finditer(text):
                yield Hit(found.start(), found.end(), rule.kind)
    if "://" in text:
        yield from _connection_strings(text)
    twin = plain(text)
    if any(needle in twin for needle in _ASSIGNED_NEEDLES):
        yield from _assigned(text, twin)


def _private_keys(text: str) -> Iterator[Hit]:
    """From a key's first line to its last; to the end of the text where that is cut off."""
    at = 0
    while (begun := _BEGIN_KEY.search(text, at)) is not None:
        end = text.find(_END_OF_KEY, begun.end()) if "BEGIN" in begun[0] else begun.start()
        last = _BEGIN_KEY.match(text, end) if end >= 0 else None
        is_whole = last is not None and last.start() > begun.start()
        at = len(text) if last is None else last.end()
        yield Hit(begun.start(), at, "private_key" if is_whole else CUT_KEY)


def _connection_strings(text: str) -> Iterator[Hit]:
    for found in _CONNECTION.finditer(text):
        if not _PLACEHOLDER.fullmatch(found[2]):
            yield Hit(found.start(1), found.end(2), "connection_string")


def _assigned(text: str, twin: str) -> Iterator[Hit]:
    for found in _ASSIGNED.finditer(twin):
        value = text[found.start(1) : found.end(1)].rstrip(".,;:)]}!?")
        if is_random(value) and not _PLACEHOLDER.fullmatch(value):
            yield Hit(found.start(1), found.start(1) + len(value), "assigned_secret")


def _is_symbol(sign: str) -> bool:
    return not sign.isalnum()


_KINDS_OF_SIGNS = (str.islower, str.isupper, str.isdigit, _is_symbol)


def is_random(value: str) -> bool:
    """Whether `value` looks chosen to be hard to guess: several kinds of signs, few repeated."""
    if len(value) < 8:
        return False
    kinds = sum(any(map(test, value)) for test in _KINDS_OF_SIGNS)
    has_digit = any(map(str.isdigit, value))
    bits = _entropy(value)
    if len(value) < 16:
        return kinds >= 3 and has_digit and bits >= 2.75
    return kinds >= 2 and has_digit and bits >= 3.0


def _entropy(value: str) -> float:
    """Shannon's, in bits a sign."""
    return -sum(
        count / len(value) * math.log2(count / len(value)) for count in Counter(value).values()
    )
