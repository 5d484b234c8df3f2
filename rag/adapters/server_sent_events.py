"""Server-sent events, read from the bytes of a stream as they come."""

from dataclasses import dataclass, field

from rag.errors import LimitExceeded

_LONGEST = 4 * 1024 * 1024
"""Bytes of one event. A stream without any line's end would fill the memory."""

FAILED = b'{"error": true}'
"""What stands for an event that llama.cpp sends as `error:` when it fails in mid-stream."""


@dataclass(slots=True)
class EventReader:
    """Puts events together from pieces of any size. Lines may end in CR, LF or both."""

    _rest: bytes = b""
    _data: list[bytes] = field(default_factory=list[bytes])
    _size: int = 0

    def read(self, piece: bytes) -> list[bytes]:
        """The data of each event that `piece` completes. Errors: `LimitExceeded`."""
        lines = (self._rest + piece if self._rest else piece).splitlines(keepends=True)
        self._rest = b""
        # The last line may go on, and after a CR an LF may belong to it.
        if lines and not lines[-1].endswith(b"\n"):
            self._rest = lines.pop()
        events: list[bytes] = []
        for line in lines:
            self._take(line.rstrip(b"\r\n"), events)
        if len(self._rest) + self._size > _LONGEST:
            raise LimitExceeded("an event is longer than any that a model sends")
        return events

    def end(self) -> list[bytes]:
        """What the stream ended with, without the blank line that should end an event."""
        events: list[bytes] = []
        if self._rest:
            self._take(self._rest.rstrip(b"\r\n"), events)
            self._rest = b""
        self._take(b"", events)
        return events

    def _take(self, line: bytes, events: list[bytes]) -> None:
        if not line:
            if self._data:
                events.append(b"\n".join(self._data))
                self._data.clear()
                self._size = 0
            return
        field_name, _, value = line.partition(b":")
        if field_name == b"data":
            self._data.append(value.removeprefix(b" "))
            self._size += len(value)
        elif field_name == b"error":
            events.append(FAILED)
