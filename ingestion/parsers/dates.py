"""Dates as files write them, to ISO 8601."""

import datetime as dt
import re

_ISO = re.compile(r"\s*(\d{4})-(\d\d)-(\d\d)(?=$|[T\s])")
_PDF = re.compile(r"D:(\d{4})(\d\d)?(\d\d)?")


def iso_date(text: str) -> str:
    """The day that `text` names (ISO 8601, or as PDF writes it), or an empty string."""
    if match := _ISO.match(text):
        return _checked(*match.groups())
    if match := _PDF.match(text):
        year, month, day = match.groups(default="01")
        return _checked(year, month, day)
    return ""


def _checked(year: str, month: str, day: str) -> str:
    try:
        return dt.date(int(year), int(month), int(day)).isoformat()
    except ValueError:
        return ""
