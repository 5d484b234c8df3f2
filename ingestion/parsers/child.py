"""The process that reads foreign bytes: `python -m ingestion.parsers.child LIMITS`.

It is started by `subprocess_parser`, has little memory, no secrets, and is killed when it is
slow. It answers one request after another until its standard input ends.
"""

import json
import os
import sys
from collections.abc import Callable
from typing import BinaryIO, TypeVar

from ingestion.parsers.confinement import confine
from ingestion.parsers.model import Extracted, Limits, RawFile
from ingestion.parsers.wire import (
    LENGTH,
    packed_end,
    packed_member,
    packed_reply,
    read_request,
)
from rag.errors import LimitExceeded, ParseError, PermanentError
from rag.starting import importing

Found = TypeVar("Found")

OUT_OF_MEMORY = 86
"""The exit status of a child that met its memory limit and cannot be trusted with another file."""


def main() -> None:
    settings = json.loads(sys.argv[1])
    limits = Limits(**settings["limits"])
    confine(memory_bytes=int(settings["memory_bytes"]))
    requests, replies = _take_pipes()
    with importing():
        _preload()
    replies.write(LENGTH.pack(0))  # ready
    replies.flush()
    try:
        while (file := read_request(requests)) is not None:
            _reply(replies, _answer(file, limits))
            replies.flush()
    except MemoryError:  # what is left of this process cannot be trusted: say so by ending it
        os._exit(OUT_OF_MEMORY)


def _reply(replies: BinaryIO, answer: Extracted | PermanentError) -> None:
    """Write the answer, and the files inside the file as they are made."""
    replies.write(packed_reply(answer))
    if isinstance(answer, PermanentError):
        return
    members = iter(answer.members)
    while True:
        found = _caught(lambda: next(members, None))
        if found is None:
            replies.write(packed_end())
            return
        if isinstance(found, PermanentError):
            replies.write(packed_reply(found))
            return
        replies.writelines(packed_member(found))


def _answer(file: RawFile, limits: Limits) -> Extracted | PermanentError:
    """What the file says, or why not. `MemoryError` passes."""
    from ingestion.parsers.formats import extract  # noqa: PLC0415 - loaded by then

    return _caught(lambda: extract(file, limits))


def _caught(made: Callable[[], Found]) -> Found | PermanentError:
    try:
        return made()
    except PermanentError as error:
        return error
    except MemoryError:
        raise
    except RecursionError:
        return LimitExceeded("it is nested too deep")
    except Exception as error:  # noqa: BLE001 - a parser's own fault ends here, as a failed file
        return ParseError(f"the parser failed on it ({type(error).__name__})")


def _preload() -> None:
    """Import what every format needs, so that no file's deadline pays for it."""
    from ingestion.parsers import formats  # noqa: PLC0415 - slow, and after the limits are set
    from ingestion.parsers.elements import prepare_unstructured  # noqa: PLC0415

    prepare_unstructured()
    for module in ("html", "docx", "pptx"):
        __import__(f"unstructured.partition.{module}")
    del formats


def _take_pipes() -> tuple[BinaryIO, BinaryIO]:
    """The two pipes to the parent; what libraries print goes nowhere."""
    requests = os.fdopen(os.dup(0), "rb")
    replies = os.fdopen(os.dup(1), "wb")
    nowhere = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1):
        os.dup2(nowhere, stream)
    os.close(nowhere)
    return requests, replies


if __name__ == "__main__":
    main()
