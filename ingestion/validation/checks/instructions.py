"""Sentences that address a language model: few rules, English and German, each hard to meet by
accident. The document is indexed all the same; who shows its text to a model knows of them."""

import re
from dataclasses import dataclass

from ingestion.validation.checking import Check, Finding
from ingestion.validation.policy import Objection
from ingestion.validation.reasons import Reason
from ingestion.validation.subjects import TextSubject, plain
from rag.storage.verdicts.records import Result

_MODEL_EN = r"(?:ai|llm|ai (?:model|assistant|system)|large language model|language model|chatbot)"
_MODEL_DE = r"(?:ki|llm|ki-(?:modell|assistent|system)|sprachmodell|chatbot)"


@dataclass(frozen=True, slots=True)
class _Rule:
    """A pattern over the plain twin of a text, white space folded, and what every match begins with."""

    name: str
    needles: tuple[str, ...]
    pattern: re.Pattern[str]


def _rule(name: str, needles: str, pattern: str) -> _Rule:
    return _Rule(name, tuple(needles.split("|")), re.compile(pattern))


RULES = (
    _rule(
        "override",
        "ignore|disregard|forget|override|bypass",
        r"\b(?:ignore|disregard|forget|override|bypass) (?:\w+ ){0,3}?"
        r"(?:previous|prior|above|earlier|preceding|existing|system|foregoing) (?:\w+ )?"
        r"(?:instructions?|prompts?|directives?|rules)\b",
    ),
    _rule(
        "override",
        "ignorier|missacht|vergiss|vergessen sie|bergeh",
        r"(?:ignorier\w*|missacht\w*|vergiss|vergessen sie|bergeh\w*) (?:\w+ ){0,3}?"
        r"(?:vorherige\w*|bisherige\w*|obige\w*|vorige\w*|vorangegangene\w*|fr.?here\w*|deine|ihre) "
        r"(?:\w+ )?(?:anweisung\w*|instruktion\w*|befehl\w*|prompts?|vorgaben|regeln)\b",
    ),
    _rule(
        "system_prompt",
        "system prompt|system-prompt|systemprompt",
        r"\b(?:reveal|print|repeat|output|show|leak|gib|zeig\w*|verrate?|wiederhol\w*|nenn\w*)"
        r" (?:\w+ ){0,3}?system[ -]?prompt\b"
        r"|\b(?:new|updated|begin|start) (?:of )?system prompt\b",
    ),
    _rule(
        "role",
        "if you are a|when you are a|this is read by a|you are now",
        rf"\b(?:if|when) (?:you are|this is read by) an? {_MODEL_EN}\b"
        r"|\byou are now (?:an? )?(?:\w+ ){0,3}?(?:assistant|ai|chatbot|language model|dan)\b",
    ),
    _rule(
        "role",
        "note |instruction|message ",
        rf"\b(?:note|instructions?|message) (?:to|for) (?:the |any |all )?{_MODEL_EN}s? ?:",
    ),
    _rule(
        "role",
        "wenn du|falls du|du bist",
        rf"\b(?:wenn|falls) du (?:eine? )?{_MODEL_DE} bist\b"
        rf"|\bdu bist (?:jetzt|nun|ab sofort) (?:eine? )?(?:\w+ ){{0,3}}?(?:{_MODEL_DE}|assistent)\b",
    ),
    _rule(
        "role",
        "hinweis|anweisung|nachricht",
        r"\b(?:hinweis|anweisung|nachricht)\w* (?:an|f.?r) (?:die |das |den |alle )?"
        rf"{_MODEL_DE}\w* ?:",
    ),
    _rule(
        "secrecy",
        "do not |don't |never ",
        r"\b(?:do not|don't|never) (?:tell|mention|inform|reveal)\b[^.]{0,40}\b(?:the user"
        r"|these instructions|this prompt)\b",
    ),
    _rule(
        "secrecy",
        "nutzer|anwender",
        r"\b(?:sag\w*|erz.?hl\w*|verrate?) [^.]{0,30}\bdem (?:be)?(?:nutzer|anwender)\b"
        r"[^.]{0,30}\bnicht",
    ),
    _rule(
        "template",
        "<|",
        r"<\|(?:im_start|im_end|system|user|assistant|endoftext|eot_id|start_header_id)\|>",
    ),
    _rule("template", "[inst|[/inst|<<sys|<</sys", r"\[/?inst\]|<</?sys>>"),
)


def instructions(text: TextSubject) -> Finding | None:
    counts: dict[str, int] = {}
    for piece in text.pieces:
        twin = " ".join(plain(piece).split())
        for rule in RULES:
            if any(needle in twin for needle in rule.needles):
                found = sum(1 for _ in rule.pattern.finditer(twin))
                if found:
                    counts[rule.name] = counts.get(rule.name, 0) + found
    if not counts:
        return None
    quarantines = text.policy.instructions is Objection.QUARANTINE
    return Finding(
        reason=Reason.INSTRUCTIONS,
        detail=", ".join(f"{name}: {count}" for name, count in sorted(counts.items())),
        result=Result.QUARANTINED if quarantines else Result.WARNED,
        counts=counts,
    )


CHECKS = (Check(name="instructions", version=1, run=instructions),)
