"""How well a measure of complexity tells which questions need the dear model.

On files as RouteLLM's evaluation has them (Ong et al., 2024, arXiv:2406.18665): CSV with a column
`prompt` and two more, of a cheap model and of a dear one, that say `True` where it was right.
"""

import csv
import hashlib
import io
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rag.errors import InvalidRequest

_SHARES = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
_OPTIONS = re.compile(r"\nA\. .*", re.DOTALL)
_RESAMPLED = 500


@dataclass(frozen=True, slots=True)
class Graded:
    """A question, and which of two models answered it right."""

    question: str
    subject: str
    """The file's name: questions of one subject are alike, so they are never learned from and
    measured on at once."""
    cheap: bool
    best: bool


@dataclass(frozen=True, slots=True)
class GradedFile:
    subject: str
    sha256: str
    questions: tuple[Graded, ...]


def read_graded(folder: Path) -> list[GradedFile]:
    """Every such CSV file below `folder`; others are passed over.

    Errors: `InvalidRequest` where there is none, or one cannot be read.
    """
    found: list[GradedFile] = []
    for path in sorted(folder.rglob("*.csv")):
        content = path.read_bytes()
        questions = _graded(content, path.stem)
        if questions:
            found.append(GradedFile(path.stem, hashlib.sha256(content).hexdigest(), questions))
    if not found:
        raise InvalidRequest(f"{folder} holds no CSV file with graded answers of two models")
    return found


def _graded(content: bytes, subject: str) -> tuple[Graded, ...]:
    try:
        rows = list(csv.reader(io.StringIO(content.decode("utf-8-sig"), newline="")))
        header = rows[0] if rows else []
        if header[:1] != ["prompt"] or len(header) < 3:
            return ()
        return tuple(
            Graded(stem_of(row[0]), subject, row[1] == "True", row[2] == "True")
            for row in rows[1:]
            if len(row) == len(header) and {row[1], row[2]} <= {"True", "False"}
        )
    except (UnicodeDecodeError, csv.Error) as error:
        raise InvalidRequest(f"{subject}.csv cannot be read as CSV in UTF-8") from error


def stem_of(prompt: str) -> str:
    """A multiple-choice question without its choices: those who ask us bring none."""
    return _OPTIONS.sub("", prompt).strip()


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """Share right, by the share of questions that go to the dear model."""

    questions: int
    subjects: int
    cheap: float
    best: float
    points: tuple[tuple[float, float], ...]
    """Share of dear calls, share right."""
    apgr: float | None
    """The gap between the two models that is recovered, averaged over all shares of dear calls:
    random choice has .5, the best possible close to 1. None where the dear model is not better."""
    interval: tuple[float, float] | None
    """95 % of it, by resampling whole subjects; None for one subject."""
    within: float | None
    """APGR where each subject sends the same share of its questions: what is left of the measure
    when it cannot tell subjects apart."""


def curve_of(graded: Sequence[Graded], complexity: Sequence[float]) -> Curve:
    """What comes of sending the most complex questions to the dear model."""
    cheap = np.array([each.cheap for each in graded], dtype=float)
    best = np.array([each.best for each in graded], dtype=float)
    scores = np.array(complexity)
    subjects = np.array([each.subject for each in graded])
    gained = _gained(cheap, best, scores)
    points = tuple(
        (share, float(cheap.mean() + gained[round(share * len(graded))] / len(graded)))
        for share in _SHARES
    )
    return Curve(
        questions=len(graded),
        subjects=len(set(subjects)),
        cheap=float(cheap.mean()),
        best=float(best.mean()),
        points=points,
        apgr=_apgr(gained),
        interval=_interval(cheap, best, scores, subjects),
        within=_apgr(_gained(cheap, best, _standing_within(scores, subjects))),
    )


def held_out(files: Sequence[GradedFile], learned_from: Collection[str]) -> list[GradedFile]:
    """The files that nothing was learned from, by their hashes."""
    return [file for file in files if file.sha256 not in learned_from]


Values = NDArray[np.float64]


def _gained(cheap: Values, best: Values, scores: Values) -> Values:
    """Right answers more than the cheap model's, for each number of dear calls from 0."""
    order = np.argsort(-scores, kind="stable")
    return np.concatenate([[0.0], np.cumsum((best - cheap)[order])])


def _apgr(gained: Values) -> float | None:
    return float((gained / gained[-1]).mean()) if gained[-1] > 0 else None


def _standing_within(scores: Values, subjects: NDArray[np.str_]) -> Values:
    """Each score's place among those of its subject, 0 to 1."""
    standing = np.zeros_like(scores)
    for subject in set(subjects):
        places = np.flatnonzero(subjects == subject)
        order = np.argsort(scores[places], kind="stable")
        standing[places[order]] = (np.arange(len(places)) + 0.5) / len(places)
    return standing


def _interval(
    cheap: Values, best: Values, scores: Values, subjects: NDArray[np.str_]
) -> tuple[float, float] | None:
    names = sorted(set(subjects))
    if len(names) == 1:
        return None
    places: list[NDArray[np.intp]] = [np.flatnonzero(subjects == name) for name in names]
    dice = np.random.default_rng(0)
    found: list[float] = []
    for _ in range(_RESAMPLED):
        chosen: list[int] = dice.integers(0, len(names), len(names)).tolist()
        drawn = np.concatenate([places[at] for at in chosen])
        apgr = _apgr(_gained(cheap[drawn], best[drawn], scores[drawn]))
        if apgr is not None:
            found.append(apgr)
    low, high = np.percentile(found, [2.5, 97.5])
    return float(low), float(high)
