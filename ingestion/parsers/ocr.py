"""Pictures of text: tesseract, with the languages that are installed."""

# pyright: reportUnknownMemberType=false, reportMissingTypeStubs=false
# pytesseract is not typed

import io
import re
import warnings
from functools import cache
from typing import cast

import pytesseract
from PIL import Image, ImageOps, ImageSequence, UnidentifiedImageError

from ingestion.parsers.model import Extracted, Limits, RawFile
from ingestion.parsers.outline import Outline
from ingestion.parsers.text import add_text
from rag.errors import LimitExceeded, ParseError

WANTED_LANGUAGES = ("eng", "deu")
_TIMEOUT_S = 60
_MIN_SIDE = 1000
"""Smaller pictures are enlarged: tesseract reads capitals of 20 to 40 pixels best."""


def parse_image(file: RawFile, limits: Limits) -> Extracted:
    """The text in a picture; every page of a TIFF is a page.

    It has no title: what stands first on a scan is a letterhead, and the file's name says more.
    """
    outline = Outline()
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
                prepared = ImageOps.exif_transpose(frame).convert("L")
                add_text(outline, read_image(prepared), page=number if frames > 1 else None)
    except UnidentifiedImageError as error:
        raise ParseError("it cannot be read as a picture") from error
    except Image.DecompressionBombError as error:
        raise LimitExceeded("the picture has too many pixels") from error
    except (OSError, SyntaxError, ValueError) as error:
        raise ParseError("the picture is damaged or cut short") from error
    return Extracted(sections=outline.finished(), metadata={"document_type": "image"})


def read_image(image: Image.Image) -> str:
    """The text of `image`, its columns kept apart by spaces.

    Raises `ParseError` where tesseract is not installed or gives up.
    """
    side = max(image.size)
    if side < _MIN_SIDE:
        factor = _MIN_SIDE / max(1, side)
        size = (max(1, round(image.width * factor)), max(1, round(image.height * factor)))
        image = image.resize(size)
    try:
        text = cast(
            "str",
            pytesseract.image_to_string(
                image,
                lang=_languages(),
                config="--psm 4 -c preserve_interword_spaces=1",
                timeout=_TIMEOUT_S,
            ),
        )
    except pytesseract.TesseractNotFoundError as error:
        raise ParseError("text recognition needs tesseract, which is not installed") from error
    except pytesseract.TesseractError as error:
        raise ParseError("text recognition failed") from error
    except RuntimeError as error:  # its timeout
        raise LimitExceeded(f"text recognition took more than {_TIMEOUT_S} s a page") from error
    return re.sub(r"[ \t]+$", "", text, flags=re.MULTILINE)


@cache
def _languages() -> str:
    try:
        installed = set(cast("list[str]", pytesseract.get_languages()))
    except pytesseract.TesseractNotFoundError as error:
        raise ParseError("text recognition needs tesseract, which is not installed") from error
    chosen = [language for language in WANTED_LANGUAGES if language in installed]
    return "+".join(chosen or sorted(installed - {"osd"})[:1])
