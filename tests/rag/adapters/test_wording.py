"""A question's words are found in a passage as they stand, translated, or as synonyms."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from rag.adapters.question import asked_of
from rag.adapters.wording import LITERAL, SYNONYM, TRANSLATED, Wording, strongest


@dataclass(frozen=True)
class Words:
    """A lexicon of a few words."""

    translated: Mapping[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])
    alike: Mapping[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])
    compounds: Mapping[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])

    def translations(self, phrase: str, *, german: bool) -> tuple[str, ...]:
        del german
        return self.translated.get(phrase, ())

    def synonyms(self, phrase: str, *, german: bool) -> tuple[str, ...]:
        del german
        return self.alike.get(phrase, ())

    def parts(self, word: str) -> tuple[str, ...]:
        return self.compounds.get(word, ())


def wording_of(question: str, lexicon: Words | None) -> Wording:
    return Wording(asked_of(question), lexicon)


def test_without_a_lexicon_only_the_words_themselves_count() -> None:
    said = wording_of("Which supplier delivers bearings?", None).said_by(
        "The vendor delivers a bearing."
    )
    assert dict(said) == {"deliv": LITERAL, "bear": LITERAL}


def test_a_synonym_counts_for_less_than_the_word() -> None:
    lexicon = Words(alike={"vendor": ("supplier",)})
    assert dict(wording_of("Which vendor?", lexicon).said_by("our supplier")) == {"vendor": SYNONYM}
    assert dict(wording_of("Which vendor?", lexicon).said_by("our vendor")) == {"vendor": LITERAL}


def test_a_phrase_says_both_of_its_words() -> None:
    lexicon = Words(translated={"car park": ("Parkplatz",)})
    said = wording_of("Where is the car park?", lexicon).said_by("Der Parkplatz ist gesperrt.")
    assert dict(said) == {"car": TRANSLATED, "park": LITERAL}


def test_a_compound_is_said_by_its_parts_in_the_other_language() -> None:
    lexicon = Words(
        translated={"Lager": ("bearing",), "gehäuse": ("housing",)},
        compounds={"Lagergehäuse": ("Lager", "gehäuse")},
    )
    wording = wording_of("Wie viel braucht das Lagergehäuse?", lexicon)
    assert wording.said_by("1.9 litres per bearing housing")["lagergehau"] == TRANSLATED
    assert "lagergehau" not in wording.said_by("1.9 litres per bearing")


def test_a_part_of_a_word_counts_where_it_begins_or_ends_it() -> None:
    lexicon = Words(translated={"noise": ("Lärm",)})
    wording = wording_of("What about noise?", lexicon)
    assert wording.said_by("Lärmschutz") and wording.said_by("Straßenlärm")
    assert not wording.said_by("Solarmodul")


def test_several_texts_say_the_strongest_of_each() -> None:
    assert dict(strongest([{"a": 0.6}, {"a": 1.0, "b": 0.9}])) == {"a": 1.0, "b": 0.9}
