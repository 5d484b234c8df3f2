"""What a sentence is to this platform: what it quotes, cites and cuts at."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.sentences import split_sentences


def sentences(text: str) -> list[str]:
    return [text[span.start : span.end] for span in split_sentences(text)]


@pytest.mark.parametrize(
    "text",
    [
        "Use a solvent, e.g. Acetone, for this.",
        "Only one grade, i.e. EPDM, is allowed.",
        "Siehe Nr. 7 im Anhang.",
        "Nehmen Sie z. B. Glas oder z.B. Holz.",
        "Ask Dr. Meyer or Prof. J. R. Lang about it.",
        "The gap is 0.25 mm and costs 1.250,00 EUR.",
        "Am 3. März beginnt das 2. Quartal.",
        "Aldermoor Ltd. Sheffield makes seals.",
        "See Fig. 3 and No. 12 on p. 4 of version 2.1.4.",
        "It ends … or does it? she asked.",
        "Das gilt ggf. Auch später nicht.",
    ],
)
def test_a_full_stop_inside_a_sentence_does_not_end_it(text: str) -> None:
    assert sentences(text) == [text]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Fit the AP-450X. Then close it.", ["Fit the AP-450X.", "Then close it."]),
        ("Was ist das? Ein Ventil!", ["Was ist das?", "Ein Ventil!"]),
        ("He said “no.” She left.", ["He said “no.”", "She left."]),
        ("It was 2026. Sales rose.", ["It was 2026.", "Sales rose."]),
        (
            "We buy bolts, nuts, etc. The list is long.",
            ["We buy bolts, nuts, etc.", "The list is long."],
        ),
        ("Take vitamin C. The rest is optional.", ["Take vitamin C.", "The rest is optional."]),
        ("(See below.) Next one.", ["(See below.)", "Next one."]),
        (
            "Die Frist beträgt 10 Tage. Danach verfällt sie.",
            ["Die Frist beträgt 10 Tage.", "Danach verfällt sie."],
        ),
        ("これは文です。次の文です。", ["これは文です。", "次の文です。"]),
    ],
)
def test_a_sentence_ends_where_a_reader_says_it_does(text: str, expected: list[str]) -> None:
    assert sentences(text) == expected


def test_each_list_item_is_a_sentence() -> None:
    text = "Bring:\n- a torch\n- Two keys. One is spare.\n1. Open\n2. Close\n• Wait"
    assert sentences(text) == [
        "Bring:",
        "- a torch",
        "- Two keys.",
        "One is spare.",
        "1. Open",
        "2. Close",
        "• Wait",
    ]


def test_a_list_without_markers_has_an_item_a_line() -> None:
    assert sentences("Red valve\nBlue valve\nGreen valve") == [
        "Red valve",
        "Blue valve",
        "Green valve",
    ]


def test_a_wrapped_line_goes_on_in_the_next() -> None:
    text = "The pump was taken out of service by the night shift under\nMartin Hale, who\nwrote it down. It is back."
    assert sentences(text) == [text[: text.index(" It is")], "It is back."]


def test_a_table_row_is_never_split() -> None:
    text = (
        "| Part | Note |\n| --- | --- |\n| AP-450X | Old. Replaced. See Nr. 4 |\nAfter the table."
    )
    assert sentences(text) == [*text.split("\n")]


def test_blank_text_has_no_sentence() -> None:
    assert sentences("") == [] and sentences(" \n\t\n") == []


@given(
    st.text(alphabet=st.sampled_from("aB1.!?…|-• \n\t\"'()。zDr"), max_size=200)
    | st.text(max_size=100)
)
def test_every_visible_character_lies_in_exactly_one_sentence(text: str) -> None:
    covered = [0] * len(text)
    for span in split_sentences(text):
        piece = text[span.start : span.end]
        assert piece and piece == piece.strip()
        for at in range(span.start, span.end):
            covered[at] += 1
    assert all(n <= 1 for n in covered)
    assert all(n == 1 or char.isspace() for n, char in zip(covered, text, strict=True))
