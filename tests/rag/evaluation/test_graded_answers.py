"""How a measure of complexity is judged by graded answers."""

from pathlib import Path

import pytest

from rag.errors import InvalidRequest
from rag.evaluation.routing import Graded, curve_of, held_out, read_graded, stem_of


def graded(*answers: tuple[bool, bool], subject: str = "s") -> list[Graded]:
    return [Graded(f"question {at}", subject, *each) for at, each in enumerate(answers)]


NEEDED = (False, True)
"""Only the dear model knows."""
EASY = (True, True)


def test_a_measure_that_knows_sends_what_is_needed_first() -> None:
    curve = curve_of(graded(EASY, NEEDED, EASY, NEEDED), [0.1, 0.9, 0.2, 0.8])
    assert (curve.cheap, curve.best) == (0.5, 1.0)
    assert curve.points[0] == (0.0, 0.5) and curve.points[5] == (0.5, 1.0)
    assert curve.apgr == (0 + 0.5 + 1 + 1 + 1) / 5
    backwards = curve_of(graded(EASY, NEEDED, EASY, NEEDED), [0.9, 0.1, 0.8, 0.2])
    assert backwards.apgr == (0 + 0 + 0 + 0.5 + 1) / 5


def test_where_the_dear_model_is_no_better_there_is_no_gap_to_recover() -> None:
    assert curve_of(graded(EASY, EASY), [0.1, 0.9]).apgr is None


def test_the_interval_comes_from_whole_subjects() -> None:
    assert curve_of(graded(EASY, NEEDED), [0.1, 0.9]).interval is None
    two = graded(EASY, NEEDED, subject="a") + graded(NEEDED, EASY, subject="b")
    curve = curve_of(two, [0.1, 0.9, 0.3, 0.8])
    assert curve.subjects == 2 and curve.apgr is not None and curve.interval is not None
    low, high = curve.interval
    assert low <= curve.apgr <= high


def test_within_subjects_nothing_is_won_by_telling_them_apart() -> None:
    easy, hard = graded(*[EASY] * 4, subject="easy"), graded(*[NEEDED] * 4, subject="hard")
    curve = curve_of(easy + hard, [0.1] * 4 + [0.9] * 4)
    assert curve.apgr is not None and curve.apgr > 0.7
    assert curve.within is not None and curve.within < 0.6


HEADER = "prompt,cheap/model,dear-model,cheap/model_response\n"


def test_files_are_read_by_subject_and_others_are_passed_over(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "maths.csv").write_text(
        HEADER + '"What is 2+2?\nA. 3\nB. 4\nAnswer:",False,True,"3,\nI think"\nWhat?,True,True,x\n'
        "unjudged,,True,x\n"
    )
    (tmp_path / "other.csv").write_text("a,b\n1,2\n")
    (tmp_path / "notes.txt").write_text("nothing")
    [file] = read_graded(tmp_path)
    assert file.subject == "maths"
    assert file.questions == (
        Graded("What is 2+2?", "maths", cheap=False, best=True),
        Graded("What?", "maths", cheap=True, best=True),
    )
    assert held_out([file], set()) == [file]
    assert held_out([file], {file.sha256}) == []


def test_a_folder_without_such_a_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match="holds no CSV file"):
        read_graded(tmp_path)
    (tmp_path / "broken.csv").write_bytes(b"prompt,a,b\n\xff\xff,True,True\n")
    with pytest.raises(InvalidRequest, match=r"broken\.csv"):
        read_graded(tmp_path)


def test_choices_are_not_part_of_a_question() -> None:
    assert stem_of("Which?\nA. one\nB. two\nAnswer:") == "Which?"
    assert stem_of("Name A. Einstein's book.") == "Name A. Einstein's book."
