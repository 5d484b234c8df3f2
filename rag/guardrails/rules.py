"""Sentences that tell a language model what to do: few patterns, English and German, each hard to
meet by accident. They run over folded text (see `readings.folded`)."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

_MODEL = (
    r"(?:ai|llm|ai[ -](?:model|assistant|system|agent|bot)|(?:large )?language model|chatbot|chatgpt"
    r"|(?:virtual |ai )?assistant|gpt(?:-\d)?)"
)
_MODEL_DE = r"(?:ki|llm|ki-(?:modell|assistent|system)|sprachmodell|chatbot)"
_DROP = (
    r"(?:ignore|disregard|forget|override|bypass|overrule|set aside|pay no attention to"
    r"|(?:do not|don't|stop) (?:follow|obey)(?:ing)?)"
)
_PRIOR = (
    r"(?:previous|prior|above|earlier|preceding|existing|system|foregoing|former|initial|original)"
)
_ORDERS = (
    r"(?:instructions?|prompts?|directives?|directions|rules|guidelines|orders|commands|context)"
)
_DROP_DE = r"(?:ignorier\w*|missacht\w*|vergiss|vergessen sie|ubergeh\w*|verwirf|verwerfen sie)"
_PRIOR_DE = (
    r"(?:vorherige\w*|bisherige\w*|obige\w*|vorige\w*|vorangegangene\w*|fruhere\w*|ursprungliche\w*"
    r"|deine|ihre)"
)
_ORDERS_DE = (
    r"(?:anweisung\w*|instruktion\w*|befehl\w*|prompts?|vorgaben|regeln|auftrag\w*|auftrage)"
)
_SHOW = (
    r"(?:reveal|print|repeat|output|show|leak|disclose|display|recite|dump|tell me|give me|write out"
    r"|gib|zeig\w*|verrate?|wiederhol\w*|nenn\w*)"
)


@dataclass(frozen=True, slots=True)
class Rule:
    """A pattern, and what every match of it contains."""

    kind: str
    needles: tuple[str, ...]
    pattern: re.Pattern[str]


def _rule(kind: str, needles: str, pattern: str) -> Rule:
    return Rule(kind, tuple(needles.split("|")), re.compile(pattern))


RULES = (
    _rule(
        "override",
        "ignore|disregard|forget|override|bypass|overrule|set aside|attention to|follow|obey",
        rf"\b{_DROP} (?:\w+ ){{0,3}}?{_PRIOR} (?:\w+ )?{_ORDERS}\b",
    ),
    _rule(
        "override",
        "ignore|disregard|forget",
        r"\b(?:ignore|disregard|forget) (?:all|everything|what|any|all of|your|all your|all the|the) "
        r"(?:\w+ ){0,2}?(?:(?:you (?:were|have been|are|got|know|received)|i (?:told|said)|before this|above|so far)\b"
        rf"|{_ORDERS} (?:before|above|given|you|and|from|so far))",
    ),
    _rule(
        "override",
        "ignorier|missacht|vergiss|vergessen sie|ubergeh|verwirf|verwerfen sie",
        rf"\b{_DROP_DE} (?:\w+ ){{0,3}}?{_PRIOR_DE} (?:\w+ )?{_ORDERS_DE}\b"
        rf"|\b(?:vergiss|ignoriere) (?:bitte )?(?:alles|alle|samtliche) (?:\w+ ){{0,3}}?(?:{_ORDERS_DE}|davor|bisher\w*|oben|gesagt\w*)",
    ),
    _rule(
        "override",
        "instrucciones|instructions|istruzioni|consignes|instrucoes|instructies",
        r"\b(?:ignor[aez]\w*|oublie\w*|olvida\w*|omite|dimentica\w*|negeer|vergeet|desconsidere|esqueca) (?:\w+ ){0,3}?"
        r"(?:instrucciones|instructions|istruzioni|consignes|instrucoes|instructies)"
        r" (?:preceden\w+|anterior\w+|previ\w+|ci-dessus|de arriba|di prima|sopra|acima)",
    ),
    _rule(
        "system_prompt",
        "prompt",
        rf"\b{_SHOW} (?:\w+ ){{0,3}}?(?:your|the|deinen?|den|ihren?) (?:\w+ ){{0,2}}?system[ -]?prompt\b"
        rf"|\b{_SHOW} (?:\w+ )?system[ -]?prompt\b"
        rf"|\b{_SHOW} (?:\w+ )?your (?:\w+ )?(?:initial|hidden|secret|original|internal|full|entire|exact|own) (?:\w+ )?prompt\b"
        r"|\b(?:new|updated|begin|start) (?:of )?system prompt\b",
    ),
    _rule(
        "system_prompt",
        "your|you were|you received",
        rf"\b{_SHOW} (?:\w+ ){{0,2}}?your (?:\w+ )?(?:initial|hidden|secret|original|internal|system|exact) (?:\w+ )?{_ORDERS}\b"
        rf"|\bwhat (?:are|were|is|was) your (?:\w+ )?(?:initial|hidden|secret|original|system|exact) (?:\w+ )?{_ORDERS}\b"
        r"|\b(?:repeat|print|output|copy|return) (?:back )?(?:everything|all(?: the)? (?:text|words)|the (?:text|words)) "
        r"(?:above|before|prior to) (?:this|the first|my)",
    ),
    _rule(
        "role",
        "if you are a|when you are a|this is read by a|you are now|as an ai|being an ai|since you are",
        rf"\b(?:if|when|since|as) you are (?:an? |the )?{_MODEL}\b(?! (?:user|team|owner))"
        rf"|\b(?:if|when) this is read by an? {_MODEL}\b"
        r"|\byou are now (?:an? )?(?:\w+ ){0,3}?(?:assistant|ai|chatbot|language model|dan|unrestricted|unfiltered|jailbroken)\b"
        rf"|\b(?:as|being) an {_MODEL}[a-z]*,? you (?:must|should|have to|are required)\b",
    ),
    _rule(
        "role",
        "do anything now|developer mode|jailbreak|unfiltered|no restrictions|amoral|dan mode",
        r"\bdo anything now\b|\b(?:enter|enable|activate|enabled|act (?:as|like)|simulate|with|in) (?:\w+ ){0,3}?"
        r"(?:dan|jailbreak|developer|unrestricted|god) mode (?:enabled|output|on)\b"
        r"|\b(?:ai|assistant|chatbot|model|bot|persona|character|gpt)\b[^.]{0,60}\b(?:has|have|with|is) (?:\w+ ){0,2}?"
        r"(?:no (?:restrictions|ethical|moral|filters|rules|limits)|unfiltered|amoral|jailbroken)\b",
    ),
    _rule(
        "role",
        "note |instruction|message |attention|important",
        rf"\b(?:note|instructions?|message|attention|important|notice)(?: note)? ?(?:to|for|:|-) ?(?:the |any |all )?{_MODEL}s?"
        r"(?: reading| processing| summari[sz]ing| indexing| evaluating)?(?: this)?(?: \w+)? ?:",
    ),
    _rule(
        "role",
        "assistants|models|llms|chatbots|ai systems|an ai|any ai",
        r"\b(?:(?:all|any) (?:ai|llm)s?|ai (?:assistants?|systems?|agents?|models?)|llms|(?:large )?language models|chatbots) "
        r"(?:reading|processing|summari[sz]ing|indexing|parsing|evaluating|analy[sz]ing) (?:this|the) \w+,? "
        r"(?:must|should|shall|have to|are required|will)\b",
    ),
    _rule(
        "role",
        "wenn du|falls du|sofern du|du bist|bist du",
        rf"\b(?:wenn|falls|sofern) du (?:eine? )?{_MODEL_DE} bist\b"
        rf"|\b(?:du bist|bist du) (?:jetzt|nun|ab sofort) (?:eine? )?(?:\w+ ){{0,3}}?(?:{_MODEL_DE}|assistent)\b"
        r"|\b(?:ab jetzt|von nun an|ab sofort) bist du \w+, ",
    ),
    _rule(
        "role",
        "hinweis|anweisung|nachricht|achtung|wichtig",
        r"\b(?:hinweis|anweisung|nachricht|achtung|wichtig)\w* (?:an|fur) (?:die |das |den |alle )?"
        rf"{_MODEL_DE}\w* ?:",
    ),
    _rule(
        "secrecy",
        "do not |don't |never ",
        r"\b(?:do not|don't|never) (?:tell|mention|inform|reveal|show)\b[^.]{0,40}\b(?:(?:to )?the user\b"
        r"|these instructions|this (?:prompt|instruction|note to))",
    ),
    _rule(
        "secrecy",
        "nutzer|anwender",
        r"\b(?:sag\w*|erzahl\w*|verrate?) [^.]{0,30}\bdem (?:be)?(?:nutzer|anwender)\b"
        r"[^.]{0,30}\bnicht",
    ),
    _rule(
        "exfiltration",
        "](http",
        r"!?\[[^\]]{0,80}\]\(https?://[^)\s]{0,200}[?&/=](?:\{|<|question|frage|data\b|daten|secret|geheimnis|summary|base64"
        r"|[^)]{0,40}the user's|[^)]{0,40}conversation)",
    ),
    _rule(
        "exfiltration",
        "send|forward|post|upload|transmit|sende|schicke|leite",
        r"\b(?:send|forward|post|upload|transmit|exfiltrate) (?:\w+ ){0,4}?(?:question|conversation|chat history|context|password"
        r"|api key|token|secrets?|customer data|documents?'? contents?)\b[^.]{0,30}\bto (?:https?://|\S+@\S+|an external|this webhook"
        r"|our server)"
        r"|\b(?:sende|schicke|leite|ubermittle) (?:\w+ ){0,4}?(?:frage|gesprachsverlauf|passwort|adressen|gehaltsliste|absatze)\b"
        r"[^.]{0,30}\ban (?:https?://|\S+@\S+|unseren server)",
    ),
    _rule(
        "template",
        "<|",
        r"<\|(?:im_start|im_end|system|user|assistant|endoftext|eot_id|start_header_id)\|>",
    ),
    _rule("template", "[inst|[/inst|<<sys|<</sys|</context|</system|</evidence", r"\[/?inst\]|<</?sys>>|</(?:context|system|evidence|documents?)>\s*<(?:system|instructions?|user|admin)>"),
    _rule("template", '"role"', r'"role"\s*:\s*"system"'),
    _rule(
        "template",
        "system",
        r"(?:^|[\n\[#<]|---) ?(?:new |updated )?(?:system|admin|developer) ?(?:message|override|instruction|note to ai assistants|note to ai)s? ?[:\]>]"
        r"[^.]{0,60}\b(?:you|ignore|restrictions|rules|access|reveal|filters?)\b",
    ),
)  # fmt: skip


def rule_hits(folded: str) -> Mapping[str, int]:
    """How often each kind of such a sentence stands in a text; what two rules see counts once."""
    places: dict[str, list[tuple[int, int]]] = {}
    for rule in RULES:
        if any(needle in folded for needle in rule.needles):
            found = [match.span() for match in rule.pattern.finditer(folded)]
            if found:
                places[rule.kind] = [*places.get(rule.kind, ()), *found]
    return {kind: _apart(found) for kind, found in places.items()}


def _apart(places: list[tuple[int, int]]) -> int:
    count, end = 0, -1
    for start, stop in sorted(places):
        count += start >= end
        end = max(end, stop)
    return count


RULE_KINDS = tuple(sorted({rule.kind for rule in RULES}))
"""What a match of a rule is called; other kinds are a classifier's, or say how a text was hidden."""
