"""Word and PowerPoint files of before 2007: turned into today's by LibreOffice, where it is there."""

import io
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import olefile

from ingestion.parsers.archives import check_archive
from ingestion.parsers.model import Extracted, Limits, RawFile
from ingestion.parsers.office import parse_docx, parse_pptx
from rag.errors import EncryptedFile, ParseError, UnsupportedMediaType

_FLAGS_AT, _ENCRYPTED = 10, 0x0100
"""Where a Word file says that it is encrypted ([MS-DOC] 2.5.2, FibBase)."""
_NO_MACROS = """<?xml version="1.0" encoding="UTF-8"?>
<oor:items xmlns:oor="http://openoffice.org/2001/registry">
<item oor:path="/org.openoffice.Office.Common/Security/Scripting"><prop oor:name="MacroSecurityLevel"
 oor:op="fuse"><value>3</value></prop><prop oor:name="DisableMacrosExecution" oor:op="fuse">
<value>true</value></prop><prop oor:name="BlockUntrustedRefererLinks" oor:op="fuse"><value>true</value>
</prop></item></oor:items>"""


def parse_doc(file: RawFile, limits: Limits) -> Extracted:
    _refuse_encrypted(file.body)
    return _parse_converted(file, limits, old="doc", new="docx", parse=parse_docx)


def parse_ppt(file: RawFile, limits: Limits) -> Extracted:
    return _parse_converted(file, limits, old="ppt", new="pptx", parse=parse_pptx)


def _refuse_encrypted(body: bytes) -> None:
    try:
        with olefile.OleFileIO(body) as ole:
            stream = ole.openstream("WordDocument")  # pyright: ignore[reportArgumentType] - takes text
            head: bytes = stream.read(_FLAGS_AT + 2)
    except (OSError, ValueError, IndexError, TypeError) as error:
        raise ParseError("it is damaged or cut short") from error
    if int.from_bytes(head[_FLAGS_AT:], "little") & _ENCRYPTED:
        raise EncryptedFile("the document is protected by a password")


def _parse_converted(
    file: RawFile,
    limits: Limits,
    *,
    old: str,
    new: str,
    parse: Callable[[RawFile, Limits], Extracted],
) -> Extracted:
    program = shutil.which("soffice") or shutil.which("libreoffice")
    if program is None:
        raise UnsupportedMediaType(
            f"reading .{old} files needs LibreOffice, which is not installed"
            " (Debian: libreoffice-writer-nogui, libreoffice-impress-nogui)"
        )
    # LibreOffice shares our limits, our lack of a network and our process group, and writes only
    # below this folder, which the parent removes if we cannot.
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder, f"document.{old}")
        source.write_bytes(file.body)
        profile = Path(folder, "profile")
        (profile / "user").mkdir(parents=True)
        (profile / "user" / "registrymodifications.xcu").write_text(_NO_MACROS, encoding="utf-8")
        options = ("--headless", "--norestore", "--nolockcheck", "--nodefault", "--nologo")
        command = [program, f"-env:UserInstallation={profile.as_uri()}", *options,
                   "--convert-to", new, "--outdir", folder, str(source)]  # fmt: skip
        # Its time is ours: where the deadline passes, the whole process group is killed.
        subprocess.run(  # noqa: S603 - the program is found on our own path, the rest is ours
            command,
            check=False,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "HOME": folder},
        )
        made = source.with_suffix(f".{new}")
        if not made.is_file():
            raise ParseError(f"LibreOffice cannot read it as .{old}")
        body = made.read_bytes()
    check_archive(io.BytesIO(body), limits)
    return parse(replace(file, body=body), limits)
