"""A folder of files that no parser can take at their word, beside two that are as they should be."""

import io
import zipfile
from collections.abc import Callable
from pathlib import Path

from docx import Document as WordDocument
from openpyxl import Workbook
from PIL import Image
from pypdf import PdfReader, PdfWriter
from reportlab.pdfgen.canvas import Canvas

MAX_BYTES = 6_000_000
OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
SECRET = "The hidden passphrase is wolfram."


def pdf(text: str, *, password: str | None = None, padding: bytes = b"") -> bytes:
    drawn = io.BytesIO()
    canvas = Canvas(drawn)
    canvas.drawString(72, 720, text)
    canvas.save()
    if password is None and not padding:
        return drawn.getvalue()
    writer = PdfWriter(clone_from=PdfReader(drawn))
    if padding:
        writer.add_attachment("padding.bin", padding)
    if password is not None:
        writer.encrypt(password, algorithm="AES-256")
    return _written(writer.write)


def docx(text: str) -> bytes:
    document = WordDocument()
    document.add_paragraph(text)
    return _written(document.save)


def xlsx(text: str) -> bytes:
    workbook = Workbook()
    workbook.create_sheet("Sheet", 0)["A1"] = text
    return _written(workbook.save)


def png() -> bytes:
    picture = io.BytesIO()
    Image.effect_noise((300, 300), 80).save(picture, "PNG")
    return picture.getvalue()


def locked_zip(body: bytes) -> bytes:
    """`body` with the flag that says its entries are encrypted."""
    marked = bytearray(body)
    with zipfile.ZipFile(io.BytesIO(body)) as archive:
        offsets = [entry.header_offset + 6 for entry in archive.infolist()]
        at = archive.start_dir
        for _ in archive.infolist():
            offsets.append(at + 8)
            at = body.index(b"PK", at + 4)
    for offset in offsets:
        marked[offset] |= 1
    return bytes(marked)


def _written(write: Callable[[io.BytesIO], object]) -> bytes:
    out = io.BytesIO()
    write(out)
    return out.getvalue()


UNREADABLE: dict[str, tuple[bytes, str]] = {
    "empty.txt": (b"", "EmptyText"),
    "blank.txt": (b" \n\t\n ", "EmptyText"),
    "huge.txt": (b"All work and no play. " * 300_000, "LimitExceeded"),
    "noise.txt": (bytes(range(256)) * 40, "ParseError"),
    "picture.pdf": (png(), "UnsupportedMediaType"),
    "letter.docx": (b"Dear Sir, this is plain text.", "UnsupportedMediaType"),
    "report.txt": (pdf(SECRET), "UnsupportedMediaType"),
    "table.docx": (xlsx(SECRET), "UnsupportedMediaType"),
    "program.exe": (b"MZ\x90\x00" + bytes(200), "UnsupportedMediaType"),
    "locked.pdf": (pdf(SECRET, password="wolfram"), "EncryptedFile"),
    "locked.xlsx": (locked_zip(xlsx(SECRET)), "EncryptedFile"),
    "locked.docx": (
        OLE + bytes(504) + "EncryptedPackage".encode("utf-16-le") + bytes(512),
        "EncryptedFile",
    ),
    "cut.pdf": (pdf(SECRET)[:300], "ParseError"),
    "cut.docx": (docx(SECRET)[:5_000], "ParseError"),
    "cut.xlsx": (xlsx(SECRET)[:3_000], "ParseError"),
    "cut.png": (png()[:2_000], "ParseError"),
}
"""By name: the bytes, and the name of the error that the ledger is to hold."""

READABLE: dict[str, tuple[bytes, str]] = {
    "good.md": (
        b"# Gate\n\nThe barrier of the north gate opens at 05:30 on working days.\n",
        "north gate opens at 05:30",
    ),
    "last.txt": (b"The zinc bath of line Z9 is stirred every 40 minutes.", "every 40 minutes"),
    "latin1.txt": (
        "Die Prüfgröße für das Übermaß beträgt 12 mm, sagt der Prüfer.".encode("cp1252"),
        "Prüfgröße für das Übermaß",
    ),
    "utf16.txt": (
        "Ångström units are used for the coating thickness.".encode("utf-16"),
        "Ångström units",
    ),
    "japanese.txt": ("東京工場のポンプは毎週月曜日に点検します。".encode(), "毎週月曜日"),
    "arabic.txt": (
        "تفتح البوابة الشمالية في الساعة السادسة صباحا كل يوم.".encode(),
        "البوابة الشمالية",
    ),
    "control.txt": (
        b"The \x07valve\x1b[31m of tank T7 is \x01closed at night by the guard.",
        "of tank T7",
    ),
}
"""By name: the bytes, and words of them that are to be found."""


def write_folder(folder: Path) -> None:
    folder.mkdir()
    (folder / ".access.yaml").write_text("readers: [everyone]\n")
    for name, (body, _) in (UNREADABLE | READABLE).items():
        (folder / name).write_bytes(body)
    for closed, access_file, content in (
        ("typo", ".access.yaml", "reader: [everyone]\n"),
        ("broken", ".access.yaml", "readers: [everyone\n"),
        ("twice", ".access.yaml", "readers: []\nreaders: [everyone]\n"),
        ("binary", ".access.yaml", "\udcff\udcfe"),
        ("named", ".access.yml", "readers: [everyone]\n"),
    ):
        (folder / closed).mkdir()
        (folder / closed / access_file).write_bytes(content.encode(errors="surrogateescape"))
        (folder / closed / "secret.txt").write_text(SECRET)
