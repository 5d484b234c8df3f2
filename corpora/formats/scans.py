"""A page as a scanner delivers it."""

import io
import random
import zlib
from typing import Any, cast

from PIL import Image, ImageDraw, ImageFilter, ImageFont
from reportlab.lib.pagesizes import A4
from reportlab.lib.utils import ImageReader
from reportlab.pdfgen.canvas import Canvas

from .sources import Source, SourceError

SCAN_SIZE = (1654, 2339)  # A4 at 200 dots per inch
SCAN_MARGIN = 130
SCAN_SPACE = 0.32  # of the type size; the font's own space is too narrow to be recognised


def build_scan(source: Source) -> bytes:
    """A typed page as a scanner delivers it: a little grey, a little crooked, with specks."""
    target = str(source["target"])
    pages = cast("list[str]", source["pages"])
    images = [scan_page(text, zlib.crc32(f"{target}/{n}".encode())) for n, text in enumerate(pages)]
    buffer = io.BytesIO()
    if target.endswith(".png"):
        if len(images) != 1:
            raise SourceError(f"{target}: a PNG holds one page")
        images[0].save(buffer, "PNG", optimize=True, dpi=(200, 200))
        return buffer.getvalue()
    canvas = cast("Any", Canvas)(buffer, pagesize=A4, invariant=1, pageCompression=0)
    for image in images:
        jpeg = io.BytesIO()
        image.save(jpeg, "JPEG", quality=60, dpi=(200, 200))
        jpeg.seek(0)
        canvas.drawImage(cast("Any", ImageReader)(jpeg), 0, 0, width=A4[0], height=A4[1])
        canvas.showPage()
    canvas.save()
    return buffer.getvalue()


def scan_page(text: str, seed: int) -> Image.Image:
    rng = random.Random(seed)
    page = Image.new("L", SCAN_SIZE, 246)
    draw = ImageDraw.Draw(page)
    top = SCAN_MARGIN
    for line in text.splitlines():
        size = 42 if line.startswith("# ") else 30
        font = ImageFont.load_default(size=size)
        width = 0.0
        for word in line.removeprefix("# ").split(" "):
            draw.text((SCAN_MARGIN + width, top), word, fill=38, font=font)
            width += draw.textlength(word, font=font) + size * SCAN_SPACE
        if width > SCAN_SIZE[0] - 2 * SCAN_MARGIN:
            raise SourceError(f"line too long for a scanned page: {line!r}")
        top += round(size * 1.38)
    if top > SCAN_SIZE[1] - SCAN_MARGIN:
        raise SourceError("too many lines for a scanned page")
    page = page.rotate(rng.uniform(0.35, 0.6), Image.Resampling.BICUBIC, fillcolor=246)
    page = page.filter(ImageFilter.GaussianBlur(0.5))
    pixels = cast("Any", page.load())
    for _ in range(1500):
        x, y = rng.randrange(SCAN_SIZE[0]), rng.randrange(SCAN_SIZE[1])
        pixels[x, y] = max(0, pixels[x, y] - rng.randrange(30, 90))
    return page.quantize(16).convert("L")
