"""Why a document is warned about or quarantined: codes that stay, and what each means.

`docs/validation.md` has the same table, and a test holds the two together.
"""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType

from rag.errors import (
    EmptyText,
    EncryptedFile,
    LimitExceeded,
    ParseError,
    PermanentError,
    UnsupportedMediaType,
)


class Reason(StrEnum):
    # bytes
    EMPTY = "empty"
    TOO_LARGE = "too_large"
    TYPE_MISMATCH = "type_mismatch"
    LEGACY_ENCODING = "legacy_encoding"
    MIXED_ENCODINGS = "mixed_encodings"
    # reading
    ENCRYPTED = "encrypted"
    UNSUPPORTED_TYPE = "unsupported_type"
    LIMIT_EXCEEDED = "limit_exceeded"
    UNREADABLE = "unreadable"
    # text
    LITTLE_TEXT = "little_text"
    MOJIBAKE_REPAIRED = "mojibake_repaired"
    REPLACEMENT_CHARACTERS = "replacement_characters"
    GARBLED = "garbled"
    MIXED_SCRIPTS = "mixed_scripts"
    HIDDEN_TEXT = "hidden_text"
    INSTRUCTIONS = "instructions"
    NEAR_DUPLICATE = "near_duplicate"
    # what must not be shown to everyone
    SECRETS = "secrets"
    PERSONAL_DATA = "personal_data"
    MASKED = "masked"
    MASK_INCOMPLETE = "mask_incomplete"
    # tables
    COLUMNS_CHANGED = "columns_changed"
    COLUMN_MISSING = "column_missing"
    VALUES_MISSING = "values_missing"
    # ourselves
    CHECK_FAILED = "check_failed"
    PROTECTION_FAILED = "protection_failed"


HIDING = frozenset(
    {Reason.SECRETS, Reason.PERSONAL_DATA, Reason.MASK_INCOMPLETE, Reason.PROTECTION_FAILED}
)
"""Reasons that hide the version which was shown before, too: it may hold the same."""

EXPLAINED: Mapping[Reason, str] = MappingProxyType(
    {
        Reason.EMPTY: "The file has no bytes, only white space, or no text was found in it.",
        Reason.TOO_LARGE: "The file is larger than the source's `max_bytes`.",
        Reason.TYPE_MISMATCH: "The declared media type and the first bytes speak of different formats.",
        Reason.LEGACY_ENCODING: "The text is not in UTF-8; it was read in the encoding named.",
        Reason.MIXED_ENCODINGS: "Parts of the text are UTF-8 and parts are not.",
        Reason.ENCRYPTED: "The file is protected by a password.",
        Reason.UNSUPPORTED_TYPE: "No parser reads this format, or the bytes are of another than the name says.",
        Reason.LIMIT_EXCEEDED: "Larger, deeper or slower to read than the limits allow.",
        Reason.UNREADABLE: "The file is damaged, or the parser failed on it.",
        Reason.LITTLE_TEXT: "Fewer characters of text than `min_characters`, or hardly any.",
        Reason.MOJIBAKE_REPAIRED: "Wrongly decoded characters (`fÃ¼r`) were put right (`für`).",
        Reason.REPLACEMENT_CHARACTERS: "Characters were lost (U+FFFD) before the file reached us.",
        Reason.GARBLED: "Much of the text is no words in any language: bad OCR, or a broken font.",
        Reason.MIXED_SCRIPTS: "Words mix look-alike letters of two scripts, as deceptions do.",
        Reason.HIDDEN_TEXT: "Text that no reader sees was found and left out.",
        Reason.INSTRUCTIONS: "The text addresses a language model and tells it what to do.",
        Reason.NEAR_DUPLICATE: "Nearly the same text is in another document.",
        Reason.SECRETS: "Passwords, keys or tokens were found.",
        Reason.PERSONAL_DATA: "Personal data was found where the source's settings do not want it.",
        Reason.MASKED: "What was found was replaced by placeholders in what is indexed.",
        Reason.MASK_INCOMPLETE: "Something could not be replaced by a placeholder.",
        Reason.COLUMNS_CHANGED: "Columns appeared, vanished or changed their type since the last version.",
        Reason.COLUMN_MISSING: "A column of `required_columns` is not there.",
        Reason.VALUES_MISSING: "A column of `required_columns` has empty cells.",
        Reason.CHECK_FAILED: "A check failed on the document; the rest were made.",
        Reason.PROTECTION_FAILED: "A check that protects secrets or personal data failed on the document.",
    }
)


def reason_of(error: PermanentError) -> Reason:
    """What an error of fetching or parsing is called among the reasons."""
    match error:
        case EmptyText():
            return Reason.EMPTY
        case EncryptedFile():
            return Reason.ENCRYPTED
        case LimitExceeded():
            return Reason.LIMIT_EXCEEDED
        case UnsupportedMediaType():
            return Reason.UNSUPPORTED_TYPE
        case ParseError():
            return Reason.UNREADABLE
        case _:
            return Reason.UNREADABLE
