"""Values come back whole wherever the stream was cut, and no placeholder gets past."""

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.adapters.sealed_vault import SealedVault
from rag.errors import PolicyForbids
from rag.guardrails.placeholders import (
    UNKNOWN,
    Placeholders,
    any_placeholder,
    kind_shown,
    placeholders_for,
)
from rag.guardrails.unmasking import Unmasking

ANNA, PHONE = "Anna Berg", "+49 30 1234567"


class Repeated:
    """Two values, and what a model may make of their placeholders."""

    def __init__(self) -> None:
        self.vault = SealedVault()
        self.placeholders: Placeholders = placeholders_for(["a question"])
        self.anna = self._put("person", ANNA)
        self.phone = self._put("phone", PHONE)

    def _put(self, kind: str, value: str) -> str:
        code, placeholder = self.placeholders.draw(kind)
        while not self.vault.put(code, value):
            code, placeholder = self.placeholders.draw(kind)
        return placeholder

    def unmasking(self, *, as_json: bool = False) -> Unmasking:
        return Unmasking(self.placeholders, self.vault, as_json=as_json)

    def whole(self, text: str) -> str:
        return self.pieces([text])

    def pieces(self, pieces: list[str], *, as_json: bool = False) -> str:
        unmasking = self.unmasking(as_json=as_json)
        return "".join([*map(unmasking.feed, pieces), unmasking.flush()])


GIVEN = Repeated()
NONCE = GIVEN.placeholders.nonce
BARE = GIVEN.anna.strip("<>").partition("-")[2]


def test_what_a_model_repeats_becomes_the_value_again() -> None:
    assert GIVEN.whole(f"Ask {GIVEN.anna}, {GIVEN.phone}.") == f"Ask {ANNA}, {PHONE}."


@pytest.mark.parametrize(
    "said",
    [
        GIVEN.anna.upper(),
        GIVEN.anna.replace("<", "< ").replace(">", " >"),
        GIVEN.anna.replace("-", " - "),
        GIVEN.anna.replace("-", "\\_"),
        GIVEN.anna.replace("-", "\u2011"),
        GIVEN.anna.replace("<", "&lt;").replace(">", "&gt;"),
        GIVEN.anna.replace(">", "/>"),
        GIVEN.anna.strip("<>"),
        BARE,
        f"<person-{BARE[:4]} {BARE[4:]}>",
        f"<company-{BARE}>"[9:],
    ],
    # The code is drawn anew in every process: names of tests must not hold it.
    ids=range(11),
)
def test_a_model_may_write_it_in_other_ways(said: str) -> None:
    assert GIVEN.whole(f"Ask {said}'s boss") == f"Ask {ANNA}'s boss"


@pytest.mark.parametrize(
    "said",
    [
        f"<person-{NONCE}bbbbb>",
        f"<person-{NONCE}>",
        f"{NONCE}xx",
        "<person-bcdfghjk>",
        "<PERSON-1>",
        "<phone - xkcd>",
        "&lt;email-bcdfghjk&gt;",
        f"<address-{'b' * 9}>",
    ],
    ids=range(8),
)
def test_what_stands_for_nothing_never_reaches_a_reader(said: str) -> None:
    assert GIVEN.whole(f"Ask {said}, please") == f"Ask {UNKNOWN}, please"


def test_half_a_placeholder_at_the_end_is_left_out() -> None:
    for length in range(len("<person-"), len(GIVEN.anna) - 1):
        told = GIVEN.whole(f"Ask {GIVEN.anna[:length]}")
        assert told in {"Ask ", f"Ask {UNKNOWN}"}, GIVEN.anna[:length]


@pytest.mark.parametrize(
    "text",
    [
        "a < b",
        "Your name:",
        "a <",
        "Press <enter>",
        "<name>",
        "<b>bold</b>",
        "x & y &",
        "the person",
    ],
)
def test_ordinary_text_is_let_be(text: str) -> None:
    assert GIVEN.whole(text) == text


def test_a_value_within_json_keeps_the_json_whole() -> None:
    given = Repeated()
    code, placeholder = given.placeholders.draw("address")
    assert given.vault.put(code, '12 "Elm"\nStreet')
    told = given.pieces([f'{{"to": "{placeholder}"}}'], as_json=True)
    assert json.loads(told) == {"to": '12 "Elm"\nStreet'}


def test_beginning_anew_forgets_what_was_held_back() -> None:
    unmasking = GIVEN.unmasking()
    assert unmasking.feed(f"Ask {GIVEN.anna[:-3]}") == "Ask "
    unmasking.reset()
    assert unmasking.feed("Nobody.") + unmasking.flush() == "Nobody."


def test_a_sentence_without_placeholders_waits_for_nothing() -> None:
    unmasking = GIVEN.unmasking()
    assert unmasking.feed("The pump stops at 7 bar. ") == "The pump stops at 7 bar. "


PARTS = st.sampled_from(
    [
        GIVEN.anna, GIVEN.phone, GIVEN.anna.upper(), BARE, BARE[:4], BARE[4:], BARE[:6], BARE[4:7], NONCE[:2],
        f"<person-{NONCE}bbbbb>", "<person-bcdfghjk>", "<name-1>", "<", ">", "&lt;", "&gt;", "&", "/",
        "person", "per", "-", " ", "\\", "_", "b", "x", "a", "7", ". ", "\n", "ö", "email:",
    ]
)  # fmt: skip


@given(st.lists(PARTS, max_size=14).map("".join), st.data())
def test_where_the_stream_is_cut_makes_no_difference(text: str, data: st.DataObject) -> None:
    whole = GIVEN.whole(text)
    cuts = sorted(data.draw(st.sets(st.integers(0, len(text)))))
    ends = [*cuts, len(text)]
    pieces = [text[start:end] for start, end in zip([0, *cuts], ends, strict=True)]
    assert GIVEN.pieces(pieces) == whole == GIVEN.pieces(list(text))
    assert not any_placeholder().search(whole)
    assert NONCE not in whole.lower()


def test_every_way_to_cut_a_sentence_in_three_gives_the_same() -> None:
    text = f"a<{GIVEN.anna} &lt;{BARE}&gt; {NONCE}x <person-{NONCE}bbbbb> {GIVEN.phone[:-4]}"
    whole = GIVEN.whole(text)
    for first in range(len(text) + 1):
        for second in range(first, len(text) + 1):
            cut = [text[:first], text[first:second], text[second:]]
            assert GIVEN.pieces(cut) == whole


def test_placeholders_are_no_words_and_hold_no_digits() -> None:
    for kind in ("person", "credit_card", "aws_key", "group"):
        _, placeholder = GIVEN.placeholders.draw(kind)
        assert re.fullmatch(r"<[a-z]+-[^aeiouy\W\d]{9}>", placeholder)
        assert placeholder[1:].startswith(kind_shown(kind))


@given(st.text(max_size=200))
def test_no_text_holds_the_nonce_that_was_drawn_for_it(text: str) -> None:
    assert placeholders_for([text]).nonce not in text.lower()


def every_run_of_four(letters: str) -> str:
    """A text in which every four of `letters` stand in a row: a de Bruijn sequence, by the
    algorithm of F. Ruskey and C. Savage."""
    places, found = [0] * (len(letters) * 4), list[int]()

    def extend(length: int, period: int) -> None:
        if length > 4:
            if 4 % period == 0:
                found.extend(places[1 : period + 1])
            return
        places[length] = places[length - period]
        extend(length + 1, period)
        for letter in range(places[length - period] + 1, len(letters)):
            places[length] = letter
            extend(length + 1, length)

    extend(1, 1)
    text = "".join(letters[place] for place in found)
    return text + text[:3]


def test_a_text_that_holds_every_nonce_is_refused_and_keeps_nobody_waiting() -> None:
    with pytest.raises(PolicyForbids):
        placeholders_for([every_run_of_four("bcdfghjkmnpqrstvwxz")])
