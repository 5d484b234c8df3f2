"""Access files: what they grant, and that nothing malformed ever opens anything."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.access_files import AccessFile, MalformedAccessFile, read_access_file
from rag.access import NOBODY, Principal, PrincipalId, TenantId, readable_by, scope_of

ROOT = Path("/srv/documents")
FOLDER = ROOT / "finance"


def read(text: str | bytes) -> AccessFile:
    content = text if isinstance(text, bytes) else text.encode()
    return read_access_file(content, folder=FOLDER, root=ROOT)


def test_readers_and_metadata_apply_to_every_file() -> None:
    grant = read(
        "readers: [group:finance, user:1042]\nmetadata: {department: finance, pages: 3, open: true}"
    ).grant_for("budget.xlsx")
    assert grant.access == readable_by(["group:finance", "user:1042"])
    assert grant.metadata == {"department": "finance", "pages": 3, "open": True}


def test_a_file_entry_replaces_the_readers_and_merges_the_metadata() -> None:
    access_file = read(
        "readers: [group:finance]\n"
        "metadata: {department: finance, access_level: internal}\n"
        'files:\n  "board-*.docx": {readers: [group:board], metadata: {access_level: restricted}}\n'
        '  "note.md": {metadata: {date: 2026-03-31}}\n'
    )
    board = access_file.grant_for("board-march.docx")
    assert board.access == readable_by(["group:board"])
    assert board.metadata == {"department": "finance", "access_level": "restricted"}
    note = access_file.grant_for("note.md")
    assert note.access == readable_by(["group:finance"])
    assert note.metadata["date"] == "2026-03-31"


UNTIL = datetime(2027, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("until", "end"),
    [
        ("2026-12-31", UNTIL),
        ("'2026-12-31'", UNTIL),
        ("2026-12-31T23:30:00Z", datetime(2026, 12, 31, 23, 30, tzinfo=UTC)),
        ("2026-12-31 23:30:00+01:00", datetime(2026, 12, 31, 22, 30, tzinfo=UTC)),
        ("'2026-12-31T23:30:00+01:00'", datetime(2026, 12, 31, 22, 30, tzinfo=UTC)),
    ],
)
def test_a_reader_may_be_one_until_a_day_or_a_moment(until: str, end: datetime) -> None:
    grant = read(f"readers: [group:finance, {{id: user:1042, until: {until}}}]").grant_for("a.md")
    readers = ["group:finance", "user:1042"]
    assert grant.access == readable_by(readers, until={"user:1042": end})
    guest = scope_of(Principal(TenantId("acme"), PrincipalId("user:1042")))
    assert guest.admits(guest.tenant, grant.access, at=end - timedelta(microseconds=1))
    assert not guest.admits(guest.tenant, grant.access, at=end)
    lasting = read("readers: [group:finance, user:1042]").grant_for("a.md")
    assert grant.fingerprint != lasting.fingerprint


def test_a_files_readers_may_have_ends_of_their_own() -> None:
    access_file = read(
        "readers: [{id: user:1, until: 2026-12-31}]\n"
        "files: {a.md: {readers: [user:1]}, b.md: {readers: [{id: user:2, until: 2026-12-31}]}}\n"
    )
    assert access_file.grant_for("a.md").access == readable_by(["user:1"])
    assert access_file.grant_for("b.md").access == readable_by(["user:2"], until={"user:2": UNTIL})
    assert access_file.grant_for("c.md").access == readable_by(["user:1"], until={"user:1": UNTIL})


@pytest.mark.parametrize(
    "readers",
    [
        "[{id: user:1}]",
        "[{id: user:1, until: }]",
        "[{id: user:1, until: soon}]",
        "[{id: user:1, until: 2026}]",
        "[{id: user:1, until: 2026-02-31}]",
        "[{id: user:1, until: '2026-02-31'}]",
        "[{id: user:1, until: 2026-12-31T10:00:00}]",
        "[{id: user:1, until: 9999-12-31}]",
        "[{id: user:1, until: [2026-12-31]}]",
        "[{until: 2026-12-31}]",
        "[{id: [user:1], until: 2026-12-31}]",
        "[{id: anna, until: 2026-12-31}]",
        "[{id: user:1, until: 2026-12-31, from: 2026-01-01}]",
        "[user:1, {id: user:1, until: 2026-12-31}]",
        "[{id: user:1, until: 2026-12-31}, {id: user:1, until: 2027-12-31}]",
    ],
)
def test_an_end_that_is_none_makes_the_file_malformed(readers: str) -> None:
    with pytest.raises(MalformedAccessFile):
        read(f"readers: {readers}")


def test_who_is_denied_has_no_end() -> None:
    with pytest.raises(MalformedAccessFile):
        read("readers: [everyone]\ndeny: [{id: user:1, until: 2026-12-31}]")


def test_an_exact_name_speaks_after_any_glob() -> None:
    access_file = read('files:\n  "b.md": {readers: [user:1]}\n  "*.md": {readers: [everyone]}\n')
    assert access_file.grant_for("b.md").access == readable_by(["user:1"])
    assert access_file.grant_for("c.md").access == readable_by(["everyone"])


@pytest.mark.parametrize(
    ("pattern", "path", "matches"),
    [
        ("*.md", "a.md", True),
        ("*.md", "below/a.md", False),
        ("**/*.md", "a.md", True),
        ("**/*.md", "below/deep/a.md", True),
        ("below/*", "below/a.md", True),
        ("below/**", "below/deep/a.md", True),
        ("a?.md", "a1.md", True),
        ("a?.md", "a/.md", False),
        ("[ab].md", "b.md", True),
        ("[!ab].md", "b.md", False),
        ("a.md", "aXmd", False),
        ("A.md", "a.md", False),
    ],
)
def test_a_glob_reaches_no_further_than_it_looks(pattern: str, path: str, *, matches: bool) -> None:
    access_file = read(f'files:\n  "{pattern}": {{readers: [everyone]}}')
    assert (access_file.grant_for(path).access != NOBODY) is matches


def test_a_deny_adds_up_and_wins() -> None:
    access_file = read('readers: [everyone]\ndeny: [user:7]\nfiles:\n  "a.md": {deny: [user:8]}\n')
    assert access_file.grant_for("a.md").access == readable_by(
        ["everyone"], denied=["user:7", "user:8"]
    )


@pytest.mark.parametrize("text", ["readers: []", "metadata: {department: it}", "{}"])
def test_no_reader_means_nobody(text: str) -> None:
    assert read(text).grant_for("a.md").access == NOBODY


def test_what_a_file_supersedes_becomes_its_address() -> None:
    access_file = read('files:\n  "new.md": {metadata: {supersedes: "../old/leave 1.md"}}')
    assert access_file.grant_for("new.md").metadata == {
        "supersedes": "file:///srv/documents/old/leave%201.md"
    }


@pytest.mark.parametrize(
    "text",
    [
        "",
        "readers: everyone",
        "readers: {group: finance}",
        "readers: [group: finance]",
        "readers: [finance]",
        "readers: [group:]",
        'readers: ["group:a b"]',
        "readers: [1042]",
        "readers: [Everyone]",
        "reader: [everyone]",
        "readers: [everyone]\nreaders: [user:1]",
        "readers: &all [everyone]\ndeny: *all",
        "- readers",
        "readers: [everyone",
        "readers: [!!python/name:os.system x]",
        "metadata: {a: [1]}",
        "metadata: {a: null}",
        "metadata: {a: .nan}",
        "metadata: {1: a}",
        "metadata: {a: 2026-02-31}",
        "metadata: {supersedes: ../../../etc/passwd}",
        "metadata: {supersedes: /etc/passwd}",
        "metadata: {supersedes: 3}",
        "files: [a.md]",
        "files: {a.md: [everyone]}",
        "files: {a.md: {reader: [everyone]}}",
        "files: {../a.md: {readers: [everyone]}}",
        "files: {/a.md: {readers: [everyone]}}",
        'files: {"[z-a].md": {readers: [everyone]}}',
        b"readers: [\xff\xfe]",
        b"readers: [everyone] #" + b"x" * 300_000,
        "[" * 5000,
    ],
)
def test_a_mistake_is_malformed_and_says_so(text: str | bytes) -> None:
    with pytest.raises(MalformedAccessFile) as caught:
        read(text)
    assert 5 < len(str(caught.value)) < 400


@given(st.text() | st.binary())
def test_no_bytes_do_anything_but_grant_or_be_malformed(content: str | bytes) -> None:
    try:
        access_file = read(content)
    except MalformedAccessFile:
        return
    assert access_file.grant_for("a.md").access.denied >= access_file.denied
