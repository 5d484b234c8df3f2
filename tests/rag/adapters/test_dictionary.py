"""Ding's text becomes a file that answers for one word at a time."""

import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest

from rag.adapters.dictionary import (
    DictionaryTranslator,
    DingDictionary,
    compile_dictionary,
    main,
    open_dictionary,
)
from rag.errors import ConfigurationError

TEXT = """# a comment :: is no entry
Sammelplatz {m}; Sammelpunkt {m} | Sammelplätze {pl} :: assembly point; meeting place | assembly points
Lieferant {m} [econ.] :: vendor [Am.]; supplier
Lager {n} (Technik) :: bearing
Gehäuse {n}; Gehäuseteil {n} :: housing
Lauge {f} :: lye; caustic solution
Öl {n} :: oil
Hotel {n} :: hotel
etw. liefern {vt} :: to supply sth.; to deliver sth.
a line without a second language
"""


@pytest.fixture
def ding(tmp_path: Path) -> Iterator[DingDictionary]:
    source = tmp_path / "de-en"
    source.write_text(TEXT, encoding="utf-8")
    compile_dictionary(source, tmp_path / "compiled" / "de-en.sqlite")
    dictionary = DingDictionary(tmp_path / "compiled" / "de-en.sqlite")
    yield dictionary
    dictionary.close()


def test_a_word_is_translated_both_ways_in_any_inflection(ding: DingDictionary) -> None:
    assert ding.translations("Lieferanten", german=True) == ("vendor", "supplier")
    assert ding.translations("suppliers", german=False) == ("Lieferant",)
    assert ding.translations("delivering", german=False) == ("liefern",)
    assert ding.translations("Lieferant", german=False) == ()


def test_two_words_are_one_phrase(ding: DingDictionary) -> None:
    assert "Sammelplatz" in ding.translations("assembly point", german=False)
    assert ding.translations("assembly", german=False) == ()


def test_words_of_one_sense_are_synonyms_and_no_word_is_its_own(ding: DingDictionary) -> None:
    assert ding.synonyms("vendor", german=False) == ("supplier",)
    assert ding.synonyms("lye", german=False) == ("caustic solution",)
    assert ding.synonyms("oil", german=False) == ()


def test_a_compound_is_cut_where_both_parts_are_known(ding: DingDictionary) -> None:
    assert ding.parts("Lagergehäuse") == ("Lager", "gehäuse")
    assert ding.parts("Lagerxyzzy") == ()


def test_what_is_not_there_has_no_translation(ding: DingDictionary) -> None:
    assert ding.translations("xyzzy", german=False) == ()
    assert ding.translations("", german=True) == ()
    assert ding.translations("' OR 1=1 --", german=True) == ()


def test_a_question_is_searched_for_in_the_other_language(ding: DingDictionary) -> None:
    translator = DictionaryTranslator(ding)
    german = translator.translate("Wie viel Öl braucht das Lagergehäuse der AP-450X?")
    assert german is not None
    assert german.languages == ("en",)
    assert german.text.split() == ["oil", "bearing", "housing"]
    english = translator.translate("Where is the assembly point?")
    assert english is not None
    assert (english.languages, english.text) == (("de",), "Sammelplatz Sammelpunkt")
    assert translator.translate("Who is Zbigniew?") is None


def test_many_threads_may_ask_at_once(ding: DingDictionary) -> None:
    words = [*"bearing housing hotel oil vendor lye supplier xyzzy".split()] * 50
    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(partial(ding.translations, german=False), words))
    assert found == [ding.translations(word, german=False) for word in words]


def test_set_up_without_the_dictionary_names_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="nosuch cannot be read"):
        main(["--from", str(tmp_path / "nosuch"), "--to", str(tmp_path / "out")])
    assert not (tmp_path / "out").exists()
    assert open_dictionary(tmp_path / "out") is None


def test_a_file_that_is_no_dictionary_is_refused(tmp_path: Path) -> None:
    (tmp_path / "broken").write_bytes(b"not a database at all" * 100)
    with pytest.raises(ConfigurationError, match="no dictionary that this version compiled"):
        DingDictionary(tmp_path / "broken")


def test_compiling_twice_keeps_the_first(tmp_path: Path) -> None:
    source, compiled = tmp_path / "de-en", tmp_path / "out"
    source.write_text(TEXT, encoding="utf-8")
    main(["--from", str(source), "--to", str(compiled)])
    made = compiled.read_bytes()
    source.write_text("Haus {n} :: house\n", encoding="utf-8")
    main(["--from", str(source), "--to", str(compiled)])
    assert compiled.read_bytes() == made


def test_what_another_version_compiled_is_refused_and_compiled_anew(tmp_path: Path) -> None:
    source, compiled = tmp_path / "de-en", tmp_path / "out"
    source.write_text(TEXT, encoding="utf-8")
    with sqlite3.connect(compiled) as older:
        older.execute("CREATE TABLE words (word TEXT)")
    older.close()
    with pytest.raises(ConfigurationError, match=r"python -m rag\.adapters\.dictionary"):
        DingDictionary(compiled)
    main(["--from", str(source), "--to", str(compiled)])
    dictionary = DingDictionary(compiled)
    assert dictionary.translations("oil", german=False) == ("Öl",)
    dictionary.close()
