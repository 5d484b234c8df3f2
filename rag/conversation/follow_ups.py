"""Whether a question leans on what was said before it, and the same question without leaning.

Rules, English and German: a pronoun or a pointer without what it points to, or too few words of its
own. A question that stands by itself is left as it is: rewriting it could only harm. Measured on
tests/rag/conversation/follow_ups.jsonl by tests/benchmarks/bench_follow_ups.py; docs/answers.md has
the rates.
"""

import re
from dataclasses import dataclass
from enum import StrEnum

from rag.terms import codes_of, content_words, is_german, is_stop_word


class Leans(StrEnum):
    """What of a question only the conversation explains."""

    NOT = "not"
    POINTS = "points"
    """`it`, `that one`, `there`, `dessen`: something stands for something said before."""
    OMITS = "omits"
    """`And in Kassel?`: what is asked of it was said before."""


_POINTERS_EN = re.compile(
    r"""
    \b(?:it|its|they|them|their|theirs|he|she|him|his|hers?)\b
    | \b(?:this|that|these|those)\b(?=\s*(?:\?|$|,|one|ones|is|are|was|were|has|have|does|do|mean|apply|include
        |work|cost|last|happen|change|also|too|again|instead|and|or|not|still|under|in|for|on|at|by|with|from|to))
    | \b(?:is|was|are|were)\s+(?:this|that|these|those)\s+(?:the|a|an|our|my)\b
    | \b(?:the\s+(?:same|other|others|former|latter|first\s+one|second\s+one|last\s+one|previous|above))\b
    | \b(?:there|then|thereof|one)\b(?=\s*\?|\s+(?:too|also|as\s+well|instead))
    | \b(?:each|all|both|any|one|either|neither|some)\s+of\s+(?:them|these|those|it)\b
    """,
    re.IGNORECASE | re.VERBOSE,
)
_EXPLETIVE_EN = re.compile(
    r"""
    \b(?:is|was|will|does|would|can|could|may|must|should)\s+it\s+(?:be\s+)?(?:possible|allowed|necessary|true|mandatory
        |permitted|ok|okay|required|take|cost|matter|enough|safe|legal|customary|important)\b(?=.*\b(?:to|that|if|for)\b)
    | \b(?:how|what)\s+(?:long|much|time|many\s+\w+)\s+(?:does|will|did|is|was|would)\s+it\s+(?:take|cost)?\s*(?:to|for|until|in)\b
    | \bit\s+(?:is|was)\s+\w+\s+(?:to|that|who)\b
    | \bthat\s+(?:i|you|we|they|he|she|the|a|an|is|are|was|were|has|have|can|must|may|applies|cover|belong)\b(?=.*\b(?:\w+)\b)
    """,
    re.IGNORECASE | re.VERBOSE,
)
_POINTERS_DE = re.compile(
    r"""
    \b(?:er|sie|es|ihn|ihm|ihr|ihre[nmrs]?|sein(?:e[nmrs]?)?|dessen|deren|denen)\b
    | \b(?:da(?:für|von|mit|zu|bei|nach|gegen|durch|rüber|runter|ran|rin|raus|neben)|dar(?:über|unter|an|in|aus|auf))\b
    | \b(?:das|dies|dieser|diese|dieses|diesen|diesem)\b(?=\s*(?:\?|$|,|auch|noch|für|in|im|bei|am|an|denn|gilt|ist|sind
        |war|kostet|dauert|heißt|bedeutet|eigentlich|genau|dann|und|oder|nicht))
    | \b(?:der|die|das)selbe\b | \b(?:dort|dorthin|da|dann)\b(?=\s*(?:\?|$|auch|noch))
    | \b(?:letztere|erstere|jene)[nmrs]?\b
    """,
    re.IGNORECASE | re.VERBOSE,
)
_EXPLETIVE_DE = re.compile(
    r"(?i:\b(?:gibt|geht|gab)\s+es\b|\bes\s+(?:gibt|gab|geht)\b"
    r"|\b(?:ist|war|wird)\s+es\s+(?:erlaubt|möglich|nötig|verboten|üblich|gestattet|pflicht)"
    r"|\bdauert\s+es,?\s+bis\b)|\b[Ii]st\s+das\s+[A-ZÄÖÜ]"
)
_OPENERS = re.compile(
    r"""^\s*(?:(?:ok(?:ay)?|thanks|thank\s+you|danke|gut|alright|right|fine|hm+|ah)\s*[,.!]\s*)?
    (?:(?:and|or|but|so|also|und|oder|aber|auch|sowie)\b
     |(?:what|how)\s+about\b|(?:what|how)\s+if\b|why\s+(?:not|so|is\s+that)\b|(?:was|wie)\s+ist\s+mit\b|wie\s+sieht\s+es\s+mit\b
     |since\s+when\s*\?|until\s+when\s*\?|seit\s+wann\s*\?|bis\s+wann\s*\?|for\s+(?:whom|what|how\s+long)\s*\?
     |(?:only|even|except|instead|nur|sogar|außer)\b|more\s+(?:details|precisely)|in\s+more\s+detail|genauer|noch)""",
    re.IGNORECASE | re.VERBOSE,
)
_OWN = frozenset("its their his her sein seine seinen seiner ihr ihre ihren ihrer".split())
_PERSONS = frozenset("he she him her they them er ihm ihn".split())
_MANY = 3
"""Words of meaning before a pronoun, beyond which it points to one of them."""
_ADDED = 8
"""Words that are carried over at most."""


def leaning_of(question: str) -> Leans:
    """Whether `question` can be understood without the conversation that it stands in."""
    if _OPENERS.match(question):
        return Leans.OMITS
    plain = _EXPLETIVE_DE.sub(" ", question)
    patterns = [_POINTERS_DE]
    if not is_german(question):
        plain = _EXPLETIVE_EN.sub(" ", plain)
        patterns.append(_POINTERS_EN)
    for pattern in patterns:
        for match in pattern.finditer(plain):
            if match[0] != "IT" and not _explained(plain[: match.start()], match[0]):
                return Leans.POINTS
    return Leans.NOT if content_words(question) else Leans.OMITS


def _explained(before: str, pointer: str) -> bool:
    """Whether what stands before a pronoun in the question itself is what it points to, as in
    `When was the pump built, and who built it?`"""
    told = len(set(content_words(before)))
    if pointer.lower() in _OWN:
        return told > 0
    return told > 1 and (
        pointer.lower() in _PERSONS
        or bool(codes_of(before))
        or re.search(r"[.,;!?]|\b(?:and|und|if|when|wenn|that)\b", before) is not None
        or told > _MANY
    )


@dataclass(frozen=True, slots=True)
class Standalone:
    """A question that can be searched by itself."""

    text: str
    how: Leans
    carried: tuple[str, ...] = ()
    """The words that were carried over."""


def carried_over(question: str, earlier_question: str, earlier_answer: str = "") -> Standalone:
    """`question` with the words that it leans on appended, where it leans; else as it is.

    What is asked about is what the last question named, less what this one replaces: its codes and
    names, and where this one says nothing of its own, its other words of meaning too. An answer's
    codes are carried where the question asked which one. Words of data, not sentences: what comes
    out is searched, and is no instruction to anyone.
    """
    leaning = leaning_of(question)
    if leaning is Leans.NOT or not earlier_question:
        return Standalone(question, leaning)
    mine = set(content_words(question))
    words = [
        word for word in _telling(earlier_question) if not mine.issuperset(content_words(word))
    ]
    if leaning is Leans.POINTS:
        answered = [
            code for code in _codes_in_order(earlier_answer) if code not in earlier_question
        ]
        words = [*words, *answered[:1]]
    else:
        words = _without_replaced(words, question)
    carried = tuple(dict.fromkeys(words))[:_ADDED]
    if not carried:
        return Standalone(question, leaning)
    return Standalone(f"{question.rstrip(' ?')} ({' '.join(carried)})?", leaning, carried)


def _telling(question: str) -> list[str]:
    """The words of meaning of a question, codes whole, as they are written and in order."""
    codes = codes_of(question)
    found: list[str] = []
    for word in re.findall(r"[^\s?!.,;:()\"“”„]+(?:[.,][^\s?!.,;:()]+)*", question):
        plain = word.strip("'’")
        if plain.upper() in codes or (not is_stop_word(plain) and content_words(plain)):
            found.append(plain)
    return found


def _codes_in_order(text: str) -> list[str]:
    codes = codes_of(text)
    return [word for word in re.findall(r"[\w./-]+", text) if word.rstrip(".").upper() in codes]


def _without_replaced(words: list[str], question: str) -> list[str]:
    """`words` less those that the new question names another of: `And the AP-450X?` after one about
    the AP-300 asks the same of the other pump, `And in Kassel?` of the other place."""
    if codes_of(question):
        return [word for word in words if not codes_of(word)]
    places = re.findall(r"\b(?:in|at|for|from|für|bei|aus|nach)\s+([A-ZÄÖÜ]\w+)", question)
    if not places:
        return words
    return [word for word in words if not word[0].isupper() or word == words[0]]
