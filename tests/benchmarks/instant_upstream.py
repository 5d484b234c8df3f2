"""A language model endpoint that answers at once, for measurements of what stands before it.

    python tests/benchmarks/instant_upstream.py --port 8123

It speaks just enough HTTP to be faster than anything measured against it: completions of a few
sentences, streamed a word a frame or whole, no two of them the same.
"""

import argparse
import asyncio
import json
import re
from itertools import count

ANSWER = (
    "The valve at station {number} opens every {number} minutes and closes when the level falls "
    "below {number} metres, as the plan says."
)
_WORDS = len(ANSWER.split())
_LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)
_STREAMED = re.compile(rb'"stream" *: *true')
_USAGE = {"prompt_tokens": 90, "completion_tokens": _WORDS, "total_tokens": 90 + _WORDS}
_COMMON = {"id": "chatcmpl-1", "created": 1, "model": "served"}


class Upstream(asyncio.Protocol):
    """One connection, kept for as many calls as come over it."""

    def __init__(self, numbers: "count[int]") -> None:
        self._numbers = numbers
        self._received = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if not isinstance(transport, asyncio.Transport):
            raise TypeError("a stream is served")
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._received += data
        while (end := self._received.find(b"\r\n\r\n")) >= 0:
            head = self._received[: end + 4]
            length = _LENGTH.search(head)
            whole = len(head) + (int(length[1]) if length else 0)
            if len(self._received) < whole:
                return
            body, self._received = self._received[len(head) : whole], self._received[whole:]
            self._answer(body)

    def _answer(self, body: bytes) -> None:
        if self._transport is None:
            return
        text = ANSWER.format(number=next(self._numbers))
        if not _STREAMED.search(body):
            self._transport.write(_whole(text))
            return
        self._transport.write(
            b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n"
            b"transfer-encoding: chunked\r\n\r\n"
        )
        for word in re.findall(r"\s*\S+", text):
            self._transport.write(_chunk(_frame({"content": word})))
        last = _frame({}, "stop") + _event({"choices": [], "usage": _USAGE}) + b"data: [DONE]\n\n"
        self._transport.write(_chunk(last) + b"0\r\n\r\n")


def _whole(text: str) -> bytes:
    message = {"role": "assistant", "content": text}
    choices = [{"index": 0, "message": message, "finish_reason": "stop"}]
    value = {**_COMMON, "object": "chat.completion", "choices": choices, "usage": _USAGE}
    body = json.dumps(value).encode()
    head = f"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {len(body)}"
    return head.encode() + b"\r\n\r\n" + body


def _frame(delta: dict[str, str], finish: str | None = None) -> bytes:
    return _event({"choices": [{"index": 0, "delta": delta, "finish_reason": finish}]})


def _event(value: dict[str, object]) -> bytes:
    return (
        f"data: {json.dumps({**_COMMON, 'object': 'chat.completion.chunk', **value})}\n\n".encode()
    )


def _chunk(data: bytes) -> bytes:
    return f"{len(data):x}\r\n".encode() + data + b"\r\n"


async def _serve(port: int) -> None:
    numbers = count(1)
    server = await asyncio.get_running_loop().create_server(
        lambda: Upstream(numbers), "127.0.0.1", port, backlog=512
    )
    await server.serve_forever()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    asyncio.run(_serve(parser.parse_args().port))
