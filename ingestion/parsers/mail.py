"""E-mail, by the standard library: headers, the body that reads best, attachments as members."""

import email
import email.policy
import mimetypes
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from email.header import decode_header
from email.message import EmailMessage
from email.utils import parsedate_to_datetime
from typing import cast

from connectors.containers import Room
from ingestion.parsers.containers import unique_paths
from ingestion.parsers.decoding import decoded
from ingestion.parsers.model import Extracted, Limits, Member, RawFile
from ingestion.parsers.outline import Outline
from ingestion.parsers.text import add_text
from ingestion.parsers.web import read_html
from rag.errors import ParseError
from rag.types import MetadataValue, Section

_HEADERS = (("From", "mail_from"), ("To", "mail_to"), ("Cc", "mail_cc"), ("Message-ID", "mail_message_id"),
            ("In-Reply-To", "mail_in_reply_to"))  # fmt: skip
_SHOWN = ("From", "To", "Cc", "Date", "Subject")
_NOT_DOCUMENTS = frozenset({"application/pgp-signature", "text/calendar"})
_PICTURE_WORTH_READING = 20_000
"""Bytes. Smaller pictures in mails are logos and smileys."""


def parse_mail(file: RawFile, limits: Limits) -> Extracted:
    """The message's headers and the names of what is attached as a first paragraph, then its body.
    What is attached becomes documents of its own."""
    message = email.message_from_bytes(_unwrapped(file.body), policy=email.policy.default)
    if not any(message.get(name) for name, _ in (*_HEADERS, ("Subject", ""), ("Date", ""))):
        raise ParseError("it is not an e-mail: it has no headers")
    metadata: dict[str, MetadataValue] = {"document_type": "email"}
    for header, field in _HEADERS:
        if value := _header(message, header):
            metadata[field] = value
    title = _header(message, "Subject")
    if title:
        metadata["mail_subject"] = title
    if date := _date(message):
        metadata["date"] = date
    attached = [member for part in _attachments(message) if (member := _member_of(part))]
    members, warnings = members_within(file.room, attached)
    shown = [f"{name}: {value}" for name in _SHOWN if (value := _header(message, name))]
    if members:
        shown.append(f"Attachments: {', '.join(member.path for member in members)}")
    outline = Outline()
    outline.prose("\n".join(shown))
    sections = (*outline.finished(), *_body_of(message, limits, warnings))
    return Extracted(
        title=title,
        sections=sections,
        metadata=metadata,
        warnings=tuple(warnings),
        members=members,
    )


def members_within(room: Room, attached: Sequence[Member]) -> tuple[tuple[Member, ...], list[str]]:
    """Those of `attached` that there is room for, each under a name of its own, and a warning
    where some are left out."""
    left = room.bytes
    taken: list[Member] = []
    for member in attached:
        if room.levels > 0 and len(taken) < room.files and len(member.body) <= left:
            left -= len(member.body)
            taken.append(member)
    names = unique_paths(member.path for member in taken)
    members = tuple(replace(member, path=name) for member, name in zip(taken, names, strict=True))
    out = len(attached) - len(taken)
    reason = "it is nested too deep" if room.levels < 1 else "there is no room for more"
    return members, [f"attachments left out, because {reason}: {out}"] if out else []


def _unwrapped(body: bytes) -> bytes:
    """A message saved as UTF-16 is turned into the bytes that mail is made of."""
    if body[:2] in {b"\xff\xfe", b"\xfe\xff"} or (len(body) > 3 and b"\0" in body[:4]):
        return decoded(body)[0].encode("utf-8")
    return body.lstrip(b"\r\n\t \xef\xbb\xbf") if body[:1] in b"\r\n\t \xef" else body


def _body_of(message: EmailMessage, limits: Limits, warnings: list[str]) -> Iterator[Section]:
    part = message.get_body(preferencelist=("plain", "html"))
    if part is None:
        return
    text = _text_of(cast("EmailMessage", part))
    if not text.strip():  # an empty plain part beside a full HTML one
        part = message.get_body(preferencelist=("html",)) or part
        text = _text_of(cast("EmailMessage", part))
    if part.get_content_type() == "text/html":
        page = read_html(text, document_type="email", limits=limits)
        warnings += page.warnings
        path = (page.title,) if page.title else ()
        for section in page.sections:
            yield replace(section, heading_path=(*path, *section.heading_path))
        return
    outline = Outline()
    add_text(outline, _undecorated(text), headings=False)
    yield from outline.finished()


def _undecorated(text: str) -> str:
    """The text without the `> ` of quoted lines: the words stay, the signs cut them up."""
    return re.sub(r"^(?:>[ \t]?)+", "", text, flags=re.MULTILINE)


def _text_of(part: EmailMessage) -> str:
    payload = part.get_payload(decode=True)
    if not isinstance(payload, bytes):
        return ""
    try:
        return decoded(payload, declared=part.get_content_charset())[0] if payload else ""
    except ParseError:
        return ""


def _attachments(message: EmailMessage) -> Iterator[EmailMessage]:
    try:
        yield from message.iter_attachments()
    except (AttributeError, KeyError, TypeError, ValueError):
        return  # a multipart that is none; the body was read


def _member_of(part: EmailMessage) -> Member | None:
    """The attachment as a file, or None where nobody would look for it: logos, signatures."""
    media_type = part.get_content_type()
    name = _clean(part.get_filename() or "") or (
        "message.eml" if media_type == "message/rfc822" else f"unnamed{_extension_of(media_type)}"
    )
    body = _bytes_of(part)
    return attachment_of(name, media_type, body)


def attachment_of(name: str, media_type: str, body: bytes) -> Member | None:
    small_picture = media_type.startswith("image/") and len(body) < _PICTURE_WORTH_READING
    if not body or small_picture or media_type in _NOT_DOCUMENTS:
        return None
    return Member(path=name.replace("/", "_")[:200], media_type=media_type, body=body)


def _extension_of(media_type: str) -> str:
    return mimetypes.guess_extension(media_type) or ""


def _bytes_of(part: EmailMessage) -> bytes:
    if part.get_content_type() == "message/rfc822":
        payload = part.get_payload()
        inner = (
            cast("list[EmailMessage]", payload)[0]
            if isinstance(payload, list) and payload
            else None
        )
        return (
            b""
            if inner is None
            else inner.as_bytes(policy=email.policy.default.clone(max_line_length=None))
        )
    payload = part.get_payload(decode=True)
    return payload if isinstance(payload, bytes) else b""


def _date(message: EmailMessage) -> str:
    """The day it was sent, in the sender's own time zone."""
    value = _header(message, "Date")
    try:
        return parsedate_to_datetime(value).date().isoformat() if value else ""
    except (ValueError, TypeError, IndexError):
        return value[:10] if re.match(r"\d{4}-\d\d-\d\d", value) else ""


def _header(message: EmailMessage, name: str) -> str:
    try:
        return _clean(str(message.get(name) or ""))
    except (
        ValueError,
        IndexError,
        AttributeError,
        KeyError,
        TypeError,
    ):  # the parser trips over bad headers
        raw = next((value for key, value in message.raw_items() if key.lower() == name.lower()), "")
        return _clean(_decoded_words(str(raw)))


def _decoded_words(raw: str) -> str:
    try:
        pieces = decode_header(raw)
    except ValueError:
        return raw
    return "".join(
        piece if isinstance(piece, str) else decoded(piece, declared=charset)[0]
        for piece, charset in pieces
    )


def _clean(value: str) -> str:
    return " ".join(value.encode("utf-8", "replace").decode("utf-8").split())
