"""Pictures of text: tesseract, with the languages that are installed."""

import io
import re
import subprocess
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from PIL import Image, ImageOps, ImageSequence, UnidentifiedImageError

from ingestion.parsers.model import Extracted, Limits, RawFile
from ingestion.parsers.outline import Outline
from ingestion.parsers.text import add_text
from rag.errors import LimitExceeded, ParseError
from rag.types import MetadataValue

WANTED_LANGUAGES = ("eng", "deu")
LEAST_CONFIDENCE = 0.6
"""Below it, what was read is worth a look."""
_OPTIONS = ("--psm", "4", "-c", "preserve_interword_spaces=1", "-c", "tessedit_create_txt=1",
            "-c", "tessedit_create_tsv=1")  # fmt: skip
_TIMEOUT_S = 60
_MIN_SIDE = 1000
"""Smaller pictures are enlarged: tesseract reads capitals of 20 to 40 pixels best."""


def parse_image(file: RawFile, limits: Limits) -> Extracted:
    """The text in a picture; every page of a TIFF is a page.

    It has no title: what stands first on a scan is a letterhead, and the file's name says more.
    """
    outline = Outline()
    pages: list[Recognised] = []
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # checked below
            image = Image.open(io.BytesIO(file.body))
        with image:
            frames = getattr(image, "n_frames", 1)
            if frames > limits.max_ocr_pages:
                raise LimitExceeded(f"{frames} pages are more than {limits.max_ocr_pages}")
            for number, frame in enumerate(ImageSequence.Iterator(image), 1):
                if frame.width * frame.height > limits.max_pixels:
                    raise LimitExceeded(f"{frame.width} by {frame.height} pixels are too many")
                page = read_image(ImageOps.exif_transpose(frame).convert("L"))
                pages.append(page)
                add_text(outline, page.text, page=number if frames > 1 else None)
    except UnidentifiedImageError as error:
        raise ParseError("it cannot be read as a picture") from error
    except Image.DecompressionBombError as error:
        raise LimitExceeded("the picture has too many pixels") from error
    except (OSError, SyntaxError, ValueError) as error:
        raise ParseError("the picture is damaged or cut short") from error
    confidence, unsure = confidence_of(pages)
    return Extracted(
        sections=outline.finished(),
        metadata={"document_type": "image", **confidence},
        warnings=tuple(unsure),
    )


@dataclass(frozen=True, slots=True)
class Recognised:
    """What stands in a picture, and how sure tesseract is of each word (0 to 100)."""

    text: str
    confidences: tuple[float, ...]


def confidence_of(pages: Sequence[Recognised]) -> tuple[dict[str, MetadataValue], list[str]]:
    """`ocr_confidence`, the mean over all words from 0 to 1, and a warning where it is low."""
    confidences = [value for page in pages for value in page.confidences]
    if not confidences:
        return {}, []
    mean = round(sum(confidences) / len(confidences) / 100, 3)
    unsure = mean < LEAST_CONFIDENCE
    return {"ocr_confidence": mean}, [f"text recognition is unsure: {mean:.2f}"] if unsure else []


def read_image(image: Image.Image) -> Recognised:
    """The text of `image`, its columns kept apart by spaces.

    Raises `ParseError` where tesseract is not installed or gives up.
    """
    side = max(image.size)
    if side < _MIN_SIDE:
        factor = _MIN_SIDE / max(1, side)
        size = (max(1, round(image.width * factor)), max(1, round(image.height * factor)))
        image = image.resize(size)
    with tempfile.TemporaryDirectory() as folder:
        source, made = Path(folder, "page.png"), Path(folder, "text")
        image.save(source, compress_level=1)
        _run_tesseract(str(source), str(made), "-l", _languages(), *_OPTIONS)
        text = made.with_suffix(".txt").read_text(encoding="utf-8", errors="replace")
        words = made.with_suffix(".tsv").read_text(encoding="utf-8", errors="replace")
    return Recognised(re.sub(r"[ \t]+$", "", text, flags=re.MULTILINE), tuple(_confidences(words)))


def _confidences(words: str) -> Iterator[float]:
    """The column `conf` of tesseract's table, of its words alone."""
    for line in words.splitlines()[1:]:
        columns = line.split("\t")
        if len(columns) == 12 and columns[11].strip() and float(columns[10]) >= 0:
            yield float(columns[10])


@cache
def _languages() -> str:
    listed = _run_tesseract("--list-langs").splitlines()[1:]
    installed = {line.strip() for line in listed}
    chosen = [language for language in WANTED_LANGUAGES if language in installed]
    return "+".join(chosen or sorted(installed - {"osd"})[:1])


def _run_tesseract(*arguments: str) -> str:
    """What it prints. Raises `ParseError` and `LimitExceeded`."""
    try:
        done = subprocess.run(  # noqa: S603 - no shell, and no argument comes from a file
            ("tesseract", *arguments),  # noqa: S607 - wherever it is installed
            check=True,
            capture_output=True,
            timeout=_TIMEOUT_S,
        )
    except FileNotFoundError as error:
        raise ParseError("text recognition needs tesseract, which is not installed") from error
    except subprocess.TimeoutExpired as error:
        raise LimitExceeded(f"text recognition took more than {_TIMEOUT_S} s a page") from error
    except subprocess.CalledProcessError as error:
        raise ParseError("text recognition failed") from error
    return done.stdout.decode(errors="replace")
