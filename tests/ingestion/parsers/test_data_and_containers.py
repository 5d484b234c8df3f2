"""JSON, XML, notebooks, Outlook messages, old Office files and archives: what is read out of them."""

import json
import os
import stat
import struct
from pathlib import Path

import pytest

from ingestion.parsers.formats import FORMATS
from ingestion.parsers.readers import READERS
from rag.errors import LimitExceeded, ParseError, UnsupportedMediaType
from rag.types import Code, Table
from tests.ingestion.parsers.compound_files import Storage, compound_file
from tests.ingestion.parsers.files import (
    SENTENCE,
    archive,
    docx_file,
    read,
    tables,
    texts,
    under,
)


def test_every_format_has_a_reader_with_a_version() -> None:
    assert set(READERS) == set(FORMATS)


def test_json_fields_are_lines_under_the_names_that_lead_to_them() -> None:
    value = {
        "title": "Pump P9",
        "limits": {"bar": 16.50, "dry": True, "note": None},
        "parts": [{"id": "S1", "count": 2}, {"id": "S2", "count": 10}],
        "tags": ["water", "line 4"],
    }
    found = read("a.json", json.dumps(value))
    assert found.title == "Pump P9"
    assert [one.text for one in under(found, "limits")] == ["bar: 16.5\ndry: true"]
    assert tables(found) == [Table("", ("id", "count"), (("S1", "2"), ("S2", "10")))]
    assert [one.text for one in under(found, "tags")] == ["water\nline 4"]
    assert found.metadata["document_type"] == "data"


def test_numbers_stay_as_they_are_written() -> None:
    assert texts(read("a.json", '{"a": 1.10, "b": 1e400, "c": 12345678901234567890}')) == [
        "a: 1.10\nb: 1e400\nc: 12345678901234567890"
    ]


def test_lines_of_json_become_a_table_and_a_broken_line_is_a_warning() -> None:
    found = read(
        "a.jsonl", '{"id": 1, "at": {"hall": "H2"}}\n\n{"id": 2, "at": {"hall": "H3"}}\n{oh'
    )
    assert tables(found) == [Table("", ("id", "at.hall"), (("1", "H2"), ("2", "H3")))]
    assert found.warnings == ("lines that are not JSON: 1",)
    with pytest.raises(ParseError, match="no line"):
        read("a.jsonl", "{oh\n{no")


def test_xml_elements_are_named_parts_and_mixed_content_is_prose() -> None:
    markup = (
        '<?xml version="1.0" encoding="ISO-8859-1"?><order xmlns="urn:x" id="17"><to>Größe'
        "</to><line><sku>S1</sku><n>2</n></line><line><sku>S2</sku><n>3</n></line>"
        f"<note>Mind: <b>{SENTENCE}</b> Thanks.</note></order>"
    )
    found = read("a.xml", markup.encode("latin-1"))
    assert texts(found)[0] == f"id: 17\nto: Größe\nnote: Mind: {SENTENCE} Thanks."
    assert tables(found) == [Table("", ("sku", "n"), (("S1", "2"), ("S2", "3")))]


def test_a_notebook_keeps_headings_code_and_what_was_printed() -> None:
    cells = [
        {"cell_type": "markdown", "source": ["# Wear\n", "\n", "## Method\n", SENTENCE]},
        {
            "cell_type": "code",
            "source": "fit('```')",
            "outputs": [{"output_type": "stream", "text": ["slope 0.7\n"]}],
        },
        {"cell_type": "code", "source": 3},
    ]
    found = read("a.ipynb", json.dumps({"nbformat": 4, "cells": cells}))
    assert found.title == "Wear"
    assert [type(one.block) for one in under(found, "Method")][1:] == [Code, Code]
    assert [one.text for one in under(found, "Method")][1:] == ["fit('```')", "slope 0.7"]
    assert found.warnings == ("cells that make no sense: 1",)
    assert found.metadata["document_type"] == "notebook"


def outlook_storage(header: bytes, values: dict[int, str | bytes], inside: Storage) -> Storage:
    """An object of [MS-OXMSG]: a table of its properties, and each one's value in a stream."""
    table, streams = header, dict[str, "bytes | Storage"]()
    for number, value in values.items():
        kind = 0x1F if isinstance(value, str) else 0x102
        body = value.encode("utf-16-le") if isinstance(value, str) else value
        table += struct.pack("<HHIII", kind, number, 6, len(body) + 2 * (kind == 0x1F), 0)
        streams[f"__substg1.0_{number:04X}{kind:04X}"] = body
    return {"__properties_version1.0": table, **streams, **inside}


def outlook_message() -> bytes:
    attachment = outlook_storage(
        b"\0" * 8, {0x3707: "limits.csv", 0x370E: "text/csv", 0x3701: b"a,b\n1,2\n"}, {}
    )
    recipient = outlook_storage(b"\0" * 8, {0x3001: "Ben", 0x39FE: "ben@example.org"}, {})
    return compound_file(
        outlook_storage(
            struct.pack("<8x4I8x", 1, 1, 1, 1),
            {
                0x001A: "IPM.Note",
                0x0037: "Seals for line 4",
                0x0C1A: "Ada Brook",
                0x0C1F: "ada@example.org",
                0x1000: SENTENCE,
            },
            {
                "__recip_version1.0_#00000000": recipient,
                "__attach_version1.0_#00000000": attachment,
            },
        )
    )


def test_an_outlook_message_is_read_as_a_mail() -> None:
    found = read("a.msg", outlook_message())
    assert found.title == found.metadata["mail_subject"] == "Seals for line 4"
    assert "ada@example.org" in str(found.metadata["mail_from"])
    assert "ben@example.org" in str(found.metadata["mail_to"])
    assert SENTENCE in texts(found)
    assert "Attachments: limits.csv" in texts(found)[0]
    [member] = found.members
    assert (member.path, member.media_type, member.body) == (
        "limits.csv",
        "text/csv",
        b"a,b\n1,2\n",
    )


def test_an_old_office_file_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    for name, stream in (("a.doc", "WordDocument"), ("a.ppt", "PowerPoint Document")):
        with pytest.raises(UnsupportedMediaType, match="needs LibreOffice"):
            read(name, compound_file({stream: b"x" * 5_000}))


def test_an_old_office_file_is_read_as_what_libreoffice_makes_of_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    made = tmp_path / "made.docx"
    made.write_bytes(docx_file(lambda document: document.add_paragraph(SENTENCE)))
    program = tmp_path / "soffice"
    program.write_text(
        f'#!/bin/sh\nfor last; do :; done\ncp "{made}" "$(dirname "$last")/document.docx"\n'
    )
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    assert texts(read("a.doc", compound_file({"WordDocument": b"x" * 5_000}))) == [SENTENCE]
    program.write_text("#!/bin/sh\nexit 1\n")
    with pytest.raises(ParseError, match="LibreOffice cannot read it"):
        read("a.doc", compound_file({"WordDocument": b"x" * 5_000}))


def test_an_archive_names_its_files_and_gives_them_out() -> None:
    body = archive({"a/one.txt": b"1", "two.pdf": b"2", "__MACOSX/x": b"3", ".DS_Store": b"4"})
    found = read("a.zip", body)
    assert texts(found) == ["a/one.txt\ntwo.pdf"]
    assert [(one.path, one.media_type, one.body) for one in found.members] == [
        ("a/one.txt", "text/plain", b"1"),
        ("two.pdf", "application/pdf", b"2"),
    ]


def test_what_an_archive_would_put_elsewhere_is_left_out() -> None:
    body = archive({"../up.txt": b"1", "/abs.txt": b"2", "C:\\x.txt": b"3", "in.txt": b"4"})
    found = read("a.zip", body)
    assert [one.path for one in found.members] == ["in.txt"]
    assert found.warnings == ("left out of the archive: 3 files whose names point outside it",)
    with pytest.raises(ParseError, match="point outside"):
        read("a.zip", archive({"../up.txt": b"1"}))


def test_a_table_that_is_too_wide_is_refused() -> None:
    with pytest.raises(LimitExceeded, match="columns"):
        read("a.csv", "," * 20_000 + "\n1\n")
