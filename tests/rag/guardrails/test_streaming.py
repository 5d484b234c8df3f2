"""What of an output is released when, and what is taken back."""

from hypothesis import given
from hypothesis import strategies as st

from rag.guardrails.checks import Check
from rag.guardrails.judging import Stopped
from rag.guardrails.policy import Action, Policy, Rule, Stage
from rag.guardrails.streaming import OutputEvent, Released, Retracted
from rag.trail import GuardVerdict
from tests.rag.guardrails.asked import (
    Blind,
    Forbids,
    Notes,
    Scores,
    guardrails,
    policy,
    scanned,
    told,
    trail,
)

PIECE = Rule(stage=Stage.PIECE)


async def flow(
    pieces: list[str], checks: list[Check], default: Policy, *, ends: bool = True
) -> tuple[list[list[OutputEvent]], list[GuardVerdict]]:
    """What each push, and the end, brought; and the verdicts."""
    written = trail()
    events: list[list[OutputEvent]] = []
    async with guardrails(checks, default).output(scanned("", "output"), written) as stream:
        events += [await stream.push(piece) for piece in pieces]
        if ends:
            events.append(await stream.end())
    return events, written.verdicts


def shown(events: list[list[OutputEvent]]) -> str:
    return "".join(each.text for step in events for each in step if isinstance(each, Released))


def split(text: str, cuts: list[int]) -> list[str]:
    ends = sorted({cut % (len(text) + 1) for cut in cuts} | {len(text)})
    return [text[start:end] for start, end in zip([0, *ends], ends, strict=False)]


async def test_a_word_is_released_when_the_next_one_begins() -> None:
    events, verdicts = await flow(
        ["The pump", " must ", "not run dry", "."], [Notes()], policy(output={"notes": PIECE})
    )
    assert [shown([step]) for step in events] == ["The ", "pump must ", "not run ", "", "dry."]
    assert told(verdicts) == {"notes": "passed"}


async def test_a_number_written_in_groups_waits_for_its_last_group() -> None:
    events, _ = await flow(
        ["Pay to DE89 ", "3704 ", "0044 ", "now ", "please "],
        [Forbids("DE89 3704 0044")],
        policy(output={"words": Rule(action=Action.MASK, stage=Stage.PIECE)}),
    )
    assert [shown([step]) for step in events][:3] == ["Pay to ", "", ""]
    assert shown(events) == "Pay to [removed] now please "


async def test_a_link_waits_until_it_is_whole() -> None:
    events, _ = await flow(
        ["See [the ", "page](https://x.example/", "?a b", ") for ", "more."],
        [Notes()],
        policy(output={"notes": PIECE}),
    )
    assert [shown([step]) for step in events][:3] == ["See ", "", ""]
    assert shown(events) == "See [the page](https://x.example/?a b) for more."


@given(st.lists(st.integers(0, 200), max_size=20))
async def test_nothing_forbidden_is_shown_however_the_stream_is_cut(cuts: list[int]) -> None:
    text = "First the weather was fine. The code is TOPSECRET-11 22, said nobody, and then [x](y)."
    events, verdicts = await flow(
        split(text, cuts),
        [Forbids("TOPSECRET-11 22")],
        policy(output={"words": Rule(action=Action.MASK, stage=Stage.PIECE)}),
    )
    assert shown(events) == text.replace("TOPSECRET-11 22", "[removed]")
    assert told(verdicts) == {"words": "masked"}


@given(st.lists(st.integers(0, 200), max_size=20), st.integers(0, 40))
async def test_what_no_check_minds_is_shown_as_it_is(cuts: list[int], hold_back: int) -> None:
    text = "Line one\n\n- [a] item <b>2</b> 3 < 4\n- [link](http://x.example/a(b)) 12 34 56\n  end "
    events, _ = await flow(
        split(text, cuts), [Notes()], policy(output={"notes": PIECE}, hold_back=hold_back)
    )
    assert shown(events) == text


async def test_a_block_before_anything_was_shown_stops_and_after_that_retracts() -> None:
    early, _ = await flow(["bad words "], [Forbids("bad")], policy(output={"words": PIECE}))
    late, _ = await flow(
        ["good and ", "bad words "], [Forbids("bad")], policy(output={"words": PIECE})
    )
    assert isinstance(early[0][0], Stopped) and early[1] == []
    assert late[0] == [Released("good and ")]
    assert isinstance(late[1][0], Retracted) and late[2] == []


async def test_a_sentence_is_checked_before_it_is_released() -> None:
    notes = Notes()
    events, verdicts = await flow(
        ["One is here. Two", " is bad. Three"],
        [notes, Forbids("bad")],
        policy(output={"notes": Rule(stage=Stage.SENTENCE), "words": Rule(stage=Stage.SENTENCE)}),
    )
    assert notes.seen[0] == "One is here."
    assert events[0] == [Released("One is here. ")]
    assert isinstance(events[1][0], Retracted)
    assert told(verdicts) == {"notes": "passed", "words": "blocked"}


async def test_the_whole_answer_is_judged_at_the_end_and_may_be_taken_back() -> None:
    notes = Notes()
    rules = {"notes": Rule(), "words": Rule()}
    events, _ = await flow(
        ["all ", "is bad "], [notes, Forbids("all is bad")], policy(output=rules)
    )
    assert shown(events) == "all is bad "
    assert isinstance(events[-1][-1], Retracted)
    assert notes.seen == ["all is bad "]


async def test_strict_shows_nothing_before_all_of_it_was_checked() -> None:
    rules = {"words": Rule(action=Action.MASK, stage=Stage.PIECE), "notes": Rule()}
    events, verdicts = await flow(
        ["a bad ", "day. ", "Bye."], [Forbids("bad"), Notes()], policy(output=rules, strict=True)
    )
    assert events[:-1] == [[], [], []]
    assert events[-1] == [Released("a [removed] day. Bye.")]
    assert told(verdicts) == {"words": "masked", "notes": "passed"}


async def test_a_mask_that_comes_too_late_takes_the_answer_back() -> None:
    rule = Rule(action=Action.MASK, stage=Stage.ANSWER)
    events, _ = await flow(["a bad day"], [Forbids("bad")], policy(output={"words": rule}))
    assert isinstance(events[-1][-1], Retracted)


async def test_an_output_without_text_has_passed_nothing() -> None:
    _, verdicts = await flow([], [Scores(0)], policy(output={"scores": PIECE}))
    assert [(each.standing, each.reason) for each in verdicts] == [("not_run", "there is no text")]


async def test_an_output_that_broke_off_has_not_passed_its_last_checks() -> None:
    rules = {"notes": PIECE, "scores": Rule(on_error="closed")}
    _, verdicts = await flow(
        ["some words ", "more "], [Notes(), Scores(0)], policy(output=rules), ends=False
    )
    assert told(verdicts) == {"notes": "passed", "scores": "not_run"}


async def test_a_check_that_missed_a_part_has_not_passed() -> None:
    _, verdicts = await flow(["some words ", "more "], [Blind()], policy(output={"blind": PIECE}))
    assert told(verdicts) == {"blind": "not_run"}


async def test_a_token_that_never_ends_is_let_go_as_far_as_it_was_checked() -> None:
    events, _ = await flow(["x" * 300] * 4, [Notes()], policy(output={"notes": PIECE}))
    assert len(shown(events[:-1])) == 800
    assert shown(events) == "x" * 1200
