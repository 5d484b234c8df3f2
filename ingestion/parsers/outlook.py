"""Outlook messages (.msg), through python-oxmsg."""

import struct
from collections.abc import Iterator
from dataclasses import replace

from oxmsg import Message

from ingestion.parsers.mail import attachment_of, members_within
from ingestion.parsers.model import Extracted, Limits, Member, RawFile
from ingestion.parsers.outline import Outline
from ingestion.parsers.text import add_text
from ingestion.parsers.web import read_html
from rag.errors import LimitExceeded, ParseError
from rag.types import MetadataValue, Section

_DAMAGE = (OSError, ValueError, KeyError, TypeError, IndexError, LookupError,
           AssertionError, AttributeError, struct.error)  # fmt: skip
"""What the libraries raise, as the damage happens to hit."""


def parse_outlook(file: RawFile, limits: Limits) -> Extracted:
    """As a mail is read. A message whose only body is RTF gives its headers alone, and says so."""
    try:
        message = Message.load(file.body)
        shown, metadata = _headers_of(message)
        attached = list(_attachments_of(message))
        plain, markup = message.body or "", message.html_body or ""
    except RecursionError as error:
        raise LimitExceeded("it is nested too deep") from error
    except _DAMAGE as error:
        raise ParseError("it cannot be read as an Outlook message: damaged or cut short") from error
    members, warnings = members_within(file.room, attached)
    if members:
        shown.append(f"Attachments: {', '.join(member.path for member in members)}")
    outline = Outline()
    outline.prose("\n".join(shown))
    body, noted = _body_of(plain, markup, limits)
    if not body:
        warnings.append("its body is empty, or in RTF alone, which is not read here")
    return Extracted(
        title=str(metadata.get("mail_subject", "")),
        sections=(*outline.finished(), *body),
        metadata=metadata,
        warnings=(*warnings, *noted),
        members=members,
    )


def _headers_of(message: Message) -> tuple[list[str], dict[str, MetadataValue]]:
    sent = message.sent_date
    to = ", ".join(
        f"{one.name} <{one.email_address}>" if one.name != one.email_address else one.name
        for one in message.recipients
    )
    found = {
        "From": _clean(message.sender or ""),
        "To": _clean(to),
        "Date": sent.date().isoformat() if sent is not None else "",
        "Subject": _clean(message.subject),
    }
    fields = (
        ("mail_from", "From"),
        ("mail_to", "To"),
        ("date", "Date"),
        ("mail_subject", "Subject"),
    )
    metadata: dict[str, MetadataValue] = {"document_type": "email"}
    metadata |= {field: found[header] for field, header in fields if found[header]}
    return [f"{name}: {value}" for name, value in found.items() if value], metadata


def _attachments_of(message: Message) -> Iterator[Member]:
    for attachment in message.attachments:
        media_type = attachment.mime_type or "application/octet-stream"
        name = _clean(attachment.file_name or "") or "unnamed"
        member = attachment_of(name, media_type, attachment.file_bytes or b"")
        if member is not None:
            yield member


def _body_of(plain: str, markup: str, limits: Limits) -> tuple[tuple[Section, ...], list[str]]:
    if plain.strip() or not markup.strip():
        outline = Outline()
        add_text(outline, plain.replace("\r\n", "\n"), headings=False)
        return outline.finished(), []
    page = read_html(markup, document_type="email", limits=limits)
    path = (page.title,) if page.title else ()
    sections = tuple(
        replace(section, heading_path=(*path, *section.heading_path)) for section in page.sections
    )
    return sections, list(page.warnings)


def _clean(value: str) -> str:
    return " ".join(value.split())
