"""What may be talked of: topics are words and short sentences; a text is of those it shares words with.

No model is asked: what a policy denies is a list that an operator can read. A topic whose name is
not in the file is one of ours. One word alone is a score of .6, two of them .9, a sentence .95; a rate
depends on the words that are chosen, and none is claimed.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from rag.errors import ConfigurationError
from rag.guardrails.checks import Finding, NotRun, Report, Said, Scanned
from rag.guardrails.policy import Policies
from rag.guardrails.readings import folded

SHIPPED: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "medical_advice": (
            "diagnose diagnosis symptom symptoms dosage medication antidepressant painkiller rash disease",
            "what medicine should i take", "should i see a doctor", "which drug helps against",
            "welches medikament soll ich nehmen", "symptome dosierung krankheit ausschlag diagnose",
        ),
        "legal_advice": (
            "lawsuit sue lawyer attorney solicitor court litigation damages",
            "can i sue my employer", "do i have a legal claim", "will i win in court",
            "klage klagen rechtsanwalt anwalt gericht schadensersatz verklagen",
        ),
        "investment_advice": (
            "stocks shares portfolio crypto bitcoin dividend etf invest investing investment",
            "should i buy shares", "which stock will rise", "where should i invest my money",
            "aktien anlegen investieren depot rendite fonds kryptowahrung",
        ),
        "politics": (
            "election vote party candidate president parliament republican democrat conservative",
            "who should i vote for", "which party is better",
            "wahl wahlen partei kandidat bundestag kanzler wen soll ich wahlen",
        ),
        "weapons": (
            "weapon gun rifle explosive bomb ammunition grenade detonator",
            "how to build a bomb", "how do i make a gun", "waffe sprengstoff bombe munition gewehr",
        ),
        "adult": (
            "porn pornography nude naked erotic sex sexual fetish", "write an erotic story",
            "porno nackt erotisch sexuell",
        ),
        "self_harm": (
            "suicide suicidal kill myself self-harm end my life", "i want to die",
            "selbstmord suizid mich umbringen ich will sterben",
        ),
    }
)  # fmt: skip
_WORD = re.compile(r"[a-z0-9]+")
_COMMON = frozenset(
    "a an the i my me to of in on for with is are do does should can will which what who how where and or be it"
    " ich der die das ein eine und oder soll welche welches wen wie was mich".split()
)
_ONE_WORD = 0.6
_PHRASE = 0.95
_SURE_FROM = 2


@dataclass(frozen=True, slots=True)
class _Topic:
    words: frozenset[str]
    phrases: tuple[str, ...]

    def score(self, plain: str, words: set[str]) -> float:
        """A sentence of the topic is nearly certain; so are several of its words."""
        if any(phrase in plain for phrase in self.phrases):
            return _PHRASE
        shared = len(self.words & words)
        return 0.0 if not shared else _ONE_WORD if shared < _SURE_FROM else 0.9


def _topic_of(described: tuple[str, ...]) -> _Topic:
    words: set[str] = set()
    phrases: list[str] = []
    for line in described:
        parts = _WORD.findall(folded(line))
        if len(parts) > 1 and _COMMON & set(parts):
            phrases.append(" ".join(parts))
        else:
            words |= set(parts)
    return _Topic(frozenset(words - _COMMON), tuple(phrases))


@dataclass(frozen=True, slots=True)
class TopicCheck:
    """Raises `ConfigurationError` where a policy names a topic that nobody described."""

    policies: Policies
    _topics: Mapping[str, _Topic] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        described = {**SHIPPED, **self.policies.topics}
        for policy in self.policies.all():
            for name in (*policy.topics.allowed, *policy.topics.denied):
                if name not in described:
                    raise ConfigurationError(
                        f"guardrails: topic {name!r} is not described;"
                        f" there are {', '.join(sorted(described))}"
                    )
        topics = {name: _topic_of(lines) for name, lines in described.items()}
        object.__setattr__(self, "_topics", topics)

    @property
    def name(self) -> str:
        return "topics"

    def scan(self, scanned: Scanned) -> Said:
        rules = self.policies.of(scanned.tenant, scanned.use_case).topics
        if not rules.allowed and not rules.denied:
            return NotRun("the policy names no topics")
        parts = _WORD.findall(folded(scanned.text))
        plain, words = " ".join(parts), set(parts)
        findings = [
            Finding(name, score)
            for name in rules.denied
            if (score := self._topics[name].score(plain, words)) > 0
        ]
        if rules.allowed:
            best = max(self._topics[name].score(plain, words) for name in rules.allowed)
            if best == 0:
                findings.append(Finding("off_topic", _ONE_WORD))
        return Report(max((each.score for each in findings), default=0.0), tuple(findings))
